// SPDX-License-Identifier: Apache-2.0
//! Rotation under load, and floods of keys that nobody has.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate_harness::http::Connection;
use tracegate_harness::issuer::Issuer;

use crate::issuer::{Answer, Idp};
use crate::load::{Load, outcome};
use crate::{claims, policy, start};

/// Two generations of keys side by side, as issuers publish them while they rotate.
fn both(old: &Value, new: &Value) -> String {
    let keys = [old, new].into_iter().flat_map(|set| set["keys"].as_array().expect("a set has keys").clone());
    json!({"keys": keys.collect::<Vec<_>>()}).to_string()
}

#[test]
fn a_rotation_under_load_refuses_nobody_and_costs_one_fetch() {
    let mut issuer = Issuer::new(1).unwrap();
    let (old, first) = (issuer.key_set(), issuer.mint(Algorithm::Rs256, &claims()).unwrap());
    let idp = Idp::start(Answer::keys(&old.to_string()).after(Duration::from_millis(200)));
    let Some(envoy) = start(&policy(&json!({})), idp.address()) else { return };
    // From the very first request on: those that come before the first keys wait for them.
    let load = Load::start(envoy.listener(), &first);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(idp.asked(), 1, "one for two workers and the main thread");
    issuer.rotate().unwrap();
    idp.answer(Answer::keys(&both(&old, &issuer.key_set())).after(Duration::from_millis(200)));
    load.carry(&issuer.mint(Algorithm::Rs256, &claims()).unwrap());
    thread::sleep(Duration::from_secs(2));
    // Old tokens count until their keys are gone.
    load.carry(&first);
    thread::sleep(Duration::from_millis(500));
    let outcomes = load.end();
    println!("{outcomes:?}, {} fetches", idp.asked());
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["200"], "{outcomes:?}");
    assert!(outcomes["200"] > 500, "{outcomes:?}");
    assert_eq!(idp.asked(), 2, "and one for the new key");
}

#[test]
fn a_flood_of_bogus_keys_costs_one_fetch() {
    let mut issuer = Issuer::new(2).unwrap();
    let idp = Idp::start(Answer::keys(&issuer.key_set().to_string()));
    let Some(envoy) = start(&policy(&json!({})), idp.address()) else { return };
    let good = issuer.mint(Algorithm::Es256, &claims()).unwrap();
    let mut connection = Connection::open(envoy.listener()).unwrap();
    assert_eq!(outcome(&mut connection, &good), "200");
    assert_eq!(idp.asked(), 1);
    let flood = |client: usize| {
        let mut issuer = Issuer::new(100 + client as u64).unwrap();
        let listener = envoy.listener();
        let mut connection = Connection::open(listener).unwrap();
        let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
        for request in 0..200 {
            let header = json!({"alg": "ES256", "kid": format!("bogus-{client}-{request}")}).to_string();
            let token = issuer.compact(Algorithm::Es256, header.as_bytes(), claims().to_string().as_bytes()).unwrap();
            *outcomes.entry(outcome(&mut connection, &token)).or_default() += 1;
        }
        outcomes
    };
    let flood = &flood;
    let outcomes: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|client| scope.spawn(move || flood(client))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for outcomes in outcomes {
        assert_eq!(outcomes, BTreeMap::from([("401 TokenSignatureKeyNotFound".to_owned(), 200)]));
    }
    assert_eq!(outcome(&mut connection, &good), "200");
    assert_eq!(idp.asked(), 2, "1,600 bogus keys made us ask once more");
}
