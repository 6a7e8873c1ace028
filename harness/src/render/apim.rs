// SPDX-License-Identifier: Apache-2.0
//! API Management in front of the edge: what it passes on, what it logs so that a replay can compare, and the collector behind both.

mod steps;

use std::collections::BTreeSet;

use tracegate::Policy;
use tracegate::identity::{Provider, SubscriptionKeys, TokenPlace};
use tracegate::trace::Format;

use super::File;
use crate::Redactor;
use crate::policy::Document;
use crate::yaml::{Map, Yaml};

/// The steps, and the files that they use.
#[must_use]
pub fn files(document: &Document) -> Vec<File> {
    let policy = &document.loaded.policy;
    let fragment = fragment(policy);
    let body = Map::new()
        .with("format", "rawxml")
        .with("description", format!("tracegate, policy {}", policy.fingerprint))
        .with("value", fragment.as_str());
    let json = |properties: Map| Yaml::from(Map::new().with("properties", properties)).to_json();
    vec![
        File { name: "README.md", text: steps::steps(policy) },
        File { name: "fragment.xml", text: fragment },
        File { name: "fragment.json", text: json(body) },
        File { name: "azuremonitor.json", text: json(diagnostic(policy, "/loggers/azuremonitor")) },
        File { name: "applicationinsights.json", text: json(correlating(diagnostic(policy, "/loggers/applicationinsights"))) },
        File { name: "collector.yaml", text: collector() },
    ]
}

/// The policy fragment for `inbound`.
fn fragment(policy: &Policy) -> String {
    let mut text = format!(
        "<fragment>\n  <!-- The edge's part of inbound, for tracegate's policy {}. Include it behind everything else that changes headers. -->\n",
        policy.fingerprint
    );
    text += "  <!-- The id under which API Management logs this call (correlationId), for whoever logs behind it. -->\n";
    text += "  <set-header name=\"x-apim-request-id\" exists-action=\"override\">\n    <value>@(context.RequestId.ToString())</value>\n  </set-header>\n";
    text += "  <!-- What clients write of certificates in other proxies' place goes no further. -->\n";
    text += "  <set-header name=\"X-Forwarded-Client-Cert\" exists-action=\"delete\" />\n";
    let keys: Vec<&SubscriptionKeys> = policy.identity.providers.iter().filter_map(Provider::subscription_keys).collect();
    let checked = "  <!-- A key that API Management has checked, and that the edge doesn't look for. -->\n";
    if keys.iter().all(|keys| !keys.header.eq_ignore_ascii_case(KEY_HEADER)) {
        text += &format!("{checked}  <set-header name=\"{KEY_HEADER}\" exists-action=\"delete\" />\n");
    }
    if keys.iter().all(|keys| !keys.query.eq_ignore_ascii_case(KEY_PARAMETER)) {
        text += &format!("{checked}  <set-query-parameter name=\"{KEY_PARAMETER}\" exists-action=\"delete\" />\n");
    }
    if policy.listener.verifies_clients {
        text += "  <!-- The edge's listener asks for a client certificate: this one, uploaded under that id. -->\n";
        text += "  <authentication-certificate certificate-id=\"tracegate-edge\" />\n";
    }
    text += "  <!-- Trace headers need no statement: API Management passes them on, and writes traceparent itself where its Application Insights\n";
    text += "       diagnostic says W3C. Only without such a diagnostic, so that no call is without a trace:\n";
    text += "  <set-header name=\"traceparent\" exists-action=\"skip\">\n";
    text += "    <value>@(\"00-\" + context.RequestId.ToString(\"N\") + \"-\" + Guid.NewGuid().ToString(\"N\").Substring(0, 16) + \"-01\")</value>\n";
    text += "  </set-header> -->\n</fragment>\n";
    text
}

/// A diagnostic's properties, but for what only Application Insights knows: `Microsoft.ApiManagement/service/diagnostics`, 2024-05-01.
fn diagnostic(policy: &Policy, logger: &str) -> Map {
    let trace = trace_headers(policy);
    let asked = policy.asked_headers();
    let known = Redactor::new(0).knowing(policy);
    // A header in which a proxy tells of certificates is as good as one.
    let is_loggable = |name: &&str| !known.is_credential_header(name.as_bytes()) && *name != "x-forwarded-client-cert";
    let asked = asked.into_iter().filter(is_loggable);
    let arriving: BTreeSet<&str> = trace.iter().copied().chain(asked).chain(["x-forwarded-for"]).collect();
    let leaving: BTreeSet<&str> = trace.into_iter().chain(["x-forwarded-for", "x-apim-request-id"]).collect();
    let answered = ["traceresponse", "tracegate-reason"];
    let hidden: Vec<Map> =
        credential_parameters(policy).into_iter().map(|name| Map::new().with("value", name).with("mode", "Hide")).collect();
    let message = |headers: Vec<&str>| Map::new().with("headers", headers).with("body", Map::new().with("bytes", 0));
    let both = |request: BTreeSet<&str>| {
        let masking = Map::new().with("queryParams", hidden.clone());
        let request = message(request.into_iter().collect()).with("dataMasking", masking);
        Map::new().with("request", request).with("response", message(answered.to_vec()))
    };
    Map::new()
        .with("loggerId", logger)
        .with("alwaysLog", "allErrors")
        .with("sampling", Map::new().with("samplingType", "fixed").with("percentage", 100))
        .with("logClientIp", true)
        .with("verbosity", "information")
        .with("frontend", both(arriving))
        .with("backend", both(leaving))
}

/// The same for Application Insights, whose diagnostic says how calls are correlated.
fn correlating(diagnostic: Map) -> Map {
    diagnostic.with("httpCorrelationProtocol", "W3C").with("operationNameFormat", "Name").with("metrics", false)
}

/// The headers that carry trace context here: what the edge reads, and what API Management writes whichever protocol it speaks.
fn trace_headers(policy: &Policy) -> Vec<&'static str> {
    let formats = policy.trace.extract.iter().chain([&Format::TraceContext, &Format::RequestId]);
    formats.flat_map(|format| format.headers()).copied().chain(["baggage"]).collect()
}

/// Parameters of queries in which credentials may stand.
fn credential_parameters(policy: &Policy) -> BTreeSet<&str> {
    let providers = &policy.identity.providers;
    let tokens = providers.iter().filter_map(Provider::token).flat_map(|provider| &provider.places);
    let tokens = tokens.filter_map(|place| match place {
        TokenPlace::Query(name) => Some(name.as_str()),
        TokenPlace::Header(_) | TokenPlace::Authorization { .. } | TokenPlace::Cookie(_) => None,
    });
    let keys = providers.iter().filter_map(Provider::subscription_keys).map(|SubscriptionKeys { query, .. }| query.as_str());
    tokens.chain(keys).chain([KEY_PARAMETER, "access_token"]).collect()
}

/// An OpenTelemetry Collector, from version 0.144 on, in which the exporter has this name.
fn collector() -> String {
    let http = Map::new().with("http", Map::new().noted(LISTEN_NOTE, "endpoint", "0.0.0.0:4318"));
    let receivers = Map::new().with("otlp", Map::new().with("protocols", http));
    let limiter = Map::new().with("check_interval", "1s").with("limit_percentage", 80).with("spike_limit_percentage", 15);
    let batch = Map::new().with("flush_timeout", "200ms").with("min_size", 8192).with("sizer", "items");
    let exporter = Map::new()
        .noted(ENDPOINT_NOTE, "endpoint", "${env:OTLP_ENDPOINT}")
        .with("headers", Map::new().with("lightstep-access-token", "${env:LIGHTSTEP_ACCESS_TOKEN}"))
        .with("sending_queue", Map::new().with("batch", batch));
    let traces = Map::new().with("receivers", ["otlp"]).with("processors", ["memory_limiter"]).with("exporters", ["otlp_http"]);
    let service = Map::new().with("extensions", ["health_check"]).with("pipelines", Map::new().with("traces", traces));
    Yaml::from(
        Map::new()
            .with("extensions", Map::new().with("health_check", Map::new().with("endpoint", "0.0.0.0:13133")))
            .with("receivers", receivers)
            .with("processors", Map::new().with("memory_limiter", limiter))
            .noted(EXPORTER_NOTE, "exporters", Map::new().with("otlp_http", exporter))
            .with("service", service),
    )
    .to_string()
}

/// Where API Management looks for subscription keys, unless an API says otherwise.
const KEY_HEADER: &str = "Ocp-Apim-Subscription-Key";
const KEY_PARAMETER: &str = "subscription-key";

const LISTEN_NOTE: &str = "Whoever reaches this port can write spans: keep it in a network of its own, or give it `tls` and `auth`.";
const ENDPOINT_NOTE: &str = "https://ingest.lightstep.com for Lightstep (/v1/traces is appended), or any other OTLP endpoint.";
const EXPORTER_NOTE: &str = "`otlphttp` in collectors before 0.144.";
