// SPDX-License-Identifier: Apache-2.0
//! `tracegate digest`: what it prints is what spans tell.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use tracegate_tests::{lines, stderr, stdout, tracegate};

use super::{file, record, text};

/// 32 bytes in base64.
const KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";
const VARIABLE: &str = "TRACEGATE_TEST_DIGEST_KEY";

fn policy(told: &str) -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "secrets": {"digests": {"environment": {"name": VARIABLE}}},
        "routes": [{"name": "files", "match": {"path": {"template": "/files/{id}"}}, "attributes": {"path": {"id": told}}}],
        "default": {"action": "refuse"}, "export": {"spans": {"digest_key": {"secret": "digests"}}},
    })
}

/// Runs the command with this key and input.
fn digest(policy: &Path, value: Option<&str>, input: &[u8], key: Option<&str>) -> Output {
    let mut command = tracegate();
    command.arg("digest").arg(policy).args(value).env_remove(VARIABLE);
    if let Some(key) = key {
        command.env(VARIABLE, key);
    }
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // One that reads no input may have ended.
    let _ = stdin.write_all(input);
    drop(stdin);
    process.wait_with_output().unwrap()
}

fn hmac(value: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secretsecretsecretsecretsecret12").unwrap();
    mac.update(value.as_bytes());
    hex::encode(&mac.finalize().into_bytes()[..8])
}

#[test]
fn a_digest_is_the_one_that_spans_tell() {
    let scratch = TempDir::new().unwrap();
    let policy = file(&scratch, "policy.json", &policy("digest").to_string());
    let values = ["2f1a", "a b", "naïve", "x;v=1"];
    let paths = ["2f1a", "a%20b", "na%C3%AFve", "x;v=1"];
    let input = values.join("\r\n");
    let output = digest(&policy, None, input.as_bytes(), Some(KEY));
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let printed = stdout(&output);
    assert_eq!(printed, ["2f1a", "a b", "naïve", "x"].map(|value| hmac(value) + "\n").concat(), "as openssl has it");
    let log: Vec<String> =
        paths.iter().map(|path| record(json!({"url": format!("https://api.example/files/{path}")})).to_string()).collect();
    let log = file(&scratch, "log.json", &log.join("\n"));
    let mut replay = tracegate();
    replay.args(["replay", text(&log), "--policy", text(&policy), "--format", "json"]).env(VARIABLE, KEY);
    let lines = lines(&replay.output().unwrap());
    let told = |line: &Value| {
        let attributes = line["span"]["attributes"].as_array().unwrap();
        attributes.iter().find(|one| one["key"] == "tracegate.path.id").unwrap()["value"]["stringValue"].as_str().unwrap().to_owned()
    };
    assert_eq!(lines[..4].iter().map(told).collect::<Vec<_>>(), printed.lines().collect::<Vec<_>>());
    let named = digest(&policy, Some("2f1a"), b"", Some(KEY));
    assert_eq!(stdout(&named), hmac("2f1a") + "\n");
}

#[test]
fn what_has_no_digest_is_an_error_that_shows_no_value() {
    let scratch = TempDir::new().unwrap();
    let good = file(&scratch, "good.json", &policy("digest").to_string());
    let raw = file(&scratch, "raw.json", &policy("raw").to_string());
    let mut without = policy("raw");
    without["export"] = json!({});
    let without = file(&scratch, "without.json", &without.to_string());
    let wrong = file(&scratch, "wrong.json", "{\"schema\": 9}");
    let long = vec![b'x'; 70_000];
    for (policy, input, key, expected) in [
        (
            &good,
            &b"s3cret"[..],
            None,
            "secrets.digests: expected at least 32 bytes in base64 in the environment variable TRACEGATE_TEST_DIGEST_KEY, found no such variable",
        ),
        (&good, b"s3cret", Some("s3cret=="), "found something else"),
        (&good, b"", Some(KEY), "standard input: expected a value, found none"),
        (&good, b"s3cret\n\n", Some(KEY), "standard input:2: expected what stands in one segment of a path, found nothing"),
        (&good, b"s3cret/1", Some(KEY), "standard input:1: expected what stands in one segment of a path, found a slash"),
        (&good, &long, Some(KEY), "standard input:1: expected a line of fewer than 65536 bytes, found more"),
        (&without, b"s3cret", Some(KEY), "without.json: expected `export.spans.digest_key`, found none: spans tell no digests"),
        (&wrong, b"s3cret", Some(KEY), "wrong.json:1:12: schema: expected 1"),
    ] {
        let output = digest(policy, None, input, key);
        let told = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{told}");
        assert!(told.contains(expected) && !told.contains("s3cret"), "{expected}: {told}");
    }
    let output = digest(&raw, None, b"2f1a", Some(KEY));
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), hmac("2f1a") + "\n"));
    assert!(stderr(&output).contains("raw.json: no route tells a parameter as a digest"), "{}", stderr(&output));
}
