// SPDX-License-Identifier: Apache-2.0
//! How long keys and verified tokens count.

use super::*;

#[test]
fn keys_are_refreshed_before_they_expire_and_within_bounds() {
    let headers = |value| [(":status", "200"), ("Cache-Control", value)];
    for (lines, bound, refreshed) in [
        (&[(":status", "200")][..], "1h", 48 * MINUTE),
        (&headers("max-age=600"), "1h", 8 * MINUTE),
        (&headers("public, Max-Age=\"600\", must-revalidate"), "1h", 8 * MINUTE),
        (&headers("max-age=86400"), "1h", 48 * MINUTE),
        (&headers("max-age=86400"), "24h", 1152 * MINUTE),
        (&headers("max-age=0"), "1h", 48 * SECOND),
        (&headers("no-store, max-age=600"), "1h", 48 * SECOND),
        (&headers("max-age=600x"), "1h", 48 * MINUTE),
        (&headers("max-age=99999999999999999999"), "1h", 48 * MINUTE),
        (&headers("max-age=-1"), "1h", 48 * MINUTE),
        (&[(":status", "200"), ("cache-control", "max-age=600"), ("age", "300")], "1h", 4 * MINUTE),
        (&[(":status", "200"), ("cache-control", "max-age=600"), ("age", "9999")], "1h", 48 * SECOND),
    ] {
        let mut process = Process::new(&policy(&jwks(&format!(r#","cache_duration":"{bound}""#))), 2);
        process.tick();
        process.answer_with(lines, &key_set(&["k1"]));
        process.now += refreshed - 1;
        process.tick();
        assert_eq!(process.fetched, 1, "{lines:?}");
        process.now += 1;
        process.tick();
        assert_eq!(process.fetched, 2, "{lines:?}");
    }
}

#[test]
fn stale_keys_count_while_the_issuer_is_down_and_not_for_ever() {
    let mut process = Process::with_keys(&policy(&jwks(r#","stale_if_error":"2h""#)), 2, &["k1"]);
    let token = token_until("k1", 36_000);
    let down = |process: &mut Process, time: u64| {
        let end = process.now + time;
        while process.now < end {
            process.pass(10 * SECOND, 10 * SECOND);
            while !process.fetches.is_empty() {
                process.answer(503, "");
            }
        }
    };
    down(&mut process, 3 * HOUR - 10 * SECOND);
    assert_eq!(process.request(0, &token), "admitted");
    assert_eq!(process.request(1, &token), "admitted");
    down(&mut process, 10 * SECOND);
    assert_ne!(process.request(0, &token), "admitted", "cached or not");
    assert!(process.vms[0].counted("tracegate.keys.failed.customers") + process.vms[1].counted("tracegate.keys.failed.customers") > 100);
    while process.fetches.is_empty() {
        process.pass(SECOND, SECOND);
    }
    process.answer(200, &key_set(&["k1"]));
    process.tick();
    assert_eq!(process.request(1, &token), "admitted", "it is up again");
}

#[test]
fn a_verified_token_counts_no_longer_than_its_key() {
    let mut process = Process::with_keys(&policy(&jwks("")), 2, &["k1"]);
    for _ in 0..2 {
        assert_eq!(process.request(0, &token("k1")), "admitted");
    }
    assert_eq!(process.vms[0].counted("tracegate.tokens.verified.cached"), 1);
    process.pass(48 * MINUTE, SECOND);
    process.answer(200, &key_set(&["k2"]));
    process.tick();
    for vm in 0..2 {
        assert_eq!(process.request(vm, &token("k1")), "wait", "it may come again");
    }
    process.tick();
    process.answer(200, &key_set(&["k2"]));
    process.tick();
    assert_eq!(process.decided(), ["401 TokenSignatureKeyNotFound"; 2]);
}

#[test]
fn keys_that_stay_the_same_keep_what_they_have_verified() {
    let mut process = Process::with_keys(&policy(&jwks("")), 1, &["k1"]);
    assert_eq!(process.request(0, &token("k1")), "admitted");
    process.pass(48 * MINUTE, SECOND);
    process.answer(200, &key_set(&["k1"]));
    process.vms[0].counted("");
    assert_eq!(process.request(0, &token("k1")), "admitted");
    assert_eq!(process.vms[0].counted("tracegate.tokens.verified.cached"), 1);
}

#[test]
fn a_verified_token_counts_no_longer_than_it_says() {
    let mut process = Process::with_keys(&policy(&jwks("")), 1, &["k1"]);
    let token = token_until("k1", 60);
    process.now = 60 * SECOND - 1;
    for _ in 0..2 {
        assert_eq!(process.request(0, &token), "admitted");
    }
    process.now = 60 * SECOND;
    assert_eq!(process.request(0, &token), "401 TokenExpired");
}

#[test]
fn a_token_that_resembles_a_verified_one_is_another() {
    let mut process = Process::with_keys(&policy(&jwks("")), 1, &["k1"]);
    let token = token("k1");
    assert_eq!(process.request(0, &token), "admitted");
    for at in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        assert_ne!(process.request(0, std::str::from_utf8(&other).unwrap()), "admitted", "byte {at}");
    }
}

#[test]
fn a_flood_of_genuine_tokens_costs_a_bounded_cache() {
    let mut process = Process::with_keys(&policy(&jwks("")), 1, &["k1"]);
    for second in 1..=9000 {
        assert_eq!(process.request(0, &token_until("k1", 10_000 + second)), "admitted");
    }
    let shown = process.with(0, |vm, _| format!("{:?}", vm.gateway));
    let at = shown.find("TokenCache(").unwrap();
    let count: usize = shown[at + 11..].split(' ').next().unwrap().parse().unwrap();
    assert!((4096..=8192).contains(&count), "{count}");
}
