// SPDX-License-Identifier: Apache-2.0
//! What goes on to the upstream, and what must not; which findings decide.

use sha2::Digest as _;

use super::*;
use crate::edits::HeaderEdit;
use crate::inputs::NoStore;

/// A policy with this identity section and these rules of its one route; `{KEYS}` stands for an issuer's keys.
fn gateway(identity: &str, rules: &str) -> Gateway {
    let jwt = format!(
        r#""issuer":"https://id.shop.example/","audiences":["orders-api"],"algorithms":["EdDSA"],"clock_skew":"0s","keys":{{"inline":{}}}"#,
        key_set(&["a"])
    );
    let subscription = format!(
        r#""subscriptions":[{{"id":"contoso","keys_sha256":["{}"]}}]"#,
        sha2::Sha256::digest(b"primary").iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    );
    let identity = identity.replace("{JWT}", &jwt).replace("{SUBSCRIPTION}", &subscription);
    let text = format!(
        r#"{{"schema":1,"service":{{"name":"edge"}},"default":{{"action":"admit"}},"identity":{identity},"routes":[{{"name":"all","rules":{rules}}}]}}"#
    );
    let policy = Policy::from_json(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).policy;
    Gateway::new(GatewayId(1), policy)
}

fn step(gateway: &mut Gateway, event: Event<'_>) -> Verdict {
    let mut entropy = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok(())
    };
    let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
    let mut inputs = Inputs { now: 1_000_000_000, monotonic: SECOND, entropy: &mut entropy, peer, store, signatures };
    let mut exchange = gateway.open(ExchangeId(1));
    exchange.step(gateway, event, &mut inputs).verdict
}

/// The reason of a refusal, or the changed lines.
fn outcome(verdict: Verdict) -> Result<Vec<String>, String> {
    match verdict {
        Verdict::Continue(edits) => Ok(edits
            .iter()
            .filter_map(|edit| match edit {
                HeaderEdit::Replace { name, .. } if name == "traceparent" => None,
                HeaderEdit::Replace { name, value } => Some(format!("{name}: {}", value.escape_ascii())),
                HeaderEdit::Remove { name } => Some(format!("-{name}")),
            })
            .collect()),
        Verdict::Refuse(refusal) => Err(refusal.reason().as_str().to_owned()),
        Verdict::Wait => Err("wait".to_owned()),
    }
}

fn request(gateway: &mut Gateway, path: &str, lines: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let lines: Vec<Header<'_>> = [(":method", "GET"), (":path", path)]
        .iter()
        .chain(lines)
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    outcome(step(gateway, Event::Request(Headers::new(&lines))))
}

fn is(lines: &[&str]) -> Result<Vec<String>, String> {
    Ok(lines.iter().map(|&line| line.to_owned()).collect())
}

#[test]
fn identity_headers_are_the_gateways_where_there_is_no_provider_too() {
    let mut gateway = gateway(r#"{"caller_to_headers":[{"caller":"service","header":"x-service"}]}"#, "[]");
    assert_eq!(request(&mut gateway, "/", &[("x_service", "admin"), ("x-forwarded-client-cert", "Hash=ab")]), is(&["-x_service"]));
    let lines = [Header { name: b"x-service", value: b"admin" }];
    assert_eq!(outcome(step(&mut gateway, Event::Trailers(Headers::new(&lines)))), is(&["-x-service"]));
}

#[test]
fn what_a_rule_has_refused_goes_no_further_whatever_a_shadow_rule_has_asked() {
    let identity = r#"{"forward_token":true,"providers":{"customers":{"jwt":{{JWT}}},"trial":{"jwt":{{JWT}}},
        "keys":{"subscription_keys":{{SUBSCRIPTION}}}}}"#;
    let shadow = |provider: &str| format!(r#"{{"name":"shadow","require":{{"caller":{{"provider":"{provider}"}}}},"mode":"shadow"}}"#);
    let either = r#"{"name":"either","require":{"any_of":[{"caller":{"provider":"customers"}},{"caller":{"provider":"keys"}}]}}"#;
    let when = r#"{"name":"when","when":{"caller":{"provider":"customers"}},"require":{"caller":{"provider":"keys"}}}"#;
    let forged = format!("Bearer {}x", token("a"));
    let lines = [("authorization", forged.as_str()), ("ocp-apim-subscription-key", "primary")];
    for rules in [
        format!("[{either},{}]", shadow("trial")),
        format!("[{},{either}]", shadow("customers")),
        format!("[{},{when}]", shadow("customers")),
    ] {
        let found = request(&mut gateway(identity, &rules), "/", &lines);
        assert_eq!(found, is(&["-ocp-apim-subscription-key", "-authorization"]), "{rules}");
    }
    let found = request(&mut gateway(identity, &format!("[{}]", shadow("customers"))), "/", &lines);
    assert_eq!(found, is(&["-ocp-apim-subscription-key"]), "a policy is tried out before a backend that verifies itself");
}

#[test]
fn a_condition_proves_callers_to_the_upstream_behind_a_shadow_rule_too() {
    let identity =
        r#"{"providers":{"keys":{"subscription_keys":{{SUBSCRIPTION}}}},"caller_to_headers":[{"caller":"subscription","header":"x-id"}]}"#;
    let shadow = r#"{"name":"shadow","require":{"caller":{"provider":"keys"}},"mode":"shadow"}"#;
    let when = r#"{"name":"when","when":{"not":{"caller":{"provider":"keys"}}},"require":"deny"}"#;
    for rules in [format!("[{when}]"), format!("[{shadow},{when}]")] {
        let found = request(&mut gateway(identity, &rules), "/", &[("ocp-apim-subscription-key", "primary")]);
        assert_eq!(found, is(&["-ocp-apim-subscription-key", "x-id: contoso"]), "{rules}");
    }
}

#[test]
fn a_second_token_in_an_odd_spelling_goes_no_further() {
    let identity = r#"{"forward_token":true,"providers":{"customers":{"jwt":{{JWT},
        "tokens":[{"authorization":{"scheme":"Bearer"}},{"header":"x-token"},{"query":"access_token"}]}}}}"#;
    let rules = r#"[{"name":"who","require":{"caller":{"provider":"customers"}}}]"#;
    let mut gateway = gateway(identity, rules);
    let token = token("a");
    let own = ("x-token", token.as_str());
    assert_eq!(request(&mut gateway, "/", &[own]), is(&[]));
    assert_eq!(request(&mut gateway, "/", &[own, ("authorization", "Basic YTpi")]), is(&[]));
    assert_eq!(request(&mut gateway, "/", &[own, ("authorization", "Bearer\tforged")]), is(&["-authorization"]));
    for query in [
        "access.token=f",
        "access+token=f",
        "%20access_token=f",
        "access[token=f",
        "access_token[]=f",
        "access_token%00=f",
        "y;access_token=f",
    ] {
        let found = request(&mut gateway, &format!("/?x=1&{query}&z"), &[own]);
        assert!(
            found.as_ref().is_ok_and(|edits| edits.first().is_some_and(|edit| edit.starts_with(":path: ") && !edit.contains("token"))),
            "{query} {found:?}"
        );
    }
    assert_eq!(request(&mut gateway, &format!("/?access_token={token}"), &[]), is(&[]));
}

#[test]
fn credentials_in_odd_parameters_go_no_further() {
    let identity =
        r#"{"providers":{"customers":{"jwt":{{JWT},"tokens":[{"query":"access_token"}]}},"keys":{"subscription_keys":{{SUBSCRIPTION}}}}}"#;
    let mut gateway = gateway(identity, "[]");
    for (target, rest) in [
        ("/?a=1&access.token=f&b", "/?a=1&b"),
        ("/?a=1;access_token=f;b", "/?a=1;b"),
        ("/?access_token=f;b", "/"),
        ("/?%20Subscription-Key=k", "/"),
        ("/?subscription-key[0]=k&x=1;y=2", "/?x=1;y=2"),
    ] {
        assert_eq!(request(&mut gateway, target, &[]), is(&[&format!(":path: {rest}")]), "{target}");
    }
    for target in ["/?a=1;b=2", "/?accesstoken=1&access-token=2&xaccess_token=3", "/;access_token=f"] {
        assert_eq!(request(&mut gateway, target, &[]), is(&[]), "{target}");
    }
}

#[test]
fn cookies_under_names_that_some_service_takes_for_a_tokens_go_no_further() {
    let identity = r#"{"providers":{"customers":{"jwt":{{JWT},"tokens":[{"cookie":"access_token"}]}}}}"#;
    let mut gateway = gateway(identity, "[]");
    for line in ["a=1; access.token=f; b", "a=1; access[token=f; b", "a=1; access_token[]=f; b"] {
        assert_eq!(request(&mut gateway, "/", &[("cookie", line)]), is(&["cookie: a=1; b"]), "{line}");
    }
    assert_eq!(request(&mut gateway, "/", &[("cookie", "accesstoken=f")]), is(&[]));
}

#[test]
fn trailers_bring_no_credentials() {
    let identity = r#"{"providers":{"customers":{"jwt":{{JWT},"tokens":[{"cookie":"session"}]}}}}"#;
    let lines = [(b"cookie", b"session=f")].map(|(name, value)| Header { name, value });
    assert_eq!(outcome(step(&mut gateway(identity, "[]"), Event::Trailers(Headers::new(&lines)))), is(&["-cookie"]));
}

#[test]
fn a_claim_that_cant_be_told_leaves_a_denial_in_force() {
    let identity = r#"{"providers":{"customers":{"jwt":{{JWT},"max_length":65536}}}}"#;
    let rules = r#"[{"name":"no","when":{"claim":{"provider":"customers","path":"email","match":{"regex":".*@evil\\.example"}}},"require":"deny"}]"#;
    let mut gateway = gateway(identity, rules);
    let bearer = |email: &str| {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"a"}"#);
        let claims = format!(r#"{{"iss":"https://id.shop.example/","aud":"orders-api","exp":3600,"email":"{email}"}}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(key("a").sign(signed.as_bytes()).to_bytes()))
    };
    let mut with = |email: &str| request(&mut gateway, "/", &[("authorization", &bearer(email))]);
    assert_eq!(with("a@evil.example"), Err("AccessDenied".to_owned()));
    assert_eq!(with("a@good.example"), is(&["-authorization"]));
    assert_eq!(with(&format!("{}@evil.example", "a".repeat(5000))), Err("AccessDenied".to_owned()));
}

#[test]
fn a_header_under_a_name_that_some_service_takes_for_another_leaves_a_denial_in_force() {
    let rules = |condition: &str| format!(r#"[{{"name":"no","when":{condition},"require":"deny"}}]"#);
    let mut present = gateway("{}", &rules(r#"{"header":{"name":"x-debug","match":{"present":true}}}"#));
    assert_eq!(request(&mut present, "/", &[]), is(&[]));
    assert_eq!(request(&mut present, "/", &[("x_debug", "1")]), Err("AccessDenied".to_owned()));
    let mut absent = gateway("{}", &rules(r#"{"not":{"header":{"name":"x-debug","match":{"present":true}}}}"#));
    assert_eq!(request(&mut absent, "/", &[("x-debug", "1"), ("x_debug", "1")]), is(&[]));
    assert_eq!(request(&mut absent, "/", &[("x_debug", "1")]), Err("AccessDenied".to_owned()));
}

/// A policy with two issuers of the same tokens, whose keys are fetched, and these rules.
fn two_issuers(rules: &str) -> Policy {
    let jwt = |more: &str| {
        let keys = jwks(&format!(r#","timeout":"30s"{more}"#));
        format!(
            r#"{{"jwt":{{"issuer":"https://id.shop.example/","audiences":["orders-api"],"algorithms":["EdDSA"],"clock_skew":"0s","keys":{keys}}}}}"#
        )
    };
    let (customers, others) = (jwt(r#","wait":"1s""#), jwt(r#","wait":"60s""#).replace("jwks.json", "others.json"));
    let text = format!(
        r#"{{"schema":1,"service":{{"name":"edge"}},"default":{{"action":"refuse"}},
        "identity":{{"providers":{{"customers":{customers},"others":{others}}}}},"routes":[{{"name":"all","rules":{rules}}}]}}"#
    );
    Policy::from_json(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).policy
}

#[test]
fn a_shadow_rule_before_costs_nobody_the_wait_for_a_new_key() {
    let policy = two_issuers(
        r#"[{"name":"shadow","require":{"caller":{"provider":"customers"}},"mode":"shadow"},{"name":"who","require":{"caller":{"provider":"customers"}}}]"#,
    );
    let mut process = Process::new(&policy, 1);
    process.tick();
    for _ in 0..2 {
        process.answer(200, &key_set(&["k1"]));
    }
    assert_eq!(process.request(0, &token("k1")), "admitted");
    assert_eq!(process.request(0, &token("k2")), "wait");
    process.tick();
    process.answer(200, &key_set(&["k1", "k2"]));
    process.tick();
    assert_eq!(process.decided(), ["admitted"]);
}

#[test]
fn who_waits_for_one_issuer_isnt_woken_again_and_again_for_another() {
    let policy =
        two_issuers(r#"[{"name":"who","require":{"any_of":[{"caller":{"provider":"customers"}},{"caller":{"provider":"others"}}]}}]"#);
    let mut process = Process::new(&policy, 1);
    process.tick();
    assert_eq!(process.request(0, &token("k1")), "wait");
    let mut woken = 0;
    for _ in 0..400 {
        process.now += 10_000_000;
        let found = process.with(0, |vm, inputs| vm.gateway.tick(inputs));
        woken += found.wake.len();
        process.follow(0, found);
    }
    assert_eq!((woken, process.vms[0].waiting.len()), (1, 1));
}
