// SPDX-License-Identifier: Apache-2.0
//! One limit's counters in shared memory.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Answered, Bank, Case, Outcome, Taken, exceeded};
use crate::decision::Reason;
use crate::inputs::Inputs;
use crate::metrics::{Counts, QuotaFate};
use crate::quota::calendar::Period;
use crate::quota::key::hex;
use crate::quota::lease::{self, Lease, Spending, Terms};
use crate::quota::limit::{Enforcement, Global, GlobalMode, OnFull, Quota, Window};
use crate::quota::meter::{Meter, Moment, Reading};
use crate::quota::table::{Digest, Table, Unplaced};

/// One limit's counters.
#[derive(Debug)]
pub(super) struct Counter {
    meters: Table<3>,
    /// Of a limit whose service is asked for slices.
    leases: Option<Table<10>>,
}

impl Counter {
    pub(super) fn new(quota: &Quota) -> Self {
        match &quota.enforcement {
            Enforcement::Local(local) => Self { meters: Table::new(&id(quota, "local", local.slots), local.slots), leases: None },
            Enforcement::Global(global) => Self {
                meters: Table::new(&id(quota, "share", global.slots), global.slots),
                leases: matches!(global.mode, GlobalMode::Lease { .. })
                    .then(|| Table::new(&id(quota, "lease", global.slots), global.slots)),
            },
        }
    }

    /// Counts a request here, up to `limit`.
    pub(super) fn take(&self, case: &Case<'_>, on_full: OnFull, limit: u64, inputs: &mut Inputs<'_>, counts: &mut Counts) -> Outcome {
        let meter = Meter { window: &case.quota.limit.window, limit };
        let moment = Moment::of(meter.window, inputs.now);
        let mut count = |digest: Option<Digest>| {
            let digest = digest.ok_or(Unplaced::Unavailable)?;
            let live = |words: &_| Meter::is_live(meter.window, words, moment);
            self.meters.update(digest, inputs.store, live, |own| meter.take(own, moment, case.cost)).map(|reading| (digest, reading))
        };
        let counted = match (count(case.digest), on_full) {
            (Err(Unplaced::Full), OnFull::SharedBucket) => {
                counts.count_quota(case.index, QuotaFate::Full);
                count(Some(Digest::OVERFLOW))
            }
            (counted, _) => counted,
        };
        let now = inputs.now;
        let taken = |digest, reading: Reading| Taken {
            quota: case.index,
            limit,
            place: Some((Bank::Meter, digest)),
            cost: case.cost,
            stamp: reading.stamp,
            reading: Some(reading),
            now,
        };
        match counted {
            Ok((digest, reading)) if reading.retry.is_none() => Outcome::Taken(taken(digest, reading)),
            Ok((digest, reading)) => Outcome::Refused { reason: exceeded(case.quota), taken: Some(taken(digest, reading)) },
            Err(unplaced) => {
                if unplaced == Unplaced::Full {
                    counts.count_quota(case.index, QuotaFate::Full);
                }
                match on_full {
                    OnFull::Admit => Outcome::Skipped,
                    OnFull::Refuse | OnFull::SharedBucket => Outcome::Refused { reason: Reason::QuotaUnavailable, taken: None },
                }
            }
        }
    }

    /// Spends of a slice.
    pub(super) fn spend(
        &self,
        case: &Case<'_>,
        period: Period,
        terms: &Terms,
        may_ask: bool,
        inputs: &mut Inputs<'_>,
    ) -> Result<(Spending, Lease), Unplaced> {
        let Some(leases) = &self.leases else { return Err(Unplaced::Unavailable) };
        let now = inputs.now;
        let live = |words: &lease::Words| Lease::is_live(words, period);
        leases.update(case.digest.ok_or(Unplaced::Unavailable)?, inputs.store, live, |own| {
            let (lease, spending) = Lease::spend(own, now, case.cost, may_ask, period, terms);
            // Where nothing changes nothing is written: neither for who waits, nor for who is refused.
            let same = own == Some(lease.to_words());
            ((!same).then(|| lease.to_words()), (spending, lease))
        })
    }

    /// Whether who waits for a slice should look again: there is one, or nobody asks for one.
    pub(super) fn has_turned(&self, quota: &Quota, digest: Digest, inputs: &mut Inputs<'_>) -> bool {
        let (Some(leases), Some(period)) = (&self.leases, quota.limit.window.period_at(inputs.now)) else { return true };
        let live = |words: &lease::Words| Lease::is_live(words, period);
        let now = inputs.now;
        let look = leases.update(digest, inputs.store, live, |own| {
            let lease = own.map(Lease::from_words);
            (None, lease.is_none_or(|lease| lease.tokens > 0 || !lease.is_asked(now)))
        });
        look.unwrap_or(true)
    }

    /// Takes a service's answer about a slice.
    #[expect(clippy::too_many_arguments, reason = "an answer, and what it is about")]
    pub(super) fn answer(
        &self,
        quota: &Quota,
        global: &Global,
        digest: Digest,
        asked: lease::Asked,
        answered: Answered,
        remaining: Option<u64>,
        inputs: &mut Inputs<'_>,
    ) {
        let (Some(leases), Some(terms), Some(period)) = (&self.leases, terms(global), quota.limit.window.period_at(inputs.now)) else {
            return;
        };
        let now = inputs.now;
        let live = |words: &lease::Words| Lease::is_live(words, period);
        // A key that has lost its place loses its slice.
        let _ = leases.update(digest, inputs.store, live, |own| {
            let next = match answered {
                Answered::Within { .. } => Lease::granted(own, now, asked, remaining, period, &terms),
                Answered::Above => Lease::refused(own, now, asked, remaining, period, &terms),
                Answered::Failed => own.is_some().then(|| Lease::unanswered(own, now, period, &terms)),
            };
            (next.map(Lease::to_words), ())
        });
    }

    /// Gives back what was taken, in the window in which it was.
    pub(super) fn give(&self, quota: &Quota, taken: &Taken, inputs: &mut Inputs<'_>) {
        let Some((bank, digest)) = taken.place.filter(|_| taken.cost > 0) else { return };
        let meter = Meter { window: &quota.limit.window, limit: taken.limit };
        self.change(
            (bank, digest),
            quota,
            inputs,
            |own, moment| meter.give(own, taken.stamp, taken.cost, moment.now),
            |own| Lease::give(own, taken.stamp, taken.cost),
        );
    }

    /// Takes what a request has cost beyond what was taken.
    pub(super) fn charge(&self, quota: &Quota, taken: &Taken, cost: u64, inputs: &mut Inputs<'_>) {
        let Some(place) = taken.place.filter(|_| cost > 0) else { return };
        let meter = Meter { window: &quota.limit.window, limit: taken.limit };
        self.change(place, quota, inputs, |own, moment| Some(meter.charge(own, moment, cost)), |own| Lease::charge(own, taken.stamp, cost));
    }

    /// Changes a counter. One that has no place is left as it is.
    fn change(
        &self,
        (bank, digest): (Bank, Digest),
        quota: &Quota,
        inputs: &mut Inputs<'_>,
        mut meter: impl FnMut(Option<[u64; 3]>, Moment) -> Option<[u64; 3]>,
        mut lease: impl FnMut(Option<lease::Words>) -> Option<Lease>,
    ) {
        let window = &quota.limit.window;
        let moment = Moment::of(window, inputs.now);
        match (bank, &self.leases) {
            (Bank::Meter, _) => {
                let live = |words: &_| Meter::is_live(window, words, moment);
                let _ = self.meters.update(digest, inputs.store, live, |own| (meter(own, moment), ()));
            }
            (Bank::Lease, Some(leases)) => {
                let Some(period) = moment.period else { return };
                let live = |words: &lease::Words| Lease::is_live(words, period);
                let _ = leases.update(digest, inputs.store, live, |own| (lease(own).map(Lease::to_words), ()));
            }
            (Bank::Lease, None) => {}
        }
    }
}

/// How slices are taken from a service; `None` for one that is asked for each request.
pub(super) const fn terms(global: &Global) -> Option<Terms> {
    match global.mode {
        GlobalMode::Exact => None,
        GlobalMode::Lease { max_slice, duration } => Some(Terms { max_slice, duration, timeout: global.timeout }),
    }
}

/// Names a quota's counters: a new limit keeps them, a new window, key or size starts afresh.
fn id(quota: &Quota, kind: &str, slots: u32) -> String {
    let mut text = format!("{kind}\n{}\n{slots}\n{:?}\n", quota.name, quota.limit.unit);
    let _ = match &quota.limit.window {
        Window::Rate { window, .. } => write!(text, "rate {window}"),
        Window::Sliding { window } => write!(text, "sliding {window}"),
        Window::Fixed(fixed) => write!(text, "fixed {} {}", fixed.length, fixed.anchor),
        Window::Calendar(calendar) => write!(text, "calendar {:?} {} {:?}", calendar.unit, calendar.zone.name(), calendar.anchor),
    };
    for part in &quota.key {
        let _ = write!(text, "\n{part:?}");
    }
    let digest = Sha256::digest(text.as_bytes());
    hex(digest.get(..8).unwrap_or_default())
}
