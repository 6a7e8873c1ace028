// SPDX-License-Identifier: Apache-2.0
//! Whose trace context is believed: decided by principal, the first rule that matches.

use crate::condition::{Condition, Facts};
use crate::inputs::PeerFact;

/// What the policy says about trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustPolicy {
    /// In the policy's order; the last matches everybody. Empty: everybody is believed.
    rules: Vec<TrustRule>,
    /// What any of the rules may ask about.
    asks: Vec<PeerFact>,
    /// The providers whose callers any of the rules may ask about.
    providers: Vec<usize>,
}

/// A principal and what becomes of its trace context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRule {
    /// The policy's name for the principal.
    pub name: String,
    /// Who it is; `None` is everybody.
    pub when: Option<Condition>,
    /// What becomes of its context.
    pub context: Treatment,
    /// Whether its decision about recording counts.
    pub honor_sampled: bool,
    /// Whether its responses tell it our trace and span.
    pub trace_response: bool,
}

/// What becomes of a principal's trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// The caller's trace goes on.
    Continue,
    /// A fresh trace begins, linked to the caller's.
    Link,
    /// A fresh trace begins; the caller's context is dropped.
    Restart,
    /// A request with trace context is refused.
    Reject,
}

impl TrustPolicy {
    /// These rules, the first that matches wins.
    #[must_use]
    pub fn new(rules: Vec<TrustRule>) -> Self {
        let (mut asks, mut providers) = (Vec::new(), Vec::new());
        for condition in rules.iter().filter_map(|rule| rule.when.as_ref()) {
            condition.asks(&mut asks);
            condition.asks_providers(&mut providers);
        }
        Self { rules, asks, providers }
    }

    /// The rules, in the policy's order.
    #[must_use]
    pub fn rules(&self) -> &[TrustRule] {
        &self.rules
    }

    /// What tells one caller from another under this policy.
    pub(super) fn asks(&self) -> &[PeerFact] {
        &self.asks
    }

    /// Whose callers are told from one another, too.
    pub(super) fn providers(&self) -> &[usize] {
        &self.providers
    }

    /// Whether any rule asks who calls.
    pub(super) const fn tells_callers_apart(&self) -> bool {
        !self.asks.is_empty() || !self.providers.is_empty()
    }

    /// The first rule that matches, and its place.
    pub(super) fn decide(&self, facts: &mut Facts<'_, '_>) -> Option<(usize, &TrustRule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.when.as_ref().is_none_or(|condition| condition.holds(facts)))
    }
}
