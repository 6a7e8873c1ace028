// SPDX-License-Identifier: Apache-2.0
//! What each user of a secret does without it, and when another one comes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::*;

/// A token for the first ten hours, signed with this secret.
fn signed(secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(r#"{"iss":"i","aud":"a","sub":"7","exp":36000}"#));
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(secret).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn routes(rest: &str) -> String {
    let jwt = r#"{"issuer":"i","audiences":["a"],"algorithms":["HS256"],"keys":{"secrets":[{"key":{"secret":"shared"}}]}}"#;
    format!(
        r#","identity":{{"providers":{{"customers":{{"jwt":{jwt}}}}}{rest}}},
        "routes":[{{"name":"all","rules":[{{"name":"who","require":{{"caller":{{"provider":"customers"}}}}}}]}}]"#
    )
}

#[test]
fn tokens_that_only_a_secret_verifies_are_refused_until_it_is_there_and_when_it_has_changed() {
    let mut world = World::new(policy(&format!(r#""shared":{}"#, http("")), &routes("")));
    let (one, two) = (signed(ONE), signed(TWO));
    assert_eq!(world.request(&[("authorization", &one)]), Err("503 TokenKeysUnavailable".to_owned()));
    world.tick();
    world.answer(200, ONE);
    assert!(world.request(&[("authorization", &one)]).is_ok());
    assert!(world.request(&[("authorization", &one)]).is_ok(), "known by now");
    assert_eq!(world.request(&[("authorization", &two)]), Err("401 TokenSignatureInvalid".to_owned()));
    world.pass(HOUR);
    world.answer(200, TWO);
    assert_eq!(world.request(&[("authorization", &one)]), Err("401 TokenSignatureInvalid".to_owned()), "what was known counts no more");
    assert!(world.request(&[("authorization", &two)]).is_ok());
}

/// Who was known before is not verified again for another's secret.
#[test]
fn tokens_stay_known_while_the_secret_of_something_else_changes() {
    let shared = |value: &str| format!(r#""shared":{{"literal":{{"value":"{value}"}}}},"key":{}"#, http(""));
    let otel = r#"{"otlp":{"cluster":"otel","uri":"http://otel:4318/v1/traces","headers":{"x-key":{"secret":"key"}}}}"#;
    let mut world = World::new(policy(&shared(ONE), &format!(r#"{},"export":{{"traces":{{"otel":{otel}}}}}"#, routes(""))));
    let one = signed(ONE);
    let verified = |world: &mut World| {
        assert!(world.request(&[("authorization", &one)]).is_ok());
        let names = world.gateway.counter_names();
        let counts = world.gateway.drain_counts().map(|(index, count)| (names[index].clone(), count));
        let told = counts.filter(|(name, _)| name.starts_with("tracegate.tokens.verified.")).map(|(name, count)| format!("{name} {count}"));
        told.collect::<Vec<_>>()
    };
    assert_eq!(verified(&mut world), ["tracegate.tokens.verified.by_module 1"]);
    world.tick();
    world.answer(200, "one");
    assert_eq!(verified(&mut world), ["tracegate.tokens.verified.cached 1"], "the collector's token has come");
    world.pass(HOUR);
    world.answer(200, "two");
    assert_eq!(verified(&mut world), ["tracegate.tokens.verified.cached 1"], "and is another one by now");
}

#[test]
fn where_a_credential_replaces_tokens_nobody_passes_until_it_is_there() {
    let secrets = format!(r#""shared":{{"literal":{{"value":"{ONE}"}}}},"upstream":{}"#, http(""));
    let mut world = World::new(policy(&secrets, &routes(r#","replace_token":{"credential":{"secret":"upstream"}}"#)));
    let authorization = signed(ONE);
    assert_eq!(world.request(&[("authorization", &authorization)]), Err("503 CredentialUnavailable".to_owned()));
    assert_eq!(world.request(&[]), Err("401 TokenNotPresent".to_owned()), "who isn't let in hears why");
    world.tick();
    world.answer(200, "one");
    let upstream = |world: &mut World| {
        let edits = world.request(&[("authorization", &authorization)]).unwrap();
        edits.into_iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value).next_back().unwrap()
    };
    assert_eq!(upstream(&mut world), "Bearer one");
    world.pass(HOUR);
    world.answer(200, "two");
    assert_eq!(upstream(&mut world), "Bearer two");
}

fn exporting(secrets: &str) -> World {
    let otel = r#"{"otlp":{"cluster":"otel","uri":"http://otel:4318/v1/traces","headers":{"x-key":{"secret":"key"}}}}"#;
    World::new(policy(secrets, &format!(r#","export":{{"traces":{{"otel":{otel}}}}}"#)))
}

#[test]
fn spans_wait_for_their_collectors_token_and_none_is_lost_when_it_changes() {
    let mut world = exporting(&format!(r#""key":{}"#, http("")));
    world.tick();
    for _ in 0..3 {
        world.request(&[]).unwrap();
    }
    for _ in 0..10 {
        world.fetches.clear();
        world.pass(10 * SECOND);
    }
    world.fetches.clear();
    while world.fetches.is_empty() {
        world.pass(SECOND);
    }
    assert_eq!(world.exports.len(), 0, "nothing leaves without it");
    world.answer(200, "one");
    world.tick();
    let sent = |world: &World| world.exports.iter().map(|export| export.headers[0].1.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(sent(&world), ["one"]);
    // The collector knows another one by now: it is fetched at once, and the same spans go with it.
    let status = |status: &'static [u8]| [Header { name: b":status", value: status }];
    let call = world.exports.remove(0).call;
    world.counted();
    world.reply(call, Ok(Reply { headers: Headers::new(&status(b"401")), body: b"" }));
    world.tick();
    assert_eq!(world.asks(), "secrets https://secrets.shop.example/hop");
    world.answer(200, "two");
    world.tick();
    assert_eq!(sent(&world), ["two"]);
    let call = world.exports.remove(0).call;
    world.reply(call, Ok(Reply { headers: Headers::new(&status(b"200")), body: b"" }));
    assert_eq!(world.counted(), ["spans.acknowledged.otel 3", "secrets.fetched.key 1", "secrets.rotated.key 1"]);
}

#[test]
fn a_collector_that_refuses_a_token_for_good_has_the_vault_asked_every_ten_seconds_at_most() {
    let mut world = exporting(&format!(r#""key":{}"#, http("")));
    world.tick();
    world.answer(200, "one");
    world.request(&[]).unwrap();
    let begun = world.fetched;
    for _ in 0..240 {
        world.pass(SECOND);
        while let Some(export) = world.exports.pop() {
            world.reply(export.call, Ok(Reply { headers: Headers::new(&[Header { name: b":status", value: b"401" }]), body: b"" }));
        }
        while !world.fetches.is_empty() {
            world.answer(200, "one");
        }
    }
    let asked = world.fetched - begun;
    assert!((3..=24).contains(&asked), "{asked}");
}

#[test]
fn a_collectors_token_that_never_changes_isnt_asked_for_again() {
    let mut world = exporting(r#""key":{"literal":{"value":"one"}}"#);
    world.request(&[]).unwrap();
    world.pass(6 * SECOND);
    let call = world.exports.remove(0).call;
    world.reply(call, Ok(Reply { headers: Headers::new(&[Header { name: b":status", value: b"401" }]), body: b"" }));
    assert_eq!(world.counted(), ["spans.recorded.otel 1", "spans.dropped_refused.otel 1"]);
}

#[test]
fn spans_without_their_token_are_dropped_by_name_when_the_gateway_ends() {
    let mut world = exporting(&format!(r#""key":{}"#, http("")));
    world.request(&[]).unwrap();
    let effects = world.with(|gateway, inputs| gateway.end(inputs));
    assert_eq!(effects, []);
    world.gateway.ended();
    assert_eq!(world.counted(), ["spans.recorded.otel 1", "spans.dropped_shutdown.otel 1"]);
}

#[test]
fn without_the_key_of_digests_nothing_is_told_that_only_a_digest_may_tell() {
    let export = r#","export":{"traces":{"otel":{"otlp":{"cluster":"otel","uri":"http://otel:4318/v1/traces"}}},"spans":{"digest_key":{"secret":"key"}}},
        "routes":[{"name":"order","match":{"path":{"template":"/orders/{id}"}},"attributes":{"path":{"id":"digest"}}}]"#;
    let mut world = World::new(policy(&format!(r#""key":{}"#, http("")), export));
    let told = |world: &mut World| {
        world.request(&[]).unwrap();
        while world.exports.is_empty() {
            world.fetches.truncate(0);
            world.pass(SECOND);
        }
        let body = String::from_utf8_lossy(&world.exports.remove(0).body).into_owned();
        (body.contains("tracegate.path.id"), body.contains("alice"))
    };
    assert_eq!(told(&mut world), (false, false));
    while world.fetches.is_empty() {
        world.pass(SECOND);
    }
    world.answer(200, ONE);
    assert_eq!(told(&mut world), (true, false));
}
