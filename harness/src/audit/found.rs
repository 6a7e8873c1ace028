// SPDX-License-Identifier: Apache-2.0
//! Records among a log's other lines: behind a gateway's prefix, or as texts within JSON, as container runtimes and collectors write them.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, stdin};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Context as _, Result};
use crate::replay::Progress;

/// What may be a record.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// From its first brace to the line's end.
    pub(super) text: String,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: Arc<str>,
    line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Reads a log line by line.
pub(super) struct Reader {
    lines: Box<dyn BufRead>,
    file: Arc<str>,
    line: u64,
    /// Of the last line, what hasn't been handed out.
    texts: VecDeque<String>,
}

impl Reader {
    /// Opens a log; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file: Arc<str> = path.display().to_string().into();
        let lines: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(BufReader::new(stdin()))
        } else {
            Box::new(BufReader::new(File::open(path).context(|| format!("can't read {file}"))?))
        };
        Ok(Self { lines, file, line: 0, texts: VecDeque::new() })
    }

    /// The next that may be a record.
    pub(super) fn next(&mut self, progress: &mut Progress) -> Result<Option<Found>> {
        loop {
            if let Some(text) = self.texts.pop_front() {
                return Ok(Some(Found { place: Place { file: Arc::clone(&self.file), line: self.line }, text }));
            }
            let mut line = Vec::new();
            let read = self.lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            let read = read.context(|| format!("can't read {}", self.file))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            progress.advance(read);
            take(&String::from_utf8_lossy(&line), &mut self.texts);
        }
    }
}

/// Takes the records out of a line.
fn take(line: &str, texts: &mut VecDeque<String>) {
    let line = line.trim();
    if !line.starts_with(BEGIN)
        && line.contains("audit")
        && line.starts_with('{')
        && let Ok(value) = serde_json::from_str(line)
    {
        take_from(&value, texts);
    } else if let Some(begin) = line.find(BEGIN) {
        texts.extend(line.get(begin..).map(str::to_owned));
    }
}

/// Takes them out of texts within JSON. Its depth is bounded by its reader.
fn take_from(value: &Value, texts: &mut VecDeque<String>) {
    match value {
        Value::String(text) => text.lines().for_each(|line| {
            if let Some(begin) = line.find(BEGIN) {
                texts.extend(line.get(begin..).map(|text| text.trim_end().to_owned()));
            }
        }),
        Value::Array(items) => items.iter().for_each(|item| take_from(item, texts)),
        Value::Object(members) => members.values().for_each(|member| take_from(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// How each record begins.
const BEGIN: &str = "{\"audit\":\"";
/// The longest line; what is longer counts as several. A collector's file holds a whole batch in one.
const MAX_LINE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_behind_prefixes_and_within_json() {
        let record = r#"{"audit":"decision","reason":"a \"b\"","mac":"00"}"#;
        let quoted = serde_json::to_string(&format!("[info][wasm] wasm log edge: {record}\n")).unwrap();
        let otlp = |body: &str| format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":{body}}}}}]}}]}}]}}"#);
        for (line, found) in [
            (record.to_owned(), 1),
            (format!("  {record}\r\n"), 1),
            (format!("[2026-11-30 08:00:00.123][22][info][wasm] [source/a.cc:1] wasm log edge: {record}\n"), 1),
            (format!(r#"{{"log":{quoted},"stream":"stderr"}}"#), 1),
            (otlp(&quoted), 1),
            ("[info] tracegate 0.1.0: policy loaded".to_owned(), 0),
            (r#"{"message":"an audit"}"#.to_owned(), 0),
        ] {
            let mut texts = VecDeque::new();
            take(&line, &mut texts);
            assert_eq!(texts, vec![record; found], "{line}");
        }
    }
}
