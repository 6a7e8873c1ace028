// SPDX-License-Identifier: Apache-2.0
//! The numbers of a table's rows, by what the edge is compared with.

use super::report::Report;
use super::totals::Totals;

/// What stands in each row.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) headings: &'static [&'static str],
    /// The column in which anything but 0 is something to look at.
    pub(super) alarm: usize,
    pub(super) numbers: fn(&Totals) -> Vec<u64>,
    /// What a row's bar is made of, by column, and the colours; the rest of the exchanges is not drawn.
    pub(super) parts: &'static [(usize, &'static str)],
}

impl Columns {
    /// Those of a report.
    pub(super) const fn of(report: &Report) -> &'static Self {
        match report {
            Report { against: Some(_), .. } => &AGAINST_EDGE,
            Report { minted: Some(_), limits: Some(_), .. } => &WITH_BOTH,
            Report { minted: Some(_), .. } => &WITH_MINTED,
            Report { limits: Some(_), .. } => &WITH_EXPLAINED,
            _ => &WITH_RECORD,
        }
    }
}

const WITH_RECORD: Columns = Columns {
    headings: &["exchanges", "continued", "restarted", "refused", "agreed", "differed", "undecidable"],
    alarm: 5,
    numbers: |totals| {
        let &Totals { exchanges, continued, restarted, refused, agreed, differed, undecidable, .. } = totals;
        vec![exchanges, continued, restarted, refused, agreed, differed, undecidable]
    },
    parts: &[(1, "#2277bb"), (2, "#999999"), (3, "#cc2222")],
};

const WITH_MINTED: Columns = Columns {
    headings: &["exchanges", "continued", "restarted", "refused", "agreed", "differed", "undecidable", "minted"],
    numbers: |totals| {
        let minted = totals.minted_agreed + totals.minted_differed;
        (WITH_RECORD.numbers)(totals).into_iter().chain([minted]).collect()
    },
    ..WITH_RECORD
};

const WITH_EXPLAINED: Columns = Columns {
    headings: &["exchanges", "continued", "restarted", "refused", "agreed", "differed", "undecidable", "explained"],
    numbers: |totals| (WITH_RECORD.numbers)(totals).into_iter().chain([totals.explained]).collect(),
    ..WITH_RECORD
};

const WITH_BOTH: Columns = Columns {
    headings: &["exchanges", "continued", "restarted", "refused", "agreed", "differed", "undecidable", "minted", "explained"],
    numbers: |totals| (WITH_MINTED.numbers)(totals).into_iter().chain([totals.explained]).collect(),
    ..WITH_RECORD
};

const AGAINST_EDGE: Columns = Columns {
    headings: &["exchanges", "differed", "newly refused", "newly admitted", "otherwise"],
    alarm: 1,
    numbers: |totals| {
        let &Totals { exchanges, differed, newly_refused, newly_admitted, .. } = totals;
        let otherwise = differed.saturating_sub(newly_refused).saturating_sub(newly_admitted);
        vec![exchanges, differed, newly_refused, newly_admitted, otherwise]
    },
    parts: &[(2, "#cc2222"), (3, "#dd8800"), (4, "#999999")],
};
