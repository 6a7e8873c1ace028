// SPDX-License-Identifier: Apache-2.0
//! An issuer that is slow, down, or answers with something else.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tracegate::identity::Algorithm;
use tracegate_harness::http::Connection;
use tracegate_harness::issuer::Issuer;

use crate::issuer::{Answer, Idp};
use crate::load::outcome;
use crate::{claims, policy, start};

#[test]
fn bad_answers_cost_no_key_that_is_there() {
    let mut issuer = Issuer::new(3).unwrap();
    let keys = issuer.key_set();
    let whole = keys.to_string();
    let idp = Idp::start(Answer::keys(&whole));
    let Some(envoy) = start(&policy(&json!({"unknown_kid_interval": "1s", "timeout": "500ms"})), idp.address()) else { return };
    let good = issuer.mint(Algorithm::Rs256, &claims()).unwrap();
    let mut connection = Connection::open(envoy.listener()).unwrap();
    assert_eq!(outcome(&mut connection, &good), "200");
    let mut truncated = Answer::keys(&whole);
    truncated.bytes.truncate(truncated.bytes.len() - 40);
    let closed = Answer { after: Duration::ZERO, bytes: Vec::new() };
    let twice = json!({"keys": [keys["keys"][0], keys["keys"][0]]}).to_string();
    let secret = json!({"keys": [keys["keys"][0], {"kty": "oct", "k": "c2VjcmV0"}]}).to_string();
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let huge = format!("{whole}{}", " ".repeat(10 << 20));
    for (name, answer, note) in [
        ("down", closed, "expected status 200, found 503"),
        ("slow", Answer::keys(&whole).after(Duration::from_secs(1)), "expected status 200, found 504"),
        ("500", Answer::new(500, "application/json", &whole), "expected status 200, found 500"),
        ("HTML", Answer::new(200, "text/html", "<!doctype html><title>Sign in</title>"), "found no JSON"),
        ("10 MB", Answer::keys(&huge), "expected at most 262144 bytes, found more"),
        ("truncated", truncated, "expected an answer, found a broken connection"),
        ("half a text", Answer::keys(&whole[..whole.len() / 2]), "found no JSON"),
        ("kid twice", Answer::keys(&twice), "expected each `kid` once, found one twice"),
        ("secrets", Answer::keys(&secret), "found secrets (`oct`) beside them"),
        ("nested", Answer::keys(&nested), "found no JSON"),
        (
            "no UTF-8",
            Answer { after: Duration::ZERO, bytes: b"HTTP/1.1 200 X\r\ncontent-length: 3\r\n\r\n{\xff}".to_vec() },
            "found no JSON",
        ),
    ] {
        idp.answer(answer);
        thread::sleep(Duration::from_millis(1100));
        let (logged, asked) = (envoy.log_length(), idp.asked());
        let bogus = json!({"alg": "RS256", "kid": name}).to_string();
        let token = issuer.compact(Algorithm::Rs256, bogus.as_bytes(), claims().to_string().as_bytes()).unwrap();
        assert_eq!(outcome(&mut connection, &token), "401 TokenSignatureKeyNotFound", "{name}");
        assert_eq!(idp.asked(), asked + 1, "{name}");
        let log = envoy.log_since(logged);
        assert!(log.contains("tracegate: keys of customers: ") && log.contains(note), "{name}: {log}");
        assert_eq!(outcome(&mut connection, &good), "200", "{name}");
    }
    // It is well again, its media type is wrong, and there are keys among its own that nobody knows.
    issuer.rotate().unwrap();
    let mut keys = issuer.key_set();
    keys["keys"].as_array_mut().unwrap().push(json!({"kty": "future", "kid": "f"}));
    idp.answer(Answer::new(200, "application/octet-stream", &keys.to_string()));
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(outcome(&mut connection, &issuer.mint(Algorithm::Es256, &claims()).unwrap()), "200");
    assert_eq!(outcome(&mut connection, &good), "401 TokenSignatureKeyNotFound", "its key is gone");
    let log = envoy.log();
    assert!(!log.contains("panicked") && !log.contains("backtrace"), "{log}");
}

#[test]
fn without_keys_requests_wait_and_then_meet_the_policys_choice() {
    let mut issuer = Issuer::new(4).unwrap();
    let token = issuer.mint(Algorithm::Rs256, &claims()).unwrap();
    for (choice, expected) in [("refuse", "503 TokenKeysUnavailable"), ("admit", "200")] {
        let idp = Idp::start(Answer::keys("{}").after(Duration::from_secs(30)));
        let more = json!({"wait": "1s", "timeout": "10s", "on_unavailable": choice});
        let Some(envoy) = start(&policy(&more), idp.address()) else { return };
        let mut connection = Connection::open(envoy.listener()).unwrap();
        let began = Instant::now();
        assert_eq!(outcome(&mut connection, &token), expected);
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(900), "{waited:?}");
        // What it claims counts all the same.
        let mut other = claims();
        other["aud"] = json!("stock-api");
        assert_eq!(outcome(&mut connection, &issuer.mint(Algorithm::Rs256, &other).unwrap()), "401 TokenAudienceNotAllowed");
    }
}

#[test]
fn a_client_that_goes_while_it_waits_leaves_nothing_behind() {
    let mut issuer = Issuer::new(5).unwrap();
    let token = issuer.mint(Algorithm::Rs256, &claims()).unwrap();
    let idp = Idp::start(Answer::keys(&issuer.key_set().to_string()).after(Duration::from_millis(700)));
    let Some(envoy) = start(&policy(&json!({})), idp.address()) else { return };
    for _ in 0..50 {
        let mut connection = Connection::open(envoy.listener()).unwrap();
        connection.send(&tracegate_tests::get("/orders", &[("authorization", format!("Bearer {token}").as_bytes())])).unwrap();
    }
    let mut connection = Connection::open(envoy.listener()).unwrap();
    assert_eq!(outcome(&mut connection, &token), "200");
    assert_eq!(idp.asked(), 1);
    let log = envoy.log();
    assert!(!log.contains("panicked") && !log.contains("backtrace"), "{log}");
}
