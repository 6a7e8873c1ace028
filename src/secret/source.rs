// SPDX-License-Identifier: Apache-2.0
//! When one secret is fetched: at start, then before each interval is over; after a failure soon again, and ever more seldom while it fails.

use super::reference::Refresh;
use crate::backoff::backoff;
use crate::effect::CallId;
use crate::inputs::Entropy;

/// A secret that is fetched.
#[derive(Debug)]
pub(super) struct Source {
    /// Its place in the store.
    pub(super) place: usize,
    /// The managed identity that may read it, where one must.
    pub(super) identity: Option<usize>,
    pub(super) refresh: Refresh,
    pub(super) under_way: Option<Pending>,
    /// Which of its identity's tokens the question carries that is under way.
    pub(super) token: u64,
    /// The vault has refused a token, and another one is tried.
    pub(super) is_refused: bool,
    /// When it is asked for next, on the monotonic clock.
    due: u64,
    /// When it was asked for last, for others' sake.
    hastened: Option<u64>,
    /// Failures in a row.
    failures: u32,
    /// The operator knows that it fails.
    is_noted: bool,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    call: CallId,
    deadline: u64,
    timeout: u64,
}

impl Pending {
    pub(super) const fn new(call: CallId, timeout: u64, now: u64) -> Self {
        // The host's own time-out comes first: it knows better what went wrong.
        Self { call, deadline: now.saturating_add(timeout).saturating_add(MARGIN), timeout }
    }

    pub(super) fn is(&self, call: CallId) -> bool {
        self.call == call
    }

    /// Whether no answer is waited for any more.
    pub(super) const fn is_late(&self, now: u64) -> bool {
        // A deadline further away than any is a clock's that has jumped.
        now >= self.deadline || self.deadline > now.saturating_add(self.timeout).saturating_add(MARGIN)
    }
}

impl Source {
    pub(super) const fn new(place: usize, identity: Option<usize>, refresh: Refresh) -> Self {
        let (under_way, token, is_refused, due, hastened, failures, is_noted) = (None, 0, false, 0, None, 0, false);
        Self { place, identity, refresh, under_way, token, is_refused, due, hastened, failures, is_noted }
    }

    /// Whether it is to be asked for now.
    pub(super) const fn is_due(&self, now: u64) -> bool {
        // Further away than anything waits is a clock's that has jumped.
        self.under_way.is_none() && (now >= self.due || self.due > now.saturating_add(self.refresh.interval).saturating_add(LONGEST_WAIT))
    }

    /// A good answer has come.
    pub(super) fn succeed(&mut self, now: u64, entropy: &mut dyn Entropy) {
        (self.failures, self.is_noted, self.is_refused) = (0, false, false);
        // Up to a tenth earlier, by chance, lest all gateways ask at once.
        let mut drawn = [0; 2];
        let share = if entropy.fill(&mut drawn).is_ok() { u16::from_le_bytes(drawn) } else { 0 };
        let early = (self.refresh.interval / 10).saturating_mul(share.into()) >> 16;
        self.due = now.saturating_add(self.refresh.interval.saturating_sub(early));
    }

    /// It has failed. Whether the operator should hear of it: once, until it goes well again.
    pub(super) fn fail(&mut self, now: u64, entropy: &mut dyn Entropy) -> bool {
        self.failures = self.failures.saturating_add(1);
        (self.under_way, self.is_refused) = (None, false);
        self.due = now.saturating_add(backoff(self.failures, entropy));
        !std::mem::replace(&mut self.is_noted, true)
    }

    /// Somebody doubts the value that is there. Asked for at once, but not again and again.
    pub(super) fn hasten(&mut self, now: u64) {
        let lately = self.hastened.is_some_and(|before| before <= now && now.saturating_sub(before) < HASTE);
        if self.failures == 0 && !lately {
            (self.due, self.hastened) = (now, Some(now));
        }
    }
}

/// How much longer than a call should take it is waited for, in nanoseconds.
const MARGIN: u64 = 250_000_000;
/// Longer than any wait after a failure, in nanoseconds.
const LONGEST_WAIT: u64 = 60_000_000_000;
/// The shortest time between two questions for others' sake, in nanoseconds.
const HASTE: u64 = 10_000_000_000;
