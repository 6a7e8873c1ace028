// SPDX-License-Identifier: Apache-2.0
//! `--export`: what left of recorded exchanges is sent on to a collector, and what becomes of it there.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tempfile::TempDir;
use tracegate_harness::collector::{Answer, Collector};
use tracegate_harness::http::Request as HttpRequest;
use tracegate_harness::otlp::{Request, json};
use tracegate_harness::server::Server;
use tracegate_tests::certificates::{Authority, Identity, host};
use tracegate_tests::{lines, stderr, stdout, tls, tracegate};

use super::{file, record, text};

/// The headers that the environment asks for.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

fn export(url: &str, headers: &str, arguments: &[&str]) -> Output {
    let mut command = tracegate();
    command.args(["replay", "--export", url]).args(arguments).env_remove("OTEL_EXPORTER_OTLP_TRACES_HEADERS").env(HEADERS, headers);
    command.output().unwrap()
}

fn url(collector: &Collector) -> String {
    format!("http://{}", collector.address())
}

/// The spans that came, by what OTLP's JSON has of them.
fn arrived(collector: &Collector) -> Vec<serde_json::Value> {
    let requests = collector.requests();
    let read = requests.iter().map(|request| Request::read(&request.body).unwrap());
    read.flat_map(|request| request.spans().iter().map(|span| json(span, &|text| text).unwrap()).collect::<Vec<_>>()).collect()
}

fn with(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Answer {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::With { status, fields, body: body.to_vec() }
}

#[test]
fn a_collector_gets_what_each_exchange_would_have_exported() {
    let collector = Collector::start().unwrap();
    let output = export(&url(&collector), "authorization=Bearer%20s3cret", &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = lines(&output);
    let expected: Vec<_> = lines.iter().map(|line| line["span"].clone()).filter(|span| span.is_object()).collect();
    assert_eq!(arrived(&collector), expected, "in the recorded order, and as told");
    let requests = collector.requests();
    assert_eq!(requests.len(), 2, "{} spans, 512 together at most", expected.len());
    let bytes: usize = requests.iter().map(|request| request.body.len()).sum();
    let summary =
        format!("exported {} spans in 2 batches ({:.1} kB) to {}/v1/traces\n", expected.len(), bytes as f64 / 1e3, url(&collector));
    assert_eq!(stderr(&output), summary);
    for request in &requests {
        let field = |name: &str| request.fields.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_slice());
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
        assert_eq!(field("authorization"), Some(b"Bearer s3cret".as_slice()));
        assert_eq!(field("content-type"), Some(b"application/x-protobuf".as_slice()));
        // The policy's own fingerprint, whatever stands in for what in the one that the module runs.
        let fingerprint = lines.last().unwrap()["summary"]["policy_fingerprint"].as_str().unwrap();
        assert!(request.body.windows(16).any(|window| window == fingerprint.as_bytes()));
    }
    let all = [stdout(&output), stderr(&output)].concat();
    assert!(!all.contains("s3cret"));
}

#[test]
fn only_what_is_found_is_exported_and_to_the_path_that_is_named() {
    let collector = Collector::start().unwrap();
    let output = export(&format!("{}/otlp/in", url(&collector)), "", &["tests/recordings/sample.ndjson", "--find", "path=/files/8202"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let spans = arrived(&collector);
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!((&spans[0]["name"], &spans[0]["kind"]), (&json!("DELETE"), &json!(2)), "the observe-only policy has no routes");
    assert_eq!(spans[0]["traceId"], "8a69985f2066d933665a7593d8c683a0", "the caller's trace goes on");
    assert_eq!(collector.requests()[0].target, "/otlp/in");
    assert!(stderr(&output).contains("exported 1 spans in 1 batches ("), "{}", stderr(&output));
    // Its trace begins anew under the sample's policy, and isn't sampled.
    let output = export(&url(&collector), "", &["--find", "path=/files/8202"]);
    let expected = format!("exported nothing to {}/v1/traces: the policy records none of what is shown\n", url(&collector));
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), expected));
    assert_eq!(collector.requests().len(), 1);
}

#[test]
fn what_a_collector_does_not_take_is_an_error_and_nothing_is_reported() {
    let scratch = TempDir::new().unwrap();
    let log = file(&scratch, "log.json", &[record(json!({})).to_string(), record(json!({})).to_string()].join("\n"));
    let rejected = b"\x0a\x09\x08\x01\x12\x05full!";
    for (answers, found) in [
        (
            vec![with(401, &[], b"s3cret")],
            "found status 401: credentials go into OTEL_EXPORTER_OTLP_HEADERS; 0 spans in 0 batches have been taken",
        ),
        (vec![with(404, &[], b"")], "found status 404: is it the URL at which it takes traces?; 0 spans"),
        (vec![with(400, &[], b"")], "found status 400; 0 spans"),
        (vec![with(302, &[("location", "http://127.0.0.1:1/")], b"")], "found status 302; 0 spans"),
        (vec![with(200, &[], b"<html>s3cret</html>")], "found an answer that is none of OTLP: is it a collector's URL?; 0 spans"),
        (vec![with(200, &[], rejected)], "found 1 of them rejected: full!; 1 spans in 1 batches have been taken"),
        (vec![with(503, &[("retry-after", "0")], b""); 5], "found status 503, 5 times; 0 spans"),
        (vec![Answer::Closed; 2], "end of file"),
        (vec![Answer::Broken; 2], "end of file"),
    ] {
        let collector = Collector::start().unwrap();
        let count = answers.len();
        collector.answer_next(answers);
        let output = export(&url(&collector), "x-token=s3cret", &[text(&log)]);
        let expected = format!("tracegate: {}/v1/traces: expected a batch of 2 spans to be taken, ", url(&collector));
        let told = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{told}");
        assert!(told.starts_with(&expected) && told.contains(found) && !told.contains("s3cret"), "{found}: {told}");
        assert!(!told.contains("exported"), "{told}");
        assert_eq!(collector.requests().len(), count, "{found}");
    }
}

#[test]
fn what_may_pass_is_sent_again() {
    let scratch = TempDir::new().unwrap();
    let log = file(&scratch, "log.json", &record(json!({})).to_string());
    let collector = Collector::start().unwrap();
    collector.answer_next([with(429, &[("retry-after", "0")], b""), with(503, &[], b""), Answer::Closed, Answer::Taken]);
    let output = export(&url(&collector), "", &[text(&log)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let bodies: BTreeSet<Vec<u8>> = collector.requests().into_iter().map(|request| request.body).collect();
    assert_eq!((collector.requests().len(), bodies.len()), (4, 1), "the same again");
    assert!(stderr(&output).contains("exported 1 spans in 1 batches ("), "{}", stderr(&output));
}

#[test]
fn what_is_no_collector_is_told_before_anything_is_replayed() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, headers, expected) in [
        (format!("http://{free}"), "", format!("http://{free}/v1/traces: can't connect: ")),
        (
            "http://u:s3cret@127.0.0.1".to_owned(),
            "",
            "--export: expected a URL without user information: credentials go in headers".to_owned(),
        ),
        ("s3cret".to_owned(), "", "--export: expected a URL as http[s]://HOST[:PORT]/PATH, found another".to_owned()),
        (format!("http://{free}"), "x-token s3cret", format!("{HEADERS}: header 1: expected NAME=VALUE, found something else")),
    ] {
        let output = export(&url, headers, &[]);
        let told = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{told}");
        assert!(told.starts_with(&format!("tracegate: {expected}")) && !told.contains("s3cret"), "{expected}: {told}");
    }
}

/// A collector by TLS, which proves its name by this identity; and what reached it.
fn by_tls(identity: &Identity) -> (Server, String, Arc<Mutex<Vec<HttpRequest>>>) {
    let reached = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&reached);
    let server = tls::serve(identity, move |request| {
        kept.lock().unwrap().push(request);
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()
    });
    let url = format!("https://localhost:{}", server.address().port());
    (server, url, reached)
}

/// Spans and what stands in headers reach nobody but who proves the URL's name by the word of the authority that is named.
#[test]
fn a_collector_by_tls_proves_its_name_before_it_is_told_anything() {
    let scratch = TempDir::new().unwrap();
    let log = file(&scratch, "log.json", &record(json!({})).to_string());
    let authority = Authority::new("collectors");
    let trusted = file(&scratch, "trusted.pem", &authority.certificate().pem());
    let untrusted = "expected a certificate by an authority that is trusted here, found another: --cacert names one";
    for (what, identity, error) in [
        ("the collector", authority.vouch_for(host("localhost")), None),
        (
            "another's name",
            authority.vouch_for(host("elsewhere.example")),
            Some("expected a certificate for the host of the URL, found one for another"),
        ),
        ("another authority", Authority::new("strangers").vouch_for(host("localhost")), Some(untrusted)),
        ("an authority that goes by the same name", Authority::new("collectors").vouch_for(host("localhost")), Some("BadSignature")),
        ("its own word", Identity::self_signed(host("localhost")), Some(untrusted)),
    ] {
        let (_server, url, reached) = by_tls(&identity);
        let output = export(&url, "x-token=s3cret", &[text(&log), "--cacert", text(&trusted)]);
        let (told, reached) = (stderr(&output), reached.lock().unwrap());
        match error {
            None => {
                assert_eq!((output.status.code(), reached.len()), (Some(0), 1), "{what}: {told}");
                assert!(told.starts_with("exported 1 spans in 1 batches (") && told.ends_with(&format!("to {url}/v1/traces\n")), "{told}");
                assert!(reached[0].fields.contains(&(b"x-token".to_vec(), b"s3cret".to_vec())) && Request::read(&reached[0].body).is_ok());
            }
            Some(error) => {
                assert_eq!((output.status.code(), reached.len()), (Some(2), 0), "{what}: {told}");
                assert!(
                    told.starts_with(&format!("tracegate: {url}/v1/traces: can't connect: ")) && told.contains(error),
                    "{what}: {told}"
                );
            }
        }
    }
}

#[test]
fn the_platforms_authorities_count_where_none_is_named() {
    let scratch = TempDir::new().unwrap();
    let log = file(&scratch, "log.json", &record(json!({})).to_string());
    let authority = Authority::new("platform");
    let trusted = file(&scratch, "platform.pem", &authority.certificate().pem());
    let none = file(&scratch, "none.pem", "");
    let (_server, url, reached) = by_tls(&authority.vouch_for(host("localhost")));
    let run = |roots: &Path| {
        let mut command = tracegate();
        command
            .args(["replay", text(&log), "--export", &url])
            .env("SSL_CERT_FILE", roots)
            .env("SSL_CERT_DIR", scratch.path().join("nowhere"));
        command.output().unwrap()
    };
    let output = run(&trusted);
    assert_eq!((output.status.code(), reached.lock().unwrap().len()), (Some(0), 1), "{}", stderr(&output));
    let output = run(&none);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("expected authorities among this platform's certificates, found none"), "{}", stderr(&output));
    // What is no authority, and one for nothing.
    for (url, file, expected) in [
        (&*url, &none, format!("{}: expected certificates as PEM, found none", none.display())),
        (&url, &log, format!("{}: expected certificates as PEM, found none", log.display())),
        ("http://127.0.0.1:1", &trusted, "expected --cacert with an https URL, found it with http".to_owned()),
    ] {
        let output = export(url, "", &[text(&log), "--cacert", text(file)]);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(&expected), "{expected}: {}", stderr(&output));
    }
    assert_eq!(reached.lock().unwrap().len(), 1);
}

#[test]
fn what_speaks_no_tls_is_told_as_such() {
    let collector = Collector::start().unwrap();
    let output = export(&url(&collector).replace("http", "https"), "x-token=s3cret", &["--cacert", "tests/recordings/none.pem"]);
    assert_eq!(output.status.code(), Some(2));
    let scratch = TempDir::new().unwrap();
    let trusted = file(&scratch, "trusted.pem", &Authority::new("a").certificate().pem());
    let output = export(&url(&collector).replace("http", "https"), "x-token=s3cret", &["--cacert", text(&trusted)]);
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("can't connect") && !told.contains("s3cret"), "{told}");
    assert!(!collector.requests().iter().any(|request| String::from_utf8_lossy(&request.body).contains("s3cret")));
}
