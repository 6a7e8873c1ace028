// SPDX-License-Identifier: Apache-2.0
//! How text for people looks where it goes: as wide as the terminal, in colour where that is wanted.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use console::Term;

/// How text may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` where nothing limits a line.
    pub width: Option<usize>,
    /// Whether colours are shown.
    pub colour: bool,
}

impl Look {
    /// As files and pipes have it: neither cut nor coloured.
    pub const PLAIN: Self = Self { width: None, colour: false };

    /// As standard output has it.
    #[must_use]
    pub fn of_stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self::PLAIN;
        }
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let width = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns)).filter(|&columns| columns > 0);
        Self { width, colour: wants_colour(&variable("NO_COLOR"), &variable("TERM")) }
    }

    /// `text` in a style, where there is colour.
    #[must_use]
    pub fn styled(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Bold => "1",
            Style::Alarm => "31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Text as it may go to a terminal: what it would obey, or not show, is escaped.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => printable.push(letter),
            letter => printable.extend(letter.escape_debug()),
        }
    }
    printable
}

/// Tells people on standard error, line by line, as it may go to a terminal.
pub fn complain(text: &str) {
    text.lines().for_each(|line| eprintln!("{}", printable(line)));
}

/// What a piece of text stands out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Nothing.
    Plain,
    /// A heading.
    Bold,
    /// Something to look at.
    Alarm,
}

/// [NO_COLOR](https://no-color.org) counts where it is set and not empty.
fn wants_colour(no_color: &OsStr, term: &OsStr) -> bool {
    no_color.is_empty() && term != "dumb"
}

/// How many columns a text takes.
pub(crate) fn length(text: &str) -> usize {
    text.chars().count()
}

/// A text in as many columns, cut with a `…` where it takes more.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("a \"b\" 'c' \\ é"), "a \"b\" 'c' \\ é");
        assert_eq!(printable("\u{1b}[31m\u{9b}1m\u{7f}\u{202e}\n"), "\\u{1b}[31m\\u{9b}1m\\u{7f}\\u{202e}\\n");
    }

    #[test]
    fn colour_is_for_those_who_want_it() {
        for (no_color, term, expected) in
            [("", "xterm", true), ("", "", true), ("1", "xterm", false), ("0", "xterm", false), ("", "dumb", false)]
        {
            assert_eq!(wants_colour(no_color.as_ref(), term.as_ref()), expected, "{no_color:?} {term:?}");
        }
        let colour = Look { colour: true, ..Look::PLAIN };
        assert_eq!(colour.styled(Style::Alarm, "3"), "\x1b[31m3\x1b[0m");
        assert_eq!((colour.styled(Style::Plain, "3"), Look::PLAIN.styled(Style::Alarm, "3")), ("3".to_owned(), "3".to_owned()));
    }
}
