// SPDX-License-Identifier: Apache-2.0
//! What is shown of a replay: before, of each exchange (off the thread that the module runs on), and at the end.

use std::fmt;
use std::io;

use clap::ValueEnum;

use super::edges::Executed;
use super::found::{Found, HEADING};
use super::{Agreement, Query, Replayed, Report, Summary, html, json, text};
use crate::Redactor;
use crate::look::{Look, Style};
use crate::recording::Files;

/// What results look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    Text,
    /// One JSON object a line
    Json,
    /// A page for people, with pictures
    Html,
}

/// How a replay is shown.
#[derive(Clone, Copy, Debug)]
pub struct Renderer<'a> {
    /// The recordings' names.
    pub files: &'a Files,
    /// Replaces credentials.
    pub redactor: &'a Redactor,
    /// What is looked for: all of it must be touched.
    pub queries: &'a [Query],
    /// What it looks like.
    pub format: Format,
    /// How text may look.
    pub look: Look,
}

/// An exchange and what is shown of it.
#[derive(Debug)]
pub struct Shown {
    /// The exchange.
    pub replayed: Replayed,
    /// It stood further out of order than the window.
    pub late: bool,
    /// It touched what was looked for, or nothing was.
    pub found: bool,
    /// What is shown of it.
    pub text: Vec<u8>,
}

impl Renderer<'_> {
    /// Compares and renders.
    #[must_use]
    pub fn show(&self, executed: Executed) -> Shown {
        let (replayed, late) = executed.compare(self.redactor);
        let found = self.queries.iter().all(|query| query.is_touched_by(&replayed.recorded, self.redactor));
        // Of two edges, only where they differ.
        let differs = replayed.against.is_none() || replayed.agreement != Agreement::Agrees;
        let text = if found && differs { self.text(&replayed) } else { Vec::new() };
        Shown { replayed, late, found, text }
    }

    /// Tells an exchange anew whose difference the algorithms of two limits explain.
    pub(super) fn explain(&self, shown: &mut Shown) {
        shown.replayed.explain();
        if !shown.text.is_empty() {
            shown.text = self.text(&shown.replayed);
        }
    }

    /// Memory takes whatever is written to it: what can fail here can't.
    fn text(&self, replayed: &Replayed) -> Vec<u8> {
        let place = replayed.recorded.place;
        let name = self.files.name(place.file);
        let place = self.files.place(place.file, place.line);
        let searched = !self.queries.is_empty();
        let mut text = String::new();
        match self.format {
            Format::Json => {
                let mut line = Vec::new();
                let _ = json::write_exchange(&mut line, &name, replayed, self.redactor, searched);
                return line;
            }
            Format::Text if searched => drop(Found::new(replayed, self.redactor).write(&mut text, replayed, &place, self.look)),
            Format::Html if searched => drop(html::write_found(&mut text, replayed, self.redactor, &place)),
            Format::Text | Format::Html => {}
        }
        text.into_bytes()
    }

    /// What stands before the exchanges.
    #[must_use]
    pub fn begin(&self) -> String {
        let searched = !self.queries.is_empty();
        match self.format {
            Format::Html => html::begin(searched),
            Format::Text if searched => format!("{}\n", self.look.styled(Style::Bold, HEADING)),
            Format::Text | Format::Json => String::new(),
        }
    }

    /// What stands behind the exchanges.
    ///
    /// # Errors
    ///
    /// When `out` can't be written.
    pub fn end(&self, out: &mut impl io::Write, report: &Report, summary: &Summary<'_>) -> io::Result<()> {
        let mut shown = String::new();
        let written: fmt::Result = match self.format {
            Format::Json => return json::write_summary(out, report, summary),
            Format::Text => text::write_end(&mut shown, report, summary, self.look),
            Format::Html => html::write_end(&mut shown, report, summary),
        };
        written.map_err(io::Error::other)?;
        out.write_all(shown.as_bytes())
    }
}
