// SPDX-License-Identifier: Apache-2.0
//! Who can reach what and what leaves, as tables for people.

use std::fmt::{self, Write};

use super::Explanation;
use super::document::{Action, DefaultAction};
use super::words::word;
use crate::grid::{Cell, Grid};
use crate::look::{Look, Style, printable};

/// Writes the routes in the policy's order, the default, what limits them, what the upstream is told, what else leaves, and where secrets are.
pub(super) fn write(out: &mut impl Write, explanation: &Explanation, look: Look) -> fmt::Result {
    let Explanation { routes, default, quotas, upstream, leaving, secrets, admits_unverified, .. } = explanation;
    let mut grid = Grid::new(&["route", "requests", "who can reach it"]);
    for route in routes {
        add(&mut grid, &route.name, &route.matches(), &route.callers());
    }
    let requests = if routes.is_empty() { "every request" } else { "every other request" };
    let callers = match default {
        DefaultAction { action: Action::Admit, .. } => "anybody".to_owned(),
        DefaultAction { status: Some(status), .. } => format!("nobody: refused with status {status}"),
        DefaultAction { status: None, .. } => "nobody".to_owned(),
    };
    add(&mut grid, "(default)", &[requests.to_owned()], &[callers]);
    grid.write(out, look)?;
    let limits = quotas.iter().map(|quota| (quota.name.clone(), quota.words()));
    table(out, look, &["quota", "what it limits"], limits.collect())?;
    let headers = upstream.headers.iter().map(|header| (header.name.clone(), vec![header.tells()]));
    let others = upstream.others().into_iter().map(|(name, words)| (name.to_owned(), vec![words]));
    table(out, look, &["to the upstream", "what it is told"], headers.chain(others).collect())?;
    table(out, look, &["leaves to", "what"], leaving.words())?;
    table(out, look, &["a span tells", "what"], leaving.spans())?;
    table(out, look, &["an audit record tells", "what"], leaving.records())?;
    table(
        out,
        look,
        &["secret", "where it is, and what for"],
        secrets.iter().map(|secret| (secret.name.clone(), secret.words())).collect(),
    )?;
    for provider in admits_unverified {
        let told = format!("while the keys of {} can't be had, its tokens count unverified: anybody can write one", word(provider));
        writeln!(out, "\n{}", look.styled(Style::Alarm, &told))?;
    }
    Ok(())
}

/// Writes an empty line and a table of names, if there are any.
fn table(out: &mut impl Write, look: Look, headings: &'static [&'static str], rows: Vec<(String, Vec<String>)>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut grid = Grid::new(headings);
    for (name, lines) in rows {
        add(&mut grid, &name, &lines, &[]);
    }
    grid.write(out, look)
}

/// Adds the lines of one name; the last column may be missing.
fn add(grid: &mut Grid, name: &str, first: &[String], second: &[String]) {
    let cell = |text: Option<&str>| Cell::text(printable(text.unwrap_or_default()));
    for line in 0..first.len().max(second.len()) {
        let mut row = vec![cell((line == 0).then_some(name)), cell(first.get(line).map(String::as_str))];
        if !second.is_empty() {
            row.push(cell(second.get(line).map(String::as_str)));
        }
        grid.add(row);
    }
}
