// SPDX-License-Identifier: Apache-2.0
//! One line of JSON in printable ASCII: whatever stands in it, it is one line and one object, for logs and for those who read them at a terminal.

use std::fmt::Write as _;

use crate::date::{DAY, Date};

/// A line that is being written.
#[derive(Debug)]
pub(super) struct Line(String);

impl Line {
    /// Begins with its kind.
    pub(super) fn new(kind: &str) -> Self {
        let mut line = Self::within();
        line.0.push_str("{\"audit\":");
        put(&mut line.0, kind);
        line
    }

    /// Begins within a line, which [takes](Self::append) it.
    pub(super) fn within() -> Self {
        Self(String::with_capacity(CAPACITY))
    }

    /// Goes on with what began within it.
    pub(super) fn append(&mut self, rest: &Self) {
        self.0.push_str(&rest.0);
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        put(&mut self.0, value);
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    pub(super) fn truth(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.push_str(if value { "true" } else { "false" });
    }

    /// An instant, in nanoseconds since 1970, as RFC 3339 has it, to the microsecond.
    pub(super) fn time(&mut self, name: &str, now: i64) {
        let (seconds, nanoseconds) = (now.div_euclid(SECOND), now.rem_euclid(SECOND));
        let Date { year, month, day } = Date::from_seconds(seconds);
        let second = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        self.name(name);
        let _ = write!(self.0, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z\"", nanoseconds / 1000);
    }

    /// Texts of one object, if there are any.
    pub(super) fn object(&mut self, name: &str, members: &[(String, String)]) {
        if members.is_empty() {
            return;
        }
        self.name(name);
        for (place, (name, value)) in members.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            put(&mut self.0, name);
            self.0.push(':');
            put(&mut self.0, value);
        }
        self.0.push('}');
    }

    /// What is written so far.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Ends it, after `last`.
    pub(super) fn end(mut self, last: &str) -> String {
        self.0.push_str(last);
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        self.0.push(',');
        put(&mut self.0, name);
        self.0.push(':');
    }
}

/// Writes a text as JSON (RFC 8259 section 7), all that isn't printable ASCII escaped.
fn put(line: &mut String, text: &str) {
    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => line.extend(['\\', letter]),
            ' '..='~' => line.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
        }
    }
    line.push('"');
}

/// What most records take.
const CAPACITY: usize = 768;
/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whatever_stands_in_it() {
        let mut line = Line::new("decision");
        for (name, text) in
            [("quotes", "\"},{\\\""), ("lines", "a\r\nb\u{2028}c"), ("terminal", "\x1b[31m\u{9b}2J\x7f"), ("letters", "čaj 🍵")]
        {
            line.text(name, text);
        }
        line.object("caller", &[("a\"b".to_owned(), "c\nd".to_owned()), ("e".to_owned(), String::new())]);
        line.object("none", &[]);
        line.number("most", u64::MAX);
        line.truth("so", true);
        let line = line.end("");
        assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["quotes"], "\"},{\\\"");
        assert_eq!(read["lines"], "a\r\nb\u{2028}c");
        assert_eq!(read["terminal"], "\x1b[31m\u{9b}2J\x7f");
        assert_eq!(read["letters"], "čaj 🍵");
        assert_eq!(read["caller"], serde_json::json!({"a\"b": "c\nd", "e": ""}));
        assert_eq!((&read["most"], &read["so"], read.get("none")), (&u64::MAX.into(), &true.into(), None));
    }

    #[test]
    fn instants_are_rfc_3339s() {
        for (now, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_796_169_599_123_456_789, "2026-12-01T23:59:59.123456Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775Z"),
        ] {
            let mut line = Line::new("a");
            line.time("time", now);
            assert_eq!(line.end(""), format!("{{\"audit\":\"a\",\"time\":\"{text}\"}}"), "{now}");
        }
    }
}
