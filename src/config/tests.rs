// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told.

use proptest::prelude::*;

use super::*;

mod audit;
mod callers;
mod export;
mod identity;
mod quota;
mod secrets;

const LEAST: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;

fn findings(text: &str) -> Vec<String> {
    let findings = match Policy::from_json(text.as_bytes()) {
        Ok(loaded) => loaded.warnings,
        Err(findings) => findings,
    };
    findings.iter().map(ToString::to_string).filter(|line| !line.contains("warning: ")).collect()
}

/// Every error, without its line and column.
fn wrong(policy: &serde_json::Value) -> Vec<String> {
    findings(&policy.to_string()).into_iter().map(|line| line.splitn(3, ':').nth(2).unwrap().trim().to_owned()).collect()
}

#[test]
fn the_least_policy_has_every_default_filled_in() {
    let loaded = Policy::from_json(LEAST.as_bytes()).unwrap();
    let expected = concat!(
        r#"{"schema":1,"service":{"name":"edge","attributes":{}},"#,
        r#""listener":{"trusted_hops":0,"client_certificates":"unverified","forwarded_client_cert":"remove"},"#,
        r#""responses":{"errors":"apim","rate_limit_headers":["ratelimit"]},"secrets":{},"#,
        r#""trace":{"propagation":{"extract":["tracecontext"],"inject":["tracecontext"],"baggage":{}},"tracestate":{"max_length":16447}},"#,
        r#""identity":{"providers":{},"claim_to_headers":[],"caller_to_headers":[],"forward_token":false},"quotas":{},"routes":[],"default":{"action":"admit"},"#,
        r#""export":{"traces":{},"spans":{"client":false,"url_path":"full","attributes":["server.address"],"claims":[]},"access_log_properties":[]}}"#
    );
    assert_eq!(loaded.canonical, expected);
    assert_eq!(Policy::from_json(expected.as_bytes()).unwrap().canonical, expected);
    assert_eq!(
        loaded.warnings.to_string(),
        "1:1: warning: every caller's valid trace context is continued: `trace.trust` tells callers apart"
    );
}

#[test]
fn the_fingerprint_is_of_the_meaning_not_of_the_spelling() {
    let fingerprint = |text: &str| Policy::from_json(text.as_bytes()).unwrap().policy.fingerprint;
    let least = fingerprint(LEAST);
    assert_eq!(fingerprint(r#" {"default":{"action":"admit"}, "routes": [], "service":{"name":"\u0065dge"},"schema":1}"#), least);
    assert_ne!(fingerprint(&LEAST.replace("edge", "egde")), least);
    // The digest of the canonical text above, as `sha256sum` prints it.
    assert_eq!(least.to_string(), "3afef2f2a9b5b950");
    assert_eq!(format!("{:012x}", least.gauge()), least.to_string()[..12]);
}

#[test]
fn a_whole_policy_reads() {
    let text = r#"{
      "schema": 1,
      "service": {"name": "shop-edge", "namespace": "shop", "attributes": {"deployment.environment.name": "production"}},
      "trace": {"propagation": {"extract": ["tracecontext"], "inject": ["tracecontext"]}, "tracestate": {"member": "tgate", "max_length": 512}},
      "routes": [
        {"name": "read", "match": {"hosts": [{"exact": "api.example"}, {"suffix": ".shop.example"}], "methods": ["GET"], "path": {"template": "/orders/{id}"}},
         "rules": [{"name": "open", "require": "anonymous"}, {"name": "soon", "require": "deny", "mode": "shadow"}]},
        {"name": "rest"}],
      "default": {"action": "refuse", "status": 403}
    }"#;
    let Loaded { policy, canonical, .. } = Policy::from_json(text.as_bytes()).unwrap();
    let again = Policy::from_json(canonical.as_bytes()).unwrap();
    assert_eq!((again.policy.fingerprint, &again.canonical), (policy.fingerprint, &canonical), "the canonical form is the same policy");
    assert_eq!(policy.trace.member.as_ref().map(|key| key.as_bytes()), Some(&b"tgate"[..]));
    assert_eq!(
        policy.routes.routes().iter().map(|route| (route.name.as_str(), route.rules.len())).collect::<Vec<_>>(),
        [("read", 2), ("rest", 0)]
    );
    assert_eq!(policy.routes.default_action(), crate::route::DefaultAction::Refuse { status: 403 });
}

#[test]
fn all_errors_come_in_one_run_with_their_places() {
    let text = r#"{
  "schema": 0,
  "service": {"name": "", "nmaespace": "shop"},
  "trace": {"propagation": {"extract": ["b4"], "inject": []}, "tracestate": {"member": "Tgate", "max_length": 5.5}},
  "routes": [
    {"match": {"hosts": [{"exact": "a:80"}, "b"], "methods": ["get"], "path": {"prefix": "/a/../b"}}, "name": "one"},
    {"match": {"path": {"exact": "/a", "prefix": "/b"}}, "rules": [{"name": "r", "require": "maybe", "mode": 3}, {}]},
    {"name": "one", "name": "two"}
  ],
  "default": {"action": "admit", "status": -5},
  "limits": {}
}"#;
    let expected = r#"2:13: schema: expected a whole number from 1 on, found 0
3:23: service.name: expected text of at least one character, found ""
3:27: service.nmaespace: expected one of `name`, `namespace`, `attributes`, found an unknown field
4:41: trace.propagation.extract[0]: expected `tracecontext` or `b3` or `b3multi` or `jaeger` or `ottrace` or `ot_span_context` or `xray` or `request_id`, found "b4"
4:58: trace.propagation.inject: expected a list of at least one, found an empty one
4:88: trace.tracestate.member: byte 0: expected a key of 1 to 256 characters: a-z or 0-9, then also '_', '-', '*', '/', '@' ("Tgate")
4:111: trace.tracestate.max_length: expected a whole number from 512 to 16447, found 5.5
6:36: routes[0].match.hosts[0].exact: expected a host without a port, found one with a port ("a:80")
6:45: routes[0].match.hosts[1]: expected a mapping with `exact` or `suffix`, found "b"
6:63: routes[0].match.methods[0]: expected a method in upper case, such as GET, found "get"
6:90: routes[0].match.path.prefix: expected a path in normal form, which is "/b" ("/a/../b")
7:5: routes[1]: expected a field `name`, found none
7:24: routes[1].match.path: expected a mapping with `exact` or `prefix` or `template`, found `exact` and `prefix`
7:93: routes[1].rules[0].require: expected `anonymous` or `deny` or a mapping with `caller`, `any_of` or `all_of`, found "maybe"
7:110: routes[1].rules[0].mode: expected `enforce` or `shadow`, found 3
7:114: routes[1].rules[1]: expected a field `name`, found none
7:114: routes[1].rules[1]: expected a field `require`, found none
8:14: routes[2].name: expected a name of its own, found "one"
8:21: routes[2].name: expected a field once, found it again
10:44: default.status: expected a whole number from 400 to 599, found -5
11:3: limits: expected one of `schema`, `service`, `listener`, `responses`, `secrets`, `trace`, `identity`, `quotas`, `routes`, `default`, `export`, `audit`, found an unknown field"#;
    assert_eq!(findings(text).join("\n"), expected);
}

/// What else a newer schema may mean nobody here knows: it is the one finding.
#[test]
fn a_policy_of_a_newer_schema_is_refused_for_that_alone() {
    let newest = |found| format!("1:12: schema: expected 1, the newest schema that version {} reads, found {found}", crate::VERSION);
    for schema in ["2", "9007199254740991"] {
        assert_eq!(findings(&format!(r#"{{"schema": {schema}, "service": {{"nmae": 1}}, "new": {{}}}}"#)), [newest(schema)]);
    }
}

#[test]
fn what_is_missing_or_out_of_place_is_named() {
    for (text, expected) in [
        (
            "{}",
            "1:1: expected a field `schema`, found none\n1:1: expected a field `service`, found none\n1:1: expected a field `default`, found none",
        ),
        ("[1]", "1:1: expected a mapping, found a list"),
        (
            &LEAST.replace("\"admit\"", "\"admit\", \"status\": 404"),
            "1:55: default: expected no `status` beside `action: admit`, found one",
        ),
        (&LEAST.replace("\"edge\"", "\"edge\", \"attributes\": {\"a\": 1}"), "1:63: service.attributes.a: expected text, found 1"),
        (
            &LEAST.replace("\"edge\"", "\"edge\", \"attributes\": {\"a\": 1, \"b\\n\": []}"),
            "1:63: service.attributes.a: expected text, found 1\n1:73: service.attributes.b\\n: expected text, found a list",
        ),
        (
            &LEAST.replace("}}", "}, \"routes\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"a\"}]}"),
            "1:126: routes[2].name: expected a name of its own, found \"a\"",
        ),
    ] {
        assert_eq!(findings(text).join("\n"), expected, "{text}");
    }
}

#[test]
fn what_is_no_json_is_located_in_characters() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (text, expected) in [
        (&b""[..], "1:1: EOF while parsing a value"),
        (b"{\"a\": \"\xc3\xa9\", b}", "1:12: key must be a string"),
        (b"{\"schema\": \"\xc3\xa9", "1:13: EOF while parsing a string"),
        (b"{}\n x", "2:2: trailing characters"),
        (b"{\n\"a\": 1,\n}", "3:1: key must be a string"),
        (b"{\"\xc3\xa9\": \"\xff\"}", "1:8: expected UTF-8 text, found another encoding"),
        (b"{\"a\": \"\\ud800\"}", "1:7: unexpected end of hex escape"),
        (deep.as_bytes(), "1:34: expected at most 32 levels of nesting, found more"),
    ] {
        let found = Policy::from_json(text).unwrap_err().to_string();
        assert_eq!(found, expected, "{}", text.escape_ascii().take(60).map(char::from).collect::<String>());
    }
}

#[test]
fn a_flood_of_errors_is_cut_and_long_values_too() {
    let routes = vec!["{}"; 1000].join(",");
    let text = LEAST.replace("}}", &format!("}}, \"routes\": [{routes}]}}"));
    let flood = Policy::from_json(text.as_bytes()).unwrap_err();
    assert_eq!((flood.iter().count(), flood.left_out()), (100, 901), "1,000 errors and a warning");
    assert!(flood.to_string().ends_with("\n… and 901 more"));
    // An error that is met last is told all the same.
    let secrets = (0..120).map(|index| format!("\"s{index}\": {{\"literal\": {{\"value\": \"a\"}}}}")).collect::<Vec<_>>().join(",");
    let text = LEAST.replace("}}", &format!("}}, \"routes\": [{{\"name\": \"a\", \"quotas\": [\"none\"]}}], \"secrets\": {{{secrets}}}}}"));
    let flood = Policy::from_json(text.as_bytes()).unwrap_err();
    assert_eq!((flood.iter().count(), flood.left_out()), (100, 22), "121 warnings and an error");
    assert!(flood.to_string().contains("routes[0].quotas[0]: expected a name in `quotas`, found \"none\""), "{flood}");
    let long = LEAST.replace("\"admit\"", &format!("\"{}\"", "é".repeat(500)));
    let digits = LEAST.replace("1,", &format!("{},", "9".repeat(5000)));
    assert_eq!(findings(&digits), [format!("1:12: schema: expected a whole number from 1 on, found {}…", "9".repeat(40))]);
    assert_eq!(findings(&long), [format!("1:66: default.action: expected `admit` or `refuse`, found \"{}\"…", "é".repeat(40))]);
}

proptest! {
    #[test]
    fn no_text_panics(text in "[\\[\\]{}\":,a-z0-9.\\\\ \n-]{0,80}") {
        fuzz_policy(text.as_bytes());
    }
}

/// What is wrong with a policy that has this beside the least of fields.
fn wrong_with(sections: &str) -> Vec<String> {
    findings(&LEAST.replace("\"default\"", &format!("{sections}, \"default\"")))
}

#[test]
fn a_whole_trace_section_reads_and_its_canonical_form_is_the_same_policy() {
    let text = LEAST.replace(
        "\"default\"",
        r#""listener": {"trusted_hops": 1, "client_certificates": "verified"},
        "secrets": {"hop-key": {"environment": {"name": "TRACEGATE_HOP_KEY"}}, "old": {"environment": {"name": "OLD"}}},
        "routes": [{"name": "health", "sampling": {"root": {"probability": 0}}}],
        "trace": {
          "propagation": {"extract": ["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"],
            "inject": ["tracecontext", "ottrace"], "baggage": {"allow": ["tenant"]}},
          "tracestate": {"member": "tgate"},
          "signed_hop": {"active": {"id": "k2", "key": {"secret": "hop-key"}}, "other": {"id": "k1", "key": {"secret": "old"}}, "expires_after": "1m30s"},
          "trust": [
            {"name": "mesh", "when": {"peer": {"uri_san": {"prefix": "spiffe://shop.example/"}}}, "context": "continue", "traceresponse": true},
            {"name": "pinned", "when": {"peer": {"sha256": "AB00000000000000000000000000000000000000000000000000000000000000"}}, "context": "continue"},
            {"name": "gateways", "when": {"all": [{"signed_hop": "valid"}, {"not": {"route": ["health"]}}]}, "context": "continue"},
            {"name": "partners", "when": {"any": [{"source": {"cidr": ["203.0.113.0/24", "2001:db8::/32"]}}]}, "context": "link", "sampled": "honor"},
            {"name": "rest", "context": "reject"}],
          "sampling": {"root": {"probability": 0.10}, "max_per_second": 200, "always_record": ["error"]}},
        "default""#,
    );
    let Loaded { policy, canonical, warnings } = Policy::from_json(text.as_bytes()).unwrap();
    assert_eq!(warnings.iter().count(), 0, "{warnings}");
    let again = Policy::from_json(canonical.as_bytes()).unwrap();
    assert_eq!((again.policy.fingerprint, &again.canonical), (policy.fingerprint, &canonical));
    assert!(
        canonical.contains(r#""probability":0.1}"#) && canonical.contains(r#""sampled":"ignore","traceresponse":false}],"#),
        "{canonical}"
    );
    let trace = policy.trace;
    assert_eq!((trace.extract.len(), trace.inject.len(), trace.baggage.allow), (8, 2, Some(["tenant".to_owned()].into())));
    let hop = trace.signed_hop.unwrap();
    assert_eq!(
        (hop.expires_after, hop.active.key.variable(), hop.other.unwrap().key.variable()),
        (90, Some("TRACEGATE_HOP_KEY"), Some("OLD"))
    );
    let honored: Vec<bool> = trace.trust.rules().iter().map(|rule| rule.honor_sampled).collect();
    assert_eq!(honored, [true, true, true, true, false], "by default where the context goes on");
    let sampling = trace.sampling.unwrap();
    assert_eq!((sampling.root, sampling.max_per_second), ("0.1".parse().unwrap(), Some(200)));
    assert_eq!((sampling.record_refused, sampling.record_errors), (false, true));
    assert_eq!((policy.listener.trusted_hops, policy.routes.routes()[0].root), (1, Some(crate::trace::Threshold::NEVER)));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&canonical).unwrap()["trace"]["signed_hop"]["expires_after"], "1m30s");
}

#[test]
fn rules_that_prove_nothing_or_match_nobody_are_no_policy() {
    let trust = |rules: &str| format!(r#""trace": {{"trust": [{rules}]}}"#);
    let rest = r#"{"name": "rest", "context": "restart"}"#;
    for (sections, expected) in [
        (
            trust(&format!(r#"{{"name": "mesh", "when": {{"any": [{{"peer": {{"subject": {{"exact": "CN=a"}}}}}}]}}, "context": "continue"}}, {rest}"#)),
            "trace.trust[0].when.any[0]: expected `listener: {client_certificates: verified}` beside a `peer` to match: what isn't verified proves nothing",
        ),
        (
            trust(&format!(r#"{{"name": "ours", "when": {{"not": {{"signed_hop": "valid"}}}}, "context": "continue"}}, {rest}"#)),
            "trace.trust[0].when.not: expected `trace.signed_hop` beside a `signed_hop` to match, found none",
        ),
        (
            trust(&format!(r#"{{"name": "a", "when": {{"route": ["x"]}}, "context": "link"}}, {rest}"#)),
            "trace.trust[0].when: expected the name of a route, found \"x\"",
        ),
        (trust(&format!("{rest}, {}", rest.replace("rest\"", "b\""))), "trace.trust[0]: expected a `when`: without one this rule matches everybody, and the rules after it nobody"),
        (
            trust(r#"{"name": "a", "when": {"source": {"cidr": ["10.0.0.0/8"]}}, "context": "link"}"#),
            "trace.trust[0]: expected the last rule without `when`, so that every caller has a rule",
        ),
        (trust(&rest.replace("rest\"", "Rest.1\"")), "trace.trust[0].name: expected 1 to 64 of a-z, 0-9, '_', '-', the first a letter or digit, found \"Rest.1\""),
        (
            trust(&format!(r#"{{"name": "a", "when": {{"source": {{"cidr": ["10.0.0.1/8"]}}}}, "context": "link"}}, {rest}"#)),
            "trace.trust[0].when.source.cidr[0]: expected a network without host bits, which is 10.0.0.0/8 (\"10.0.0.1/8\")",
        ),
        (
            trust(&format!(r#"{{"name": "a", "when": {{"all": []}}, "context": "link"}}, {rest}"#)),
            "trace.trust[0].when.all: expected a list of at least one, found an empty one",
        ),
        (
            trust(&format!("{}{rest}", r#"{"name": "a", "when": {"route": ["b"]}, "context": "link"}, "#.repeat(64))),
            "trace.trust[1].name: expected a name of its own, found \"a\"",
        ),
        (
            r#""trace": {"signed_hop": {"active": {"id": "k", "key": {"secret": "s"}}}}"#.to_owned(),
            "trace.signed_hop: expected `trace.tracestate.member` beside `signed_hop`, found none",
        ),
        (
            r#""trace": {"tracestate": {"member": "t"}, "signed_hop": {"active": {"id": "k", "key": {"secret": "s"}}}}"#.to_owned(),
            "trace.signed_hop.active.key.secret: expected a name in `secrets`, found another",
        ),
        (
            r#""trace": {"tracestate": {"member": "t"}, "signed_hop": {"active": {"id": "k", "key": {"secret": "s"}}, "expires_after": "2h"}}"#.to_owned(),
            "trace.signed_hop.expires_after: expected whole seconds from 1s to 1h, found \"2h\"",
        ),
        (
            r#""trace": {"tracestate": {"member": "t"}, "signed_hop": {"active": {"id": "k", "key": {"secret": "s"}}, "other": {"id": "k", "key": {"secret": "s"}}}}"#.to_owned(),
            "trace.signed_hop: expected two keys with ids and secrets of their own, found one id",
        ),
        (r#""trace": {"propagation": {"inject": ["b3", "b3"]}}"#.to_owned(), "trace.propagation.inject[1]: expected each of the list once, found \"b3\""),
        (
            r#""trace": {"sampling": {"root": {"probability": 1.5}}}"#.to_owned(),
            "trace.sampling.root.probability: expected a probability from 0 to 1 with at most 18 decimals, such as 0.1 (1.5)",
        ),
        (
            r#""trace": {"sampling": {"root": {"probability": "0.5"}}}"#.to_owned(),
            "trace.sampling.root.probability: expected a probability from 0 to 1, such as 0.1, found \"0.5\"",
        ),
        (r#""secrets": {"k": {"environment": {"name": "1A"}}}"#.to_owned(), "secrets.k.environment.name: expected the name of an environment variable, found something else"),
        (r#""routes": [{"name": "a", "sampling": {"root": {"probability": 0}}}]"#.to_owned(), "routes[0].sampling: expected `trace.sampling` beside a route's, found none"),
        (
            r#""trace": {"propagation": {"inject": ["b3"]}, "tracestate": {"member": "t"}}"#.to_owned(),
            "trace.tracestate.member: expected `tracecontext` in `trace.propagation.inject` beside a `member`, which would never be written",
        ),
        (r#""trace": {"propagation": {"baggage": {"allow": ["a, b"]}}}"#.to_owned(), "trace.propagation.baggage.allow[0]: expected a key of baggage: letters, digits and !#$%&'*+-.^_`|~; `*` is no wildcard: leave `allow` out to let every key pass, found \"a, b\""),
        (
            format!(r#""listener": {{"client_certificates": "verified"}}, {}"#, trust(&format!(r#"{{"name": "a", "when": {{"peer": {{"dns_san": {{"suffix": "shop.example"}}}}}}, "context": "link"}}, {rest}"#))),
            "trace.trust[0].when.peer.dns_san: expected a suffix with its leading dot, such as .shop.example, found a mapping",
        ),
        (
            format!(r#""listener": {{"client_certificates": "verified"}}, {}"#, trust(&format!(r#"{{"name": "a", "when": {{"peer": {{"uri_san": {{"prefix": "spiffe://shop.example"}}}}}}, "context": "link"}}, {rest}"#))),
            "trace.trust[0].when.peer.uri_san: expected a prefix that goes past the authority: with a `/` behind it, found a mapping",
        ),
        (
            format!(r#""listener": {{"client_certificates": "verified"}}, {}"#, trust(&format!(r#"{{"name": "a", "when": {{"peer": {{"subject": {{"suffix": ",O=Shop"}}}}}}, "context": "link"}}, {rest}"#))),
            "trace.trust[0].when.peer.subject: expected a mapping with `exact`, found `suffix`",
        ),
        (r#""listener": {"trusted_hops": 11}"#.to_owned(), "listener.trusted_hops: expected a whole number from 0 to 10, found 11"),
    ] {
        let found: Vec<String> = wrong_with(&sections).into_iter().map(|line| line.splitn(3, ':').nth(2).unwrap().trim().to_owned()).collect();
        assert_eq!(found.first().map(String::as_str), Some(expected), "{sections}: {found:?}");
    }
}

#[test]
fn a_secret_in_the_place_of_its_name_is_not_shown() {
    let signed = |hop: &str| format!(r#""trace": {{"tracestate": {{"member": "t"}}, "signed_hop": {hop}}}"#);
    let provider = |provider: &str| format!(r#""identity": {{"providers": {{"p": {provider}}}}}"#);
    let jwt =
        |keys: &str| provider(&format!(r#"{{"jwt": {{"issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "keys": {keys}}}}}"#));
    let keys = |subscriptions: &str| provider(&format!(r#"{{"subscription_keys": {{"subscriptions": {subscriptions}}}}}"#));
    let collector = |fields: &str| format!(r#""export": {{"traces": {{"o": {{"otlp": {{"cluster": "c", {fields}}}}}}}}}"#);
    let records = |fields: &str| format!(r#""export": {{"logs": {{"o": {{"otlp": {{"cluster": "c", {fields}}}}}}}}}"#);
    for sections in [
        r#""secrets": ~"#.to_owned(),
        r#""secrets": {"hop": ~}"#.to_owned(),
        r#""secrets": {"hop": {"environment": ~}}"#.to_owned(),
        r#""secrets": {"hop": {"environment": {"name": "hunter2="}}}"#.to_owned(),
        r#""secrets": {"hop": {"http": {"uri": "https://u:hunter2@h/", "cluster": "c"}}}"#.to_owned(),
        // What YAML makes of `{hunter2}`.
        r#""secrets": {~: null}"#.to_owned(),
        r#""secrets": {"hop": {~: null}}"#.to_owned(),
        r#""secrets": {"hop": {"literal": {~: null}}}"#.to_owned(),
        signed("~"),
        signed(r#"{"active": ~}"#),
        signed(r#"{"active": {"id": "k", "key": ~}}"#),
        signed(r#"{"active": {"id": "k", "key": {"secret": ~}}}"#),
        signed(r#"{"active": {"id": "k", "key": {~: null}}}"#),
        jwt("~"),
        jwt("{~: null}"),
        jwt(r#"{"secrets": [{"key": {"secret": "s"}}]}, "tokens": ~"#),
        jwt(r#"{"secrets": [~]}"#),
        jwt(r#"{"secrets": [{"key": {~: null}}]}"#),
        jwt(r#"{"jwks": ~}"#),
        jwt(r#"{"jwks": {"uri": "https://u:hunter2@h/", "cluster": "c"}}"#),
        provider(r#"{"subscription_keys": ~}"#),
        keys("~"),
        keys("[~]"),
        keys(r#"{"contoso": ~}"#),
        keys(r#"[{"id": "contoso", "keys_sha256": ~}]"#),
        keys(r#"[{"id": "contoso", "keys_sha256": [~]}]"#),
        keys(r#"[{"id": "contoso", "keys_sha256": {~: null}}]"#),
        keys(r#"[{"id": "contoso", ~: null}]"#),
        r#""identity": {"replace_token": ~}"#.to_owned(),
        r#""identity": {"replace_token": {"scheme": "Bearer hunter2", "credential": {"secret": "s"}}}"#.to_owned(),
        r#""identity": {"replace_token": {"credential": {~: null}}}"#.to_owned(),
        r#""export": {"traces": {"o": ~}}"#.to_owned(),
        r#""export": {"traces": {"o": {"otlp": ~}}}"#.to_owned(),
        r#""export": {"traces": {"o": {"lightstep": {"cluster": "c", "access_token": ~}}}}"#.to_owned(),
        r#""export": {"traces": {"o": {"lightstep": {"cluster": "c", "access_token": {~: null}}}}}"#.to_owned(),
        collector(r#""uri": "http://u:hunter2@otel/v1/traces""#),
        collector(r#""uri": "otel/v1/traces?key=hunter2""#),
        collector(r#""uri": "http://otel", "headers": ~"#),
        collector(r#""uri": "http://otel", "headers": {"x-token": ~}"#),
        collector(r#""uri": "http://otel", "headers": {"x-token: hunter2": null}"#),
        r#""export": {"traces": {"batch": {"otlp": {"cluster": "c", "uri": "http://otel", "headers": {"x-token": ~}}}}}"#.to_owned(),
        collector(r#""uri": "http://otel", "headers": {"batch-key": ~, "uri": ~, "cluster": ~}"#),
        records(r#""uri": "http://u:hunter2@otel/v1/logs""#),
        records(r#""uri": "http://otel", "headers": {"x-token": {~: null}}"#),
        r#""export": {"spans": {"digest_key": ~}}"#.to_owned(),
        r#""export": {"spans": {"digest_key": {~: null}}}"#.to_owned(),
        r#""audit": {"chain": ~}"#.to_owned(),
        r#""audit": {"chain": {~: null}}"#.to_owned(),
        r#""audit": {"chain": {"key": {~: null}}}"#.to_owned(),
    ] {
        let found = wrong_with(&sections.replace('~', r#""hunter2""#)).join("\n");
        assert!(!found.is_empty() && !found.contains("hunter2"), "{sections}: {found}");
    }
}

/// Names are told wherever none can be a secret: a typo is found by them.
#[test]
fn a_name_without_a_value_is_told_where_it_is_no_secret() {
    let found = wrong_with(r#""routes": [{"name": "a", "qoutas": null}], "secrets": {"hop": {"environment": {"nmae": "A"}}}"#).join("\n");
    assert!(
        found.contains("routes[0].qoutas: expected one of") && found.contains("secrets.hop.environment.nmae: expected one of"),
        "{found}"
    );
}
