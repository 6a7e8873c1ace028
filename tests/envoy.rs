// SPDX-License-Identifier: Apache-2.0
//! The compiled module in real Envoy: refusals, hostile heads, bad configurations, and the `envoy` command itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::trace::TraceParent;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::Connection;
use tracegate_harness::module;
use tracegate_tests::{Edge, OPEN, binary, echoed, get, stderr, tracegate};

const ROUTES: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse", "status": 404}, "routes": [
    {"name": "closed", "match": {"path": {"prefix": "/open/closed"}}, "rules": [{"name": "no", "require": "deny"}]},
    {"name": "open", "match": {"hosts": [{"exact": "api.example"}], "methods": ["GET"], "path": {"prefix": "/open"}}}]}"#;

#[test]
fn refusals_read_as_documented_and_reach_no_upstream() {
    let Some(edge) = Edge::start(ROUTES) else { return };
    assert_eq!(edge.get("/open/1?x", &[]).status, 200);
    for (path, status, reason, message) in [
        ("/other", 404, "OperationNotFound", "Resource not found"),
        ("/open/closed/1", 403, "AccessDenied", "Access denied."),
        ("/open/./x/../closed", 403, "AccessDenied", "Access denied."),
        ("/open/%63losed", 403, "AccessDenied", "Access denied."),
        ("/open/%zz", 400, "RequestPathAmbiguous", "Request path is ambiguous."),
        // Envoy has removed the dots before the module reads the path.
        ("/open//../closed", 403, "AccessDenied", "Access denied."),
    ] {
        let response = edge.get(path, &[]);
        let body = format!(r#"{{ "statusCode": {status}, "message": "{message}" }}"#);
        let found = (response.status, response.field("tracegate-reason"), String::from_utf8_lossy(&response.body).into_owned());
        assert_eq!(found, (status, Some(reason.as_bytes()), body), "{path}");
        assert_eq!(response.field("content-type"), Some(&b"application/json"[..]), "{path}");
    }
    // Spellings of a host that could be taken for another.
    for (host, status) in
        [("api.example.", 200), ("API.example:8080", 200), ("u@api.example", 400), ("api.example:80:80", 400), ("other", 404)]
    {
        let mut connection = edge.connect();
        connection.send(format!("GET /open HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(connection.read_response().unwrap().status, status, "{host}");
    }
    assert_eq!(edge.metric_when("tracegate.requests.refused.AccessDenied", |count| count == 4), 4);
    assert_eq!(edge.metric_when("tracegate.requests.admitted.none", |count| count == 3), 3);
    edge.assert_alive();
}

/// Header values of any bytes that HTTP admits (RFC 9110 section 5.5: field-vchar, SP, HTAB, obs-text), names of any
/// token: none traps the module, and nearly all reach it.
#[test]
fn ten_thousand_requests_with_random_admissible_bytes_cause_no_trap() {
    const REQUESTS: u64 = 10_000;
    let Some(edge) = Edge::start(OPEN) else { return };
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut connection = edge.connect();
    let mut forwarded = 0_u64;
    for _ in 0..REQUESTS {
        let fields: Vec<(String, Vec<u8>)> = (0..1 + random.next_u32() % 12).map(|_| random_field(&mut random)).collect();
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        connection.send(&get("/", &fields)).unwrap();
        let response = connection.read_response().unwrap();
        if response.status == 200 {
            forwarded += 1;
            let parents = echoed(&response, "traceparent");
            assert!(parents.len() == 1 && parents[0].parse::<TraceParent>().is_ok(), "{parents:?} for {fields:?}");
        }
        if response.status != 200 || response.field("connection").is_some() {
            connection = edge.connect();
        }
    }
    let least = REQUESTS * 95 / 100;
    let admitted = edge.metric_when("tracegate.requests.admitted.none", |count| count >= forwarded);
    println!("{forwarded} of {REQUESTS} forwarded, {admitted} admitted by the module's own metric");
    assert!(admitted >= least, "expected at least {least} to reach the module, found {admitted}");
    assert_eq!(admitted, forwarded, "what the module admits is forwarded, and nothing else is");
    edge.assert_alive();
}

fn random_field(random: &mut ChaCha8Rng) -> (String, Vec<u8>) {
    // Without `_`, for which the shipped configuration has Envoy refuse a request.
    const TOKEN: &[u8] = b"!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let below = |random: &mut ChaCha8Rng, limit: usize| usize::try_from(random.next_u32()).unwrap() % limit;
    let name = match random.next_u32() % 8 {
        0 => "traceparent".to_owned(),
        1 | 2 => "TraceState".to_owned(),
        // A leading letter of ours keeps the random name from being one that means something to Envoy.
        _ => (0..1 + below(random, 20))
            .fold("x".to_owned(), |name, _| name + std::str::from_utf8(&[TOKEN[below(random, TOKEN.len())]]).unwrap()),
    };
    let value = match random.next_u32() % 4 {
        0 => b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec(),
        1 => b"rojo=1,congo=2".to_vec(),
        _ => Vec::new(),
    };
    let admissible: Vec<u8> = (0..=u8::MAX).filter(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)).collect();
    let mut value = value;
    for _ in 0..below(random, 60) {
        let at = below(random, value.len() + 1);
        value.insert(at, admissible[below(random, admissible.len())]);
    }
    (name, value)
}

/// Envoy's limits of 1,024 pairs and 1 MiB hold for maps that a module hands over, not for those that it reads: a
/// `traceparent` smuggled in behind thousands of lines is seen.
#[test]
fn a_head_of_thousands_of_lines_is_read_to_its_end() {
    let Some(edge) = Edge::start_with(OPEN, Some(3000), None) else { return };
    let good = &b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"[..];
    let names: Vec<String> = (0..1900).map(|index| format!("x-{index}")).collect();
    for (last, goes_on) in [(vec![("traceparent", good)], true), (vec![("traceparent", good); 2], false)] {
        let mut fields: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"1"[..])).collect();
        fields.extend(last);
        let parents = echoed(&edge.get("/", &fields), "traceparent");
        assert_eq!((parents.len(), parents[0].starts_with("00-0af7651916cd43dd8448eb211c80319c-")), (1, goes_on), "{parents:?}");
        assert!(!parents[0].contains("b7ad6b7169203331"), "{parents:?}");
    }
    edge.assert_alive();
}

#[test]
fn a_bad_policy_keeps_envoy_from_starting_and_says_where() {
    let start = |configuration: &str| {
        let binary = binary(envoy::VERSION)?;
        let plugin = Plugin::Wasm { module: module::build().unwrap(), configuration: configuration.to_owned() };
        let options = Options::new(binary, plugin);
        Some(Envoy::start(&options).map(drop).unwrap_err().to_string())
    };
    let Some(error) = start("{\"schema\": 1,\n \"service\": {\"name\": \"\"}, \"default\": {\"action\": \"perhaps\"}}") else { return };
    assert!(error.contains("invalid policy: 2:22: service.name: expected text of at least one character, found \"\""), "{error}");
    assert!(error.contains("invalid policy: 2:49: default.action: expected `admit` or `refuse`, found \"perhaps\""), "{error}");
    let error = start("\u{a}\u{d}schema").unwrap();
    assert!(error.contains("expected the policy as JSON in a google.protobuf.StringValue"), "{error}");
}

#[test]
fn the_command_says_when_it_is_ready_serves_and_ends_on_sigterm() {
    if binary(envoy::VERSION).is_none() {
        return;
    }
    let mut process = tracegate().arg("envoy").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let [ready, listener, admin] = words.as_slice() else { panic!("{line}") };
    assert_eq!(*ready, "ready");
    let address = |word: &str, prefix: &str| word.strip_prefix(prefix).unwrap().parse().unwrap();
    let mut connection = Connection::open(address(listener, "listener=http://")).unwrap();
    connection.send(&get("/a?b", &[("X-Twice", b"1"), ("x-twice", b"\xff")])).unwrap();
    let response = connection.read_response().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((&body["method"], &body["path"]), (&"GET".into(), &"/a?b".into()));
    assert_eq!(echoed(&response, "x-twice"), ["1", r#"{"base64":"/w=="}"#]);
    let mut connection = Connection::open(address(admin, "admin=http://")).unwrap();
    assert_eq!(connection.ask("GET", "/ready").unwrap().status, 200);
    assert!(Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap().success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    output.read_line(&mut rest).unwrap();
    assert_eq!(rest, "", "nothing but the ready line goes to standard output");
    assert!(Connection::open(address(admin, "admin=http://")).is_err(), "Envoy has ended");
}

#[test]
fn the_command_refuses_a_bad_policy_and_starts_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let policy = scratch.path().join("policy.yaml");
    std::fs::write(&policy, "schema: 1\nservice: {}\ndefault: {action: admit}\n").unwrap();
    let output = tracegate().arg("envoy").arg("--policy").arg(&policy).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    assert!(stderr(&output).contains("policy.yaml:2:10: service: expected a field `name`, found none"), "{}", stderr(&output));
}

/// A smoke test; `cargo harness test --all` runs every test in each of them.
#[test]
fn older_envoys_run_the_same_module() {
    for version in envoy::OLDER_VERSIONS {
        let Some(edge) = Edge::start_with(ROUTES, None, Some(version)) else { return };
        assert_eq!(echoed(&edge.get("/open", &[]), "traceparent").len(), 1, "{version}");
        assert_eq!(edge.get("/open/closed", &[]).status, 403, "{version}");
        edge.assert_alive();
    }
}
