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
    until: u64,
}

/// How many are remembered.
const MAX_ABSENT: usize = 256;

impl AbsentKeys {
    /// Whether a key should make nobody fetch.
    pub(super) fn has(&self, id: &str, now: u64) -> bool {
        self.0.get(id).is_some_and(|absent| now < absent.until)
    }

    /// A key has made us fetch in vain: each time the wait before it may do so again doubles, from `shortest` to `longest`.
    pub(super) fn add(&mut self, id: &str, now: u64, shortest: u64, longest: u64) {
        let times = self.0.get(id).map_or(0, |absent| absent.times);
        if self.0.len() >= MAX_ABSENT && !self.0.contains_key(id) {
            let first = self.0.iter().min_by_key(|(_, absent)| absent.until).map(|(id, _)| id.clone());
            first.map(|id| self.0.remove(&id));
        }
        let wait = shortest.saturating_mul(1 << times.min(16)).min(longest.max(shortest));
        self.0.insert(id.to_owned(), Absent { times: times.saturating_add(1), until: now.saturating_add(wait) });
    }
}
