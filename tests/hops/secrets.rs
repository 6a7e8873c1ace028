// SPDX-License-Identifier: Apache-2.0
//! A gateway without the key that its policy names doesn't start, and says which one.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use super::gateway::{environment, signing, start, trusting_ours};

#[test]
fn a_gateway_without_its_keys_does_not_start_and_says_which_is_missing() {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let policy = trusting_ours(signing(2, Some(1), "30s"));
    let expected = |key: u8, found: &str| {
        format!("secrets.hop-key-{key}: expected at least 32 bytes in base64 in the environment variable HOP_KEY_{key}, found {found}")
    };
    let mut short = environment(&[2]);
    short["HOP_KEY_1"] = json!("aHVudGVyMmh1bnRlcjI=");
    let mut wrong = environment(&[1]);
    wrong["HOP_KEY_2"] = json!("no base64!");
    // The first by name.
    for (environment, message) in [
        (Value::Null, expected(1, "no such variable")),
        (environment(&[1]), expected(2, "no such variable")),
        (environment(&[2]), expected(1, "no such variable")),
        (short, expected(1, "fewer")),
        (wrong, expected(2, "something else")),
    ] {
        let Some(started) = start(&policy, &environment, nowhere) else { return };
        let error = started.map(drop).unwrap_err().to_string();
        assert!(error.contains(&message), "{environment}: {error}");
        assert!(!error.contains("aHVudGVy") && !error.contains("no base64!"), "{error}");
    }
    let started = start(&policy, &environment(&[1, 2]), nowhere).unwrap();
    assert!(started.is_ok(), "{started:?}");
}
