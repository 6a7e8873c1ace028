// SPDX-License-Identifier: Apache-2.0
//! Limits as written.
//!
//! | module | what it holds |
//! |---|---|
//! | `limit`, `limit_from` | how much in how long; a caller's own |
//! | `key` | whose requests are counted together |
//! | `cost` | what a request costs |
//! | `headers` | what callers read of it |

mod cost;
mod headers;
mod key;
mod limit;
mod limit_from;

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use super::Document;
use super::condition::{Use, at_least_one};
use super::enforcement::{Enforcement, GlobalMode, Lease};
use super::identity::Provider;
use super::rule::Mode;

pub(in crate::config) use cost::{Cost, Response, Status};
pub(in crate::config) use headers::Headers;
pub(in crate::config) use key::{KeyAbsent, KeyClaim, KeyPart, Prefixes};
pub(in crate::config) use limit::{Calendar, FixedWindow, Limit, Rate, SlidingWindow};
pub(in crate::config) use limit_from::{Amount, ClaimLimit, LimitFrom, RouteLimit};

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

    /// The lowest limit that somebody may have.
    fn least(&self) -> u64 {
        let (.., amount) = self.limit.amount();
        match &self.limit_from {
            None => amount,
            Some(LimitFrom::Products(products)) => products.values().map(|Amount(own)| *own).fold(amount, u64::min),
            Some(LimitFrom::Claim(_) | LimitFrom::RouteMetadata(_)) => 1,
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
        let (kind, unit, amount) = self.limit.amount();
        if amount < if unit == "bytes" { self.cost.reserve_bytes } else { self.cost.requests } {
            return invalid(
                &["limit", kind, unit],
                "expected a limit of at least what one request takes: nobody would be admitted",
                findings,
            );
        }
        if let Limit::Rate(Rate { burst: Some(burst), window, .. }) = &self.limit {
            // All of it must be free again within a year: what is kept of a key reaches no further.
            let time = u128::from(*burst).saturating_mul(u128::from(window.value.milliseconds()));
            if time.checked_div(u128::from(self.least())).is_none_or(|time| time > u128::from(365 * 24 * HOUR)) {
                let text = "expected a burst that the rate fills again within 365 days, for whoever has the lowest limit";
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
                let names: Vec<String> = self.key.iter().map(KeyPart::entry_name).collect();
                let twice = names.iter().enumerate().find_map(|(index, name)| names.get(..index)?.contains(name).then_some((index, name)));
                if let Some((index, name)) = twice {
                    let text = format!("expected a part under a name of its own beside `global`: to a rate-limit service two are `{name}`");
                    return place.descend(&["key"]).item(index).report(Problem::Invalid(text), findings);
                }
                if let GlobalMode::Lease(Lease { max_slice, .. }) = &global.mode
                    && *max_slice >= self.least()
                {
                    let note = "one slice may be the whole limit, which leaves other gateways none until its window is over";
                    place.descend(&["enforcement", "global", "mode", "lease", "max_slice"]).warn(note, findings);
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
                KeyPart::Claim(KeyClaim { provider: Some(name), .. }) if !is_token(name) => {
                    let at = at.descend(&["claim", "provider"]);
                    at.expected::<()>("a name in `identity.providers` of one with tokens", findings);
                }
                KeyPart::Claim(_) if !providers.keys().any(|name| is_token(name)) => {
                    let text = "expected a provider with tokens in `identity.providers`: nobody's claims are known";
                    at.report::<()>(Problem::Invalid(text.to_owned()), findings);
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

/// In milliseconds.
const HOUR: u64 = 3_600_000;
