// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told about secrets, and what of a secret is shown.

use serde_json::{Value, json};
use sha2::Digest as _;

use super::*;

const KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";

/// A policy that signs hops with a secret, and shows a collector another one.
fn policy(hop: &Value, token: &Value) -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "secrets": {"hop": hop, "token": token},
        "trace": {"tracestate": {"member": "tgate"}, "signed_hop": {"active": {"id": "k1", "key": {"secret": "hop"}}}},
        "export": {"traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel", "headers": {"x-token": {"secret": "token"}}}}}},
    })
}

fn literal(value: &str) -> Value {
    json!({"literal": {"value": value}})
}

fn vault() -> Value {
    json!({"key_vault": {"vault_uri": "https://shop-kv.vault.azure.net", "name": "hop", "vault_cluster": "vault", "imds_cluster": "imds"}})
}

fn http() -> Value {
    json!({"http": {"uri": "https://secrets.shop.example/token", "cluster": "secrets"}})
}

#[test]
fn secrets_that_are_fetched_have_defaults_clusters_and_counters() {
    let Loaded { policy, canonical, .. } = Policy::from_json(policy(&vault(), &http()).to_string().as_bytes()).unwrap();
    let secrets = &serde_json::from_str::<Value>(&canonical).unwrap()["secrets"];
    assert_eq!(secrets["hop"]["key_vault"]["managed_identity"], json!({}));
    for source in [&secrets["hop"]["key_vault"], &secrets["token"]["http"]] {
        assert_eq!((&source["refresh_interval"], &source["timeout"]), (&json!("1h"), &json!("2s")));
    }
    let calls: Vec<String> = policy.calls().iter().map(|call| format!("{} {:?}", call.cluster, call.serves)).collect();
    assert_eq!(
        calls,
        [
            r#"imds Http("http", "169.254.169.254")"#,
            r#"otel Http("http", "otel")"#,
            r#"secrets Http("https", "secrets.shop.example")"#,
            r#"vault Http("https", "shop-kv.vault.azure.net")"#,
        ]
    );
    assert_eq!((policy.fetched_secrets(), policy.variables()), (vec!["hop", "token"], vec![]));
    let names = crate::gateway::Gateway::new(crate::effect::GatewayId(1), policy).counter_names();
    let counters: Vec<&String> = names.iter().filter(|name| name.starts_with("tracegate.secrets.")).collect();
    let expected = ["hop", "token"].map(|name| ["fetched", "rotated", "failed"].map(|fate| format!("tracegate.secrets.{fate}.{name}")));
    assert_eq!(counters, expected.as_flattened().iter().collect::<Vec<_>>());
}

#[test]
fn those_that_nothing_uses_are_warned_of() {
    let warned = |policy: &Value| {
        let Loaded { warnings, .. } = Policy::from_json(policy.to_string().as_bytes()).unwrap();
        warnings.iter().map(ToString::to_string).filter(|warning| warning.contains("nothing uses")).collect::<Vec<_>>()
    };
    let mut policy = policy(&vault(), &http());
    assert_eq!(warned(&policy), [""; 0]);
    policy["secrets"]["old"] = http();
    let [warning] = &warned(&policy)[..] else { panic!("{:?}", warned(&policy)) };
    assert!(warning.ends_with("secrets.old: warning: nothing uses this secret: it is never asked for"), "{warning}");
}

#[test]
fn each_is_told_what_was_expected_and_nothing_of_what_was_found() {
    let at = "secrets.hop.key_vault";
    for (field, value, expected) in [
        (
            "vault_uri",
            json!("https://kv.example"),
            "vault_uri: expected a vault such as https://shop-kv.vault.azure.net, or one at vault.azure.cn or vault.usgovcloudapi.net (something else)",
        ),
        ("name", json!("hunter2/x"), "name: expected 1 to 127 letters, digits and `-`, found something else"),
        ("version", json!("hunter2/x"), "version: expected a version of a secret, of letters and digits, found something else"),
        ("refresh_interval", json!("500ms"), "refresh_interval: expected a duration from 1s to 24h, found something else"),
        ("timeout", json!("31s"), "timeout: expected a duration from 100ms to 30s, found something else"),
    ] {
        let mut hop = vault();
        hop["key_vault"][field] = value;
        assert_eq!(wrong(&policy(&hop, &http())), [format!("{at}.{expected}")]);
    }
    let renamed = json!({"Hop.key": vault(), "hop": vault(), "token": http()});
    let mut document = policy(&vault(), &http());
    document["secrets"] = renamed;
    let text = "secrets.Hop.key: expected a name of at most 64 lower-case letters, digits, `-` and `_`, found another";
    assert_eq!(wrong(&document), [text]);
}

#[test]
fn a_literal_is_warned_of_checked_against_its_uses_and_never_shown() {
    let document = policy(&literal(KEY), &literal("hunter2 and more"));
    let loaded = Policy::from_json(document.to_string().as_bytes()).unwrap();
    let warnings = loaded.warnings.to_string();
    for name in ["hop", "token"] {
        let warning = format!("secrets.{name}.literal: warning: whoever reads the policy reads the secret: for tests alone");
        assert!(warnings.contains(&warning), "{warnings}");
    }
    for shown in [format!("{loaded:?}"), format!("{:?}", loaded.policy), warnings] {
        assert!(!shown.contains("hunter2") && !shown.contains("c2Vj"), "{shown}");
    }
    // It is what runs, and the canonical form is the same policy.
    let again = Policy::from_json(loaded.canonical.as_bytes()).unwrap();
    assert_eq!((again.policy.fingerprint, &again.canonical), (loaded.policy.fingerprint, &loaded.canonical));
    let mut gateway = crate::gateway::Gateway::new(crate::effect::GatewayId(1), loaded.policy);
    assert_eq!(gateway.provide(&mut |_: &str| None), Ok(()));
    for (hop, token, expected) in [
        ("hunter2", "a", "secrets.hop.literal.value: expected at least 32 bytes in base64, found something else"),
        ("aHVudGVyMg==", "a", "secrets.hop.literal.value: expected at least 32 bytes in base64, found fewer"),
        (KEY, "hunter2\r\nx-admin: 1", "secrets.token.literal.value: expected printable ASCII, found something else"),
    ] {
        assert_eq!(wrong(&policy(&literal(hop), &literal(token))), [expected]);
    }
}

#[test]
fn a_fingerprint_tells_literals_apart_and_says_nothing_of_them() {
    let fingerprint = |token: &str| {
        let document = policy(&vault(), &literal(token));
        Policy::from_json(document.to_string().as_bytes()).unwrap().policy.fingerprint
    };
    assert_eq!(fingerprint("hunter2"), fingerprint(" hunter2\n"));
    assert_ne!(fingerprint("hunter2"), fingerprint("hunter3"));
    // Not the digest of a text with the secret in it: Python's hmac.new(b"tracegate literal secret 1\0", b"hunter2", "sha256") stands there.
    let document = policy(&vault(), &literal("hunter2"));
    let canonical = Policy::from_json(document.to_string().as_bytes()).unwrap().canonical;
    assert!(canonical.contains(r#""value":"hunter2""#), "{canonical}");
    let digested = canonical.replace(r#""value":"hunter2""#, &format!(r#""value":"{DIGEST}""#));
    assert_eq!(fingerprint("hunter2").to_bytes()[..], sha2::Sha256::digest(digested.as_bytes())[..]);
}

const DIGEST: &str = "d6b72e2943bd451f245ecd4dd37b771cfc14e7ac07f44e6e0c7e5e0f43f8a1d7";
