// SPDX-License-Identifier: Apache-2.0
//! What the policy's setting for sampling records, and what others would.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::workspace;
use tracegate_tests::{folder, lines, stderr, stdout};

use super::html::read;
use super::{file, record, replay, summary, text};

/// What a replay's summary says about sampling.
fn told(arguments: &[&str]) -> Value {
    let output = replay(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.code() < Some(2), "{}", stderr(&output));
    summary(&lines(&output))["sampling"].clone()
}

/// The sample's policy with another line for sampling and, perhaps, more.
fn policy(scratch: &TempDir, sampling: &str, edit: impl Fn(String) -> String) -> std::path::PathBuf {
    let policy = fs::read_to_string(workspace::sample_policy()).unwrap();
    let own = "sampling: {root: {probability: 0.1}, max_per_second: 50}";
    assert!(policy.contains(own));
    file(scratch, "policy.yaml", &edit(policy.replace(own, sampling)))
}

fn number(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("{name} of {row}"))
}

/// The section's rows in a text, and what stands over them.
fn section(text: &str) -> (&str, Vec<Vec<String>>) {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("sampling: "));
    let heading = lines.next().unwrap_or_else(|| panic!("no section in {text}"));
    let cells = |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    let rows = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("---") && *line != STAND_IN);
    (heading, rows.map(cells).collect())
}

/// What is said where the policy exports nothing.
const STAND_IN: &str =
    "the policy exports nothing: spans and bytes are those that an `export` with its defaults would send to one collector";

#[test]
fn the_sample_is_recorded_as_its_generator_says() {
    let expected: Value = serde_json::from_slice(&fs::read(folder("recordings").join("sample.expected.json")).unwrap()).unwrap();
    let told = told(&[]);
    assert_eq!(told["exported"], false);
    let settings = told["settings"].as_array().unwrap();
    let places: Vec<_> =
        settings.iter().map(|row| (row["policy"] == true, row["probability"].as_f64().unwrap(), &row["max_per_second"])).collect();
    let (bound, none) = (json!(50), Value::Null);
    assert_eq!(places, [(true, 0.1, &bound), (false, 1.0, &none), (false, 0.01, &bound), (false, 0.001, &bound), (false, 0.0, &bound)]);
    for (setting, place) in [("probability_1", 1), ("probability_0", 4)] {
        for (name, count) in expected["sampling"][setting].as_object().unwrap() {
            assert_eq!(&settings[place][name], count, "{setting}: {name}");
        }
    }
    // What is not drawn is the same for every setting; what is lies between, and near what was asked for.
    let all = number(&settings[1], "by_probability");
    for row in settings {
        assert_eq!((&row["by_parent"], &row["refused"]), (&settings[1]["by_parent"], &settings[1]["refused"]));
        let (drawn, recorded) = (number(row, "by_probability"), number(row, "recorded"));
        assert_eq!(recorded, ["by_parent", "by_probability", "refused", "errors"].map(|name| number(row, name)).iter().sum::<u64>());
        let (mean, probability) = (all as f64 * row["probability"].as_f64().unwrap(), row["probability"].as_f64().unwrap());
        assert!((drawn as f64 - mean).abs() <= 5.0 * (mean * (1.0 - probability)).sqrt() + 1.0, "{drawn} of {all}: {row}");
        // The recording spans four hours, but for a fraction of a minute.
        let a_day = number(row, "spans_per_day");
        assert!((recorded * 6..=recorded * 6 + recorded / 100).contains(&a_day), "{row}");
        let bytes = number(row, "bytes");
        assert!((bytes * 6..=bytes * 6 + bytes / 100).contains(&number(row, "bytes_per_day")), "{row}");
        // One span for each, and a resource for the few that leave together at this pace.
        assert_eq!(number(row, "spans"), recorded);
        assert!((500..800).contains(&(bytes / recorded)), "{row}");
    }
}

/// Given the same randomness, the core natively records what the compiled module does, whatever the policy.
#[test]
fn the_core_natively_decides_as_the_module_does() {
    let scratch = TempDir::new().unwrap();
    let same = |policy: String| policy;
    let roots = |policy: String| {
        let before = "path: {prefix: /orders}}\n";
        assert!(policy.contains(before));
        policy.replace(before, &format!("{before}  sampling: {{root: {{probability: 0.5}}}}\n"))
    };
    let b3 = |policy: String| policy.replace("inject: [tracecontext]", "inject: [b3]").replace("  tracestate: {member: tgate}\n", "");
    let refused = |policy: String| policy.replace("status: 404", "status: 503");
    // Fetched before the first request, and again as the recorded time goes on.
    let fetching = |policy: String| {
        let secrets = "secrets: {token: {http: {uri: \"http://secrets/token\", cluster: secrets, refresh_interval: 1h}}}";
        let collector = "{otlp: {cluster: otel, uri: \"http://otel/v1/traces\", headers: {authorization: {secret: token}}}}";
        format!("{policy}{secrets}\nexport: {{traces: {{otel: {collector}}}}}\n")
    };
    type Edit<'a> = &'a dyn Fn(String) -> String;
    for (sampling, edit) in [
        ("sampling: {root: {probability: 0.3}}", &same as Edit<'_>),
        ("sampling: {root: {probability: 0.3}}", &fetching),
        ("sampling: {root: {probability: 1}, max_per_second: 1}", &same),
        ("sampling: {always_record: []}", &same),
        ("sampling: {root: {probability: 0.02}}", &roots),
        ("sampling: {root: {probability: 0.5}}", &b3),
        ("sampling: {root: {probability: 0.5}, always_record: [error]}", &refused),
    ] {
        let policy = policy(&scratch, sampling, edit);
        for seed in ["0", "7"] {
            let told = told(&["--policy", text(&policy), "--seed", seed]);
            assert_eq!(told["core_agrees"], true, "{sampling}, seed {seed}: {told}");
            let own = &told["settings"][0];
            assert!(number(own, "recorded") > 0 && number(own, "by_probability") > 0, "{own}");
        }
    }
}

#[test]
fn alternatives_keep_what_else_the_policy_says() {
    let scratch = TempDir::new().unwrap();
    let closed = |policy: String| {
        let before = "path: {prefix: /orders}}\n";
        policy.replace(before, &format!("{before}  sampling: {{root: {{probability: 0}}}}\n"))
    };
    let policy = policy(&scratch, "sampling: {always_record: [refused]}", closed);
    let told = told(&["--policy", text(&policy)]);
    let settings = told["settings"].as_array().unwrap();
    let probabilities: Vec<f64> = settings.iter().map(|row| row["probability"].as_f64().unwrap()).collect();
    assert_eq!(probabilities, [1.0, 0.1, 0.01, 0.001, 0.0], "an alternative that is the policy's own is left out");
    assert!(settings.iter().all(|row| row["errors"] == 0 && row["max_per_second"].is_null() && row["refused"] != 0), "{told}");
    let expected: Value = serde_json::from_slice(&fs::read(folder("recordings").join("sample.expected.json")).unwrap()).unwrap();
    let all = number(&expected["sampling"]["probability_1"], "by_probability");
    let own = number(&settings[0], "by_probability");
    assert!(own > all / 2 && own < all - 400, "orders' traces are not recorded: {own} of {all}");
}

#[test]
fn text_and_page_show_the_same_rows() {
    let told = told(&[]);
    let plain = stdout(&replay(&[]));
    let (heading, rows) = section(&plain);
    assert_eq!(heading, "sampling: requests recorded, and a day's spans at the pace of 4.0 hours of recording");
    let columns = ["setting", "recorded", "by parent", "by probability", "refused", "errors", "spans a day", "bytes a day"];
    assert_eq!(rows[0], columns);
    assert_eq!(rows.len(), 6);
    for (row, told) in rows[1..].iter().zip(told["settings"].as_array().unwrap()) {
        let numbers = ["recorded", "by_parent", "by_probability", "refused", "errors", "spans_per_day"].map(|name| told[name].to_string());
        assert_eq!(row[1..7], numbers);
        let (figure, unit) = row[7].split_once(' ').unwrap();
        let unit = match unit {
            "kB" => 1e3,
            "MB" => 1e6,
            unit => panic!("{unit}"),
        };
        let bytes = figure.parse::<f64>().unwrap() * unit;
        assert!((bytes - told["bytes_per_day"].as_f64().unwrap()).abs() <= unit / 20.0, "{row:?}");
    }
    assert_eq!((rows[1][0].as_str(), rows[2][0].as_str()), ("probability 0.1, 50/s (the policy)", "probability 1, no bound"));
    assert!(!plain.contains("core decides") && plain.contains(STAND_IN), "{plain}");
    let page = stdout(&replay(&["--format", "html"]));
    assert!(page.contains(&format!("<p>{STAND_IN}</p>")), "{page}");
    let page = read(&page);
    assert_eq!(page["tables"][heading], json!(rows));
}

#[test]
fn a_short_recording_says_that_it_is_short() {
    let scratch = TempDir::new().unwrap();
    let policy = file(
        &scratch,
        "policy.json",
        r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"sampling": {}}, "default": {"action": "admit"}}"#,
    );
    let at = |time: &str| {
        let mut record = record(json!({}));
        record["time"] = json!(time);
        record.to_string()
    };
    for (times, heading, spans, a_day) in [
        (
            &["2026-10-05T06:00:00Z"][..],
            "sampling: requests recorded; no time passes in this recording, so nothing can be said of a day",
            "1",
            "-",
        ),
        (
            &["2026-10-05T06:00:30Z", "2026-10-05T06:00:00Z"],
            "sampling: requests recorded, and a day's spans at the pace of 30 seconds of recording, which say little of one",
            "2",
            "5760",
        ),
        (
            &["2026-10-05T06:00:00Z", "2026-10-05T06:07:00Z", "2026-10-05T06:12:00Z"],
            "sampling: requests recorded, and a day's spans at the pace of 12 minutes of recording, which say little of one",
            "3",
            "360",
        ),
        (
            &["2026-10-05T06:00:00Z", "2026-10-07T06:00:00Z"],
            "sampling: requests recorded, and a day's spans at the pace of 48.0 hours of recording",
            "2",
            "1",
        ),
    ] {
        let log = file(&scratch, "log.json", &times.iter().map(|time| at(time)).collect::<Vec<_>>().join("\n"));
        let shown = stdout(&replay(&[text(&log), "--policy", text(&policy)]));
        let (found, rows) = section(&shown);
        assert_eq!((found, rows[1][1].as_str(), rows[1][6].as_str()), (heading, spans, a_day), "{shown}");
        assert_eq!(rows[1][7] == "-", a_day == "-", "{shown}");
    }
}

#[test]
fn nothing_is_said_where_nothing_is_asked() {
    let scratch = TempDir::new().unwrap();
    let without = policy(&scratch, "tracestate: {}", |policy| policy.replace("  tracestate: {member: tgate}\n", ""));
    let sample = workspace::sample_policy();
    for arguments in [&["--policy", text(&without)][..], &["--find", "path=/files/8202"], &["--against", text(&without)]] {
        for format in ["text", "json", "html"] {
            let output = replay(&[arguments, &["--format", format]].concat());
            let shown = stdout(&output);
            assert!(!shown.is_empty() && !shown.contains("sampling") && !shown.contains("per_day"), "{arguments:?}: {shown:.2000}");
        }
    }
    assert!(stdout(&replay(&["--policy", text(&sample)])).contains("\nsampling: "));
}

/// A signature that the module takes for valid, the core beside it takes for valid too.
#[test]
fn the_core_knows_a_signed_hop_as_the_module_does() {
    let scratch = TempDir::new().unwrap();
    let signing = |trust: &str| {
        file(
            &scratch,
            "signing.yaml",
            &format!(
                "schema: 1\nservice: {{name: edge}}\nsecrets: {{hop: {{environment: {{name: TRACEGATE_TEST_UNSET}}}}}}\ntrace:\n  \
                 tracestate: {{member: tgate}}\n  signed_hop: {{active: {{id: k1, key: {{secret: hop}}}}}}\n  \
                 sampling: {{root: {{probability: 0}}}}\n{trust}default: {{action: admit}}\n"
            ),
        )
    };
    let recording = |headers: Value| file(&scratch, "hop.json", &record(json!({"requestHeaders": headers})).to_string());
    let first = recording(json!({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}));
    let sent = lines(&replay(&[text(&first), "--policy", text(&signing("")), "--format", "json"]))[0]["upstream_request"].clone();
    let header = |name: &str| sent["headers"].as_array().unwrap().iter().find(|line| line[0] == name).unwrap()[1].clone();
    let second = recording(json!({"traceparent": header("traceparent"), "tracestate": header("tracestate")}));
    let trust = "  trust:\n  - {name: ours, when: {signed_hop: valid}, context: continue}\n  - {name: rest, context: restart}\n";
    let told = told(&[text(&second), "--policy", text(&signing(trust))]);
    assert_eq!((&told["core_agrees"], &told["settings"][0]["by_parent"]), (&json!(true), &json!(1)), "{told}");
}
