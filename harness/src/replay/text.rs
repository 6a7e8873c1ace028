// SPDX-License-Identifier: Apache-2.0
//! `--format text`: for people at a terminal, a table and what stands out.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::columns::Columns;
use super::export::{self, Export};
use super::limits::{self, Limits};
use super::minted::{self, Minted};
use super::report::{By, Report, Rows};
use super::sampling::Sampling;
use super::spans::human;
use super::summary::Summary;
use super::survival::Survivals;
use super::table::Table;
use super::totals::Totals;
use super::trust::{self, Trust};
use super::what_if::{self, Section};
use crate::grid::{Cell, Grid};
use crate::look::{Look, Style, printable};

/// Writes what stands behind the exchanges: the report, or how many were found; then what it was made with.
///
/// # Errors
///
/// None but those of `out`.
pub(super) fn write_end(out: &mut impl Write, report: &Report, summary: &Summary<'_>, look: Look) -> fmt::Result {
    match summary.searched {
        None => write_report(out, report, look)?,
        Some(searched) => writeln!(out, "\n{}", found(report, searched))?,
    }
    writeln!(out, "\n{summary}")
}

fn write_report(out: &mut impl Write, report: &Report, look: Look) -> fmt::Result {
    let by_reason = report.tables.iter().any(|table| table.by == By::Reason);
    report.tables.iter().try_for_each(|rows| write_table(out, report, rows, look))?;
    if let Some(trust) = report.trust.as_ref().filter(|_| report.against.is_none()) {
        write_trust(out, trust, look)?;
    }
    if let Some(minted) = &report.minted {
        write_minted(out, minted, look)?;
    }
    if let Some(sampling) = &report.sampling {
        write_sampling(out, sampling, look)?;
    }
    if let Some(export) = &report.export {
        write_export(out, export, look)?;
    }
    if let Some(limits) = &report.limits {
        write_limits(out, limits, look)?;
    }
    if let Some(what_if) = &report.what_if {
        what_if.sections(SHOWN_KEYS).iter().try_for_each(|section| write_what_if(out, section, look))?;
    }
    if report.against.is_none() && report.with_headers == 0 {
        writeln!(out, "\nno record holds a header of its request: which traces would go on can't be told")?;
    }
    // Against another edge, only differences count.
    if report.against.is_none() && !by_reason {
        write_counts(out, look, "refused", &report.by_reason)?;
    }
    write_counts(out, look, SHADOWED, &report.shadowed)?;
    write_counts(out, look, STRANGERS, &report.strangers)?;
    if !report.undecidable.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Bold, "undecidable"))?;
        for (undecidable, count) in &report.undecidable {
            writeln!(out, "  {count:>8}  {}: {}", undecidable.as_str(), undecidable.explanation())?;
        }
    }
    write_counts(out, look, KINDS, &report.kinds)?;
    if !report.differences.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Alarm, &differed(report, SHOWN_DIFFERENCES)))?;
        report.differences.iter().take(SHOWN_DIFFERENCES).try_for_each(|difference| writeln!(out, "  {difference}"))?;
    }
    report.survivals().map_or(Ok(()), |survivals| write_survivals(out, survivals, look))
}

fn write_sampling(out: &mut impl Write, sampling: &Sampling, look: Look) -> fmt::Result {
    writeln!(out, "\n{}", look.styled(Style::Bold, &sampling.heading()))?;
    let mut grid = Grid::new(SAMPLING);
    for row in sampling.rows() {
        let by = row.by;
        let numbers = [row.recorded, by.by_parent, by.by_probability, by.refused, by.errors];
        let day = a_day(row.spans_per_day, row.bytes_per_day);
        grid.add([Cell::text(row.name())].into_iter().chain(numbers.map(Cell::number)).chain(day).collect());
    }
    grid.write(out, look)?;
    sampling.remark().map_or(Ok(()), |remark| writeln!(out, "{remark}"))?;
    sampling.doubt().map_or(Ok(()), |doubt| writeln!(out, "{}", look.styled(Style::Alarm, &doubt)))
}

fn write_export(out: &mut impl Write, export: &Export, look: Look) -> fmt::Result {
    writeln!(out, "\n{}", look.styled(Style::Bold, &export.heading()))?;
    let mut grid = Grid::new(export::HEADINGS);
    for row in export.rows() {
        let figures = [Cell::number(row.spans), Cell::number(row.batches), Cell::figure(human(row.bytes))];
        let day = a_day(row.spans_per_day, row.bytes_per_day);
        grid.add([Cell::text(row.collector)].into_iter().chain(figures).chain(day).collect());
    }
    grid.write(out, look)
}

/// Spans and bytes a day; `-` where nothing can be said of one.
fn a_day(spans: Option<u64>, bytes: Option<u64>) -> [Cell; 2] {
    [spans.map(|spans| spans.to_string()), bytes.map(human)].map(|told| Cell::figure(told.unwrap_or_else(|| "-".to_owned())))
}

fn write_limits(out: &mut impl Write, limits: &Limits, look: Look) -> fmt::Result {
    writeln!(out, "\n{}", look.styled(Style::Bold, &limits.heading()))?;
    let rows = limits.rows(SHOWN_WINDOWS);
    if rows.is_empty() {
        return Ok(());
    }
    let mut grid = Grid::new(limits::HEADINGS);
    for row in rows {
        let [exchanges, then, now, both, explained, unexplained] = row.numbers.map(Cell::number);
        let alarm = if row.numbers.last().is_some_and(|unexplained| *unexplained > 0) { Style::Alarm } else { Style::Plain };
        let words = [Cell::text(row.limit), Cell::text(row.window)];
        grid.add(words.into_iter().chain([exchanges, then, now, both, explained, unexplained.styled(alarm)]).collect());
    }
    grid.write(out, look)?;
    limits.more(SHOWN_WINDOWS).map_or(Ok(()), |more| writeln!(out, "{more}"))
}

fn write_what_if(out: &mut impl Write, section: &Section<'_>, look: Look) -> fmt::Result {
    writeln!(out, "\n{}", look.styled(Style::Bold, &section.heading))?;
    if section.rows.is_empty() {
        return Ok(());
    }
    let mut grid = Grid::new(what_if::HEADINGS);
    for (key, calls) in &section.rows {
        let numbers = [calls.exchanges, calls.refused, calls.refused_now];
        grid.add([Cell::text(*key)].into_iter().chain(numbers.map(Cell::number)).collect());
    }
    grid.write(out, look)?;
    section.more.as_ref().map_or(Ok(()), |more| writeln!(out, "{more}"))
}

fn write_survivals(out: &mut impl Write, survivals: &Survivals, look: Look) -> fmt::Result {
    writeln!(out, "\n{}", look.styled(Style::Bold, &survivals.heading()))?;
    let mut grid = Grid::new(SURVIVAL);
    for lost in survivals.lost().take(SHOWN_LOST) {
        grid.add(vec![
            Cell::text(lost.api),
            Cell::text(lost.operation.unwrap_or("-")),
            Cell::text(lost.header),
            Cell::text(lost.outcome).styled(Style::Alarm),
            Cell::number(lost.exchanges),
            Cell::text(lost.explanation),
        ]);
    }
    if survivals.lost().next().is_some() {
        grid.write(out, look)?;
    }
    survivals.more(SHOWN_LOST).map_or(Ok(()), |more| writeln!(out, "{more}"))?;
    if survivals.unsaid().next().is_some() {
        writeln!(out, "\n{}", look.styled(Style::Bold, UNSAID))?;
    }
    survivals.unsaid().try_for_each(|(count, code, explanation)| writeln!(out, "  {count:>8}  {code}: {explanation}"))
}

fn write_table(out: &mut impl Write, report: &Report, rows: &Rows, look: Look) -> fmt::Result {
    let columns = Columns::of(report);
    let mut table = Table::new(rows.by.heading(), columns);
    for (name, totals) in report.rows(rows) {
        table.add(name, (columns.numbers)(totals));
    }
    table.add("all", (columns.numbers)(&report.all));
    table.write(out, look)
}

fn write_trust(out: &mut impl Write, trust: &Trust, look: Look) -> fmt::Result {
    let mut table = Table::new(trust::HEADING, &trust::COLUMNS);
    trust.rows().into_iter().for_each(|(name, numbers)| table.add(&name, numbers));
    writeln!(out)?;
    table.write(out, look)?;
    write_counts(out, look, trust::SIGNS_HEADING, &trust.told())
}

fn write_minted(out: &mut impl Write, minted: &Minted, look: Look) -> fmt::Result {
    let mut table = Table::new(minted::HEADING, &minted::COLUMNS);
    minted.rows().into_iter().for_each(|(name, numbers)| table.add(&name, numbers));
    writeln!(out)?;
    table.write(out, look)?;
    minted.told().iter().try_for_each(|line| writeln!(out, "{}", printable(line)))?;
    write_counts(out, look, minted::KINDS, &minted.kinds)
}

fn write_counts(out: &mut impl Write, look: Look, heading: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if !counts.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Bold, heading))?;
    }
    counts.iter().try_for_each(|(reason, count)| writeln!(out, "  {count:>8}  {}", printable(reason)))
}

/// What stands over the differences, `most` of which are shown.
pub(super) fn differed(report: &Report, most: usize) -> String {
    let (shown, all) = (report.differences.len().min(most), report.all.differed);
    let from = report.against.as_ref().map(|against| format!(" from {}", printable(against))).unwrap_or_default();
    format!("differed{from}: the first {shown} of {all} in time (--format json has all)")
}

/// How many exchanges were found, of those searched.
pub(super) fn found(report: &Report, searched: u64) -> String {
    let Totals { exchanges, differed, .. } = report.all;
    let against = report.against.as_ref().map(|against| format!(", {differed} of them decided otherwise than by {}", printable(against)));
    format!("{exchanges} of {searched} exchanges found{}", against.unwrap_or_default())
}

/// What stands over what differs.
pub(super) const KINDS: &str = "differed";
/// What stands over what shadow rules would have refused.
pub(super) const SHADOWED: &str = "admitted, though rules in `mode: shadow` would have refused";
/// What stands over the subscriptions that the policy hasn't.
pub(super) const STRANGERS: &str = "the policy has no such subscription";
/// What stands over what is recorded.
pub(super) const SAMPLING: &[&str] =
    &["setting", "recorded", "by parent", "by probability", "refused", "errors", "spans a day", "bytes a day"];
/// What stands over trace headers that didn't come through.
pub(super) const SURVIVAL: &[&str] = &["API", "operation", "header", "outcome", "exchanges", "likely cause"];
/// What stands over the exchanges of which that can't be told.
pub(super) const UNSAID: &str = "exchanges of which nothing can be said about trace headers at the backend";
const SHOWN_DIFFERENCES: usize = 10;
const SHOWN_LOST: usize = 50;
const SHOWN_WINDOWS: usize = 20;
/// How many keys stand under another amount of a limit.
pub(super) const SHOWN_KEYS: usize = 10;
