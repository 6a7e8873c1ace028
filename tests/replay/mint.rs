// SPDX-License-Identifier: Apache-2.0
//! `--mint`: tokens of the harness's own issuer's for records that hold none.

use std::path::{Path, PathBuf};
use std::process::Output;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::Issuer;
use tracegate_tests::{folder, lines, stderr, stdout};

use super::{file, record, replay, summary, text};

fn tokens(name: &str) -> PathBuf {
    folder("recordings").join("tokens").join(name)
}

/// Replays a recording of `tokens/` with its policy.
fn of_tokens(recording: &str, arguments: &[&str]) -> Output {
    let (recording, policy) = (tokens(recording), tokens("policy.yaml"));
    replay(&[&[text(&recording), "--policy", text(&policy)], arguments].concat())
}

fn records(recording: &str) -> Vec<Value> {
    std::fs::read_to_string(tokens(recording)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The reason for which a record was refused, and its path.
fn recorded(record: &Value) -> (Option<&str>, &str) {
    match record.get("properties") {
        Some(properties) => {
            let path = properties["url"].as_str().unwrap().strip_prefix("https://api.shop.example").unwrap();
            (properties["lastError"]["reason"].as_str(), path)
        }
        None => (record["expect"]["reason"].as_str(), record["request"]["path"].as_str().unwrap()),
    }
}

/// A log of admitted requests to `/orders`, one in each of these minutes.
fn admitted(scratch: &TempDir, minutes: impl Iterator<Item = u32>) -> PathBuf {
    let at = |minute: u32| {
        let mut record = record(json!({"url": format!("https://api.shop.example/orders/{minute}")}));
        record["time"] = json!(format!("2026-10-06T{:02}:{:02}:00Z", 8 + minute / 60, minute % 60));
        format!("{record}\n")
    };
    file(scratch, "admitted.ndjson", &minutes.map(at).collect::<String>())
}

/// What the policy of `tokens/` says, changed.
fn policy(scratch: &TempDir, changes: &[(&str, &str)]) -> PathBuf {
    let mut policy = std::fs::read_to_string(tokens("policy.yaml")).unwrap();
    for (before, after) in changes {
        assert!(policy.contains(before), "{before}");
        policy = policy.replace(before, after);
    }
    file(scratch, "changed.yaml", &policy)
}

/// Each token is refused for the reason that the record names, or let through as recorded.
#[test]
fn minted_tokens_are_decided_about_as_recorded() {
    for (recording, agreed) in [("gateway-logs.ndjson", 19), ("native.ndjson", 12)] {
        let output = of_tokens(recording, &["--mint", "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let lines = lines(&output);
        for (record, line) in records(recording).iter().zip(&lines) {
            let (reason, path) = recorded(record);
            let fault = reason.filter(|reason| reason.starts_with("Token") || *reason == "JwtInvalid");
            let minted = match path {
                path if path.starts_with("/partners") || path.starts_with("/open") || path.starts_with("/unknown") => None,
                "/orders/14" | "/orders/15" => None,
                // The policy asks for no claim that could be wrong.
                _ if reason.is_some_and(|reason| reason.starts_with("TokenClaim")) => None,
                _ => Some(fault.unwrap_or("sound")),
            };
            assert_eq!(line["minted"].as_str(), minted, "{line}");
            let Some(minted) = minted else { continue };
            let expected = if minted == "sound" { Value::Null } else { json!(minted) };
            assert_eq!((&line["reason"], line["decision"] == "admitted"), (&expected, minted == "sound"), "{line}");
            // A subscription and the number of requests are not in a token that was made up.
            let told = if reason.is_some() && fault.is_none() { Value::Null } else { json!(true) };
            assert_eq!(line["agrees"], told, "{line}");
        }
        let summary = summary(&lines);
        assert_eq!((&summary["minted"]["agreed"], &summary["minted"]["differed"]), (&json!(agreed), &json!(0)), "{summary}");
        let apart = ["agreed", "differed", "undecidable"].map(|name| summary[name].as_u64().unwrap()).iter().sum::<u64>();
        assert_eq!(summary["exchanges"], json!(apart + agreed), "minted ones count apart: {summary}");
        assert_eq!(summary["sampling"]["core_agrees"], true, "{summary}");
    }
}

#[test]
fn without_minting_nobody_can_tell() {
    let output = of_tokens("gateway-logs.ndjson", &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = lines(&output);
    for (record, line) in records("gateway-logs.ndjson").iter().zip(&lines) {
        let (reason, path) = recorded(record);
        let expected = match path {
            // There was none, and there is none; no token is asked for; or the claims tell.
            "/orders/4" | "/orders/15" | "/open/1" | "/unknown" => json!([true, null]),
            "/orders/14" => json!([null, "keys_unavailable"]),
            _ => json!([null, "token_not_logged"]),
        };
        assert_eq!(json!([line["agrees"], line["undecidable"]]), expected, "{reason:?} {line}");
        assert!(line.get("minted").is_none(), "{line}");
    }
    assert!(summary(&lines).get("minted").is_none() && summary(&lines)["sampling"]["core_agrees"] == true);
    // Who writes down what to expect writes down the whole request.
    let output = of_tokens("native.ndjson", &["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(summary(&tracegate_tests::lines(&output))["undecidable"], 0);
}

/// An unknown key makes the module fetch once, and nobody is refused for it.
#[test]
fn rotated_keys_cost_one_fetch_and_no_request() {
    let scratch = TempDir::new().unwrap();
    let log = admitted(&scratch, 0..40);
    let told = |policy: &Path, rotations: &[&str]| {
        let rotations = rotations.iter().flat_map(|count| ["--rotate-keys-at", count]);
        let arguments = [text(&log), "--policy", text(policy), "--mint", "--format", "json"].into_iter().chain(rotations);
        let output = replay(&arguments.collect::<Vec<_>>());
        let lines = lines(&output);
        let minted = &summary(&lines)["minted"];
        let number = |name: &str| minted[name].as_u64().unwrap();
        assert_eq!(summary(&lines)["sampling"]["core_agrees"], true, "{minted}");
        (number("agreed"), number("differed"), number("key_fetches"), number("rotations"), output)
    };
    let plain = tokens("policy.yaml");
    // The keys of `app` are fetched too, before anybody asks for them.
    let (agreed, differed, before, ..) = told(&plain, &[]);
    assert_eq!((agreed, differed, before), (40, 0, 2));
    for (rotations, fetches) in [(&["15"][..], 1), (&["0"], 0), (&["10", "20", "30"], 3), (&["1000"], 0)] {
        let (agreed, differed, found, rotated, _) = told(&plain, rotations);
        assert_eq!((agreed, differed, found), (40, 0, before + fetches), "{rotations:?}");
        assert_eq!(rotated, if rotations == ["1000"] { 0 } else { rotations.len().try_into().unwrap() }, "{rotations:?}");
    }
    // A policy that waits too long before it asks again refuses good tokens: a finding, where that is asked for.
    let slow = policy(&scratch, &[("cluster: id}", "cluster: id, unknown_kid_interval: 1h}")]);
    let (agreed, differed, .., output) = told(&slow, &["10", "20"]);
    assert_eq!((agreed, differed, output.status.code()), (20, 20, Some(0)));
    let found = lines(&output);
    let difference = json!({"field": "decision", "expected": "admitted", "found": "refused", "explained_by": "minted"});
    assert_eq!((&found[20]["difference"], &found[20]["reason"]), (&difference, &json!("TokenSignatureKeyNotFound")));
    let arguments = [text(&log), "--policy", text(&slow), "--mint", "--rotate-keys-at", "10", "--rotate-keys-at", "20"];
    for (kind, code) in [("minted", 1), ("differed", 0)] {
        let output = replay(&[&arguments[..], &["--fail-on", kind]].concat());
        assert_eq!(output.status.code(), Some(code), "{kind}");
        assert!(
            stdout(&output)
                .contains("differed with a minted token\n        20  expected admitted, found refused (TokenSignatureKeyNotFound)")
        );
    }
}

/// Nobody here has the private half of a key that the policy holds.
#[test]
fn what_cannot_be_minted_stays_undecidable() {
    let output = of_tokens("gateway-logs.ndjson", &["--mint", "--format", "json"]);
    let lines = lines(&output);
    let partners: Vec<&Value> = records("gateway-logs.ndjson")
        .iter()
        .zip(&lines)
        .filter(|(record, _)| recorded(record).1.starts_with("/partners"))
        .map(|(_, line)| line)
        .collect();
    assert_eq!(partners.len(), 2);
    assert!(partners.iter().all(|line| line["undecidable"] == "token_not_logged" && line.get("minted").is_none()), "{partners:?}");
    assert_eq!(summary(&lines)["minted"]["not_mintable"], json!({"partner": 2, "staff": 1}));
    let shown = stdout(&of_tokens("gateway-logs.ndjson", &["--mint"]));
    assert!(shown.contains("no token can be minted for partner, whose private keys nobody has here: 2 exchanges"), "{shown}");
}

/// A rule that is only tried out asks for no token: nothing is minted for it, and nothing that was recorded is explained by one.
#[test]
fn a_shadow_rule_has_nothing_minted() {
    let scratch = TempDir::new().unwrap();
    let rule = "rules: [{name: staff, require: {caller: {provider: staff}}";
    let shadow = policy(&scratch, &[(&format!("{rule}}}]"), &format!("{rule}, mode: shadow}}]"))]);
    let output = replay(&[text(&tokens("gateway-logs.ndjson")), "--policy", text(&shadow), "--mint", "--format", "json"]);
    let expired = &lines(&output)[4];
    assert_eq!(
        json!([expired["decision"], expired["agrees"], expired["undecidable"], expired.get("minted")]),
        json!(["admitted", null, "token_not_logged", null])
    );
}

fn batch(scratch: &TempDir, pass: &str, reason: Option<&str>, place: &str) -> PathBuf {
    let mut properties = json!({"url": "https://api.shop.example/exports/1", "requestHeaders": {place: pass}});
    if let Some(reason) = reason {
        let error = json!({"lastError": {"source": "validate-jwt", "reason": reason}, "responseCode": 401, "backendResponseCode": null});
        properties.as_object_mut().unwrap().extend(error.as_object().unwrap().clone());
    }
    file(scratch, "batch.ndjson", &record(properties).to_string())
}

/// A token that was logged is decided about as it is, with or without `--mint`, where the keys are there.
#[test]
fn logged_tokens_are_kept() {
    let scratch = TempDir::new().unwrap();
    let secret = b"0123456789abcdef0123456789abcdef".to_vec();
    let claims = json!({"iss": "batch", "aud": "exports", "exp": 4_102_444_800_i64});
    let sign = |secret: &[u8]| {
        let mut issuer = Issuer::new(7).unwrap().sharing(secret.to_vec());
        issuer.compact(Algorithm::Hs256, br#"{"alg":"HS256","kid":"b1"}"#, claims.to_string().as_bytes()).unwrap()
    };
    let (genuine, forged) = (sign(&secret), sign(b"another secret of thirty-two byte"));
    let decided = |log: &Path, mint: bool, set: bool| {
        let mut command = tracegate_tests::tracegate();
        command.args(["replay", text(log), "--policy", text(&tokens("policy.yaml")), "--format", "json"]);
        command.args(mint.then_some("--mint"));
        match set {
            true => command.env("TRACEGATE_TEST_BATCH", BASE64_STANDARD.encode(&secret)),
            false => command.env_remove("TRACEGATE_TEST_BATCH"),
        };
        let output = command.output().unwrap();
        for token in [&genuine, &forged] {
            assert!(!stdout(&output).contains(token.as_str()) && !stderr(&output).contains(token.as_str()), "a token is shown");
        }
        let line = lines(&output)[0].clone();
        assert!(line.get("minted").is_none(), "{line}");
        json!([line["reason"], line["agrees"], line["undecidable"], output.status.code()])
    };
    for mint in [false, true] {
        let log = batch(&scratch, &genuine, None, "x-batch-pass");
        assert_eq!(decided(&log, mint, true), json!([null, true, null, 0]));
        assert_eq!(decided(&log, mint, false), json!(["TokenSignatureInvalid", null, "keys_unavailable", 0]), "a stand-in proves nothing");
        let log = batch(&scratch, &forged, None, "X-Batch-Pass");
        assert_eq!(decided(&log, mint, true), json!(["TokenSignatureInvalid", false, null, 1]), "a real disagreement");
        let log = batch(&scratch, &forged, Some("TokenSignatureInvalid"), "x-batch-pass");
        assert_eq!(decided(&log, mint, true), json!(["TokenSignatureInvalid", true, null, 0]));
    }
}

/// The secret of the environment signs, where it is set.
#[test]
fn a_secret_is_shared_with_the_issuer() {
    let log = tokens("gateway-logs.ndjson");
    for secret in ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"] {
        let mut command = tracegate_tests::tracegate();
        command.args(["replay", text(&log), "--policy", text(&tokens("policy.yaml")), "--format", "json", "--mint"]);
        let output = command.env("TRACEGATE_TEST_BATCH", BASE64_STANDARD.encode(secret)).output().unwrap();
        assert_eq!(summary(&lines(&output))["minted"]["agreed"], 19, "HS512 needs 64 bytes, HS256 fewer: {}", stderr(&output));
    }
}

/// No endpoint and no vault is asked: a stand-in signs and verifies, and proves nothing of what was logged.
#[test]
fn a_secret_that_is_fetched_is_a_stand_in() {
    let (scratch, log) = (TempDir::new().unwrap(), tokens("gateway-logs.ndjson"));
    let policy = std::fs::read_to_string(tokens("policy.yaml")).unwrap();
    let environment = "{environment: {name: TRACEGATE_TEST_BATCH}}";
    assert!(policy.contains(environment), "{policy}");
    for source in [
        r#"{http: {uri: "https://nowhere.invalid/batch", cluster: nowhere}}"#,
        r#"{key_vault: {vault_uri: "https://shop-kv.vault.azure.net", name: batch, vault_cluster: vault, imds_cluster: imds}}"#,
        r#"{literal: {value: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm"}}"#,
    ] {
        let path = file(&scratch, "policy.yaml", &policy.replace(environment, source));
        let output = replay(&[text(&log), "--policy", text(&path), "--format", "json", "--mint"]);
        assert_eq!(summary(&lines(&output))["minted"]["agreed"], 19, "{source}: {}", stderr(&output));
        // Callers are digested too where no route tells of its path.
        let digests = policy.replace(environment, source) + "export: {spans: {digest_key: {secret: batch-secret}}}\n";
        let output = replay(&[text(&log), "--policy", text(&file(&scratch, "policy.yaml", &digests)), "--format", "json"]);
        let told = "secrets.batch-secret is fetched by the gateway alone: a stand-in takes its place";
        assert_eq!(stderr(&output).contains(told), !source.starts_with("{literal"), "{source}: {}", stderr(&output));
    }
}

/// Minted or recorded, in headers, queries or cookies: no token comes out.
#[test]
fn no_token_comes_out() {
    const CANARY: &str = "canary-7f3a9";
    let scratch = TempDir::new().unwrap();
    let with = |path: &str, headers: Value| {
        record(
            json!({"url": format!("https://api.shop.example{path}"), "requestHeaders": headers, "backendUrl": format!("https://b.example{path}")}),
        )
    };
    let secret = format!("eyJhbGciOiJub25lIn0.{CANARY}.c2ln");
    let logged = [
        with(&format!("/carts/1?size=1&ticket={secret}"), json!({})),
        with("/exports/1", json!({"X-Batch-Pass": secret})),
        with("/exports/1", json!({"Cookie": format!("pass={secret}")})),
        with("/orders/1", json!({"Authorization": format!("Bearer {secret}")})),
    ];
    let canaries = file(&scratch, "canaries.ndjson", &logged.map(|record| format!("{record}\n")).concat());
    let other = policy(&scratch, &[("orders-api, stock-api", "stock-api")]);
    let (log, policy) = (tokens("gateway-logs.ndjson"), tokens("policy.yaml"));
    for arguments in [&[][..], &["--find", "path=/"], &["--find", "id=minted"], &["--against", text(&other)]] {
        for format in ["text", "json", "html"] {
            let all = [&[text(&log), text(&canaries), "--policy", text(&policy), "--mint", "--format", format], arguments].concat();
            let output = replay(&all);
            assert!(output.status.code() < Some(2), "{}", stderr(&output));
            let shown = stdout(&output) + &stderr(&output);
            assert!(!shown.contains("eyJ") && !shown.contains(CANARY) && !shown.contains("minted.malformed"), "{arguments:?} {format}");
        }
    }
    let found = lines(&replay(&[text(&canaries), "--policy", text(&policy), "--format", "json"]));
    assert_eq!(found[0]["reason"], "JwtInvalid", "a token in a query is decided about as it was sent");
    assert_eq!(
        summary(&lines(&replay(&[text(&canaries), "--policy", text(&policy), "--find", &format!("id={CANARY}"), "--format", "json"])))["exchanges"],
        0
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let arguments = ["--mint", "--rotate-keys-at", "10", "--format", "json"];
    let first = of_tokens("gateway-logs.ndjson", &arguments);
    assert_eq!(of_tokens("gateway-logs.ndjson", &arguments).stdout, first.stdout);
    let other = of_tokens("gateway-logs.ndjson", &[&arguments[..], &["--seed", "1"]].concat());
    assert_ne!(other.stdout, first.stdout);
    let minted = |output: &Output| summary(&lines(output))["minted"].clone();
    assert_eq!(minted(&other), minted(&first), "other keys, the same outcome");
}

/// Clients have the tokens that the policy in force asks for: what a change asks for beyond is a difference.
#[test]
fn a_change_is_tried_with_the_tokens_of_before() {
    let scratch = TempDir::new().unwrap();
    let log = admitted(&scratch, 0..4);
    let now = tokens("policy.yaml");
    let changed = policy(&scratch, &[("orders-api, stock-api", "stock-api")]);
    let against = |policy: &Path, other: &Path| {
        let output = replay(&[text(&log), "--policy", text(policy), "--against", text(other), "--mint", "--format", "json"]);
        let lines = lines(&output);
        (lines[0]["reason"].clone(), summary(&lines)["differed"].clone(), output.status.code())
    };
    assert_eq!(against(&changed, &now), (json!("TokenAudienceNotAllowed"), json!(4), Some(1)));
    let (_, differed, code) = against(&now, &changed);
    assert_eq!((differed, code), (json!(0), Some(0)), "what is asked for no more harms nobody");
    let open = file(&scratch, "open.json", r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#);
    assert_eq!(against(&now, &open).0, Value::Null, "nothing was asked for before: clients get what is asked for now");
}

#[test]
fn text_and_page_tell_what_json_tells() {
    let table = stdout(&of_tokens("gateway-logs.ndjson", &["--mint"]));
    let heading = table.lines().next().unwrap();
    assert!(heading.ends_with("  undecidable  minted"), "{table}");
    for row in [
        "TokenExpired                       2       2         0            0",
        "sound                             10       8         0            2",
    ] {
        assert!(table.contains(row), "{table}");
    }
    assert!(table.contains("the test issuer's keys were fetched 5 times, and rotated 0 times"), "{table}");
    let page = super::html::read(&stdout(&of_tokens("gateway-logs.ndjson", &["--mint", "--format", "html"])));
    assert!(page.to_string().contains("minted token"), "{page}");
    let plain = stdout(&of_tokens("gateway-logs.ndjson", &[]));
    assert!(!plain.contains("minted"), "{plain}");
}

#[test]
fn what_is_about_minting_needs_minting() {
    for (arguments, message) in [
        (&["--rotate-keys-at", "1"][..], "--mint"),
        (&["--fail-on", "minted"], "expected --fail-on minted with --mint"),
        (&["--mint", "--rotate-keys-at", "half"], "invalid value 'half'"),
    ] {
        let output = of_tokens("native.ndjson", arguments);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}
