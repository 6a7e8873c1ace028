// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told.

use proptest::prelude::*;

use super::*;

const LEAST: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;

fn findings(text: &str) -> Vec<String> {
    let findings = match Policy::from_json(text.as_bytes()) {
        Ok(loaded) => loaded.warnings,
        Err(findings) => findings,
    };
    findings.iter().map(ToString::to_string).filter(|line| !line.contains("warning: ")).collect()
}

#[test]
fn the_least_policy_has_every_default_filled_in() {
    let loaded = Policy::from_json(LEAST.as_bytes()).unwrap();
    let expected = concat!(
        r#"{"schema":1,"service":{"name":"edge","attributes":{}},"#,
        r#""listener":{"trusted_hops":0,"client_certificates":"unverified"},"secrets":{},"#,
        r#""trace":{"propagation":{"extract":["tracecontext"],"inject":["tracecontext"],"baggage":{}},"tracestate":{"max_length":16447}},"#,
        r#""routes":[],"default":{"action":"admit"}}"#
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
    assert_eq!(least.to_string(), "50f6df643db15004");
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
        policy.routes.routes.iter().map(|route| (route.name.as_str(), route.rules.len())).collect::<Vec<_>>(),
        [("read", 2), ("rest", 0)]
    );
    assert_eq!(policy.routes.default, crate::route::DefaultAction::Refuse { status: 403 });
}

#[test]
fn all_errors_come_in_one_run_with_their_places() {
    let text = r#"{
  "schema": 2,
  "service": {"name": "", "nmaespace": "shop"},
  "trace": {"propagation": {"extract": ["b4"], "inject": []}, "tracestate": {"member": "Tgate", "max_length": 5.5}},
  "routes": [
    {"match": {"hosts": [{"exact": "a:80"}, "b"], "methods": ["get"], "path": {"prefix": "/a/../b"}}, "name": "one"},
    {"match": {"path": {"exact": "/a", "prefix": "/b"}}, "rules": [{"name": "r", "require": "maybe", "mode": 3}, {}]},
    {"name": "one", "name": "two"}
  ],
  "default": {"action": "admit", "status": -5},
  "quotas": {}
}"#;
    let expected = r#"2:13: schema: expected 1, the newest schema that version @ reads, found 2
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
7:93: routes[1].rules[0].require: expected `anonymous` or `deny`, found "maybe"
7:110: routes[1].rules[0].mode: expected `enforce` or `shadow`, found 3
7:114: routes[1].rules[1]: expected a field `name`, found none
7:114: routes[1].rules[1]: expected a field `require`, found none
8:14: routes[2].name: expected a name of its own, found "one"
8:21: routes[2].name: expected a field once, found it again
10:44: default.status: expected a whole number from 400 to 599, found -5
11:3: quotas: expected one of `schema`, `service`, `listener`, `secrets`, `trace`, `routes`, `default`, found an unknown field"#;
    assert_eq!(findings(text).join("\n"), expected.replace("version @", &format!("version {}", crate::VERSION)));
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
