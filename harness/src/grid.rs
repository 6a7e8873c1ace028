// SPDX-License-Identifier: Apache-2.0
//! A table of words for people, the last column of which may be a sentence.
//!
//! Where a terminal is too narrow, sentences go on in the next line; if that isn't enough, words are shortened with `…`.

use std::fmt;

use crate::look::{Look, Style, length, shortened};

/// Rows of words and numbers.
#[derive(Debug)]
pub(crate) struct Grid {
    headings: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

/// A word, a number or a sentence.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    is_number: bool,
}

impl Cell {
    /// A word, or a sentence.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::Plain, is_number: false }
    }

    /// A number.
    pub(crate) fn number(number: u64) -> Self {
        Self::figure(number.to_string())
    }

    /// A number that is told in another way, as with a unit: it stands as numbers do and is never cut.
    pub(crate) fn figure(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::Plain, is_number: true }
    }

    /// The same, in a style.
    pub(crate) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

impl Grid {
    pub(crate) const fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row, of as many cells as there are headings.
    pub(crate) fn add(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    pub(crate) fn write(&self, out: &mut impl fmt::Write, look: Look) -> fmt::Result {
        let widths = self.fit(look.width);
        let headings: Vec<Cell> = (0..).zip(self.headings).map(|(index, heading)| self.heading(index, heading)).collect();
        write_row(out, look, &headings, &widths)?;
        writeln!(out, "{}", "-".repeat(full(&widths)))?;
        self.rows.iter().try_for_each(|row| write_row(out, look, row, &widths))
    }

    /// A heading stands as what is below it does.
    fn heading(&self, index: usize, heading: &str) -> Cell {
        let is_number = self.rows.first().and_then(|row| row.get(index)).is_some_and(|cell| cell.is_number);
        Cell { is_number, ..Cell::text(heading).styled(Style::Bold) }
    }

    /// How wide each column is.
    fn fit(&self, limit: Option<usize>) -> Vec<usize> {
        let width = |(index, heading): (usize, &&str)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| length(&cell.text));
            cells.chain([length(heading)]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = self.headings.iter().enumerate().map(width).collect();
        let excess = |widths: &[usize]| limit.map_or(0, |limit| full(widths).saturating_sub(limit));
        let over = excess(&widths);
        if let Some(last) = widths.last_mut() {
            *last = last.saturating_sub(over).max(READABLE.min(*last));
        }
        let last = widths.len().saturating_sub(1);
        let is_word = |index: usize| self.rows.iter().all(|row| row.get(index).is_some_and(|cell| !cell.is_number));
        while excess(&widths) > 0 {
            let words = widths.iter_mut().enumerate().filter(|(index, width)| *index < last && is_word(*index) && **width > SHORTEST);
            let Some((_, widest)) = words.max_by_key(|(_, width)| **width) else { break };
            *widest -= 1;
        }
        widths
    }
}

/// One row, on as many lines as its last cell needs.
fn write_row(out: &mut impl fmt::Write, look: Look, row: &[Cell], widths: &[usize]) -> fmt::Result {
    let Some((last, words)) = row.split_last() else { return Ok(()) };
    let (mut begin, mut line) = (0, String::new());
    for (cell, &width) in words.iter().zip(widths) {
        let text = shortened(&cell.text, width);
        let text = if cell.is_number { format!("{text:>width$}") } else { format!("{text:<width$}") };
        line += &format!("{}  ", look.styled(cell.style, &text));
        begin += width + 2;
    }
    if last.is_number {
        let width = widths.last().copied().unwrap_or(0);
        return writeln!(out, "{line}{}", look.styled(last.style, &format!("{:>width$}", last.text)));
    }
    if last.text.is_empty() {
        return writeln!(out, "{}", line.trim_end_matches(' '));
    }
    for (index, sentence) in wrapped(&last.text, widths.last().copied().unwrap_or(0)).iter().enumerate() {
        let start = if index == 0 { line.clone() } else { " ".repeat(begin) };
        writeln!(out, "{start}{}", look.styled(last.style, sentence))?;
    }
    Ok(())
}

fn full(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

/// Lines of words; there is one at least.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if length(line) + 1 + length(word) <= width => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A sentence is never narrower.
const READABLE: usize = 32;
/// Nor is a word.
const SHORTEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<usize>, colour: bool) -> String {
        let mut grid = Grid::new(&["API", "header", "exchanges", "likely cause"]);
        let alarm = || Cell::text("traceparent").styled(Style::Alarm);
        grid.add(vec![Cell::text("orders-of-yesterday"), alarm(), Cell::number(12), Cell::text("a policy deletes it, or nobody logs it")]);
        grid.add(vec![Cell::text("files"), Cell::text("b3"), Cell::number(3), Cell::text("-")]);
        let mut text = String::new();
        grid.write(&mut text, Look { width, colour }).unwrap();
        text
    }

    #[test]
    fn columns_are_as_wide_as_what_they_show() {
        let expected = "\
API                  header       exchanges  likely cause
-----------------------------------------------------------------------------------
orders-of-yesterday  traceparent         12  a policy deletes it, or nobody logs it
files                b3                   3  -
";
        assert_eq!(shown(None, false), expected);
        assert_eq!(shown(Some(120), false), expected);
        assert!(shown(None, true).contains("\x1b[31mtraceparent\x1b[0m"));
    }

    #[test]
    fn a_narrow_terminal_wraps_sentences_before_it_shortens_words() {
        let expected = "\
API                  header       exchanges  likely cause
-----------------------------------------------------------------------------
orders-of-yesterday  traceparent         12  a policy deletes it, or nobody
                                             logs it
files                b3                   3  -
";
        assert_eq!(shown(Some(77), false), expected);
        let expected = "\
API       header    exchanges  likely cause
---------------------------------------------------------------
orders-…  tracepa…         12  a policy deletes it, or nobody
                               logs it
files     b3                3  -
";
        assert_eq!(shown(Some(63), false), expected);
        assert_eq!(shown(Some(20), false), expected, "nothing is narrower than what can be read");
    }

    #[test]
    fn no_line_ends_with_spaces() {
        let mut grid = Grid::new(&["route", "requests", "callers"]);
        grid.add(vec![Cell::text("orders"), Cell::text("method GET"), Cell::text("customers")]);
        grid.add(vec![Cell::text(""), Cell::text("path /a"), Cell::text("")]);
        let mut text = String::new();
        grid.write(&mut text, Look::PLAIN).unwrap();
        assert_eq!(text.lines().last(), Some("        path /a"));
    }

    #[test]
    fn figures_stand_as_numbers_do_even_in_the_last_column() {
        let mut grid = Grid::new(&["setting", "spans", "a day"]);
        grid.add(vec![Cell::text("all"), Cell::number(1_000_000), Cell::figure("1.2 MB")]);
        grid.add(vec![Cell::text("few"), Cell::number(7), Cell::figure("919.4 kB")]);
        let mut text = String::new();
        grid.write(&mut text, Look { width: Some(10), colour: false }).unwrap();
        let expected = "\
setting    spans     a day
--------------------------
all      1000000    1.2 MB
few            7  919.4 kB
";
        assert_eq!(text, expected);
    }
}
