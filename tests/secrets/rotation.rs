// SPDX-License-Identifier: Apache-2.0
//! Rotation under load.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::collector::Strict;
use super::vault::{TOKEN, Vault};
use super::{Edge, ONE, TWO, VMS, ask, continues, hop, policy};

#[test]
fn tokens_and_keys_rotate_without_a_restart_a_lost_span_or_a_failed_request() {
    let vault = Arc::new(Vault::start(&[("hop-key", ONE), ("collector-token", "token-c4n4ry-one")]));
    let collector = Strict::start(&vault, "collector-token");
    let Some(edge) = Edge::start(&policy(), &vault, &[("otel", collector.address())]) else { return };
    edge.until("secrets.fetched.hop", |fetched| fetched >= VMS);
    let mut connections: Vec<_> = (0..8).map(|_| edge.connect()).collect();
    let before = hop(&ask(&mut connections[0], &[]));
    assert!(before.1.starts_with("tgate=1.k1."), "{before:?}");
    assert!(connections.iter_mut().all(|connection| continues(connection, &before)), "both workers know it");
    // The load goes on while everything changes at once: the old token counts no more at that very moment, nor does the identity's.
    let (begun, mut sent, mut rotated) = (Instant::now(), 0_u64, false);
    while begun.elapsed() < Duration::from_secs(6) {
        for connection in &mut connections {
            assert_eq!(ask(connection, &[]).status, 200);
            sent += 1;
        }
        if !rotated && begun.elapsed() > Duration::from_millis(2500) {
            rotated = true;
            vault.rotate("collector-token", "token-c4n4ry-two");
            vault.rotate("hop-key", TWO);
            vault.revoke();
        }
        thread::sleep(Duration::from_millis(5));
    }
    edge.until("secrets.rotated.hop", |rotated| rotated == VMS);
    edge.until("secrets.rotated.token", |rotated| rotated == VMS);
    let after = hop(&ask(&mut connections[0], &[]));
    assert!(after.1.starts_with("tgate=1.k1."), "{after:?}");
    for connection in &mut connections {
        assert!(!continues(connection, &before), "the key before counts no more");
        assert!(continues(connection, &after));
    }
    let recorded = sent + 1 + 8 + 1 + 16;
    edge.until("spans.acknowledged.otel", |acknowledged| acknowledged == recorded);
    let ledger = edge.metrics("spans.");
    println!("{sent} requests, {ledger:?}, {:?}, {:?}", collector.batches(), edge.metrics("secrets."));
    assert_eq!(ledger.keys().collect::<Vec<_>>(), ["acknowledged.otel", "recorded.otel"], "{ledger:?}");
    assert_eq!(ledger["recorded.otel"], recorded);
    let batches = collector.batches();
    for (token, status) in [("token-c4n4ry-one", 200), ("token-c4n4ry-two", 200)] {
        assert!(batches.contains_key(&(token.to_owned(), status)), "{batches:?}");
    }
    assert!(batches.keys().all(|(token, status)| !token.is_empty() && (*status == 200 || token.ends_with("one"))), "{batches:?}");
    assert_eq!(edge.metrics("secrets.failed."), std::collections::BTreeMap::new());
    // One token for both secrets, and another one when that was revoked.
    assert_eq!(vault.asked("/metadata/"), 2 * usize::try_from(VMS).unwrap());
    edge.shows_none_of(&["c4n4ry", TOKEN, ONE, TWO, "AQEBAQEB", "AgICAgIC"]);
}
