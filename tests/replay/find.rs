// SPDX-License-Identifier: Apache-2.0
//! `--find`: what touched a path, an id or a caller, in which trace, and where it failed.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{folder, lines, stderr, stdout};

use super::{file, record, replay, summary, text};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A log of one record for each object of properties, and what a query finds in it: lines, counted from 1.
fn found(scratch: &TempDir, records: &[Value], queries: &[&str]) -> Vec<u64> {
    let log = file(scratch, "log.json", &records.iter().map(|record| format!("{record}\n")).collect::<String>());
    let mut arguments = vec![text(&log), "--format", "json"];
    arguments.extend(queries.iter().flat_map(|query| ["--find", query]));
    let output = replay(&arguments);
    let mut lines = lines(&output);
    let summary = lines.pop().unwrap();
    assert_eq!((output.status.code(), &summary["summary"]["searched"]), (Some(0), &json!(records.len())), "{}", stderr(&output));
    assert_eq!(summary["summary"]["exchanges"], lines.len(), "{queries:?}");
    lines.iter().map(|line| line["line"].as_u64().unwrap()).collect()
}

#[test]
fn a_path_is_found_with_all_below_it_at_the_gateway_and_at_the_backend() {
    let scratch = TempDir::new().unwrap();
    let records: Vec<Value> = [
        "/files/42",
        "/files/42/versions/7?x=1",
        "/files/421",
        "/FILES/42",
        "/files/%34%32/",
        "/a/../files/42",
        "/files",
        "/files/42/%zz",
        "/files/42\\x",
    ]
    .into_iter()
    .map(|path| record(json!({"url": format!("https://api.example{path}")})))
    .chain(
        ["https://blobs.example/files/42?sig=x", "not a url", "/files/42", "https://blobs.example?x=/files/42"]
            .map(|url| record(json!({"backendUrl": url}))),
    )
    .collect();
    for (query, expected) in [
        ("path=/files/42", &[1, 2, 5, 6, 8, 10, 12][..]),
        ("path=/files/42/", &[1, 2, 5, 6, 8, 10, 12]),
        ("path=/files/{file}", &[1, 2, 3, 5, 6, 8, 9, 10, 12]),
        ("path=/files/{file}/versions/{version}", &[2]),
        ("path=/", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
        ("path=/nowhere", &[]),
    ] {
        assert_eq!(found(&scratch, &records, &[query]), expected, "{query}");
    }
}

#[test]
fn an_id_is_found_wherever_it_stands_whole() {
    let scratch = TempDir::new().unwrap();
    let guid = "3F2504E0-4f89-11d3-9a0c-0305e82c3301";
    let mut correlated = record(json!({}));
    correlated["correlationId"] = json!(guid.to_ascii_lowercase());
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let records = [
        correlated,
        record(json!({"url": format!("https://api.example/files/{guid}?x=1")})),
        record(json!({"url": format!("https://api.example/files?id={guid}")})),
        record(json!({"requestHeaders": {"x-request-id": guid}})),
        record(json!({"backendResponseHeaders": {"x-served": format!("by {guid};")}})),
        record(json!({"backendUrl": format!("https://b.example/{guid}")})),
        record(json!({"url": format!("https://api.example/files/{guid}0")})),
        record(json!({"requestHeaders": {"Authorization": format!("Bearer {guid}"), "x-api-key": guid}})),
        record(json!({"requestHeaders": {"traceparent": parent}})),
        record(json!({"backendRequestHeaders": {"Traceparent": parent}})),
        record(json!({"url": "https://api.example/o%2F4711?a=%20815"})),
        record(json!({"requestHeaders": {"Request-Id": "|4711_1.2."}})),
    ];
    for (id, expected) in [
        (guid.to_ascii_uppercase().as_str(), &[1, 2, 3, 4, 5, 6][..]),
        ("4f89", &[]),
        (TRACE, &[9, 10]),
        ("b7ad6b7169203331", &[9]),
        ("files", &[2, 3, 7]),
        ("4711", &[11, 12]),
        ("815", &[11]),
    ] {
        assert_eq!(found(&scratch, &records, &[&format!("id={id}")]), expected, "{id}");
    }
}

#[test]
fn a_caller_is_found_by_any_of_its_names_and_queries_narrow_each_other() {
    let scratch = TempDir::new().unwrap();
    let native = json!({"time": "2026-10-05T06:00:01Z", "request": {"method": "GET", "path": "/a", "source": "[2001:db8::7]:443",
        "tls": {"uri_san": "spiffe://shop/billing", "subject": "CN=billing"}}});
    let mut addressed = record(json!({"apimSubscriptionId": "team-a", "userId": "7", "productId": "gold"}));
    addressed["callerIpAddress"] = json!("203.0.113.9:4711");
    let other = record(json!({"apimSubscriptionId": "team-ab", "userId": 7, "url": "https://api.example/b"}));
    let records = [addressed, other, native];
    for (queries, expected) in [
        (&["caller=203.0.113.9"][..], &[1][..]),
        (&["caller=::ffff:203.0.113.9"], &[1]),
        (&["caller=[2001:db8::7]:80"], &[3]),
        (&["caller=203.0.113"], &[]),
        (&["caller=Team-A"], &[1]),
        (&["caller=7"], &[1, 2]),
        (&["caller=gold"], &[1]),
        (&["caller=2001:DB8:0::7"], &[3]),
        (&["caller=spiffe://shop/billing"], &[3]),
        (&["caller=CN=billing"], &[3]),
        (&["caller=7", "path=/b"], &[2]),
        (&["caller=7", "path=/b", "id=none"], &[]),
    ] {
        assert_eq!(found(&scratch, &records, queries), expected, "{queries:?}");
    }
}

/// The generator, which shares no code with the product, says what each layout tells.
#[test]
fn every_layout_tells_who_called_and_where_it_failed() {
    let expected: Value = serde_json::from_slice(&fs::read(folder("recordings").join("layouts.expected.json")).unwrap()).unwrap();
    for (name, rows) in expected.as_object().unwrap() {
        let file = folder("recordings").join("layouts").join(name);
        let found = lines(&replay(&[text(&file), "--find", "path=/", "--format", "json"]));
        for (row, line) in rows.as_array().unwrap().iter().zip(&found) {
            let (expected, found) = (row["found"].as_object().unwrap(), &line["found"]);
            for (field, expected) in expected.iter().filter(|(field, _)| *field != "backend_id") {
                assert_eq!(&found[field], expected, "{name}:{}: {field}", line["line"]);
            }
            assert_eq!(found["backend"]["id"], expected["backend_id"], "{name}:{}", line["line"]);
        }
    }
}

#[test]
fn it_is_told_where_an_exchange_failed_and_in_which_trace() {
    let scratch = TempDir::new().unwrap();
    let error = |source: &str, reason: &str| json!({"source": source, "reason": reason, "message": "…"});
    let parent = |digit: &str| format!("00-{}-b7ad6b7169203331-01", digit.repeat(32));
    let told = [
        (json!({}), json!(null), None),
        (json!({"requestHeaders": {"traceparent": parent("a")}}), json!(null), Some("caller")),
        (
            json!({"requestHeaders": {"traceparent": "broken"}, "backendRequestHeaders": {"traceparent": parent("b")}}),
            json!(null),
            Some("backend"),
        ),
        (json!({"responseCode": 404, "backendResponseCode": 404}), json!("client"), None),
        (json!({"responseCode": 503, "backendResponseCode": 503}), json!("backend"), None),
        (json!({"responseCode": 200, "backendResponseCode": 404}), json!(null), None),
        (json!({"responseCode": 500, "backendResponseCode": 200}), json!("gateway"), None),
        (json!({"responseCode": 403, "backendResponseCode": 200}), json!("policy"), None),
        (json!({"responseCode": 401, "lastError": error("validate-jwt", "TokenExpired")}), json!("policy"), None),
        (json!({"responseCode": 429, "lastError": error("rate-limit", "RateLimitExceeded")}), json!("policy"), None),
        (json!({"responseCode": 404, "lastError": error("configuration", "OperationNotFound")}), json!("client"), None),
        (json!({"responseCode": 0, "lastError": error("forward-request", "ClientConnectionFailure")}), json!("client"), None),
        (json!({"responseCode": 500, "lastError": error("forward-request", "Timeout")}), json!("backend"), None),
        (json!({"responseCode": 500, "lastError": error("transport", "BackendConnectionFailure")}), json!("backend"), None),
        (json!({"responseCode": 500, "lastError": error("request-executor", "Unknown")}), json!("gateway"), None),
        (json!({"responseCode": 500, "lastError": error("set-header", "ExpressionValueEvaluationFailure")}), json!("policy"), None),
        (json!({"responseCode": 502, "backendResponseCode": 404}), json!("gateway"), None),
        (json!({"responseCode": 500, "lastError": error("send-request", "BackendConnectionFailure")}), json!("policy"), None),
        (json!({"responseCode": 200, "lastError": {}}), json!(null), None),
        (json!({"responseCode": 200, "backendResponseCode": null}), json!(null), None),
    ];
    // Logs that tell no errors don't tell where either, but for what the backend answered.
    let untold = [
        (json!({"timestamp": "2026-10-05T06:00:00Z", "method": "GET", "url": "https://a.example/", "responseCode": 403}), json!("unknown")),
        (
            json!({"timestamp": "2026-10-05T06:00:00Z", "method": "GET", "url": "https://a.example/", "responseCode": 500, "backendResponseCode": 500}),
            json!(Some("backend")),
        ),
        (json!({"timestamp": "2026-10-05T06:00:00Z", "name": "GET /", "url": "https://a.example/", "resultCode": "500"}), json!("unknown")),
        (json!({"time": "2026-10-05T06:00:00Z", "request": {"method": "GET", "path": "/"}, "response": {"status": 502}}), json!("backend")),
    ];
    let told = told.into_iter().map(|(properties, failed, trace_from)| (record(properties), failed, trace_from));
    let cases: Vec<_> = told.chain(untold.into_iter().map(|(record, failed)| (record, failed, None))).collect();
    let log = file(&scratch, "log.json", &cases.iter().map(|(record, ..)| format!("{record}\n")).collect::<String>());
    let mut found = lines(&replay(&[text(&log), "--find", "path=/", "--format", "json"]));
    found.pop();
    found.sort_by_key(|line| line["line"].as_u64());
    assert_eq!(found.len(), cases.len());
    for ((record, failed, trace_from), line) in cases.iter().zip(&found) {
        let found = &line["found"];
        assert_eq!((&found["failed"], found["trace_from"].as_str()), (failed, *trace_from), "{record}: {found}");
    }
}

#[test]
fn what_is_found_is_shown_for_people_without_secrets() {
    let scratch = TempDir::new().unwrap();
    let mut deleted = record(json!({"method": "DELETE", "url": "https://api.example/files/42?sig=canary-7f3a9", "responseCode": 204,
        "backendResponseCode": 204, "apiId": "files", "apimSubscriptionId": "team-a", "backendId": "blobs",
        "backendUrl": "https://blobs.example/42?sig=canary-7f3a9",
        "requestHeaders": {"traceparent": format!("00-{TRACE}-b7ad6b7169203331-01"), "Authorization": "Bearer canary-7f3a9"}}));
    deleted["correlationId"] = json!("c-1\u{1b}[31m");
    deleted["callerIpAddress"] = json!("203.0.113.9");
    let log = file(&scratch, "log.json", &format!("{}\n{deleted}\n", record(json!({}))));
    let output = replay(&[text(&log), "--find", "path=/files/42"]);
    let shown = stdout(&output).replace(text(&log), "log.json");
    let lines: Vec<&str> = shown.lines().collect();
    let redacted = lines[1].split("sig=").nth(1).unwrap();
    assert!(redacted.starts_with("REDACTED-") && redacted.len() == 17, "{shown}");
    let expected = format!(
        "time (UTC)               status  failed   request
2026-10-05 06:00:00.123     204  -        DELETE https://api.example/files/42?sig={redacted}
    trace {TRACE} (the caller's); caller 203.0.113.9, subscription team-a
    API files; backend blobs, https://blobs.example/42?sig={redacted}, answered 204
    id c-1\\u{{1b}}[31m; this edge would admit; at log.json:2

1 of 2 exchanges found
"
    );
    assert!(shown.starts_with(&expected), "{shown}");
    let none = replay(&[text(&log), "--find", "path=/nowhere"]);
    assert!(none.status.code() == Some(0) && stdout(&none).contains("\n0 of 2 exchanges found\n"), "{}", stdout(&none));
}

/// Wherever a log has text, a credential may have ended up.
#[test]
fn no_credential_is_found() {
    let scratch = TempDir::new().unwrap();
    let secrets =
        ["Bearer canary-7f3a9", "https://u:canary-7f3a9=@h/", "//u;,&'canary-7f3a9@h", "https://h/?a=1&subscription-key=canary-7f3a9"];
    let mut records = Vec::new();
    for secret in secrets {
        let error = json!({"source": secret, "reason": secret, "message": secret});
        let mut log =
            record(json!({"apiId": secret, "apimSubscriptionId": secret, "userId": secret, "productId": secret, "backendId": secret,
            "backendUrl": secret, "lastError": error, "requestHeaders": {"x": secret}}));
        (log["correlationId"], log["callerIpAddress"]) = (json!(secret), json!(secret));
        let time = "2026-10-05T06:00:00Z";
        records.extend([
            log,
            json!({"TimeGenerated": time, "Method": "GET", "Url": "https://h/", "CorrelationId": secret, "BackendUrl": secret, "LastErrorReason": secret}),
            json!({"timestamp": time, "name": "GET /", "url": "https://h/", "resultCode": 200, "id": secret, "operation_Id": secret, "client_IP": secret,
                "customDimensions": {"Request Id": secret, "Subscription Name": secret, "API Name": secret}}),
            json!({"timestamp": time, "method": "GET", "url": "https://h/", "requestId": secret, "userId": secret, "ipAddress": secret}),
            json!({"time": time, "request": {"method": "GET", "path": "/", "tls": {"uri_san": secret, "subject": secret}}, "expect": {"reason": secret}}),
            json!({"time": time, "request": {"method": "GET", "path": "/", "source": secret}}),
            json!({"time": time, "request": {"method": "GET", "path": "/", secret: 1}}),
        ]);
    }
    let log = file(&scratch, "log.json", &records.iter().map(|record| format!("{record}\n")).collect::<String>());
    for arguments in [&["--find", "path=/"][..], &["--by", "reason"], &[]] {
        for format in ["text", "json", "html"] {
            if arguments.contains(&"--by") && format != "text" {
                continue;
            }
            let output = replay(&[&[text(&log), "--format", format][..], arguments].concat());
            let shown = stdout(&output) + &stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{shown}");
            assert!(!shown.contains("canary-7f3a9"), "{format} {arguments:?}: {shown}");
            if format == "json" {
                assert_eq!(summary(&lines(&output))["exchanges"], secrets.len() * 5, "{shown}");
            }
        }
    }
}

#[test]
fn of_two_edges_what_was_found_is_shown_where_they_differ() {
    let scratch = TempDir::new().unwrap();
    let paths = ["/a", "/a/b", "/c"].map(|path| record(json!({"url": format!("https://api.example{path}")})).to_string());
    let log = file(&scratch, "log.json", &paths.join("\n"));
    let policy = |name: &str, rule: &str| {
        let route = json!({"name": "b", "match": {"path": {"exact": "/a/b"}}, "rules": [{"name": "no", "require": rule}]});
        file(
            &scratch,
            name,
            &json!({"schema": 1, "service": {"name": "edge"}, "routes": [route], "default": {"action": "admit"}}).to_string(),
        )
    };
    let (open, closed) = (policy("open.json", "anonymous"), policy("closed.json", "deny"));
    let output = replay(&[text(&log), "--policy", text(&closed), "--against", text(&open), "--find", "path=/a"]);
    let shown = stdout(&output);
    assert_eq!((output.status.code(), shown.matches("this edge would").count()), (Some(1), 1), "{shown}");
    assert!(shown.contains("this edge would refuse (AccessDenied)") && shown.contains("the other would admit"), "{shown}");
    assert!(shown.contains("\n2 of 3 exchanges found, 1 of them decided otherwise than by "), "{shown}");
}

#[test]
fn findings_are_of_what_was_found() {
    let scratch = TempDir::new().unwrap();
    let refused = json!({"lastError": {"source": "ip-filter", "reason": "CallerIpNotAllowed"}, "backendResponseCode": null});
    let differs = record(refused);
    let log = file(&scratch, "log.json", &format!("{differs}\n{}\n", record(json!({"url": "https://api.example/b"}))));
    let code = |query: &str| replay(&[text(&log), "--find", query]).status.code();
    assert_eq!((code("path=/a"), code("path=/b"), code("path=/")), (Some(1), Some(0), Some(1)));
    let closed = file(&scratch, "closed.json", r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}}"#);
    let both =
        lines(&replay(&[text(&log), "--policy", text(&closed), "--against", text(&closed), "--find", "path=/b", "--format", "json"]));
    assert_eq!(
        (both.len(), &summary(&both)["exchanges"], &summary(&both)["agreed"]),
        (1, &json!(1), &json!(1)),
        "found, and no difference"
    );
}

#[test]
fn a_query_that_is_none_is_code_2() {
    for (query, message) in [
        ("files", "expected path=…, id=… or caller=…"),
        ("host=a", "expected path=…, id=… or caller=…"),
        ("path=", "expected something behind the '='"),
        ("path=files", "expected a path that begins with '/'"),
        ("path=/a/../b", "expected a path in normal form, which is \"/b\""),
        ("path=/a{b}", "expected braces around a whole segment"),
        ("id=a b", "expected an id of letters, digits, '-' and '_'"),
    ] {
        let output = replay(&["--find", query]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{query}");
        assert!(stderr(&output).contains(message), "{query}: {}", stderr(&output));
    }
    let output = replay(&["--find", "id=a", "--by", "hour"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("expected either --by or --find"), "{}", stderr(&output));
    let output = replay(&["--find", "id=a", "--fail-on", "shadow"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("expected --fail-on shadow without --find"), "{}", stderr(&output));
}
