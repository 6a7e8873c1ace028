// SPDX-License-Identifier: Apache-2.0
//! Rules of any shape: what they come to, as the command tells it, is what the module decides.

use std::collections::BTreeMap;
use std::fs;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracegate::Policy;
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::Issuer;

use crate::caller::{Caller, Credential, SUBSCRIPTIONS, items};
use crate::edge::{self, Documents, Edge, Minting};
use crate::explain;

const ROUTES: u32 = 60;

struct Chance(ChaCha8Rng);

impl Chance {
    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        let choice = usize::try_from(self.0.next_u32()).unwrap() % choices.len();
        choices[choice].clone()
    }

    fn requirement(&mut self, depth: u32) -> Value {
        let callers = [
            json!({"provider": "a"}),
            json!({"provider": "a", "scopes": ["s1"]}),
            json!({"provider": "a", "scopes": ["s2", "s1"]}),
            json!({"provider": "a", "roles": ["r1"]}),
            json!({"provider": "a", "roles": ["r2"]}),
            json!({"provider": "a", "roles": ["r1", "r2"]}),
            json!({"provider": "a", "claims": [{"path": "tier", "match": {"exact": "gold"}}]}),
            json!({"provider": "b"}),
            json!({"provider": "b", "groups": ["g"]}),
            json!({"provider": "subscriptions"}),
            json!({"provider": "subscriptions", "products": ["gold"]}),
            json!({"provider": "subscriptions", "products": ["silver", "gold"]}),
            json!({"provider": "subscriptions", "subscriptions": ["fabrikam"]}),
        ];
        match self.0.next_u32() % 16 {
            0 => json!("anonymous"),
            1 => json!("deny"),
            2..6 if depth > 0 => json!({ "any_of": self.requirements(depth - 1) }),
            6..10 if depth > 0 => json!({ "all_of": self.requirements(depth - 1) }),
            _ => json!({ "caller": self.one_of(&callers) }),
        }
    }

    fn requirements(&mut self, depth: u32) -> Vec<Value> {
        (0..self.one_of(&[1, 2, 2, 3])).map(|_| self.requirement(depth)).collect()
    }

    fn route(&mut self, number: u32) -> Value {
        let rules = (0..self.one_of(&[1, 2, 3])).map(|rule| {
            let mut rule = json!({"name": format!("rule-{rule}"), "require": self.requirement(3), "mode": self.one_of(&["enforce", "enforce", "enforce", "shadow"])});
            if self.one_of(&[true, false, false]) {
                rule["when"] = json!({"header": {"name": "x-flag", "match": {"present": true}}});
            }
            rule
        });
        let rules: Vec<Value> = rules.collect();
        json!({"name": format!("route-{number}"), "match": {"path": {"prefix": format!("/{number}")}}, "rules": rules})
    }
}

/// Everybody, by what they show.
fn everybody() -> Vec<Caller> {
    let token = |claims: Value| Some(Credential::Token(claims));
    let by_a = [
        None,
        token(json!({})),
        token(json!({"scope": "s1"})),
        token(json!({"scope": "s1 s2"})),
        token(json!({"roles": ["r1"]})),
        token(json!({"roles": ["r1", "r2"], "scope": "s2"})),
        token(json!({"roles": ["r2"], "tier": "gold", "scope": "s1 s2"})),
    ];
    let by_b = [None, token(json!({})), token(json!({"groups": ["f", "g"]}))];
    let keys = [None, Some(Credential::Key(SUBSCRIPTIONS[0])), Some(Credential::Key(SUBSCRIPTIONS[1]))];
    let mut everybody = Vec::new();
    for a in &by_a {
        for b in &by_b {
            for key in &keys {
                let shown = [("a", a), ("b", b), ("subscriptions", key)];
                let shown = shown.into_iter().filter_map(|(provider, credential)| Some((provider.to_owned(), credential.clone()?)));
                everybody.push(Caller(shown.collect()));
            }
        }
    }
    everybody
}

#[test]
fn rules_of_any_shape_come_to_what_is_told() {
    let mut chance = Chance(ChaCha8Rng::seed_from_u64(11));
    let issuers = [("a", Issuer::new(4).unwrap()), ("b", Issuer::new(5).unwrap())];
    let provider = |name: &str, issuer: &Issuer| {
        let (keys, header) = (json!({"inline": issuer.key_set()}), format!("x-token-{name}"));
        json!({"jwt": {"issuer": name, "audiences": ["api"], "algorithms": ["ES256"], "keys": keys, "tokens": [{"header": header}]}})
    };
    let mut providers: BTreeMap<&str, Value> = issuers.iter().map(|(name, issuer)| (*name, provider(name, issuer))).collect();
    let subscription = |(id, product, key): &(&str, &str, &str)| {
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        json!({"id": id, "product": product, "keys_sha256": [digest]})
    };
    let subscriptions: Vec<Value> = SUBSCRIPTIONS.iter().map(subscription).collect();
    providers.insert("subscriptions", json!({"subscription_keys": {"subscriptions": subscriptions}}));
    let routes: Vec<Value> = (0..ROUTES).map(|number| chance.route(number)).collect();
    let policy = json!({
        "schema": 1, "service": {"name": "edge"}, "identity": {"providers": providers}, "routes": routes, "default": {"action": "refuse"},
    });
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("policy.json");
    fs::write(&path, policy.to_string()).unwrap();
    let explained = explain(&path);
    let loaded = Policy::from_json(policy.to_string().as_bytes()).unwrap();
    let minting = issuers.into_iter().map(|(name, issuer)| {
        let header = (format!("x-token-{name}"), "");
        (name.to_owned(), Minting { issuer, algorithm: Algorithm::Es256, claims: edge::claims(name, "api"), header })
    });
    let module = edge::compiled();
    let mut edge = Edge::start(&module, &loaded, Documents::new(), minting.collect());
    let (mut admitted, mut refused) = (0, 0);
    let everybody = everybody();
    for route in items(&explained["routes"]) {
        assert_eq!(route["more"], false);
        let alternatives = items(&route["reachable_by"]);
        assert_eq!(route["anonymous"], json!(alternatives.contains(&json!([]))));
        for caller in &everybody {
            let is_named = alternatives.iter().any(|alternative| caller.fits(alternative));
            assert_eq!(edge.admits(route, caller, &[]), is_named, "{caller:?}: {route}");
            let conditional = items(&route["rules"]).iter().filter(|rule| rule["mode"] == "enforce" && !rule["when"].is_null());
            let meets = is_named && conditional.into_iter().all(|rule| caller.meets(&rule["require"]));
            assert_eq!(edge.admits(route, caller, &[("x-flag", "1")]), meets, "{caller:?} with the flag: {route}");
            *if is_named { &mut admitted } else { &mut refused } += 1;
        }
    }
    assert!(admitted > 500 && refused > 500, "{admitted} and {refused}");
}
