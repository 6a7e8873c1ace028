// SPDX-License-Identifier: Apache-2.0
//! How much in how long, as written.

use serde::Serialize;

use super::super::jwt::duration;
use super::HOUR;
use crate::config::decode::{Decode, Leaf, Place};
use crate::config::finding::{Findings, Problem};
use crate::config::number::{Duration, Timestamp};
#[cfg(feature = "schema")]
use crate::config::schema;
use crate::quota::{Unit, Zone};

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
    #[cfg_attr(feature = "schema", schemars(with = "String", default, regex(pattern = schema::TIMESTAMP)))]
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
    #[cfg_attr(feature = "schema", schemars(with = "String", default, regex(pattern = schema::TIMESTAMP)))]
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

impl Limit {
    /// Its kind and its unit, as they are written, and how much.
    pub(super) fn amount(&self) -> (&'static str, &'static str, u64) {
        let either = |requests: Option<u64>, bytes: Option<u64>| match (requests, bytes) {
            (_, Some(bytes)) => ("bytes", bytes),
            (requests, None) => ("requests", requests.unwrap_or(1)),
        };
        let (kind, (unit, amount)) = match self {
            Self::Rate(Rate { requests, .. }) => ("rate", ("requests", *requests)),
            Self::SlidingWindow(SlidingWindow { requests, .. }) => ("sliding_window", ("requests", *requests)),
            Self::FixedWindow(FixedWindow { requests, bytes, .. }) => ("fixed_window", either(*requests, *bytes)),
            Self::Calendar(Calendar { requests, bytes, .. }) => ("calendar", either(*requests, *bytes)),
        };
        (kind, unit, amount)
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

/// From 1 to 2^53 - 1.
pub(super) fn amount(place: Place<'_>, findings: &mut Findings) -> Option<u64> {
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
pub(super) const MAX_AMOUNT: u64 = (1 << 53) - 1;
/// In milliseconds.
const SECOND: u64 = 1000;
