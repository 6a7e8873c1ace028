// SPDX-License-Identifier: Apache-2.0
//! What leaves for collectors: from the document to the policy.

use std::collections::BTreeMap;

use super::super::document;
use super::callers::Callers;
use super::{reference, text_reference};
use crate::access_log::AccessLogProperty;
use crate::export::{BatchPolicy, Collector, ExportPolicy};
use crate::route::PathAttribute;
use crate::span::{OptionalAttribute, SpanPolicy, TokenClaim, UrlPath};

pub(super) fn policy(
    export: document::Export,
    hides_parameters: bool,
    secrets: &BTreeMap<String, document::Secret>,
    callers: &Callers,
) -> ExportPolicy {
    let document::Export { traces, logs, spans, metrics, access_log_properties } = export;
    ExportPolicy {
        traces: traces.into_iter().map(|(name, collector)| self::collector(name, collector, secrets)).collect(),
        logs: logs.into_iter().map(|(name, document::LogCollector::Otlp(otlp))| self::otlp(name, otlp, secrets)).collect(),
        request_durations: metrics.request_durations,
        spans: SpanPolicy {
            client: spans.client,
            url_path: match spans.url_path {
                document::UrlPath::Full => UrlPath::Full,
                document::UrlPath::Template => UrlPath::Template,
            },
            hides_parameters,
            attributes: spans.attributes.into_iter().map(attribute).collect(),
            claims: spans
                .claims
                .into_iter()
                .map(|claim| TokenClaim { provider: claim.provider.map(|name| callers.place(&name)), path: claim.path.value })
                .collect(),
            digest_key: spans.digest_key.map(|key| reference(key.secret, secrets)),
            request_id_header: spans.request_id_header.map(|name| name.to_ascii_lowercase()),
        },
        access_log: access_log_properties.into_iter().map(access_log_property).collect(),
    }
}

fn collector(name: String, collector: document::Collector, secrets: &BTreeMap<String, document::Secret>) -> Collector {
    match collector {
        document::Collector::Otlp(otlp) => self::otlp(name, otlp, secrets),
        document::Collector::Lightstep(document::Lightstep { cluster, access_token, uri, batch }) => {
            let headers = vec![(LIGHTSTEP_TOKEN.to_owned(), text_reference(access_token.secret, secrets))];
            Collector { name, cluster, uri: uri.value, headers, batch: self::batch(&batch) }
        }
    }
}

fn otlp(
    name: String,
    document::Otlp { cluster, uri, headers, batch }: document::Otlp,
    secrets: &BTreeMap<String, document::Secret>,
) -> Collector {
    let headers = headers.into_iter().map(|(name, value)| (name, text_reference(value.secret, secrets))).collect();
    Collector { name, cluster, uri: uri.value, headers, batch: self::batch(&batch) }
}

const fn batch(batch: &document::Batch) -> BatchPolicy {
    BatchPolicy {
        schedule_delay: batch.schedule_delay.value.nanoseconds(),
        max_queue_size: batch.max_queue_size,
        max_export_batch_size: batch.max_export_batch_size,
        export_timeout: batch.export_timeout.value.nanoseconds(),
    }
}

const fn attribute(attribute: document::SpanAttribute) -> OptionalAttribute {
    match attribute {
        document::SpanAttribute::ClientAddress => OptionalAttribute::ClientAddress,
        document::SpanAttribute::UserAgent => OptionalAttribute::UserAgent,
        document::SpanAttribute::ServerAddress => OptionalAttribute::ServerAddress,
    }
}

const fn access_log_property(property: document::AccessLogProperty) -> AccessLogProperty {
    match property {
        document::AccessLogProperty::TraceId => AccessLogProperty::TraceId,
        document::AccessLogProperty::SpanId => AccessLogProperty::SpanId,
        document::AccessLogProperty::Decision => AccessLogProperty::Decision,
        document::AccessLogProperty::Reason => AccessLogProperty::Reason,
        document::AccessLogProperty::Caller => AccessLogProperty::Caller,
        document::AccessLogProperty::Remaining => AccessLogProperty::Remaining,
    }
}

/// What is told of a route's path.
pub(super) fn path_attributes(attributes: document::RouteAttributes) -> Vec<PathAttribute> {
    let told = |(name, told)| PathAttribute { name, digest: told == document::PathTold::Digest };
    attributes.path.into_iter().map(told).collect()
}

/// Lightstep's header for a project's access token.
const LIGHTSTEP_TOKEN: &str = "lightstep-access-token";
