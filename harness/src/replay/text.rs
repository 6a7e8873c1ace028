// SPDX-License-Identifier: Apache-2.0
//! `--format text`: for people at a terminal, a table and what stands out.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::columns::Columns;
use super::report::{By, Report, Rows};
use super::summary::Summary;
use super::table::Table;
use crate::look::{Look, Style};

/// Writes what stands behind the exchanges: the report, or how many were found; then what it was made with.
///
/// # Errors
///
/// None but those of `out`.
pub(super) fn write_end(out: &mut impl Write, report: &Report, summary: &Summary<'_>, look: Look) -> fmt::Result {
    match summary.searched {
        None => write_report(out, report, look)?,
        Some(searched) => writeln!(out, "\n{} of {searched} exchanges found", report.all.exchanges)?,
    }
    writeln!(out, "\n{summary}")
}

fn write_report(out: &mut impl Write, report: &Report, look: Look) -> fmt::Result {
    let by_reason = report.tables.iter().any(|table| table.by == By::Reason);
    report.tables.iter().try_for_each(|rows| write_table(out, report, rows, look))?;
    // Against another edge, only differences count.
    if report.against.is_none() {
        if !by_reason {
            write_counts(out, look, "refused", &report.by_reason)?;
        }
        write_counts(out, look, SHADOWED, &report.shadowed)?;
    }
    if !report.undecidable.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Bold, "undecidable"))?;
        for (undecidable, count) in &report.undecidable {
            writeln!(out, "  {count:>8}  {}: {}", undecidable.as_str(), undecidable.explanation())?;
        }
    }
    if !report.differences.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Alarm, &differed(report)))?;
        report.differences.iter().try_for_each(|difference| writeln!(out, "  {difference}"))?;
    }
    Ok(())
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

fn write_counts(out: &mut impl Write, look: Look, heading: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if !counts.is_empty() {
        writeln!(out, "\n{}", look.styled(Style::Bold, heading))?;
    }
    counts.iter().try_for_each(|(reason, count)| writeln!(out, "  {count:>8}  {reason}"))
}

/// What stands over the differences.
pub(super) fn differed(report: &Report) -> String {
    let (shown, all) = (report.differences.len(), report.all.differed);
    let from = report.against.as_ref().map(|against| format!(" from {against}")).unwrap_or_default();
    format!("differed{from} (the first {shown} of {all} in time; --format json has all)")
}

/// What stands over what shadow rules would have refused.
pub(super) const SHADOWED: &str = "admitted, though rules in `mode: shadow` would have refused";
