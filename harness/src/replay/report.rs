// SPDX-License-Identifier: Apache-2.0
//! `--format text`: for people, a table by API, hour or reason, and what stands out. Where two edges are compared, only
//! rows in which they differ.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;

use super::table::Table;
use super::{Agreement, Decided, Difference, Replayed, Totals, Undecidable};
use crate::look::{Look, Style};
use crate::recording::Files;

/// What the rows of the table are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// APIs; requests that no API matched, by host
    #[default]
    Api,
    /// Hours, UTC
    Hour,
    /// Reasons of refusal
    Reason,
}

/// Collects what the table shows; its size depends on the number of its rows, not of exchanges.
#[derive(Debug, Default)]
pub struct Report {
    by: By,
    /// What the edge is compared with instead of the record.
    against: Option<String>,
    rows: BTreeMap<String, Totals>,
    all: Totals,
    by_reason: BTreeMap<String, u64>,
    undecidable: BTreeMap<Undecidable, u64>,
    differences: Vec<String>,
    shadowed: BTreeMap<String, u64>,
}

impl By {
    const fn heading(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Hour => "hour (UTC)",
            Self::Reason => "reason",
        }
    }

    /// The row that an exchange belongs to.
    fn row(self, replayed: &Replayed) -> String {
        let recorded = &replayed.recorded;
        let name = match self {
            Self::Api => recorded.apim.as_ref().and_then(|apim| apim.api.as_deref()).unwrap_or(&recorded.request.authority),
            Self::Hour => return recorded.time.strftime("%Y-%m-%d %H:00").to_string(),
            Self::Reason => {
                let before = || replayed.against.as_ref().and_then(Decided::reason);
                replayed.decided.reason().or_else(before).unwrap_or(ADMITTED)
            }
        };
        // A recording's names could hold anything: escaped, they forge no row.
        name.escape_debug().take(MAX_NAME).collect()
    }
}

impl Report {
    /// A report with such rows, of a comparison with the record or `against` another edge, which it names.
    #[must_use]
    pub fn new(by: By, against: Option<String>) -> Self {
        Self { by, against, ..Self::default() }
    }

    /// Counts one exchange.
    pub fn add(&mut self, replayed: &Replayed, files: &Files) {
        let recorded = &replayed.recorded;
        let row = self.by.row(replayed);
        let row = if self.rows.contains_key(&row) || self.rows.len() < MAX_ROWS { row } else { OTHERS.to_owned() };
        self.rows.entry(row).or_default().add(replayed);
        self.all.add(replayed);
        if let Some(reason) = replayed.decided.reason() {
            *self.by_reason.entry(reason.to_owned()).or_default() += 1;
        }
        match &replayed.agreement {
            Agreement::Agrees => {}
            Agreement::Undecidable(undecidable) => *self.undecidable.entry(*undecidable).or_default() += 1,
            &Agreement::Differs(Difference { field, ref expected, ref found }) if self.differences.len() < SHOWN_DIFFERENCES => {
                let place = recorded.place;
                let request = &recorded.request;
                let what = if field == "decision" { told(replayed) } else { None };
                let what = what.unwrap_or_else(|| format!("{field}: expected {expected}, found {found}"));
                self.differences.push(format!(
                    "{}:{}: {} {}: {what}",
                    files.name(place.file),
                    place.line,
                    request.method,
                    request.path.escape_debug()
                ));
            }
            Agreement::Differs(_) => {}
        }
    }

    /// How many requests rules in shadow mode would have refused.
    #[must_use]
    pub fn shadowed(&self) -> u64 {
        self.shadowed.values().sum()
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

    fn table<const N: usize>(
        &self,
        out: &mut impl fmt::Write,
        look: Look,
        headings: [&'static str; N],
        alarm: usize,
        numbers: fn(&Totals) -> [u64; N],
    ) -> fmt::Result {
        let mut table = Table::new(self.by.heading(), headings, alarm);
        for (name, totals) in self.rows.iter().filter(|(_, totals)| self.against.is_none() || totals.differed > 0) {
            table.add(name, numbers(totals));
        }
        table.add("all", numbers(&self.all));
        table.write(out, look)
    }

    /// The report as it may look.
    ///
    /// # Errors
    ///
    /// When `out` can't be written.
    pub fn write(&self, out: &mut impl fmt::Write, look: Look) -> fmt::Result {
        match self.against {
            None => self.table(out, look, HEADINGS, DIFFERED, numbers)?,
            Some(_) => self.table(out, look, HEADINGS_AGAINST, 1, numbers_against)?,
        }
        // By reason, the table says it; against another edge, only differences count.
        if self.against.is_none() {
            if self.by != By::Reason {
                write_counts(out, look, "refused", &self.by_reason)?;
            }
            write_counts(out, look, "admitted, though rules in `mode: shadow` would have refused", &self.shadowed)?;
        }
        if !self.undecidable.is_empty() {
            writeln!(out, "\n{}", look.styled(Style::Bold, "undecidable"))?;
            for (undecidable, count) in &self.undecidable {
                writeln!(out, "  {count:>8}  {}: {}", undecidable.as_str(), undecidable.explanation())?;
            }
        }
        if !self.differences.is_empty() {
            let (shown, all) = (self.differences.len(), self.all.differed);
            let from = self.against.as_ref().map_or_else(String::new, |against| format!(" from {against}"));
            let heading = format!("differed{from} (the first {shown} of {all} in time; --format json has all)");
            writeln!(out, "\n{}", look.styled(Style::Alarm, &heading))?;
            for difference in &self.differences {
                writeln!(out, "  {difference}")?;
            }
        }
        Ok(())
    }
}

/// A changed decision, with the reasons.
fn told(replayed: &Replayed) -> Option<String> {
    let shown =
        |decided: &Decided| decided.reason().map_or_else(|| decided.name().to_owned(), |reason| format!("{} ({reason})", decided.name()));
    Some(format!("expected {}, found {}", shown(replayed.against.as_ref()?), shown(&replayed.decided)))
}

fn write_counts(out: &mut impl fmt::Write, look: Look, heading: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if !counts.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Bold, heading))?;
    }
    counts.iter().try_for_each(|(reason, count)| writeln!(out, "  {count:>8}  {reason}"))
}

fn numbers(totals: &Totals) -> [u64; 7] {
    let &Totals { exchanges, continued, restarted, refused, agreed, differed, undecidable, .. } = totals;
    [exchanges, continued, restarted, refused, agreed, differed, undecidable]
}

fn numbers_against(totals: &Totals) -> [u64; 5] {
    let &Totals { exchanges, differed, newly_refused, newly_admitted, .. } = totals;
    [exchanges, differed, newly_refused, newly_admitted, differed.saturating_sub(newly_refused).saturating_sub(newly_admitted)]
}

const HEADINGS: [&str; 7] = ["exchanges", "continued", "restarted", "refused", "agreed", "differed", "undecidable"];
/// Where that column stands.
const DIFFERED: usize = 5;
const HEADINGS_AGAINST: [&str; 5] = ["exchanges", "differed", "newly refused", "newly admitted", "otherwise"];
const MAX_ROWS: usize = 1000;
const MAX_NAME: usize = 60;
const OTHERS: &str = "(others)";
const ADMITTED: &str = "(admitted)";
const SHOWN_DIFFERENCES: usize = 10;
