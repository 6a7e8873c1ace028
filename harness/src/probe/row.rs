// SPDX-License-Identifier: Apache-2.0
//! What a probe found out about one header.

use serde::Serialize;

use super::answer::{Answer, Arrived};
use super::plan::{Kind, Marked};
use super::{Carrier, Fate, cause};

/// A header, how it was sent, and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) header: &'static str,
    pub(super) sent: String,
    pub(super) at_backend: String,
    pub(super) outcome: &'static str,
    /// Whether it came through as it should.
    pub(super) survives: bool,
    /// Whether that is a reason for exit code 1.
    pub(super) finding: bool,
    pub(super) cause: Option<&'static str>,
    #[serde(skip)]
    alone: Option<(Carrier, Fate)>,
}

impl Row {
    /// Adds a row for each header that a request is about.
    pub(super) fn each(rows: &mut Vec<Self>, marked: &Marked, answer: &Answer, bare: &Arrived) {
        for &carrier in &marked.about {
            let how = match marked.kind {
                Kind::Malformed => ", malformed",
                Kind::All => ", with all others",
                _ if carrier == Carrier::TRACESTATE => ", with traceparent",
                _ => "",
            };
            let sent = format!("{}{how}", lines(marked.count(carrier)));
            rows.extend(match answer {
                Answer::Refused(status) => Some(Self::refused(carrier.name(), sent, *status, marked.kind)),
                Answer::Echoed(arrived) => Self::compared(marked, carrier, sent, arrived, bare),
            });
        }
    }

    /// Adds a row for all headers together, and one for each to which something else happens than when it is alone.
    pub(super) fn together(rows: &mut Vec<Self>, marked: &Marked, answer: &Answer, bare: &Arrived) {
        let sent = lines(marked.lines.len());
        let arrived = match answer {
            Answer::Refused(status) => return rows.push(Self::refused(TOGETHER, sent, *status, marked.kind)),
            Answer::Echoed(arrived) => arrived,
        };
        let mut each = Vec::new();
        Self::each(&mut each, marked, answer, bare);
        each.retain(|row| !rows.iter().any(|alone| alone.alone == row.alone));
        let survives = each.iter().all(|row| row.survives);
        let count: usize = Carrier::ALL.iter().map(|&carrier| arrived.count(carrier)).sum();
        let outcome = if each.is_empty() { "as alone" } else { "otherwise" };
        rows.push(Self { header: TOGETHER, sent, at_backend: lines(count), outcome, survives, finding: false, cause: None, alone: None });
        rows.extend(each);
    }

    fn compared(marked: &Marked, carrier: Carrier, sent: String, arrived: &Arrived, bare: &Arrived) -> Option<Self> {
        let (was, is) = (marked.sent(), arrived.carried.get(carrier));
        let fate = marked.fate(carrier, &arrived.carried)?;
        let is_own = |value: &[u8]| marked.lines.iter().any(|(_, sent)| Fate::of_values(carrier, sent.as_bytes(), value).is_right());
        // Of two, one may go on alone; nothing malformed does.
        let is_one_of_two = marked.kind == Kind::Twice && fate == Fate::Dropped && is.is_some_and(is_own);
        let outcome = match (fate, is) {
            (Fate::Passed, Some(is)) if was.get(carrier) == Some(is) => "passed unchanged though malformed",
            (Fate::Passed, _) => "altered, still malformed",
            (Fate::Absent | Fate::Dropped, None) => "removed",
            (Fate::Dropped, Some(_)) if is_one_of_two => "one of two kept",
            (Fate::Dropped, Some(_)) => "replaced by a fresh trace",
            (fate, _) => fate.as_str(),
        };
        let survives = fate.is_right();
        Some(Self {
            header: carrier.name(),
            sent,
            at_backend: lines(arrived.count(carrier)),
            outcome,
            survives,
            finding: !survives && carrier.is_trace_context(),
            cause: cause::of(carrier, fate, &was, arrived, bare),
            alone: matches!(marked.kind, Kind::Alone | Kind::All).then_some((carrier, fate)),
        })
    }

    /// Whoever refuses what is malformed lets nothing malformed reach the backend.
    fn refused(header: &'static str, sent: String, status: u16, kind: Kind) -> Self {
        let survives = matches!(kind, Kind::Malformed | Kind::Twice);
        let is_about = header == TOGETHER || Carrier::named(header.as_bytes()).is_some_and(Carrier::is_trace_context);
        let cause = (!survives).then_some("the gateway refuses requests that carry it");
        let at_backend = format!("answered {status}");
        Self { header, sent, at_backend, outcome: "refused", survives, finding: !survives && is_about, cause, alone: None }
    }
}

fn lines(count: usize) -> String {
    match count {
        0 => "none".to_owned(),
        1 => "1 line".to_owned(),
        count => format!("{count} lines"),
    }
}

const TOGETHER: &str = "all together";
