// SPDX-License-Identifier: Apache-2.0
//! `--format html`: one page that stands by itself, with a bar for every row. It loads nothing and runs nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::columns::Columns;
use super::export::{self, Export};
use super::found::Found;
use super::limits::{self, Limits};
use super::report::{Report, Rows};
use super::sampling::Sampling;
use super::spans::human;
use super::summary::Summary;
use super::survival::Survivals;
use super::text::{KINDS, SAMPLING, SHADOWED, SHOWN_KEYS, STRANGERS, SURVIVAL, UNSAID, differed, found};
use super::what_if::{self, Section};
use super::{Replayed, Totals};
use super::{minted, trust};
use crate::Redactor;
use crate::look::printable;

/// The page up to its exchanges, which are shown where they are `searched`.
pub(super) fn begin(searched: bool) -> String {
    let mut page =
        format!("<!DOCTYPE html>\n<html lang=\"en\"><head>{HEAD}<style>{STYLE}</style></head>\n<body><h1>tracegate replay</h1>\n");
    if searched {
        page.push_str("<table><thead><tr>");
        for heading in ["time (UTC)", "status", "failed", "request"] {
            page.push_str(&format!("<th scope=\"col\">{heading}</th>"));
        }
        page.push_str("</tr></thead><tbody>\n");
    }
    page
}

/// Writes an exchange that was found.
pub(super) fn write_found(out: &mut impl Write, replayed: &Replayed, redactor: &Redactor, place: &str) -> fmt::Result {
    let found = Found::new(replayed, redactor);
    let class = if found.failed.is_some() { " class=\"alarm\"" } else { "" };
    let status = found.status.map_or_else(|| "?".to_owned(), |status| status.to_string());
    write!(out, "<tr><td>{}</td><td class=\"number\">{status}</td>", found.shown_time(replayed))?;
    write!(out, "<td{class}>{}</td>", found.failed.unwrap_or("-"))?;
    write!(out, "<td><b>{} {}</b>", escaped(found.method), escaped(&found.url))?;
    found.details(replayed, place).iter().try_for_each(|detail| write!(out, "<br/>{}", escaped(detail)))?;
    writeln!(out, "</td></tr>")
}

/// Writes what stands behind the exchanges, to the end of the page.
pub(super) fn write_end(out: &mut impl Write, report: &Report, summary: &Summary<'_>) -> fmt::Result {
    match summary.searched {
        Some(searched) => writeln!(out, "</tbody></table>\n<p>{}</p>", escaped(&found(report, searched)))?,
        None => write_report(out, report)?,
    }
    writeln!(out, "<footer>{}</footer>\n</body></html>", escaped(&summary.to_string()))
}

fn write_report(out: &mut impl Write, report: &Report) -> fmt::Result {
    report.tables.iter().try_for_each(|rows| write_table(out, report, rows))?;
    if let Some(trust) = report.trust.as_ref().filter(|_| report.against.is_none()) {
        write_rows(out, trust::HEADING, &trust::COLUMNS, &trust.rows())?;
        write_counts(out, trust::SIGNS_HEADING, &trust.told())?;
    }
    if let Some(minted) = &report.minted {
        write_rows(out, minted::HEADING, &minted::COLUMNS, &minted.rows())?;
        minted.told().iter().try_for_each(|line| writeln!(out, "<p>{}</p>", escaped(line)))?;
        write_counts(out, minted::KINDS, &minted.kinds)?;
    }
    report.sampling.as_ref().map_or(Ok(()), |sampling| write_sampling(out, sampling))?;
    report.export.as_ref().map_or(Ok(()), |export| write_export(out, export))?;
    report.limits.as_ref().map_or(Ok(()), |limits| write_limits(out, limits))?;
    if let Some(what_if) = &report.what_if {
        what_if.sections(SHOWN_KEYS).iter().try_for_each(|section| write_what_if(out, section))?;
    }
    write_counts(out, SHADOWED, &report.shadowed)?;
    write_counts(out, STRANGERS, &report.strangers)?;
    if !report.undecidable.is_empty() {
        writeln!(out, "<h2>undecidable</h2>\n<table><tbody>")?;
        for (undecidable, count) in &report.undecidable {
            let (code, explanation) = (undecidable.as_str(), undecidable.explanation());
            writeln!(out, "<tr><td class=\"number\">{count}</td><th scope=\"row\">{code}</th><td>{explanation}</td></tr>")?;
        }
        writeln!(out, "</tbody></table>")?;
    }
    write_counts(out, KINDS, &report.kinds)?;
    if !report.differences.is_empty() {
        writeln!(out, "<h2 class=\"alarm\">{}</h2>\n<ul>", escaped(&differed(report, usize::MAX)))?;
        report.differences.iter().try_for_each(|difference| writeln!(out, "<li>{}</li>", escaped(difference)))?;
        writeln!(out, "</ul>")?;
    }
    report.survivals().map_or(Ok(()), |survivals| write_survivals(out, survivals))
}

fn write_sampling(out: &mut impl Write, sampling: &Sampling) -> fmt::Result {
    let rows = sampling.rows().into_iter().map(|row| {
        let by = row.by;
        let numbers = [row.recorded, by.by_parent, by.by_probability, by.refused, by.errors].map(Some);
        let numbers = numbers.into_iter().chain([row.spans_per_day]).map(|number| number.map(|number| number.to_string()));
        (row.name(), numbers.chain([row.bytes_per_day.map(human)]).collect())
    });
    write_figures(out, &sampling.heading(), SAMPLING, &rows.collect::<Vec<_>>())?;
    sampling.remark().map_or(Ok(()), |remark| writeln!(out, "<p>{}</p>", escaped(remark)))?;
    sampling.doubt().map_or(Ok(()), |doubt| writeln!(out, "<p class=\"alarm\">{}</p>", escaped(&doubt)))
}

fn write_export(out: &mut impl Write, export: &Export) -> fmt::Result {
    let rows = export.rows().map(|row| {
        let numbers = [Some(row.spans), Some(row.batches)].map(|number| number.map(|number| number.to_string()));
        let day = [row.spans_per_day.map(|spans| spans.to_string()), row.bytes_per_day.map(human)];
        (row.collector.to_owned(), numbers.into_iter().chain([Some(human(row.bytes))]).chain(day).collect())
    });
    write_figures(out, &export.heading(), export::HEADINGS, &rows.collect::<Vec<_>>())
}

/// A table of names and figures; `-` for one of which nothing can be said.
fn write_figures(out: &mut impl Write, heading: &str, headings: &[&str], rows: &[(String, Vec<Option<String>>)]) -> fmt::Result {
    write!(out, "<h2>{}</h2>\n<table><thead><tr>", escaped(heading))?;
    let class = |index: usize| if index == 0 { "" } else { " class=\"number\"" };
    (0..).zip(headings).try_for_each(|(index, heading)| write!(out, "<th scope=\"col\"{}>{heading}</th>", class(index)))?;
    writeln!(out, "</tr></thead><tbody>")?;
    for (name, figures) in rows {
        write!(out, "<tr><th scope=\"row\">{}</th>", escaped(name))?;
        figures.iter().try_for_each(|told| write!(out, "<td class=\"number\">{}</td>", told.as_deref().unwrap_or("-")))?;
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table>")
}

fn write_limits(out: &mut impl Write, limits: &Limits) -> fmt::Result {
    let rows = limits.rows(usize::MAX).into_iter().map(|row| (vec![row.limit, row.window], row.numbers.to_vec()));
    write_grid(out, &limits.heading(), limits::HEADINGS, &rows.collect::<Vec<_>>(), limits::HEADINGS.len() - 1)?;
    limits.more(usize::MAX).map_or(Ok(()), |more| writeln!(out, "<p>{}</p>", escaped(&more)))
}

fn write_what_if(out: &mut impl Write, section: &Section<'_>) -> fmt::Result {
    let row = |(key, calls): &(&str, what_if::Calls)| (vec![(*key).to_owned()], vec![calls.exchanges, calls.refused, calls.refused_now]);
    let rows: Vec<_> = section.rows.iter().map(row).collect();
    write_grid(out, &section.heading, what_if::HEADINGS, &rows, usize::MAX)?;
    section.more.as_ref().map_or(Ok(()), |more| writeln!(out, "<p>{}</p>", escaped(more)))
}

/// A table of words and then numbers, if there are rows; in the column `alarm` anything but 0 is something to look at.
fn write_grid(out: &mut impl Write, heading: &str, headings: &[&str], rows: &[(Vec<String>, Vec<u64>)], alarm: usize) -> fmt::Result {
    writeln!(out, "<h2>{}</h2>", escaped(heading))?;
    let Some((words, _)) = rows.first() else { return Ok(()) };
    write!(out, "<table><thead><tr>")?;
    for (column, heading) in headings.iter().enumerate() {
        let class = if column < words.len() { "" } else { " class=\"number\"" };
        write!(out, "<th scope=\"col\"{class}>{heading}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (words, numbers) in rows {
        write!(out, "<tr>")?;
        words.iter().try_for_each(|word| write!(out, "<th scope=\"row\">{}</th>", escaped(word)))?;
        for (column, number) in (words.len()..).zip(numbers) {
            let class = if column == alarm && *number > 0 { "number alarm" } else { "number" };
            write!(out, "<td class=\"{class}\">{number}</td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table>")
}

fn write_survivals(out: &mut impl Write, survivals: &Survivals) -> fmt::Result {
    writeln!(out, "<h2>{}</h2>", escaped(&survivals.heading()))?;
    if survivals.lost().next().is_some() {
        write!(out, "<table><thead><tr>")?;
        SURVIVAL.iter().try_for_each(|heading| write!(out, "<th scope=\"col\">{heading}</th>"))?;
        writeln!(out, "</tr></thead><tbody>")?;
        for lost in survivals.lost() {
            let (operation, explanation) = (escaped(lost.operation.unwrap_or("-")), escaped(lost.explanation));
            write!(out, "<tr><th scope=\"row\">{}</th><td>{operation}</td><td>{}</td>", escaped(lost.api), lost.header)?;
            writeln!(
                out,
                "<td class=\"alarm\">{}</td><td class=\"number\">{}</td><td>{explanation}</td></tr>",
                lost.outcome, lost.exchanges
            )?;
        }
        writeln!(out, "</tbody></table>")?;
    }
    survivals.more(usize::MAX).map_or(Ok(()), |more| writeln!(out, "<p>{}</p>", escaped(&more)))?;
    if survivals.unsaid().next().is_some() {
        writeln!(out, "<h2>{UNSAID}</h2>\n<table><tbody>")?;
        for (count, code, explanation) in survivals.unsaid() {
            writeln!(out, "<tr><td class=\"number\">{count}</td><th scope=\"row\">{code}</th><td>{}</td></tr>", escaped(explanation))?;
        }
        writeln!(out, "</tbody></table>")?;
    }
    Ok(())
}

fn write_table(out: &mut impl Write, report: &Report, rows: &Rows) -> fmt::Result {
    let columns = Columns::of(report);
    let numbers = |(name, totals): (&str, &Totals)| (name.to_owned(), (columns.numbers)(totals));
    let rows_and_all: Vec<_> = report.rows(rows).chain([("all", report.totals())]).map(numbers).collect();
    write_rows(out, rows.by.heading(), columns, &rows_and_all)
}

/// A table of rows with a bar each, the totals last.
fn write_rows(out: &mut impl Write, heading: &str, columns: &Columns, rows: &[(String, Vec<u64>)]) -> fmt::Result {
    let Some((all, rows)) = rows.split_last() else { return Ok(()) };
    let most = rows.iter().filter_map(|(_, numbers)| numbers.first().copied()).max().unwrap_or(0);
    write!(out, "<h2>by {heading}</h2>\n<table><thead><tr><th scope=\"col\">{heading}</th><td>")?;
    for &(part, colour) in columns.parts {
        let heading = columns.headings.get(part).copied().unwrap_or_default();
        write!(out, "<span style=\"color: {colour}\">■</span> {heading} ")?;
    }
    write!(out, "</td>")?;
    columns.headings.iter().try_for_each(|heading| write!(out, "<th scope=\"col\" class=\"number\">{heading}</th>"))?;
    writeln!(out, "</tr></thead><tbody>")?;
    for (name, numbers) in rows {
        write_row(out, columns, name, numbers, Some(most))?;
    }
    writeln!(out, "</tbody><tfoot>")?;
    write_row(out, columns, &all.0, &all.1, None)?;
    writeln!(out, "</tfoot></table>")
}

/// One row; its bar, if it has one, is as long as it is of the `most`.
fn write_row(out: &mut impl Write, columns: &Columns, name: &str, numbers: &[u64], most: Option<u64>) -> fmt::Result {
    write!(out, "<tr><th scope=\"row\">{}</th><td>", escaped(name))?;
    if let Some(most) = most {
        write!(
            out,
            "<svg width=\"200\" height=\"12\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
            most.max(1)
        )?;
        let mut start = 0;
        for &(part, colour) in columns.parts {
            let length = numbers.get(part).copied().unwrap_or(0);
            if length == 0 {
                continue;
            }
            write!(out, "<rect fill=\"{colour}\" x=\"{start}\" width=\"{length}\" height=\"1\"/>")?;
            start += length;
        }
        write!(out, "</svg>")?;
    }
    write!(out, "</td>")?;
    for (place, &number) in numbers.iter().enumerate() {
        let alarm = if place == columns.alarm && number > 0 { " alarm" } else { "" };
        write!(out, "<td class=\"number{alarm}\">{number}</td>")?;
    }
    writeln!(out, "</tr>")
}

fn write_counts(out: &mut impl Write, heading: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>{}</h2>\n<table><tbody>", escaped(heading))?;
    for (reason, count) in counts {
        writeln!(out, "<tr><td class=\"number\">{count}</td><th scope=\"row\">{}</th></tr>", escaped(reason))?;
    }
    writeln!(out, "</tbody></table>")
}

/// Text as it may stand anywhere in a page: neither markup nor a control character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in printable(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Whatever a recording may have smuggled in, nothing is loaded or run.
const HEAD: &str = "<meta charset=\"utf-8\"/><meta name=\"viewport\" content=\"width=device-width\"/>\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\
    <title>tracegate replay</title>";

const STYLE: &str = "\
    :root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; } \
    body { margin: 2rem; } \
    table { border-collapse: collapse; } \
    th, td { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; font-weight: normal; } \
    thead, tfoot th, tfoot td { border-bottom: 1px solid; border-top: 1px solid; } \
    tfoot th, tfoot td, thead th { font-weight: bold; } \
    .number { text-align: right; font-variant-numeric: tabular-nums; } \
    .alarm { color: #c22; font-weight: bold; } \
    footer { margin-top: 2rem; }";
