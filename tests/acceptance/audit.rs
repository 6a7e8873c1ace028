// SPDX-License-Identifier: Apache-2.0
//! Records of decisions, and changes to what is said of them.

use serde_json::{Value, json};

/// Adds what this file changes to a policy with secrets and collectors.
pub(super) fn extend(policy: &mut Value) {
    policy["export"]["logs"] = json!({"otel-logs": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/logs"}}});
    policy["audit"] = json!({
        "records": {"decisions": ["refused", "shadowed", "admitted"], "routes": ["files"]},
        "outputs": ["log", "otlp"],
        "chain": {"key": {"secret": "hop-key"}, "checkpoint_interval": "30s"},
    });
}

/// Changes that the reader accepts.
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
    vec![
        ("/audit", json!({})),
        ("/audit/records", json!({})),
        ("/audit/records/decisions", json!([])),
        ("/audit/records/routes", json!([])),
        ("/audit/outputs", json!(["otlp"])),
        ("/audit/chain", json!({"key": {"secret": "old-key"}})),
        ("/audit/chain/checkpoint_interval", json!("1h")),
        ("/export/logs/otel-logs/otlp", json!({"cluster": "a", "uri": "https://a", "batch": {"max_queue_size": 1}})),
    ]
}

/// `None` takes the field away.
pub(super) fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let mut changes: Vec<(&'static str, Option<Value>)> =
        ["/audit/chain/key", "/audit/chain/key/secret", "/export/logs/otel-logs/otlp/uri"].map(|place| (place, None)).into();
    for (place, words) in [
        ("/audit", vec![json!([]), json!(null), json!({"enabled": true})]),
        ("/audit/records", vec![json!([]), json!({"decisions": "refused"}), json!({"callers": []})]),
        ("/audit/records/decisions", vec![json!(["allowed"]), json!(["refused", "refused"])]),
        ("/audit/records/routes", vec![json!([""]), json!(["files", "files"])]),
        ("/audit/outputs", vec![json!([]), json!(["file"]), json!(["log", "log"]), json!("log")]),
        ("/audit/chain", vec![json!({}), json!("audit-key"), json!({"key": "s3cret"})]),
        ("/audit/chain/checkpoint_interval", vec![json!(30), json!("1d")]),
        ("/export/logs", vec![json!([]), json!({"a": {"lightstep": {"cluster": "a", "access_token": {"secret": "hop-key"}}}})]),
    ] {
        changes.extend(words.into_iter().map(|word| (place, Some(word))));
    }
    changes
}

/// What the reader alone refuses, and why no schema can.
pub(super) fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let together = "sections hang together";
    vec![
        ("/audit/records/routes", json!(["nowhere"]), together),
        ("/audit/chain/key/secret", json!("nowhere"), together),
        ("/audit/chain/checkpoint_interval", json!("999ms"), "durations are added up"),
        ("/export/logs", json!({}), together),
    ]
}
