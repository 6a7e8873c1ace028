// SPDX-License-Identifier: Apache-2.0
//! `--format html`: a page that stands by itself.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_tests::{stderr, stdout};

use super::{file, record, replay, rows, text};

/// What a page holds: tables by heading, with the texts of their cells and the widths of their bars. Python reads it, and
/// strictly: what is no well-formed XML is an error.
pub(crate) fn read(page: &str) -> Value {
    let script = r#"
import json, sys, xml.etree.ElementTree as xml
page = sys.stdin.read()
head, page = page.split("\n", 1)
assert head == "<!DOCTYPE html>", head
root = xml.fromstring(page)
names = {node.tag for node in root.iter()}
attributes = {name for node in root.iter() for name in node.attrib}
tables, heading = {}, "found"
for node in root.find("body"):
    heading = "".join(node.itertext()) if node.tag == "h2" else heading
    if node.tag == "table":
        tables[heading] = [
            ["".join(cell.itertext()) if cell.find("svg") is None else [int(bar.get("width")) for bar in cell.find("svg")] for cell in row]
            for row in node.iter("tr")
        ]
print(json.dumps({"tables": tables, "names": sorted(names), "attributes": sorted(attributes)}))
"#;
    let mut python = Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{page}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_page_has_every_table_with_the_numbers_of_the_terminals() {
    let output = replay(&["--format", "html"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = read(&stdout(&output));
    for by in ["api", "hour", "reason"] {
        let expected = rows(&stdout(&replay(&["--by", by])));
        let heading = match by {
            "api" => "by API",
            "hour" => "by hour (UTC)",
            _ => "by reason",
        };
        let table = page["tables"][heading].as_array().unwrap_or_else(|| panic!("{page}"));
        assert_eq!(table.len(), expected.len() + 1, "{table:?}");
        for (row, (name, numbers)) in table[1..].iter().zip(&expected) {
            let shown: Vec<u64> = row.as_array().unwrap()[2..].iter().map(|cell| cell.as_str().unwrap().parse().unwrap()).collect();
            assert_eq!((row[0].as_str().unwrap(), &shown), (name.as_str(), numbers));
            if name != "all" {
                let bars: Vec<u64> = numbers[1..4].iter().copied().filter(|&part| part > 0).collect();
                assert_eq!(row[1], json!(bars), "continued, restarted, refused: {name}");
            }
        }
    }
    assert_eq!(page["tables"]["undecidable"].as_array().unwrap().len(), 4);
}

#[test]
fn a_page_loads_and_runs_nothing_whatever_the_recording_says() {
    let scratch = TempDir::new().unwrap();
    let hostile = "</td><script src=\"//evil.example/\">alert('&amp;')</script><img src=x onerror=alert(1)>\u{1b}]0;x\u{7}";
    let mut hostile =
        record(json!({"apiId": hostile, "apimSubscriptionId": hostile, "url": "https://api.example/a<script>?b=\"'&sig=canary-7f3a9",
        "backendResponseCode": null, "lastError": {"source": "ip-filter", "reason": hostile}}));
    hostile["correlationId"] = json!("<b onclick='x'>");
    let log = file(&scratch, "log.json", &hostile.to_string());
    let closed = file(&scratch, "closed.json", r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}}"#);
    let open = file(&scratch, "open.json", r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#);
    for arguments in [
        &["--policy", text(&closed)][..],
        &["--find", "path=/"],
        &["--policy", text(&closed), "--against", text(&open)],
        &["--policy", text(&closed), "--against", text(&open), "--find", "path=/"],
    ] {
        let output = replay(&[&[text(&log), "--format", "html"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let page = stdout(&output);
        assert!(!page.contains("canary-7f3a9") && !page.contains('\u{1b}'), "{page}");
        let found = read(&page);
        let (names, attributes) = (found["names"].to_string(), found["attributes"].to_string());
        assert!(
            !names.contains("script") && !names.contains("img") && !attributes.contains("\"on") && !attributes.contains("src"),
            "{page}"
        );
        assert!(page.contains("default-src 'none'"), "{page}");
    }
}

#[test]
fn a_page_of_two_policies_shows_only_what_differs() {
    let scratch = TempDir::new().unwrap();
    let other = std::fs::read_to_string(tracegate_harness::workspace::sample_policy()).unwrap().replace("/weather", "/whether");
    let other = file(&scratch, "other.yaml", &other);
    let page = read(&stdout(&replay(&["--against", text(&other), "--format", "html"])));
    let table = &page["tables"]["by API"];
    assert_eq!(table[1], json!(["weather", [166], "166", "166", "0", "166", "0"]));
    assert_eq!((table.as_array().unwrap().len(), &table[2][2]), (3, &json!("2400")));
}
