// SPDX-License-Identifier: Apache-2.0
//! What an edge would export of recorded traffic: spans by exchange, and how much of them.

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{lines, stderr, stdout};

use super::html::read;
use super::{file, record, replay, summary, text};

/// A policy with two collectors that gather in their own ways.
fn policy(spans: &Value) -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "trace": {"sampling": {}},
        "routes": [{"name": "order", "match": {"path": {"template": "/orders/{id}"}}}],
        "default": {"action": "refuse"},
        "export": {
            "spans": spans,
            "traces": {
                "each": {"otlp": {"cluster": "each", "uri": "http://each/v1/traces", "batch": {"max_export_batch_size": 1}}},
                "slow": {"otlp": {"cluster": "slow", "uri": "http://slow/v1/traces", "batch": {"schedule_delay": "1m"}}},
            },
        },
    })
}

/// Records of a minute and a half, one every ten seconds; the last is refused.
fn recording(scratch: &TempDir) -> std::path::PathBuf {
    let at = |index: u32| {
        let path = if index == 9 { "closed".to_owned() } else { format!("orders/{index}?code=hidden") };
        let mut record = record(json!({"url": format!("https://api.example/{path}"), "backendTime": 40 + index}));
        record["time"] = json!(format!("2026-10-05T06:0{}:{:02}Z", index / 6, index % 6 * 10));
        record["durationMs"] = json!(50 + index);
        record.to_string()
    };
    file(scratch, "log.json", &(0..10).map(at).collect::<Vec<_>>().join("\n"))
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    &attributes.iter().find(|attribute| attribute["key"] == key).unwrap_or_else(|| panic!("no {key} in {span}"))["value"]
}

fn nanoseconds(span: &Value, name: &str) -> u64 {
    span[name].as_str().unwrap().parse().unwrap()
}

#[test]
fn each_exchange_has_the_span_that_would_have_left() {
    let scratch = TempDir::new().unwrap();
    let (log, policy) = (recording(&scratch), file(&scratch, "policy.json", &policy(&json!({"client": true})).to_string()));
    let output = replay(&[text(&log), "--policy", text(&policy), "--format", "json"]);
    assert!(!stdout(&output).contains("hidden"), "no query has a way in");
    let lines = lines(&output);
    for (index, line) in (0_u64..).zip(&lines[..9]) {
        let (server, client) = (&line["span"], &line["client_span"]);
        let sent = line["upstream_request"]["headers"].as_array().unwrap().iter().find(|line| line[0] == "traceparent").unwrap();
        let sent: Vec<&str> = sent[1].as_str().unwrap().split('-').collect();
        assert_eq!(
            (&client["traceId"], &client["spanId"]),
            (&json!(sent[1]), &json!(sent[2])),
            "the upstream's parent is the client's span"
        );
        assert_eq!((&server["traceId"], &server["spanId"]), (&client["traceId"], &client["parentSpanId"]), "{line}");
        assert_eq!((&server["kind"], &client["kind"]), (&json!(2), &json!(3)));
        assert_eq!((&server["name"], &client["name"]), (&json!("GET /orders/{id}"), &json!("GET")));
        assert_eq!(attribute(server, "url.path"), &json!({"stringValue": format!("/orders/{index}")}));
        assert_eq!(attribute(server, "http.response.status_code"), &json!({"intValue": "200"}));
        // As long as was recorded.
        assert_eq!(attribute(server, "tracegate.backend_us"), &json!({"intValue": ((40 + index) * 1000).to_string()}));
        let start = nanoseconds(server, "startTimeUnixNano");
        assert_eq!(start, 1_791_180_000_000_000_000 + index * 10_000_000_000, "{server}");
        assert_eq!(nanoseconds(server, "endTimeUnixNano") - start, (50 + index) * 1_000_000, "{server}");
    }
    let refused = &lines[9];
    assert!(refused.get("client_span").is_none(), "no call to the upstream, no span for it: {refused}");
    assert_eq!(attribute(&refused["span"], "tracegate.reason"), &json!({"stringValue": "OperationNotFound"}));
    assert!(refused["span"].get("status").is_none(), "a 404 is no error of a server's: {refused}");
    // The backend's time is none of a refusal's.
    assert_eq!(nanoseconds(&refused["span"], "endTimeUnixNano") - nanoseconds(&refused["span"], "startTimeUnixNano"), 10_000_000);
}

#[test]
fn what_is_not_recorded_has_no_span() {
    let scratch = TempDir::new().unwrap();
    let mut policy = policy(&json!({}));
    policy["trace"] = json!({"sampling": {"root": {"probability": 0}, "always_record": ["refused"]}});
    let (log, policy) = (recording(&scratch), file(&scratch, "policy.json", &policy.to_string()));
    let lines = lines(&replay(&[text(&log), "--policy", text(&policy), "--format", "json"]));
    let spans: Vec<bool> = lines[..10].iter().map(|line| line["span"].is_object()).collect();
    assert_eq!(spans, [[false; 9].as_slice(), &[true]].concat());
}

#[test]
fn volume_is_measured_by_collector_at_the_recorded_pace() {
    let scratch = TempDir::new().unwrap();
    let log = recording(&scratch);
    for (spans, count) in [(json!({}), 10), (json!({"client": true}), 19)] {
        let policy = file(&scratch, "policy.json", &policy(&spans).to_string());
        let arguments = [text(&log), "--policy", text(&policy)];
        let output = replay(&[&arguments[..], &["--format", "json"]].concat());
        let last = lines(&output);
        let told = &summary(&last)["export"];
        let [each, slow] = told["collectors"].as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!((&each["collector"], &slow["collector"], &told["seconds"]), (&json!("each"), &json!("slow"), &json!(90.0)));
        // A batch an exchange; or a minute's six, and the rest.
        assert_eq!((&each["batches"], &slow["batches"]), (&json!(10), &json!(2)), "{told}");
        let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
        for row in [each, slow] {
            assert_eq!((number(row, "spans"), number(row, "spans_per_day")), (count, count * 960), "{row}");
            assert_eq!(number(row, "bytes_per_day"), number(row, "bytes") * 960, "{row}");
        }
        // Eight batches more have eight resources more, and nothing else: but for the bytes that lengths take.
        let resource = (number(each, "bytes") - number(slow, "bytes")) / 8;
        assert!((200..400).contains(&resource), "{told}");
        let sampling = &summary(&last)["sampling"];
        let own = &sampling["settings"][0];
        assert_eq!((&sampling["exported"], &sampling["core_agrees"]), (&json!(true), &json!(true)), "{sampling}");
        assert_eq!((number(own, "recorded"), number(own, "spans")), (10, count), "{own}");
        assert_eq!(number(own, "bytes"), number(each, "bytes") + number(slow, "bytes"), "{own}");
        // Recorded whatever the probability is: what the core exports natively is as long as what the module does.
        assert!(number(&sampling["settings"][1], "bytes") > 0, "{sampling}");
        let shown = stdout(&replay(&arguments));
        let heading = "export: what left for collectors, and a day's of it at the pace of 1 minutes of recording, which say little of one";
        let row = |row: &Value| {
            let [spans, batches, day] = ["spans", "batches", "spans_per_day"].map(|name| row[name].to_string());
            let kilobytes = |name: &str| format!("{:.1} kB", number(row, name) as f64 / 1e3);
            let megabytes = format!("{:.1} MB", number(row, "bytes_per_day") as f64 / 1e6);
            [row["collector"].as_str().unwrap().to_owned(), spans, batches, kilobytes("bytes"), day, megabytes]
        };
        let found: Vec<Vec<&str>> = shown
            .lines()
            .skip_while(|line| *line != heading)
            .skip(3)
            .take(2)
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(found, [row(each), row(slow)], "{shown}");
        let page = read(&stdout(&replay(&[&arguments[..], &["--format", "html"]].concat())));
        let headings = ["collector", "spans", "batches", "bytes", "spans a day", "bytes a day"].map(str::to_owned);
        assert_eq!(page["tables"][heading], json!([headings, row(each), row(slow)]));
    }
}

/// Under every setting that records the same, the core natively exports as many bytes as the module does.
#[test]
fn the_core_natively_exports_what_the_module_does() {
    let scratch = TempDir::new().unwrap();
    let mut policy = policy(&json!({"client": true, "attributes": ["client.address", "user_agent.original", "server.address"]}));
    policy["trace"] = json!({"sampling": {"root": {"probability": 0.5}}});
    let policy = file(&scratch, "policy.json", &policy.to_string());
    let parent = |digit: char| format!("00-{digit}af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let log: Vec<String> = "123456789"
        .chars()
        .map(|digit| record(json!({"url": "https://api.example/orders/1", "requestHeaders": {"traceparent": parent(digit)}})).to_string())
        .collect();
    let log = file(&scratch, "log.json", &log.join("\n"));
    let output = replay(&[text(&log), "--policy", text(&policy), "--format", "json"]);
    let last = lines(&output);
    let settings = summary(&last)["sampling"]["settings"].as_array().unwrap_or_else(|| panic!("{}", stderr(&output)));
    assert_eq!(settings[0]["by_parent"], 9, "callers have decided");
    for row in settings {
        assert_eq!((&row["spans"], &row["bytes"]), (&json!(18), &settings[0]["bytes"]), "{row}");
    }
}
