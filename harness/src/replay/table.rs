// SPDX-License-Identifier: Apache-2.0
//! A table for people: a name and numbers a row, the totals last.
//!
//! Where a terminal is too narrow, names are shortened first, then headings, both with `…`; numbers never are.

use std::fmt;

use super::columns::Columns;
use crate::look::{Look, Style, length, shortened};

/// Rows of a name and numbers.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    columns: &'static Columns,
    rows: Vec<(String, Vec<u64>)>,
}

/// How narrow a column may become, and how wide it is.
struct Column {
    least: usize,
    width: usize,
}

impl Table {
    pub(super) const fn new(name: &'static str, columns: &'static Columns) -> Self {
        Self { name, columns, rows: Vec::new() }
    }

    /// The row added last is the totals'.
    pub(super) fn add(&mut self, name: &str, numbers: Vec<u64>) {
        self.rows.push((name.to_owned(), numbers));
    }

    pub(super) fn write(&self, out: &mut impl fmt::Write, look: Look) -> fmt::Result {
        let (name, columns) = self.fit(look.width);
        let heading = columns.iter().zip(self.columns.headings).map(|(column, heading)| {
            let width = column.width;
            format!("  {:>width$}", shortened(heading, width))
        });
        let heading = format!("{:<name$}{}", shortened(self.name, name), heading.collect::<String>());
        writeln!(out, "{}", look.styled(Style::Bold, &heading))?;
        let rule = "-".repeat(heading.chars().count());
        writeln!(out, "{rule}")?;
        for (index, (row, numbers)) in self.rows.iter().enumerate() {
            let is_total = index + 1 == self.rows.len();
            if is_total && index > 0 {
                writeln!(out, "{rule}")?;
            }
            let style = if is_total { Style::Bold } else { Style::Plain };
            write!(out, "{}", look.styled(style, &format!("{:<name$}", shortened(row, name))))?;
            for (index, (column, &number)) in columns.iter().zip(numbers).enumerate() {
                let style = if index == self.columns.alarm && number > 0 { Style::Alarm } else { style };
                let width = column.width;
                write!(out, "  {}", look.styled(style, &format!("{number:>width$}")))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    /// The widths of the names and of the other columns.
    fn fit(&self, limit: Option<usize>) -> (usize, Vec<Column>) {
        let mut name = self.rows.iter().map(|(name, _)| length(name)).chain([length(self.name)]).max().unwrap_or(0);
        let mut columns: Vec<Column> =
            self.columns.headings.iter().enumerate().map(|(index, heading)| self.column(index, heading)).collect();
        let full = |name: usize, columns: &[Column]| name + columns.iter().map(|column| 2 + column.width).sum::<usize>();
        let excess = |name, columns: &[Column]| limit.map_or(0, |limit| full(name, columns).saturating_sub(limit));
        let shorten = |name: usize, least: usize, excess: usize| name.saturating_sub(excess).max(least.min(name));
        name = shorten(name, READABLE_NAME, excess(name, &columns));
        while excess(name, &columns) > 0 {
            let Some(widest) = columns.iter_mut().filter(|column| column.width > column.least).max_by_key(|column| column.width) else {
                break;
            };
            widest.width -= 1;
        }
        name = shorten(name, SHORTEST, excess(name, &columns));
        (name, columns)
    }

    fn column(&self, index: usize, heading: &str) -> Column {
        let numbers = self.rows.iter().filter_map(|(_, numbers)| numbers.get(index)).map(|number| length(&number.to_string()));
        let numbers = numbers.max().unwrap_or(0);
        Column { least: numbers.max(SHORTEST).min(numbers.max(length(heading))), width: numbers.max(length(heading)) }
    }
}

/// Names are shortened to this before headings are.
const READABLE_NAME: usize = 16;
/// Names and headings are never shorter.
const SHORTEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns { headings: &["exchanges", "differed", "undecidable"], alarm: 1, numbers: |_| Vec::new(), parts: &[] };

    fn shown(width: Option<usize>, colour: bool) -> String {
        let mut table = Table::new("API", &COLUMNS);
        table.add("api.contoso.example", vec![50, 0, 0]);
        table.add("weather", vec![1_000_000, 3, 12]);
        table.add("all", vec![1_000_050, 3, 12]);
        let mut text = String::new();
        table.write(&mut text, Look { width, colour }).unwrap();
        text
    }

    #[test]
    fn a_table_is_as_wide_as_what_it_shows() {
        let expected = "\
API                  exchanges  differed  undecidable
-----------------------------------------------------
api.contoso.example         50         0            0
weather                1000000         3           12
-----------------------------------------------------
all                    1000050         3           12
";
        assert_eq!(shown(None, false), expected);
        assert_eq!(shown(Some(53), false), expected, "it fits just so");
        assert_eq!(shown(Some(200), false), expected);
    }

    #[test]
    fn a_narrow_terminal_shortens_names_then_headings_never_numbers() {
        let expected = "\
API               exchanges  differed  undecidable
--------------------------------------------------
api.contoso.exa…         50         0            0
weather             1000000         3           12
--------------------------------------------------
all                 1000050         3           12
";
        assert_eq!(shown(Some(50), false), expected);
        let expected = "\
API               exchan…  diffe…  undec…
-----------------------------------------
api.contoso.exa…       50       0       0
weather           1000000       3      12
-----------------------------------------
all               1000050       3      12
";
        assert_eq!(shown(Some(41), false), expected);
        let expected = "\
API   exchan…  dif…  und…
-------------------------
api…       50     0     0
wea…  1000000     3    12
-------------------------
all   1000050     3    12
";
        assert_eq!(shown(Some(25), false), expected);
        assert_eq!(shown(Some(1), false), expected, "no narrower: numbers are never cut");
    }

    #[test]
    fn every_width_is_kept_and_every_number_whole() {
        for width in 25..60 {
            let text = shown(Some(width), false);
            assert!(text.lines().all(|line| length(line) <= width), "{width}\n{text}");
            let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            assert_eq!(numbers, [50, 0, 0, 1_000_000, 3, 12, 1_000_050, 3, 12], "{width}\n{text}");
        }
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let text = shown(Some(50), true);
        assert!(text.starts_with("\x1b[1mAPI ") && text.contains("\x1b[31m       3\x1b[0m"), "{text:?}");
        assert!(!text.contains("\x1b[31m       0"), "{text:?}");
        assert_eq!(console::strip_ansi_codes(&text), shown(Some(50), false));
    }
}
