// SPDX-License-Identifier: Apache-2.0
//! The whole job, ours and Envoy's own: a token that is known, a local limit, headers for the upstream, and a span of every request.

use serde_json::{Value, json};

use super::tokens::Tokens;
use crate::envoy::Native;

/// A policy for all of it: the caller's token, a limit for each caller, a header and a span.
pub(super) fn policy(tokens: &Tokens) -> String {
    let mut policy: Value = serde_json::from_str(&tokens.policy()).unwrap_or_default();
    extend(&mut policy);
    policy.to_string()
}

/// Adds to a policy that asks for a token a limit for each caller, a header and a span.
pub(super) fn extend(policy: &mut Value) {
    policy["responses"] = json!({"rate_limit_headers": []});
    policy["identity"]["claim_to_headers"] = json!([{"claim": "sub", "header": "x-user-id"}]);
    policy["quotas"] = json!({"all": {
        "limit": {"rate": {"requests": 100_000_000, "window": "60s"}}, "key": ["caller"], "key_absent": "refuse",
        "enforcement": {"local": {}},
    }});
    policy["routes"][0]["quotas"] = json!(["all"]);
    policy["export"] = json!({"traces": {"otel": {"otlp": {
        "cluster": CLUSTER, "uri": "http://otel/v1/traces", "batch": {"max_queue_size": 16_384},
    }}}});
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
