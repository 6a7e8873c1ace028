// SPDX-License-Identifier: Apache-2.0
//! What is shown of each exchange, if anything is: off the thread that the module runs on.

use super::edges::Executed;
use super::found::{Found, HEADING};
use super::{Agreement, Query, Replayed, write_exchange};
use crate::Redactor;
use crate::look::{Look, Style};
use crate::recording::Files;

/// How exchanges are shown.
#[derive(Clone, Copy, Debug)]
pub struct Renderer<'a> {
    /// The recordings' names.
    pub files: &'a Files,
    /// Replaces credentials.
    pub redactor: &'a Redactor,
    /// What is looked for: all of it must be touched.
    pub queries: &'a [Query],
    /// One JSON object a line, or text for people.
    pub json: bool,
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
        let found = self.queries.iter().all(|query| query.is_touched_by(&replayed.recorded));
        // Of two edges, only where they differ.
        let differs = replayed.against.is_none() || replayed.agreement != Agreement::Agrees;
        let text = if found && differs { self.text(&replayed) } else { Vec::new() };
        Shown { replayed, late, found, text }
    }

    fn text(&self, replayed: &Replayed) -> Vec<u8> {
        let place = replayed.recorded.place;
        let name = self.files.name(place.file);
        let searched = !self.queries.is_empty();
        if self.json {
            let mut line = Vec::new();
            // Memory takes whatever is written to it.
            let _ = write_exchange(&mut line, &name, replayed, self.redactor, searched);
            return line;
        }
        let mut text = String::new();
        if searched {
            let _ = Found::new(replayed).write(&mut text, replayed, &format!("{name}:{}", place.line), self.look);
        }
        text.into_bytes()
    }

    /// What stands above the exchanges.
    #[must_use]
    pub fn heading(&self) -> String {
        if self.json || self.queries.is_empty() {
            return String::new();
        }
        format!("{}\n", self.look.styled(Style::Bold, HEADING))
    }
}
