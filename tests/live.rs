// SPDX-License-Identifier: Apache-2.0
//! `tracegate probe`, as its users meet it: through gateways that keep, cut, rewrite and refuse, and through real Envoy.

use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tracegate_harness::echo::Echo;
use tracegate_harness::http::{Field, Request};
use tracegate_harness::server::Server;
use tracegate_tests::certificates::{Authority, host};
use tracegate_tests::{Edge, OPEN, lines, run, stderr, stdout, tls};

fn probe(url: &str, arguments: &[&str]) -> Output {
    run(["probe", url].into_iter().chain(arguments.iter().copied()))
}

/// A server that answers with what `answer` makes of each request: a status and a body.
fn server(answer: impl Fn(Request) -> (u16, String) + Send + Sync + 'static) -> Server {
    let serve = move |mut connection: tracegate_harness::http::Connection| {
        while let Ok(Some(request)) = connection.read_request() {
            let (status, body) = answer(request);
            let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {}\r\n\r\n", body.len());
            if connection.send([head.as_bytes(), body.as_bytes()].concat().as_slice()).is_err() {
                return;
            }
        }
    };
    Server::start(serve).unwrap()
}

fn url(server: &Server) -> String {
    format!("http://{}/orders/7", server.address())
}

/// A gateway that does something to the header lines, before a backend that echoes them.
fn gateway(change: impl Fn(&mut Vec<Field>) + Send + Sync + 'static) -> Server {
    server(move |mut request| {
        change(&mut request.fields);
        (200, pairs(&request.fields))
    })
}

fn pairs(fields: &[Field]) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    json!({"headers": fields.iter().map(|(name, value)| json!([text(name), text(value)])).collect::<Vec<_>>()}).to_string()
}

fn is(field: &Field, name: &str) -> bool {
    field.0.eq_ignore_ascii_case(name.as_bytes())
}

fn set(fields: &mut [Field], name: &str, change: impl Fn(String) -> String) {
    for (_, value) in fields.iter_mut().filter(|field| is(field, name)) {
        *value = change(String::from_utf8(value.clone()).unwrap()).into_bytes();
    }
}

fn keep_first(fields: &mut Vec<Field>, name: &str) {
    let mut is_first = true;
    fields.retain(|field| !is(field, name) || std::mem::take(&mut is_first));
}

/// A trace that nobody sent.
fn fresh(_: String) -> String {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()
}

/// The rows that say another thing than that a header came through alone or with all: header, how it was sent, what arrived,
/// outcome, whether it is a finding.
fn told(output: &Output) -> Vec<Value> {
    let mut lines = lines(output);
    lines.pop();
    lines.retain(|row| row["outcome"] != "kept" && row["outcome"] != "as alone");
    lines.iter().map(|row| json!(["header", "sent", "at_backend", "outcome", "finding"].map(|name| row[name].clone()))).collect()
}

#[test]
fn a_gateway_that_changes_nothing_keeps_everything_even_what_is_malformed() {
    let echo = Echo::start().unwrap();
    let url = format!("http://{}/orders/7", echo.address());
    let output = probe(&url, &[]);
    let table = stdout(&output);
    let mut rows = table.lines();
    assert!(rows.next().unwrap().starts_with("header             sent                      at the backend  outcome"), "{table}");
    let kept = rows.skip(1).take(17).filter(|row| row.contains("  1 line          kept ")).count();
    assert_eq!(kept, 17, "{table}");
    assert!(table.contains("all together       17 lines                  17 lines        as alone "), "{table}");
    assert!(table.contains("\ntrace headers at the backend of a request without any: none\n2 findings: "), "{table}");
    assert!(table.ends_with(&format!("\nGET {url}, 15 requests\n")), "{table}");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""), "what is malformed reaches the backend");
    let expected = json!([
        ["traceparent", "1 line, malformed", "1 line", "passed unchanged though malformed", true],
        ["traceparent", "2 lines", "2 lines", "passed unchanged though malformed", true],
    ]);
    let output = probe(&url, &["--format", "json"]);
    assert_eq!(json!(told(&output)), expected);
    let last = lines(&output).pop().unwrap();
    let summary = json!({"target": url, "method": "GET", "requests": 15, "findings": 2, "lost": 0, "added": [], "mark_removed": false});
    assert_eq!(last["summary"], summary);
}

/// What a gateway must do to be called sound: drop what is malformed. Whether it writes a span of its own is up to it.
#[test]
fn a_gateway_that_drops_what_is_malformed_is_sound_whichever_form_the_backend_answers_in() {
    let clean = |fields: &mut Vec<Field>| {
        let parents: Vec<Vec<u8>> = fields.iter().filter(|field| is(field, "traceparent")).map(|(_, value)| value.clone()).collect();
        if parents.len() > 1 || parents.iter().any(|parent| parent.len() != 55) {
            fields.retain(|field| !is(field, "traceparent"));
        }
    };
    let by_name = server(move |mut request| {
        clean(&mut request.fields);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers: Map<String, Value> =
            request.fields.iter().map(|(name, value)| (text(name).to_uppercase(), json!(text(value)))).collect();
        (200, json!({"args": {}, "headers": headers, "method": request.method, "url": "http://localhost/anything"}).to_string())
    });
    for server in [gateway(clean), by_name] {
        let output = probe(&url(&server), &["--format", "json"]);
        let expected =
            json!([["traceparent", "1 line, malformed", "none", "removed", false], ["traceparent", "2 lines", "none", "removed", false],]);
        assert_eq!((json!(told(&output)), output.status.code()), (expected, Some(0)), "{}", stderr(&output));
        assert!(stdout(&probe(&url(&server), &[])).contains("\nW3C Trace Context survives, and nothing malformed reaches the backend\n"));
    }
}

#[test]
fn what_strips_cuts_restarts_or_refuses_is_told_from_each_other() {
    let next = |parent: String| if parent.len() == 55 { parent[..36].to_owned() + "00f067aa0ba902b7-01" } else { fresh(parent) };
    type Change = Box<dyn Fn(&mut Vec<Field>) + Send + Sync>;
    let cases: Vec<(&str, Change, Value, &str, i32)> = vec![
        (
            "a new span, and one fresh trace for two",
            Box::new(move |fields| {
                if fields.iter().filter(|field| is(field, "traceparent")).count() > 1 {
                    keep_first(fields, "traceparent");
                    set(fields, "traceparent", fresh);
                }
                set(fields, "traceparent", next);
            }),
            json!([
                ["traceparent", "1 line", "1 line", "continued", false],
                ["traceparent", "1 line, malformed", "1 line", "replaced by a fresh trace", false],
                ["traceparent", "2 lines", "1 line", "replaced by a fresh trace", false],
            ]),
            "W3C Trace Context survives",
            0,
        ),
        (
            "strips W3C",
            Box::new(|fields| fields.retain(|field| !is(field, "traceparent") && !is(field, "tracestate"))),
            json!([
                ["traceparent", "1 line", "none", "removed", true],
                ["tracestate", "1 line, with traceparent", "none", "removed", true],
                ["traceparent", "1 line, malformed", "none", "removed", false],
                ["traceparent", "2 lines", "none", "removed", false],
            ]),
            "a policy removes it",
            1,
        ),
        (
            "writes Request-Id, as API Management's Legacy does, and no traceparent",
            Box::new(|fields| {
                fields.retain(|field| !is(field, "traceparent") && !is(field, "tracestate") && !is(field, "request-id"));
                fields.push((b"Request-Id".to_vec(), b"|1.2.".to_vec()));
            }),
            json!([
                ["traceparent", "1 line", "none", "removed", true],
                ["tracestate", "1 line, with traceparent", "none", "removed", true],
                ["request-id", "1 line", "1 line", "restarted", false],
                ["traceparent", "1 line, malformed", "none", "removed", false],
                ["traceparent", "2 lines", "none", "removed", false],
            ]),
            "httpCorrelationProtocol Legacy",
            1,
        ),
        (
            "begins its own trace",
            Box::new(move |fields| {
                fields.retain(|field| !is(field, "traceparent") && !is(field, "tracestate"));
                fields.push((b"traceparent".to_vec(), fresh(String::new()).into_bytes()));
            }),
            json!([
                ["traceparent", "1 line", "1 line", "restarted", true],
                ["tracestate", "1 line, with traceparent", "none", "removed", true],
                ["traceparent", "1 line, malformed", "1 line", "replaced by a fresh trace", false],
                ["traceparent", "2 lines", "1 line", "replaced by a fresh trace", false],
            ]),
            "the gateway writes its own for every request",
            1,
        ),
        (
            "cuts the tracestate, and b3 where there is a traceparent",
            Box::new(|fields| {
                set(fields, "tracestate", |state| state.split(',').next().unwrap().to_owned());
                if fields.iter().any(|field| is(field, "traceparent")) {
                    fields.retain(|field| !is(field, "b3"));
                }
                fields.retain(|(_, value)| !value.ends_with(b"-malformed"));
                keep_first(fields, "traceparent");
            }),
            json!([
                ["tracestate", "1 line, with traceparent", "1 line", "altered", true],
                ["all together", "17 lines", "16 lines", "otherwise", false],
                ["b3", "1 line, with all others", "none", "removed", false],
                ["traceparent", "1 line, malformed", "none", "removed", false],
                ["traceparent", "2 lines", "1 line", "one of two kept", false],
            ]),
            "something shortens or rewrites it: members are missing",
            1,
        ),
    ];
    for (what, change, expected, cause, code) in cases {
        let server = gateway(change);
        let output = probe(&url(&server), &["--format", "json"]);
        assert_eq!(json!(told(&output)), expected, "{what}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(code), "{what}");
        let table = stdout(&probe(&url(&server), &[]));
        assert!(table.contains(cause), "{what}: {table}");
    }
}

#[test]
fn a_gateway_that_hands_on_only_what_it_knows_is_told() {
    let server = gateway(|fields| fields.retain(|field| is(field, "host") || is(field, "accept")));
    let output = probe(&url(&server), &[]);
    assert_eq!(output.status.code(), Some(1));
    let table = stdout(&output);
    assert!(table.contains("the gateway hands on only headers that it knows: the probe's own mark is gone too"), "{table}");
    assert!(table.contains("\nthe probe's own mark doesn't reach the backend: "), "{table}");
    assert!(table.contains("; of the others, 15 lost\n"), "{table}");
}

#[test]
fn a_gateway_that_refuses_what_is_malformed_is_sound_and_one_that_refuses_what_is_not_is_none() {
    for (refused, expected, code) in [
        (
            "-malformed",
            json!([
                ["traceparent", "1 line, malformed", "answered 400", "refused", false],
                ["traceparent", "2 lines", "2 lines", "passed unchanged though malformed", true]
            ]),
            1,
        ),
        (
            "-01",
            json!([
                ["traceparent", "1 line", "answered 400", "refused", true],
                ["tracestate", "1 line, with traceparent", "answered 400", "refused", true],
                ["all together", "17 lines", "answered 400", "refused", true],
                ["traceparent", "1 line, malformed", "1 line", "passed unchanged though malformed", true],
                ["traceparent", "2 lines", "answered 400", "refused", false]
            ]),
            1,
        ),
    ] {
        let server = server(move |request| {
            let wrong = |(_, value): &Field| value.ends_with(refused.as_bytes());
            if request.fields.iter().any(wrong) { (400, "{}".to_owned()) } else { (200, pairs(&request.fields)) }
        });
        let output = probe(&url(&server), &["--format", "json"]);
        assert_eq!((json!(told(&output)), output.status.code()), (expected, Some(code)), "{}", stderr(&output));
    }
}

#[test]
fn headers_and_the_method_go_with_every_request_and_are_never_shown() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = server({
        let seen = Arc::clone(&seen);
        move |request| {
            let answer = (200, pairs(&request.fields));
            seen.lock().unwrap().push(request);
            answer
        }
    });
    let credentials = ["--header", "Authorization: Bearer s3cret", "--header", "host:shop.example", "--method", "POST"];
    let url = format!("{}?subscription-key=s3cret", url(&server));
    for format in ["text", "json"] {
        let output = probe(&url, &[&credentials[..], &["--format", format]].concat());
        let shown = stdout(&output) + &stderr(&output);
        assert!(shown.contains("subscription-key=REDACTED-") && !shown.contains("s3cret"), "{shown}");
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 30);
    let mut parents = std::collections::BTreeSet::new();
    for request in seen.iter() {
        let values = |name: &str| request.fields.iter().filter(|field| is(field, name)).map(|(_, value)| value.clone()).collect::<Vec<_>>();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/orders/7?subscription-key=s3cret"));
        assert_eq!((values("authorization"), values("host")), (vec![b"Bearer s3cret".to_vec()], vec![b"shop.example".to_vec()]));
        assert_eq!(values("content-length"), [b"0"], "a method that may have a body has an empty one");
        parents.extend(values("traceparent"));
    }
    assert_eq!(parents.len(), 2 * 6, "every request has ids of its own");
}

#[test]
fn what_cannot_be_told_is_code_2_with_what_was_expected() {
    let wrong = |status: u16, body: &str| {
        let body = body.to_owned();
        server(move |_| (status, body.clone()))
    };
    let large = format!("{{\"headers\": [], \"x\": \"{}\"}}", "x".repeat(2 << 20));
    for (status, body, expected) in [
        (200, "<html>s3cret</html>", "found status 200 with a body that is no JSON"),
        (404, "{\"statusCode\": 404}", "found status 404 with JSON without \"headers\""),
        (401, "", "found status 401 with no body; credentials go with --header"),
        (200, "{\"headers\": 1}", "found status 200 with JSON with \"headers\" in another form"),
        (200, "{\"headers\": {\"tracegate-probe\": \"0000\"}}", "found one to another: something on the way caches"),
        (200, &large, "expected an answer in HTTP/1.1 of at most 1048576 bytes"),
    ] {
        let server = wrong(status, body);
        let output = probe(&url(&server), &[]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{body:.80}");
        let shown = stderr(&output);
        assert!(shown.contains(expected) && shown.contains("tracegate: GET http://127.0.0.1:") && !shown.contains("s3cret"), "{shown}");
    }
    let busy = server(|request| {
        let traced = request.fields.iter().any(|field| is(field, "b3"));
        if traced { (429, "{}".to_owned()) } else { (200, pairs(&request.fields)) }
    });
    let output = probe(&url(&busy), &[]);
    assert_eq!(output.status.code(), Some(2), "too many requests say nothing about a header");
    assert!(stderr(&output).contains("found status 429"), "{}", stderr(&output));
}

#[test]
fn a_gateway_that_is_silent_or_gone_or_never_ends_is_code_2_in_time() {
    let silent = Server::start(|mut connection| while let Ok(Some(_)) = connection.read_request() {}).unwrap();
    let endless = Server::start(|mut connection| {
        let _ = connection.read_request();
        let _ = connection.send(b"HTTP/1.1 200 OK\r\n\r\n");
        // Until the peer is gone, and not for ever.
        for _ in 0..600 {
            if connection.send(b" ").is_err() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    })
    .unwrap();
    let gone = url(&server(|_| (200, String::new())));
    for (url, expected) in [
        (url(&silent), "expected an answer within 1 s, found none"),
        (url(&endless), "expected an answer within 1 s, found none"),
        (gone, "can't connect: "),
    ] {
        let begun = std::time::Instant::now();
        let output = probe(&url, &["--timeout", "1"]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

/// A key that goes with the requests reaches nobody who doesn't prove the gateway's name.
#[test]
fn a_gateway_by_tls_proves_its_name() {
    let authority = Authority::new("gateways");
    let scratch = tempfile::tempdir().unwrap();
    let trusted = scratch.path().join("trusted.pem");
    std::fs::write(&trusted, authority.certificate().pem()).unwrap();
    let echo = |request: Request| {
        let body = pairs(&request.fields);
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    // It keeps what is malformed too, which is a finding.
    for (name, code) in [("localhost", 1), ("elsewhere.example", 2)] {
        let server = tls::serve(&authority.vouch_for(host(name)), echo);
        let url = format!("https://localhost:{}/orders/7", server.address().port());
        let output = probe(&url, &["--cacert", trusted.to_str().unwrap(), "--format", "json"]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("expected a certificate for the host of the URL, found one for another"), code == 2);
    }
}

#[test]
fn arguments_that_cannot_be_meant_are_code_2_and_not_shown() {
    for (arguments, expected) in [
        (&["http://u:s3cret@a.example/"][..], "without user information: credentials go in headers"),
        (&["s3cret"], "expected a URL as http[s]://HOST[:PORT]/PATH"),
        (&["http://a.example/", "--header", "s3cret"], "expected --header 'name: value'"),
        (&["http://a.example/", "--header", "x: s3cret\r\ny: z"], "expected --header 'name: value'"),
        (&["http://a.example/", "--header", "Traceparent: s3cret"], "that the probe doesn't send by itself, found Traceparent"),
        (&["http://a.example/", "--header", "content-length: 7"], "that the probe doesn't send by itself, found content-length"),
        (&["http://a.example/", "--method", "HEAD"], "other than HEAD and CONNECT"),
        (&["http://a.example/", "--method", "GET / HTTP/1.1\r\n"], "other than HEAD and CONNECT"),
        (&["http://a.example/", "--timeout", "0"], "--timeout"),
        (&["http://a.example/", "--cacert", "nowhere.pem"], "expected --cacert with an https URL, found it with http"),
    ] {
        let output = probe(arguments[0], &arguments[1..]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}");
        let shown = stderr(&output);
        assert!(shown.contains(expected) && !shown.contains("s3cret"), "{arguments:?}: {shown}");
    }
}

#[test]
fn through_real_envoy_with_the_module_w3c_trace_context_survives_and_nothing_malformed_arrives() {
    let Some(edge) = Edge::start(OPEN) else { return };
    let url = format!("http://{}/orders/7", edge.envoy.listener());
    let output = probe(&url, &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let rows = lines(&output);
    let row = |header: &str, sent: &str| rows.iter().find(|row| row["header"] == header && row["sent"] == sent).unwrap();
    for (header, sent, expected) in [
        ("traceparent", "1 line", "continued"),
        ("tracestate", "1 line, with traceparent", "kept"),
        ("traceparent", "1 line, malformed", "replaced by a fresh trace"),
        ("traceparent", "2 lines", "replaced by a fresh trace"),
    ] {
        assert_eq!(row(header, sent)["outcome"], expected, "{header}, {sent}");
    }
    assert!(rows.last().unwrap()["summary"]["added"].as_array().unwrap().contains(&json!("traceparent")));
    edge.assert_alive();
    // Of a policy that refuses, nothing can be told.
    let Some(closed) = Edge::start(r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}}"#) else { return };
    let output = probe(&format!("http://{}/", closed.envoy.listener()), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("found status 404 with JSON without \"headers\""), "{}", stderr(&output));
}
