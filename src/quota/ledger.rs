// SPDX-License-Identifier: Apache-2.0
//! What a gateway keeps of its limits: which exchange was charged what, which ones wait, and what services were asked.

mod ask;
mod charges;
mod count;
mod own_limit;
mod refusal;

use std::collections::BTreeMap;

use self::ask::Service;
pub(crate) use self::charges::Charges;
use self::charges::{Bank, Taken};
use self::count::Counter;
use self::own_limit::own_limit;
use self::refusal::{exceeded, refusal, told};
use super::breaker::Change;
use super::key::{Key, Keyed};
use super::lease;
use super::limit::{Enforcement, GlobalMode, KeyAbsent, OnFull, OnServiceUnavailable, Quota, QuotaUnit};
use super::rls::{self, Code};
use super::table::{Digest, Seed};
use super::{QuotaPolicy, Totals};
use crate::condition::Facts;
use crate::decision::{Reason, Refusal};
use crate::effect::{CallId, Effect, ExchangeId, NoteOf, Woken};
use crate::event::{CallFailed, MAX_ANSWER, Reply};
use crate::identity::Provider;
use crate::inputs::Inputs;
use crate::metrics::{Counts, QuotaFate};

/// What a gateway keeps of its limits.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In the quotas' order.
    counters: Vec<Counter>,
    /// What keys are hashed with; `None` before the first, and where the host has no store.
    seed: Option<Seed>,
    /// The services, by cluster.
    services: BTreeMap<String, Service>,
    waiting: BTreeMap<ExchangeId, Waiting>,
    asked: BTreeMap<CallId, Asked>,
}

/// A request as limits see it.
pub(crate) struct Asking<'a, 'f, 'i> {
    pub(crate) id: ExchangeId,
    pub(crate) policy: &'a QuotaPolicy,
    /// The route's limits, by their places in the policy, in the order in which they are charged.
    pub(crate) limits: &'a [usize],
    /// The route's name.
    pub(crate) route: &'a str,
    pub(crate) providers: &'a [Provider],
    pub(crate) facts: &'a mut Facts<'f, 'i>,
}

/// What limits come to.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It may go on.
    Admitted {
        charges: Charges,
        /// Why a limit in `mode: shadow` would have refused it.
        shadow: Option<Reason>,
        effects: Vec<Effect>,
    },
    /// It is above a limit.
    Refused { refusal: Refusal, effects: Vec<Effect> },
    /// A service is asked, or will be.
    Wait(Vec<Effect>),
}

/// An exchange that waits for a service.
#[derive(Debug, Default)]
struct Waiting {
    /// What it was charged before.
    taken: Vec<Taken>,
    shadow: Option<Reason>,
    /// Limits in `mode: shadow` that would have refused it.
    would_refuse: Vec<usize>,
    /// The limit that it waits for, by its place in the route's list.
    next: usize,
    /// Until when, on the monotonic clock.
    deadline: Option<u64>,
    /// What it waits for is an answer of its own.
    call: Option<CallId>,
    /// Or a slice for this key of this quota, whoever asks for it.
    slice: Option<(usize, Digest)>,
    answer: Option<Answered>,
}

/// What a service says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Within { remaining: Option<u64> },
    Above,
    Failed,
}

/// What a service was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    quota: usize,
    purpose: Purpose,
    /// The exchange that waits for it: when that is over, the answer is lost with it.
    by: Option<ExchangeId>,
    /// Until when an answer is waited for, on the monotonic clock.
    deadline: u64,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// One request, which waits for it unless the limit is in `mode: shadow`.
    One,
    /// A slice for this key.
    Slice(Digest, lease::Asked),
}

/// What one limit comes to.
enum Outcome {
    Taken(Taken),
    /// It doesn't concern this request.
    Skipped,
    Refused {
        reason: Reason,
        taken: Option<Taken>,
    },
    Wait {
        call: Option<CallId>,
        slice: Option<(usize, Digest)>,
        deadline: u64,
    },
}

/// One request and one limit.
struct Case<'p> {
    index: usize,
    quota: &'p Quota,
    limit: u64,
    cost: u64,
    key: Option<Key>,
    /// `None` where the host has no store or no randomness: it can't be counted here.
    digest: Option<Digest>,
    /// It costs nothing.
    free: bool,
}

/// How many exchanges may wait at once: each holds a request open.
const MAX_WAITING: usize = 1000;
/// How many calls may be under way at once.
const MAX_ASKED: usize = 2000;

impl Ledger {
    pub(crate) fn new(policy: &QuotaPolicy) -> Self {
        let mut services = BTreeMap::new();
        for quota in &policy.quotas {
            if let Enforcement::Global(global) = &quota.enforcement {
                services.entry(global.cluster.clone()).or_insert_with(|| Service::new(global));
            }
        }
        Self { counters: policy.quotas.iter().map(Counter::new).collect(), services, ..Self::default() }
    }

    /// Whether a quota's service counts as down; `None` where it has none.
    pub(crate) fn is_down(&self, quota: &Quota) -> Option<bool> {
        let Enforcement::Global(global) = &quota.enforcement else { return None };
        Some(self.services.get(&global.cluster).is_some_and(|service| service.breaker.is_open()))
    }

    /// Charges a request, or says why not. A request that was told to wait is asked about again, from the limit on that it waits for.
    pub(crate) fn admit(
        &mut self,
        asking: &mut Asking<'_, '_, '_>,
        mut call: impl FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
    ) -> Admission {
        let mut effects = Vec::new();
        let mut waiting = self.waiting.remove(&asking.id).unwrap_or_default();
        let (policy, limits) = (asking.policy, asking.limits);
        while let Some(&index) = limits.get(waiting.next) {
            let Some(quota) = policy.quotas.get(index) else { break };
            let mut free = false;
            let outcome = match self.case(index, quota, asking, inputs) {
                Ok(case) => {
                    free = case.free;
                    self.take(&case, asking.id, &mut waiting, &mut call, inputs, counts, &mut effects)
                }
                Err(outcome) => outcome,
            };
            match outcome {
                Outcome::Taken(taken) => {
                    counts.count_quota(index, QuotaFate::Admitted);
                    // What costs nothing now costs nothing later.
                    let place = taken.place.filter(|_| !free);
                    waiting.taken.push(Taken { place, ..taken });
                }
                Outcome::Skipped => counts.count_quota(index, QuotaFate::Skipped),
                Outcome::Refused { reason, .. } if quota.shadow => {
                    counts.count_quota(index, QuotaFate::WouldRefuse);
                    waiting.shadow = waiting.shadow.or(Some(reason));
                    waiting.would_refuse.push(index);
                }
                Outcome::Refused { reason, taken } => {
                    counts.count_quota(index, QuotaFate::Refused);
                    let refusal = refusal(policy, quota, reason, &waiting.taken, taken);
                    self.give_back(policy, &waiting.taken, inputs);
                    return Admission::Refused { refusal, effects };
                }
                Outcome::Wait { call, slice, deadline } => {
                    if waiting.deadline.is_none() {
                        counts.count_quota(index, QuotaFate::Waited);
                    }
                    (waiting.call, waiting.slice, waiting.deadline) = (call, slice, Some(deadline));
                    self.waiting.insert(asking.id, waiting);
                    return Admission::Wait(effects);
                }
            }
            let Waiting { taken, shadow, would_refuse, next, .. } = waiting;
            waiting = Waiting { taken, shadow, would_refuse, next: next.saturating_add(1), ..Waiting::default() };
        }
        let fields = told(policy, &waiting.taken);
        let Waiting { taken, shadow, would_refuse, .. } = waiting;
        Admission::Admitted { charges: Charges { taken, fields, would_refuse }, shadow, effects }
    }

    /// Who is counted, how much it may have, and what the request costs.
    fn case<'p>(
        &mut self,
        index: usize,
        quota: &'p Quota,
        asking: &mut Asking<'_, '_, '_>,
        inputs: &mut Inputs<'_>,
    ) -> Result<Case<'p>, Outcome> {
        let key = Key::of(&quota.key, &mut Keyed { facts: asking.facts, route: asking.route, providers: asking.providers });
        let absent = |reason| Outcome::Refused { reason, taken: None };
        match (&key, quota.key_absent) {
            (Some(_), _) | (None, KeyAbsent::SharedBucket) => {}
            (None, KeyAbsent::Skip) => return Err(Outcome::Skipped),
            (None, KeyAbsent::Refuse) => return Err(absent(Reason::QuotaKeyNotFound)),
        }
        if self.seed.is_none() {
            self.seed = Seed::share(inputs.store, inputs.entropy);
        }
        let costs = quota.cost.when.as_ref().is_none_or(|when| when.known(asking.facts) != Some(false));
        let cost = match quota.limit.unit {
            QuotaUnit::Requests => quota.cost.amount,
            QuotaUnit::Bytes => quota.cost.reserve,
        };
        let limit = own_limit(quota, asking.facts).unwrap_or(quota.limit.amount).max(1);
        let digest = self.seed.map(|seed| match &key {
            None => Digest::KEYLESS,
            // Of a rate of the caller's own, what another rate has left says nothing; nor does it of slices.
            Some(key)
                if quota.limit_from.is_some() && quota.limit.window.is_rate() || matches!(quota.enforcement, Enforcement::Global(_)) =>
            {
                seed.digest(&[key.as_bytes(), &limit.to_le_bytes()].concat())
            }
            Some(key) => seed.digest(key.as_bytes()),
        });
        Ok(Case { index, quota, limit, cost: if costs { cost } else { 0 }, key, digest, free: !costs })
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a ledger and of the world")]
    fn take(
        &mut self,
        case: &Case<'_>,
        id: ExchangeId,
        waiting: &mut Waiting,
        call: &mut impl FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        // The ledger was made for this policy: there is one.
        let uncounted = Outcome::Refused { reason: Reason::QuotaUnavailable, taken: None };
        let Some(counter) = self.counters.get(case.index) else { return uncounted };
        let global = match &case.quota.enforcement {
            Enforcement::Local(local) => return counter.take(case, local.on_full, case.limit, inputs, counts),
            Enforcement::Global(global) => global,
        };
        let room = self.waiting.len() < MAX_WAITING && self.asked.len() < MAX_ASKED;
        let Some(service) = self.services.get_mut(&global.cluster) else { return uncounted };
        let asked = match global.mode {
            GlobalMode::Exact => service.exact(case, global, id, waiting, room, call, inputs),
            GlobalMode::Lease { .. } => service.lease(case, global, id, counter, waiting, room, call, inputs, counts),
        };
        if let Some((effect, asked)) = asked.ask {
            self.asked.insert(effect.call, asked);
            effects.push(Effect::CheckRateLimit(effect));
        }
        match asked.outcome {
            Some(outcome) => outcome,
            // The service doesn't answer.
            None => {
                counts.count_quota(case.index, QuotaFate::Unavailable);
                match global.on_unavailable {
                    OnServiceUnavailable::Admit => Outcome::Skipped,
                    OnServiceUnavailable::Refuse => Outcome::Refused { reason: Reason::QuotaUnavailable, taken: None },
                    OnServiceUnavailable::Local { share } => {
                        let limit = u128::from(case.limit).saturating_mul(u128::from(share)) / 1000;
                        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
                        counter.take(case, OnFull::SharedBucket, limit, inputs, counts)
                    }
                }
            }
        }
    }

    /// A response has come: what costs nothing by its status is given back.
    pub(crate) fn respond(&mut self, policy: &QuotaPolicy, charges: &mut Charges, status: u16, inputs: &mut Inputs<'_>) {
        let is_free = |taken: &mut Taken| {
            let response = policy.quotas.get(taken.quota).and_then(|quota| quota.cost.response.as_ref());
            response.is_some_and(|response| !response.matches(status))
        };
        let free: Vec<Taken> = charges.taken.extract_if(.., is_free).collect();
        self.give_back(policy, &free, inputs);
    }

    /// An exchange is over: what its bytes cost beyond what was taken ahead is taken, or what they don't cost given back.
    pub(crate) fn close(&mut self, policy: &QuotaPolicy, charges: &Charges, totals: Totals, inputs: &mut Inputs<'_>) {
        let bytes = totals.request_bytes.saturating_add(totals.response_bytes);
        for taken in &charges.taken {
            let Some((quota, counter)) = policy.quotas.get(taken.quota).zip(self.counters.get(taken.quota)) else { continue };
            if quota.limit.unit != QuotaUnit::Bytes {
                continue;
            }
            if bytes >= taken.cost {
                counter.charge(quota, taken, bytes.saturating_sub(taken.cost), inputs);
            } else {
                counter.give(quota, &Taken { cost: taken.cost.saturating_sub(bytes), ..*taken }, inputs);
            }
        }
    }

    /// An exchange is refused after all.
    pub(crate) fn cancel(&mut self, policy: &QuotaPolicy, charges: &Charges, inputs: &mut Inputs<'_>) {
        self.give_back(policy, &charges.taken, inputs);
    }

    /// An exchange is over: what it was charged while it waited is given back, and what it asked for is lost. That is no fault of the service's.
    pub(crate) fn forget(&mut self, policy: &QuotaPolicy, id: ExchangeId, inputs: &mut Inputs<'_>) {
        self.dismiss(policy, id, inputs);
        let lost = self.asked.extract_if(.., |_, asked| asked.by == Some(id));
        for (_, asked) in lost {
            let quota = policy.quotas.get(asked.quota).zip(self.counters.get(asked.quota));
            let Some((quota, counter)) = quota else { continue };
            let Enforcement::Global(global) = &quota.enforcement else { continue };
            if let Some(service) = self.services.get_mut(&global.cluster) {
                service.breaker.lost();
            }
            if let Purpose::Slice(digest, slice) = asked.purpose {
                counter.answer(quota, global, digest, slice, Answered::Failed, None, inputs);
            }
        }
    }

    /// An exchange waits no more: what it was charged is given back.
    pub(crate) fn dismiss(&mut self, policy: &QuotaPolicy, id: ExchangeId, inputs: &mut Inputs<'_>) {
        if let Some(waiting) = self.waiting.remove(&id) {
            self.give_back(policy, &waiting.taken, inputs);
        }
    }

    fn give_back(&self, policy: &QuotaPolicy, taken: &[Taken], inputs: &mut Inputs<'_>) {
        for taken in taken {
            if let Some((quota, counter)) = policy.quotas.get(taken.quota).zip(self.counters.get(taken.quota)) {
                counter.give(quota, taken, inputs);
            }
        }
    }

    /// Whether the next tick should come soon.
    pub(crate) fn is_urgent(&self) -> bool {
        !self.waiting.is_empty() || !self.asked.is_empty()
    }

    /// Gives up calls that nobody has answered, and wakes whom it concerns: those whose time is over, and those whose slice another VM may have got.
    pub(crate) fn tick(&mut self, policy: &QuotaPolicy, inputs: &mut Inputs<'_>, counts: &mut Counts, woken: &mut Woken) {
        let now = inputs.monotonic;
        let late: Vec<CallId> = self.asked.iter().filter(|(_, asked)| asked.deadline <= now).map(|(call, _)| *call).collect();
        for call in late {
            self.reply(policy, call, Err(CallFailed::TimedOut), inputs, counts, woken);
        }
        // Another VM may have got a slice: each key is looked at once.
        let mut looked = BTreeMap::new();
        for (id, waiting) in &self.waiting {
            let late = waiting.deadline.is_none_or(|deadline| deadline <= now);
            let turned = late
                || waiting.slice.is_some_and(|(quota, digest)| {
                    *looked.entry((quota, digest)).or_insert_with(|| {
                        let counter = policy.quotas.get(quota).zip(self.counters.get(quota));
                        counter.is_none_or(|(quota, counter)| counter.has_turned(quota, digest, inputs))
                    })
                });
            if turned {
                woken.wake.push(*id);
            }
        }
    }

    /// Takes a service's answer. `false` where the call is none of the ledger's.
    pub(crate) fn reply(
        &mut self,
        policy: &QuotaPolicy,
        call: CallId,
        answer: Result<Reply<'_>, CallFailed>,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
        woken: &mut Woken,
    ) -> bool {
        let Some(asked) = self.asked.remove(&call) else { return false };
        let Some(quota) = policy.quotas.get(asked.quota) else { return true };
        let Enforcement::Global(global) = &quota.enforcement else { return true };
        // An answer that says nothing is none.
        let answer = answer
            .ok()
            .filter(|reply| reply.body.len() <= MAX_ANSWER)
            .and_then(|reply| rls::decode_response(reply.body).ok())
            .filter(|answer| answer.code != Code::Unknown);
        let change = self.services.get_mut(&global.cluster).and_then(|service| match &answer {
            Some(_) => service.breaker.succeeded(),
            None => service.breaker.failed(inputs.monotonic),
        });
        if let Some(change) = change {
            let text = match change {
                Change::Down => "it doesn't answer, and counts as down",
                Change::Up => "it answers again",
            };
            woken.notes.push((NoteOf::Service(asked.quota), text.to_owned()));
        }
        if answer.is_none() {
            counts.count_quota(asked.quota, QuotaFate::Failed);
        }
        let answered = match &answer {
            None => Answered::Failed,
            Some(answer) if answer.code == Code::OverLimit => Answered::Above,
            Some(answer) => Answered::Within { remaining: ask::remaining(answer) },
        };
        match asked.purpose {
            Purpose::One => match asked.by {
                Some(id) => {
                    if let Some(waiting) = self.waiting.get_mut(&id).filter(|waiting| waiting.call == Some(call)) {
                        waiting.answer = Some(answered);
                        woken.wake.push(id);
                    }
                }
                None if answered == Answered::Above => counts.count_quota(asked.quota, QuotaFate::WouldRefuse),
                None => {}
            },
            Purpose::Slice(digest, slice) => {
                let told = answer.as_ref().and_then(ask::remaining);
                if let Some(counter) = self.counters.get(asked.quota) {
                    counter.answer(quota, global, digest, slice, answered, told, inputs);
                }
                if matches!(answered, Answered::Within { .. }) {
                    counts.count_quota(asked.quota, QuotaFate::Leased);
                }
                let waits = |(_, waiting): &(&ExchangeId, &Waiting)| waiting.slice == Some((asked.quota, digest));
                woken.wake.extend(self.waiting.iter().filter(waits).map(|(id, _)| *id));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
