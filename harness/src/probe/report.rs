// SPDX-License-Identifier: Apache-2.0
//! What a probe came to, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::row::Row;
use crate::grid::{Cell, Grid};
use crate::look::{Look, Style};

/// What a probe came to.
#[derive(Debug)]
pub struct Report {
    pub(super) target: String,
    pub(super) method: String,
    pub(super) requests: u64,
    pub(super) rows: Vec<Row>,
    /// The trace headers that reach the backend without being sent.
    pub(super) added: Vec<&'static str>,
    /// The probe's mark doesn't reach the backend.
    pub(super) unmarked: bool,
}

#[derive(Serialize)]
struct LastLine<'a> {
    summary: Summary<'a>,
}

#[derive(Serialize)]
struct Summary<'a> {
    target: &'a str,
    method: &'a str,
    requests: u64,
    findings: usize,
    lost: usize,
    added: &'a [&'static str],
    mark_removed: bool,
}

impl Report {
    /// How many rows are a reason for exit code 1: W3C Trace Context is lost, or something malformed reaches the backend.
    #[must_use]
    pub fn findings(&self) -> usize {
        self.rows.iter().filter(|row| row.finding).count()
    }

    fn lost(&self) -> usize {
        self.rows.iter().filter(|row| !row.survives && !row.finding).count()
    }

    /// A table, and what it comes to.
    ///
    /// # Errors
    ///
    /// None but those of `out`.
    pub fn write(&self, out: &mut impl fmt::Write, look: Look) -> fmt::Result {
        let mut grid = Grid::new(&["header", "sent", "at the backend", "outcome", "likely cause"]);
        for row in &self.rows {
            let style = match row {
                Row { finding: true, .. } => Style::Alarm,
                Row { survives: false, .. } => Style::Bold,
                _ => Style::Plain,
            };
            let text = |text: &str| Cell::text(text);
            let outcome = text(row.outcome).styled(style);
            grid.add(vec![text(row.header), text(&row.sent), text(&row.at_backend), outcome, text(row.cause.unwrap_or("-"))]);
        }
        grid.write(out, look)?;
        let added = if self.added.is_empty() { "none".to_owned() } else { self.added.join(", ") };
        writeln!(out, "\ntrace headers at the backend of a request without any: {added}")?;
        if self.unmarked {
            writeln!(out, "the probe's own mark doesn't reach the backend: only headers that the gateway knows do")?;
        }
        let (findings, lost) = (self.findings(), self.lost());
        let (style, told) = match findings {
            0 => (Style::Plain, "W3C Trace Context survives, and nothing malformed reaches the backend".to_owned()),
            1 => (Style::Alarm, "1 finding: W3C Trace Context is lost, or something malformed reaches the backend".to_owned()),
            _ => (Style::Alarm, format!("{findings} findings: W3C Trace Context is lost, or something malformed reaches the backend")),
        };
        let others = if lost > 0 { format!("; of the others, {lost} lost") } else { String::new() };
        writeln!(out, "{}{others}", look.styled(style, &told))?;
        writeln!(out, "\n{} {}, {} requests", self.method, self.target, self.requests)
    }

    /// One JSON object a line, the summary last.
    ///
    /// # Errors
    ///
    /// None that there is a reason for.
    pub fn json(&self) -> serde_json::Result<String> {
        let mut lines = String::new();
        for row in &self.rows {
            lines.push_str(&serde_json::to_string(row)?);
            lines.push('\n');
        }
        let &Self { requests, unmarked, .. } = self;
        let (target, method, added) = (&self.target, &self.method, &self.added);
        let summary = Summary { target, method, requests, findings: self.findings(), lost: self.lost(), added, mark_removed: unmarked };
        lines.push_str(&serde_json::to_string(&LastLine { summary })?);
        lines.push('\n');
        Ok(lines)
    }
}
