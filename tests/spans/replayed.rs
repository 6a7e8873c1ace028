// SPDX-License-Identifier: Apache-2.0
//! What a replay sends on and what it says of it, read by OpenTelemetry's own types.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::collector::Collector;
use tracegate_harness::workspace;
use tracegate_tests::{collected, lines, run, stderr};

/// A span's attributes as OTLP's JSON has them.
fn attributes(span: &Value) -> BTreeMap<String, String> {
    let value = |value: &Value| value["stringValue"].as_str().or_else(|| value["intValue"].as_str()).unwrap().to_owned();
    let list = span["attributes"].as_array().unwrap();
    list.iter().map(|one| (one["key"].as_str().unwrap().to_owned(), value(&one["value"]))).collect()
}

#[test]
fn a_replay_tells_and_sends_what_opentelemetrys_types_read() {
    let scratch = TempDir::new().unwrap();
    let export = json!({"spans": {"client": true, "attributes": ["client.address", "server.address"]},
        "traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel/v1/traces"}}}});
    let policy = scratch.path().join("policy.yaml");
    fs::write(&policy, format!("{}export: {export}\n", fs::read_to_string(workspace::sample_policy()).unwrap())).unwrap();
    let collector = Collector::start().unwrap();
    let (recording, url) = (workspace::sample_recording(), format!("http://{}", collector.address()));
    let arguments = [recording.to_str().unwrap(), "--policy", policy.to_str().unwrap(), "--format", "json", "--export", &url];
    let output = run(std::iter::once("replay").chain(arguments));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // Nothing is wrong with any of it.
    let read = collected::spans(&collector);
    let lines = lines(&output);
    let told: Vec<&Value> = lines.iter().flat_map(|line| [&line["span"], &line["client_span"]]).filter(|span| span.is_object()).collect();
    assert!(read.len() == told.len() && read.len() > 1000, "{} read, {} told", read.len(), told.len());
    for (read, told) in read.iter().zip(told) {
        let text = |name: &str| told[name].as_str().unwrap_or_default();
        assert_eq!((read.name.as_str(), read.trace_id.as_str(), read.span_id.as_str()), (text("name"), text("traceId"), text("spanId")));
        assert_eq!((read.parent.as_str(), &read.attributes), (text("parentSpanId"), &attributes(told)));
        let time = |name: &str| text(name).parse::<u64>().unwrap();
        assert_eq!(read.nanoseconds, time("endTimeUnixNano") - time("startTimeUnixNano"));
        assert_eq!(read.resource["service.name"], "contoso-edge");
        assert_eq!(json!(read.resource["tracegate.policy.fingerprint"]), lines.last().unwrap()["summary"]["policy_fingerprint"]);
    }
}
