// SPDX-License-Identifier: Apache-2.0
//! Where secrets are, and changes to that.

use serde_json::{Value, json};

/// Adds what this file changes to a policy.
pub(super) fn extend(policy: &mut Value) {
    policy["secrets"]["agent"] =
        json!({"http": {"uri": "http://127.0.0.1:8200/token", "cluster": "agent", "refresh_interval": "5m", "timeout": "1s"}});
    policy["secrets"]["vault"] = json!({"key_vault": {
        "vault_uri": "https://shop-kv.vault.azure.net", "name": "hop-key", "version": "4387e9f3d6e14c459867679a90fd0f79",
        "managed_identity": {"client_id": "6a1f0c9e-1111-4c0e-9d6b-000000000001"}, "vault_cluster": "key-vault", "imds_cluster": "imds",
        "refresh_interval": "1h", "timeout": "2s",
    }});
    policy["secrets"]["known"] = json!({"literal": {"value": "swordfish"}});
    policy["export"]["traces"]["otel"]["otlp"]["headers"] = json!({
        "x-tenant": {"secret": "hop-key"}, "x-agent": {"secret": "agent"}, "x-known": {"secret": "known"}, "x-vault": {"secret": "vault"},
    });
}

/// Changes that the reader accepts.
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
    vec![
        ("/secrets/agent/http", json!({"uri": "https://a", "cluster": " "})),
        ("/secrets/agent/http/refresh_interval", json!("1s")),
        ("/secrets/agent/http/refresh_interval", json!("24h")),
        ("/secrets/agent/http/timeout", json!("100ms")),
        (
            "/secrets/vault/key_vault",
            json!({"vault_uri": "https://a-1.vault.azure.cn/", "name": "a", "vault_cluster": "v", "imds_cluster": "v"}),
        ),
        ("/secrets/vault/key_vault/vault_uri", json!("https://abc.vault.usgovcloudapi.net")),
        ("/secrets/vault/key_vault/managed_identity", json!({})),
        ("/secrets/vault/key_vault/name", json!("n".repeat(127))),
        ("/secrets/known/literal/value", json!(" \tswordfish\n")),
        ("/secrets/known", json!({"environment": {"name": "KNOWN"}})),
    ]
}

/// `None` takes the field away.
pub(super) fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let mut changes: Vec<(&'static str, Option<Value>)> = [
        "/secrets/agent/http/uri",
        "/secrets/agent/http/cluster",
        "/secrets/vault/key_vault/vault_uri",
        "/secrets/vault/key_vault/name",
        "/secrets/vault/key_vault/vault_cluster",
        "/secrets/vault/key_vault/imds_cluster",
        "/secrets/known/literal/value",
    ]
    .map(|place| (place, None))
    .into();
    for (place, words) in [
        ("/secrets/agent", vec![json!({"http": "https://a"}), json!({"https": {}}), json!({"http": {}, "literal": {}})]),
        ("/secrets/agent/http", vec![json!(null), json!({"uri": "https://a", "cluster": "a", "body": "x"})]),
        ("/secrets/agent/http/uri", vec![json!(""), json!("ftp://a"), json!("a"), json!("https://u:p@a/"), json!(1)]),
        ("/secrets/agent/http/cluster", vec![json!(""), json!(1)]),
        ("/secrets/agent/http/refresh_interval", vec![json!(60), json!(""), json!("1d")]),
        ("/secrets/agent/http/timeout", vec![json!(1), json!(null)]),
        (
            "/secrets/vault/key_vault/vault_uri",
            [
                "",
                "http://shop-kv.vault.azure.net",
                "https://vault.azure.net",
                "https://ab.vault.azure.net",
                "https://shop-kv.vault.azure.net/secrets",
                "https://shop-kv.vault.azure.net:443",
                "https://shop-kv.vault.azure.net.evil.example",
                "https://evil.example/shop-kv.vault.azure.net",
                "https://a.b.vault.azure.net",
                "https://shop_kv.vault.azure.net",
                "https://kv.managedhsm.azure.net",
            ]
            .map(Value::from)
            .to_vec(),
        ),
        ("/secrets/vault/key_vault/name", ["", "a/b", "a?b", "a.b", &"n".repeat(128)].map(Value::from).to_vec()),
        ("/secrets/vault/key_vault/version", ["", "a/b", "a-b", "a?b", &"a".repeat(65)].map(Value::from).to_vec()),
        ("/secrets/vault/key_vault/managed_identity", vec![json!(null), json!("system"), json!({"object_id": "a"})]),
        ("/secrets/vault/key_vault/managed_identity/client_id", vec![json!(""), json!("6a1f0c9e"), json!(null)]),
        ("/secrets/known/literal", vec![json!("swordfish"), json!({"value": "a", "for": "tests"})]),
        ("/secrets/known/literal/value", vec![json!(""), json!(" \t\n"), json!(1), json!("x".repeat(25_601))]),
    ] {
        changes.extend(words.into_iter().map(|word| (place, Some(word))));
    }
    changes
}

/// What the reader alone refuses, and why no schema can.
pub(super) fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let added = "durations are added up";
    let used = "what a secret must be is known to its uses";
    let fetched = json!({"http": {"uri": "https://a", "cluster": "a"}});
    let many: serde_json::Map<String, Value> = (0..17).map(|number| (format!("s{number}"), fetched.clone())).collect();
    vec![
        ("/secrets/agent/http/refresh_interval", json!("999ms"), added),
        ("/secrets/agent/http/refresh_interval", json!("24h1s"), added),
        ("/secrets/agent/http/timeout", json!("31s"), added),
        ("/secrets/vault/key_vault/refresh_interval", json!("0s"), added),
        ("/secrets/vault/key_vault/timeout", json!("99ms"), added),
        ("/secrets/known/literal/value", json!("sword\nfish"), used),
        ("/secrets/known/literal/value", json!("sw\u{f6}rdfish"), used),
        ("/secrets/hop-key", json!({"literal": {"value": "swordfish"}}), used),
        ("/secrets", json!({"A.b": fetched}), "what is fetched has metrics of its own"),
        ("/secrets", Value::Object(many), "each is fetched"),
    ]
}
