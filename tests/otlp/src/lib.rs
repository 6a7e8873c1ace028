// SPDX-License-Identifier: Apache-2.0
//! A second opinion on what leaves for collectors: requests are read by OpenTelemetry's own types, and held against the protocol
//! (<https://opentelemetry.io/docs/specs/otlp/>) and the conventions for HTTP (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).
#![cfg(feature = "reader")]

pub mod logs;

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;

/// Reads a request's body.
///
/// # Errors
///
/// Why it is none.
pub fn read(body: &[u8]) -> Result<ExportTraceServiceRequest, prost::DecodeError> {
    ExportTraceServiceRequest::decode(body)
}

/// All spans of a request.
pub fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}

/// An attribute's value as text.
#[must_use]
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// What is wrong with a request, in words; nothing if all is well.
#[must_use]
pub fn violations(request: &ExportTraceServiceRequest, body: &[u8]) -> Vec<String> {
    let mut wrong = Wrong::default();
    // What its types don't know they drop.
    wrong
        .expect(request.encoded_len() == body.len(), || format!("{} bytes, of which the types know {}", body.len(), request.encoded_len()));
    wrong.expect(!request.resource_spans.is_empty(), || "no resource".to_owned());
    for resource in &request.resource_spans {
        check_resource(resource.resource.as_ref(), &mut wrong);
        wrong.expect(!resource.scope_spans.is_empty(), || "a resource without a scope".to_owned());
        for scope in &resource.scope_spans {
            check_scope(scope.scope.as_ref(), &mut wrong);
            wrong.expect(!scope.spans.is_empty(), || "a scope without spans".to_owned());
        }
    }
    let mut ids = BTreeSet::new();
    for span in spans(request) {
        check(span, &mut wrong);
        wrong.expect(ids.insert((&span.trace_id, &span.span_id)), || format!("{}: its ids are another span's", span.name));
    }
    wrong.0
}

#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn expect(&mut self, sound: bool, say: impl FnOnce() -> String) {
        if !sound {
            self.0.push(say());
        }
    }
}

fn check_resource(resource: Option<&Resource>, wrong: &mut Wrong) {
    let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
    unique(attributes, "resource", wrong);
    for key in ["service.name", "telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"] {
        wrong.expect(attribute(attributes, key).is_some_and(|value| !value.is_empty()), || format!("resource: no {key}"));
    }
}

fn check_scope(scope: Option<&InstrumentationScope>, wrong: &mut Wrong) {
    wrong.expect(scope.is_some_and(|scope| !scope.name.is_empty()), || "a scope without a name".to_owned());
}

fn unique(attributes: &[KeyValue], whose: &str, wrong: &mut Wrong) {
    let mut keys = BTreeSet::new();
    for KeyValue { key, value, .. } in attributes {
        wrong.expect(!key.is_empty() && keys.insert(key), || format!("{whose}: attribute {key:?} stands twice, or has no name"));
        let filled = matches!(value, Some(AnyValue { value: Some(_) }));
        wrong.expect(filled, || format!("{whose}: attribute {key:?} has no value"));
    }
}

fn check(span: &Span, wrong: &mut Wrong) {
    let name = &span.name;
    let own = |bytes: &[u8], length: usize| bytes.len() == length && bytes.iter().any(|byte| *byte != 0);
    wrong.expect(own(&span.trace_id, 16), || format!("{name}: trace id {:?}", span.trace_id));
    wrong.expect(own(&span.span_id, 8), || format!("{name}: span id {:?}", span.span_id));
    let parent = &span.parent_span_id;
    wrong.expect(parent.is_empty() || own(parent, 8), || format!("{name}: parent {parent:?}"));
    wrong.expect(parent != &span.span_id, || format!("{name}: it is its own parent"));
    wrong.expect(span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano, || {
        format!("{name}: it ends before it begins")
    });
    wrong.expect(span.flags & !0x3ff == 0 && span.flags & 0x100 != 0, || format!("{name}: flags {:#x}", span.flags));
    wrong.expect(
        span.events
            .iter()
            .all(|event| (span.start_time_unix_nano..=span.end_time_unix_nano).contains(&event.time_unix_nano) && !event.name.is_empty()),
        || format!("{name}: an event outside it"),
    );
    for link in &span.links {
        wrong.expect(own(&link.trace_id, 16) && own(&link.span_id, 8), || format!("{name}: a link to nothing"));
    }
    unique(&span.attributes, name, wrong);
    check_http(span, wrong);
}

fn check_http(span: &Span, wrong: &mut Wrong) {
    let name = &span.name;
    let values: BTreeMap<&str, String> =
        span.attributes.iter().filter_map(|one| Some((one.key.as_str(), attribute(&span.attributes, &one.key)?))).collect();
    let get = |key: &str| values.get(key).map(String::as_str);
    let required: &[&str] = match span.kind() {
        SpanKind::Server => &["http.request.method", "url.path", "url.scheme"],
        SpanKind::Client => &["http.request.method", "server.address", "url.full"],
        _ => {
            wrong.0.push(format!("{name}: of kind {:?}", span.kind()));
            return;
        }
    };
    // A head that can't be read has nothing to tell.
    let readable = get("tracegate.reason") != Some("RequestHeadersUnreadable");
    for key in required.iter().filter(|_| readable) {
        wrong.expect(get(key).is_some_and(|value| !value.is_empty()), || format!("{name}: no {key}"));
    }
    let method = get("http.request.method").unwrap_or_default();
    let known = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY"].contains(&method);
    wrong.expect(!readable || known != (method == "_OTHER"), || format!("{name}: method {method:?}"));
    wrong.expect((method == "_OTHER") != get("http.request.method_original").is_none(), || {
        format!("{name}: method {method:?}, originally {:?}", get("http.request.method_original"))
    });
    wrong.expect(get("server.address").is_none() || get("server.port").is_some(), || format!("{name}: no server.port"));
    let spoken = if known { method } else { "HTTP" };
    let expected = match (span.kind(), get("http.route")) {
        (SpanKind::Server, Some(route)) => format!("{spoken} {route}"),
        _ => spoken.to_owned(),
    };
    wrong.expect(*name == expected, || format!("{name}: expected the name {expected:?}"));
    wrong.expect(get("url.path").is_none_or(|path| !path.contains(['?', '#'])), || format!("{name}: a query in url.path"));
    wrong.expect(get("url.full").is_none_or(|url| url.contains("://") && !url.contains(['?', '#', '@'])), || format!("{name}: url.full"));
    wrong.expect(get("http.request.header").is_none() && get("url.query").is_none(), || format!("{name}: headers or a query"));
    let status: Option<u16> = get("http.response.status_code").and_then(|status| status.parse().ok());
    let least = if span.kind() == SpanKind::Server { 500 } else { 400 };
    let failed = status.is_none_or(|status| status >= least);
    let code = span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
    let expected = if failed { StatusCode::Error } else { StatusCode::Unset };
    wrong.expect(code == expected, || format!("{name}: status {status:?} and {code:?}"));
    wrong.expect(get("error.type").is_some() == failed, || format!("{name}: error.type {:?} beside status {status:?}", get("error.type")));
}
