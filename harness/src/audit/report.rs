// SPDX-License-Identifier: Apache-2.0
//! What a verification found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::chain::{Chain, Kind};
use super::key::Term;
use crate::grid::{Cell, Grid};
use crate::look::{Look, Style, printable};

/// What a verification found.
#[derive(Debug)]
pub(crate) struct Report {
    /// By instance, in the order in which they begin.
    chains: Vec<(String, Chain)>,
    /// What looks like a record and is none: whoever can write into a log can write it, so it says nothing of the records that are.
    stray: Vec<String>,
    keys: Vec<(String, Term)>,
}

impl Report {
    pub(super) fn new(chains: BTreeMap<String, Chain>, stray: Vec<String>, keys: Vec<(String, Term)>) -> Self {
        let mut chains: Vec<(String, Chain)> = chains.into_iter().collect();
        chains.sort_by_cached_key(|(_, chain)| chain.records().next().map(|first| first.time.clone()));
        Self { chains, stray, keys }
    }

    /// How much is not as it was written.
    pub(crate) fn findings(&self) -> usize {
        self.chains.iter().map(|(_, chain)| chain.flaws.len()).sum()
    }

    /// For people.
    pub(crate) fn text(&self, look: Look) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text, look);
        text
    }

    fn write(&self, out: &mut String, look: Look) -> fmt::Result {
        let mut grid = Grid::new(&["instance", "begins", "last record", "records", "decisions", "state"]);
        for (instance, chain) in &self.chains {
            let times = || chain.records().map(|record| record.time.as_str());
            let decisions = chain.records().filter(|record| record.kind == Kind::Decision).count();
            let (style, state) = state(chain);
            grid.add(vec![
                Cell::text(printable(instance)),
                Cell::text(printable(times().next().unwrap_or("-"))),
                Cell::text(printable(times().next_back().unwrap_or("-"))),
                Cell::number(chain.records().count().try_into().unwrap_or(u64::MAX)),
                Cell::number(decisions.try_into().unwrap_or(u64::MAX)),
                Cell::text(state).styled(style),
            ]);
        }
        grid.write(out, look)?;
        if self.findings() > 0 {
            writeln!(out)?;
        }
        for (instance, chain) in &self.chains {
            for flaw in &chain.flaws {
                writeln!(out, "{}: {}", printable(instance), printable(&flaw.to_string()))?;
            }
        }
        if !self.stray.is_empty() {
            writeln!(out, "\nNot verified, and nobody's who has a key:")?;
        }
        for stray in &self.stray {
            writeln!(out, "{}", printable(stray))?;
        }
        let verdict = match self.findings() {
            0 => "Every record is as its gateway wrote it, and none is missing between the first and the last.".to_owned(),
            1 => "1 finding.".to_owned(),
            findings => format!("{findings} findings."),
        };
        let keys: Vec<String> = self.keys.iter().map(|(id, term)| format!("{id}{}", words(*term))).collect();
        writeln!(out, "\n{verdict} Keys: {}.", keys.join(", "))
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let chain = |(instance, chain): &(String, Chain)| {
            let mut times = chain.records().map(|record| record.time.as_str());
            let flaws: Vec<String> = chain.flaws.iter().map(ToString::to_string).collect();
            json!({
                "instance": instance,
                "begins": times.next(),
                "last_record": chain.records().last().map(|record| record.time.as_str()),
                "records": chain.records().count(),
                "decisions": chain.records().filter(|record| record.kind == Kind::Decision).count(),
                "ended": chain.has_ended(),
                "keys": chain.keys(),
                "findings": flaws,
            })
        };
        let key = |(id, term): &(String, Term)| {
            let until = if let Term::Until(until) = term { Some(until.to_string()) } else { None };
            json!({"id": id, "retired": *term != Term::Current, "until": until})
        };
        json!({
            "keys": self.keys.iter().map(key).collect::<Vec<_>>(),
            "instances": self.chains.iter().map(chain).collect::<Vec<_>>(),
            "stray": self.stray,
            "findings": self.findings(),
        })
    }
}

/// For how long a key counts.
fn words(term: Term) -> String {
    match term {
        Term::Current => String::new(),
        Term::UntilReplaced => " (retired)".to_owned(),
        Term::Until(until) => format!(" (until {until})"),
    }
}

fn state(chain: &Chain) -> (Style, String) {
    // Who still runs and who was killed look alike.
    let end = if chain.has_ended() { "ended" } else { "open: running, or killed" };
    let end = if chain.is_by_a_retired_key() { format!("{end}; by a retired key") } else { end.to_owned() };
    match chain.flaws.len() {
        0 => (Style::Plain, format!("whole, {end}")),
        1 => (Style::Alarm, format!("1 finding, {end}")),
        flaws => (Style::Alarm, format!("{flaws} findings, {end}")),
    }
}
