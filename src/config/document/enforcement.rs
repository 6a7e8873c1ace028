// SPDX-License-Identifier: Apache-2.0
//! Who counts, as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place, WordOrField};
use super::super::finding::Findings;
use super::super::number::{Duration, Thousandths};
#[cfg(feature = "schema")]
use super::super::schema;
use super::jwt::duration;

/// Who counts.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Enforcement {
    /// This gateway, in the memory that its workers share: exactly, whatever their number.
    Local(Local),
    /// A rate-limit service, for many gateways: Limitador, or Envoy's reference implementation.
    Global(Box<Global>),
}

/// How a gateway counts.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Local {
    /// How many slots there are, of 8 keys each. A full slot takes some 280 bytes, beside what the gateway's map does. Default: 4096.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_SLOTS)))]
    pub(in crate::config) slots: u32,
    /// What becomes of a key whose slot is full of others, all of them live; where the gateway's memory can't be had at all, `admit` admits and the others
    /// refuse. Default: `shared_bucket`.
    pub(in crate::config) on_full: OnFull,
    /// Required to be `true` for limits of an hour and longer: they are forgotten when the gateway restarts. Default: `false`.
    pub(in crate::config) volatile: bool,
}

impl Default for Local {
    fn default() -> Self {
        Self { slots: DEFAULT_SLOTS, on_full: OnFull::SharedBucket, volatile: false }
    }
}

/// What becomes of a key that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnFull {
    /// It isn't limited.
    Admit,
    /// It is refused.
    Refuse,
    /// It is counted together with all of its kind.
    SharedBucket,
}

/// How a rate-limit service is asked: `envoy.service.ratelimit.v3`, by gRPC.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Global {
    /// Required: the gateway's cluster.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_CLUSTER)))]
    pub(in crate::config) cluster: String,
    /// Required: the service's domain, which Limitador calls a namespace.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) domain: String,
    /// How long a request waits for an answer, from `1ms` to `10s`. Default: `20ms`.
    #[cfg_attr(feature = "schema", schemars(default = "default_timeout", schema_with = "schema::duration"))]
    pub(in crate::config) timeout: Leaf<Duration>,
    /// When it is asked. Default: `exact`.
    #[cfg_attr(feature = "schema", schemars(default = "exact", schema_with = "schema::global_mode"))]
    pub(in crate::config) mode: GlobalMode,
    /// Required: what becomes of requests while it doesn't answer.
    pub(in crate::config) on_unavailable: OnServiceUnavailable,
    /// When it counts as down: the same for all quotas of one cluster.
    #[cfg_attr(feature = "schema", schemars(default = "Breaker::by_default"))]
    pub(in crate::config) breaker: Breaker,
    /// How many slots of 8 keys this gateway keeps of slices (a full one takes some 730 bytes), and as many of keys that it counts while the service
    /// is down. Default: 4096.
    #[cfg_attr(feature = "schema", schemars(default = "default_slots", range(min = 1, max = MAX_SLOTS)))]
    pub(in crate::config) slots: u32,
}

/// When a rate-limit service is asked.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum GlobalMode {
    /// About each request, which waits for the answer.
    #[default]
    Exact,
    /// For slices of the limit, ahead of need.
    Lease(Lease),
}

impl GlobalMode {
    /// Whether each request is asked about.
    pub(super) const fn is_exact(&self) -> bool {
        matches!(self, Self::Exact)
    }
}

/// How slices are taken.
#[derive(Clone, Debug, Serialize)]
pub(in crate::config) struct Lease {
    /// The largest slice, in units of the limit.
    pub(in crate::config) max_slice: u64,
    /// For how long a slice counts.
    pub(in crate::config) duration: Leaf<Duration>,
}

/// What becomes of requests while a service doesn't answer.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnServiceUnavailable {
    /// They aren't limited.
    Admit,
    /// They are refused.
    Refuse,
    /// This gateway counts them.
    Local(Share),
}

/// A share of a limit.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Share {
    /// Required: which part of the limit each gateway admits, above 0 and up to 1, in thousandths.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::share"))]
    pub(in crate::config) share: Thousandths,
}

/// When a service counts as down.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Breaker {
    /// After so many failures in a row, as each worker sees them. Default: 5.
    #[cfg_attr(feature = "schema", schemars(default = "default_failures", range(min = 1, max = MAX_FAILURES)))]
    pub(in crate::config) failures: u32,
    /// For so long it isn't asked then, from `100ms` to `10m`; one question tries again after it. Default: `5s`.
    #[cfg_attr(feature = "schema", schemars(default = "default_pause", schema_with = "schema::duration"))]
    pub(in crate::config) retry_after: Leaf<Duration>,
}

impl Decode for Enforcement {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["local", "global"], findings)? {
            ("local", place) => Local::decode(place, findings).map(Self::Local),
            (_, place) => Global::decode(place, findings).map(Box::new).map(Self::Global),
        }
    }
}

impl Decode for Local {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let slots = fields.maybe("slots", findings, slots);
        let words = [("admit", OnFull::Admit), ("refuse", OnFull::Refuse), ("shared_bucket", OnFull::SharedBucket)];
        let on_full = fields.maybe("on_full", findings, |place, findings| place.word(&words, findings));
        let volatile = fields.maybe("volatile", findings, |place, findings| place.bool(findings));
        fields.finish(findings);
        let default = Self::default();
        Some(Self {
            slots: slots?.unwrap_or(default.slots),
            on_full: on_full?.unwrap_or(default.on_full),
            volatile: volatile?.unwrap_or(default.volatile),
        })
    }
}

impl Decode for Global {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let cluster = fields.required("cluster", findings).and_then(|place| {
            let name = place.name(findings)?;
            if name.len() > MAX_CLUSTER { place.expected("a name of at most 125 bytes", findings) } else { Some(name) }
        });
        let domain = fields.required("domain", findings).and_then(|place| place.name(findings));
        let timeout = fields.maybe("timeout", findings, |place, findings| duration(place, 1..=10_000, "from 1ms to 10s", findings));
        let mode = fields.maybe("mode", findings, GlobalMode::decode);
        let on_unavailable = fields.required("on_unavailable", findings).and_then(|place| OnServiceUnavailable::decode(place, findings));
        let breaker = fields.maybe("breaker", findings, Breaker::decode);
        let slots = fields.maybe("slots", findings, slots);
        fields.finish(findings);
        Some(Self {
            cluster: cluster?,
            domain: domain?,
            timeout: timeout?.or_else(|| Leaf::of(DEFAULT_TIMEOUT))?,
            mode: mode?.unwrap_or_default(),
            on_unavailable: on_unavailable?,
            breaker: breaker?.or_else(Breaker::by_default)?,
            slots: slots?.unwrap_or(DEFAULT_SLOTS),
        })
    }
}

impl Decode for GlobalMode {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let WordOrField::Field(_, place) = place.word_or_field(&[("exact", ())], &["lease"], findings)? else {
            return Some(Self::Exact);
        };
        let mut fields = place.fields(findings)?;
        let max_slice = fields.required("max_slice", findings).and_then(|place| place.integer(1..=MAX_SLICE, findings));
        let lease = fields.maybe("duration", findings, |place, findings| duration(place, 100..=3_600_000, "from 100ms to 1h", findings));
        fields.finish(findings);
        let duration = lease?.or_else(|| Leaf::of("10s"))?;
        Some(Self::Lease(Lease { max_slice: max_slice?, duration }))
    }
}

impl Decode for OnServiceUnavailable {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let place = match place.word_or_field(&[("admit", false), ("refuse", true)], &["local"], findings)? {
            WordOrField::Word(refuses) => return Some(if refuses { Self::Refuse } else { Self::Admit }),
            WordOrField::Field(_, place) => place,
        };
        let mut fields = place.fields(findings)?;
        let share = fields.required("share", findings).and_then(|place| Thousandths::decode(place, findings));
        fields.finish(findings);
        Some(Self::Local(Share { share: share? }))
    }
}

impl Breaker {
    /// Whether it opens and closes alike.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.failures == other.failures && self.retry_after.value == other.retry_after.value
    }

    fn by_default() -> Option<Self> {
        Some(Self { failures: DEFAULT_FAILURES, retry_after: Leaf::of(DEFAULT_PAUSE)? })
    }
}

impl Decode for Breaker {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let failures = fields.maybe("failures", findings, |place, findings| u32::try_from(place.integer(1..=MAX_FAILURES, findings)?).ok());
        let retry_after =
            fields.maybe("retry_after", findings, |place, findings| duration(place, 100..=600_000, "from 100ms to 10m", findings));
        fields.finish(findings);
        let default = Self::by_default()?;
        Some(Self { failures: failures?.unwrap_or(default.failures), retry_after: retry_after?.unwrap_or(default.retry_after) })
    }
}

fn slots(place: Place<'_>, findings: &mut Findings) -> Option<u32> {
    u32::try_from(place.integer(1..=MAX_SLOTS, findings)?).ok()
}

#[cfg(feature = "schema")]
fn exact() -> &'static str {
    "exact"
}

#[cfg(feature = "schema")]
fn default_timeout() -> &'static str {
    DEFAULT_TIMEOUT
}

#[cfg(feature = "schema")]
fn default_failures() -> u32 {
    DEFAULT_FAILURES
}

#[cfg(feature = "schema")]
fn default_pause() -> &'static str {
    DEFAULT_PAUSE
}

#[cfg(feature = "schema")]
fn default_slots() -> u32 {
    DEFAULT_SLOTS
}

/// What hosts can be told of a cluster to call by gRPC.
const MAX_CLUSTER: usize = 125;
/// What Envoy's own filter waits.
const DEFAULT_TIMEOUT: &str = "20ms";
const DEFAULT_SLOTS: u32 = 4096;
const DEFAULT_FAILURES: u32 = 5;
const DEFAULT_PAUSE: &str = "5s";
/// Some 300 MB of full slots, or 1.1 GB of slices and shares.
const MAX_SLOTS: u64 = 1 << 20;
const MAX_SLICE: u64 = 1_000_000_000;
const MAX_FAILURES: u64 = 1_000_000;
