// SPDX-License-Identifier: Apache-2.0
//! The whole job, ours and Envoy's own: a token that is known, a local limit, headers for the upstream, and a span of every request.

use serde_json::{Value, json};

use super::tokens::Tokens;
use crate::envoy::Native;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A token that is known, and a header that tells the upstream whose.
    Caller,
    /// A limit for each caller too.
    Limit,
    /// A span of every request, exported, too: all of it.
    Span,
}

/// A policy for so much of it.
pub(super) fn policy(tokens: &Tokens, step: Step) -> String {
    let mut policy: Value = serde_json::from_str(&tokens.policy()).unwrap_or_default();
    extend(&mut policy, step);
    policy.to_string()
}

/// Has a policy that asks for a token do so much of it.
pub(super) fn extend(policy: &mut Value, step: Step) {
    policy["identity"]["claim_to_headers"] = json!([{"claim": "sub", "header": "x-user-id"}]);
    if step >= Step::Limit {
        policy["responses"] = json!({"rate_limit_headers": []});
        policy["quotas"] = json!({"all": {
            "limit": {"rate": {"requests": 100_000_000, "window": "60s"}}, "key": ["caller"], "key_absent": "refuse",
            "enforcement": {"local": {}},
        }});
        policy["routes"][0]["quotas"] = json!(["all"]);
    }
    if step >= Step::Span {
        policy["export"] = json!({"traces": {"otel": {"otlp": {
            "cluster": CLUSTER, "uri": "http://otel/v1/traces", "batch": {"max_queue_size": 16_384},
        }}}});
    }
}

/// Envoy's own filters, its access log, and its tracer where `flush` says how many spans it gathers.
pub(super) fn native(tokens: &Tokens, flush: Option<u32>) -> Native {
    let append = |key: &str, value: &str| json!({"append": {"header": {"key": key, "value": value}}});
    let mutation = json!({"name": "envoy.filters.http.header_mutation", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        "mutations": {"request_mutations": [append("x-user-id", "00000000"), append("x-edge", "edge")]},
    }});
    let log = json!({"name": "envoy.access_loggers.file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": "/dev/null",
        "log_format": {"json_format": {
            "time": "%START_TIME%", "method": "%REQ(:METHOD)%", "path": "%PATH(NQ)%", "status": "%RESPONSE_CODE%", "duration": "%DURATION%",
        }},
    }});
    let mut native = Native { filters: vec![tokens.jwt_authn(true), super::envoy::local_ratelimit(), mutation], ..Native::default() };
    native.manager = json!({"access_log": [log]});
    let Some(flush) = flush else { return native };
    native.manager["tracing"] = json!({
        "random_sampling": {"value": 100.0},
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "http_service": {"http_uri": {"uri": "http://otel/v1/traces", "cluster": CLUSTER, "timeout": "10s"}},
            "service_name": "edge",
        }},
    });
    native.runtime = json!({"tracing.opentelemetry.min_flush_spans": flush});
    native
}

/// What spans are sent to.
pub(super) const CLUSTER: &str = "otel";
/// How many spans Envoy's tracer gathers by default, and as many as ours.
pub(super) const DEFAULT_FLUSH: u32 = 5;
pub(super) const BATCHED: u32 = 512;
