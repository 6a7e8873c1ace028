// SPDX-License-Identifier: Apache-2.0
//! What a replay came to, in numbers.

use super::{Agreement, Decided, Replayed, TraceFate};

/// Exchanges, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Exchanges replayed.
    pub exchanges: u64,
    /// Admitted by the edge.
    pub admitted: u64,
    /// Admitted, in the caller's trace.
    pub continued: u64,
    /// Admitted, in a fresh trace.
    pub restarted: u64,
    /// Refused by the edge.
    pub refused: u64,
    /// As what the edge is compared with has it.
    pub agreed: u64,
    /// Otherwise.
    pub differed: u64,
    /// The record doesn't tell.
    pub undecidable: u64,
    /// With a minted token, as the record has it; counted nowhere else.
    pub minted_agreed: u64,
    /// With a minted token, otherwise.
    pub minted_differed: u64,
    /// Otherwise, and the algorithms of two limits explain it; counted nowhere else.
    pub explained: u64,
    /// Refused, though the other edge admits.
    pub newly_refused: u64,
    /// Admitted, though the other edge refuses.
    pub newly_admitted: u64,
}

impl Totals {
    /// Counts one exchange.
    pub fn add(&mut self, replayed: &Replayed) {
        self.exchanges += 1;
        match (&replayed.decided, &replayed.against) {
            (Decided::Admitted { .. }, Some(Decided::Refused { .. })) => self.newly_admitted += 1,
            (Decided::Refused { .. }, Some(Decided::Admitted { .. })) => self.newly_refused += 1,
            _ => {}
        }
        match &replayed.decided {
            Decided::Admitted { .. } => self.admitted += 1,
            Decided::Refused { .. } => self.refused += 1,
        }
        match replayed.trace {
            TraceFate::Continued => self.continued += 1,
            TraceFate::Restarted => self.restarted += 1,
            TraceFate::None => {}
        }
        match (&replayed.agreement, replayed.minted()) {
            (Agreement::Agrees, None) => self.agreed += 1,
            (Agreement::Differs(_), None) if replayed.explained => self.explained += 1,
            (Agreement::Differs(_), None) => self.differed += 1,
            (Agreement::Agrees, Some(_)) => self.minted_agreed += 1,
            (Agreement::Differs(_), Some(_)) => self.minted_differed += 1,
            (Agreement::Undecidable(_), _) => self.undecidable += 1,
        }
    }
}
