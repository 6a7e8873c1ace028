// SPDX-License-Identifier: Apache-2.0
//! What is asked of providers, and what is wrong with them: Entra ID, subscription keys, client certificates.

use super::*;

#[test]
fn of_a_caller_is_asked_what_its_provider_can_tell() {
    let empty = "expected a list of at least one, found an empty one";
    let nothing = "expected text of at least one character, found \"\"";
    let of = |provider: &str, field: &str, value: Value| json!({"caller": {"provider": provider, field: value}});
    let place = ("/routes/0/rules/0/require", "routes[0].rules[0].require.caller");
    for (field, provider) in [
        ("scopes", "customers"),
        ("roles", "customers"),
        ("groups", "staff"),
        ("services", "mesh"),
        ("subscriptions", "partners"),
        ("products", "partners"),
    ] {
        check(
            place.0,
            place.1,
            vec![
                (of(provider, field, json!([])), &format!(".{field}: {empty}")),
                (of(provider, field, json!([""])), &format!(".{field}[0]: {nothing}")),
                (of(provider, field, json!("a")), &format!(".{field}: expected a list, found \"a\"")),
                (of(provider, field, json!(["a", 1])), &format!(".{field}[1]: expected text, found 1")),
            ],
        );
    }
    let tokens = |field: &str| format!(".{field}: expected `{field}` beside an issuer of tokens alone, found it beside another");
    let keys = |field: &str| format!(".{field}: expected `{field}` beside a provider of subscription keys alone, found it beside another");
    let claims = json!([{"path": "a", "match": {"present": true}}]);
    for provider in ["partners", "mesh"] {
        for field in ["scopes", "roles", "groups"] {
            check(place.0, place.1, vec![(of(provider, field, json!(["a"])), &tokens(field))]);
        }
        check(place.0, place.1, vec![(of(provider, "claims", claims.clone()), &tokens("claims"))]);
    }
    for provider in ["customers", "staff", "mesh"] {
        for field in ["subscriptions", "products"] {
            check(place.0, place.1, vec![(of(provider, field, json!(["a"])), &keys(field))]);
        }
    }
    for provider in ["customers", "partners"] {
        let expected = ".services: expected `services` beside a provider with `services` alone, found it beside another";
        check(place.0, place.1, vec![(of(provider, "services", json!(["a"])), expected)]);
    }
    check(
        place.0,
        place.1,
        vec![
            (
                of("staff", "services", json!(["billing", "stock"])),
                ".services[1]: expected one of the provider's services, found \"stock\"",
            ),
            (of("mesh", "services", json!(["billing"])), ".services[0]: expected one of the provider's services, found \"billing\""),
            (
                of("partners", "subscriptions", json!(["Contoso"])),
                ".subscriptions[0]: expected one of the provider's subscriptions, found \"Contoso\"",
            ),
            (of("partners", "products", json!(["silver"])), ".products[0]: expected one of the provider's products, found \"silver\""),
            (
                of("customers", "scopes", json!(["a b"])),
                ".scopes[0]: expected a scope: printable ASCII without spaces, quotes and backslashes, found \"a b\"",
            ),
            (
                of("customers", "scopes", json!(["é"])),
                ".scopes[0]: expected a scope: printable ASCII without spaces, quotes and backslashes, found \"é\"",
            ),
        ],
    );
    let claim = |claim: Value| of("customers", "claims", json!([claim]));
    let with = |matched: Value| claim(json!({"path": "a", "match": matched}));
    let path = "expected a claim's name or a JSON Pointer such as /realm_access/roles, of at most 256 bytes";
    let regex = "expected a regular expression of at most 512 bytes, small when it is compiled, without look-around and back-references";
    let form =
        "expected a mapping with `exact` or `one_of` or `all_of` or `prefix` or `suffix` or `contains` or `regex` or `present`, found";
    let a = "a".repeat(40);
    check(
        place.0,
        &format!("{}.claims[0]", place.1),
        vec![
            (claim(json!("a")), ": expected a mapping, found \"a\""),
            (claim(json!({"match": {"present": true}})), ": expected a field `path`, found none"),
            (claim(json!({"path": "a"})), ": expected a field `match`, found none"),
            (claim(json!({"path": "", "match": {"present": true}})), &format!(".path: {path} (\"\")")),
            (claim(json!({"path": "/a~2", "match": {"present": true}})), &format!(".path: {path} (\"/a~2\")")),
            (claim(json!({"path": "/a~", "match": {"present": true}})), &format!(".path: {path} (\"/a~\")")),
            (claim(json!({"path": "a".repeat(257), "match": {"present": true}})), &format!(".path: {path} (\"{a}\"…)")),
            (claim(json!({"path": 7, "match": {"present": true}})), ".path: expected text, found 7"),
            (claim(json!({"path": "a", "separator": "", "match": {"present": true}})), &format!(".separator: {nothing}")),
            (with(json!("a")), &format!(".match: {form} \"a\"")),
            (with(json!({})), &format!(".match: {form} an empty mapping")),
            (with(json!({"exact": "a", "prefix": "b"})), &format!(".match: {form} `exact` and `prefix`")),
            (with(json!({"exact": 7})), ".match.exact: expected text, found 7"),
            (with(json!({"one_of": []})), &format!(".match.one_of: {empty}")),
            (with(json!({"one_of": ["a", null]})), ".match.one_of[1]: expected text, found null"),
            (with(json!({"all_of": []})), &format!(".match.all_of: {empty}")),
            (with(json!({"prefix": ""})), &format!(".match.prefix: {nothing}")),
            (with(json!({"suffix": ""})), &format!(".match.suffix: {nothing}")),
            (with(json!({"contains": ""})), &format!(".match.contains: {nothing}")),
            (with(json!({"regex": "("})), &format!(".match.regex: {regex} (\"(\")")),
            (with(json!({"regex": "(?=a)"})), &format!(".match.regex: {regex} (\"(?=a)\")")),
            (with(json!({"regex": "a".repeat(513)})), &format!(".match.regex: {regex} (\"{a}\"…)")),
            (
                with(json!({"regex": "((((a{99}){99}){99}){99})"})),
                &format!(".match.regex: {regex} (\"((((a{{99}}){{99}}){{99}}){{99}})\")"),
            ),
            (with(json!({"present": "yes"})), ".match.present: expected `true` or `false`, found \"yes\""),
        ],
    );
    loaded(&changed(place.0, claim(json!({"path": "a".repeat(256), "match": {"regex": "a".repeat(512)}}))));
}

#[test]
fn what_is_wrong_with_entra_id_is_named() {
    let tenant = "expected a tenant's id, which is a GUID, or `organizations`, `consumers` or `common`";
    let guid = "expected a GUID such as 3f9b2c1a-2222-4d7e-8a5f-000000000002";
    let alone = ".tenants: expected `tenants` beside `organizations` or `common` alone, found them beside another `tenant`";
    let empty = "expected a list of at least one, found an empty one";
    let missing = |field: &str| format!(": expected a field `{field}`, found none");
    let (place, path) = ("/identity/providers/staff/entra", "identity.providers.staff.entra");
    let with = |field: &str, value: Value| {
        let mut entra = whole()["identity"]["providers"]["staff"]["entra"].take();
        entra[field] = value;
        entra.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        entra
    };
    check(
        place,
        path,
        vec![
            (with("tenant", json!(null)), &missing("tenant")),
            (with("audiences", json!(null)), &missing("audiences")),
            (with("cluster", json!(null)), &missing("cluster")),
            (with("tenant", json!("shop.onmicrosoft.com")), &format!(".tenant: {tenant} (\"shop.onmicrosoft.com\")")),
            (with("tenant", json!("Common")), &format!(".tenant: {tenant} (\"Common\")")),
            (with("tenant", json!(TENANT)), alone),
            (with("tenant", json!("consumers")), alone),
            (with("tenants", json!([])), &format!(".tenants: {empty}")),
            (with("tenants", json!([TENANT, &TENANT[1..]])), &format!(".tenants[1]: {guid} (\"{}\")", &TENANT[1..])),
            (with("tenants", json!([TENANT.replace('-', "")])), &format!(".tenants[0]: {guid} (\"{}\")", TENANT.replace('-', ""))),
            (with("audiences", json!([])), &format!(".audiences: {empty}")),
            (with("applications", json!([])), &format!(".applications: {empty}")),
            (with("applications", json!(["billing"])), &format!(".applications[0]: {guid} (\"billing\")")),
            (with("cluster", json!("")), ".cluster: expected text of at least one character, found \"\""),
            (with("cloud", json!("moon")), ".cloud: expected `public` or `us_government` or `china`, found \"moon\""),
            (with("signing_key_application", json!("a")), &format!(".signing_key_application: {guid} (\"a\")")),
            (with("tokens", json!([])), &format!(".tokens: {empty}")),
            (with("clock_skew", json!("11m")), ".clock_skew: expected a duration up to 10m, found \"11m\""),
            (with("certificate_bound", json!("yes")), ".certificate_bound: expected `true` or `false`, found \"yes\""),
            (with("services", json!([{"name": "a"}])), &format!(".services[0]{}", missing("workload"))),
            (with("services", json!([{"workload": {"application": TENANT}}])), &format!(".services[0]{}", missing("name"))),
            (
                with("services", json!([{"name": "a", "workload": {}}])),
                ".services[0].workload: expected a mapping with `managed_identity` or `application`, found an empty mapping",
            ),
            (
                with("services", json!([{"name": "a", "workload": {"managed_identity": "billing"}}])),
                ".services[0].workload.managed_identity: expected a resource id, which begins with `/`, found \"billing\"",
            ),
            (
                with("services", json!([{"name": "a", "workload": {"application": "billing"}}])),
                &format!(".services[0].workload.application: {guid} (\"billing\")"),
            ),
            (
                with("keys", json!({})),
                ".keys: expected one of `tenant`, `tenants`, `audiences`, `applications`, `services`, `cluster`, `cloud`, `signing_key_application`, `tokens`, `clock_skew`, `certificate_bound`, found an unknown field",
            ),
        ],
    );
}

#[test]
fn what_is_wrong_with_subscriptions_is_named_and_no_key_is_shown() {
    let empty = "expected a list of at least one, found an empty one";
    let nothing = "expected text of at least one character, found \"\"";
    let digest = "expected the SHA-256 digest of a key, in 64 hexadecimal digits (something else)";
    let twice = "expected a key of its own, found one that stands here twice";
    let (place, path) = ("/identity/providers/partners/subscription_keys", "identity.providers.partners.subscription_keys");
    let with = |field: &str, value: Value| {
        let mut keys = whole()["identity"]["providers"]["partners"]["subscription_keys"].take();
        keys[field] = value;
        keys
    };
    let one = |more: Value| {
        let mut one = json!({"id": "contoso", "product": "gold", "keys_sha256": [DIGEST]});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with("subscriptions", json!([one]))
    };
    check(
        place,
        path,
        vec![
            (json!({}), ": expected a field `subscriptions`, found none"),
            (with("subscriptions", json!([])), &format!(".subscriptions: {empty}")),
            (with("subscriptions", json!([{"keys_sha256": [DIGEST]}])), ".subscriptions[0]: expected a field `id`, found none"),
            (with("subscriptions", json!([{"id": "a"}])), ".subscriptions[0]: expected a field `keys_sha256`, found none"),
            (
                with("subscriptions", json!([{"id": "a", "keys_sha256": [DIGEST]}, {"id": "a", "keys_sha256": ["ab".repeat(32)]}])),
                ".subscriptions[1].id: expected a name of its own, found \"a\"",
            ),
            (
                with("subscriptions", json!([{"id": "a", "keys_sha256": [DIGEST]}, {"id": "b", "keys_sha256": [DIGEST.to_uppercase()]}])),
                &format!(".subscriptions[1].keys_sha256[0]: {twice}"),
            ),
            (one(json!({"keys_sha256": [DIGEST, DIGEST]})), &format!(".subscriptions[0].keys_sha256[1]: {twice}")),
            (one(json!({"id": ""})), &format!(".subscriptions[0].id: {nothing}")),
            (one(json!({"product": ""})), &format!(".subscriptions[0].product: {nothing}")),
            (
                one(json!({"state": "paused"})),
                ".subscriptions[0].state: expected `active` or `suspended` or `submitted` or `rejected` or `cancelled` or `expired`, found \"paused\"",
            ),
            (one(json!({"keys_sha256": []})), &format!(".subscriptions[0].keys_sha256: {empty}")),
            (
                one(json!({"keys_sha256": [DIGEST, "ab".repeat(32), "cd".repeat(32)]})),
                ".subscriptions[0].keys_sha256: expected at most two keys, found more",
            ),
            (one(json!({"keys_sha256": [&DIGEST[1..]]})), &format!(".subscriptions[0].keys_sha256[0]: {digest}")),
            (
                with("header", json!("Authorization")),
                ".header: expected a header that means nothing else to gateways and services, found \"Authorization\"",
            ),
            (with("header", json!("a b")), ".header: expected a name of letters, digits and !#$%&'*+-.^_`|~, found \"a b\""),
            (with("query", json!("")), &format!(".query: {nothing}")),
            (with("forward_key", json!("yes")), ".forward_key: expected `true` or `false`, found \"yes\""),
        ],
    );
    let secret = "5ec4e75ec4e75ec4e75ec4e75ec4e75e";
    for keys in [json!(secret), json!([secret]), json!([{ "key": secret }]), json!({ "key": secret }), json!([DIGEST, [secret]])] {
        let found = wrong(&changed(place, one(json!({ "keys_sha256": keys })))).join("\n");
        assert!(!found.is_empty() && !found.contains("5ec4"), "{keys}: {found}");
    }
}

#[test]
fn certificates_prove_nothing_where_nobody_verifies_them() {
    let mut unverified = whole();
    unverified["listener"] = json!({});
    let (place, path) = ("", "identity.providers.mesh");
    let proves = "what isn't verified proves nothing";
    check(
        place,
        path,
        vec![(
            unverified.clone(),
            &format!(": expected `listener: {{client_certificates: verified}}` beside `client_certificate`: {proves}"),
        )],
    );
    let peer = json!({"peer": {"subject": {"exact": "CN=a"}}});
    unverified["identity"]["providers"]["mesh"] = json!({"jwt": whole()["identity"]["providers"]["customers"]["jwt"]});
    unverified["routes"] = json!([]);
    unverified["listener"] = json!({"forwarded_client_cert": {"from": {"not": peer}}});
    let beside = format!(": expected `listener: {{client_certificates: verified}}` beside a `peer` to match: {proves}");
    check(place, "listener.forwarded_client_cert.from.not", vec![(unverified.clone(), &beside)]);
    unverified["listener"] = json!({});
    unverified["routes"] = json!([{"name": "a", "rules": [{"name": "b", "require": "deny", "when": {"all": [peer]}}]}]);
    check(place, "routes[0].rules[0].when.all[0]", vec![(unverified, &beside)]);
    check(
        "/identity/providers/mesh/client_certificate/services/0",
        "identity.providers.mesh.client_certificate.services[0]",
        vec![
            (json!({"name": "stock"}), ": expected a field `peer`, found none"),
            (json!({"peer": {"subject": {"exact": "CN=a"}}}), ": expected a field `name`, found none"),
            (
                json!({"name": "stock", "peer": {"dns_san": {"suffix": "shop.example"}}}),
                ".peer.dns_san: expected a suffix with its leading dot, such as .shop.example, found a mapping",
            ),
            (json!({"name": "stock", "peer": {"sha256": "ab"}}), ".peer.sha256: expected 64 hexadecimal digits, found \"ab\""),
        ],
    );
}
