// SPDX-License-Identifier: Apache-2.0
//! Who can reach what, as a table for people.

use std::fmt::{self, Write};

use super::Explanation;
use super::document::{Action, DefaultAction};
use super::words::word;
use crate::grid::{Cell, Grid};
use crate::look::{Look, Style, printable};

/// Writes the routes in the policy's order, the default, what limits them, and what the upstream is told.
pub(super) fn write(out: &mut impl Write, explanation: &Explanation, look: Look) -> fmt::Result {
    let Explanation { routes, default, quotas, upstream, admits_unverified, .. } = explanation;
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
    writeln!(out)?;
    if !quotas.is_empty() {
        let mut grid = Grid::new(&["quota", "what it limits"]);
        for quota in quotas {
            add(&mut grid, &quota.name, &quota.words(), &[]);
        }
        grid.write(out, look)?;
        writeln!(out)?;
    }
    let mut grid = Grid::new(&["to the upstream", "what it is told"]);
    for header in &upstream.headers {
        add(&mut grid, &header.name, &[header.tells()], &[]);
    }
    add(&mut grid, "(tokens)", &[upstream.token()], &[]);
    grid.write(out, look)?;
    for provider in admits_unverified {
        let told = format!("while the keys of {} can't be had, its tokens count unverified: anybody can write one", word(provider));
        writeln!(out, "\n{}", look.styled(Style::Alarm, &told))?;
    }
    Ok(())
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
