// SPDX-License-Identifier: Apache-2.0
//! What a rate-limit service is asked.

use super::count::{Counter, terms};
use super::{Answered, Asked, Bank, Case, Outcome, Purpose, Taken, Waiting, exceeded};
use crate::effect::{CallId, ExchangeId, RateLimitCall};
use crate::inputs::Inputs;
use crate::metrics::{Counts, QuotaFate};
use crate::quota::breaker::Breaker;
use crate::quota::calendar::Period;
use crate::quota::key::entry_name;
use crate::quota::lease;
use crate::quota::limit::{Global, LimitFrom, QuotaUnit, Window};
use crate::quota::meter::Reading;
use crate::quota::rls::{self, Answer, Descriptor};
use crate::quota::table::Unplaced;

/// A service, as one VM knows it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) breaker: Breaker,
}

/// What asking comes to.
pub(super) struct Consulted {
    /// `None` where the service doesn't answer.
    pub(super) outcome: Option<Outcome>,
    /// What it is asked.
    pub(super) ask: Option<(RateLimitCall, Asked)>,
}

impl Consulted {
    const fn of(outcome: Option<Outcome>) -> Self {
        Self { outcome, ask: None }
    }
}

impl Service {
    pub(super) const fn new(global: &Global) -> Self {
        Self { breaker: Breaker::new(global.failures, global.retry_after) }
    }

    /// Asks for each request.
    #[expect(clippy::too_many_arguments, reason = "the parts of a ledger and of the world")]
    pub(super) fn exact(
        &mut self,
        case: &Case<'_>,
        global: &Global,
        id: ExchangeId,
        waiting: &Waiting,
        room: bool,
        call: &mut impl FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
    ) -> Consulted {
        let (now, monotonic) = (inputs.now, inputs.monotonic);
        let Some(period) = case.quota.limit.window.period_at(now) else { return Consulted::of(None) };
        if let Some(answered) = waiting.answer {
            return Consulted::of(answered_outcome(case, answered, period, now));
        }
        if let (Some(call), Some(deadline)) = (waiting.call, waiting.deadline) {
            // Woken for something else, or given up.
            let waits = monotonic < deadline;
            return Consulted::of(waits.then_some(Outcome::Wait { call: Some(call), slice: None, deadline }));
        }
        let cost = u32::try_from(case.cost).unwrap_or(u32::MAX);
        if cost == 0 {
            // A service takes nothing for one: what costs nothing isn't asked about.
            return Consulted::of(Some(Outcome::Skipped));
        }
        let patient = !case.quota.shadow;
        if !room || !self.breaker.lets(monotonic) {
            return Consulted::of(None);
        }
        let call = call();
        let deadline = own_deadline(monotonic, global.timeout);
        let message = rls::encode_request(&global.domain, &[descriptor(case, period)], cost);
        let outcome = if patient { Outcome::Wait { call: Some(call), slice: None, deadline } } else { Outcome::Skipped };
        let asked = Asked { quota: case.index, purpose: Purpose::One, by: patient.then_some(id), deadline };
        Consulted { outcome: Some(outcome), ask: Some((request(call, global, message, patient, global.timeout), asked)) }
    }

    /// Spends of a slice, and asks for the next.
    #[expect(clippy::too_many_arguments, reason = "the parts of a ledger and of the world")]
    pub(super) fn lease(
        &mut self,
        case: &Case<'_>,
        global: &Global,
        id: ExchangeId,
        counter: &Counter,
        waiting: &Waiting,
        room: bool,
        call: &mut impl FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
    ) -> Consulted {
        let (now, monotonic) = (inputs.now, inputs.monotonic);
        let (Some(terms), Some(period)) = (terms(global), case.quota.limit.window.period_at(now)) else { return Consulted::of(None) };
        let Some(digest) = case.digest else { return Consulted::of(None) };
        // Who has no room to wait asks nothing: the answer would be lost.
        let may_ask = room && self.breaker.would_let(monotonic);
        let (spending, lease) = match counter.spend(case, period, &terms, may_ask, inputs) {
            Ok(spent) => spent,
            Err(unplaced) => {
                if unplaced == Unplaced::Full {
                    counts.count_quota(case.index, QuotaFate::Full);
                    // A key without a place for slices is asked about each time.
                    if case.quota.limit.unit == QuotaUnit::Requests {
                        return self.exact(case, global, id, waiting, room, call, inputs);
                    }
                }
                return Consulted::of(None);
            }
        };
        let ask = spending.ask.map(|slice| {
            let _ = self.breaker.lets(monotonic);
            let message = rls::encode_request(&global.domain, &[descriptor(case, period)], u32::try_from(slice).unwrap_or(u32::MAX));
            let purpose = Purpose::Slice(digest, lease::Asked { slice, start: lease.start });
            let by = (spending.outcome == lease::Outcome::Wait && !case.quota.shadow).then_some(id);
            let (awaited, patience) = if by.is_some() { (true, global.timeout) } else { (false, terms.patience()) };
            let asked = Asked { quota: case.index, purpose, by, deadline: own_deadline(monotonic, patience) };
            (request(call(), global, message, awaited, patience), asked)
        });
        let remaining = if lease.remaining == u64::MAX { None } else { Some(lease.remaining.saturating_add(lease.tokens)) };
        let outcome = match spending.outcome {
            lease::Outcome::Spent => {
                let reading = remaining.map(|remaining| within(remaining, period, now));
                Some(Outcome::Taken(Taken {
                    quota: case.index,
                    limit: case.limit,
                    place: Some((Bank::Lease, digest)),
                    cost: case.cost,
                    stamp: lease.start,
                    reading,
                    now,
                }))
            }
            lease::Outcome::Exhausted => Some(above(case, period, now)),
            lease::Outcome::Wait if case.quota.shadow => Some(Outcome::Skipped),
            lease::Outcome::Wait => {
                let deadline = waiting.deadline.unwrap_or(own_deadline(monotonic, global.timeout));
                // Nobody asks, since the service is down; or the time is over.
                let asked = ask.is_some() || lease.is_asked(now);
                (monotonic < deadline && asked && room).then_some(Outcome::Wait { call: None, slice: Some((case.index, digest)), deadline })
            }
        };
        Consulted { outcome, ask }
    }
}

/// Until when an answer is waited for. The host's own time-out comes first: it counts from when a call goes out, which may be a tick later.
const fn own_deadline(now: u64, timeout: u64) -> u64 {
    const TICK: u64 = 10_000_000;
    now.saturating_add(timeout).saturating_add(TICK)
}

/// A call to a service, as an effect.
fn request(call: CallId, global: &Global, message: Vec<u8>, awaited: bool, timeout: u64) -> RateLimitCall {
    RateLimitCall { call, cluster: global.cluster.clone(), message, awaited, timeout }
}

/// What a service's answer comes to; `None` where there was none.
fn answered_outcome(case: &Case<'_>, answered: Answered, period: Period, now: i64) -> Option<Outcome> {
    match answered {
        Answered::Failed => None,
        Answered::Above => Some(above(case, period, now)),
        Answered::Within { remaining } => {
            let reading = remaining.map(|remaining| within(remaining, period, now));
            Some(Outcome::Taken(Taken { quota: case.index, limit: case.limit, place: None, cost: case.cost, stamp: 0, reading, now }))
        }
    }
}

fn within(remaining: u64, period: Period, now: i64) -> Reading {
    Reading { remaining, retry: None, reset: until(period, now), stamp: 0 }
}

/// A service has nothing left for this key until the window ends.
fn above(case: &Case<'_>, period: Period, now: i64) -> Outcome {
    let until = until(period, now);
    let reading = Reading { remaining: 0, retry: Some(until), reset: until, stamp: 0 };
    let taken = Taken { quota: case.index, limit: case.limit, place: None, cost: 0, stamp: 0, reading: Some(reading), now };
    Outcome::Refused { reason: exceeded(case.quota), taken: Some(taken) }
}

const fn until(period: Period, now: i64) -> u64 {
    if period.end == i64::MAX { u64::MAX } else { period.end.abs_diff(now) }
}

/// What a service counts a request under: the quota, its key, and the window that it lies in by this gateway's clock. The service's own windows are
/// at least as long.
fn descriptor(case: &Case<'_>, period: Period) -> Descriptor {
    let mut descriptor = Descriptor::default();
    descriptor.entries.push(("quota".to_owned(), case.quota.name.clone()));
    if matches!(case.quota.limit_from, Some(LimitFrom::Products(_))) {
        descriptor.entries.push(("limit".to_owned(), case.limit.to_string()));
    }
    match &case.key {
        Some(key) => key.entries(&case.quota.key, &mut descriptor),
        None => {
            let shared = case.quota.key.iter().map(|part| (entry_name(part), ABSENT.to_owned()));
            descriptor.entries.extend(shared);
        }
    }
    if let Some(label) = label(&case.quota.limit.window, period) {
        descriptor.entries.push(("window".to_owned(), label));
    }
    descriptor
}

/// What stands for the values of a key that can't be told: an entry has one, and no value goes out as it is with a control character in it.
const ABSENT: &str = "\u{7f}absent";

fn label(window: &Window, period: Period) -> Option<String> {
    match window {
        Window::Calendar(calendar) => Some(calendar.label(period)),
        Window::Fixed(fixed) => Some(fixed.label(period)),
        Window::Rate { .. } | Window::Sliding { .. } => None,
    }
}

/// How much is left, where a service says so.
pub(super) fn remaining(answer: &Answer) -> Option<u64> {
    let by_status = answer.statuses.iter().filter(|status| status.limit.is_some()).map(|status| u64::from(status.remaining)).min();
    by_status.or(answer.remaining)
}
