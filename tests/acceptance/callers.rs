// SPDX-License-Identifier: Apache-2.0
//! Callers of every kind, what rules ask of them, what the upstream learns of them, and changes to all that.

use serde_json::{Value, json};

/// Adds what this file changes to a policy with issuers.
pub(super) fn extend(policy: &mut Value) {
    policy["listener"]["forwarded_client_cert"] = json!({"from": {"source": {"cidr": ["10.0.0.0/8"]}}});
    policy["responses"] = json!({"errors": "problem_json"});
    policy["secrets"]["upstream"] = json!({"environment": {"name": "UPSTREAM"}});
    let identity = &mut policy["identity"];
    let inline = &mut identity["providers"]["inline"]["jwt"];
    inline["roles_claim"] = json!("/realm_access/roles");
    inline["certificate_bound"] = json!(true);
    identity["providers"]["staff"] = json!({"entra": {
        "tenant": "organizations", "tenants": [TENANT], "audiences": ["api://orders"], "applications": [TENANT],
        "services": [
            {"name": "billing", "workload": {"managed_identity": "/subscriptions/a/billing"}},
            {"name": "batch", "workload": {"application": TENANT}},
        ],
        "cluster": "entra", "cloud": "china", "signing_key_application": TENANT, "tokens": [{"header": "X-Staff-Token"}],
        "clock_skew": "1m", "certificate_bound": false,
    }});
    identity["providers"]["partners"] = json!({"subscription_keys": {
        "header": "Api-Key", "query": "api-key", "forward_key": true,
        "subscriptions": [
            {"id": "contoso", "product": "gold", "state": "active", "keys_sha256": ["ab".repeat(32), "CD".repeat(32)]},
            {"id": "fabrikam", "state": "expired", "keys_sha256": ["ef".repeat(32)]},
        ],
    }});
    identity["providers"]["mesh"] =
        json!({"client_certificate": {"services": [{"name": "stock", "peer": {"dns_san": {"suffix": ".shop.example"}}}]}});
    identity["claim_to_headers"] = json!([{"claim": "sub", "header": "X-User-Id", "separator": "; ", "provider": "inline"}]);
    identity["caller_to_headers"] = json!([{"caller": "service", "header": "X-Service"}]);
    identity["forward_token"] = json!(false);
    identity["replace_token"] = json!({"scheme": "Token", "credential": {"secret": "upstream"}});
    policy["routes"][1]["rules"] = json!([{
        "name": "some",
        "when": {"all": [{"method": ["POST"]}, {"header": {"name": "X-Beta", "match": {"present": true}}}]},
        "require": {"any_of": [
            {"caller": {
                "provider": "inline", "scopes": ["a"], "roles": ["b"], "groups": ["c"],
                "claims": [{"path": "tier", "separator": " ", "match": {"one_of": ["gold"]}}],
            }},
            {"all_of": [
                {"caller": {"provider": "partners", "subscriptions": ["contoso"], "products": ["gold"]}},
                {"caller": {"provider": "mesh", "services": ["stock"]}},
            ]},
        ]},
    }]);
}

/// Changes that the reader accepts.
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
    let mut changes = vec![
        ("/listener/forwarded_client_cert", json!("remove")),
        ("/listener/forwarded_client_cert", json!("keep")),
        ("/listener/forwarded_client_cert", json!({"from": {"header": {"name": "x", "match": {"exact": ""}}}})),
        ("/responses", json!({})),
        ("/responses/errors", json!("apim")),
        ("/identity/providers/inline/jwt/roles_claim", json!("roles")),
        ("/identity/providers/inline/jwt/certificate_bound", json!(false)),
        (ENTRA, json!({"tenant": TENANT.to_uppercase(), "audiences": ["a"], "cluster": "c"})),
        (ENTRA, json!({"tenant": "consumers", "audiences": ["a"], "cluster": "c"})),
        (ENTRA, json!({"tenant": "common", "audiences": ["a"], "cluster": "c", "services": []})),
        ("/identity/providers/staff/entra/cloud", json!("us_government")),
        ("/identity/providers/staff/entra/clock_skew", json!("10m")),
        (
            KEYS,
            json!({"subscriptions": [
                {"id": "contoso", "product": "gold", "keys_sha256": ["ab".repeat(32)]}, {"id": "b", "state": "suspended", "keys_sha256": ["cd".repeat(32)]},
            ]}),
        ),
        ("/identity/providers/partners/subscription_keys/subscriptions/1/state", json!("cancelled")),
        ("/identity/providers/mesh/client_certificate/services/0/peer", json!({"sha256": "ab".repeat(32)})),
        ("/identity/claim_to_headers", json!([])),
        ("/identity/claim_to_headers/0", json!({"claim": "/a~1b/~0", "header": "client-id"})),
        ("/identity/claim_to_headers/0/separator", json!(" !#~")),
        ("/identity/caller_to_headers", json!([])),
        ("/identity/caller_to_headers/0/caller", json!("provider")),
        ("/identity/caller_to_headers/0/caller", json!("subscription")),
        ("/identity/caller_to_headers/0/caller", json!("product")),
        ("/identity/replace_token", json!({"credential": {"secret": "upstream"}})),
        (REQUIRE, json!("anonymous")),
        (REQUIRE, json!({"any_of": ["deny", {"all_of": ["anonymous"]}]})),
        (REQUIRE, json!({"caller": {"provider": "staff", "services": ["billing", "batch"]}})),
        (REQUIRE, json!({"caller": {"provider": "staff", "scopes": ["!#[]~"]}})),
    ];
    for matched in [
        json!({"exact": ""}),
        json!({"one_of": ["", "a"]}),
        json!({"all_of": ["a", ""]}),
        json!({"prefix": "a"}),
        json!({"suffix": "é"}),
        json!({"contains": " "}),
        json!({"regex": ""}),
        json!({"regex": "(?i)a|b[0-9]{1,9}"}),
        json!({"regex": "a".repeat(512)}),
        json!({"present": false}),
    ] {
        changes.push((WHEN, json!({"header": {"name": "!x", "match": matched}})));
        changes.push((WHEN, json!({"query": {"name": "é", "match": matched}})));
        changes.push((WHEN, json!({"claim": {"provider": "inline", "path": "/a", "separator": ", ", "match": matched}})));
        changes.push((CLAIM, json!({"path": "https://shop.example/tier", "match": matched})));
    }
    for when in [
        json!({"method": ["M-SEARCH", "GET"]}),
        json!({"path": {"template": "/orders/{id}"}}),
        json!({"not": {"any": [{"source": {"cidr": ["10.0.0.0/8"]}}, {"peer": {"subject": {"exact": "CN=a"}}}]}}),
        json!({"caller": {"provider": "partners", "products": ["gold"]}}),
    ] {
        changes.push((WHEN, when));
    }
    changes
}

/// Changes that neither the reader nor the schema accepts; `None` takes the field away.
pub(super) fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let missing = [
        "/identity/providers/staff/entra/tenant",
        "/identity/providers/staff/entra/audiences",
        "/identity/providers/staff/entra/cluster",
        "/identity/providers/staff/entra/services/0/name",
        "/identity/providers/staff/entra/services/0/workload",
        "/identity/providers/staff/entra/services/0/workload/managed_identity",
        "/identity/providers/partners/subscription_keys/subscriptions",
        "/identity/providers/partners/subscription_keys/subscriptions/0/id",
        "/identity/providers/partners/subscription_keys/subscriptions/0/keys_sha256",
        "/identity/providers/mesh/client_certificate/services/0/name",
        "/identity/providers/mesh/client_certificate/services/0/peer",
        "/identity/claim_to_headers/0/claim",
        "/identity/claim_to_headers/0/header",
        "/identity/caller_to_headers/0/caller",
        "/identity/caller_to_headers/0/header",
        "/identity/replace_token/credential",
        "/identity/replace_token/credential/secret",
        "/routes/1/rules/0/require/any_of/0/caller/provider",
        "/routes/1/rules/0/require/any_of/0/caller/claims/0/path",
        "/routes/1/rules/0/require/any_of/0/caller/claims/0/match",
        "/routes/1/rules/0/when/all/1/header/name",
        "/routes/1/rules/0/when/all/1/header/match",
        "/listener/forwarded_client_cert/from",
    ];
    let mut changes: Vec<(&'static str, Option<Value>)> = missing.map(|place| (place, None)).into();
    for place in [
        "/responses",
        ENTRA,
        "/identity/providers/staff/entra/services/0",
        "/identity/providers/staff/entra/services/0/workload",
        KEYS,
        "/identity/providers/partners/subscription_keys/subscriptions/0",
        "/identity/providers/mesh/client_certificate",
        "/identity/providers/mesh/client_certificate/services/0",
        "/identity/claim_to_headers/0",
        "/identity/caller_to_headers/0",
        "/identity/replace_token",
        "/identity/replace_token/credential",
        REQUIRE,
        "/routes/1/rules/0/require/any_of/0/caller",
        CLAIM,
        "/routes/1/rules/0/require/any_of/0/caller/claims/0/match",
        WHEN,
        "/routes/1/rules/0/when/all/1/header",
        "/listener/forwarded_client_cert",
    ] {
        let mut document = super::whole();
        if let Some(fields) = document.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.insert("unheard_of".to_owned(), json!(1));
        }
        changes.push((place, document.pointer(place).cloned()));
    }
    for field in ["scopes", "roles", "groups", "claims", "services", "subscriptions", "products"] {
        for value in [json!([]), json!("a"), json!([""]), json!([1]), json!(null)] {
            changes.push((REQUIRE, Some(json!({"caller": {"provider": "inline", field: value}}))));
        }
    }
    for (place, values) in [
        ("/listener/forwarded_client_cert", vec![json!("from"), json!(true), json!({}), json!(null), json!({"from": {}})]),
        ("/responses/errors", vec![json!("json"), json!(null), json!(["apim"])]),
        ("/identity/providers/inline/jwt/roles_claim", vec![json!(""), json!(1), json!("a".repeat(257)), json!(null)]),
        ("/identity/providers/inline/jwt/certificate_bound", vec![json!("yes"), json!(0), json!(null)]),
        ("/identity/providers/staff/entra/tenant", vec![json!("shop.example"), json!("Common"), json!(""), json!(1), json!(&TENANT[1..])]),
        ("/identity/providers/staff/entra/tenants", vec![json!([]), json!(TENANT), json!(["common"]), json!([1]), json!(null)]),
        ("/identity/providers/staff/entra/audiences", vec![json!([]), json!([""]), json!("a")]),
        ("/identity/providers/staff/entra/applications", vec![json!([]), json!(["billing"]), json!(null)]),
        ("/identity/providers/staff/entra/services", vec![json!(["billing"]), json!({}), json!(null)]),
        ("/identity/providers/staff/entra/services/0/name", vec![json!(""), json!(1)]),
        (
            "/identity/providers/staff/entra/services/0/workload",
            vec![
                json!("a"),
                json!({"managed_identity": "billing"}),
                json!({"managed_identity": ""}),
                json!({"application": "a"}),
                json!({"application": 1}),
            ],
        ),
        ("/identity/providers/staff/entra/cluster", vec![json!(""), json!(1)]),
        ("/identity/providers/staff/entra/cloud", vec![json!("Public"), json!("moon"), json!(null)]),
        ("/identity/providers/staff/entra/signing_key_application", vec![json!("a"), json!(null)]),
        ("/identity/providers/staff/entra/tokens", vec![json!([]), json!([{"header": "cookie"}]), json!(null)]),
        ("/identity/providers/staff/entra/clock_skew", vec![json!(60), json!("1d")]),
        (
            "/identity/providers/partners/subscription_keys/header",
            vec![json!(""), json!("a b"), json!("AUTHORIZATION"), json!("Cookie"), json!(1)],
        ),
        ("/identity/providers/partners/subscription_keys/query", vec![json!(""), json!(1), json!(null)]),
        ("/identity/providers/partners/subscription_keys/forward_key", vec![json!("yes"), json!(null)]),
        ("/identity/providers/partners/subscription_keys/subscriptions", vec![json!([]), json!({}), json!([1])]),
        ("/identity/providers/partners/subscription_keys/subscriptions/0/id", vec![json!(""), json!(1)]),
        ("/identity/providers/partners/subscription_keys/subscriptions/0/product", vec![json!(""), json!(1), json!(null)]),
        ("/identity/providers/partners/subscription_keys/subscriptions/0/state", vec![json!("Active"), json!("paused"), json!(null)]),
        (
            "/identity/providers/partners/subscription_keys/subscriptions/0/keys_sha256",
            vec![
                json!([]),
                json!("ab".repeat(32)),
                json!(["ab".repeat(31)]),
                json!(["ab".repeat(33)]),
                json!(["xy".repeat(32)]),
                json!([1]),
                json!(["ab".repeat(32), "cd".repeat(32), "01".repeat(32)]),
            ],
        ),
        (
            "/identity/providers/mesh/client_certificate",
            vec![json!([]), json!({"services": {}}), json!({"services": ["stock"]}), json!(null)],
        ),
        ("/identity/providers/mesh/client_certificate/services/0/peer", vec![json!({}), json!({"sha256": "ab"}), json!("stock")]),
        ("/identity/claim_to_headers", vec![json!({}), json!(["sub"]), json!(null)]),
        ("/identity/claim_to_headers/0/claim", vec![json!(""), json!(1), json!("a".repeat(257))]),
        ("/identity/claim_to_headers/0/header", vec![json!(""), json!("a b"), json!("é"), json!(1)]),
        ("/identity/claim_to_headers/0/separator", vec![json!(""), json!("%"), json!("\n"), json!("123456789"), json!("é"), json!(1)]),
        ("/identity/claim_to_headers/0/provider", vec![json!(""), json!(1), json!(null)]),
        ("/identity/caller_to_headers/0/caller", vec![json!("sub"), json!("Service"), json!(null)]),
        ("/identity/caller_to_headers/0/header", vec![json!(""), json!("a:b"), json!(1)]),
        ("/identity/forward_token", vec![json!("yes"), json!(1), json!(null)]),
        ("/identity/replace_token", vec![json!("upstream"), json!({}), json!(null), json!({"credential": "upstream"})]),
        ("/identity/replace_token/scheme", vec![json!(""), json!("a b"), json!(1)]),
        ("/identity/replace_token/credential/secret", vec![json!(""), json!(1)]),
        (
            REQUIRE,
            vec![
                json!("caller"),
                json!([]),
                json!(null),
                json!({"any_of": []}),
                json!({"all_of": []}),
                json!({"any_of": "deny"}),
                json!({"all_of": [1]}),
                json!({"any_of": [{}]}),
                json!({"any_of": ["deny"], "all_of": ["deny"]}),
                json!({"anonymous": true}),
                json!({"caller": {"provider": ""}}),
                json!({"caller": {"provider": "inline", "scopes": ["a b"]}}),
                json!({"caller": {"provider": "inline", "scopes": ["a\"b"]}}),
                json!({"caller": {"provider": "inline", "scopes": ["a\\b"]}}),
            ],
        ),
        (
            WHEN,
            vec![
                json!({}),
                json!(null),
                json!([]),
                json!({"all": []}),
                json!({"any": [{}]}),
                json!({"not": []}),
                json!({"method": []}),
                json!({"method": ["get"]}),
                json!({"method": "GET"}),
                json!({"path": "/a"}),
                json!({"path": {"exact": "a"}}),
                json!({"header": {"name": "a b", "match": {"present": true}}}),
                json!({"query": {"name": "", "match": {"present": true}}}),
                json!({"query": {"name": "a"}}),
                json!({"claim": {"path": "a", "match": {"present": true}}}),
                json!({"claim": {"provider": "inline", "match": {"present": true}}}),
                json!({"claim": {"provider": "inline", "path": "", "match": {"present": true}}}),
                json!({"claim": {"provider": "inline", "path": "a"}}),
                json!({"claim": {"provider": "inline", "path": "a", "separator": "", "match": {"present": true}}}),
                json!({"caller": {"provider": "inline", "roles": []}}),
                json!({"caller": "inline"}),
            ],
        ),
        (
            "/routes/1/rules/0/require/any_of/0/caller/claims/0/match",
            vec![
                json!("gold"),
                json!({}),
                json!({"exact": 7}),
                json!({"one_of": []}),
                json!({"one_of": "a"}),
                json!({"all_of": []}),
                json!({"all_of": [1]}),
                json!({"prefix": ""}),
                json!({"suffix": ""}),
                json!({"contains": ""}),
                json!({"regex": "a".repeat(513)}),
                json!({"regex": 1}),
                json!({"present": "yes"}),
                json!({"exact": "a", "present": true}),
            ],
        ),
    ] {
        changes.extend(values.into_iter().map(|value| (place, Some(value))));
    }
    changes
}

/// Changes that only the reader knows to be wrong.
pub(super) fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let together = "sections hang together";
    let read = "texts are read to their end";
    let of = |provider: &str, field: &str| json!({"caller": {"provider": provider, field: ["a"]}});
    let mut changes = vec![
        ("/identity/providers/inline/jwt/roles_claim", json!("/~2"), read),
        ("/identity/claim_to_headers/0/claim", json!("/a~"), read),
        ("/identity/claim_to_headers/0/claim", json!("é".repeat(200)), "bytes are counted"),
        ("/identity/providers/staff/entra/tenant", json!(TENANT), "`tenants` stand beside `organizations` and `common`"),
        ("/identity/providers/staff/entra/tenant", json!("consumers"), "`tenants` stand beside `organizations` and `common`"),
        ("/identity/providers/staff/entra/clock_skew", json!("11m"), "durations are added up"),
        ("/identity/providers/partners/subscription_keys/subscriptions/1/id", json!("contoso"), "ids are unique"),
        ("/identity/providers/partners/subscription_keys/subscriptions/1/keys_sha256", json!(["AB".repeat(32)]), "keys are unique"),
        ("/identity/claim_to_headers/0/provider", json!("nobody"), together),
        ("/identity/claim_to_headers/0/provider", json!("partners"), together),
        ("/identity/caller_to_headers/0/header", json!("x_user_id"), "headers are unique, however they are spelt"),
        ("/identity/caller_to_headers/0/header", json!("API-KEY"), "headers are unique, however they are spelt"),
        ("/identity/forward_token", json!(true), together),
        ("/identity/replace_token/credential/secret", json!("nowhere"), together),
        (REQUIRE, json!({"any_of": [{"caller": {"provider": "nobody"}}]}), together),
        (REQUIRE, of("staff", "services"), together),
        (REQUIRE, of("partners", "subscriptions"), together),
        (REQUIRE, of("partners", "products"), together),
        (REQUIRE, of("partners", "scopes"), together),
        (REQUIRE, of("mesh", "roles"), together),
        (REQUIRE, of("inline", "products"), together),
        (REQUIRE, of("inline", "services"), together),
        (WHEN, json!({"route": ["read"]}), "what may be asked hangs on where"),
        (WHEN, json!({"signed_hop": "valid"}), "what may be asked hangs on where"),
        (WHEN, json!({"caller": {"provider": "nobody"}}), together),
        (WHEN, json!({"header": {"name": "a", "match": {"regex": "("}}}), read),
        (WHEN, json!({"header": {"name": "a", "match": {"regex": "é".repeat(300)}}}), "bytes are counted"),
        ("/listener/forwarded_client_cert/from", json!({"caller": {"provider": "inline"}}), "what may be asked hangs on where"),
        ("/listener/forwarded_client_cert/from", json!({"route": ["read"]}), "what may be asked hangs on where"),
    ];
    for header in ["Authorization", "x-forwarded-for", "traceparent", "x-envoy-a", "X_Request_Id"] {
        changes.push(("/identity/claim_to_headers/0/header", json!(header), "what headers mean is known to the reader"));
    }
    changes
}

const TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000002";
const ENTRA: &str = "/identity/providers/staff/entra";
const KEYS: &str = "/identity/providers/partners/subscription_keys";
const REQUIRE: &str = "/routes/1/rules/0/require";
const CLAIM: &str = "/routes/1/rules/0/require/any_of/0/caller/claims/0";
const WHEN: &str = "/routes/1/rules/0/when";
