// SPDX-License-Identifier: Apache-2.0
//! Where trace headers that were present at the gateway didn't reach the backend as they should have, and why, as far as the
//! record tells: no edge of ours had a part in it.

mod cause;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::carrier::{Carried, Carrier, Fate};
use crate::look::printable;
use crate::recording::Recorded;
use cause::Cause;

/// What became of the trace headers of recorded exchanges; its size is bounded, however many there are.
#[derive(Debug, Default)]
pub(super) struct Survivals {
    /// Exchanges with a trace header at the gateway and any header at the backend.
    compared: u64,
    /// Of these, those in which every trace header came through.
    survived: u64,
    /// Exchanges of which nothing can be said.
    unsaid: BTreeMap<Unsaid, u64>,
    rows: BTreeMap<Row, u64>,
    /// Headers that didn't come through, beyond the rows.
    left_out: u64,
    /// The trace headers that any record of an API holds of a request to the backend: those that are logged there.
    logged: BTreeMap<String, BTreeSet<Carrier>>,
}

/// Headers that were lost in the same way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    api: String,
    operation: Option<String>,
    carrier: Carrier,
    fate: Fate,
    cause: Cause,
}

/// Why nothing can be said of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unsaid {
    /// No trace header was logged at the gateway.
    NoTraceHeader,
    /// No header was logged at the backend.
    BackendNotLogged,
    /// No backend was called.
    NotForwarded,
}

/// A row, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Lost<'a> {
    pub(super) api: &'a str,
    pub(super) operation: Option<&'a str>,
    pub(super) header: &'static str,
    pub(super) outcome: &'static str,
    pub(super) exchanges: u64,
    pub(super) cause: &'static str,
    pub(super) explanation: &'static str,
}

/// How many exchanges that is of.
#[derive(Debug, Serialize)]
pub(super) struct Compared<'a> {
    pub(super) compared: u64,
    pub(super) survived: u64,
    pub(super) undecidable: BTreeMap<&'a str, u64>,
    pub(super) left_out: u64,
}

impl Survivals {
    /// Compares what reached the backend of an exchange with what had reached the gateway.
    pub(super) fn add(&mut self, recorded: &Recorded) {
        let lines = || recorded.request.headers.iter().map(|line| (line.name.as_slice(), line.value.as_slice()));
        let apim = recorded.apim.as_ref();
        let arrived = apim.and_then(|apim| apim.backend_request.as_ref());
        let api = || shortened(apim.and_then(|apim| apim.api.as_deref()).unwrap_or(&recorded.request.authority));
        if let Some(arrived) = arrived.filter(|arrived| !arrived.is_empty()) {
            let api = api();
            if self.logged.contains_key(&api) || self.logged.len() < MAX_ROWS {
                self.logged.entry(api).or_default().extend(arrived.iter().map(|(carrier, _)| carrier));
            }
        }
        let is_traced = lines().any(|(name, _)| Carrier::named(name).is_some());
        let Some(arrived) = arrived.filter(|_| is_traced) else {
            let is_called = apim.and_then(|apim| apim.backend_response_code).is_some_and(|code| code != 0);
            let why = match () {
                () if !is_traced => Unsaid::NoTraceHeader,
                () if is_called || apim.is_none() => Unsaid::BackendNotLogged,
                () => Unsaid::NotForwarded,
            };
            *self.unsaid.entry(why).or_default() += 1;
            return;
        };
        let sent = Carried::of(lines());
        self.compared += 1;
        let fates = sent.iter().filter_map(|(carrier, _)| Some((carrier, Fate::of(carrier, &sent, arrived)?)));
        let lost: Vec<(Carrier, Fate)> = fates.filter(|(_, fate)| !fate.is_right()).collect();
        self.survived += u64::from(lost.is_empty());
        for (carrier, fate) in lost {
            let operation = apim.and_then(|apim| apim.operation.as_deref()).map(shortened);
            let row = Row { api: api(), operation, carrier, fate, cause: Cause::of(carrier, fate, &sent, arrived) };
            if self.rows.contains_key(&row) || self.rows.len() < MAX_ROWS {
                *self.rows.entry(row).or_default() += 1;
            } else {
                self.left_out += 1;
            }
        }
    }

    /// Whether there is anything to say.
    pub(super) const fn any(&self) -> bool {
        self.compared > 0
    }

    /// What didn't come through, by API, operation and header.
    pub(super) fn lost(&self) -> impl Iterator<Item = Lost<'_>> {
        self.rows.iter().map(|(row, &exchanges)| {
            let is_logged = self.logged.get(&row.api).is_some_and(|logged| logged.contains(&row.carrier));
            Lost {
                api: &row.api,
                operation: row.operation.as_deref(),
                header: row.carrier.name(),
                outcome: row.fate.as_str(),
                exchanges,
                cause: row.cause.as_str(is_logged),
                explanation: row.cause.explanation(is_logged),
            }
        })
    }

    /// How many exchanges that is of.
    pub(super) fn compared(&self) -> Compared<'_> {
        let &Self { compared, survived, left_out, .. } = self;
        let undecidable = self.unsaid.iter().map(|(unsaid, &count)| (unsaid.as_str(), count)).collect();
        Compared { compared, survived, undecidable, left_out }
    }

    /// What stands over it.
    pub(super) fn heading(&self) -> String {
        let Self { compared, survived, .. } = self;
        format!("trace headers from the gateway to the backend: {compared} exchanges log both sides, all survive in {survived} of them")
    }

    /// Why nothing can be said of the other exchanges: a count, a code and what it means.
    pub(super) fn unsaid(&self) -> impl Iterator<Item = (u64, &'static str, &'static str)> {
        self.unsaid.iter().map(|(unsaid, &count)| (count, unsaid.as_str(), unsaid.explanation()))
    }

    /// What is missing where only `most` rows are shown.
    pub(super) fn more(&self, most: usize) -> Option<String> {
        let rows = self.rows.len().saturating_sub(most);
        let beyond = |count| format!("{count} lost headers beyond the first {MAX_ROWS} rows");
        match (rows, self.left_out) {
            (0, 0) => None,
            (0, left_out) => Some(format!("… and {}", beyond(left_out))),
            (rows, 0) => Some(format!("… and {rows} more (--format json has all)")),
            (rows, left_out) => Some(format!("… and {rows} more (--format json has them), and {}", beyond(left_out))),
        }
    }
}

impl Unsaid {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoTraceHeader => "no_trace_header",
            Self::BackendNotLogged => "backend_not_logged",
            Self::NotForwarded => "not_forwarded",
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::NoTraceHeader => "the log holds no trace header of the request to the gateway",
            Self::BackendNotLogged => "the log holds no header of the request to the backend",
            Self::NotForwarded => "no backend was called",
        }
    }
}

/// A recording's names could hold anything: escaped, they forge no row.
fn shortened(name: &str) -> String {
    printable(name).chars().take(MAX_NAME).collect()
}

const MAX_ROWS: usize = 1000;
const MAX_NAME: usize = 60;
