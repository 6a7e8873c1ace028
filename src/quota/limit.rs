// SPDX-License-Identifier: Apache-2.0
//! What a policy limits: how much, of what, for whom, and who counts it.

use super::calendar::{Calendar, FixedWindow, Period};
use crate::claim::ClaimPath;
use crate::condition::Condition;

/// A limit by key: what the policy calls a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The policy's name for it, in headers, metrics and records.
    pub name: String,
    /// How much.
    pub limit: Limit,
    /// Where a limit of the caller's own stands, if there is one.
    pub limit_from: Option<LimitFrom>,
    /// Whose requests are counted together.
    pub key: Vec<KeyPart>,
    /// What becomes of a request without one of them.
    pub key_absent: KeyAbsent,
    /// What a request costs.
    pub cost: Cost,
    /// Who counts.
    pub enforcement: Enforcement,
    /// Response headers of its own.
    pub headers: QuotaHeaders,
    /// Decided and recorded, not enforced.
    pub shadow: bool,
}

/// So much in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// From 1 to 2^53 - 1.
    pub amount: u64,
    /// Of what.
    pub unit: QuotaUnit,
    /// In how long.
    pub window: Window,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaUnit {
    /// Requests.
    Requests,
    /// Bytes of bodies, of requests and responses together.
    Bytes,
}

/// In how long, and how that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The generic cell rate algorithm, which is a token bucket.
    Rate {
        /// In nanoseconds, above 0.
        window: u64,
        /// How many may come at once; as many as the limit where it is `None`.
        burst: Option<u64>,
    },
    /// Two windows, the earlier weighed by how much of it lies within the last `window`: what API Management's classic tier does for rates.
    Sliding {
        /// In nanoseconds, above 0.
        window: u64,
    },
    /// Windows of one length, end to end.
    Fixed(FixedWindow),
    /// Hours, days, weeks or months of a calendar, or for ever.
    Calendar(Calendar),
}

impl Window {
    /// Whether it is a rate, which callers meet with patience, and not a quota, which they have used up.
    #[must_use]
    pub const fn is_rate(&self) -> bool {
        matches!(self, Self::Rate { .. } | Self::Sliding { .. })
    }

    /// The period that `now` lies in; `None` for what has none.
    #[must_use]
    pub fn period_at(&self, now: i64) -> Option<Period> {
        match self {
            Self::Rate { .. } | Self::Sliding { .. } => None,
            Self::Fixed(window) => Some(window.period_at(now)),
            Self::Calendar(calendar) => Some(calendar.period_at(now)),
        }
    }

    /// Its length in nanoseconds; `None` for ever.
    #[must_use]
    pub fn length_at(&self, now: i64) -> Option<u64> {
        match self {
            Self::Rate { window, .. } | Self::Sliding { window } => Some(*window),
            Self::Fixed(window) => Some(window.length),
            Self::Calendar(calendar) => {
                let Period { start, end } = calendar.period_at(now);
                (end != i64::MAX).then(|| end.abs_diff(start))
            }
        }
    }
}

/// Where a caller's own limit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitFrom {
    /// In a claim of a token: a whole number above 0.
    Claim {
        /// The provider, by its place in the policy.
        provider: usize,
        /// The claim.
        path: ClaimPath,
        /// The highest that is believed.
        at_most: u64,
    },
    /// By the product of the caller's subscription.
    Products(Vec<(String, u64)>),
    /// In the metadata of the gateway's route, namespace `tracegate`, under the quota's name.
    RouteMetadata {
        /// The highest that is believed.
        at_most: u64,
    },
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// The caller's subscription.
    Subscription,
    /// The product that it is to.
    Product,
    /// The caller, as its provider knows it.
    Caller,
    /// A claim of the caller's token: all of its values.
    Claim {
        /// The provider, by its place in the policy; any where it is `None`.
        provider: Option<usize>,
        /// The claim.
        path: ClaimPath,
    },
    /// The source address.
    Source {
        /// How many bits of an IPv4 address count, at most 32.
        ipv4_prefix: u8,
        /// How many bits of an IPv6 address count, at most 128.
        ipv6_prefix: u8,
    },
    /// A header's lines, by its name in lower case.
    Header(String),
    /// A query parameter's values.
    Query(String),
    /// The policy's route.
    Route,
    /// The method.
    Method,
    /// Always the same.
    Literal(String),
}

/// What becomes of a request whose key can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAbsent {
    /// It isn't limited.
    Skip,
    /// It is refused.
    Refuse,
    /// It is counted together with all of its kind.
    SharedBucket,
}

/// What a request costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// How many requests it counts as; 1 for most. Bytes are counted once they are known.
    pub amount: u64,
    /// How many bytes are taken ahead, until they are known.
    pub reserve: u64,
    /// Only requests of which this is so cost anything; so do those of which it can't be told.
    pub when: Option<Condition>,
    /// Only responses with such a status cost anything: the cost is taken ahead and given back. A response that never comes costs it.
    pub response: Option<ResponseMatch>,
}

/// Which responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseMatch {
    /// Those with a status in any of these ranges.
    Status(Vec<StatusRange>),
    /// Those without.
    NotStatus(Vec<StatusRange>),
}

impl ResponseMatch {
    /// Whether a response with this status is one.
    #[must_use]
    pub fn matches(&self, status: u16) -> bool {
        let among = |ranges: &[StatusRange]| ranges.iter().any(|range| (range.first..=range.last).contains(&status));
        match self {
            Self::Status(ranges) => among(ranges),
            Self::NotStatus(ranges) => !among(ranges),
        }
    }
}

/// Statuses from one to another: `429`, `500-599`, `5xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first of them, from 100.
    pub first: u16,
    /// The last, up to 599.
    pub last: u16,
}

impl std::str::FromStr for StatusRange {
    type Err = InvalidStatusRange;

    fn from_str(text: &str) -> Result<Self, InvalidStatusRange> {
        let number = |text: &str| text.parse().ok().filter(|status| (100..=599).contains(status) && text.len() == 3);
        let range = match (text.strip_suffix("xx"), text.split_once('-')) {
            (Some(class @ ("1" | "2" | "3" | "4" | "5")), _) => {
                let first = class.parse::<u16>().ok().map(|class| class.saturating_mul(100));
                first.map(|first| Self { first, last: first.saturating_add(99) })
            }
            (None, Some((first, last))) => number(first).zip(number(last)).map(|(first, last)| Self { first, last }),
            (None, None) => number(text).map(|status| Self { first: status, last: status }),
            _ => None,
        };
        range.filter(|range| range.first <= range.last).ok_or(InvalidStatusRange)
    }
}

/// Text that names no statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidStatusRange;

impl std::fmt::Display for InvalidStatusRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("expected a status such as 429, a class such as 5xx or a range such as 500-504")
    }
}

impl std::error::Error for InvalidStatusRange {}

/// Who counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// This gateway, in the memory that its workers share.
    Local(Local),
    /// A rate-limit service, for many gateways.
    Global(Global),
}

/// How a gateway counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// How many slots there are, of [`WAYS`](super::table::WAYS) keys each.
    pub slots: u32,
    /// What becomes of a key that finds its slot full of others.
    pub on_full: OnFull,
}

/// What becomes of a key that finds its slot full of others, all of them live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// It isn't limited.
    Admit,
    /// It is refused.
    Refuse,
    /// It is counted together with all of its kind.
    SharedBucket,
}

/// How a rate-limit service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// The gateway's cluster.
    pub cluster: String,
    /// The service's domain, which Limitador calls a namespace.
    pub domain: String,
    /// How long a request waits, in nanoseconds.
    pub timeout: u64,
    /// When it is asked.
    pub mode: GlobalMode,
    /// What becomes of requests while it can't be asked.
    pub on_unavailable: OnServiceUnavailable,
    /// How many failures in a row make it count as down, at least 1.
    pub failures: u32,
    /// For how long it isn't asked then, in nanoseconds.
    pub retry_after: u64,
    /// How many slots of keys this gateway keeps.
    pub slots: u32,
}

/// When a rate-limit service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalMode {
    /// For each request.
    Exact,
    /// For slices, ahead of need.
    Lease {
        /// The largest, in units of the limit.
        max_slice: u64,
        /// For how long a slice counts, in nanoseconds.
        duration: u64,
    },
}

/// What becomes of requests while a service can't be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnServiceUnavailable {
    /// They aren't limited.
    Admit,
    /// They are refused.
    Refuse,
    /// This gateway counts, up to a share of the limit.
    Local {
        /// In thousandths, from 1 to 1000.
        share: u64,
    },
}

/// Response headers of one quota's own, as API Management lets policies name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaHeaders {
    /// In which a refused caller reads after how many seconds to try again, beside `Retry-After`.
    pub retry_after: Option<String>,
    /// In which every caller reads what is left.
    pub remaining: Option<String>,
    /// In which every caller reads the limit.
    pub total: Option<String>,
}

/// Which headers tell of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitHeaders {
    /// `RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers-10 has them.
    RateLimit,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the limit that is nearest, the reset in seconds from now.
    XRateLimit,
    /// The same, the reset in seconds since 1970.
    XRateLimitEpoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_numbers_classes_and_ranges() {
        for (text, first, last) in [("429", 429, 429), ("5xx", 500, 599), ("1xx", 100, 199), ("500-504", 500, 504), ("599", 599, 599)] {
            assert_eq!(text.parse(), Ok(StatusRange { first, last }), "{text}");
        }
        for text in
            ["", "99", "600", "0429", "+429", "xx", "6xx", "0xx", "55xx", "504-500", "500-", "-500", "5Xx", "500-504-510", "5xx-6xx"]
        {
            assert_eq!(text.parse::<StatusRange>(), Err(InvalidStatusRange), "{text}");
        }
    }

    #[test]
    fn a_response_counts_by_its_status() {
        let ranges = vec!["429".parse().unwrap(), "5xx".parse().unwrap()];
        for (status, among) in [(200, false), (428, false), (429, true), (430, false), (499, false), (500, true), (599, true)] {
            assert_eq!(ResponseMatch::Status(ranges.clone()).matches(status), among, "{status}");
            assert_eq!(ResponseMatch::NotStatus(ranges.clone()).matches(status), !among, "{status}");
        }
    }
}
