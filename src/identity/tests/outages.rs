// SPDX-License-Identifier: Apache-2.0
//! Issuers that are down, slow, or answer with something else.

use super::*;

#[test]
fn bad_answers_bring_no_keys_and_cost_none() {
    let huge = format!("{}{}", key_set(&["k2"]), " ".repeat(256 << 10));
    let whole = key_set(&["k2"]);
    let nested = format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let private = whole.replace(r#""x":"#, r#""d":"AAAA","x":"#);
    let ecdh = whole.replace(r#""kty""#, r#""use":"enc","kty""#);
    for (status, body, note) in [
        (500, whole.as_str(), "expected status 200, found 500"),
        (304, "", "expected status 200, found 304"),
        (200, "<!doctype html><title>Sign in</title>", "expected a JSON Web Key Set, found no JSON"),
        (200, &whole[..whole.len() - 2], "expected a JSON Web Key Set, found no JSON"),
        (200, "", "expected a JSON Web Key Set, found no JSON"),
        (200, &huge, "expected at most 262144 bytes, found more"),
        (200, &nested, "expected a JSON Web Key Set, found no JSON"),
        (200, "[]", "expected a JSON Web Key Set, found no list `keys`"),
        (200, r#"{"keys":{}}"#, "expected a JSON Web Key Set, found no list `keys`"),
        (200, r#"{"keys":[],"keys":[]}"#, "expected a JSON Web Key Set, found no list `keys`"),
        (200, r#"{"keys":[]}"#, "expected at least one key for signatures, found none"),
        (200, r#"{"keys":[{"kty":"OKP","crv":"X25519","x":"AA"}]}"#, "expected at least one key for signatures, found none"),
        (200, &private, "expected at least one key for signatures, found none"),
        (200, &ecdh, "expected at least one key for signatures, found none"),
        (200, &key_set(&["k2", "k2"]), "expected each `kid` once, found one twice"),
        (200, &whole.replace("[{", r#"[{"kty":"oct","k":"c2VjcmV0"},{"#), "expected public keys alone, found secrets (`oct`) beside them"),
    ] {
        let mut process = Process::with_keys(&policy(&jwks("")), 2, &["k1"]);
        assert_eq!(process.request(0, &token("k2")), "wait");
        process.tick();
        process.answer(status, body);
        process.tick();
        assert_eq!(process.decided(), ["401 TokenSignatureKeyNotFound"], "{body:.60}");
        assert_eq!(process.notes, [note], "{body:.60}");
        for vm in 0..2 {
            assert_eq!(process.request(vm, &token("k1")), "admitted", "{body:.60}");
        }
    }
}

#[test]
fn unknown_and_wrong_keys_are_left_out_and_the_good_ones_count() {
    let more =
        r#"[{"kty":"EC","crv":"secp256k1","kid":"a","x":"AA","y":"AA"},{"kty":"future"},{"kty":"RSA","kid":"b","n":"AQAB","e":"AQAB"},{"#;
    let mut process = Process::new(&policy(&jwks("")), 1);
    process.tick();
    process.answer_with(&[(":status", "200"), ("content-type", "text/plain")], &key_set(&["k1"]).replace("[{", more));
    assert_eq!(process.request(0, &token("k1")), "admitted");
    assert_eq!(process.notes, ["1 of the issuer's keys are wrong and left out"]);
}

#[test]
fn requests_wait_until_their_deadline_and_then_meet_the_policys_choice() {
    for (choice, expected) in [("refuse", "503 TokenKeysUnavailable"), ("admit", "admitted")] {
        let mut process = Process::new(&policy(&jwks(&format!(r#","wait":"3s","timeout":"10s","on_unavailable":"{choice}""#))), 1);
        assert_eq!(process.request(0, &token("k1")), "wait");
        process.pass(2_990_000_000, 10_000_000);
        assert_eq!(process.decided(), [] as [&str; 0]);
        process.pass(10_000_000, 10_000_000);
        assert_eq!(process.decided(), [expected]);
        let unverified = process.vms[0].counted("tracegate.tokens.unverified.no_keys");
        assert_eq!(unverified, u64::from(choice == "admit"));
        // The policy's choice is about keys, not about what the token claims.
        assert_eq!(process.request(0, "a.b.c"), "401 JwtInvalid");
        assert_eq!(process.request(0, &token_until("k1", 2)), "401 TokenExpired");
    }
}

#[test]
fn an_issuer_that_is_down_is_asked_ever_more_seldom_and_nobody_waits_in_vain() {
    let mut process = Process::new(&policy(&jwks(r#","timeout":"1s","wait":"5s""#)), 2);
    let mut asked = vec![];
    let mut fetched = 0;
    for tick in 0..12_000_u64 {
        process.pass(10_000_000, 10_000_000);
        if process.fetched > fetched {
            fetched = process.fetched;
            asked.push(tick / 100);
            process.conclude(Err(CallFailed::Disconnected));
        }
    }
    assert_eq!(asked, [0, 1, 3, 7, 15, 31, 61, 91], "after 1, 2, 4, 8, 16 and then every 30 seconds");
    assert_eq!(process.request(0, &token("k1")), "wait", "the next attempt is near");
    while process.fetches.is_empty() {
        process.pass(10_000_000, 10_000_000);
    }
    process.conclude(Err(CallFailed::Disconnected));
    process.tick();
    assert_eq!(process.decided(), ["503 TokenKeysUnavailable"], "the next one is far");
    assert_eq!(process.request(0, &token("k1")), "503 TokenKeysUnavailable");
}

#[test]
fn an_answer_that_never_comes_is_a_failure_in_time() {
    let mut process = Process::new(&policy(&jwks(r#","timeout":"1s""#)), 1);
    process.tick();
    process.pass(1_240_000_000, 10_000_000);
    assert_eq!(process.notes, [] as [&str; 0]);
    process.pass(10_000_000, 10_000_000);
    assert_eq!(process.notes, ["expected an answer in time, found none"]);
    process.answer(200, &key_set(&["k1"]));
    assert_ne!(process.request(0, &token("k1")), "admitted", "it comes too late");
}

#[test]
fn a_bogus_key_is_no_way_to_the_policys_choice() {
    let mut process = Process::with_keys(&policy(&jwks(r#","on_unavailable":"admit","wait":"1s""#)), 1, &["k1"]);
    assert_eq!(process.request(0, &token("bogus")), "wait");
    process.pass(SECOND, 10_000_000);
    assert_eq!(process.decided(), ["401 TokenSignatureKeyNotFound"], "the issuer doesn't answer");
}

#[test]
fn discovery_takes_two_steps_and_trusts_the_issuer_alone() {
    let keys = r#"{"discovery":{"uri":"https://id.shop.example/.well-known/openid-configuration","cluster":"idp"}}"#;
    let elsewhere = keys.replace(r#""idp""#, r#""idp","jwks_cluster":"keys""#);
    let configuration = |issuer: &str, uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}","x":1}}"#);
    let issuer = "https://id.shop.example/";
    for (keys, text, expected) in [
        (keys, configuration(issuer, "https://id.shop.example/keys"), Ok("idp https://id.shop.example/keys")),
        (&elsewhere, configuration(issuer, "https://keys.example/keys?v=2"), Ok("keys https://keys.example/keys?v=2")),
        (keys, configuration("https://id.shop.example", "https://id.shop.example/keys"), Err("another issuer's")),
        (keys, configuration(issuer, "http://id.shop.example/keys"), Err("found http")),
        (keys, configuration(issuer, "https://evil.example/keys"), Err("name its cluster in `jwks_cluster`")),
        (keys, configuration(issuer, "https://id.shop.example/\\r\\nx: y"), Err("an absolute URI")),
        (keys, configuration(issuer, "").replace("jwks_uri", "jwks_url"), Err("expected `jwks_uri` in the configuration, found none")),
        (keys, "<html>".to_owned(), Err("found no JSON")),
        (keys, "[]".to_owned(), Err("found no object")),
    ] {
        let mut process = Process::new(&policy(keys), 2);
        process.tick();
        assert_eq!(process.fetches[0].1.uri.path, "/.well-known/openid-configuration");
        process.answer(200, &text);
        match expected {
            Ok(next) => {
                let (_, fetch) = &process.fetches[0];
                assert_eq!(format!("{} {}", fetch.cluster, fetch.uri), next);
                process.answer(200, &key_set(&["k1"]));
                process.tick();
                for vm in 0..2 {
                    assert_eq!(process.request(vm, &token("k1")), "admitted");
                }
            }
            Err(note) => {
                assert!(process.notes[0].contains(note), "{} lacks {note}", process.notes[0]);
                assert!(process.fetches.is_empty());
            }
        }
    }
}
