// SPDX-License-Identifier: Apache-2.0
//! What exchanges are charged.

use crate::quota::QuotaPolicy;
use crate::quota::fields::Field;
use crate::quota::limit::{Quota, QuotaUnit};
use crate::quota::meter::Reading;
use crate::quota::table::Digest;

/// What an exchange was charged, and what its response tells of it.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    pub(super) taken: Vec<Taken>,
    pub(crate) fields: Vec<Field>,
    /// Limits in `mode: shadow` that would have refused it, by their places in the policy.
    pub(super) would_refuse: Vec<usize>,
}

impl Charges {
    /// Whether the response's status decides about any of it.
    pub(crate) fn reads_status(&self, policy: &QuotaPolicy) -> bool {
        self.quotas(policy).any(|quota| quota.cost.response.is_some())
    }

    /// Whether the number of bytes does.
    pub(crate) fn reads_bytes(&self, policy: &QuotaPolicy) -> bool {
        self.quotas(policy).any(|quota| quota.limit.unit == QuotaUnit::Bytes)
    }

    /// What limits leave, as far as that is known: their names, and how much.
    pub(crate) fn remaining<'p>(&self, policy: &'p QuotaPolicy) -> Vec<(&'p str, u64)> {
        let remaining = |taken: &Taken| Some((policy.quotas.get(taken.quota)?.name.as_str(), taken.reading?.remaining));
        self.taken.iter().filter_map(remaining).collect()
    }

    /// The names of limits in `mode: shadow` that would have refused it.
    pub(crate) fn would_refuse<'p>(&self, policy: &'p QuotaPolicy) -> Vec<&'p str> {
        self.would_refuse.iter().filter_map(|place| policy.quotas.get(*place)).map(|quota| quota.name.as_str()).collect()
    }

    fn quotas<'p>(&self, policy: &'p QuotaPolicy) -> impl Iterator<Item = &'p Quota> {
        self.taken.iter().filter_map(|taken| policy.quotas.get(taken.quota))
    }
}

/// What was taken from one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The quota, by its place in the policy.
    pub(super) quota: usize,
    /// The caller's limit.
    pub(super) limit: u64,
    /// Where it is counted; `None` where a service does, or nobody.
    pub(super) place: Option<(Bank, Digest)>,
    /// How much.
    pub(super) cost: u64,
    /// In which window.
    pub(super) stamp: u64,
    /// How the limit stands; `None` where only a service knows.
    pub(super) reading: Option<Reading>,
    /// When it was taken, in wall-clock nanoseconds.
    pub(super) now: i64,
}

/// Which of a quota's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bank {
    /// The limit's own, or its share of a limit whose service is down.
    Meter,
    /// Slices of a service's.
    Lease,
}
