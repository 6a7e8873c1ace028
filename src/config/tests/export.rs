// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told about collectors and spans.

use serde_json::{Value, json};

use super::*;

/// A policy with one collector, and what `change` makes of it.
fn policy(change: impl FnOnce(&mut Value)) -> Value {
    let mut policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "secrets": {"key": {"environment": {"name": "KEY"}}},
        "identity": {"providers": {"shops": {"subscription_keys": {"subscriptions": [{"id": "a", "keys_sha256": ["ab".repeat(32)]}]}}}},
        "routes": [{"name": "files", "match": {"path": {"template": "/files/{id}"}}, "rules": [{"name": "who", "require": {"caller": {"provider": "shops"}}}]}],
        "export": {
            "traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces", "headers": {"x-key": {"secret": "key"}}}}},
            "spans": {"digest_key": {"secret": "key"}},
        },
    });
    change(&mut policy);
    policy
}

#[test]
fn a_collector_is_somewhere_and_takes_spans() {
    assert_eq!(wrong(&policy(|_| {})), [""; 0]);
    let at = "export.traces.otel.otlp";
    let taken = "expected header names in lower case, and none that a request by HTTP has anyway, found another";
    for (field, value, expected) in [
        ("cluster", json!(""), "cluster: expected text of at least one character, found \"\"".to_owned()),
        ("uri", json!("otel:4318"), "uri: expected an absolute URI such as https://id.shop.example/jwks.json (\"otel:4318\")".to_owned()),
        ("headers", json!({"X-Key": {"secret": "key"}}), format!("headers: {taken}")),
        ("headers", json!({"content-type": {"secret": "key"}}), format!("headers: {taken}")),
        ("headers", json!({"x-key": {"secret": "other"}}), "headers.x-key.secret: expected a name in `secrets`, found another".to_owned()),
        ("batch", json!({"max_queue_size": 0}), "batch.max_queue_size: expected a whole number from 1 to 65536, found 0".to_owned()),
        (
            "batch",
            json!({"max_queue_size": 9, "max_export_batch_size": 10}),
            "batch.max_export_batch_size: expected no more than `max_queue_size`, found 10".to_owned(),
        ),
        (
            "batch",
            json!({"schedule_delay": "99ms"}),
            "batch.schedule_delay: expected a duration from 100ms to 1m, found \"99ms\"".to_owned(),
        ),
        (
            "compression",
            json!("gzip"),
            "compression: expected one of `cluster`, `uri`, `headers`, `batch`, found an unknown field".to_owned(),
        ),
    ] {
        let found = wrong(&policy(|policy| policy["export"]["traces"]["otel"]["otlp"][field] = value.clone()));
        assert_eq!(found, [format!("{at}.{expected}")], "{field} {value}");
    }
    let one = json!({"otlp": {"cluster": "otel", "uri": "http://otel"}});
    let many = json!({"a": one, "b": one, "c": one, "d": one, "e": one});
    assert_eq!(wrong(&policy(|policy| policy["export"]["traces"] = many)), ["export.traces: expected at most 4 collectors, found 5"]);
}

/// What a policy's author is warned of.
fn warned(policy: &Value) -> Vec<String> {
    let loaded = Policy::from_json(policy.to_string().as_bytes()).unwrap_or_else(|findings| panic!("{findings:?}"));
    loaded.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn keys_that_collectors_are_sent_and_places_without_a_path_are_warned_of() {
    let sent = "a collector is sent this secret in a header: whoever has it can";
    let chained = json!({"chain": {"key": {"secret": "key"}}});
    let all = policy(|policy| {
        policy["audit"] = chained.clone();
        policy["export"]["traces"]["otel"]["otlp"]["uri"] = json!("http://otel:4317");
    });
    for expected in [
        "export.traces.otel.otlp.uri: warning: there is no path: by HTTP, collectors take traces at /v1/traces and logs at /v1/logs, on port 4318 as a rule".to_owned(),
        format!("audit.chain.key.secret: warning: {sent} write records"),
        format!("export.spans.digest_key.secret: warning: {sent} try which values the digests are of"),
    ] {
        let found = warned(&all);
        assert!(found.iter().any(|warning| warning.ends_with(&expected)), "{expected}: {found:?}");
    }
    // By another name too.
    let renamed = warned(&policy(|policy| {
        policy["secrets"]["same"] = policy["secrets"]["key"].clone();
        policy["audit"] = chained.clone();
        policy["export"]["traces"]["otel"]["otlp"]["headers"] = json!({"x-key": {"secret": "same"}});
    }));
    assert!(renamed.iter().any(|warning| warning.contains("audit.chain.key.secret") && warning.contains(sent)), "{renamed:?}");
    let apart = warned(&policy(|policy| {
        policy["secrets"]["other"] = json!({"environment": {"name": "OTHER"}});
        policy["export"]["traces"]["otel"]["otlp"]["headers"] = json!({"x-key": {"secret": "other"}});
        policy["audit"] = chained;
    }));
    assert!(!apart.iter().any(|warning| warning.contains(sent) || warning.contains("path")), "{apart:?}");
}

/// A provider with tokens.
fn tokens() -> Value {
    json!({"jwt": {"issuer": "a", "audiences": ["b"], "algorithms": ["HS256"], "keys": {"secrets": [{"key": {"secret": "key"}}]}}})
}

#[test]
fn a_request_has_room_for_both_its_spans() {
    let batch = |client: bool, batch: Value| {
        wrong(&policy(|policy| {
            policy["export"]["spans"]["client"] = json!(client);
            policy["export"]["traces"]["otel"]["otlp"]["batch"] = batch;
        }))
    };
    let at = "export.traces.otel.otlp.batch";
    let expected = "expected at least 2 beside `export.spans.client`: two spans of a request leave together, found 1";
    assert_eq!(batch(true, json!({"max_queue_size": 1})), [format!("{at}.max_queue_size: {expected}")]);
    for (client, sizes) in
        [(false, json!({"max_queue_size": 1})), (true, json!({"max_queue_size": 2})), (true, json!({"max_export_batch_size": 1}))]
    {
        assert_eq!(batch(client, sizes), [""; 0]);
    }
}

/// OTLP has each key of a resource once.
#[test]
fn a_resource_is_told_nothing_twice() {
    let keys = ["service.name", "service.namespace", "service.instance.id", "telemetry.sdk.name", "tracegate.policy.fingerprint"];
    let expected =
        "expected another key than the gateway's own: service.{name,namespace,instance.id}, telemetry.sdk.*, tracegate.*, found one";
    for key in keys {
        let found = wrong(&policy(|policy| policy["service"]["attributes"] = json!({key: "a", "cloud.region": "b"})));
        assert_eq!(found, [format!("service.attributes.{key}: {expected}")]);
    }
    let others = json!({"service.version": "1", "telemetry.distro.name": "a", "service.names": "b"});
    assert_eq!(wrong(&policy(|policy| policy["service"]["attributes"] = others)), [""; 0]);
}

#[test]
fn requests_are_measured_or_not() {
    assert_eq!(wrong(&policy(|policy| policy["export"]["metrics"] = json!({"request_durations": true}))), [""; 0]);
    assert_eq!(
        wrong(&policy(|policy| policy["export"]["metrics"] = json!({"request_durations": "all"}))),
        ["export.metrics.request_durations: expected `true` or `false`, found \"all\""]
    );
}

#[test]
fn spans_tell_what_there_is_and_no_credentials() {
    for (field, value, expected) in [
        ("digest_key", json!({"secret": "other"}), "digest_key.secret: expected a name in `secrets`, found another"),
        (
            "claims",
            json!([{"path": "tid"}]),
            "claims[0]: expected a provider with tokens in `identity.providers`: nobody's claims are known",
        ),
        (
            "claims",
            json!([{"path": "tid", "provider": "shops"}]),
            "claims[0].provider: expected a name in `identity.providers` of one with tokens, found \"shops\"",
        ),
        ("claims", json!([{"path": "sub"}, {"path": "sub"}]), "claims[1]: expected another claim, found that of `claims[0]`"),
        (
            "claims",
            json!([{"path": "sub", "provider": "users"}, {"path": "tid"}, {"path": "tid", "provider": "users"}]),
            "claims[2]: expected another claim, found that of `claims[1]`",
        ),
        ("request_id_header", json!("Cookie"), "request_id_header: expected a header without credentials, found \"Cookie\""),
        (
            "request_id_header",
            json!("ocp_apim-subscription-key"),
            "request_id_header: expected a header without credentials, found \"ocp_apim-subscription-key\"",
        ),
        (
            "attributes",
            json!(["url.query"]),
            "attributes[0]: expected `client.address` or `user_agent.original` or `server.address`, found \"url.query\"",
        ),
    ] {
        let found = wrong(&policy(|policy| {
            policy["export"]["spans"][field] = value.clone();
            if value.to_string().contains("sub") {
                policy["identity"]["providers"] =
                    json!({"shops": policy["identity"]["providers"]["shops"], "users": tokens(), "others": tokens()});
            }
        }));
        assert_eq!(found, [format!("export.spans.{expected}")], "{field} {value}");
    }
    let told = |attributes: Value, change: fn(&mut Value)| {
        wrong(&policy(|policy| {
            policy["routes"][0]["attributes"] = json!({"path": attributes});
            change(policy);
        }))
    };
    assert_eq!(told(json!({"id": "digest"}), |_| {}), [""; 0]);
    let at = "routes[0].attributes.path";
    assert_eq!(
        told(json!({"file": "raw"}), |_| {}),
        [format!("{at}.file: expected a parameter of the route's path template, found another")]
    );
    assert_eq!(
        told(json!({"id": "digest"}), |policy| drop(policy["export"]["spans"].as_object_mut().unwrap().remove("digest_key"))),
        [format!("{at}.id: expected `export.spans.digest_key` beside a digest, found none")]
    );
}
