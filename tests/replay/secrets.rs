// SPDX-License-Identifier: Apache-2.0
//! What a recording may hold and nobody is shown: credentials, and what a terminal would obey.

use serde_json::json;
use tempfile::TempDir;
use tracegate_tests::{lines, stderr, stdout};

use super::{file, record, replay, text};

/// Secrets put wherever a recording can hold one come out nowhere, in no format.
#[test]
fn no_credential_comes_out() {
    const CANARY: &str = "canary-7f3a9";
    let scratch = TempDir::new().unwrap();
    let url = format!(
        "https://user:{CANARY}@api.example/a?x=1&subscription-key={CANARY}&Subscription%2DKey={CANARY}&sig={CANARY}&access_token={CANARY}&to=https%3A%2F%2Fx%2F%3Fcode%3D{CANARY}&y=1,token={CANARY}"
    );
    let headers = json!({"subscription-key": CANARY, "X-Access-Token": CANARY, "Referer": format!("https://a/?r=1;sig={CANARY}#id_token={CANARY}"), "Location": format!("//u:{CANARY}@h/cb#a=1 token={CANARY}"), "x-raw": format!("Bearer {CANARY}"), "baggage": format!("u=1,token={CANARY}"), "Authorization": format!("Bearer {CANARY}"), "Ocp-Apim-Subscription-Key": CANARY, "Cookie": format!("s={CANARY}"), "x-plain": "shown"});
    let log = record(json!({"url": url, "requestHeaders": headers, "backendResponseHeaders": {"Set-Cookie": CANARY}}));
    let native = json!({"time": "2026-11-22T09:00:00Z", "request": {"method": "GET", "path": format!("/?token={CANARY}"), "headers": [["authorization", CANARY]]},
        "expect": {"upstream_headers": {"authorization": [format!("other {CANARY}")]}}});
    let wrong = json!({"time": "2026-10-05T06:00:00Z", "properties": {"method": "GET", "url": "https://a/", "requestHeaders": format!("Authorization: {CANARY}")}});
    let path = file(&scratch, "log.json", &format!("{log}\n{native}\n{wrong}\n"));
    let json_output = replay(&[text(&path), "--format", "json"]);
    for output in [&json_output, &replay(&[text(&path)])] {
        assert_eq!(output.status.code(), Some(1), "the native record differs");
        assert!(!stdout(output).contains(CANARY) && !stderr(output).contains(CANARY), "{}{}", stdout(output), stderr(output));
    }
    let lines = lines(&json_output);
    let headers = lines[0]["upstream_request"]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-plain", "shown"])));
    let digest = headers.iter().find(|line| line[0] == "authorization").unwrap()[1]["redacted"].as_str().unwrap();
    assert_eq!(digest.len(), 8);
    let path = lines[0]["upstream_request"]["path"].as_str().unwrap();
    assert!(path.starts_with("/a?x=1&subscription-key=REDACTED-"), "{path}");
}

#[test]
fn nothing_that_a_terminal_would_obey_comes_out() {
    let scratch = TempDir::new().unwrap();
    let hostile = "\u{1b}[31m\u{9b}1m\u{7f}\u{202e}\u{7}";
    let refused = json!({"lastError": {"source": "ip-filter", "reason": hostile}, "backendResponseCode": null, "apiId": hostile});
    let native = json!({"time": "2026-10-05T06:00:00Z", "request": {"method": "GET", "path": "/"}, "expect": {"reason": hostile, "decision": "admitted"}});
    let wrong = json!({"time": "2026-10-05T06:00:00Z", "request": {"method": "GET", "path": "/", hostile: 1}});
    let log = file(&scratch, &format!("log{hostile}.json"), &format!("{}\n{native}\n{wrong}\n", record(refused)));
    let policy = file(&scratch, &format!("policy{hostile}.json"), "{\"schema\": 9}");
    let nowhere = format!("nowhere{hostile}");
    for arguments in [
        &["--policy", text(&policy)][..],
        &["--against", text(&policy)],
        &["--against", &nowhere],
        &["--module", &nowhere],
        &["--out", &format!("{nowhere}/{hostile}")],
        &[&nowhere],
    ] {
        let output = replay(arguments);
        assert_eq!(output.status.code(), Some(2));
        let shown = stdout(&output) + &stderr(&output);
        assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}', '\u{7}']), "{arguments:?}: {shown:?}");
    }
    for arguments in [&[][..], &["--find", "path=/"], &["--by", "reason"], &["--format", "html"]] {
        let output = replay(&[&[text(&log)][..], arguments].concat());
        let shown = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{shown:?}");
        assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}', '\u{7}']), "{shown:?}");
    }
}

/// What looks like user information in a path decides where a request goes: it is hidden where it is shown, not before.
#[test]
fn redaction_decides_nothing() {
    let scratch = TempDir::new().unwrap();
    let log = file(&scratch, "log.json", &record(json!({"url": "https://api.example/p//x@y"})).to_string());
    let route = json!({"name": "p", "match": {"path": {"exact": "/p/x@y"}}});
    let policy = json!({"schema": 1, "service": {"name": "edge"}, "routes": [route], "default": {"action": "refuse"}});
    let policy = file(&scratch, "policy.json", &policy.to_string());
    let output = replay(&[text(&log), "--policy", text(&policy), "--find", "path=/p/x@y", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(lines(&output)[0]["decision"], "admitted");
}
