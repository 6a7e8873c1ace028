// SPDX-License-Identifier: Apache-2.0
//! The policy that the table runs under: a provider for each way to be strict, and a route of the same name for each.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};
use tracegate::identity::Algorithm;

use super::der::pem;
use super::forge::{Forge, ISSUER, SECRET};

/// The policy.
pub fn policy(forge: &Forge) -> Value {
    let published = forge.issuer.key_set();
    let keys = published["keys"].as_array().expect("there are keys");
    let [rsa, p256, p384, ed25519] = keys.as_slice() else { panic!("expected four keys, found {}", keys.len()) };
    let inline = |keys: &[Value]| json!({"inline": {"keys": keys}});
    let with = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key.as_object_mut().expect("it is an object").remove("use");
        key[name] = value;
        key
    };
    let in_pem = |key: &Value| json!({"kid": key["kid"], "key": pem(key)});
    let without_id = {
        let mut key = rsa.clone();
        key.as_object_mut().expect("it is an object").remove("kid");
        key
    };
    let shared = json!({"kid": forge.issuer.key_id(Algorithm::Hs256), "key": {"secret": "shared"}});
    let public: Vec<&str> =
        Algorithm::ALL.iter().filter(|algorithm| !algorithm.is_symmetric()).map(|algorithm| algorithm.as_str()).collect();
    let provider = |name: &str, algorithms: &[&str], keys: Value, more: Value| {
        let mut jwt = json!({"issuer": ISSUER, "audiences": ["orders-api", "stock-api"], "algorithms": algorithms, "keys": keys});
        jwt.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
        (name.to_owned(), json!({ "jwt": jwt }))
    };
    let places = json!([{"authorization": {"scheme": "Bearer"}}, {"header": "x-token"}, {"query": "access_token"}, {"cookie": "session"}]);
    let bound = [
        with(rsa, "alg", json!("PS256")),
        with(p256, "use", json!("enc")),
        with(p384, "key_ops", json!(["sign"])),
        with(ed25519, "key_ops", json!(["sign", "verify"])),
    ];
    let providers: Map<String, Value> = [
        provider("all", &public, inline(keys), json!({})),
        provider("pem", &public, json!({"pem": keys.iter().map(in_pem).collect::<Vec<_>>()}), json!({})),
        provider("shared", &["HS256", "HS384", "HS512"], json!({ "secrets": [shared] }), json!({})),
        provider("rs", &["RS256"], inline(keys), json!({})),
        provider("ps", &["PS256"], inline(keys), json!({})),
        provider("one", &["RS256"], inline(&[without_id]), json!({})),
        provider("two", &["RS256", "PS256"], inline(&[rsa.clone(), forge.salting_key()]), json!({})),
        provider("bound", &public, inline(&bound), json!({})),
        provider("strict", &["ES256"], inline(keys), json!({"clock_skew": "0s", "max_lifetime": "10m"})),
        provider("short", &["ES256"], inline(keys), json!({"max_length": 1000})),
        provider("long", &["ES256"], inline(keys), json!({"max_length": 65536})),
        provider("places", &["ES256"], inline(keys), json!({ "tokens": places })),
        provider("header", &["ES256"], inline(keys), json!({"tokens": [{"header": "X-Token"}]})),
        provider("scheme", &["ES256"], inline(keys), json!({"tokens": [{"authorization": {"scheme": "DPoP"}}]})),
    ]
    .into_iter()
    .collect();
    let routes: Vec<Value> = providers
        .keys()
        .map(|name| {
            let rule = json!({"name": "callers", "require": {"caller": {"provider": name}}});
            json!({"name": name, "match": {"path": {"prefix": format!("/{name}")}}, "rules": [rule]})
        })
        .collect();
    json!({
        "schema": 1,
        "service": {"name": "edge"},
        "secrets": {"shared": {"environment": {"name": VARIABLE}}},
        "identity": {"providers": providers},
        "routes": routes,
        "default": {"action": "refuse"},
    })
}

/// The variable with the shared secret, and its value.
pub fn environment() -> Vec<(String, String)> {
    vec![(VARIABLE.to_owned(), BASE64_STANDARD.encode(SECRET))]
}

const VARIABLE: &str = "TRACEGATE_SHARED_SECRET";
