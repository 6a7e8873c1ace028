// SPDX-License-Identifier: Apache-2.0
//! Whether the edge decides as the record has it, and what of that is a finding.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{lines, stderr};

use super::{file, record, replay, text};

#[test]
fn a_disagreement_with_the_log_is_a_finding() {
    let scratch = TempDir::new().unwrap();
    let error = |source: &str, reason: &str, message: &str| json!({"lastError": {"source": source, "reason": reason, "message": message}, "backendResponseCode": null});
    let with = |mut properties: Value, headers: Value| {
        properties["requestHeaders"] = headers;
        properties
    };
    let closed = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}}"#;
    let closed = file(&scratch, "closed.json", closed);
    for (properties, observed, refusing) in [
        (json!({}), json!([true, null]), json!([false, null])),
        (json!({"backendResponseCode": 503}), json!([true, null]), json!([false, null])),
        (json!({"backendResponseCode": 0}), json!([null, "backend_unknown"]), json!([null, "backend_unknown"])),
        (error("forward-request", "Timeout", ""), json!([null, "backend_unknown"]), json!([null, "backend_unknown"])),
        (error("configuration", "OperationNotFound", ""), json!([false, null]), json!([true, null])),
        (error("ip-filter", "CallerIpNotAllowed", ""), json!([false, null]), json!([false, null])),
        (error("validate-jwt", "TokenExpired", ""), json!([null, "token_not_logged"]), json!([false, null])),
        (with(error("validate-jwt", "TokenExpired", ""), json!({"Authorization": "Bearer x"})), json!([false, null]), json!([false, null])),
        (error("rate-limit", "RateLimitExceeded", ""), json!([null, "incomplete_log"]), json!([false, null])),
        (
            error("check-header", "HeaderNotFound", "Header x-a was not found in the request."),
            json!([null, "header_not_logged"]),
            json!([false, null]),
        ),
        (
            with(error("check-header", "HeaderValueNotAllowed", "Header X-A value of 1 is not allowed."), json!({"x-a": "1"})),
            json!([false, null]),
            json!([false, null]),
        ),
    ] {
        let log = file(&scratch, "log.json", &record(properties.clone()).to_string());
        for (policy, expected) in [(None, &observed), (Some(&closed), &refusing)] {
            let mut arguments = vec![text(&log), "--format", "json"];
            arguments.extend(policy.iter().flat_map(|policy| ["--policy", text(policy)]));
            let output = replay(&arguments);
            let lines = lines(&output);
            assert_eq!(json!([lines[0]["agrees"], lines[0]["undecidable"]]), *expected, "{properties} with {policy:?}");
            let code = if expected[0] == false { 1 } else { 0 };
            assert_eq!(output.status.code(), Some(code), "{properties} with {policy:?}");
        }
    }
}

#[test]
fn expectations_are_compared_field_by_field() {
    let scratch = TempDir::new().unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let refuse = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse", "status": 403}}"#;
    let refuse = file(&scratch, "refuse.json", refuse);
    for (refused, expect, difference) in [
        (
            false,
            json!({"decision": "admitted", "status": 418, "reason": null, "upstream_headers": {"x-raw": [{"base64": "/w=="}], "x-none": null}, "response_headers": {"x-from": ["upstream"]}}),
            Value::Null,
        ),
        (
            false,
            json!({"decision": "refused"}),
            json!({"field": "decision", "expected": "refused", "found": "admitted", "explained_by": null}),
        ),
        (false, json!({"status": 200}), json!({"field": "status", "expected": 200, "found": 418, "explained_by": null})),
        (
            false,
            json!({"upstream_headers": {"X-Raw": null}}),
            json!({"field": "upstream_headers", "expected": {"x-raw": null}, "found": {"x-raw": [{"base64": "/w=="}]}, "explained_by": null}),
        ),
        (
            false,
            json!({"upstream_headers": {"x-none": ["1"]}}),
            json!({"field": "upstream_headers", "expected": {"x-none": ["1"]}, "found": {"x-none": null}, "explained_by": null}),
        ),
        (
            false,
            json!({"response_headers": {"x-from": null}}),
            json!({"field": "response_headers", "expected": {"x-from": null}, "found": {"x-from": ["upstream"]}, "explained_by": null}),
        ),
        (
            true,
            json!({"decision": "refused", "status": 403, "reason": "OperationNotFound", "response_headers": {"content-type": ["application/json"]}}),
            Value::Null,
        ),
        (true, json!({"reason": null}), json!({"field": "reason", "expected": null, "found": "OperationNotFound", "explained_by": null})),
    ] {
        let exchange = json!({"time": "2026-11-22T09:00:00.0000001Z", "expect": expect,
            "request": {"method": "GET", "path": "/orders/7?x=1", "headers": [["traceparent", parent], ["x-raw", {"base64": "/w=="}]], "source": "203.0.113.9:4711"},
            "response": {"status": 418, "headers": [["x-from", "upstream"]], "request_bytes": 1, "response_bytes": 838, "duration_ms": 166.2}});
        let path = file(&scratch, "native.ndjson", &exchange.to_string());
        let mut arguments = vec![text(&path), "--format", "json"];
        if refused {
            arguments.extend(["--policy", text(&refuse)]);
        }
        let output = replay(&arguments);
        let lines = lines(&output);
        assert_eq!(lines[0]["difference"], difference, "{expect}: {}", stderr(&output));
        assert_eq!(lines[0]["agrees"], json!(difference.is_null()), "{expect}");
        assert_eq!(output.status.code(), Some(if difference.is_null() { 0 } else { 1 }), "{expect}");
    }
}

/// The reasons for exit code 1 are the caller's choice, each by itself.
#[test]
fn what_is_a_finding_can_be_chosen() {
    let scratch = TempDir::new().unwrap();
    let log = scratch.path().join("log.json");
    let refused =
        json!({"responseCode": 401, "backendResponseCode": null, "lastError": {"reason": "TokenNotPresent", "source": "validate-jwt"}});
    let lines = [record(json!({})), record(refused), json!("no record")];
    fs::write(&log, lines.map(|line| line.to_string() + "\n").concat()).unwrap();
    let shadow = scratch.path().join("shadow.yaml");
    let rules = "rules: [{name: no, require: deny, mode: shadow}]";
    fs::write(&shadow, format!("schema: 1\nservice: {{name: edge}}\nroutes: [{{name: all, {rules}}}]\ndefault: {{action: admit}}\n"))
        .unwrap();
    let closed = scratch.path().join("closed.yaml");
    fs::write(&closed, "schema: 1\nservice: {name: edge}\ndefault: {action: refuse}\n").unwrap();
    let code = |policy: Option<&std::path::Path>, kinds: &[&str]| {
        let mut arguments = vec![text(&log)];
        arguments.extend(policy.into_iter().flat_map(|policy| ["--policy", text(policy)]));
        arguments.extend(kinds.iter().flat_map(|kind| ["--fail-on", *kind]));
        replay(&arguments).status.code()
    };
    assert_eq!((code(None, &[]), code(None, &["malformed"])), (Some(1), Some(1)));
    assert_eq!((code(None, &["differed"]), code(None, &["refused", "shadow"])), (Some(0), Some(0)));
    assert_eq!(code(None, &["undecidable"]), Some(1));
    assert_eq!((code(Some(&shadow), &["shadow"]), code(Some(&shadow), &["refused"])), (Some(1), Some(0)));
    assert_eq!((code(Some(&closed), &["refused"]), code(Some(&closed), &["shadow"])), (Some(1), Some(0)));
    assert_eq!((code(Some(&closed), &["differed"]), code(None, &["perhaps"])), (Some(1), Some(2)));
}
