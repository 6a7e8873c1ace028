// SPDX-License-Identifier: Apache-2.0
//! `--against`: two policies, or two modules, on the same traffic.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::{module, workspace};
use tracegate_tests::{lines, stderr, stdout};

use super::{file, replay, summary, text};

/// The sample's policy, with one rule more.
fn with_a_rule(scratch: &TempDir, rule: &str) -> std::path::PathBuf {
    let policy = fs::read_to_string(workspace::sample_policy()).unwrap();
    let before = "path: {prefix: /payments}}\n";
    assert!(policy.contains(before));
    file(scratch, "edge.yaml", &policy.replace(before, &format!("{before}  rules: [{rule}]\n")))
}

/// Lines of the sample whose request a route for payments matches: read without the product.
fn payments() -> BTreeSet<u64> {
    let sample = fs::read_to_string(workspace::sample_recording()).unwrap();
    let is_payment = |record: &str| {
        let record: Value = serde_json::from_str(record).unwrap();
        let url = record["properties"]["url"].as_str().unwrap().split('?').next().unwrap().to_owned();
        url == "https://api.contoso.example/payments" || url.starts_with("https://api.contoso.example/payments/")
    };
    (1..).zip(sample.lines()).filter(|(_, record)| is_payment(record)).map(|(line, _)| line).collect()
}

#[test]
fn two_policies_that_differ_in_one_rule_differ_in_the_exchanges_concerned() {
    let scratch = TempDir::new().unwrap();
    let edge = with_a_rule(&scratch, "{name: closed, require: deny}");
    let sample = workspace::sample_policy();
    let expected = payments();
    assert!(expected.len() > 100);

    let output = replay(&["--policy", text(&edge), "--against", text(&sample), "--format", "json"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), ""));
    let mut found = lines(&output);
    let last = found.pop().unwrap();
    assert_eq!(found.iter().map(|line| line["line"].as_u64().unwrap()).collect::<BTreeSet<_>>(), expected);
    for line in &found {
        assert_eq!((&line["decision"], &line["reason"], &line["agrees"]), (&json!("refused"), &json!("AccessDenied"), &json!(false)));
        assert_eq!(line["difference"], json!({"field": "decision", "expected": "admitted", "found": "refused", "explained_by": null}));
        assert_eq!((&line["against"]["decision"], &line["against"]["reason"]), (&json!("admitted"), &Value::Null));
    }
    let (all, differed) = (2400, expected.len());
    let totals = &last["summary"];
    assert_eq!(
        (&totals["exchanges"], &totals["differed"], &totals["agreed"], &totals["undecidable"]),
        (&json!(all), &json!(differed), &json!(all - differed), &json!(0))
    );
    assert_ne!(totals["policy_fingerprint"], totals["against"]["policy_fingerprint"]);

    let table = stdout(&replay(&["--policy", text(&edge), "--against", text(&sample)]));
    let row = |name: &str, numbers: [usize; 5]| {
        let row = table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}: {table}"));
        let found: Vec<usize> = row.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect();
        assert_eq!(found, numbers, "{table}");
    };
    row("payments", [differed, differed, differed, 0, 0]);
    row("all", [all, differed, differed, 0, 0]);
    assert!(!table.contains("orders-v1"), "rows without a difference are not shown: {table}");
    assert!(table.contains(&format!("\ndiffered\n  {differed:>8}  expected admitted, found refused (AccessDenied)\n")), "{table}");
    assert_eq!(table.matches(": expected admitted, found refused (AccessDenied)\n").count(), 10, "{table}");
    let turned = stdout(&replay(&["--policy", text(&sample), "--against", text(&edge)]));
    assert!(turned.contains(": expected refused (AccessDenied), found admitted"), "{turned}");
}

#[test]
fn policies_that_decide_alike_show_nothing() {
    let scratch = TempDir::new().unwrap();
    let edge = with_a_rule(&scratch, "{name: watched, require: deny, mode: shadow}");
    let output = replay(&["--policy", text(&edge), "--against", text(&workspace::sample_policy()), "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = lines(&output);
    assert_eq!((lines.len(), &summary(&lines)["agreed"]), (1, &json!(2400)));
    let alike = replay(&["--against", text(&workspace::sample_policy())]);
    assert_eq!(alike.status.code(), Some(0));
    assert_eq!(stdout(&alike).lines().filter(|line| line.starts_with("all ")).count(), 1, "{}", stdout(&alike));
}

#[test]
fn another_tracestate_is_a_difference_at_the_upstream() {
    let scratch = TempDir::new().unwrap();
    let other = fs::read_to_string(workspace::sample_policy()).unwrap().replace("member: tgate", "member: other");
    let other = file(&scratch, "other.yaml", &other);
    let output = replay(&["--against", text(&other), "--format", "json"]);
    let lines = lines(&output);
    assert_eq!((&summary(&lines)["differed"], &summary(&lines)["admitted"]), (&json!(2350), &json!(2350)), "every one that goes on");
    let difference = &lines[0]["difference"];
    assert_eq!(difference["field"], "upstream_headers");
    let member = |side: &str| difference[side]["tracestate"][0].as_str().unwrap().split('=').next().unwrap().to_owned();
    assert_eq!((member("expected"), member("found")), ("other".to_owned(), "tgate".to_owned()), "{difference}");
    let table = stdout(&replay(&["--against", text(&other)]));
    assert!(table.contains("\ndiffered\n      2350  upstream_headers: tracestate\n"), "{table}");
}

#[test]
fn modules_are_told_by_their_first_bytes() {
    let scratch = TempDir::new().unwrap();
    // The same module by another name; one that does nothing.
    let same = scratch.path().join("same");
    fs::copy(module::build().unwrap(), &same).unwrap();
    let output = replay(&["--against", text(&same)]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let idle = scratch.path().join("idle.yaml");
    fs::write(&idle, wat::parse_file(workspace::root().join("harness/src/bench/noop.wat")).unwrap()).unwrap();
    let output = replay(&["--against", text(&idle), "--format", "json"]);
    let lines = lines(&output);
    assert_eq!((output.status.code(), &summary(&lines)["differed"]), (Some(1), &json!(2400)), "{}", stderr(&output));
    assert_eq!(summary(&lines)["against"]["module_version"], Value::Null);
    let fields: BTreeSet<&str> = lines.iter().filter_map(|line| line["difference"]["field"].as_str()).collect();
    assert_eq!(fields, BTreeSet::from(["decision", "upstream_headers"]));
}

/// What a pull request is checked for is its author's choice.
#[test]
fn newly_refused_and_newly_admitted_are_findings_of_their_own() {
    let scratch = TempDir::new().unwrap();
    let (edge, sample) = (with_a_rule(&scratch, "{name: closed, require: deny}"), workspace::sample_policy());
    for (policy, against, kind, code, told) in [
        (&edge, &sample, "newly-refused", Some(1), "findings: 324 newly-refused\n"),
        (&edge, &sample, "newly-admitted", Some(0), ""),
        (&sample, &edge, "newly-refused", Some(0), ""),
        (&sample, &edge, "newly-admitted", Some(1), "findings: 324 newly-admitted\n"),
    ] {
        let output = replay(&["--policy", text(policy), "--against", text(against), "--fail-on", kind]);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (code, told), "{kind}");
    }
    for (arguments, message) in [
        (&["--fail-on", "newly-refused"][..], "expected --fail-on newly-refused with --against"),
        (&["--fail-on", "undecidable", "--against", text(&sample)], "expected --fail-on undecidable without --against"),
    ] {
        let output = replay(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
}

/// As a shell's `<(git show main:edge.yaml)` hands it over.
#[cfg(unix)]
#[test]
fn a_policy_to_compare_with_may_come_through_a_pipe() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let writing = thread::spawn({
        let path = path.clone();
        move || fs::write(path, fs::read(workspace::sample_policy()).unwrap()).unwrap()
    });
    let output = replay(&["--against", text(&path)]);
    writing.join().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn what_cannot_be_compared_with_is_code_2() {
    let scratch = TempDir::new().unwrap();
    let wrong = file(&scratch, "wrong.yaml", "schema: 1\nservice: {nam: x}\n");
    let cut = scratch.path().join("cut.wasm");
    fs::write(&cut, &fs::read(module::build().unwrap()).unwrap()[..1000]).unwrap();
    for (against, message) in [
        ("nowhere.yaml", "can't read nowhere.yaml: "),
        (text(&wrong), "wrong.yaml:2:11: service.nam: expected one of "),
        (text(&cut), "cut.wasm: expected a WebAssembly module, found the beginning of one: 1000 bytes of at least "),
    ] {
        let output = replay(&["--against", against]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{against}");
        assert!(stderr(&output).contains(message), "{against}: {}", stderr(&output));
    }
}
