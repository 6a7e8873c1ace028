// SPDX-License-Identifier: Apache-2.0
//! What callers are told of what they were charged, and how they are refused.

use super::Taken;
use crate::decision::{Exceeded, Reason, Refusal};
use crate::quota::QuotaPolicy;
use crate::quota::fields::{self, Field, Standing};
use crate::quota::limit::{Quota, QuotaHeaders};

/// How enforced limits stand, as far as that is known.
fn standings<'p>(policy: &'p QuotaPolicy, taken: &[Taken]) -> Vec<Standing<'p>> {
    let standing = |taken: &Taken| {
        let quota = policy.quotas.get(taken.quota).filter(|quota| !quota.shadow)?;
        Some(Standing { quota, limit: taken.limit, reading: taken.reading?, now: taken.now })
    };
    taken.iter().filter_map(standing).collect()
}

/// What a caller that is admitted reads of what it was charged.
pub(super) fn told(policy: &QuotaPolicy, taken: &[Taken]) -> Vec<Field> {
    let tells = |taken: &Taken| policy.quotas.get(taken.quota).is_some_and(|quota| quota.headers != QuotaHeaders::default());
    if policy.headers.is_empty() && !taken.iter().any(tells) {
        return Vec::new();
    }
    fields::fields(&policy.headers, &standings(policy, taken), None)
}

/// How a request above a limit is refused.
pub(super) fn refusal(policy: &QuotaPolicy, quota: &Quota, reason: Reason, before: &[Taken], taken: Option<Taken>) -> Refusal {
    let Some(taken) = taken else { return Refusal::of(reason) };
    let mut all = standings(policy, before);
    let refusing = all.len();
    all.extend(standings(policy, std::slice::from_ref(&taken)));
    let message = all.get(refusing).map(Standing::message).unwrap_or_default();
    let fields = fields::fields(&policy.headers, &all, Some(refusing));
    Refusal::of(reason).exceeding(Exceeded { quota: quota.name.clone(), message, fields })
}

/// What is above a limit of this kind.
pub(super) const fn exceeded(quota: &Quota) -> Reason {
    if quota.limit.window.is_rate() { Reason::RateLimitExceeded } else { Reason::QuotaExceeded }
}
