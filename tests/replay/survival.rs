// SPDX-License-Identifier: Apache-2.0
//! Which trace headers survive from the gateway to the backend, as recorded, and why not.

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{folder, lines, stderr, stdout};

use super::{file, record, replay, summary, text};

fn parent(trace: char, span: char) -> String {
    format!("00-{}-{}-01", trace.to_string().repeat(32), span.to_string().repeat(16))
}

/// The rows of a replay: API, operation, header, outcome, exchanges, cause.
fn rows(output: &std::process::Output) -> Vec<Value> {
    let lines = lines(output);
    let rows = summary(&lines)["survival"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| json!(["api", "operation", "header", "outcome", "exchanges", "cause"].map(|name| row[name].clone()))).collect()
}

/// What one exchange comes to, of which these headers were logged on the two sides: header, outcome and cause.
fn lost(request: Value, backend: Value) -> Vec<[String; 3]> {
    let scratch = TempDir::new().unwrap();
    let exchange = record(json!({"requestHeaders": request, "backendRequestHeaders": backend}));
    let log = file(&scratch, "log.json", &exchange.to_string());
    let output = replay(&[text(&log), "--format", "json"]);
    rows(&output).iter().map(|row| [2, 3, 5].map(|index: usize| row[index].as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_is_lost_is_told_by_api_operation_and_header_with_its_likely_cause() {
    let log = folder("recordings").join("survival.ndjson");
    let output = replay(&[text(&log), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "what another gateway does is no finding about this edge: {}", stderr(&output));
    let expected = json!([
        ["customers", "list", "uber-trace-id", "absent", 1, "deleted_or_not_logged"],
        ["files", "get-file", "traceparent", "absent", 2, "legacy_correlation"],
        ["orders-v1", "cancel-order", "traceparent", "absent", 2, "deleted"],
        ["orders-v1", "cancel-order", "tracestate", "absent", 2, "deleted"],
        ["orders-v1", "get-order", "b3", "absent", 1, "deleted_or_not_logged"],
        ["payments", "pay", "traceparent", "restarted", 1, "own_trace"],
        ["payments", "pay", "traceparent", "altered", 1, "appended"],
        ["payments", "pay", "tracestate", "absent", 1, "fresh_trace"],
        ["payments", "refund", "traceparent", "passed", 1, "unread"],
        ["payments", "refund", "tracestate", "altered", 1, "cut"],
    ]);
    assert_eq!(json!(rows(&output)), expected);
    let all = lines(&output);
    let told = json!({"compared": 13, "survived": 3, "left_out": 0,
        "undecidable": {"no_trace_header": 1, "backend_not_logged": 2, "not_forwarded": 1}});
    assert_eq!(summary(&all)["survival_exchanges"], told);

    let table = stdout(&replay(&[text(&log)]));
    let (_, section) = table
        .split_once("\ntrace headers from the gateway to the backend: 13 exchanges log both sides, all survive in 3 of them\n")
        .unwrap();
    let shown: Vec<Vec<&str>> = section.lines().skip(2).take(10).map(|line| line.split_whitespace().take(5).collect()).collect();
    let words = |row: &Value| {
        row.as_array().unwrap()[..5].iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
    };
    let expected: Vec<Vec<String>> = expected.as_array().unwrap().iter().map(words).collect();
    assert_eq!(shown, expected, "{section}");
    for line in ["         1  no_trace_header: ", "         2  backend_not_logged: ", "         1  not_forwarded: "] {
        assert!(section.contains(line), "{section}");
    }
    let page = stdout(&replay(&[text(&log), "--format", "html"]));
    let found = super::html::read(&page);
    let heading = "trace headers from the gateway to the backend: 13 exchanges log both sides, all survive in 3 of them";
    assert_eq!(found["tables"][heading].as_array().unwrap().len(), 11, "{page}");
    assert_eq!(
        found["tables"][heading][2].as_array().unwrap()[..5],
        json!(["files", "get-file", "traceparent", "absent", "2"]).as_array().unwrap()[..]
    );
    for shown in [&table, &page] {
        for value in ["4bf92f3577b34da6", "rojo", "cid-v1", "00-broken"] {
            assert!(!shown.contains(value), "values are not shown: {shown}");
        }
    }
}

#[test]
fn nothing_is_said_where_no_record_has_both_sides_or_the_record_does_not_count() {
    let scratch = TempDir::new().unwrap();
    let both = json!({"requestHeaders": {"traceparent": parent('a', '1')}, "backendRequestHeaders": {"host": "b"}});
    let both = file(&scratch, "both.json", &record(both).to_string());
    for backend in [json!(null), json!({}), json!({"host": null})] {
        let one = record(json!({"requestHeaders": {"traceparent": parent('a', '1')}, "backendRequestHeaders": backend}));
        let one = file(&scratch, "one.json", &one.to_string());
        assert!(!stdout(&replay(&[text(&one)])).contains("trace headers"), "{backend}: not logged is not lost");
        let both = stdout(&replay(&[text(&one), text(&both)]));
        assert!(both.contains("1 exchanges log both sides") && both.contains("1  backend_not_logged: "), "{both}");
    }
    let policy = file(&scratch, "policy.yaml", tracegate_tests::OPEN);
    for arguments in [&["--against", text(&policy)][..], &["--find", "path=/a"]] {
        for format in ["text", "json", "html"] {
            let output = replay(&[&[text(&both), "--format", format][..], arguments].concat());
            assert!(!stdout(&output).contains("surviv"), "{arguments:?}: {}", stdout(&output));
        }
    }
    let sample = stdout(&replay(&["--format", "json"]));
    assert!(!sample.contains("survival"), "the sample's backends log nothing");
}

#[test]
fn a_cause_hangs_on_what_else_the_log_holds() {
    let traced = || json!({"traceparent": parent('a', '1'), "tracestate": "a=1"});
    let row = |header: &str, outcome: &str, cause: &str| [header, outcome, cause].map(str::to_owned);
    for (request, backend, expected) in [
        (traced(), json!({"TraceParent": parent('a', '2'), "tracestate": "z=1,a=1"}), vec![]),
        (traced(), traced(), vec![]),
        (json!({"traceparent": "x", "tracestate": "a=1"}), json!({"traceparent": parent('b', '1')}), vec![]),
        (
            traced(),
            json!({"request-id": "|1."}),
            vec![row("traceparent", "absent", "legacy_correlation"), row("tracestate", "absent", "legacy_correlation")],
        ),
        (
            json!({"traceparent": parent('a', '1'), "request-id": "|1."}),
            json!({"request-id": "|1."}),
            vec![row("traceparent", "absent", "deleted_or_not_logged")],
        ),
        (traced(), json!({"traceparent": parent('b', '1'), "tracestate": "a=1"}), vec![row("traceparent", "restarted", "own_trace")]),
        (traced(), json!({"traceparent": "x", "tracestate": "a=1"}), vec![row("traceparent", "altered", "rewritten")]),
        (
            json!({"traceparent": [parent('a', '1'), parent('b', '1')]}),
            json!({"traceparent": format!("{},{}", parent('a', '1'), parent('b', '1'))}),
            vec![row("traceparent", "passed", "unread")],
        ),
        (json!({"request-id": "|1.2."}), json!({"Request-Id": "|7.1."}), vec![row("request-id", "restarted", "own_request_id")]),
    ] {
        assert_eq!(lost(request.clone(), backend.clone()), expected, "{request} {backend}");
    }
}

#[test]
fn every_layout_that_logs_the_backend_tells() {
    let scratch = TempDir::new().unwrap();
    let sides = json!({"RequestHeaders": {"traceparent": parent('a', '1')}, "BackendRequestHeaders": {"host": "b"}});
    let row = json!({"TimeGenerated": "2026-10-05T06:00:00Z", "Method": "GET", "Url": "https://api.example/a", "ApiId": "orders",
        "OperationId": "get", "ResponseCode": 200, "BackendResponseCode": 200});
    let with = |mut row: Value, more: &Value| {
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let of_2017 = with(
        json!({"Method": "GET", "Url": "https://api.example/a", "ApiId": "orders", "OperationId": "get", "BackendResponseCode": 200}),
        &sides,
    );
    let as_text =
        json!({"RequestHeaders": sides["RequestHeaders"].to_string(), "BackendRequestHeaders": sides["BackendRequestHeaders"].to_string()});
    let native = json!({"time": "2026-10-05T06:00:00Z", "request": {"method": "GET", "path": "/a", "headers": [["Traceparent", parent('a', '1')]]},
        "apim": {"apiId": "orders", "operationId": "get", "backendResponseCode": 200, "backendRequestHeaders": {"host": "b"}}});
    for (layout, contents) in [
        ("rows", with(row.clone(), &sides).to_string()),
        ("rows with text", with(row, &as_text).to_string()),
        ("2017", json!({"time": "2026-10-05T06:00:00Z", "category": "GatewayLogs", "properties": of_2017.to_string()}).to_string()),
        ("native", native.to_string()),
    ] {
        let log = file(&scratch, "log.json", &contents);
        let output = replay(&[text(&log), "--format", "json"]);
        let expected = json!([["orders", "get", "traceparent", "absent", 1, "deleted_or_not_logged"]]);
        assert_eq!(json!(rows(&output)), expected, "{layout}: {}", stderr(&output));
    }
}

#[test]
fn rows_are_bounded_and_names_forge_none() {
    let scratch = TempDir::new().unwrap();
    let exchange = |operation: String| {
        let headers = json!({"traceparent": parent('a', '1')});
        record(
            json!({"apiId": "a\n\u{1b}[31m", "operationId": operation, "requestHeaders": headers, "backendRequestHeaders": {"host": "b"}}),
        )
        .to_string()
    };
    let log: Vec<String> = (0..1203).map(|index| exchange(format!("operation-{index:04}-{}", "x".repeat(100)))).collect();
    let log = file(&scratch, "log.json", &log.join("\n"));
    let table = stdout(&replay(&[text(&log)]));
    assert!(table.contains("\n… and 950 more (--format json has them), and 203 lost headers beyond the first 1000 rows\n"), "{table}");
    assert_eq!(table.matches("operation-").count(), 50);
    assert!(!table.contains('\u{1b}') && table.contains(r"a\n\u{1b}[31m  operation-0000-"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() < 300), "{table}");
    let output = replay(&[text(&log), "--format", "json"]);
    assert_eq!((rows(&output).len(), &summary(&lines(&output))["survival_exchanges"]["left_out"]), (1000, &json!(203)));
    assert!(stdout(&replay(&[text(&log), "--format", "html"])).contains("<p>… and 203 lost headers beyond the first 1000 rows</p>"));
}
