// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told about records of decisions.

use serde_json::{Value, json};

use super::*;

/// A policy with this section, and collectors of logs if asked.
fn policy(audit: Value, logs: bool) -> Value {
    let mut policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "secrets": {"key": {"environment": {"name": "KEY"}}},
        "routes": [{"name": "files"}],
        "audit": audit,
    });
    if logs {
        policy["export"] = json!({"logs": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/logs"}}}});
    }
    policy
}

#[test]
fn records_are_of_decisions_and_routes_that_there_are() {
    let chain = json!({"key": {"secret": "key"}});
    let whole = json!({"records": {"decisions": ["refused", "shadowed", "admitted"], "routes": ["files"]}, "outputs": ["log", "otlp"], "chain": chain});
    assert_eq!(wrong(&policy(whole, true)), [""; 0]);
    for (audit, expected) in [
        (json!({"records": {"routes": ["other"]}}), "records.routes[0]: expected a name in `routes`, found \"other\""),
        (json!({"records": {"routes": ["files", "files"]}}), "records.routes[1]: expected each of the list once, found \"files\""),
        (
            json!({"records": {"decisions": ["allowed"]}}),
            "records.decisions[0]: expected `refused` or `shadowed` or `admitted`, found \"allowed\"",
        ),
        (
            json!({"records": {"decisions": ["refused", "refused"]}}),
            "records.decisions[1]: expected each of the list once, found \"refused\"",
        ),
        (json!({"outputs": []}), "outputs: expected a list of at least one, found an empty one"),
        (json!({"outputs": ["file"]}), "outputs[0]: expected `log` or `otlp`, found \"file\""),
        (json!({"outputs": ["otlp"]}), "outputs: expected a collector in `export.logs` beside `otlp`, found none"),
        (json!({"chain": {}}), "chain: expected a field `key`, found none"),
        (json!({"chain": {"key": {"secret": "other"}}}), "chain.key.secret: expected a name in `secrets`, found another"),
        (
            json!({"chain": {"key": {"secret": "key"}, "checkpoint_interval": "999ms"}}),
            "chain.checkpoint_interval: expected a duration from 1s to 1h, found \"999ms\"",
        ),
    ] {
        assert_eq!(wrong(&policy(audit.clone(), false)), [format!("audit.{expected}")], "{audit}");
    }
}

#[test]
fn an_author_is_told_of_records_that_prove_nothing_and_collectors_that_get_nothing() {
    let warned = |policy: &Value| {
        let loaded = Policy::from_json(policy.to_string().as_bytes()).unwrap();
        loaded.warnings.iter().map(ToString::to_string).filter(|warning| !warning.contains("trust")).collect::<Vec<_>>()
    };
    let [unchained, unused] = warned(&policy(json!({}), false)).try_into().unwrap();
    assert!(unchained.ends_with("audit: warning: without `chain` nobody can tell a changed record from a genuine one"), "{unchained}");
    assert!(unused.contains("secrets.key: warning: nothing uses this secret"), "{unused}");
    assert_eq!(warned(&policy(json!({"chain": {"key": {"secret": "key"}}}), false)), [""; 0]);
    let [unsent] = warned(&policy(json!({"chain": {"key": {"secret": "key"}}}), true)).try_into().unwrap();
    assert!(unsent.ends_with("export.logs: warning: nothing leaves for it: `audit.outputs` has no `otlp`"), "{unsent}");
}
