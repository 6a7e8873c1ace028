// SPDX-License-Identifier: Apache-2.0
//! Which limits a request is above, as the module counts it: responses name no limit.

use std::collections::BTreeMap;

use tracegate::Policy;

use super::Decided;
use super::limited::is_excess;

/// The limits that a request is above, by their places in the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceeded {
    /// Under the policy: the one that refused it, and those in `mode: shadow` that would have.
    pub policy: Vec<usize>,
    /// Under `--what-if`.
    pub what_if: Vec<usize>,
}

/// The module's counts of what limits refuse.
#[derive(Debug, Default)]
pub(super) struct Meters {
    limits: Vec<Meter>,
    /// A limit in `mode: shadow` may be exceeded by any request.
    shadow: bool,
}

/// The counts of one limit: what it refused, and what it would have.
#[derive(Debug)]
struct Meter {
    refused: Count,
    would_refuse: Count,
}

/// A counter of the module's, and what it showed last.
#[derive(Debug)]
struct Count {
    metric: String,
    last: u64,
}

impl Count {
    fn new(metric: String) -> Self {
        Self { metric, last: 0 }
    }

    /// Whether it shows more than the last time.
    fn rises(&mut self, metrics: &BTreeMap<String, u64>) -> bool {
        let found = metrics.get(&self.metric).copied().unwrap_or(0);
        std::mem::replace(&mut self.last, found) < found
    }
}

impl Meters {
    pub(super) fn new(policy: &Policy) -> Self {
        let meter = |name: &str| Meter {
            refused: Count::new(format!("tracegate.quotas.refused.{name}")),
            would_refuse: Count::new(format!("tracegate.quotas.would_refuse.{name}")),
        };
        let quotas = &policy.quota.quotas;
        Self { limits: quotas.iter().map(|quota| meter(&quota.name)).collect(), shadow: quotas.iter().any(|quota| quota.shadow) }
    }

    /// Whether any count may have changed with this decision.
    pub(super) fn hang_on(&self, decided: &Decided) -> bool {
        let counts = |reason| is_excess(Some(reason)) || matches!(reason, "QuotaKeyNotFound" | "QuotaUnavailable");
        self.shadow || decided.reason().is_some_and(counts)
    }

    /// The limits whose counts have risen with this decision.
    pub(super) fn read(&mut self, metrics: &BTreeMap<String, u64>, decided: &Decided) -> Vec<usize> {
        let is_above = is_excess(decided.reason());
        let risen = |(place, meter): (usize, &mut Meter)| {
            let (refused, would_refuse) = (meter.refused.rises(metrics), meter.would_refuse.rises(metrics));
            ((refused && is_above) || would_refuse).then_some(place)
        };
        self.limits.iter_mut().enumerate().filter_map(risen).collect()
    }
}
