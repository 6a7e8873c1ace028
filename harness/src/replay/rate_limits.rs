// SPDX-License-Identifier: Apache-2.0
//! A simulated rate-limit service for the policy's global quotas: it answers as Limitador does with the limits that belong to the policy.
//!
//! It counts each descriptor by all of its entries, and the window is one of them, so no counter starts anew while it is in use. A request
//! whose hits don't fit into what one of its descriptors has left counts under none of them. Unlike Limitador it tells what is left.

mod request;
mod response;

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};
use tracegate::Policy;
use tracegate::quota::{Enforcement, LimitFrom};

pub use request::MalformedRequest;
use request::{Descriptor, Request};
use response::{Response, Status};

/// A rate-limit service with the limits of a policy.
#[derive(Debug, Default)]
pub struct RateLimits {
    limits: Vec<Limit>,
    /// Hits by descriptor.
    counters: HashMap<Name, u64>,
    /// The counters in the order in which they came to be.
    order: VecDeque<Name>,
}

/// A counter's name: a digest of its domain and entries.
type Name = [u8; 32];

/// A global quota, as its service knows it.
#[derive(Debug)]
struct Limit {
    domain: String,
    quota: String,
    amount: u64,
    /// Amounts that a request may name, where its caller's product has a limit of its own.
    others: Vec<u64>,
}

impl RateLimits {
    /// A service that knows the policy's global quotas, in whatever cluster.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let limits = policy.quota.quotas.iter().filter_map(|quota| {
            let Enforcement::Global(global) = &quota.enforcement else { return None };
            let others = match &quota.limit_from {
                Some(LimitFrom::Products(products)) => products.iter().map(|(_, amount)| *amount).collect(),
                _ => Vec::new(),
            };
            Some(Limit { domain: global.domain.clone(), quota: quota.name.clone(), amount: quota.limit.amount, others })
        });
        Self { limits: limits.collect(), ..Self::default() }
    }

    /// Whether the policy has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Answers a `RateLimitRequest` with a `RateLimitResponse`, both in protobuf. What no limit applies to is within all of them.
    ///
    /// # Errors
    ///
    /// [`MalformedRequest`], and nothing is counted.
    pub fn answer(&mut self, message: &[u8]) -> Result<Vec<u8>, MalformedRequest> {
        let Request { domain, descriptors, hits_addend } = Request::read(message)?;
        // None named stands for one.
        let hits = u64::from(hits_addend).max(1);
        let found: Vec<Option<(Name, u64)>> =
            descriptors.iter().map(|descriptor| Some((name(&domain, descriptor), self.amount(&domain, descriptor)?))).collect();
        let mut asked: HashMap<Name, u64> = HashMap::new();
        for (name, _) in found.iter().flatten() {
            let all = asked.entry(*name).or_default();
            *all = all.saturating_add(hits);
        }
        let used = |name: &Name| self.counters.get(name).copied().unwrap_or(0);
        let fits = |(name, amount): &(Name, u64)| used(name).saturating_add(asked.get(name).copied().unwrap_or(0)) <= *amount;
        let is_within: Vec<bool> = found.iter().map(|found| found.as_ref().is_none_or(fits)).collect();
        let admitted = is_within.iter().all(|within| *within);
        if admitted {
            asked.into_iter().for_each(|(name, hits)| self.add(name, hits));
        }
        let statuses = found.iter().zip(is_within).map(|(found, is_within)| {
            let limit = found.as_ref().map(|(_, amount)| *amount);
            let remaining = found.as_ref().map_or(0, |(name, amount)| amount.saturating_sub(self.counters.get(name).copied().unwrap_or(0)));
            Status { is_within, limit, remaining }
        });
        Ok(Response { admitted, statuses: statuses.collect() }.write())
    }

    /// How much a descriptor may have; `None` where no limit applies.
    fn amount(&self, domain: &str, descriptor: &Descriptor) -> Option<u64> {
        let entry = |name: &str| descriptor.entries.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let quota = entry("quota")?;
        let limit = self.limits.iter().find(|limit| limit.domain == domain && limit.quota == quota)?;
        if limit.others.is_empty() {
            return Some(limit.amount);
        }
        let named: u64 = entry("limit")?.parse().ok()?;
        (named == limit.amount || limit.others.contains(&named)).then_some(named)
    }

    fn add(&mut self, name: Name, hits: u64) {
        if !self.counters.contains_key(&name) {
            self.order.push_back(name);
        }
        let count = self.counters.entry(name).or_default();
        *count = count.saturating_add(hits);
        // The oldest are those of windows that are over.
        while self.order.len() > MAX_COUNTERS {
            let Some(oldest) = self.order.pop_front() else { break };
            self.counters.remove(&oldest);
        }
    }
}

/// No two descriptors are alike, wherever their texts are cut; nor does the order of entries tell any apart.
fn name(domain: &str, descriptor: &Descriptor) -> Name {
    let mut entries: Vec<&(String, String)> = descriptor.entries.iter().collect();
    entries.sort();
    let texts = entries.into_iter().flat_map(|(key, value)| [key.as_str(), value]);
    let digest = std::iter::once(domain).chain(texts).fold(Sha256::new(), |digest, text| {
        digest.chain_update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes()).chain_update(text)
    });
    digest.finalize().into()
}

/// Some 100 MB.
const MAX_COUNTERS: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use tracegate::quota::rls::{self, Answer, Code, Descriptor};

    use super::*;

    fn service(limit_from: &str) -> RateLimits {
        let quota = |name: &str, requests: u64, more: &str| {
            format!(
                r#""{name}": {{"limit": {{"fixed_window": {{"requests": {requests}, "window": "1m"}}}}, {more} "key": ["subscription"], "key_absent": "skip",
                    "enforcement": {{"global": {{"cluster": "limits", "domain": "edge", "on_unavailable": "admit"}}}}}}"#
            )
        };
        let digest = "5".repeat(64);
        let (few, many) = (quota("few", 3, ""), quota("many", 100, limit_from));
        let policy = format!(
            r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "admit"}}, "quotas": {{{few}, {many}}},
                "identity": {{"providers": {{"shop": {{"subscription_keys": {{"subscriptions": [
                    {{"id": "contoso", "product": "gold", "keys_sha256": ["{digest}"]}}]}}}}}}}},
                "routes": [{{"name": "all", "match": {{"path": {{"prefix": "/"}}}}, "quotas": ["few", "many"]}}]}}"#
        );
        RateLimits::new(&Policy::from_json(policy.as_bytes()).unwrap().policy)
    }

    fn descriptor(entries: &[(&str, &str)]) -> Descriptor {
        Descriptor { entries: entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect() }
    }

    fn few(subscription: &str, window: &str) -> Descriptor {
        descriptor(&[("quota", "few"), ("subscription", subscription), ("window", window)])
    }

    fn ask(service: &mut RateLimits, descriptors: &[Descriptor], hits: u32) -> Answer {
        rls::decode_response(&service.answer(&rls::encode_request("edge", descriptors, hits)).unwrap()).unwrap()
    }

    /// The code, and what is left of the first descriptor.
    fn told(service: &mut RateLimits, descriptors: &[Descriptor], hits: u32) -> (Code, u32) {
        let answer = ask(service, descriptors, hits);
        assert_eq!(answer.statuses.len(), descriptors.len());
        (answer.code, answer.statuses[0].remaining)
    }

    #[test]
    fn hits_that_do_not_fit_do_not_count() {
        let service = &mut service("");
        let own = [few("contoso", "2026-11-22T09:00:00Z")];
        assert_eq!(told(service, &own, 2), (Code::Ok, 1));
        assert_eq!(told(service, &own, 2), (Code::OverLimit, 1), "the one that is left stays");
        assert_eq!(told(service, &own, 0), (Code::Ok, 0), "0 counts as 1");
        assert_eq!(told(service, &own, 1), (Code::OverLimit, 0));
        assert_eq!(ask(service, &own, 1).statuses[0].limit, Some(3));
        assert_eq!(told(service, &[few("fabrikam", "2026-11-22T09:00:00Z")], 3), (Code::Ok, 0), "another key");
        assert_eq!(told(service, &[few("contoso", "2026-11-22T09:01:00Z")], 3), (Code::Ok, 0), "another window");
        assert_eq!(told(service, &own, u32::MAX), (Code::OverLimit, 0));
    }

    #[test]
    fn of_several_descriptors_all_count_or_none() {
        let service = &mut service("");
        let many = descriptor(&[("quota", "many"), ("window", "w")]);
        let both = [many.clone(), few("contoso", "w")];
        assert_eq!(told(service, &both, 3), (Code::Ok, 97));
        let refused = ask(service, &both, 1);
        assert_eq!((refused.code, refused.statuses[0].code, refused.statuses[1].code), (Code::OverLimit, Code::Ok, Code::OverLimit));
        assert_eq!(told(service, &[many], 1), (Code::Ok, 96), "what was refused has not counted");
        let twice = [few("tin", "w"), few("tin", "w")];
        assert_eq!(told(service, &twice, 2), (Code::OverLimit, 3), "both hits are the same counter's");
        assert_eq!(told(service, &twice, 1), (Code::Ok, 1));
    }

    #[test]
    fn what_no_limit_applies_to_is_within_all() {
        let service = &mut service("");
        let unknown = [descriptor(&[("quota", "unknown")]), descriptor(&[]), descriptor(&[("subscription", "contoso")])];
        for _ in 0..10 {
            let answer = ask(service, &unknown, 1000);
            assert_eq!((answer.code, answer.statuses[0].limit, answer.statuses[0].remaining), (Code::Ok, None, 0));
        }
        let elsewhere = rls::encode_request("elsewhere", &[few("contoso", "w")], 1000);
        assert_eq!(rls::decode_response(&service.answer(&elsewhere).unwrap()).unwrap().code, Code::Ok);
        assert_eq!(ask(service, &[], 1).code, Code::Ok);
        assert!(service.counters.is_empty());
    }

    #[test]
    fn a_products_own_limit_is_named_by_the_request() {
        let service = &mut service(r#""limit_from": {"products": {"gold": 5}},"#);
        let many = |limit: &str| [descriptor(&[("quota", "many"), ("limit", limit), ("subscription", "contoso")])];
        assert_eq!(told(service, &many("5"), 5), (Code::Ok, 0));
        assert_eq!(told(service, &many("5"), 1), (Code::OverLimit, 0));
        assert_eq!(told(service, &many("100"), 100), (Code::Ok, 0));
        assert_eq!(ask(service, &many("6"), 1000).statuses[0].limit, None, "none of the policy's");
    }

    #[test]
    fn no_bytes_panic_and_what_is_malformed_counts_nothing() {
        let mut service = service("");
        let whole = rls::encode_request("edge", &[few("contoso", "w")], 1);
        for length in 1..whole.len() {
            // Cut between two fields it is a shorter message.
            let _ = service.answer(&whole[..length]);
        }
        service.counters.clear();
        for (bytes, expected) in [
            (&[0x08][..], "a number of at most 64 bits"),
            (&[0x08, 1], "a field that has a length"),
            (&[0x0a, 5, b'e'], "as many bytes as the field has"),
            (&[0x0a, 1, 0xff], "UTF-8 text"),
            (&[0x1a, 0], "a field that is a number"),
            (&[0x0b], "a field that is no group"),
            (&[0x02, 0], "a field's number above 0"),
            (&[0xff; 11], "a number of at most 64 bits"),
        ] {
            let error = service.answer(bytes).unwrap_err();
            assert!(error.to_string().contains(expected), "{bytes:?}: {error}");
        }
        let crowd: Vec<Descriptor> = (0..1000).map(|_| few("contoso", "w")).collect();
        assert!(service.answer(&rls::encode_request("edge", &crowd, 1)).is_err());
        assert!(service.counters.is_empty());
    }
}
