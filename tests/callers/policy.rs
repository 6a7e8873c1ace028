// SPDX-License-Identifier: Apache-2.0
//! The policy that the table runs under.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate_harness::issuer::Issuer;

/// Whom the policy trusts.
pub const ISSUER: &str = "https://id.shop.example/";
/// Keys of subscriptions.
pub const GOLD: &str = "0123456789abcdef0123456789abcdef";
pub const SECOND: &str = "fedcba9876543210fedcba9876543210";
pub const SILVER: &str = "00112233445566778899aabbccddeeff";
pub const SUSPENDED: &str = "ffeeddccbbaa99887766554433221100";
/// The gateway's own credential, and the variable that holds it.
pub const REPLACEMENT: &str = "gateway-s-own-credential";
pub const VARIABLE: &str = "TRACEGATE_BACKEND_CREDENTIAL";

/// Headers that tell the upstream of the caller.
pub const TOLD: [&str; 9] = [
    "x-user-id",
    "x-user-name",
    "x-user-roles",
    "x-user-tags",
    "x-user-level",
    "x-user-object",
    "x-caller-provider",
    "x-caller-subscription",
    "x-caller-product",
];

/// The policy: routes by their first segment; what matches none is admitted.
pub fn policy(issuer: &Issuer) -> Value {
    let jwt = |audience: &str, algorithm: &str, tokens: Value| json!({"jwt": {"issuer": ISSUER, "audiences": [audience], "algorithms": [algorithm], "keys": {"inline": issuer.key_set()}, "tokens": tokens}});
    let digest = |key: &str| Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let subscription = |id: &str, product: &str, state: &str, keys: &[&str]| json!({"id": id, "product": product, "state": state, "keys_sha256": keys.iter().map(|key| digest(key)).collect::<Vec<_>>()});
    let customer = |more: Value| {
        let mut caller = json!({"provider": "customers"});
        caller.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
        json!({ "caller": caller })
    };
    let gold = json!({"caller": {"provider": "subscriptions", "products": ["gold"]}});
    let key = json!({"caller": {"provider": "subscriptions"}});
    let partner = json!({"caller": {"provider": "partners"}});
    let route = |name: &str, rules: Value| json!({"name": name, "match": {"path": {"prefix": format!("/{name}")}}, "rules": rules});
    let rule = |require: Value| json!([{"name": "who", "require": require}]);
    let tier = json!({"path": "tier", "match": {"one_of": ["gold", "silver"]}});
    let tags = json!({"path": "/shop/tags", "separator": "|", "match": {"all_of": ["a", "b"]}});
    let when = |condition: Value| json!([{"name": "who", "when": condition, "require": "deny"}]);
    json!({
        "schema": 1,
        "service": {"name": "shop-edge"},
        "secrets": {"backend": {"environment": {"name": VARIABLE}}},
        "identity": {
            "providers": {
                "customers": jwt("orders-api", "ES256", json!([{"authorization": {"scheme": "Bearer"}}, {"query": "access_token"}, {"cookie": "session"}])),
                "partners": jwt("partners-api", "RS256", json!([{"header": "X-Partner-Token"}])),
                "subscriptions": {"subscription_keys": {"subscriptions": [
                    subscription("contoso", "gold", "active", &[GOLD, SECOND]),
                    subscription("fabrikam", "silver", "active", &[SILVER]),
                    subscription("former", "gold", "suspended", &[SUSPENDED]),
                ]}},
            },
            "claim_to_headers": [
                {"claim": "sub", "header": "X-User-Id"},
                {"claim": "name", "header": "x-user-name"},
                {"claim": "roles", "header": "x-user-roles"},
                {"claim": "/shop/tags", "header": "x-user-tags", "separator": " "},
                {"claim": "level", "header": "x-user-level"},
                {"claim": "shop", "header": "x-user-object"},
            ],
            "caller_to_headers": [
                {"caller": "provider", "header": "x-caller-provider"},
                {"caller": "subscription", "header": "x-caller-subscription"},
                {"caller": "product", "header": "x-caller-product"},
            ],
            "replace_token": {"scheme": "Gateway", "credential": {"secret": "backend"}},
        },
        "routes": [
            route("open", rule(json!("anonymous"))),
            route("nobody", rule(json!("deny"))),
            route("customer", rule(customer(json!({})))),
            route("scoped", rule(customer(json!({"scopes": ["orders.read", "orders.write"]})))),
            route("role", rule(customer(json!({"roles": ["Orders.Admin"]})))),
            route("tier", rule(customer(json!({"claims": [tier]})))),
            route("tags", rule(customer(json!({"claims": [tags]})))),
            route("key", rule(key.clone())),
            route("gold", rule(gold.clone())),
            route("either", rule(json!({"any_of": [customer(json!({"scopes": ["orders.read"]})), gold]}))),
            route("both", rule(json!({"all_of": [partner, key]}))),
            route("optional", rule(json!({"any_of": [customer(json!({})), "anonymous"]}))),
            route("shadow", json!([{"name": "who", "require": customer(json!({})), "mode": "shadow"}])),
            route("legacy", when(json!({"not": {"header": {"name": "x-api-version", "match": {"present": true}}}}))),
            route("method", when(json!({"method": ["DELETE"]}))),
            route("query", when(json!({"query": {"name": "debug", "match": {"regex": "1|true"}}}))),
            route("claim", when(json!({"claim": {"provider": "customers", "path": "tier", "match": {"exact": "bronze"}}}))),
            route("inner", when(json!({"path": {"template": "/inner/{id}/secret"}}))),
        ],
        "default": {"action": "admit"},
    })
}
