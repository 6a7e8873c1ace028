// SPDX-License-Identifier: Apache-2.0
//! Limits as written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::{Duration, Timestamp};
#[cfg(feature = "schema")]
use super::super::schema;
use super::Document;
use super::condition::{Condition, Use, at_least_one};
use super::enforcement::Enforcement;
use super::forward::means_something;
use super::identity::Provider;
use super::jwt::{duration, token};
use super::rule::Mode;
use crate::claim::ClaimPath;
use crate::json::Value;
use crate::quota::{StatusRange, Unit, Zone};

/// A limit on requests or bytes, by key.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Quota {
    /// Required: how much in how long.
    pub(in crate::config) limit: Limit,
    /// Where a caller's own limit stands; who has none there has that of `limit`.
    #[cfg_attr(feature = "schema", schemars(with = "LimitFrom", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) limit_from: Option<LimitFrom>,
    /// Required: whose requests are counted together: those that are alike in all of these.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::quota_key"))]
    pub(in crate::config) key: Vec<KeyPart>,
    /// Required where a part of the key can be missing: what becomes of a request without it.
    #[cfg_attr(feature = "schema", schemars(with = "KeyAbsent", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) key_absent: Option<KeyAbsent>,
    /// What a request costs: one by default, or its bytes.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) cost: Cost,
    /// Required: who counts.
    pub(in crate::config) enforcement: Enforcement,
    /// Response headers of its own, beside those of `responses.rate_limit_headers`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) headers: Headers,
    /// Default: `enforce`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) mode: Mode,
}

/// How much in how long.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Limit {
    /// Evenly, with bursts: the generic cell rate algorithm, which is a token bucket.
    Rate(Rate),
    /// In every window of this length, about: the window before counts by how much of it the last window still holds, as in API Management's
    /// classic tier.
    SlidingWindow(SlidingWindow),
    /// In windows of this length, end to end: API Management's quota.
    FixedWindow(FixedWindow),
    /// In periods of a calendar.
    Calendar(Calendar),
}

/// A rate with bursts.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Rate {
    /// Required: how many in `window`.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))]
    pub(in crate::config) requests: u64,
    /// Required: from `1s` to `24h`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::duration"))]
    pub(in crate::config) window: Leaf<Duration>,
    /// How many may come at once; as many as `requests` by default.
    #[cfg_attr(feature = "schema", schemars(with = "u64", default, range(min = 1, max = MAX_AMOUNT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) burst: Option<u64>,
}

/// A rate in a window that slides.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct SlidingWindow {
    /// Required: how many in `window`.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))]
    pub(in crate::config) requests: u64,
    /// Required: from `1s` to `24h`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::duration"))]
    pub(in crate::config) window: Leaf<Duration>,
}

/// A quota in windows of one length.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = schema::one_unit))]
pub(in crate::config) struct FixedWindow {
    /// How many requests; either this or `bytes`.
    #[cfg_attr(feature = "schema", schemars(with = "u64", default, range(min = 1, max = MAX_AMOUNT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) requests: Option<u64>,
    /// How many bytes of bodies, of requests and responses together.
    #[cfg_attr(feature = "schema", schemars(with = "u64", default, range(min = 1, max = MAX_AMOUNT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) bytes: Option<u64>,
    /// Required: from `1s` on.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::duration"))]
    pub(in crate::config) window: Leaf<Duration>,
    /// When a window starts, as RFC 3339 writes it; the others follow. Default: `1970-01-01T00:00:00Z`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::timestamp"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) first_period_start: Option<Leaf<Timestamp>>,
}

/// A quota in periods of a calendar.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, transform = schema::one_unit))]
pub(in crate::config) struct Calendar {
    /// How many requests; either this or `bytes`.
    #[cfg_attr(feature = "schema", schemars(with = "u64", default, range(min = 1, max = MAX_AMOUNT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) requests: Option<u64>,
    /// How many bytes of bodies, of requests and responses together.
    #[cfg_attr(feature = "schema", schemars(with = "u64", default, range(min = 1, max = MAX_AMOUNT)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) bytes: Option<u64>,
    /// Required: how long a period is.
    pub(in crate::config) period: PeriodName,
    /// By whose clock it starts, an IANA time zone. Default: `UTC`.
    #[cfg_attr(feature = "schema", schemars(with = "String", default = "utc", length(min = 1)))]
    pub(in crate::config) time_zone: Leaf<Zone>,
    /// When a period starts, as RFC 3339 writes it; the others follow, on the same day of the month where there is one. By default periods start with
    /// the hour, the day, the Monday, the month.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::timestamp"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) first_period_start: Option<Leaf<Timestamp>>,
}

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum PeriodName {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
    /// For ever.
    Lifetime,
}

impl PeriodName {
    /// As the core has it.
    pub(in crate::config) const fn unit(self) -> Unit {
        match self {
            Self::Hour => Unit::Hour,
            Self::Day => Unit::Day,
            Self::Week => Unit::Week,
            Self::Month => Unit::Month,
            Self::Lifetime => Unit::Lifetime,
        }
    }
}

/// Where a caller's own limit stands.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LimitFrom {
    /// In a claim of the caller's token: a whole number above 0.
    Claim(ClaimLimit),
    /// By the product of the caller's subscription.
    Products(
        #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("propertyNames" = {"minLength": 1})))] BTreeMap<String, Amount>,
    ),
    /// In the metadata of the gateway's route: `filter_metadata: {tracegate: {<name of the quota>: 500}}`.
    RouteMetadata(RouteLimit),
}

/// How much, from 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::config) struct Amount(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))] pub(in crate::config) u64);

/// A claim that holds a limit.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct ClaimLimit {
    /// Required: a name in `identity.providers`, of one whose tokens may say so.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) provider: String,
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 256)))]
    pub(in crate::config) path: Leaf<ClaimPath>,
    /// Required: the highest limit that is believed.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))]
    pub(in crate::config) at_most: u64,
}

/// A limit of the gateway's route.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct RouteLimit {
    /// Required: the highest limit that is believed.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))]
    pub(in crate::config) at_most: u64,
}

/// A part of a key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum KeyPart {
    /// The caller's subscription.
    Subscription,
    /// The product that it is to.
    Product,
    /// The caller, as its provider knows it: a token's subject, a subscription, a certificate.
    Caller,
    /// A claim of the caller's token.
    Claim(KeyClaim),
    /// Where the request comes from; `source` alone is whole IPv4 addresses and 64 bits of IPv6 addresses.
    Source(Prefixes),
    /// A header, by its name.
    Header(String),
    /// A query parameter, by its name.
    Query(String),
    /// The policy's route.
    Route,
    /// The method.
    Method,
    /// Always the same: all that the route's requests cost is counted together.
    Literal(String),
}

/// A claim, and whose.
#[derive(Clone, Debug, Serialize)]
pub(in crate::config) struct KeyClaim {
    /// A name in `identity.providers`; any by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) provider: Option<String>,
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper.
    pub(in crate::config) path: Leaf<ClaimPath>,
}

/// How many bits of an address count.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::config) struct Prefixes {
    /// From 0 to 32.
    pub(in crate::config) ipv4_prefix: u8,
    /// From 0 to 128.
    pub(in crate::config) ipv6_prefix: u8,
}

impl Prefixes {
    /// A network of 64 bits is one customer's as a rule, who has all of its addresses.
    const DEFAULT: Self = Self { ipv4_prefix: 32, ipv6_prefix: 64 };
}

/// What becomes of a request whose key can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum KeyAbsent {
    /// It isn't limited.
    Skip,
    /// It is refused.
    Refuse,
    /// It is counted together with all of its kind.
    SharedBucket,
}

/// What a request costs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Cost {
    /// How many requests it counts as. Default: 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_COST)))]
    pub(in crate::config) requests: u64,
    /// Beside a limit in bytes: how many are taken ahead, until the response is over and they are known. Default: 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = MAX_AMOUNT)))]
    pub(in crate::config) reserve_bytes: u64,
    /// Which requests cost anything; all by default. Those of which it can't be told do. The others are held against the limit all the same.
    #[cfg_attr(feature = "schema", schemars(with = "Condition"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) when: Option<Condition>,
    /// Which responses cost anything; all by default. The cost is taken ahead, and given back where the response turns out to be free.
    #[cfg_attr(feature = "schema", schemars(with = "Response"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) response: Option<Response>,
}

impl Default for Cost {
    fn default() -> Self {
        Self { requests: 1, reserve_bytes: 0, when: None, response: None }
    }
}

/// Which responses.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Response {
    /// Those with any of these statuses: `429`, `5xx`, `500-504`.
    Status(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::statuses"))] Vec<Status>),
    /// Those with none of them: `not_status: [429]` is what most policies of API Management say.
    NotStatus(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::statuses"))] Vec<Status>),
}

/// A status, or several.
#[derive(Clone, Debug, Serialize)]
pub(in crate::config) struct Status(pub(in crate::config) Leaf<StatusRange>);

/// Response headers of a quota's own.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Headers {
    /// For refused callers: in how many seconds to try again. API Management's `retry-after-header-name`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) retry_after: Option<String>,
    /// What is left. API Management's `remaining-calls-header-name`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) remaining: Option<String>,
    /// The limit. API Management's `total-calls-header-name`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) total: Option<String>,
}

impl Decode for Quota {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let limit = fields.required("limit", findings).and_then(|place| Limit::decode(place, findings));
        let limit_from = fields.maybe("limit_from", findings, LimitFrom::decode);
        let key: Option<Vec<KeyPart>> = fields.required("key", findings).and_then(|place| at_least_one(&place, findings));
        let words = [("skip", KeyAbsent::Skip), ("refuse", KeyAbsent::Refuse), ("shared_bucket", KeyAbsent::SharedBucket)];
        let absent = fields.maybe("key_absent", findings, |place, findings| place.word(&words, findings));
        let cost = fields.maybe("cost", findings, Cost::decode);
        let enforcement = fields.required("enforcement", findings).and_then(|place| Enforcement::decode(place, findings));
        let headers = fields.maybe("headers", findings, Headers::decode);
        let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
        let mode = fields.maybe("mode", findings, |place, findings| place.word(&modes, findings));
        let place = fields.place().clone();
        fields.finish(findings);
        let quota = Self {
            limit: limit?,
            limit_from: limit_from?,
            key: key?,
            key_absent: absent?,
            cost: cost?.unwrap_or_default(),
            enforcement: enforcement?,
            headers: headers?.unwrap_or_default(),
            mode: mode?.unwrap_or_default(),
        };
        quota.check(&place, findings)?;
        Some(quota)
    }
}

impl Quota {
    /// Whether it limits bytes.
    pub(in crate::config) const fn is_in_bytes(&self) -> bool {
        match &self.limit {
            Limit::FixedWindow(FixedWindow { bytes, .. }) | Limit::Calendar(Calendar { bytes, .. }) => bytes.is_some(),
            Limit::Rate(_) | Limit::SlidingWindow(_) => false,
        }
    }

    /// Whether it counts for an hour or longer.
    const fn is_long(&self) -> bool {
        match &self.limit {
            Limit::Rate(Rate { window, .. })
            | Limit::SlidingWindow(SlidingWindow { window, .. })
            | Limit::FixedWindow(FixedWindow { window, .. }) => window.value.milliseconds() >= HOUR,
            Limit::Calendar(_) => true,
        }
    }

    /// Reports what doesn't go together within it.
    fn check(&self, place: &Place<'_>, findings: &mut Findings) -> Option<()> {
        let invalid = |path: &[&str], text: &str, findings: &mut Findings| {
            place.descend(path).report::<()>(Problem::Invalid(text.to_owned()), findings)
        };
        if self.key_absent.is_none() && !self.key.iter().all(KeyPart::is_always_there) {
            let text = "expected `key_absent`: what becomes of a request without a part of the key, `skip`, `refuse` or `shared_bucket`";
            return invalid(&["key"], text, findings);
        }
        if self.is_in_bytes() && self.cost.requests != 1 {
            return invalid(&["cost", "requests"], "expected no number of requests beside a limit in bytes", findings);
        }
        if !self.is_in_bytes() && self.cost.reserve_bytes > 0 {
            return invalid(&["cost", "reserve_bytes"], "expected a limit in bytes beside it, found one in requests", findings);
        }
        if let Limit::Rate(Rate { requests, burst: Some(burst), window }) = &self.limit {
            // All of it must be free again within a year: what is kept of a key reaches no further.
            let time = u128::from(*burst).saturating_mul(u128::from(window.value.milliseconds()));
            if time.checked_div(u128::from(*requests)).is_none_or(|time| time > u128::from(365 * 24 * HOUR)) {
                let text = "expected a burst that the rate fills again within 365 days";
                return invalid(&["limit", "rate", "burst"], text, findings);
            }
            if *burst < self.cost.requests {
                return invalid(&["limit", "rate", "burst"], "expected a burst of at least what one request costs", findings);
            }
        }
        match &self.enforcement {
            Enforcement::Local(local) if self.is_long() && !local.volatile => {
                let text = "expected `volatile: true` beside a limit of an hour and longer: what this gateway counts is lost when it restarts, and \
                            is each gateway's own; or `global`, which keeps it";
                invalid(&["enforcement", "local"], text, findings)
            }
            Enforcement::Local(local) => {
                if self.is_long() && local.volatile {
                    let note = "what this gateway counts is lost when it restarts, and is each gateway's own";
                    place.descend(&["enforcement", "local", "volatile"]).warn(note, findings);
                }
                Some(())
            }
            Enforcement::Global(global) => {
                let exact = global.mode.is_exact();
                if matches!(self.limit, Limit::Rate(_) | Limit::SlidingWindow(_)) {
                    let text = "expected `fixed_window` or `calendar` beside `global`: a rate-limit service counts in windows";
                    return invalid(&["limit"], text, findings);
                }
                if matches!(self.limit_from, Some(LimitFrom::Claim(_) | LimitFrom::RouteMetadata(_))) {
                    let text = "expected `products` beside `global`: a rate-limit service's own configuration holds its limits";
                    return invalid(&["limit_from"], text, findings);
                }
                if exact && self.is_in_bytes() {
                    let text = "expected `mode: {lease: …}` beside a limit in bytes: they are known when it is too late to ask";
                    return invalid(&["enforcement", "global"], text, findings);
                }
                if exact && self.cost.response.is_some() {
                    let text = "expected `mode: {lease: …}` beside a cost that depends on the response: a service takes nothing back";
                    return invalid(&["cost", "response"], text, findings);
                }
                Some(())
            }
        }
    }

    /// Reports what doesn't go together with the rest of the document.
    pub(super) fn check_against(&self, document: &Document, place: &Place<'_>, findings: &mut Findings) {
        if let Some(when) = &self.cost.when {
            when.check_against(document, Use::Rule, &place.descend(&["cost", "when"]), findings);
        }
        let providers = &document.identity.providers;
        let is_token = |name: &str| matches!(providers.get(name), Some(Provider::Jwt(_) | Provider::Entra(_)));
        let subscriptions = providers.values().any(|provider| matches!(provider, Provider::SubscriptionKeys(_)));
        if let Some(LimitFrom::Claim(claim)) = &self.limit_from
            && !is_token(&claim.provider)
        {
            let at = place.descend(&["limit_from", "claim", "provider"]);
            at.expected::<()>("a name in `identity.providers` of one with tokens", findings);
        }
        let none = "expected `subscription_keys` in `identity.providers`: nobody has a subscription";
        if matches!(self.limit_from, Some(LimitFrom::Products(_))) && !subscriptions {
            place.descend(&["limit_from", "products"]).report::<()>(Problem::Invalid(none.to_owned()), findings);
        }
        for (index, part) in self.key.iter().enumerate() {
            let at = place.descend(&["key"]).item(index);
            match part {
                KeyPart::Subscription | KeyPart::Product if !subscriptions => {
                    at.report::<()>(Problem::Invalid(none.to_owned()), findings);
                }
                KeyPart::Caller if providers.is_empty() => {
                    at.report::<()>(Problem::Invalid("expected `identity.providers`: nobody vouches for callers".to_owned()), findings);
                }
                KeyPart::Claim(claim) => {
                    let known = claim.provider.as_deref().map_or_else(|| providers.keys().any(|name| is_token(name)), is_token);
                    if !known {
                        at.descend(&["claim"]).expected::<()>("a provider of tokens in `identity.providers`", findings);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether its key or its limit depends on who calls.
    pub(super) fn asks_caller(&self) -> bool {
        let asks = |part: &KeyPart| matches!(part, KeyPart::Subscription | KeyPart::Product | KeyPart::Caller | KeyPart::Claim(_));
        self.key.iter().any(asks) || matches!(self.limit_from, Some(LimitFrom::Claim(_) | LimitFrom::Products(_)))
    }
}

impl KeyPart {
    const fn is_always_there(&self) -> bool {
        matches!(self, Self::Route | Self::Method | Self::Literal(_))
    }
}

impl Decode for Limit {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["rate", "sliding_window", "fixed_window", "calendar"], findings)? {
            ("rate", place) => Rate::decode(place, findings).map(Self::Rate),
            ("sliding_window", place) => SlidingWindow::decode(place, findings).map(Self::SlidingWindow),
            ("fixed_window", place) => FixedWindow::decode(place, findings).map(Self::FixedWindow),
            (_, place) => Calendar::decode(place, findings).map(Self::Calendar),
        }
    }
}

impl Decode for Rate {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let requests = fields.required("requests", findings).and_then(|place| amount(place, findings));
        let window = fields.required("window", findings).and_then(|place| window(place, findings));
        let burst = fields.maybe("burst", findings, amount);
        fields.finish(findings);
        Some(Self { requests: requests?, window: window?, burst: burst? })
    }
}

impl Decode for SlidingWindow {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let requests = fields.required("requests", findings).and_then(|place| amount(place, findings));
        let window = fields.required("window", findings).and_then(|place| window(place, findings));
        fields.finish(findings);
        Some(Self { requests: requests?, window: window? })
    }
}

impl Decode for FixedWindow {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let requests = fields.maybe("requests", findings, amount);
        let bytes = fields.maybe("bytes", findings, amount);
        let window = fields.required("window", findings).and_then(|place| duration(place, SECOND..=u64::MAX, "of at least 1s", findings));
        let start = fields.maybe("first_period_start", findings, Leaf::decode);
        let place = fields.place().clone();
        fields.finish(findings);
        let (requests, bytes) = one_unit(&place, requests?, bytes?, findings)?;
        Some(Self { requests, bytes, window: window?, first_period_start: start? })
    }
}

impl Decode for Calendar {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let requests = fields.maybe("requests", findings, amount);
        let bytes = fields.maybe("bytes", findings, amount);
        let words = [
            ("hour", PeriodName::Hour),
            ("day", PeriodName::Day),
            ("week", PeriodName::Week),
            ("month", PeriodName::Month),
            ("lifetime", PeriodName::Lifetime),
        ];
        let period = fields.required("period", findings).and_then(|place| place.word(&words, findings));
        let zone = fields.maybe("time_zone", findings, Leaf::decode);
        let start = fields.maybe("first_period_start", findings, Leaf::decode);
        let place = fields.place().clone();
        fields.finish(findings);
        let (requests, bytes) = one_unit(&place, requests?, bytes?, findings)?;
        let time_zone = zone?.or_else(|| Leaf::of("UTC"))?;
        Some(Self { requests, bytes, period: period?, time_zone, first_period_start: start? })
    }
}

impl Decode for LimitFrom {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["claim", "products", "route_metadata"], findings)? {
            ("claim", place) => ClaimLimit::decode(place, findings).map(Self::Claim),
            ("products", place) => {
                let products: BTreeMap<String, Amount> = place.map(findings)?;
                if products.is_empty() {
                    return place.report(Problem::Invalid("expected at least one product, found none".to_owned()), findings);
                }
                Some(Self::Products(products))
            }
            (_, place) => {
                let mut fields = place.fields(findings)?;
                let at_most = fields.required("at_most", findings).and_then(|place| amount(place, findings));
                fields.finish(findings);
                Some(Self::RouteMetadata(RouteLimit { at_most: at_most? }))
            }
        }
    }
}

impl Decode for Amount {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        amount(place, findings).map(Self)
    }
}

impl Decode for ClaimLimit {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let provider = fields.required("provider", findings).and_then(|place| place.name(findings));
        let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
        let at_most = fields.required("at_most", findings).and_then(|place| amount(place, findings));
        fields.finish(findings);
        Some(Self { provider: provider?, path: path?, at_most: at_most? })
    }
}

impl Decode for KeyPart {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        if let Value::String(_) = place.value() {
            let words = [
                ("subscription", Self::Subscription),
                ("product", Self::Product),
                ("caller", Self::Caller),
                ("source", Self::Source(Prefixes::DEFAULT)),
                ("route", Self::Route),
                ("method", Self::Method),
            ];
            let places = [0, 1, 2, 3, 4, 5];
            let names: Vec<(&'static str, usize)> = words.iter().map(|(name, _)| *name).zip(places).collect();
            let found = place.word(&names, findings)?;
            return words.into_iter().nth(found).map(|(_, part)| part);
        }
        match place.choice(&["claim", "source", "header", "query", "literal"], findings)? {
            ("claim", place) => {
                let mut fields = place.fields(findings)?;
                let provider = fields.maybe("provider", findings, |place, findings| place.name(findings));
                let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
                fields.finish(findings);
                Some(Self::Claim(KeyClaim { provider: provider?, path: path? }))
            }
            ("source", place) => {
                let mut fields = place.fields(findings)?;
                let mut prefix = |name, longest: u8, default, findings: &mut Findings| {
                    let written =
                        fields.maybe(name, findings, |place, findings| u8::try_from(place.integer(0..=u64::from(longest), findings)?).ok());
                    written.map(|written| written.unwrap_or(default))
                };
                let ipv4_prefix = prefix("ipv4_prefix", 32, Prefixes::DEFAULT.ipv4_prefix, findings);
                let ipv6_prefix = prefix("ipv6_prefix", 128, Prefixes::DEFAULT.ipv6_prefix, findings);
                fields.finish(findings);
                Some(Self::Source(Prefixes { ipv4_prefix: ipv4_prefix?, ipv6_prefix: ipv6_prefix? }))
            }
            ("header", place) => token(&place, findings).map(Self::Header),
            ("query", place) => place.name(findings).map(Self::Query),
            (_, place) => place.name(findings).map(Self::Literal),
        }
    }
}

impl Decode for Cost {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let requests = fields.maybe("requests", findings, |place, findings| place.integer(1..=MAX_COST, findings));
        let reserve = fields.maybe("reserve_bytes", findings, |place, findings| place.integer(0..=MAX_AMOUNT, findings));
        let when = fields.maybe("when", findings, Condition::decode);
        let response = fields.maybe("response", findings, Response::decode);
        fields.finish(findings);
        let default = Self::default();
        Some(Self {
            requests: requests?.unwrap_or(default.requests),
            reserve_bytes: reserve?.unwrap_or(default.reserve_bytes),
            when: when?,
            response: response?,
        })
    }
}

impl Decode for Response {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["status", "not_status"], findings)? {
            ("status", place) => at_least_one(&place, findings).map(Self::Status),
            (_, place) => at_least_one(&place, findings).map(Self::NotStatus),
        }
    }
}

impl Decode for Status {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let text = match place.value() {
            Value::Integer(number) => number.to_string(),
            _ => place.text(findings)?.to_owned(),
        };
        match text.parse() {
            Ok(value) => Some(Self(Leaf::read(text, value))),
            Err(error) => place.report(Problem::Invalid(format!("{error} ({})", place.value())), findings),
        }
    }
}

impl Decode for Headers {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let mut header = |name, findings: &mut Findings| {
            fields.maybe(name, findings, |place, findings| {
                let name = token(&place, findings)?;
                if means_something(&name) || name.eq_ignore_ascii_case("retry-after") {
                    return place.expected("a header that means nothing else to gateways and services", findings);
                }
                Some(name)
            })
        };
        let retry_after = header("retry_after", findings);
        let (remaining, total) = (header("remaining", findings), header("total", findings));
        fields.finish(findings);
        Some(Self { retry_after: retry_after?, remaining: remaining?, total: total? })
    }
}

/// From 1 to 2^53 - 1.
fn amount(place: Place<'_>, findings: &mut Findings) -> Option<u64> {
    place.integer(1..=MAX_AMOUNT, findings)
}

/// Of a rate: from a second to a day.
fn window(place: Place<'_>, findings: &mut Findings) -> Option<Leaf<Duration>> {
    duration(place, SECOND..=24 * HOUR, "from 1s to 24h", findings)
}

fn one_unit(place: &Place<'_>, requests: Option<u64>, bytes: Option<u64>, findings: &mut Findings) -> Option<(Option<u64>, Option<u64>)> {
    if requests.is_some() == bytes.is_some() {
        return place.report(Problem::Invalid("expected either `requests` or `bytes`".to_owned()), findings);
    }
    Some((requests, bytes))
}

#[cfg(feature = "schema")]
fn utc() -> &'static str {
    "UTC"
}

/// What numbers in JSON are exact up to.
pub(in crate::config) const MAX_AMOUNT: u64 = (1 << 53) - 1;
/// What one request may count as.
const MAX_COST: u64 = 1_000_000;
const SECOND: u64 = 1000;
const HOUR: u64 = 3_600_000;
