// SPDX-License-Identifier: Apache-2.0
//! What is counted: summed here, handed to the host on tick, so that a request pays for no host call.
//!
//! ABI metrics have no labels, so a name carries them: `tracegate.requests.<decision>.<reason>`. The shipped Envoy
//! configuration turns the two last parts into tags.

use crate::decision::{Decision, Reason};
use crate::trace::{RestartCause, Settled};

/// Something that is counted.
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
    /// A fresh trace began.
    Restarted(RestartCause),
    /// The host gave no randomness: no id could be minted.
    Unminted,
    /// A caller's malformed `tracestate` was dropped.
    TraceStateDropped,
}

impl Counter {
    /// Every counter; its place here is its index.
    pub const ALL: [Self; 17] = [
        Self::Admitted,
        Self::Refused(Reason::RequestHeadersUnreadable),
        Self::Refused(Reason::RequestHostAmbiguous),
        Self::Refused(Reason::RequestPathAmbiguous),
        Self::Refused(Reason::OperationNotFound),
        Self::Refused(Reason::AccessDenied),
        Self::Shadowed(Reason::RequestHeadersUnreadable),
        Self::Shadowed(Reason::RequestHostAmbiguous),
        Self::Shadowed(Reason::RequestPathAmbiguous),
        Self::Shadowed(Reason::OperationNotFound),
        Self::Shadowed(Reason::AccessDenied),
        Self::Continued,
        Self::Restarted(RestartCause::Absent),
        Self::Restarted(RestartCause::Malformed),
        Self::Restarted(RestartCause::Several),
        Self::Unminted,
        Self::TraceStateDropped,
    ];

    /// The metric's name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Admitted => "tracegate.requests.admitted.none".to_owned(),
            Self::Refused(reason) => format!("tracegate.requests.refused.{}", reason.as_str()),
            Self::Shadowed(reason) => format!("tracegate.requests.shadowed.{}", reason.as_str()),
            Self::Continued => "tracegate.traces.continued.none".to_owned(),
            Self::Restarted(RestartCause::Absent) => "tracegate.traces.restarted.absent".to_owned(),
            Self::Restarted(RestartCause::Malformed) => "tracegate.traces.restarted.malformed".to_owned(),
            Self::Restarted(RestartCause::Several) => "tracegate.traces.restarted.several".to_owned(),
            Self::Unminted => "tracegate.traces.unminted.no_entropy".to_owned(),
            Self::TraceStateDropped => "tracegate.tracestates.dropped.malformed".to_owned(),
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Admitted => 0,
            Self::Refused(reason) => 1_usize.saturating_add(reason.index()),
            Self::Shadowed(reason) => 6_usize.saturating_add(reason.index()),
            Self::Continued => 11,
            Self::Restarted(RestartCause::Absent) => 12,
            Self::Restarted(RestartCause::Malformed) => 13,
            Self::Restarted(RestartCause::Several) => 14,
            Self::Unminted => 15,
            Self::TraceStateDropped => 16,
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
        }
    }
}

/// What has been counted since the last [`drain`](Counts::drain).
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts([u64; Counter::ALL.len()]);

impl Counts {
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

    pub(crate) fn count_trace(&mut self, settled: Settled) {
        match settled {
            Settled::Continued { state_dropped, .. } => {
                self.add(Counter::Continued);
                if state_dropped {
                    self.add(Counter::TraceStateDropped);
                }
            }
            Settled::Restarted { cause, .. } => self.add(Counter::Restarted(cause)),
            Settled::Unminted => self.add(Counter::Unminted),
        }
    }

    fn add(&mut self, counter: Counter) {
        if let Some(count) = self.0.get_mut(counter.index()) {
            *count = count.saturating_add(1);
        }
    }

    /// What has been counted, by index in [`Counter::ALL`], zeros left out; counting starts anew.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (usize, u64)> + use<> {
        std::mem::take(self).0.into_iter().enumerate().filter(|&(_, count)| count > 0)
    }
}

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
