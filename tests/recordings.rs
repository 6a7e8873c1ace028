// SPDX-License-Identifier: Apache-2.0
//! Recordings in every layout: what is accepted, what is refused and where, and what a cut costs.

#[path = "layouts/bounds.rs"]
mod bounds;
#[path = "layouts/csv.rs"]
mod csv;
#[path = "layouts/files.rs"]
mod files;
#[path = "layouts/json.rs"]
mod json;
#[path = "layouts/results.rs"]
mod results;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::Redactor;
use tracegate_harness::recording::{Files, Recorded, in_order};
use tracegate_tests::{folder, lines, run, stderr, stdout};

/// What `layouts.py` puts wherever a credential may stand.
const SECRET: &str = "canary-7f3a9";

fn layouts() -> PathBuf {
    folder("recordings").join("layouts")
}

fn replay(recordings: &[&Path]) -> Output {
    let policy = folder("recordings").join("sample-policy.yaml");
    let arguments = ["replay", "--format", "json", "--policy"].map(PathBuf::from);
    run(arguments.into_iter().chain([policy]).chain(recordings.iter().map(|path| path.to_path_buf())))
}

/// Reads `contents` in time order; the exchanges, and the messages of what can't be read, with the file as `log`.
fn read(contents: &[u8]) -> (Vec<Recorded>, Vec<String>) {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("log");
    fs::write(&path, contents).unwrap();
    let files = Files(vec![path]);
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let (mut found, mut messages) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        for next in in_order(scope, &files, &redactor, &progress).unwrap() {
            match next {
                Ok(ordered) => found.push(*ordered.recorded),
                Err(unread) => messages.push(files.locate(&unread).replace(files.0[0].to_str().unwrap(), "log")),
            }
        }
    });
    assert!(messages.iter().all(|message| !message.contains(SECRET)), "{messages:?}");
    assert!(found.iter().all(|recorded| !recorded.request.path.contains(SECRET)));
    (found, messages)
}

/// The lines on which the exchanges stand.
fn places(found: &[Recorded]) -> Vec<u64> {
    found.iter().map(|recorded| recorded.place.line).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_layouts_are_what_their_generator_writes() {
    let output = Command::new("python3").arg(folder("recordings").join("layouts.py")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The generator, which shares no code with the product, says what each exchange must come to.
#[test]
fn every_layout_comes_to_what_its_generator_says() {
    let expected = fs::read(folder("recordings").join("layouts.expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    assert_eq!(fs::read_dir(layouts()).unwrap().count(), expected.as_object().unwrap().len());
    for (name, rows) in expected.as_object().unwrap() {
        let output = replay(&[&layouts().join(name)]);
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{name}");
        assert!(!stdout(&output).contains(SECRET), "{name}");
        let found = lines(&output);
        assert_eq!(found.len(), rows.as_array().unwrap().len() + 1, "{name}");
        for (row, line) in rows.as_array().unwrap().iter().zip(&found) {
            assert_eq!(line["line"], row["line"], "{name}: {line}");
            assert_eq!(line["undecidable"], row["undecidable"], "{name}: {line}");
            assert_eq!(line["agrees"], if row["undecidable"].is_null() { json!(true) } else { Value::Null }, "{name}: {line}");
            let request = &line["upstream_request"];
            assert_eq!(request.is_null(), row["request"].is_null(), "{name}: {line}");
            if !request.is_null() {
                let path = row["request"][1].as_str().unwrap();
                let shown = request["path"].as_str().unwrap();
                let (before, after) = path.split_once(SECRET).unwrap_or((path, ""));
                assert!(request["method"] == row["request"][0] && shown.starts_with(before) && shown.ends_with(after), "{name}: {line}");
                assert_eq!(shown.len(), if path.contains(SECRET) { path.len() - SECRET.len() + 17 } else { path.len() }, "{name}: {shown}");
                let headers = request["headers"].as_array().unwrap();
                let parent = headers.iter().find(|header| header[0] == "traceparent").unwrap()[1].as_str().unwrap();
                let continued = row["continues"].as_str().is_some_and(|trace_id| parent.contains(trace_id));
                assert_eq!(continued, row["continues"].is_string(), "{name}: {parent}");
            }
        }
    }
}

/// Records of every layout in one stream, with what is none of them between.
#[test]
fn one_file_may_mix_layouts() {
    let file = |name: &str| fs::read_to_string(layouts().join(name)).unwrap();
    let [table, insights, reports, query] = ["table-rows.ndjson", "insights.ndjson", "by-request.json", "table-query.json"].map(file);
    let csv = file("table.csv");
    let mixed = format!("{table}{{\"a\":\"{SECRET}\"}}\n{insights}{reports}{csv}{query}");
    let (found, messages) = read(mixed.as_bytes());
    assert_eq!(found.len(), 4 * 8);
    assert!(found.is_sorted_by_key(|recorded| recorded.time));
    assert!(messages[0].starts_with("log:9: expected a record with one of `properties`, "), "{messages:?}");
    // Rows of CSV among JSON are none; what within them is no line of `{` is passed over with them.
    assert!(messages[1].starts_with("log:28: expected a JSON object, found "), "{messages:?}");
}

/// Each layout says how long an exchange took in its own field; what is no length of time is none.
#[test]
fn how_long_an_exchange_took_is_read_in_every_layout() {
    for entry in fs::read_dir(layouts()).unwrap() {
        let path = entry.unwrap().path();
        let (found, messages) = read(&fs::read(&path).unwrap());
        let took = |recorded: &Recorded| recorded.durations.total.is_some_and(|total| [58_000, 58_500].contains(&total.as_micros()));
        assert!(!found.is_empty() && messages.is_empty() && found.iter().all(took), "{}: {found:#?}", path.display());
    }
    let native = |milliseconds: &str| {
        let line = format!(
            r#"{{"time": "2026-10-05T06:00:00Z", "request": {{"method": "GET", "path": "/"}}, "response": {{"duration_ms": {milliseconds}}}}}"#
        );
        let (found, messages) = read(line.as_bytes());
        assert!(messages.is_empty(), "{messages:?}");
        found[0].durations.total.map(|total| total.as_micros())
    };
    assert_eq!(["166.2", "0", "-1", "1e300", "null"].map(native), [Some(166_200), Some(0), None, None, None]);
}
