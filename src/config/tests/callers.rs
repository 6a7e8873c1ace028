// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told about callers, rules and what the upstream learns.

mod providers;

use serde_json::{Value, json};

use super::*;

const TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000002";
const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A policy with every way to tell callers and to ask for them.
fn whole() -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "listener": {"client_certificates": "verified", "forwarded_client_cert": {"from": {"any": [
            {"source": {"cidr": ["10.0.0.0/8"]}},
            {"peer": {"uri_san": {"exact": "spiffe://shop.example/edge"}}},
            {"header": {"name": "X-Via-Edge", "match": {"present": true}}},
        ]}}},
        "responses": {"errors": "problem_json"},
        "secrets": {"upstream": {"environment": {"name": "UPSTREAM"}}},
        "identity": {
            "providers": {
                "customers": {"jwt": {
                    "issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["RS256"],
                    "keys": {"jwks": {"uri": "https://id.shop.example/jwks.json", "cluster": "issuer"}},
                    "roles_claim": "/realm_access/roles", "certificate_bound": true, "tokens": [{"header": "X-Customer-Token"}],
                }},
                "staff": {"entra": {
                    "tenant": "organizations", "tenants": [TENANT], "audiences": ["api://orders"], "applications": [TENANT],
                    "services": [
                        {"name": "billing", "workload": {"managed_identity": "/subscriptions/a/userAssignedIdentities/Billing"}},
                        {"name": "batch", "workload": {"application": TENANT.to_uppercase()}},
                    ],
                    "cluster": "entra", "cloud": "us_government", "signing_key_application": TENANT,
                    "tokens": [{"authorization": {"scheme": "Bearer"}}], "clock_skew": "5m", "certificate_bound": false,
                }},
                "partners": {"subscription_keys": {
                    "header": "Api-Key", "query": "api-key", "forward_key": true,
                    "subscriptions": [
                        {"id": "contoso", "product": "gold", "state": "active", "keys_sha256": [DIGEST, "ab".repeat(32)]},
                        {"id": "fabrikam", "state": "suspended", "keys_sha256": ["CD".repeat(32)]},
                    ],
                }},
                "mesh": {"client_certificate": {"services": [{"name": "stock", "peer": {"dns_san": {"suffix": ".shop.example"}}}]}},
            },
            "claim_to_headers": [
                {"claim": "sub", "header": "X-User-Id"},
                {"claim": "/realm_access/roles", "header": "X-User-Roles", "separator": "; ", "provider": "customers"},
            ],
            "caller_to_headers": [
                {"caller": "provider", "header": "X-Caller"}, {"caller": "service", "header": "X-Service"},
                {"caller": "subscription", "header": "X-Subscription"}, {"caller": "product", "header": "X-Product"},
            ],
            "forward_token": false,
            "replace_token": {"scheme": "Token", "credential": {"secret": "upstream"}},
        },
        "routes": [{"name": "orders", "rules": [
            {"name": "callers", "require": {"any_of": [
                {"all_of": [
                    {"caller": {"provider": "customers", "scopes": ["orders.read", "!#[]~"], "roles": ["buyer"], "groups": ["a"], "claims": [
                        {"path": "tier", "match": {"one_of": ["gold", ""]}},
                        {"path": "/a~1b/0", "separator": " ", "match": {"all_of": ["x"]}},
                    ]}},
                    {"caller": {"provider": "partners", "subscriptions": ["contoso"], "products": ["gold"]}},
                ]},
                {"caller": {"provider": "staff", "services": ["billing", "batch"]}},
                {"caller": {"provider": "mesh", "services": ["stock"]}},
                "deny",
            ]}},
            {"name": "some", "mode": "shadow", "require": "deny", "when": {"all": [
                {"method": ["POST", "M-SEARCH"]}, {"path": {"prefix": "/orders"}},
                {"header": {"name": "X-Beta", "match": {"regex": "v[0-9]+"}}}, {"query": {"name": "debug", "match": {"exact": ""}}},
                {"not": {"caller": {"provider": "customers", "roles": ["admin"]}}},
                {"any": [
                    {"claim": {"provider": "staff", "path": "tid", "match": {"present": false}}},
                    {"claim": {"provider": "customers", "path": "amr", "separator": ",", "match": {"contains": "mfa"}}},
                    {"claim": {"provider": "customers", "path": "acr", "match": {"suffix": "2"}}},
                    {"claim": {"provider": "customers", "path": "acr", "match": {"prefix": "urn:"}}},
                ]},
            ]}},
        ]}],
        "trace": {"trust": [
            {"name": "staff", "when": {"caller": {"provider": "staff"}}, "context": "continue"}, {"name": "rest", "context": "restart"},
        ]},
    })
}

/// The policy with another value there; a field that isn't there is added.
fn changed(place: &str, value: Value) -> Value {
    let mut policy = whole();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match policy.pointer_mut(place) {
        Some(found) => *found = value,
        None => policy.pointer_mut(parent).unwrap()[name] = value,
    }
    policy
}

fn loaded(policy: &Value) -> Loaded {
    Policy::from_json(policy.to_string().as_bytes()).unwrap_or_else(|findings| panic!("{findings}"))
}

/// Checks that each change to the policy comes to just this, below `path`.
fn check(place: &str, path: &str, cases: Vec<(Value, &str)>) {
    for (value, expected) in cases {
        let policy = if place.is_empty() { value.clone() } else { changed(place, value.clone()) };
        assert_eq!(wrong(&policy), [format!("{path}{expected}")], "{place}: {value}");
    }
}

#[test]
fn every_field_reads_and_the_canonical_form_is_the_same_policy() {
    let Loaded { policy, canonical, warnings } = loaded(&whole());
    assert_eq!(warnings.to_string(), "");
    let again = Policy::from_json(canonical.as_bytes()).unwrap();
    assert_eq!((again.policy.fingerprint, &again.canonical), (policy.fingerprint, &canonical));
    let mut everything: Value = serde_json::from_str(&canonical).unwrap();
    let keys = everything.pointer_mut("/identity/providers/customers/jwt/keys/jwks").unwrap();
    assert_eq!(keys["wait"], "5s");
    let identity = &policy.identity;
    assert_eq!(
        identity.providers.iter().map(|provider| provider.name.as_str()).collect::<Vec<_>>(),
        ["customers", "mesh", "partners", "staff"]
    );
    let headers: Vec<&str> = identity.forward.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(headers, ["x-user-id", "x-user-roles", "x-caller", "x-service", "x-subscription", "x-product"]);
    assert_eq!(policy.variables(), ["UPSTREAM"]);
    assert_eq!(policy.clusters(), ["entra", "issuer"]);
    assert_eq!(policy.errors, crate::decision::ErrorFormat::ProblemJson);
}

#[test]
fn what_is_left_out_has_its_default() {
    let canonical = |place: &str, value: Value| -> Value {
        let canonical = loaded(&changed(place, value)).canonical;
        serde_json::from_str::<Value>(&canonical).unwrap().pointer(place).unwrap().clone()
    };
    for (place, least, expected) in [
        (
            "/identity/providers/x",
            json!({"entra": {"tenant": TENANT, "audiences": ["a"], "cluster": "c"}}),
            json!({"entra": {
                "tenant": TENANT, "audiences": ["a"], "cluster": "c", "cloud": "public", "clock_skew": "60s", "certificate_bound": false,
                "tokens": [{"authorization": {"scheme": "Bearer"}}],
            }}),
        ),
        (
            "/identity/providers/x",
            json!({"subscription_keys": {"subscriptions": [{"id": "a", "keys_sha256": [DIGEST]}]}}),
            json!({"subscription_keys": {
                "header": "Ocp-Apim-Subscription-Key", "query": "subscription-key", "forward_key": false,
                "subscriptions": [{"id": "a", "state": "active", "keys_sha256": [DIGEST]}],
            }}),
        ),
        ("/identity/providers/x", json!({"client_certificate": {}}), json!({"client_certificate": {"services": []}})),
        (
            "/identity/replace_token",
            json!({"credential": {"secret": "upstream"}}),
            json!({"scheme": "Bearer", "credential": {"secret": "upstream"}}),
        ),
        ("/routes/0/rules/0", json!({"name": "a", "require": "deny"}), json!({"name": "a", "require": "deny", "mode": "enforce"})),
        ("/routes/0/rules/0/require", json!({"caller": {"provider": "customers"}}), json!({"caller": {"provider": "customers"}})),
        ("/responses", json!({}), json!({"errors": "apim", "rate_limit_headers": ["ratelimit"]})),
        (
            "/listener",
            json!({"client_certificates": "verified"}),
            json!({"trusted_hops": 0, "client_certificates": "verified", "forwarded_client_cert": "remove"}),
        ),
    ] {
        assert_eq!(canonical(place, least.clone()), expected, "{place}");
        assert_eq!(canonical(place, expected), canonical(place, least), "{place}");
    }
    let jwt = &loaded(&changed("/identity/providers/customers/jwt/roles_claim", json!("roles")));
    let mut without = whole();
    without["identity"]["providers"]["customers"]["jwt"].as_object_mut().unwrap().remove("roles_claim");
    assert_eq!(loaded(&without).policy.fingerprint, jwt.policy.fingerprint);
}

#[test]
fn a_requirement_is_a_word_or_one_of_three_forms() {
    let form = "expected a mapping with `caller` or `any_of` or `all_of`, found";
    let word = "expected `anonymous` or `deny` or a mapping with `caller`, `any_of` or `all_of`, found";
    let nobody = "expected a name in `identity.providers`, found \"nobody\"";
    let empty = "expected a list of at least one, found an empty one";
    check(
        "/routes/0/rules/0/require",
        "routes[0].rules[0].require",
        vec![
            (json!("maybe"), &format!(": {word} \"maybe\"")),
            (json!(null), &format!(": {word} null")),
            (json!([]), &format!(": {word} a list")),
            (json!({}), &format!(": {form} an empty mapping")),
            (json!({"one_of": []}), &format!(": {form} `one_of`")),
            (json!({"all_of": ["deny"], "any_of": ["deny"]}), &format!(": {form} `all_of` and `any_of`")),
            (json!({"any_of": []}), &format!(".any_of: {empty}")),
            (json!({"all_of": []}), &format!(".all_of: {empty}")),
            (json!({"any_of": "deny"}), ".any_of: expected a list, found \"deny\""),
            (json!({"any_of": ["deny", {"all_of": ["anonymous", 7]}]}), &format!(".any_of[1].all_of[1]: {word} 7")),
            (json!({"caller": "customers"}), ".caller: expected a mapping, found \"customers\""),
            (json!({"caller": {}}), ".caller: expected a field `provider`, found none"),
            (json!({"caller": {"provider": ""}}), ".caller.provider: expected text of at least one character, found \"\""),
            (json!({"caller": {"provider": "nobody"}}), &format!(".caller.provider: {nobody}")),
            (json!({"any_of": ["deny", {"caller": {"provider": "nobody"}}]}), &format!(".any_of[1].caller.provider: {nobody}")),
            (
                json!({"all_of": [{"any_of": [{"caller": {"provider": "nobody"}}]}]}),
                &format!(".all_of[0].any_of[0].caller.provider: {nobody}"),
            ),
            (
                json!({"caller": {"provider": "customers", "scope": "a"}}),
                ".caller.scope: expected one of `provider`, `scopes`, `roles`, `groups`, `services`, `subscriptions`, `products`, `claims`, found an unknown field",
            ),
        ],
    );
}

#[test]
fn conditions_ask_for_what_is_known_where_they_stand() {
    let trust = |word: &str| format!(": expected no `{word}` here: only `trace.trust` may ask for one");
    let callers = |word: &str| format!(": expected no `{word}` here: nobody has been asked for proof yet");
    let caller = json!({"caller": {"provider": "customers"}});
    let claim = json!({"claim": {"provider": "customers", "path": "a", "match": {"present": true}}});
    let hop = json!({"signed_hop": "valid"});
    let route = json!({"route": ["orders"]});
    check(
        "/listener/forwarded_client_cert",
        "listener.forwarded_client_cert",
        vec![
            (json!("maybe"), ": expected `remove` or `keep` or a mapping with `from`, found \"maybe\""),
            (json!([]), ": expected `remove` or `keep` or a mapping with `from`, found a list"),
            (json!({}), ": expected a mapping with `from`, found an empty mapping"),
            (json!({"from": caller}), &format!(".from{}", callers("caller"))),
            (json!({"from": {"any": [{"not": claim}]}}), &format!(".from.any[0].not{}", callers("claim"))),
            (json!({"from": route}), &format!(".from{}", trust("route"))),
            (json!({"from": {"all": [hop]}}), &format!(".from.all[0]{}", trust("signed_hop"))),
        ],
    );
    let kinds = "`all` or `any` or `not` or `method` or `path` or `header` or `query` or `peer` or `source` or `caller` or `claim` or `route` or `signed_hop`";
    let name = "expected a name of letters, digits and !#$%&'*+-.^_`|~, found";
    let nobody = "expected a name in `identity.providers`, found \"nobody\"";
    let missing = ": expected a field `match`, found none";
    check(
        "/routes/0/rules/0/when",
        "routes[0].rules[0].when",
        vec![
            (route, &trust("route")),
            (json!({"not": hop}), &format!(".not{}", trust("signed_hop"))),
            (json!({}), &format!(": expected a mapping with {kinds}, found an empty mapping")),
            (json!({"claims": 1}), &format!(": expected a mapping with {kinds}, found `claims`")),
            (json!({"method": []}), ".method: expected a list of at least one, found an empty one"),
            (json!({"method": ["get"]}), ".method[0]: expected a method in upper case, such as GET, found \"get\""),
            (json!({"path": {"exact": "/a/../b"}}), ".path.exact: expected a path in normal form, which is \"/b\" (\"/a/../b\")"),
            (json!({"header": {"name": "a b", "match": {"present": true}}}), &format!(".header.name: {name} \"a b\"")),
            (json!({"header": {"name": "a"}}), &format!(".header{missing}")),
            (
                json!({"query": {"name": "", "match": {"present": true}}}),
                ".query.name: expected text of at least one character, found \"\"",
            ),
            (json!({"query": {"name": "a"}}), &format!(".query{missing}")),
            (json!({"caller": {"provider": "nobody"}}), &format!(".caller.provider: {nobody}")),
            (json!({"claim": {"provider": "nobody", "path": "a", "match": {"present": true}}}), &format!(".claim.provider: {nobody}")),
            (json!({"claim": {"provider": "customers", "path": "a"}}), &format!(".claim{missing}")),
            (
                json!({"claim": {"provider": "partners", "path": "a", "match": {"present": true}}}),
                ".claim: expected `claims` beside an issuer of tokens alone, found it beside another",
            ),
            (
                json!({"caller": {"provider": "customers", "products": ["gold"]}}),
                ".caller.products: expected `products` beside a provider of subscription keys alone, found it beside another",
            ),
        ],
    );
    check(
        "/trace/trust/0/when",
        "trace.trust[0].when",
        vec![
            (json!({"caller": {"provider": "nobody"}}), &format!(".caller.provider: {nobody}")),
            (
                json!({"not": {"claim": {"provider": "nobody", "path": "a", "match": {"present": true}}}}),
                &format!(".not.claim.provider: {nobody}"),
            ),
        ],
    );
}

#[test]
fn headers_that_tell_of_callers_mean_nothing_else() {
    let taken = "expected a header that means nothing else to gateways and services, found";
    let own = "expected a header of its own, found one that carries something else, or that some service takes for such a one";
    for header in [
        "Authorization",
        "cookie",
        "Host",
        "content-length",
        "Content_Length",
        "transfer-encoding",
        "transfer_encoding",
        "X-Forwarded-For",
        "x_forwarded_client_cert",
        "x-forwarded-anything",
        "X-Envoy-Original-Path",
        "x_envoy_x",
        "proxy-authorization",
        "x-request-id",
        "x_request_id",
        "forwarded",
        "traceparent",
        "TraceState",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x_b3_traceid",
        "uberctx-a",
        "x-datadog-trace-id",
        "tracegate-reason",
    ] {
        let expected = format!(": {taken} {header:?}");
        check("/identity/claim_to_headers/0/header", "identity.claim_to_headers[0].header", vec![(json!(header), &expected)]);
        check("/identity/caller_to_headers/3/header", "identity.caller_to_headers[3].header", vec![(json!(header), &expected)]);
    }
    for header in ["X-User-Roles", "x_user_roles", "x.user-roles", "api_key", "API-KEY", "x_customer_token"] {
        let path = if header.to_lowercase().ends_with("roles") {
            "identity.claim_to_headers[1].header"
        } else {
            "identity.claim_to_headers[0].header"
        };
        check("/identity/claim_to_headers/0/header", path, vec![(json!(header), &format!(": {own}"))]);
        let changed = changed("/identity/caller_to_headers/0/header", json!(header));
        assert_eq!(wrong(&changed), [format!("identity.caller_to_headers[0].header: {own}")], "{header}");
    }
    for header in ["x-user", "x-user-id2", "xuserroles", "client-id", "x-b3", "dnt"] {
        loaded(&changed("/identity/claim_to_headers/0/header", json!(header)));
    }
    let path = "expected a claim's name or a JSON Pointer such as /realm_access/roles, of at most 256 bytes";
    let separator = ": expected 1 to 8 spaces and ASCII punctuation marks but `%`, found";
    let tokens = "expected an issuer of tokens in `identity.providers`, found";
    check(
        "/identity/claim_to_headers/0",
        "identity.claim_to_headers[0]",
        vec![
            (json!({"claim": "a"}), ": expected a field `header`, found none"),
            (json!({"header": "x-a"}), ": expected a field `claim`, found none"),
            (json!({"claim": "/~", "header": "x-a"}), &format!(".claim: {path} (\"/~\")")),
            (json!({"claim": "a", "header": "x a"}), ".header: expected a name of letters, digits and !#$%&'*+-.^_`|~, found \"x a\""),
            (json!({"claim": "a", "header": "x-a", "separator": ""}), &format!(".separator{separator} \"\"")),
            (json!({"claim": "a", "header": "x-a", "separator": "%"}), &format!(".separator{separator} \"%\"")),
            (json!({"claim": "a", "header": "x-a", "separator": "\n"}), &format!(".separator{separator} \"\\n\"")),
            (json!({"claim": "a", "header": "x-a", "separator": "123456789"}), &format!(".separator{separator} \"123456789\"")),
            (json!({"claim": "a", "header": "x-a", "provider": "nobody"}), &format!(".provider: {tokens} \"nobody\"")),
            (json!({"claim": "a", "header": "x-a", "provider": "partners"}), &format!(".provider: {tokens} \"partners\"")),
        ],
    );
    check(
        "/identity/caller_to_headers/0",
        "identity.caller_to_headers[0]",
        vec![
            (json!({"header": "x-a"}), ": expected a field `caller`, found none"),
            (
                json!({"caller": "sub", "header": "x-a"}),
                ".caller: expected `provider` or `service` or `subscription` or `product`, found \"sub\"",
            ),
        ],
    );
    let secret = "5ec4e75ec4e75ec4e7";
    check(
        "/identity/replace_token",
        "identity.replace_token",
        vec![
            (json!({}), ": expected a field `credential`, found none"),
            (
                json!({"scheme": "a b", "credential": {"secret": "upstream"}}),
                ".scheme: expected a name of letters, digits and !#$%&'*+-.^_`|~, found something else",
            ),
            (json!({"credential": {"secret": secret}}), ".credential.secret: expected a name in `secrets`, found another"),
            (json!({ "credential": secret }), ".credential: expected a mapping, found something else"),
        ],
    );
    check(
        "/identity/forward_token",
        "identity",
        vec![
            (json!(true), ".replace_token: expected `replace_token` or `forward_token`, found both"),
            (json!("yes"), ".forward_token: expected `true` or `false`, found \"yes\""),
        ],
    );
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    for (place, value, expected) in [
        (
            "/routes/0/rules/1/require",
            json!({"any_of": ["deny", "anonymous"]}),
            "routes[0].rules[1].when: warning: a rule that everybody meets keeps nobody out, whatever its condition",
        ),
        (
            "/routes/0/rules/1/require",
            json!("anonymous"),
            "routes[0].rules[1].when: warning: a rule that everybody meets keeps nobody out, whatever its condition",
        ),
        ("/routes/0/rules/1/require", json!({"all_of": ["deny", "anonymous"]}), ""),
        (
            "/routes/0/rules/0/require",
            json!("anonymous"),
            "identity.providers.mesh: warning: no rule requires this provider: it keeps nobody out\nidentity.providers.partners: warning: no rule requires this provider: it keeps nobody out",
        ),
    ] {
        let warnings = loaded(&changed(place, value.clone())).warnings;
        let warnings: Vec<String> = warnings.iter().map(|line| line.to_string().splitn(3, ':').nth(2).unwrap().trim().to_owned()).collect();
        assert_eq!(warnings.join("\n"), expected, "{value}");
    }
    let mut anybodys = whole();
    anybodys["identity"]["providers"]["staff"]["entra"].as_object_mut().unwrap().remove("tenants");
    for tenant in ["organizations", "common"] {
        anybodys["identity"]["providers"]["staff"]["entra"]["tenant"] = json!(tenant);
        let warning = "identity.providers.staff.entra.tenant: warning: without `tenants` anybody's tenant vouches for its callers";
        assert!(loaded(&anybodys).warnings.to_string().ends_with(warning), "{tenant}");
    }
    for tenant in ["consumers", TENANT] {
        anybodys["identity"]["providers"]["staff"]["entra"]["tenant"] = json!(tenant);
        assert_eq!(loaded(&anybodys).warnings.to_string(), "", "{tenant}");
    }
}
