// SPDX-License-Identifier: Apache-2.0
//! What a rate-limit service counts for a policy, whichever service it is.

use std::collections::BTreeSet;

use tracegate::Policy;
use tracegate::quota::{Enforcement, Global, LimitFrom, Quota, entry_name};

use crate::error::{Error, Result};

/// A quota that a rate-limit service counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted<'p> {
    pub(super) quota: &'p Quota,
    pub(super) global: &'p Global,
}

/// The policy's quotas that services count, in the order of their names.
///
/// # Errors
///
/// Where there is none.
pub(super) fn counted(policy: &Policy) -> Result<Vec<Counted<'_>>> {
    let quotas = policy.quota.quotas.iter();
    let counted = quotas.filter_map(|quota| match &quota.enforcement {
        Enforcement::Global(global) => Some(Counted { quota, global }),
        Enforcement::Local(_) => None,
    });
    let counted: Vec<Counted<'_>> = counted.collect();
    if counted.is_empty() {
        return Err(Error::new("expected a quota with `enforcement: {global: …}`, found none: a service has nothing to count"));
    }
    Ok(counted)
}

impl Counted<'_> {
    /// Whether a request says its limit, as the entry `limit`.
    pub(super) const fn says_limit(&self) -> bool {
        matches!(self.quota.limit_from, Some(LimitFrom::Products(_)))
    }

    /// The limits that there are, each once.
    pub(super) fn amounts(&self) -> BTreeSet<u64> {
        let own: &[(String, u64)] = match &self.quota.limit_from {
            Some(LimitFrom::Products(products)) => products,
            Some(LimitFrom::Claim { .. } | LimitFrom::RouteMetadata { .. }) | None => &[],
        };
        own.iter().map(|(_, amount)| *amount).chain([self.quota.limit.amount]).collect()
    }

    /// The names of the entries by which it is counted, behind `quota` and `limit`, in the order in which a request has them.
    pub(super) fn entries(&self) -> Vec<String> {
        self.quota.key.iter().map(entry_name).chain(["window".to_owned()]).collect()
    }

    /// What there is to say about it in the service's configuration.
    pub(super) const fn note(&self) -> &'static str {
        if self.quota.shadow { SHADOW_NOTE } else { "" }
    }
}

const SHADOW_NOTE: &str = "In shadow: the service answers as for any other, and gateways don't enforce it.";
