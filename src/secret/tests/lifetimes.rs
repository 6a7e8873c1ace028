// SPDX-License-Identifier: Apache-2.0
//! When secrets are fetched, and what they are between two fetches.

use super::*;

#[test]
fn a_secret_is_fetched_at_start_refreshed_and_rotated() {
    let mut world = World::new(signing(&http(r#","refresh_interval":"10m""#)));
    assert!(world.gateway.is_urgent(world.now), "at once");
    assert!(!is_signed(&world.hop()), "nothing is signed without the key");
    world.tick();
    assert_eq!(world.asks(), "secrets https://secrets.shop.example/hop");
    let Fetch { accept, headers, timeout, max_body, .. } = &world.fetches[0];
    assert_eq!((*accept, headers.len(), *timeout, *max_body), ("*/*", 0, 2 * SECOND, 65_536));
    assert!(!world.gateway.is_urgent(world.now), "under way");
    world.answer(200, &format!("  {ONE}\n"));
    let first = world.hop();
    assert!(is_signed(&first), "{first:?}");
    assert_eq!(world.counted(), ["secrets.fetched.hop 1"]);
    // Up to a tenth before the interval is over.
    world.pass(9 * MINUTE - SECOND);
    assert_eq!(world.fetched, 1);
    world.pass(MINUTE + SECOND);
    assert_eq!(world.fetched, 2);
    world.answer(200, ONE);
    assert_eq!(world.counted(), ["secrets.fetched.hop 1"], "the same again is no rotation");
    let state = world.hop();
    assert!(world.continues(&state));
    world.pass(10 * MINUTE);
    world.answer(200, TWO);
    assert_eq!(world.counted(), ["secrets.fetched.hop 1", "secrets.rotated.hop 1"]);
    assert!(is_signed(&world.hop()));
    assert!(!world.continues(&state), "the key before counts no more");
    let state = world.hop();
    assert!(world.continues(&state));
    assert_eq!(world.notes, [""; 0]);
}

#[test]
fn the_last_good_value_stays_while_its_source_is_down_which_is_asked_ever_more_seldom() {
    let mut world = World::new(signing(&http(r#","refresh_interval":"1m""#)));
    world.tick();
    world.answer(200, ONE);
    let state = world.hop();
    world.pass(MINUTE);
    let begun = world.now;
    let mut asked = Vec::new();
    for _ in 0..600 {
        while !world.fetches.is_empty() {
            asked.push((world.now - begun) / SECOND);
            world.conclude(Err(CallFailed::Disconnected));
        }
        world.pass(SECOND);
    }
    assert!(world.continues(&state), "ten minutes later");
    let gaps: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted() || gaps.iter().rev().take(5).all(|gap| (30..=61).contains(gap)), "{gaps:?}");
    assert!((12..=26).contains(&asked.len()), "{asked:?}");
    assert_eq!(world.notes, ["secret hop: expected an answer, found a broken connection"], "once");
    assert_eq!(world.counted(), ["secrets.fetched.hop 1".to_owned(), format!("secrets.failed.hop {}", asked.len())]);
    // It is well again, and down again: the operator hears of it again.
    world.pass(61 * SECOND);
    world.answer(200, TWO);
    assert!(!world.continues(&state));
    world.pass(MINUTE);
    world.answer(500, TWO);
    assert_eq!(world.notes.last().unwrap(), "secret hop: expected status 200, found 500");
    assert_eq!(world.notes.len(), 2);
}

#[test]
fn an_answer_that_never_comes_is_waited_for_no_longer_than_it_may_take() {
    let mut world = World::new(signing(&http(r#","timeout":"5s""#)));
    world.tick();
    let lost = world.fetches.remove(0).call;
    world.pass(5 * SECOND);
    assert_eq!((world.fetched, world.notes.len()), (1, 0));
    world.pass(SECOND);
    assert_eq!(world.notes, ["secret hop: expected an answer in time, found none"]);
    world.pass(2 * SECOND);
    assert_eq!(world.fetched, 2);
    // Late is late: another question is under way.
    world.reply(lost, Ok(Reply { headers: Headers::new(&[Header { name: b":status", value: b"200" }]), body: ONE.as_bytes() }));
    assert!(!is_signed(&world.hop()));
    world.answer(200, ONE);
    assert!(is_signed(&world.hop()));
}

#[test]
fn a_managed_identity_reads_a_vault_with_one_token_for_all_its_secrets() {
    let client = r#","managed_identity":{"client_id":"6A1F0C9E-1111-4C0E-9D6B-000000000001"}"#;
    let two = |more: &str| format!(r#""hop":{},"old":{}"#, key_vault("hop-key", more), key_vault("old-key", r#","version":"0a1b2c""#));
    let sections = r#","trace":{"tracestate":{"member":"tgate"},
        "signed_hop":{"active":{"id":"k1","key":{"secret":"hop"}},"other":{"id":"k0","key":{"secret":"old"}}}}"#;
    const IMDS: &str =
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
    // Two identities are two tokens.
    let mut apart = World::new(policy(&two(client), sections));
    apart.tick();
    assert_eq!(apart.asks(), format!("imds {IMDS}&client_id=6a1f0c9e-1111-4c0e-9d6b-000000000001, imds {IMDS}"));
    let mut world = World::new(policy(&two(""), sections));
    world.tick();
    assert_eq!(world.asks(), format!("imds {IMDS}"), "one for both");
    let shown = |fetch: &Fetch| fetch.headers.iter().map(|(name, value)| format!("{name}: {}", value.as_str())).collect::<Vec<_>>();
    assert_eq!(shown(&world.fetches[0]), ["metadata: true"]);
    world.answer(200, &token("t1", 86_399));
    let vault = "https://shop-kv.vault.azure.net/secrets";
    assert_eq!(world.asks(), format!("vault {vault}/hop-key?api-version=7.4, vault {vault}/old-key/0a1b2c?api-version=7.4"));
    assert_eq!(shown(&world.fetches[0]), ["authorization: Bearer t1"]);
    world.answer(200, &bundle(ONE));
    assert!(is_signed(&world.hop()), "the key that only verifies may come later");
    world.answer(200, &bundle(TWO));
    // The token is good until five minutes before it expires.
    world.pass(HOUR);
    assert!(world.asks().starts_with("vault "), "{}", world.asks());
    world.fetches.clear();
    world.now += 23 * HOUR + MINUTE;
    world.pass(SECOND);
    world.pass(40 * SECOND);
    assert!(world.asks().starts_with("imds "), "{}", world.asks());
}

#[test]
fn a_token_is_asked_for_anew_before_it_expires() {
    let mut world = World::new(signing(&key_vault("hop", r#","refresh_interval":"10m""#)));
    world.tick();
    world.answer(200, &token("t1", 1200));
    world.answer(200, &bundle(ONE));
    // A fifth of its time before: 16 minutes later. At ten minutes it still counts, at twenty it doesn't.
    world.pass(10 * MINUTE);
    assert!(world.asks().starts_with("vault "), "{}", world.asks());
    world.answer(200, &bundle(ONE));
    world.pass(10 * MINUTE);
    assert!(world.asks().starts_with("imds "), "{}", world.asks());
    world.answer(200, &token("t2", 1200));
    assert_eq!(world.fetches[0].headers[0].1.as_str(), "Bearer t2");
}

#[test]
fn a_vault_that_refuses_the_token_gets_another_one_once() {
    let mut world = World::new(signing(&key_vault("hop", "")));
    world.tick();
    world.answer(200, &token("t1", 86_400));
    world.answer(401, "{}");
    assert!(world.asks().starts_with("imds "), "at once: {}", world.asks());
    assert_eq!(world.counted(), [""; 0], "no failure as yet");
    world.answer(200, &token("t2", 86_400));
    world.answer(401, "{}");
    assert_eq!(world.asks(), "", "and then like any failure");
    assert_eq!(world.notes, ["secret hop: expected status 200, found 401"]);
    assert_eq!(world.counted(), ["secrets.failed.hop 1"]);
    world.pass(2 * SECOND);
    assert!(world.asks().starts_with("vault "), "{}", world.asks());
    world.answer(200, &bundle(ONE));
    assert!(is_signed(&world.hop()));
}

#[test]
fn without_a_token_every_secret_of_the_identity_waits_for_another_try() {
    let mut world = World::new(signing(&key_vault("hop", "")));
    world.tick();
    world.answer(400, r#"{"error":"invalid_request","error_description":"Identity not found"}"#);
    assert_eq!(world.notes, ["secret hop: managed identity: expected status 200, found 400"]);
    assert_eq!(world.counted(), ["secrets.failed.hop 1"]);
    world.pass(2 * SECOND);
    assert!(world.asks().starts_with("imds "));
    world.fetches.clear();
    world.pass(3 * SECOND);
    assert_eq!(world.counted(), ["secrets.failed.hop 1"], "an answer that never comes is a failure too");
}

#[test]
fn a_clock_that_jumps_stops_nothing() {
    let mut world = World::new(signing(&key_vault("hop", r#","refresh_interval":"10m""#)));
    world.now = 1000 * HOUR;
    world.tick();
    world.answer(200, &token("t1", 86_400));
    world.answer(200, &bundle(ONE));
    let state = world.hop();
    assert!(is_signed(&state));
    // Back: what was due in ten minutes is due now, with a token of now.
    world.now = 10 * HOUR;
    world.tick();
    assert!(world.asks().starts_with("imds "), "{}", world.asks());
    world.now = HOUR;
    world.fetches.clear();
    world.pass(3 * SECOND);
    assert!(world.asks().starts_with("imds "), "one that is under way is given up: {}", world.asks());
    // Far ahead.
    world.fetches.clear();
    world.now = u64::MAX - SECOND;
    let _ = world.gateway.tick(&mut Inputs {
        now: 0,
        monotonic: u64::MAX,
        entropy: &mut |_: &mut [u8]| Err(crate::inputs::EntropyUnavailable),
        peer: &mut UnknownPeer,
        store: &mut NoStore,
        signatures: &mut NoSignatures,
    });
}
