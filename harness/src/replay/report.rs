// SPDX-License-Identifier: Apache-2.0
//! `--format text`: a table by API for people.

use std::collections::BTreeMap;
use std::fmt;

use super::{Agreement, Difference, Replayed, Totals, Undecidable};
use crate::recording::Files;

/// Collects what the table shows; its size depends on the number of APIs, not of exchanges.
#[derive(Debug, Default)]
pub struct Report {
    by_api: BTreeMap<String, Totals>,
    all: Totals,
    by_reason: BTreeMap<String, u64>,
    undecidable: BTreeMap<Undecidable, u64>,
    differences: Vec<String>,
    shadowed: BTreeMap<String, u64>,
}

impl Report {
    /// Counts one exchange.
    pub fn add(&mut self, replayed: &Replayed, files: &Files) {
        let recorded = &replayed.recorded;
        let api = recorded.apim.as_ref().and_then(|apim| apim.api.as_deref()).unwrap_or(&recorded.request.authority);
        // A recording's names could hold anything: escaped, they forge no row.
        let api: String = api.escape_debug().take(MAX_NAME).collect();
        let row = if self.by_api.contains_key(&api) || self.by_api.len() < MAX_ROWS { api } else { OTHERS.to_owned() };
        self.by_api.entry(row).or_default().add(replayed);
        self.all.add(replayed);
        if let Some(reason) = replayed.decided.reason() {
            *self.by_reason.entry(reason.to_owned()).or_default() += 1;
        }
        match &replayed.agreement {
            Agreement::Agrees => {}
            Agreement::Undecidable(undecidable) => *self.undecidable.entry(*undecidable).or_default() += 1,
            Agreement::Differs(Difference { field, expected, found }) if self.differences.len() < SHOWN_DIFFERENCES => {
                let place = recorded.place;
                let request = &recorded.request;
                self.differences.push(format!(
                    "{}:{}: {} {}: {field}: expected {expected}, found {found}",
                    files.name(place.file),
                    place.line,
                    request.method,
                    request.path.escape_debug()
                ));
            }
            Agreement::Differs(_) => {}
        }
    }

    /// Takes what rules in `mode: shadow` would have refused from the module's own metrics.
    pub fn set_shadowed(&mut self, metrics: BTreeMap<String, u64>) {
        let shadowed = metrics.into_iter().filter(|(_, count)| *count > 0);
        let reason = |(name, count): (String, u64)| Some((name.strip_prefix("tracegate.requests.shadowed.")?.to_owned(), count));
        self.shadowed = shadowed.filter_map(reason).collect();
    }

    /// The totals of all APIs.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.by_api.iter().map(|(api, totals)| row(api, totals)));
        rows.push(row("all", &self.all));
        write_table(formatter, &rows)?;
        write_counts(formatter, "refused", &self.by_reason)?;
        write_counts(formatter, "admitted, though rules in `mode: shadow` would have refused", &self.shadowed)?;
        if !self.undecidable.is_empty() {
            writeln!(formatter, "\nundecidable")?;
            for (undecidable, count) in &self.undecidable {
                writeln!(formatter, "  {count:>8}  {}: {}", undecidable.as_str(), undecidable.explanation())?;
            }
        }
        if !self.differences.is_empty() {
            writeln!(
                formatter,
                "\ndiffered (the first {} of {} in time; --format json has all)",
                self.differences.len(),
                self.all.differed
            )?;
            for difference in &self.differences {
                writeln!(formatter, "  {difference}")?;
            }
        }
        Ok(())
    }
}

fn write_counts(formatter: &mut fmt::Formatter<'_>, heading: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if !counts.is_empty() {
        writeln!(formatter, "\n{heading}")?;
    }
    counts.iter().try_for_each(|(reason, count)| writeln!(formatter, "  {count:>8}  {reason}"))
}

fn row(name: &str, totals: &Totals) -> [String; 8] {
    let &Totals { exchanges, admitted: _, continued, restarted, refused, agreed, differed, undecidable } = totals;
    let numbers = [exchanges, continued, restarted, refused, agreed, differed, undecidable].map(|number| number.to_string());
    let [exchanges, continued, restarted, refused, agreed, differed, undecidable] = numbers;
    [name.to_owned(), exchanges, continued, restarted, refused, agreed, differed, undecidable]
}

/// The first column to the left, the others to the right, a rule above the last row.
fn write_table(formatter: &mut fmt::Formatter<'_>, rows: &[[String; 8]]) -> fmt::Result {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let full: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    for (index, row) in rows.iter().enumerate() {
        if index + 1 == rows.len() || index == 1 {
            writeln!(formatter, "{}", "-".repeat(full))?;
        }
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => write!(formatter, "{cell:<width$}")?,
                _ => write!(formatter, "  {cell:>width$}")?,
            }
        }
        writeln!(formatter)?;
    }
    Ok(())
}

const HEADINGS: [&str; 8] = ["API", "exchanges", "continued", "restarted", "refused", "agreed", "differed", "undecidable"];
const MAX_ROWS: usize = 1000;
const MAX_NAME: usize = 60;
const OTHERS: &str = "(others)";
const SHOWN_DIFFERENCES: usize = 10;
