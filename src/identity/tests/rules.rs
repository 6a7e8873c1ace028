// SPDX-License-Identifier: Apache-2.0
//! Whole exchanges: who is let through, and what who isn't is told.

use serde_json::{Value, json};

use super::edge::{Edge, Fate, customer, entra, entra_keys, of, policy, require, second};
use super::*;
use crate::decision::Reason;
use crate::inputs::PeerFact;

const KEY: &str = "ocp-apim-subscription-key";
const ASKS_FOR_KEY: &str = "AzureApiManagementKey realm=\"edge\",name=\"Ocp-Apim-Subscription-Key\",type=\"header\"";
const EXPIRED: &str = "Bearer error=\"invalid_token\", error_description=\"The token has expired.\"";
const LACKS: &str = "Bearer error=\"insufficient_scope\", error_description=\"The token lacks a required claim.\"";
const SHORT_OF: &str = "Bearer error=\"insufficient_scope\", error_description=\"A claim of the token is not sufficient.\"";
const TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000002";
const OTHER_TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000003";

/// The line that carries a token.
fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

fn lend(lines: &[(&'static str, String)]) -> Vec<(&'static str, &'static str)> {
    lines.iter().map(|(name, value)| (*name, &*Box::leak(value.clone().into_boxed_str()))).collect()
}

#[test]
fn any_way_in_is_enough_and_all_are_asked_where_all_must_be() {
    let (good, expired) = (bearer(&customer(json!({}))), bearer(&customer(json!({"exp": 1}))));
    let (key, wrong) = ((KEY, "primary".to_owned()), (KEY, "wrong".to_owned()));
    let scoped = json!({"caller": {"provider": "customers", "scopes": ["orders.write", "orders.read"]}});
    let any = |ways: &[Value]| json!({ "any_of": ways });
    let all = |ways: &[Value]| json!({ "all_of": ways });
    let (customers, partners, mesh) = (of("customers"), of("partners"), of("mesh"));
    let (anonymous, deny) = (json!("anonymous"), json!("deny"));
    let with_scopes = format!("{LACKS}, scope=\"orders.write orders.read\"");
    for (asked, lines, expected, challenges) in [
        (any(&[customers.clone(), partners.clone()]), vec![], "401 TokenNotPresent", vec!["Bearer", ASKS_FOR_KEY]),
        (any(&[partners.clone(), customers.clone()]), vec![], "401 SubscriptionKeyNotFound", vec![ASKS_FOR_KEY, "Bearer"]),
        (any(&[customers.clone(), partners.clone()]), vec![wrong.clone()], "401 SubscriptionKeyInvalid", vec![ASKS_FOR_KEY, "Bearer"]),
        (any(&[customers.clone(), partners.clone()]), vec![expired.clone()], "401 TokenExpired", vec![EXPIRED, ASKS_FOR_KEY]),
        (any(&[customers.clone(), partners.clone()]), vec![expired.clone(), key.clone()], "admitted", vec![]),
        (any(&[customers.clone(), of("second")]), vec![], "401 TokenNotPresent", vec!["Bearer"]),
        (any(&[scoped.clone(), partners.clone()]), vec![good.clone()], "403 TokenClaimNotFound", vec![&with_scopes]),
        (any(&[partners.clone(), scoped.clone()]), vec![good.clone(), wrong], "403 TokenClaimNotFound", vec![&with_scopes]),
        (any(&[mesh.clone(), customers.clone()]), vec![], "403 ClientCertificateNotFound", vec![]),
        (any(&[customers.clone(), mesh.clone()]), vec![], "401 TokenNotPresent", vec!["Bearer"]),
        (any(&[deny.clone(), customers.clone()]), vec![], "401 TokenNotPresent", vec!["Bearer"]),
        (any(&[deny.clone(), customers.clone()]), vec![good.clone()], "admitted", vec![]),
        (any(&[deny.clone(), deny.clone()]), vec![good.clone()], "403 AccessDenied", vec![]),
        (any(&[customers.clone(), anonymous.clone()]), vec![], "admitted", vec![]),
        (any(&[customers.clone(), anonymous.clone()]), vec![expired.clone()], "admitted", vec![]),
        (all(&[customers.clone(), partners.clone()]), vec![], "401 TokenNotPresent", vec!["Bearer"]),
        (all(&[customers.clone(), partners.clone()]), vec![good.clone()], "401 SubscriptionKeyNotFound", vec![ASKS_FOR_KEY]),
        (all(&[customers.clone(), partners.clone()]), vec![key.clone()], "401 TokenNotPresent", vec!["Bearer"]),
        (all(&[customers.clone(), partners.clone()]), vec![good.clone(), key.clone()], "admitted", vec![]),
        (all(&[customers.clone(), deny]), vec![good.clone()], "403 AccessDenied", vec![]),
        (all(&[anonymous, customers.clone()]), vec![], "401 TokenNotPresent", vec!["Bearer"]),
        (all(&[any(&[mesh, customers.clone()]), partners.clone()]), vec![good, key], "admitted", vec![]),
        (json!("anonymous"), vec![expired.clone()], "admitted", vec![]),
        (customers, vec![expired], "401 TokenExpired", vec![EXPIRED]),
    ] {
        let mut edge = Edge::new(&policy(require(asked.clone()), |_| {}));
        let fate = edge.send(&lend(&lines));
        assert_eq!((fate.told().as_str(), fate.challenges()), (expected, challenges), "{asked} {lines:?}");
    }
}

#[test]
fn a_genuine_token_that_is_not_enough_is_told_so() {
    let scope = |scopes: &str| format!("{SHORT_OF}, scope=\"{scopes}\"");
    let (lacks, lacks_b) = (format!("{LACKS}, scope=\"a\""), scope("a b"));
    for (asked, claims, expected, challenge) in [
        (json!({"scopes": ["a"]}), json!({"scp": "b a"}), "admitted", ""),
        (json!({"scopes": ["a"]}), json!({}), "403 TokenClaimNotFound", &*lacks),
        (json!({"scopes": ["a", "b"]}), json!({"scope": "a"}), "403 TokenClaimValueNotAllowed", &lacks_b),
        (json!({"roles": ["a"]}), json!({"roles": ["b"]}), "403 TokenClaimValueNotAllowed", SHORT_OF),
        (json!({"roles": ["a"]}), json!({}), "403 TokenClaimNotFound", LACKS),
        (json!({"groups": ["a", "b"]}), json!({"groups": ["c", "b"]}), "admitted", ""),
        (json!({"scopes": ["a"], "roles": ["r"]}), json!({"scp": "a", "roles": ["x"]}), "403 TokenClaimValueNotAllowed", SHORT_OF),
        (json!({"claims": [{"path": "tier", "match": {"exact": "gold"}}]}), json!({"tier": "gold"}), "admitted", ""),
        (
            json!({"claims": [{"path": "tier", "match": {"exact": "gold"}}]}),
            json!({"tier": "silver"}),
            "403 TokenClaimValueNotAllowed",
            SHORT_OF,
        ),
        (json!({"claims": [{"path": "tier", "match": {"present": true}}]}), json!({"tier": null}), "403 TokenClaimNotFound", LACKS),
        (
            json!({"claims": [{"path": "tier", "match": {"regex": ".*"}}]}),
            json!({"tier": "a".repeat(4097)}),
            "403 TokenClaimValueNotAllowed",
            SHORT_OF,
        ),
    ] {
        let mut caller = asked.clone();
        caller["provider"] = json!("customers");
        let mut edge = Edge::new(&policy(require(json!({ "caller": caller })), |policy| {
            policy["identity"]["providers"]["customers"]["jwt"]["max_length"] = json!(65_536);
        }));
        let fate = edge.send(&lend(&[bearer(&customer(claims.clone()))]));
        assert_eq!((fate.told().as_str(), fate.challenges().join("")), (expected, challenge.to_owned()), "{asked} {claims}");
    }
    for (asked, expected) in [
        (json!({"provider": "partners", "products": ["gold"]}), "401 SubscriptionKeyInvalid"),
        (json!({"provider": "partners", "subscriptions": ["contoso"]}), "401 SubscriptionKeyInvalid"),
        (json!({"provider": "partners", "subscriptions": ["fabrikam"]}), "admitted"),
    ] {
        let fate = Edge::new(&policy(require(json!({ "caller": asked })), |_| {})).send(&[(KEY, "other")]);
        assert_eq!(fate.told(), expected);
        assert_eq!(fate.challenges(), if expected == "admitted" { vec![] } else { vec![ASKS_FOR_KEY] });
    }
}

#[test]
fn a_rule_applies_unless_its_condition_is_known_not_to_hold() {
    let header = |matched: Value| json!({"header": {"name": "X-Beta", "match": matched}});
    let query = |matched: Value| json!({"query": {"name": "debug", "match": matched}});
    let claim = |matched: Value| json!({"claim": {"provider": "customers", "path": "tier", "match": matched}});
    let not = |condition: Value| json!({ "not": condition });
    let source = json!({"source": {"cidr": ["203.0.113.0/24"]}});
    let long = "a".repeat(4097);
    let token = |claims: Value| bearer(&customer(claims));
    let line = |name: &'static str, value: &str| (name, value.to_owned());
    let from = |address: &str| Some(address.to_owned());
    for (when, lines, address, applies) in [
        (json!({"method": ["POST", "GET"]}), vec![], None, true),
        (json!({"method": ["POST"]}), vec![], None, false),
        (not(json!({"method": ["POST"]})), vec![], None, true),
        (json!({"path": {"prefix": "/orders/7"}}), vec![], None, false),
        (json!({"path": {"template": "/orders/{id}"}}), vec![line(":path", "/orders/a/../7?x")], None, true),
        (header(json!({"present": true})), vec![line("x-beta", "")], None, true),
        (header(json!({"present": true})), vec![], None, false),
        (header(json!({"exact": "1"})), vec![line("x-beta", "0"), line("x-beta", "1")], None, true),
        (header(json!({"regex": "[0-9]+"})), vec![line("x-beta", "x")], None, false),
        (header(json!({"regex": "[0-9]+"})), vec![line("x-beta", "\u{ff}")], None, true),
        (not(header(json!({"regex": "[0-9]+"}))), vec![line("x-beta", &long)], None, true),
        (query(json!({"exact": "1"})), vec![line(":path", "/orders?%64ebug=%31")], None, true),
        (query(json!({"exact": "1"})), vec![line(":path", "/orders?debug=2&x=1")], None, false),
        (query(json!({"present": false})), vec![line(":path", "/orders?x=1")], None, true),
        (query(json!({"regex": "1"})), vec![line(":path", "/orders?debug=%ff")], None, true),
        (source.clone(), vec![], from("203.0.113.9:1"), true),
        (source.clone(), vec![], from("198.51.100.1:1"), false),
        (source.clone(), vec![], None, true),
        (not(source.clone()), vec![], None, true),
        (not(source.clone()), vec![], from("203.0.113.9:1"), false),
        (json!({"all": [source.clone(), {"method": ["POST"]}]}), vec![], None, false),
        (json!({"any": [source, {"method": ["POST"]}]}), vec![], None, true),
        (of("customers"), vec![token(json!({}))], None, true),
        (of("customers"), vec![], None, false),
        (of("customers"), vec![token(json!({"exp": 1}))], None, false),
        (not(of("customers")), vec![token(json!({"exp": 1}))], None, true),
        (not(of("customers")), vec![token(json!({}))], None, false),
        (json!({"caller": {"provider": "partners", "products": ["gold"]}}), vec![line(KEY, "primary")], None, true),
        (json!({"caller": {"provider": "partners", "products": ["gold"]}}), vec![line(KEY, "other")], None, false),
        (claim(json!({"exact": "gold"})), vec![token(json!({"tier": "gold"}))], None, true),
        (claim(json!({"exact": "gold"})), vec![token(json!({"tier": "silver"}))], None, false),
        (claim(json!({"exact": "gold"})), vec![], None, false),
        (not(claim(json!({"exact": "gold"}))), vec![], None, true),
        (claim(json!({"present": false})), vec![token(json!({}))], None, true),
        // A claim that is too long for a pattern evades no rule.
        (claim(json!({"regex": ".*x"})), vec![token(json!({ "tier": long }))], None, true),
        (not(claim(json!({"regex": ".*x"}))), vec![token(json!({ "tier": long }))], None, true),
    ] {
        let rules = json!([{"name": "rule", "require": "deny", "when": when}]);
        let mut edge = Edge::new(&policy(rules, |policy| {
            policy["identity"]["providers"]["customers"]["jwt"]["max_length"] = json!(65_536);
        }));
        edge.peer = address.iter().map(|address| (PeerFact::SourceAddress, address.clone())).collect();
        let expected = if applies { "403 AccessDenied" } else { "admitted" };
        assert_eq!(edge.send(&lend(&lines)).told(), expected, "{when} {address:?} {lines:.100?}");
    }
}

/// Two issuers that publish their keys.
fn published(policy: &mut Value) {
    for (name, cluster) in [("customers", "first"), ("second", "second")] {
        policy["identity"]["providers"][name]["jwt"]["keys"] =
            json!({"jwks": {"uri": "https://id.shop.example/jwks.json", "cluster": cluster, "wait": "1s", "timeout": "10s"}});
    }
    policy["identity"]["providers"]["second"]["jwt"]["keys"]["jwks"]["uri"] = json!("https://second.example/jwks.json");
}

fn both() -> Vec<(&'static str, &'static str)> {
    lend(&[bearer(&customer(json!({}))), ("x-second-token", second(json!({})))])
}

#[test]
fn rules_in_shadow_decide_nothing() {
    let shadow = |require: Value| json!({"name": "shadow", "require": require, "mode": "shadow"});
    let enforced = |require: Value, when: Option<Value>| {
        let mut rule = json!({"name": "enforced", "require": require});
        when.into_iter().for_each(|when| rule["when"] = when);
        rule
    };
    let tell = |policy: &mut Value| {
        policy["identity"]["claim_to_headers"] = json!([{"claim": "sub", "header": "x-user"}]);
        policy["trace"] = json!({"trust": [
            {"name": "ours", "when": {"caller": {"provider": "customers"}}, "context": "continue"}, {"name": "rest", "context": "restart"},
        ]});
    };
    let token = bearer(&customer(json!({})));
    for (rules, lines, expected, user, reason) in [
        (json!([shadow(json!("deny"))]), vec![], "admitted", vec![], Some(Reason::AccessDenied)),
        (json!([shadow(of("customers"))]), vec![], "admitted", vec![], Some(Reason::TokenNotPresent)),
        (json!([shadow(of("customers"))]), vec![token.clone()], "admitted", vec![], None),
        (json!([shadow(of("customers")), enforced(of("customers"), None)]), vec![token.clone()], "admitted", vec!["jane"], None),
        (json!([enforced(of("customers"), None), shadow(of("customers"))]), vec![token.clone()], "admitted", vec!["jane"], None),
        (json!([shadow(of("customers")), enforced(of("customers"), None)]), vec![], "401 TokenNotPresent", vec![], None),
        // With or without the first rule the second one proves the caller, in its condition.
        (json!([enforced(json!("deny"), Some(json!({"not": of("customers")})))]), vec![token.clone()], "admitted", vec!["jane"], None),
        (
            json!([shadow(of("customers")), enforced(json!("deny"), Some(json!({"not": of("customers")})))]),
            vec![token.clone()],
            "admitted",
            vec!["jane"],
            None,
        ),
    ] {
        let mut edge = Edge::new(&policy(rules.clone(), tell));
        let fate = edge.send(&lend(&lines));
        assert_eq!(fate.told(), expected, "{rules}");
        let counted = edge.counted();
        let shadowed: Vec<&String> = counted.keys().filter(|name| name.contains(".shadowed.")).collect();
        assert_eq!(shadowed, reason.map(|reason| format!("tracegate.requests.shadowed.{}", reason.as_str())).iter().collect::<Vec<_>>());
        if expected == "admitted" {
            assert_eq!(fate.upstream("x-user"), user, "{rules}");
            let principal = if user.is_empty() { "rest" } else { "ours" };
            assert!(counted.contains_key(&format!("tracegate.principals.restarted.{principal}")), "{rules}: {counted:?}");
        }
    }
}

#[test]
fn rules_in_shadow_make_nobody_wait_and_nobody_go_without_waiting() {
    let rules = json!([{"name": "shadow", "require": of("customers"), "mode": "shadow"}]);
    let line = lend(&[bearer(&customer(json!({})))]);
    let mut edge = Edge::new(&policy(rules.clone(), published));
    assert_eq!(edge.send(&line).told(), "admitted");
    assert_eq!(edge.counted()["tracegate.requests.shadowed.TokenKeysUnavailable"], 1);
    let mut rules = rules;
    rules.as_array_mut().unwrap().push(json!({"name": "enforced", "require": of("customers")}));
    let mut edge = Edge::new(&policy(rules.clone(), published));
    assert_eq!(edge.send(&line).told(), "waits");
    edge.tick();
    assert_eq!(edge.answer("first", "200", &key_set(&["k0"])), [""; 0], "another key");
    edge.tick();
    assert_eq!(edge.answer("first", "200", &key_set(&["k0", "k1"])), ["admitted"], "a key that has just been published");
    // Who may wait goes not without proof because who may not has none.
    let mut edge = Edge::new(&policy(rules, |policy| {
        published(policy);
        policy["identity"]["providers"]["customers"]["jwt"]["keys"]["jwks"]["on_unavailable"] = json!("admit");
    }));
    let mut forged = customer(json!({}));
    forged.replace_range(forged.len() - 4.., "AAAA");
    assert_eq!(edge.send(&lend(&[bearer(&forged)])).told(), "waits");
    edge.tick();
    assert_eq!(edge.answer("first", "200", &key_set(&["k1"])), ["401 TokenSignatureInvalid"]);
}

#[test]
fn several_issuers_are_waited_for_at_once_and_not_for_ever() {
    let all = json!({"all_of": [of("customers"), of("second")]});
    let rules = require(all);
    let mut edge = Edge::new(&policy(rules.clone(), published));
    assert_eq!(edge.send(&both()).told(), "waits");
    edge.pass(100_000_000);
    assert_eq!(edge.fetches.len(), 2, "both at once");
    assert_eq!(edge.answer("second", "200", &key_set(&["k2"])), [""; 0]);
    let steps = edge.steps;
    assert_eq!(edge.pass(500_000_000), [""; 0]);
    assert!(edge.steps <= steps + 1, "who has one issuer's keys is not woken for them again: {}", edge.steps - steps);
    assert_eq!(edge.answer("first", "200", &key_set(&["k1"])), ["admitted"]);
    assert_eq!(edge.send(&both()).told(), "admitted");
    // One fails.
    let mut edge = Edge::new(&policy(rules.clone(), published));
    assert_eq!(edge.send(&both()).told(), "waits");
    edge.tick();
    edge.answer("first", "200", &key_set(&["k1"]));
    edge.answer("second", "500", "");
    assert_eq!(edge.pass(1_100_000_000), ["503 TokenKeysUnavailable"]);
    // One never answers, and the other one's keys keep changing.
    let mut edge = Edge::new(&policy(rules, published));
    assert_eq!(edge.send(&both()).told(), "waits");
    edge.tick();
    edge.answer("first", "200", &key_set(&["k1"]));
    let mut decided = vec![];
    for _ in 0..11 {
        decided.extend(edge.pass(100_000_000));
    }
    assert_eq!(decided, ["503 TokenKeysUnavailable"], "the time to wait is over");
    // Either is enough.
    let mut edge = Edge::new(&policy(require(json!({"any_of": [of("customers"), of("second")]})), published));
    assert_eq!(edge.send(&both()).told(), "waits");
    edge.tick();
    assert_eq!(edge.answer("second", "200", &key_set(&["k2"])), ["admitted"]);
}

#[test]
fn certificates_are_the_connections_or_what_a_proxy_of_ours_tells() {
    let told = "x-forwarded-client-cert";
    let from_proxy = json!({"from": {"peer": {"uri_san": {"exact": "spiffe://shop.example/outer"}}}});
    let proxy = vec![(PeerFact::UriSan, "spiffe://shop.example/outer".to_owned()), (PeerFact::Sha256, "0f".repeat(32))];
    let stock = vec![(PeerFact::DnsSan, "Stock.shop.example".to_owned()), (PeerFact::Sha256, "AB".repeat(32))];
    let stranger = vec![(PeerFact::DnsSan, "evil.example".to_owned()), (PeerFact::Sha256, "cd".repeat(32))];
    let (hash, own) = (format!("Hash={};DNS=stock.shop.example", "ab".repeat(32)), format!("Hash={}", "0F".repeat(32)));
    let evil = format!("Hash={};DNS=evil.example", "cd".repeat(32));
    let appended = format!("{hash},{own}");
    for (forwarded, peer, line, expected, goes_on) in [
        (json!("remove"), &stock, None, "admitted", None),
        (json!("remove"), &stranger, None, "403 ClientCertificateNotAllowed", None),
        (json!("remove"), &vec![], None, "403 ClientCertificateNotFound", None),
        (json!("remove"), &stranger, Some(&hash), "403 ClientCertificateNotAllowed", None),
        (json!("remove"), &stock, Some(&evil), "admitted", Some(false)),
        (json!("keep"), &stock, Some(&evil), "admitted", Some(true)),
        (json!("keep"), &stranger, Some(&hash), "403 ClientCertificateNotAllowed", None),
        (from_proxy.clone(), &proxy, Some(&hash), "admitted", Some(true)),
        (from_proxy.clone(), &proxy, Some(&appended), "admitted", Some(true)),
        (from_proxy.clone(), &proxy, Some(&evil), "403 ClientCertificateNotAllowed", None),
        (from_proxy.clone(), &proxy, Some(&own), "403 ClientCertificateNotFound", None),
        (from_proxy.clone(), &proxy, None, "403 ClientCertificateNotFound", None),
        (from_proxy.clone(), &stock, Some(&evil), "admitted", Some(false)),
        (from_proxy.clone(), &stranger, Some(&hash), "403 ClientCertificateNotAllowed", None),
        (from_proxy, &vec![], Some(&hash), "403 ClientCertificateNotFound", None),
    ] {
        let mut edge = Edge::new(&policy(require(json!({"caller": {"provider": "mesh", "services": ["stock"]}})), |policy| {
            policy["listener"]["forwarded_client_cert"] = forwarded.clone();
        }));
        edge.peer = peer.clone();
        let lines: Vec<(&str, &str)> = line.iter().map(|line| (told, line.as_str())).collect();
        let fate = edge.send(&lines);
        assert_eq!(fate.told(), expected, "{forwarded} {peer:?} {line:?}");
        if let Some(goes_on) = goes_on {
            assert_eq!(fate.upstream(told).len(), usize::from(goes_on), "{forwarded} {peer:?}");
        }
        // However it is spelt otherwise, it is nobody's to send.
        edge.peer = stock.clone();
        let other = edge.send(&[("x_forwarded_client_cert", &evil), (":path", "/open")]);
        assert_eq!(other.upstream("x_forwarded_client_cert"), [""; 0], "{forwarded}");
    }
}

#[test]
fn a_bound_token_is_its_certificates_alone() {
    let bound = customer(json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode([0xab; 32])}}));
    let free = customer(json!({}));
    for (required, token, digest, expected) in [
        (false, &bound, Some("AB"), "admitted"),
        (false, &bound, Some("cd"), "401 TokenBindingInvalid"),
        (false, &bound, None, "401 TokenBindingInvalid"),
        (false, &free, None, "admitted"),
        (true, &free, Some("ab"), "401 TokenBindingInvalid"),
        (true, &bound, Some("ab"), "admitted"),
    ] {
        let mut edge = Edge::new(&policy(require(of("customers")), |policy| {
            policy["identity"]["providers"]["customers"]["jwt"]["certificate_bound"] = json!(required);
        }));
        // The same token is known from before: whose it is is asked again.
        edge.peer = vec![(PeerFact::Sha256, "ab".repeat(32))];
        edge.send(&lend(&[bearer(token)]));
        edge.peer = digest.iter().map(|digit| (PeerFact::Sha256, digit.repeat(32))).collect();
        assert_eq!(edge.send(&lend(&[bearer(token)])).told(), expected, "{required} {digest:?}");
    }
}

#[test]
fn tokens_of_entra_id_are_their_tenants_in_both_versions() {
    let first = |tenant: &str| format!("https://sts.windows.net/{tenant}/");
    let second = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let pattern = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let claims = |issuer: String, tenant: &str| json!({"iss": issuer, "aud": "orders-api", "exp": 3600, "tid": tenant, "azp": TENANT});
    let mut edge = Edge::new(&policy(require(of("staff")), |policy| {
        policy["identity"]["providers"]["staff"] = json!({"entra": {
            "tenant": "organizations", "tenants": [TENANT, OTHER_TENANT], "audiences": ["orders-api"], "cluster": "entra",
            "applications": [TENANT],
        }});
    }));
    let send = |edge: &mut Edge, key: &str, claims: &Value| edge.send(&lend(&[bearer(&entra(key, claims))]));
    assert_eq!(send(&mut edge, "any", &claims(second(TENANT), TENANT)).told(), "waits");
    edge.tick();
    assert_eq!(edge.fetches[0].uri.path, "/organizations/discovery/v2.0/keys");
    let keys =
        entra_keys(&[("any", Some(pattern)), ("own", Some(&second(TENANT))), ("plain", None), ("evil", Some("https://evil.example/"))]);
    assert_eq!(edge.answer("entra", "200", &keys), ["admitted"]);
    let mut without = claims(second(TENANT), TENANT);
    without["azp"] = json!(OTHER_TENANT);
    for (key, claims, expected) in [
        ("any", claims(second(TENANT), TENANT), "admitted"),
        ("any", claims(first(TENANT), TENANT), "admitted"),
        ("any", claims(second(OTHER_TENANT), OTHER_TENANT), "admitted"),
        ("own", claims(second(TENANT), TENANT), "admitted"),
        ("own", claims(second(OTHER_TENANT), OTHER_TENANT), "401 TokenSignatureKeyNotFound"),
        ("plain", claims(second(TENANT), TENANT), "admitted"),
        ("evil", claims(second(TENANT), TENANT), "401 TokenSignatureKeyNotFound"),
        ("any", claims(second(OTHER_TENANT), TENANT), "401 TokenIssuerNotAllowed"),
        ("any", claims(pattern.to_owned(), "{tenantid}"), "401 TokenIssuerNotAllowed"),
        (
            "any",
            claims(second("9188040d-6c67-4c5b-b112-36a304b66dad"), "9188040d-6c67-4c5b-b112-36a304b66dad"),
            "401 TokenIssuerNotAllowed",
        ),
        ("any", without, "403 TokenClaimValueNotAllowed"),
    ] {
        assert_eq!(send(&mut edge, key, &claims).told(), expected, "{key} {claims}");
    }
}

#[test]
fn refusals_are_problems_where_the_policy_says_so() {
    let mut edge = Edge::new(&policy(require(of("customers")), |policy| {
        policy["responses"] = json!({"errors": "problem_json"});
        policy["default"] = json!({"action": "refuse", "status": 418});
        policy["routes"].as_array_mut().unwrap().push(json!({
            "name": "no", "match": {"path": {"exact": "/no"}}, "rules": [{"name": "no", "require": "deny"}],
        }));
    }));
    for (path, status, title, reason) in [
        ("/orders", 401, Some("Unauthorized"), "TokenNotPresent"),
        ("/no", 403, Some("Forbidden"), "AccessDenied"),
        ("/other", 418, None, "OperationNotFound"),
        ("/%2f", 400, Some("Bad Request"), "RequestPathAmbiguous"),
    ] {
        let Fate::Refused(refusal) = edge.send(&[(":path", path)]) else { panic!("{path} is admitted") };
        let body: Value = serde_json::from_str(&refusal.body()).unwrap();
        let told = (body["type"].as_str(), body["title"].as_str(), body["status"].as_u64(), body["reason"].as_str());
        assert_eq!(told, (Some("about:blank"), title, Some(status), Some(reason)), "{path}");
        let headers: Vec<(&str, &str)> = refusal.headers().take(2).collect();
        assert_eq!(headers, [("content-type", "application/problem+json"), ("tracegate-reason", reason)]);
    }
}

#[test]
fn traces_are_trusted_by_who_is_proven_to_call() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let token = |tier: &str| bearer(&customer(json!({ "tier": tier })));
    let rules = json!([
        {"name": "writes", "when": {"method": ["POST"]}, "require": of("customers")},
        {"name": "some", "when": {"header": {"name": "x-shadow", "match": {"present": true}}}, "require": of("customers"), "mode": "shadow"},
    ]);
    let mut edge = Edge::new(&policy(rules, |policy| {
        policy["trace"] = json!({"trust": [
            {"name": "gold", "when": {"claim": {"provider": "customers", "path": "tier", "match": {"exact": "gold"}}}, "context": "continue"},
            {"name": "strangers", "when": {"not": of("customers")}, "context": "reject"},
            {"name": "customers", "when": of("customers"), "context": "link"},
            {"name": "rest", "context": "restart"},
        ]});
    }));
    let line = |name: &'static str, value: &str| (name, value.to_owned());
    for (lines, expected, fate) in [
        (vec![line(":method", "POST"), token("gold")], "admitted", "continued.gold"),
        (vec![line(":method", "POST"), token("silver")], "admitted", "linked.customers"),
        // Nobody is asked: it can't be told that the caller is no customer.
        (vec![token("gold")], "admitted", "restarted.rest"),
        (vec![], "admitted", "restarted.rest"),
        (vec![line("x-shadow", "1"), token("gold")], "admitted", "restarted.rest"),
        (vec![line("x-shadow", "1")], "admitted", "restarted.rest"),
        // Who is refused is nobody, whatever is known of who it isn't.
        (vec![line(":method", "POST")], "401 TokenNotPresent", "restarted.rest"),
    ] {
        let all = [lines.clone(), vec![line("traceparent", PARENT)]].concat();
        assert_eq!(edge.send(&lend(&all)).told(), expected, "{lines:?}");
        let counted = edge.counted();
        assert!(counted.contains_key(&format!("tracegate.principals.{fate}")), "{lines:?} {counted:?}");
    }
}
