// SPDX-License-Identifier: Apache-2.0
//! A vault that is down, or answers with something else.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::Issuer;

use super::collector::Strict;
use super::vault::{TOKEN, Vault};
use super::{Edge, ONE, TWO, VMS, ask, continues, hop, policy, secret};

#[test]
fn while_the_vault_is_down_or_talks_nonsense_the_last_good_values_stay() {
    let vault = Arc::new(Vault::start(&[("hop-key", ONE), ("collector-token", "token-c4n4ry-one")]));
    let collector = Strict::start(&vault, "collector-token");
    let Some(edge) = Edge::start(&policy(), &vault, &[("otel", collector.address())]) else { return };
    edge.until("secrets.fetched.hop", |fetched| fetched >= VMS);
    edge.until("secrets.fetched.token", |fetched| fetched >= VMS);
    let mut connection = edge.connect();
    let mut sent = 0;
    let huge = format!(r#"{{"value":"{TWO}","x":"{}"}}"#, "c4n4ry".repeat(200_000));
    let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let forged = r#"{"value":"c4n4ry\r\nx-admin: 1","access_token":"c4n4ry\r\nx-admin: 1","expires_in":"9223372036854775808"}"#;
    for (what, answer) in [
        ("down", None),
        ("500", Some((500, r#"{"value":"c4n4ry"}"#))),
        ("HTML", Some((200, "<!doctype html><title>c4n4ry</title>"))),
        ("huge", Some((200, huge.as_str()))),
        ("nested", Some((200, nested.as_str()))),
        ("another type", Some((200, r#"{"value":["c4n4ry"],"access_token":7,"expires_in":0}"#))),
        ("no key, no token", Some((200, forged))),
        ("401 for ever", Some((401, "{}"))),
    ] {
        let failed = edge.metrics("secrets.failed.").get("hop").copied().unwrap_or(0);
        match answer {
            None => vault.go_down(),
            Some((status, body)) => vault.answer_instead(Some((status, body))),
        }
        edge.until("secrets.failed.hop", |now| now >= failed + VMS);
        let ours = hop(&ask(&mut connection, &[]));
        assert!(ours.1.starts_with("tgate=1.k1."), "{what}: {ours:?}");
        assert!(continues(&mut connection, &ours), "{what}");
        sent += 2;
        vault.answer_instead(None);
        let fetched = edge.metrics("secrets.fetched.")["hop"];
        edge.until("secrets.fetched.hop", |now| now >= fetched + VMS);
    }
    edge.until("spans.acknowledged.otel", |acknowledged| acknowledged == sent);
    assert_eq!(edge.metrics("spans.").keys().collect::<Vec<_>>(), ["acknowledged.otel", "recorded.otel"]);
    assert_eq!(edge.metrics("secrets.rotated."), std::collections::BTreeMap::new(), "it was the same value all along");
    let log = edge.envoy.log();
    let note = "tracegate: secret hop: expected a secret of Key Vault's, found no JSON";
    assert!(log.contains(note) && log.contains("tracegate: secret hop: expected at most 65536 bytes, found more"), "{log}");
    edge.shows_none_of(&["c4n4ry", TOKEN, ONE, TWO]);
}

/// Who comes before the vault has answered once.
#[test]
fn a_gateway_that_starts_without_its_vault_is_safe_and_catches_up() {
    let vault = Arc::new(Vault::start(&[
        ("upstream", "credential-c4n4ry"),
        ("shared", ONE),
        ("collector-token", "token-c4n4ry-one"),
        ("hop-key", TWO),
    ]));
    vault.go_down();
    let collector = Strict::start(&vault, "collector-token");
    let mut policy = policy();
    policy["secrets"]["upstream"] = secret("upstream");
    policy["secrets"]["shared"] = json!({"literal": {"value": ONE}});
    policy["identity"] = json!({
        "providers": {"customers": {"jwt": {
            "issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "keys": {"secrets": [{"key": {"secret": "shared"}}]},
        }}},
        "replace_token": {"credential": {"secret": "upstream"}},
    });
    policy["routes"] = json!([{
        "name": "mine", "match": {"path": {"prefix": "/orders"}},
        "rules": [{"name": "who", "require": {"caller": {"provider": "customers"}}}],
    }]);
    let Some(edge) = Edge::start(&policy, &vault, &[("otel", collector.address())]) else { return };
    let mut issuer = Issuer::new(1).unwrap().sharing(vec![1; 32]);
    let token = issuer.compact(Algorithm::Hs256, br#"{"alg":"HS256"}"#, br#"{"iss":"i","aud":"a","sub":"7","exp":4102444800}"#).unwrap();
    let authorization = format!("Bearer {token}");
    let mut connection = edge.connect();
    for _ in 0..5 {
        let response = ask(&mut connection, &[("authorization", authorization.as_bytes())]);
        assert_eq!((response.status, response.field("tracegate-reason")), (503, Some(&b"CredentialUnavailable"[..])));
        thread::sleep(Duration::from_millis(300));
    }
    edge.until("spans.recorded.otel", |recorded| recorded == 5);
    assert_eq!(collector.batches().len(), 0, "spans wait for their token");
    vault.answer_instead(None);
    for name in ["upstream", "token", "hop"] {
        edge.until(&format!("secrets.fetched.{name}"), |fetched| fetched >= VMS);
    }
    let response = ask(&mut connection, &[("authorization", authorization.as_bytes())]);
    assert_eq!(tracegate_tests::echoed(&response, "authorization"), ["Bearer credential-c4n4ry"]);
    assert!(hop(&response).1.starts_with("tgate=1.k1."));
    edge.until("spans.acknowledged.otel", |acknowledged| acknowledged == 6);
    // The one that stands in the policy is in the configuration that Envoy shows, as whoever chooses `literal` is told.
    edge.shows_none_of(&["c4n4ry", TOKEN, TWO, &token]);
}
