// SPDX-License-Identifier: Apache-2.0
//! What is counted: summed here, handed to the host on tick, so that a request pays for no host call.
//!
//! ABI metrics have no labels, so a name carries them: `tracegate.requests.<decision>.<reason>`. The shipped Envoy
//! configuration turns the two last parts into tags.

mod durations;
mod levels;

pub(crate) use durations::{Durations, Timed};
pub(crate) use levels::{Levels, is_published};

use crate::config::Policy;
use crate::decision::{Decision, Reason};
use crate::export::{Collector, Fate};
use crate::secret::SecretFate;
use crate::trace::{DecidedBy, Outcome, RestartCause, Settled};

/// Something that every gateway counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// A request went on to the upstream.
    Admitted,
    /// A request was answered here.
    Refused(Reason),
    /// A request went on that a rule in `mode: shadow` would have refused.
    Shadowed(Reason),
    /// A caller's trace went on.
    Continued,
    /// A fresh trace began, linked to the caller's.
    Linked,
    /// A fresh trace began.
    Restarted(RestartCause),
    /// The host gave no randomness: no id could be minted.
    Unminted,
    /// A caller's malformed `tracestate` was dropped.
    TraceStateDropped,
    /// Members of a caller's baggage were dropped.
    BaggageDropped,
    /// A sign of a spoofed context: a malformed carrier.
    MalformedCarrier,
    /// A sign of a spoofed context: carriers that name different traces.
    ConflictingCarriers,
    /// A sign of a spoofed context: ids that somebody else sent a short while ago.
    ForeignPair,
    /// A span is to be recorded, and who decided so.
    Recorded(DecidedBy),
    /// A span is not to be recorded, and who decided so.
    Skipped(DecidedBy),
    /// A token was known to be genuine.
    TokenCached,
    /// The host found a token to be genuine.
    TokenVerifiedByHost,
    /// This module found a token to be genuine.
    TokenVerified,
    /// A token passed unverified, for want of keys and by the policy's choice.
    TokenUnverified,
    /// A record of the audit has left the trail: for the log, and for collectors, whose own counts say what became of it.
    Audited,
    /// A record found no room while its key or its instance's name had still to come, or its host took no lines.
    AuditDropped,
}

/// What became of a fetch of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFate {
    /// They came.
    Fetched,
    /// They didn't.
    Failed,
}

/// What becomes of a request at a limit, or of a question to its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuotaFate {
    /// It was counted, and is within the limit.
    Admitted,
    /// It is above the limit, or can't be counted and is refused for it.
    Refused,
    /// The same of a limit in `mode: shadow`.
    WouldRefuse,
    /// The limit doesn't concern it, or it isn't counted and goes on.
    Skipped,
    /// Its key found no room.
    Full,
    /// It waited for the service.
    Waited,
    /// The service gave a slice.
    Leased,
    /// The service didn't answer a question.
    Failed,
    /// It was decided without the service.
    Unavailable,
}

impl Counter {
    /// Those that come once; the others come once for each reason.
    const SINGLE: [Self; 25] = [
        Self::Admitted,
        Self::Continued,
        Self::Linked,
        Self::Restarted(RestartCause::Absent),
        Self::Restarted(RestartCause::Malformed),
        Self::Restarted(RestartCause::Several),
        Self::Restarted(RestartCause::Untrusted),
        Self::Unminted,
        Self::TraceStateDropped,
        Self::BaggageDropped,
        Self::MalformedCarrier,
        Self::ConflictingCarriers,
        Self::ForeignPair,
        Self::Recorded(DecidedBy::Parent),
        Self::Recorded(DecidedBy::Probability),
        Self::Recorded(DecidedBy::Refusal),
        Self::Skipped(DecidedBy::Parent),
        Self::Skipped(DecidedBy::Probability),
        Self::Skipped(DecidedBy::Limit),
        Self::TokenCached,
        Self::TokenVerifiedByHost,
        Self::TokenVerified,
        Self::TokenUnverified,
        Self::Audited,
        Self::AuditDropped,
    ];
    const COUNT: usize = Self::SINGLE.len() + 2 * Reason::ALL.len();

    /// Every counter; its place here is its index.
    pub fn all() -> impl Iterator<Item = Self> {
        let refused = Reason::ALL.into_iter().map(Self::Refused);
        let shadowed = Reason::ALL.into_iter().map(Self::Shadowed);
        Self::SINGLE.into_iter().chain(refused).chain(shadowed)
    }

    /// The metric's name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Admitted => "tracegate.requests.admitted.none".to_owned(),
            Self::Refused(reason) => format!("tracegate.requests.refused.{}", reason.as_str()),
            Self::Shadowed(reason) => format!("tracegate.requests.shadowed.{}", reason.as_str()),
            Self::Continued => "tracegate.traces.continued.none".to_owned(),
            Self::Linked => "tracegate.traces.linked.none".to_owned(),
            Self::Restarted(cause) => format!("tracegate.traces.restarted.{}", cause.as_str()),
            Self::Unminted => "tracegate.traces.unminted.no_entropy".to_owned(),
            Self::TraceStateDropped => "tracegate.tracestates.dropped.malformed".to_owned(),
            Self::BaggageDropped => "tracegate.baggage.dropped.members".to_owned(),
            Self::MalformedCarrier => "tracegate.indicators.spoofing.malformed_carrier".to_owned(),
            Self::ConflictingCarriers => "tracegate.indicators.spoofing.conflicting_carriers".to_owned(),
            Self::ForeignPair => "tracegate.indicators.spoofing.foreign_pair".to_owned(),
            Self::Recorded(by) => format!("tracegate.sampling.recorded.{}", by.as_str()),
            Self::Skipped(by) => format!("tracegate.sampling.skipped.{}", by.as_str()),
            Self::TokenCached => "tracegate.tokens.verified.cached".to_owned(),
            Self::TokenVerifiedByHost => "tracegate.tokens.verified.by_host".to_owned(),
            Self::TokenVerified => "tracegate.tokens.verified.by_module".to_owned(),
            Self::TokenUnverified => "tracegate.tokens.unverified.no_keys".to_owned(),
            Self::Audited => "tracegate.audit.recorded.none".to_owned(),
            Self::AuditDropped => "tracegate.audit.dropped.no_room".to_owned(),
        }
    }

    fn index(self) -> usize {
        let (reason, before) = match self {
            Self::Admitted => return 0,
            Self::Continued => return 1,
            Self::Linked => return 2,
            Self::Restarted(RestartCause::Absent) => return 3,
            Self::Restarted(RestartCause::Malformed) => return 4,
            Self::Restarted(RestartCause::Several) => return 5,
            Self::Restarted(RestartCause::Untrusted) => return 6,
            Self::Unminted => return 7,
            Self::TraceStateDropped => return 8,
            Self::BaggageDropped => return 9,
            Self::MalformedCarrier => return 10,
            Self::ConflictingCarriers => return 11,
            Self::ForeignPair => return 12,
            Self::Recorded(DecidedBy::Parent) => return 13,
            Self::Recorded(DecidedBy::Probability | DecidedBy::Limit) => return 14,
            Self::Recorded(DecidedBy::Refusal) => return 15,
            Self::Skipped(DecidedBy::Parent) => return 16,
            Self::Skipped(DecidedBy::Probability) => return 17,
            Self::Skipped(DecidedBy::Limit | DecidedBy::Refusal) => return 18,
            Self::TokenCached => return 19,
            Self::TokenVerifiedByHost => return 20,
            Self::TokenVerified => return 21,
            Self::TokenUnverified => return 22,
            Self::Audited => return 23,
            Self::AuditDropped => return 24,
            Self::Refused(reason) => (reason, Self::SINGLE.len()),
            Self::Shadowed(reason) => (reason, Self::SINGLE.len().saturating_add(Reason::ALL.len())),
        };
        Reason::ALL.iter().position(|other| *other == reason).unwrap_or(0).saturating_add(before)
    }
}

impl RestartCause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Malformed => "malformed",
            Self::Several => "several",
            Self::Untrusted => "untrusted",
        }
    }
}

impl DecidedBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Probability => "probability",
            Self::Limit => "limit",
            Self::Refusal => "refusal",
        }
    }
}

/// What has been counted since the last [`drain`](Counts::drain): every [`Counter`], then for each trust rule what became of its
/// principal's traces, then for each provider what became of fetches of its keys, then for each quota what became of requests, then for each
/// collector what became of spans, then for each secret that is fetched what became of fetches of it.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    counts: Vec<u64>,
    /// Where the providers' begin.
    keys: usize,
    /// Where the quotas' begin.
    quotas: usize,
    /// Where the collectors' begin.
    spans: usize,
    /// Where the secrets' begin.
    secrets: usize,
    /// Whether the policy says anything about recording: what is always so needs no count.
    samples: bool,
}

impl Counts {
    pub(crate) fn new(policy: &Policy) -> Self {
        let principals = policy.trace.trust.rules().len().saturating_mul(FATES.len());
        let keys = Counter::COUNT.saturating_add(principals);
        let quotas = keys.saturating_add(policy.identity.providers.len().saturating_mul(KEY_FATES.len()));
        let spans = quotas.saturating_add(policy.quota.quotas.len().saturating_mul(QUOTA_FATES.len()));
        let secrets = spans.saturating_add(policy.export.collectors().count().saturating_mul(Fate::ALL.len()));
        let count = secrets.saturating_add(policy.fetched_secrets().len().saturating_mul(SecretFate::ALL.len()));
        Self { counts: vec![0; count], keys, quotas, spans, secrets, samples: policy.trace.sampling.is_some() }
    }

    /// The metrics' names, by index. Policies have at most 64 trust rules, 16 providers, 64 quotas, 4 collectors and 16 secrets
    /// that are fetched, whose names hold no dots.
    pub(crate) fn names(policy: &Policy) -> Vec<String> {
        let rules = policy.trace.trust.rules().iter();
        let principals = rules.flat_map(|rule| FATES.map(|fate| format!("tracegate.principals.{fate}.{}", rule.name)));
        let providers = policy.identity.providers.iter();
        let keys = providers.flat_map(|provider| KEY_FATES.map(|fate| format!("tracegate.keys.{fate}.{}", provider.name)));
        let quotas = policy.quota.quotas.iter();
        let quotas = quotas.flat_map(|quota| QUOTA_FATES.map(|fate| format!("tracegate.quotas.{fate}.{}", quota.name)));
        let fates = |signal: &'static str| {
            move |collector: &Collector| Fate::ALL.map(|fate| format!("tracegate.{signal}.{}.{}", fate.as_str(), collector.name))
        };
        let spans = policy.export.traces.iter().flat_map(fates("spans")).chain(policy.export.logs.iter().flat_map(fates("logs")));
        let mut names: Vec<String> = Counter::all().map(Counter::name).chain(principals).chain(keys).chain(quotas).chain(spans).collect();
        for name in policy.fetched_secrets() {
            names.extend(SecretFate::ALL.map(|fate| format!("tracegate.secrets.{}.{name}", fate.as_str())));
        }
        names
    }

    pub(crate) fn count_decision(&mut self, decision: &Decision) {
        match decision {
            Decision::Admitted { shadow } => {
                self.add(Counter::Admitted);
                if let Some(reason) = shadow {
                    self.add(Counter::Shadowed(*reason));
                }
            }
            Decision::Refused(refusal) => self.add(Counter::Refused(refusal.reason())),
        }
    }

    /// What was admitted a moment ago isn't let go on after all. What the host has been told by now stands.
    pub(crate) fn take_back(&mut self, shadow: Option<Reason>) {
        for counter in std::iter::once(Counter::Admitted).chain(shadow.map(Counter::Shadowed)) {
            if let Some(count) = self.counts.get_mut(counter.index()) {
                *count = count.saturating_sub(1);
            }
        }
    }

    pub(crate) fn count_trace(&mut self, settled: &Settled) {
        // A rejected trace shows in the reason of the refusal, one without ids in no principal's fate.
        let (counter, fate) = match settled.outcome {
            Outcome::Continued => (Some(Counter::Continued), Some(0)),
            Outcome::Linked => (Some(Counter::Linked), Some(1)),
            Outcome::Restarted(cause) => (Some(Counter::Restarted(cause)), Some(2)),
            Outcome::Rejected => (None, Some(3)),
            Outcome::Unminted => (Some(Counter::Unminted), None),
        };
        if let Some(counter) = counter {
            self.add(counter);
        }
        if let Some((rule, fate)) = settled.rule.zip(fate) {
            self.add_at(Counter::COUNT.saturating_add(rule.saturating_mul(FATES.len())).saturating_add(fate));
        }
        let by = settled.sampling.by;
        let counters = [
            (settled.state_dropped, Counter::TraceStateDropped),
            (settled.baggage_dropped > 0, Counter::BaggageDropped),
            (settled.indicators.malformed, Counter::MalformedCarrier),
            (settled.indicators.conflicting, Counter::ConflictingCarriers),
            (settled.indicators.foreign_pair, Counter::ForeignPair),
            (self.samples && settled.sent.is_some(), if settled.sampling.sampled { Counter::Recorded(by) } else { Counter::Skipped(by) }),
        ];
        counters.into_iter().filter(|(counts, _)| *counts).for_each(|(_, counter)| self.add(counter));
    }

    pub(crate) fn count_keys(&mut self, provider: usize, fate: KeyFate) {
        let fate = match fate {
            KeyFate::Fetched => 0,
            KeyFate::Failed => 1,
        };
        self.add_at(self.keys.saturating_add(provider.saturating_mul(KEY_FATES.len())).saturating_add(fate));
    }

    pub(crate) fn count_quota(&mut self, quota: usize, fate: QuotaFate) {
        let fate = match fate {
            QuotaFate::Admitted => 0,
            QuotaFate::Refused => 1,
            QuotaFate::WouldRefuse => 2,
            QuotaFate::Skipped => 3,
            QuotaFate::Full => 4,
            QuotaFate::Waited => 5,
            QuotaFate::Leased => 6,
            QuotaFate::Failed => 7,
            QuotaFate::Unavailable => 8,
        };
        self.add_at(self.quotas.saturating_add(quota.saturating_mul(QUOTA_FATES.len())).saturating_add(fate));
    }

    /// `collector` is its place among [all of them](crate::export::ExportPolicy::collectors).
    pub(crate) fn count_exported(&mut self, collector: usize, fate: Fate, many: u64) {
        let fate = Fate::ALL.iter().position(|other| *other == fate).unwrap_or(0);
        self.add_many(self.spans.saturating_add(collector.saturating_mul(Fate::ALL.len())).saturating_add(fate), many);
    }

    /// `place` is that among the secrets that are fetched.
    pub(crate) fn count_secret(&mut self, place: usize, fate: SecretFate) {
        let fate = SecretFate::ALL.iter().position(|other| *other == fate).unwrap_or(0);
        self.add_at(self.secrets.saturating_add(place.saturating_mul(SecretFate::ALL.len())).saturating_add(fate));
    }

    pub(crate) fn add_by(&mut self, counter: Counter, by: u64) {
        self.add_many(counter.index(), by);
    }

    pub(crate) fn add(&mut self, counter: Counter) {
        self.add_at(counter.index());
    }

    fn add_at(&mut self, index: usize) {
        self.add_many(index, 1);
    }

    fn add_many(&mut self, index: usize, by: u64) {
        if let Some(count) = self.counts.get_mut(index) {
            *count = count.saturating_add(by);
        }
    }

    /// What has been counted, by index in [`names`](Self::names), zeros left out; counting starts anew.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (usize, u64)> + use<> {
        let fresh = vec![0; self.counts.len()];
        std::mem::replace(&mut self.counts, fresh).into_iter().enumerate().filter(|&(_, count)| count > 0)
    }
}

/// What becomes of a principal's traces.
const FATES: [&str; 4] = ["continued", "linked", "restarted", "rejected"];

/// What becomes of fetches of keys.
const KEY_FATES: [&str; 2] = ["fetched", "failed"];

/// What becomes of requests at a limit, and of questions to its service.
const QUOTA_FATES: [&str; 9] = ["admitted", "refused", "would_refuse", "skipped", "full", "waited", "leased", "failed", "unavailable"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_place_and_name() {
        let mut names = std::collections::BTreeSet::new();
        assert_eq!(Counter::all().count(), Counter::COUNT);
        for (index, counter) in Counter::all().enumerate() {
            assert_eq!(counter.index(), index, "{counter:?}");
            assert!(names.insert(counter.name()), "{counter:?}");
        }
    }
}
