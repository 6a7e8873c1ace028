// SPDX-License-Identifier: Apache-2.0
//! Floods of keys: nobody's count is reset, and memory stays as it is.

use std::thread;

use serde_json::json;
use tracegate_harness::envoy::Envoy;
use tracegate_harness::http::Connection;

use super::{ask, limit, metric, policy, start};

#[test]
fn a_flood_of_keys_resets_no_victim() {
    flood(5_000);
}

/// Takes some minutes.
#[test]
#[ignore = "the long suite's"]
fn a_million_keys_take_no_more_memory() {
    flood(250_000);
}

/// A victim at its limit, and so many keys from each of four attackers.
fn flood(keys: usize) {
    let quota = limit(3, &json!({"enforcement": {"local": {"slots": 256, "on_full": "refuse"}}}));
    let Some(envoy) = start(&policy(&quota), 2, None) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    assert_eq!([0; 4].map(|_| ask(&mut connection, "victim")), ["200", "200", "200", "403 QuotaExceeded"]);
    let listener = envoy.listener();
    let attack = |client: u32| {
        let mut connection = Connection::open(listener).unwrap();
        (0..keys).filter(|key| ask(&mut connection, &format!("attacker-{client}-{key}")) == "200").count()
    };
    let attack = &attack;
    let before = resident(&envoy);
    let admitted: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || attack(client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    println!("{} keys: {admitted} found room; Envoy's memory {before} KiB before, {} KiB after", 4 * keys, resident(&envoy));
    assert!(admitted < 256 * 8, "{admitted} keys found room, beside the victim's");
    assert!(admitted > 256 * 7, "{admitted}: what is there is used");
    assert_eq!(ask(&mut connection, "victim"), "403 QuotaExceeded");
    let full = u64::try_from(4 * keys - admitted).unwrap();
    assert_eq!(metric(&envoy, "full", |count| count == full), full);
}

/// Envoy's resident memory in KiB, as Linux tells.
fn resident(envoy: &Envoy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", envoy.process_id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
