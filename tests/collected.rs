// SPDX-License-Identifier: Apache-2.0
//! What a collector was sent, read by OpenTelemetry's own types, in a process of the workspace's package `tracegate-otlp`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tracegate_harness::collector::Collector;
use tracegate_harness::workspace;

/// A span as it was read, and of which resource.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// In hexadecimal digits.
    pub trace_id: String,
    /// In hexadecimal digits.
    pub span_id: String,
    /// In hexadecimal digits; empty without one.
    pub parent: String,
    /// Their values as text.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of its resource.
    pub resource: BTreeMap<String, String>,
    /// How long it took.
    pub nanoseconds: u64,
}

impl Span {
    #[track_caller]
    /// An attribute's value as text.
    ///
    /// # Panics
    ///
    /// Where it has none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }
}

/// A record for the audit as it was read.
#[derive(Clone, Debug)]
pub struct Record {
    /// The line of JSON.
    pub body: String,
    /// In hexadecimal digits; empty without one.
    pub trace_id: String,
    /// Their values as text.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of its resource.
    pub resource: BTreeMap<String, String>,
}

/// The spans that have come. Nothing may be wrong with any.
///
/// # Panics
///
/// Where something is.
#[track_caller]
#[must_use]
pub fn spans(collector: &Collector) -> Vec<Span> {
    let mut spans = Vec::new();
    for request in requests(collector, "traces") {
        for resource in list(&request["resourceSpans"]) {
            let of = attributes(&resource["resource"]["attributes"]);
            spans.extend(list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])).map(|span| read(span, &of)));
        }
    }
    spans
}

/// The records for the audit that have come. Nothing may be wrong with any.
///
/// # Panics
///
/// Where something is.
#[track_caller]
#[must_use]
pub fn records(collector: &Collector) -> Vec<Record> {
    let mut records = Vec::new();
    for request in requests(collector, "logs") {
        for resource in list(&request["resourceLogs"]) {
            let of = attributes(&resource["resource"]["attributes"]);
            let found = list(&resource["scopeLogs"]).iter().flat_map(|scope| list(&scope["logRecords"]));
            records.extend(found.map(|record| Record {
                body: record["body"]["stringValue"].as_str().unwrap_or_default().to_owned(),
                trace_id: record["traceId"].as_str().unwrap_or_default().to_owned(),
                attributes: attributes(&record["attributes"]),
                resource: of.clone(),
            }));
        }
    }
    records
}

/// The requests of this signal that have come, as OTLP has them in JSON.
#[track_caller]
fn requests(collector: &Collector, signal: &str) -> Vec<Value> {
    // Built first: meanwhile more may come.
    let program = program("otlp-reader");
    let ours = collector.requests().into_iter().filter(|request| request.target.ends_with(signal));
    let bodies: Vec<Vec<u8>> = ours.map(|request| request.body).collect();
    let mut process = Command::new(program).arg(signal).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the reader starts");
    let mut input = process.stdin.take().expect("its input is a pipe");
    let framed: Vec<u8> =
        bodies.iter().flat_map(|body| [&u32::try_from(body.len()).unwrap().to_be_bytes(), body.as_slice()].concat()).collect();
    let writer = std::thread::spawn(move || input.write_all(&framed));
    let output = process.wait_with_output().expect("the reader ends");
    writer.join().expect("a thread").expect("the reader reads");
    let mut lines: Vec<Value> = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(lines.len(), bodies.len(), "each is read");
    for line in &lines {
        assert_eq!(line["violations"], Value::Array(Vec::new()), "{line}");
    }
    lines.iter_mut().map(|line| line["request"].take()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn read(span: &Value, resource: &BTreeMap<String, String>) -> Span {
    let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let time = |name: &str| text(name).parse::<u64>().unwrap();
    Span {
        name: text("name"),
        trace_id: text("traceId"),
        span_id: text("spanId"),
        parent: text("parentSpanId"),
        attributes: attributes(&span["attributes"]),
        resource: resource.clone(),
        nanoseconds: time("endTimeUnixNano") - time("startTimeUnixNano"),
    }
}

fn attributes(attributes: &Value) -> BTreeMap<String, String> {
    let value = |value: &Value| {
        let text = value["stringValue"].as_str().or_else(|| value["intValue"].as_str());
        text.map_or_else(|| value.to_string(), str::to_owned)
    };
    list(attributes).iter().map(|one| (one["key"].as_str().unwrap_or_default().to_owned(), value(&one["value"]))).collect()
}

/// A program of the package. It is built once.
///
/// # Panics
///
/// Where it can't be built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let mut command = workspace::cargo();
        command.args(["build", "--release", "--locked", "--package", "tracegate-otlp", "--features", "reader,service"]);
        let status = command.stdout(std::io::stderr()).status().expect("cargo runs");
        assert!(status.success(), "the reader builds");
        workspace::target().join("release")
    });
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
