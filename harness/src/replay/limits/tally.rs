// SPDX-License-Identifier: Apache-2.0
//! Exchanges under a limit, counted.

use serde::Serialize;

/// Exchanges under a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// All on routes that have the limit.
    pub(super) exchanges: u64,
    /// API Management limited them.
    pub(super) then: u64,
    /// This edge limits them.
    pub(super) now: u64,
    /// Both did.
    pub(super) both: u64,
    /// One of the two did, and the algorithms explain it.
    pub(super) explained: u64,
    /// Likewise, and they don't.
    pub(super) unexplained: u64,
}

impl Tally {
    /// Counts an exchange.
    pub(super) fn count(&mut self, then: bool, now: bool) {
        self.exchanges += 1;
        self.then += u64::from(then);
        self.now += u64::from(now);
        self.both += u64::from(then && now);
    }

    /// Notes whether a difference is explained.
    pub(super) const fn note(&mut self, explained: bool) {
        if explained { self.explained += 1 } else { self.unexplained += 1 }
    }

    /// Whether either side limited any.
    pub(super) const fn is_limited(&self) -> bool {
        self.then > 0 || self.now > 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            exchanges: self.exchanges + other.exchanges,
            then: self.then + other.then,
            now: self.now + other.now,
            both: self.both + other.both,
            explained: self.explained + other.explained,
            unexplained: self.unexplained + other.unexplained,
        }
    }

    pub(super) const fn numbers(&self) -> [u64; 6] {
        [self.exchanges, self.then, self.now, self.both, self.explained, self.unexplained]
    }
}
