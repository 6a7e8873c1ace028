// SPDX-License-Identifier: Apache-2.0
//! Keys that a fetch didn't bring.

use std::collections::BTreeMap;

/// Keys, by id, that make nobody fetch again for a while.
#[derive(Debug, Default)]
pub(super) struct AbsentKeys(BTreeMap<String, Absent>);

#[derive(Clone, Copy, Debug)]
struct Absent {
    /// How often it has made us fetch in vain.
    times: u32,
    since: u64,
    wait: u64,
}

impl Absent {
    /// Whether it makes nobody fetch. A clock that has jumped back ends the wait.
    const fn counts(self, now: u64) -> bool {
        self.since <= now && now < self.since.saturating_add(self.wait)
    }
}

/// How many are remembered.
const MAX_ABSENT: usize = 256;

impl AbsentKeys {
    /// Whether a key should make nobody fetch.
    pub(super) fn has(&self, id: &str, now: u64) -> bool {
        self.0.get(id).is_some_and(|absent| absent.counts(now))
    }

    /// A key has made us fetch in vain: it may do so again after `shortest`, then after two and then after four times that. No longer: who guesses
    /// the id of a key to come must not keep it out for hours.
    pub(super) fn add(&mut self, id: &str, now: u64, shortest: u64) {
        let times = self.0.get(id).map_or(0, |absent| absent.times);
        if self.0.len() >= MAX_ABSENT && !self.0.contains_key(id) {
            let first = self.0.iter().min_by_key(|(_, absent)| absent.since.saturating_add(absent.wait)).map(|(id, _)| id.clone());
            first.map(|id| self.0.remove(&id));
        }
        let wait = shortest.saturating_mul(1 << times.min(2));
        self.0.insert(id.to_owned(), Absent { times: times.saturating_add(1), since: now, wait });
    }
}
