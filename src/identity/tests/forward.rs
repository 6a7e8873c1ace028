// SPDX-License-Identifier: Apache-2.0
//! Whole exchanges: what the upstream learns of callers, and what of their credentials.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::edge::{Edge, Fate, Lines, customer, of, policy, require, second};
use crate::inputs::PeerFact;

const KEY: &str = "ocp-apim-subscription-key";

/// Headers of every kind that tells of callers.
fn telling(policy: &mut Value) {
    policy["identity"]["claim_to_headers"] = json!([
        {"claim": "sub", "header": "X-User-Id"},
        {"claim": "roles", "header": "X-User-Roles", "provider": "customers"},
        {"claim": "/address/city", "header": "X-City"},
        {"claim": "amr", "header": "X-Amr", "separator": " "},
    ]);
    policy["identity"]["caller_to_headers"] = json!([
        {"caller": "provider", "header": "X-Caller"}, {"caller": "service", "header": "X-Service"},
        {"caller": "subscription", "header": "X-Subscription"}, {"caller": "product", "header": "X-Product"},
    ]);
    policy["routes"].as_array_mut().unwrap().push(json!({
        "name": "open", "match": {"path": {"prefix": "/open"}}, "rules": [{"name": "open", "require": "anonymous"}],
    }));
}

/// What the policy above tells in.
const OWN: [&str; 8] = ["x-user-id", "x-user-roles", "x-city", "x-amr", "x-caller", "x-service", "x-subscription", "x-product"];

/// Whether some reader could take a name for one of these.
fn reads_as(name: &[u8], own: &[&str]) -> bool {
    let letters = |name: &[u8]| -> Vec<u8> {
        name.iter().map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }).collect()
    };
    own.iter().any(|own| letters(own.as_bytes()) == letters(name))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn nobody_but_the_gateway_tells_who_calls() {
    let token = bearer(&customer(json!({"roles": ["buyer"]})));
    let own = [OWN.as_slice(), &[KEY, "x-second-token", "x-forwarded-client-cert"]].concat();
    let spellings = |name: &str| [name.to_owned(), name.replace('-', "_"), name.replacen('-', "_", 1), name.replace('-', ".")];
    for path in ["/orders", "/other", "/open", "/", "*"] {
        for own in &own {
            for name in spellings(own) {
                let mut edge = Edge::new(&policy(require(json!({"any_of": [of("customers"), "anonymous"]})), telling));
                let method = if path == "*" { "OPTIONS" } else { "GET" };
                let fate =
                    edge.send(&[(":method", method), (":path", path), ("authorization", &token), (&name, "forged"), (&name, "forged")]);
                let Fate::Admitted(lines) = fate else { panic!("{path} {}", fate.told()) };
                assert!(lines.iter().all(|(_, value)| value != b"forged"), "{path} {name}");
                let told = lines.iter().any(|(name, value)| name == b"x-user-id" && value == b"jane");
                assert_eq!(told, path == "/orders", "{path} {name}");
            }
        }
        // Other names are of no interest.
        let mut edge = Edge::new(&policy(require(json!("anonymous")), telling));
        for name in ["x-user", "x-userid", "x-user-id2", "xx-user-id", "xuser-id"] {
            assert_eq!(edge.send(&[(":path", "/orders"), (name, "forged")]).upstream(name), ["forged"]);
        }
    }
    // Without providers nobody is proven; nobody is believed either.
    let mut edge = Edge::new(&json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "identity": {"claim_to_headers": [{"claim": "sub", "header": "x-user-id"}]},
    }));
    let fate = edge.send(&[("x-user-id", "forged"), ("x_user_id", "forged"), ("x-forwarded-client-cert", "Hash=00")]);
    assert_eq!((fate.upstream("x-user-id").len(), fate.upstream("x_user_id").len()), (0, 0));
    assert_eq!(fate.upstream("x-forwarded-client-cert"), ["Hash=00"], "which only providers make of interest");
    // A header's name takes nothing of the request's own.
    let mut edge = Edge::new(&policy(require(json!("anonymous")), |policy| {
        policy["identity"]["caller_to_headers"] =
            json!([{"caller": "service", "header": "-path"}, {"caller": "product", "header": "_method"}]);
    }));
    let fate = edge.send(&[("-path", "forged")]);
    assert_eq!(
        (fate.upstream(":path"), fate.upstream(":method"), fate.upstream("-path").len()),
        (vec!["/orders".into()], vec!["GET".into()], 0)
    );
}

#[test]
fn claims_are_told_in_one_printable_line() {
    let long = "a".repeat(8192);
    for (claims, header, expected) in [
        (json!({"sub": "jane"}), "x-user-id", Some("jane")),
        (json!({"sub": "a\r\nx-admin: 1"}), "x-user-id", Some("a%0D%0Ax-admin: 1")),
        (json!({"sub": "a\u{0}b"}), "x-user-id", Some("a%00b")),
        (json!({"sub": "Zoë"}), "x-user-id", Some("Zo%C3%AB")),
        (json!({"sub": "Doe, Jane"}), "x-user-id", Some("Doe, Jane")),
        (json!({"sub": " 100% "}), "x-user-id", Some("%20100%25%20")),
        (json!({"sub": 7}), "x-user-id", Some("7")),
        (json!({"sub": 0.5}), "x-user-id", Some("0.5")),
        (json!({"sub": true}), "x-user-id", Some("true")),
        (json!({"sub": {"a": "b"}}), "x-user-id", None),
        (json!({"sub": ""}), "x-user-id", None),
        (json!({"sub": null}), "x-user-id", None),
        (json!({"sub": []}), "x-user-id", None),
        (json!({ "sub": long }), "x-user-id", Some(long.as_str())),
        (json!({"sub": format!("{long}a")}), "x-user-id", None),
        (json!({"sub": "\u{e9}".repeat(2000)}), "x-user-id", None),
        (json!({"roles": ["buyer", "a,b", 7, null, {"x": 1}]}), "x-user-roles", Some("buyer,a%2Cb,7")),
        (json!({"roles": "a,b"}), "x-user-roles", Some("a,b")),
        (json!({"amr": ["pwd", "m f a"]}), "x-amr", Some("pwd m%20f%20a")),
        (json!({"address": {"city": "Bonn"}}), "x-city", Some("Bonn")),
        (json!({"address": "Bonn"}), "x-city", None),
    ] {
        let mut edge = Edge::new(&policy(require(of("customers")), |policy| {
            policy["identity"]["providers"]["customers"]["jwt"]["max_length"] = json!(65_536);
            telling(policy);
        }));
        let fate = edge.send(&[("authorization", &bearer(&customer(claims.clone()))), (header, "forged")]);
        assert_eq!(fate.upstream(header), expected.into_iter().collect::<Vec<_>>(), "{claims:.100}");
    }
}

#[test]
fn callers_are_told_by_the_policys_names() {
    let all = json!({"all_of": [of("partners"), of("mesh"), of("second"), of("customers")]});
    let mut edge = Edge::new(&policy(require(all), telling));
    edge.peer = vec![(PeerFact::DnsSan, "stock.shop.example".to_owned()), (PeerFact::Sha256, "ab".repeat(32))];
    let token = bearer(&customer(json!({"roles": "buyer", "sub": "jane"})));
    let other = second(json!({"roles": "other", "sub": "joe", "address": {"city": "Bonn"}}));
    let fate = edge.send(&[("authorization", &token), ("x-second-token", &other), (KEY, "primary")]);
    for (header, expected) in [
        ("x-caller", "partners,mesh,second,customers"),
        ("x-service", "stock"),
        ("x-subscription", "contoso"),
        ("x-product", "gold"),
        ("x-user-id", "joe"),
        ("x-user-roles", "buyer"),
        ("x-city", "Bonn"),
    ] {
        assert_eq!(fate.upstream(header), [expected], "{header}");
    }
    for gone in ["authorization", "x-second-token", KEY] {
        assert_eq!(fate.upstream(gone), [""; 0], "{gone}");
    }
    // The way in that was taken counts; others were not asked.
    let mut edge = Edge::new(&policy(require(json!({"any_of": [of("partners"), of("customers")]})), telling));
    let fate = edge.send(&[("authorization", &token), (KEY, "other")]);
    assert_eq!((fate.upstream("x-caller"), fate.upstream("x-user-id").len()), (vec!["partners".to_owned()], 0));
    assert_eq!((fate.upstream("x-subscription"), fate.upstream("x-product").len()), (vec!["fabrikam".to_owned()], 0));
}

#[test]
fn tokens_go_on_where_they_are_verified_and_the_policy_says_so() {
    let (good, forged) = (second(json!({})), second(json!({"exp": 1})));
    let asked = require(of("second"));
    let anybody = require(json!({"any_of": [of("second"), "anonymous"]}));
    let shadow = json!([{"name": "shadow", "require": of("second"), "mode": "shadow"}]);
    let unscoped = json!([{"name": "shadow", "require": {"caller": {"provider": "second", "scopes": ["a"]}}, "mode": "shadow"}]);
    for (rules, forward, token, goes_on) in [
        (&asked, false, &good, false),
        (&asked, true, &good, true),
        (&anybody, true, &good, true),
        (&anybody, true, &forged, false),
        (&require(json!("anonymous")), true, &good, false),
        (&json!([]), true, &good, false),
        (&shadow, true, &good, true),
        (&shadow, true, &forged, true),
        (&unscoped, true, &good, true),
        (&shadow, false, &good, false),
    ] {
        let mut edge = Edge::new(&policy(rules.clone(), |policy| policy["identity"]["forward_token"] = json!(forward)));
        let case = format!("{rules} {forward}");
        let fate = edge.send(&[("x-second-token", token), ("X_Second.token", token)]);
        assert_eq!(fate.upstream("x-second-token").len(), usize::from(goes_on), "{case}");
        assert_eq!(fate.upstream("X_Second.token").len(), 0, "{case}");
        let target = format!("/orders?a=%2f&second_token={token}&&b=+;c?");
        let expected = if goes_on { target.clone() } else { "/orders?a=%2f&&b=+;c?".to_owned() };
        assert_eq!(edge.send(&[(":path", &target)]).upstream(":path"), [expected], "{case}");
        let cookies = [("cookie", format!("theme=dark; second={token};x=\"1\"")), ("cookie", "last=1".to_owned())];
        let lines: Vec<(&str, &str)> = cookies.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let expected =
            if goes_on { vec![cookies[0].1.replace('"', "\\\""), "last=1".into()] } else { vec!["theme=dark; x=\\\"1\\\"; last=1".into()] };
        assert_eq!(edge.send(&lines).upstream("cookie"), expected, "{case}");
        let only = format!("second={token}");
        let fate = edge.send(&[("cookie", &only), (":path", "/orders?")]);
        assert_eq!((fate.upstream("cookie").len(), fate.upstream(":path")), (usize::from(goes_on), vec!["/orders?".to_owned()]), "{case}");
    }
}

#[test]
fn what_stands_in_authorization_is_taken_out_whoever_reads_it() {
    let good = customer(json!({}));
    for (path, value, goes_on) in [
        ("/orders", "Basic YTpi".to_owned(), true),
        ("/other", "Basic YTpi".to_owned(), true),
        ("/other", format!("Bearer {good}"), false),
        ("/other", format!("bEARER  {good}"), false),
        ("/other", format!("Bearer\t{good}"), false),
        ("/other", "Bearer".to_owned(), false),
        ("/other", format!("Basic YTpi, Bearer {good}"), false),
        ("/orders", "Bearer garbage".to_owned(), false),
        ("/orders", format!("Bearer {good}"), false),
    ] {
        let rules = require(json!({"any_of": [of("customers"), "anonymous"]}));
        let fate = Edge::new(&policy(rules, |_| {})).send(&[(":path", path), ("authorization", &value)]);
        assert_eq!(fate.upstream("authorization").len(), usize::from(goes_on), "{path} {value:.30}");
    }
}

#[test]
fn a_token_is_replaced_where_it_is_verified() {
    let good = bearer(&customer(json!({})));
    let anybody = json!({"any_of": [of("second"), of("customers"), of("partners"), "anonymous"]});
    let mut edge = Edge::new(&policy(require(anybody), |policy| {
        policy["secrets"] = json!({"upstream": {"environment": {"name": "UPSTREAM"}}});
        policy["identity"]["replace_token"] = json!({"scheme": "Token", "credential": {"secret": "upstream"}});
    }));
    let second = second(json!({}));
    for (lines, expected) in [
        (vec![("authorization", good.as_str())], vec!["Token secret-of-UPSTREAM"]),
        (vec![("x-second-token", &second)], vec!["Token secret-of-UPSTREAM"]),
        (vec![("x-second-token", &second), ("authorization", "Basic YTpi")], vec!["Token secret-of-UPSTREAM"]),
        (vec![("authorization", "Bearer garbage")], vec![]),
        (vec![(KEY, "primary")], vec![]),
        (vec![(":path", "/other"), ("authorization", &good)], vec![]),
    ] {
        let fate = edge.send(&lines);
        assert_eq!(fate.upstream("authorization"), expected, "{lines:.60?}");
        assert_eq!(fate.upstream("x-second-token"), [""; 0]);
    }
}

#[test]
fn subscription_keys_go_on_where_they_count_and_the_policy_says_so() {
    let asked = require(of("partners"));
    let anybody = require(json!({"any_of": [of("partners"), "anonymous"]}));
    for (rules, forward, key, goes_on) in [
        (&asked, false, "primary", false),
        (&asked, true, "primary", true),
        (&anybody, true, "wrong", false),
        (&require(json!("anonymous")), true, "primary", false),
        (&json!([]), true, "primary", false),
        (&json!([{"name": "shadow", "require": of("partners"), "mode": "shadow"}]), true, "wrong", true),
    ] {
        let mut edge = Edge::new(&policy(rules.clone(), |policy| {
            policy["identity"]["providers"]["partners"]["subscription_keys"]["forward_key"] = json!(forward);
        }));
        let target = format!("/orders?x=%2f&Subscription%2DKey={key}&subscription-keys=1&");
        let kept = if goes_on { target.clone() } else { "/orders?x=%2f&subscription-keys=1&".to_owned() };
        let fate = edge.send(&[(":path", &target), (KEY, key), (KEY, key), ("ocp_apim_subscription_key", key)]);
        assert_eq!(fate.upstream(":path"), [kept], "{rules} {forward}");
        assert_eq!(fate.upstream(KEY).len(), if goes_on { 2 } else { 0 }, "{rules} {forward}");
        assert_eq!(fate.upstream("ocp_apim_subscription_key"), [""; 0], "{rules} {forward}");
    }
    let mut edge = Edge::new(&policy(asked, |_| {}));
    let fate = edge.send(&[(":path", "/orders?subscription-key=other"), (KEY, "primary")]);
    assert_eq!(fate.told(), "401 SubscriptionKeyAmbiguous");
    assert_eq!(edge.send(&[(":path", "/orders?a&subscription-key=other")]).upstream(":path"), ["/orders?a"]);
}

/// Spellings of names: other separators, other cases.
fn name() -> impl Strategy<Value = String> {
    let own = OWN.into_iter().chain([KEY, "x-second-token", "x-forwarded-client-cert"]).collect::<Vec<_>>();
    let separator = prop::sample::select(vec!["-", "_", ".", "+", "|", "~", "'", "", "--"]);
    prop_oneof![
        4 => (prop::sample::select(own), prop::collection::vec(separator, 4)).prop_map(|(own, separators)| {
            let mut separators = separators.into_iter();
            own.split('-').fold(String::new(), |name, part| if name.is_empty() { part.to_owned() } else { name + separators.next().unwrap_or("-") + part })
        }),
        1 => "[a-z0-9_-]{1,12}",
    ]
}

proptest! {
    #[test]
    fn whatever_a_client_sends_nothing_of_it_reads_as_an_identity(
        lines in prop::collection::vec((name(), "[ -~]{0,12}"), 0..12),
        path in prop::sample::select(vec!["/orders", "/open", "/other", "/orders?subscription-key=other&second_token=a"]),
        token in any::<bool>(),
        keeps in any::<bool>(),
    ) {
        let rules = require(json!({"any_of": [of("customers"), "anonymous"]}));
        let mut edge = Edge::new(&policy(rules, |policy| {
            telling(policy);
            policy["listener"]["forwarded_client_cert"] = json!(if keeps { "keep" } else { "remove" });
        }));
        let authorization = bearer(&customer(json!({"sub": "the-subject", "roles": ["the-role"]})));
        let mut sent: Lines = [(":method", "GET"), (":authority", "api.example"), (":path", path)]
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .into();
        // No value of a client's is one that the gateway tells.
        sent.extend(lines.iter().map(|(name, value)| (name.clone().into_bytes(), format!("client {value}").into_bytes())));
        if token {
            sent.push((b"authorization".to_vec(), authorization.into_bytes()));
        }
        let Fate::Admitted(upstream) = edge.send_raw(sent) else { panic!("it is refused") };
        let guarded = [OWN.as_slice(), &[KEY, "x-second-token"]].concat();
        for (name, value) in &upstream {
            let shown = format!("{}: {}", name.escape_ascii(), value.escape_ascii());
            prop_assert!(!(reads_as(name, &guarded) && value.starts_with(b"client ")), "{}", shown);
            let by_listener = keeps && name == b"x-forwarded-client-cert";
            prop_assert!(by_listener || !reads_as(name, &["x-forwarded-client-cert"]), "{}", shown);
        }
        let told: Vec<&[u8]> = upstream.iter().filter(|(name, _)| name == b"x-user-id").map(|(_, value)| value.as_slice()).collect();
        let expected: &[&[u8]] = if token && path.starts_with("/orders") { &[b"the-subject"] } else { &[] };
        prop_assert_eq!(told, expected);
        // What is of no interest goes on, in its order.
        let own = [guarded.as_slice(), &["x-forwarded-client-cert"]].concat();
        let others = |lines: &[(Vec<u8>, Vec<u8>)]| -> Lines {
            lines.iter().filter(|(name, value)| value.starts_with(b"client ") && !reads_as(name, &own)).cloned().collect()
        };
        let sent: Lines = lines.iter().map(|(name, value)| (name.clone().into_bytes(), format!("client {value}").into_bytes())).collect();
        prop_assert_eq!(others(&upstream), others(&sent));
    }
}
