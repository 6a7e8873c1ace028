// SPDX-License-Identifier: Apache-2.0
//! Limits, which name providers and routes.

use std::collections::BTreeMap;

use super::super::document;
use super::callers::Callers;
use crate::quota::{
    Calendar, Cost, Enforcement, FixedWindow, Global, GlobalMode, KeyAbsent, KeyPart, Limit, LimitFrom, Local, OnFull,
    OnServiceUnavailable, Quota, QuotaHeaders, QuotaPolicy, QuotaUnit, RateLimitHeaders, ResponseMatch, Window,
};

/// The policy's limits, in the order of their names.
pub(super) fn policy(
    quotas: BTreeMap<String, document::Quota>,
    headers: Vec<document::RateLimitHeaders>,
    callers: &Callers,
) -> QuotaPolicy {
    QuotaPolicy {
        quotas: quotas.into_iter().map(|(name, quota)| self::quota(name, quota, callers)).collect(),
        headers: headers
            .into_iter()
            .map(|kind| match kind {
                document::RateLimitHeaders::RateLimit => RateLimitHeaders::RateLimit,
                document::RateLimitHeaders::XRateLimit => RateLimitHeaders::XRateLimit,
                document::RateLimitHeaders::XRateLimitEpoch => RateLimitHeaders::XRateLimitEpoch,
            })
            .collect(),
    }
}

/// A route's limits, by their places, in the order in which they are charged: what this gateway counts can be given back, a service's slices too, and
/// what a service counts can't.
pub(super) fn places(names: &[String], quotas: &[Quota]) -> Vec<usize> {
    let place = |name: &String| quotas.iter().position(|quota| quota.name == *name);
    let mut places: Vec<usize> = names.iter().filter_map(place).collect();
    places.sort_by_key(|place| match quotas.get(*place).map(|quota| &quota.enforcement) {
        Some(Enforcement::Local(_)) | None => 0,
        Some(Enforcement::Global(Global { mode: GlobalMode::Lease { .. }, .. })) => 1,
        Some(Enforcement::Global(_)) => 2,
    });
    places
}

fn quota(name: String, quota: document::Quota, callers: &Callers) -> Quota {
    let unit = if quota.is_in_bytes() { QuotaUnit::Bytes } else { QuotaUnit::Requests };
    let (amount, window) = limit(quota.limit);
    Quota {
        name,
        limit: Limit { amount, unit, window },
        limit_from: quota.limit_from.map(|from| limit_from(from, callers)),
        key: quota.key.into_iter().map(|part| key_part(part, callers)).collect(),
        // Without it, every part is always there.
        key_absent: match quota.key_absent {
            Some(document::KeyAbsent::Skip) => KeyAbsent::Skip,
            Some(document::KeyAbsent::Refuse) | None => KeyAbsent::Refuse,
            Some(document::KeyAbsent::SharedBucket) => KeyAbsent::SharedBucket,
        },
        cost: Cost {
            amount: quota.cost.requests,
            reserve: quota.cost.reserve_bytes,
            when: quota.cost.when.map(|when| callers.condition(when)),
            response: quota.cost.response.map(response),
        },
        enforcement: enforcement(quota.enforcement),
        headers: QuotaHeaders {
            retry_after: quota.headers.retry_after.map(|name| name.to_ascii_lowercase()),
            remaining: quota.headers.remaining.map(|name| name.to_ascii_lowercase()),
            total: quota.headers.total.map(|name| name.to_ascii_lowercase()),
        },
        shadow: quota.mode == document::Mode::Shadow,
    }
}

fn limit(limit: document::Limit) -> (u64, Window) {
    match limit {
        document::Limit::Rate(document::Rate { requests, window, burst }) => {
            (requests, Window::Rate { window: window.value.nanoseconds(), burst })
        }
        document::Limit::SlidingWindow(document::SlidingWindow { requests, window }) => {
            (requests, Window::Sliding { window: window.value.nanoseconds() })
        }
        document::Limit::FixedWindow(document::FixedWindow { requests, bytes, window, first_period_start }) => {
            let anchor = first_period_start.map_or(0, |start| start.value.seconds.saturating_mul(1_000_000_000));
            (requests.or(bytes).unwrap_or(1), Window::Fixed(FixedWindow { length: window.value.nanoseconds(), anchor }))
        }
        document::Limit::Calendar(document::Calendar { requests, bytes, period, time_zone, first_period_start }) => {
            let anchor = first_period_start.map(|start| start.value.seconds);
            (requests.or(bytes).unwrap_or(1), Window::Calendar(Calendar { unit: period.unit(), zone: time_zone.value, anchor }))
        }
    }
}

fn limit_from(from: document::LimitFrom, callers: &Callers) -> LimitFrom {
    match from {
        document::LimitFrom::Claim(document::ClaimLimit { provider, path, at_most }) => {
            LimitFrom::Claim { provider: callers.place(&provider), path: path.value, at_most }
        }
        document::LimitFrom::Products(products) => {
            LimitFrom::Products(products.into_iter().map(|(name, document::Amount(amount))| (name, amount)).collect())
        }
        document::LimitFrom::RouteMetadata(document::RouteLimit { at_most }) => LimitFrom::RouteMetadata { at_most },
    }
}

fn key_part(part: document::KeyPart, callers: &Callers) -> KeyPart {
    match part {
        document::KeyPart::Subscription => KeyPart::Subscription,
        document::KeyPart::Product => KeyPart::Product,
        document::KeyPart::Caller => KeyPart::Caller,
        document::KeyPart::Claim(document::KeyClaim { provider, path }) => {
            KeyPart::Claim { provider: provider.map(|name| callers.place(&name)), path: path.value }
        }
        document::KeyPart::Source(document::Prefixes { ipv4_prefix, ipv6_prefix }) => KeyPart::Source { ipv4_prefix, ipv6_prefix },
        document::KeyPart::Header(name) => KeyPart::Header(name.to_ascii_lowercase()),
        document::KeyPart::Query(name) => KeyPart::Query(name),
        document::KeyPart::Route => KeyPart::Route,
        document::KeyPart::Method => KeyPart::Method,
        document::KeyPart::Literal(text) => KeyPart::Literal(text),
    }
}

fn response(response: document::Response) -> ResponseMatch {
    let ranges = |statuses: Vec<document::Status>| statuses.into_iter().map(|document::Status(leaf)| leaf.value).collect();
    match response {
        document::Response::Status(statuses) => ResponseMatch::Status(ranges(statuses)),
        document::Response::NotStatus(statuses) => ResponseMatch::NotStatus(ranges(statuses)),
    }
}

fn enforcement(enforcement: document::Enforcement) -> Enforcement {
    let global = match enforcement {
        document::Enforcement::Local(document::Local { slots, on_full, volatile: _ }) => {
            let on_full = match on_full {
                document::OnFull::Admit => OnFull::Admit,
                document::OnFull::Refuse => OnFull::Refuse,
                document::OnFull::SharedBucket => OnFull::SharedBucket,
            };
            return Enforcement::Local(Local { slots, on_full });
        }
        document::Enforcement::Global(global) => *global,
    };
    Enforcement::Global(Global {
        cluster: global.cluster,
        domain: global.domain,
        timeout: global.timeout.value.nanoseconds(),
        mode: match global.mode {
            document::GlobalMode::Exact => GlobalMode::Exact,
            document::GlobalMode::Lease(document::Lease { max_slice, duration }) => {
                GlobalMode::Lease { max_slice, duration: duration.value.nanoseconds() }
            }
        },
        on_unavailable: match global.on_unavailable {
            document::OnServiceUnavailable::Admit => OnServiceUnavailable::Admit,
            document::OnServiceUnavailable::Refuse => OnServiceUnavailable::Refuse,
            document::OnServiceUnavailable::Local(document::Share { share }) => OnServiceUnavailable::Local { share: share.thousandths },
        },
        failures: global.breaker.failures,
        retry_after: global.breaker.retry_after.value.nanoseconds(),
        slots: global.slots,
    })
}
