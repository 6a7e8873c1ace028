// SPDX-License-Identifier: Apache-2.0
//! Floods of keys: nobody's count is reset, and memory stays as it is.

use std::thread;

use serde_json::json;
use tracegate_harness::http::Connection;

use super::{ask, limit, metric, policy, start};

#[test]
fn a_flood_of_keys_resets_no_victim() {
    let quota = limit(3, &json!({"enforcement": {"local": {"slots": 256, "on_full": "refuse"}}}));
    let Some(envoy) = start(&policy(&quota), 2, None) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    assert_eq!([0; 4].map(|_| ask(&mut connection, "victim")), ["200", "200", "200", "403 QuotaExceeded"]);
    let listener = envoy.listener();
    let flood = |client: u32| {
        let mut connection = Connection::open(listener).unwrap();
        (0..5000).filter(|key| ask(&mut connection, &format!("attacker-{client}-{key}")) == "200").count()
    };
    let flood = &flood;
    let admitted: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|client| scope.spawn(move || flood(client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(admitted < 256 * 8, "{admitted} of 20,000 keys found room, beside the victim's");
    assert!(admitted > 256 * 7, "{admitted}: what is there is used");
    assert_eq!(ask(&mut connection, "victim"), "403 QuotaExceeded");
    let full = u64::try_from(20_000 - admitted).unwrap();
    assert_eq!(metric(&envoy, "full", |count| count == full), full);
}
