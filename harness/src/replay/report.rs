// SPDX-License-Identifier: Apache-2.0
//! What a replay came to: exchanges counted by API, hour or reason, and what stands out.

use std::collections::BTreeMap;

use clap::ValueEnum;
use tracegate::Policy;
use tracegate::config::Loaded;

use super::export::Export;
use super::limits::Limits;
use super::sampling::Sampling;
use super::survival::Survivals;
use super::{Agreement, Decided, Difference, Minted, Replayed, Totals, Trust, Undecidable, WhatIfs};
use crate::Redactor;
use crate::error::Result;
use crate::look::printable;
use crate::recording::Files;

/// What the rows of a table are.
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

/// Collects what is shown; its size depends on the number of rows, not of exchanges.
#[derive(Debug, Default)]
pub struct Report {
    pub(super) tables: Vec<Rows>,
    /// What the edge is compared with instead of the record.
    pub(super) against: Option<String>,
    pub(super) all: Totals,
    /// How many records hold any header of the request.
    pub(super) with_headers: u64,
    pub(super) by_reason: BTreeMap<String, u64>,
    pub(super) undecidable: BTreeMap<Undecidable, u64>,
    /// What differs, counted.
    pub(super) kinds: BTreeMap<String, u64>,
    /// The first [`MAX_DIFFERENCES`] that differ: where, and how.
    pub(super) differences: Vec<String>,
    pub(super) shadowed: BTreeMap<String, u64>,
    /// Subscriptions that the record names and the policy hasn't, where it asks for their keys.
    pub(super) strangers: BTreeMap<String, u64>,
    /// What became of trace context by principal, where the policy has trust rules.
    pub(super) trust: Option<Trust>,
    /// Which trace headers survived from the gateway to the backend, as recorded.
    pub(super) survivals: Survivals,
    /// What came of minted tokens, where any are minted.
    pub(super) minted: Option<Minted>,
    /// What is recorded, by the policy's setting for sampling and by others, where that is asked for.
    pub(super) sampling: Option<Sampling>,
    /// What left for collectors, where the policy exports anything.
    pub(super) export: Option<Export>,
    /// What was limited then and is now, where the policy limits anything.
    pub(super) limits: Option<Limits>,
    /// What other amounts would have refused, where that is asked for.
    pub(super) what_if: Option<WhatIfs>,
}

/// Exchanges, told apart.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) by: By,
    rows: BTreeMap<String, Totals>,
}

impl By {
    /// What stands over the names of the rows.
    pub(super) const fn heading(self) -> &'static str {
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
        printable(name).chars().take(MAX_NAME).collect()
    }
}

impl Rows {
    fn add(&mut self, replayed: &Replayed) {
        let row = self.by.row(replayed);
        let row = if self.rows.contains_key(&row) || self.rows.len() < MAX_ROWS { row } else { OTHERS.to_owned() };
        self.rows.entry(row).or_default().add(replayed);
    }
}

impl Report {
    /// A report with tables by each of these, of a comparison with the record or `against` another edge, which it names.
    #[must_use]
    pub fn new(by: &[By], against: Option<String>) -> Self {
        let tables = by.iter().map(|&by| Rows { by, ..Rows::default() }).collect();
        Self { tables, against, ..Self::default() }
    }

    /// Tells what the policy's setting for sampling records, if it has one, and what others would; and what leaves for collectors, if anything does.
    /// `seed` is the module's.
    ///
    /// # Errors
    ///
    /// Never: the policy's document is canonical.
    pub fn compare_spans(&mut self, loaded: &Loaded, seed: u64) -> Result<()> {
        self.sampling = Sampling::new(loaded, seed)?;
        self.export = Export::new(loaded)?;
        Ok(())
    }

    /// Tells what was limited then and is now, if the policy limits anything.
    pub fn compare_limits(&mut self, loaded: &Loaded) {
        self.limits = Limits::new(loaded);
    }

    /// Tells what other amounts would have refused.
    pub fn ask(&mut self, what_if: WhatIfs) {
        self.what_if = Some(what_if);
    }

    /// Tells what comes of minted tokens.
    pub fn count_minted(&mut self, minted: Minted) {
        self.minted = Some(minted);
    }

    /// What came of minted tokens, where that is told.
    pub const fn minted_mut(&mut self) -> Option<&mut Minted> {
        self.minted.as_mut()
    }

    /// Counts one exchange.
    pub fn add(&mut self, replayed: &Replayed, files: &Files, redactor: &Redactor) {
        self.tables.iter_mut().for_each(|table| table.add(replayed));
        self.all.add(replayed);
        self.survivals.add(&replayed.recorded);
        self.with_headers += u64::from(!replayed.recorded.request.headers.is_empty());
        if let Some(reason) = replayed.decided.reason() {
            *self.by_reason.entry(reason.to_owned()).or_default() += 1;
        }
        if let Some(export) = &mut self.export {
            export.add(replayed);
        }
        if let Some(minted) = &mut self.minted {
            minted.add(replayed);
        }
        if let Some(what_if) = &mut self.what_if {
            what_if.add(replayed, redactor);
        }
        if let Some(id) = replayed.recorded.caller.subscription.as_ref().filter(|_| replayed.key.is_strangers()) {
            let is_kept = self.strangers.contains_key(id) || self.strangers.len() < MAX_ROWS;
            *self.strangers.entry(if is_kept { id.clone() } else { OTHERS.to_owned() }).or_default() += 1;
        }
        match &replayed.agreement {
            Agreement::Agrees => {}
            // What stands under the limits' windows.
            Agreement::Differs(_) if replayed.explained => {}
            Agreement::Undecidable(undecidable) => *self.undecidable.entry(*undecidable).or_default() += 1,
            Agreement::Differs(difference) => {
                let what = told(replayed, difference);
                let is_minted = replayed.minted().is_some();
                if !is_minted && self.differences.len() < MAX_DIFFERENCES {
                    let recorded = &replayed.recorded;
                    let place = files.place(recorded.place.file, recorded.place.line);
                    let shown = format!("{} {}: {what}", recorded.request.method, redactor.url(&recorded.request.path));
                    self.differences.push(format!("{place}: {}", printable(&shown)));
                }
                let kind = difference.header().map_or(what, |header| format!("{}: {header}", difference.field));
                let kinds = match &mut self.minted {
                    Some(minted) if is_minted => &mut minted.kinds,
                    _ => &mut self.kinds,
                };
                let is_kept = kinds.contains_key(&kind) || kinds.len() < MAX_KINDS;
                *kinds.entry(if is_kept { kind } else { OTHERS.to_owned() }).or_default() += 1;
            }
        }
    }

    /// The rows of a table: where two edges are compared, only those in which they differ.
    pub(super) fn rows<'a>(&self, table: &'a Rows) -> impl Iterator<Item = (&'a str, &'a Totals)> {
        let all = self.against.is_none();
        table.rows.iter().filter(move |(_, totals)| all || totals.differed > 0).map(|(name, totals)| (name.as_str(), totals))
    }

    /// What became of trace headers, where there is anything to say: where two edges are compared, the record doesn't count.
    pub(super) fn survivals(&self) -> Option<&Survivals> {
        Some(&self.survivals).filter(|survivals| self.against.is_none() && survivals.any())
    }

    /// How many requests rules in shadow mode would have refused.
    #[must_use]
    pub fn shadowed(&self) -> u64 {
        self.shadowed.values().sum()
    }

    /// Takes what the module counted by itself: what rules in `mode: shadow` would have refused, whom it trusted, and what it recorded.
    pub fn set_metrics(&mut self, metrics: BTreeMap<String, u64>, policy: &Policy) {
        self.trust = Trust::read(&policy.trace.trust, &metrics);
        if let Some(sampling) = &mut self.sampling {
            sampling.take(&metrics);
        }
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

/// How an exchange differs; a changed decision with the reasons.
fn told(replayed: &Replayed, Difference { field, expected, found }: &Difference) -> String {
    let shown = |decision: &str, reason: Option<&str>| {
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{decision}{reason}")
    };
    let last_error = replayed.recorded.apim.as_ref().and_then(|apim| apim.last_error.as_ref());
    let recorded = || last_error.and_then(|error| error.reason.as_deref());
    match (*field, expected.as_str(), &replayed.against) {
        ("decision", Some(expected), against) => {
            let reason = against.as_ref().map_or_else(recorded, Decided::reason);
            let decided = &replayed.decided;
            format!("expected {}, found {}", shown(expected, reason), shown(decided.name(), decided.reason()))
        }
        _ => format!("{field}: expected {expected}, found {found}"),
    }
}

const MAX_ROWS: usize = 1000;
const MAX_KINDS: usize = 20;
const MAX_NAME: usize = 60;
const OTHERS: &str = "(others)";
const ADMITTED: &str = "(admitted)";
const MAX_DIFFERENCES: usize = 1000;
