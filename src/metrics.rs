// SPDX-License-Identifier: Apache-2.0
//! What is counted: summed here, handed to the host on tick, so that a request pays for no host call.
//!
//! ABI metrics have no labels, so a name carries them: `tracegate.requests.<decision>.<reason>`. The shipped Envoy
//! configuration turns the two last parts into tags.

use crate::config::Policy;
use crate::decision::{Decision, Reason};
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
}

impl Counter {
    /// Every counter; its place here is its index.
    pub const ALL: [Self; 31] = [
        Self::Admitted,
        Self::Refused(Reason::RequestHeadersUnreadable),
        Self::Refused(Reason::RequestHostAmbiguous),
        Self::Refused(Reason::RequestPathAmbiguous),
        Self::Refused(Reason::OperationNotFound),
        Self::Refused(Reason::AccessDenied),
        Self::Refused(Reason::TraceContextRejected),
        Self::Shadowed(Reason::RequestHeadersUnreadable),
        Self::Shadowed(Reason::RequestHostAmbiguous),
        Self::Shadowed(Reason::RequestPathAmbiguous),
        Self::Shadowed(Reason::OperationNotFound),
        Self::Shadowed(Reason::AccessDenied),
        Self::Shadowed(Reason::TraceContextRejected),
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
    ];

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
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Admitted => 0,
            Self::Refused(reason) => 1_usize.saturating_add(reason.index()),
            Self::Shadowed(reason) => 7_usize.saturating_add(reason.index()),
            Self::Continued => 13,
            Self::Linked => 14,
            Self::Restarted(RestartCause::Absent) => 15,
            Self::Restarted(RestartCause::Malformed) => 16,
            Self::Restarted(RestartCause::Several) => 17,
            Self::Restarted(RestartCause::Untrusted) => 18,
            Self::Unminted => 19,
            Self::TraceStateDropped => 20,
            Self::BaggageDropped => 21,
            Self::MalformedCarrier => 22,
            Self::ConflictingCarriers => 23,
            Self::ForeignPair => 24,
            Self::Recorded(DecidedBy::Parent) => 25,
            Self::Recorded(DecidedBy::Probability | DecidedBy::Limit) => 26,
            Self::Recorded(DecidedBy::Refusal) => 27,
            Self::Skipped(DecidedBy::Parent) => 28,
            Self::Skipped(DecidedBy::Probability) => 29,
            Self::Skipped(DecidedBy::Limit | DecidedBy::Refusal) => 30,
        }
    }
}

impl Reason {
    const fn index(self) -> usize {
        match self {
            Self::RequestHeadersUnreadable => 0,
            Self::RequestHostAmbiguous => 1,
            Self::RequestPathAmbiguous => 2,
            Self::OperationNotFound => 3,
            Self::AccessDenied => 4,
            Self::TraceContextRejected => 5,
        }
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
/// principal's traces.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    counts: Vec<u64>,
    /// Whether the policy says anything about recording: what is always so needs no count.
    samples: bool,
}

impl Counts {
    pub(crate) fn new(policy: &Policy) -> Self {
        let principals = policy.trace.trust.rules().len().saturating_mul(FATES.len());
        Self { counts: vec![0; Counter::ALL.len().saturating_add(principals)], samples: policy.trace.sampling.is_some() }
    }

    /// The metrics' names, by index. Policies have at most 64 trust rules, whose names hold no dots.
    pub(crate) fn names(policy: &Policy) -> Vec<String> {
        let rules = policy.trace.trust.rules().iter();
        let principals = rules.flat_map(|rule| FATES.map(|fate| format!("tracegate.principals.{fate}.{}", rule.name)));
        Counter::ALL.into_iter().map(Counter::name).chain(principals).collect()
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
            self.add_at(Counter::ALL.len().saturating_add(rule.saturating_mul(FATES.len())).saturating_add(fate));
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

    fn add(&mut self, counter: Counter) {
        self.add_at(counter.index());
    }

    fn add_at(&mut self, index: usize) {
        if let Some(count) = self.counts.get_mut(index) {
            *count = count.saturating_add(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_place_and_name() {
        let mut names = std::collections::BTreeSet::new();
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter.index(), index, "{counter:?}");
            assert!(names.insert(counter.name()), "{counter:?}");
        }
    }
}
