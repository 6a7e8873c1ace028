// SPDX-License-Identifier: Apache-2.0
//! The section `trace` as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::Document;
use super::condition::Use;
use super::sampling::Sampling;
#[cfg(feature = "schema")]
use super::trust::MAX_TRUST_RULES;
use super::trust::{self, TrustRule};
use crate::trace::{KeyId, MemberKey, SIGNED_HOP_MAX_EXPIRY, TRACESTATE_MAX_LENGTH, TRACESTATE_MIN_LENGTH_LIMIT, is_baggage_key};

/// What becomes of trace context: W3C Trace Context Level 2 and its predecessors.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Trace {
    /// What carries it.
    pub(in crate::config) propagation: Propagation,
    /// What the upstream sees in `tracestate`.
    pub(in crate::config) tracestate: TraceState,
    /// Signs our `tracestate` member, so that a gateway of ours knows it again; unsigned by default.
    #[cfg_attr(feature = "schema", schemars(with = "SignedHop"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) signed_hop: Option<SignedHop>,
    /// Whose trace context is believed: the first rule that matches. By default everybody's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_TRUST_RULES)))]
    pub(in crate::config) trust: Vec<TrustRule>,
    /// Which traces are recorded; by default all about which no caller decides.
    #[cfg_attr(feature = "schema", schemars(with = "Sampling"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sampling: Option<Sampling>,
}

/// Carriers by the names that OpenTelemetry gives its propagators, where it has one.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Propagation {
    /// Read from requests; the first valid one wins. Default: `[tracecontext]`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("uniqueItems" = true)))]
    pub(in crate::config) extract: Vec<Format>,
    /// Written to the upstream; what is read and not written is removed. Default: `[tracecontext]`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("uniqueItems" = true)))]
    pub(in crate::config) inject: Vec<Format>,
    /// What becomes of baggage.
    pub(in crate::config) baggage: Baggage,
}

/// What becomes of baggage: W3C's `baggage` header, and the baggage of the carrier that is believed.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Baggage {
    /// The only keys that go on, in their own case; an empty list strips it all. By default every key goes on.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>", inner(regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"))))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) allow: Option<Vec<String>>,
}

/// A carrier of trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Format {
    /// W3C: `traceparent` and `tracestate`.
    #[serde(rename = "tracecontext")]
    TraceContext,
    /// B3 in one header: `b3`.
    B3,
    /// B3 in several headers: `x-b3-*`.
    #[serde(rename = "b3multi")]
    B3Multi,
    /// Jaeger: `uber-trace-id`, `uberctx-*`.
    Jaeger,
    /// OpenTracing and Lightstep: `ot-tracer-*`, `ot-baggage-*`.
    #[serde(rename = "ottrace")]
    OtTrace,
    /// Lightstep's binary carrier: `x-ot-span-context`.
    OtSpanContext,
    /// AWS X-Ray: `x-amzn-trace-id`.
    #[serde(rename = "xray")]
    XRay,
    /// Application Insights before W3C: `request-id`, `request-context`, `correlation-context`.
    RequestId,
}

/// What the upstream sees in `tracestate`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct TraceState {
    /// The key of our member; none is written by default.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::member_key"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) member: Option<Leaf<MemberKey>>,
    /// The longest header to send, in bytes, cut by whole members. Default: all that the grammar allows.
    #[cfg_attr(feature = "schema", schemars(range(min = TRACESTATE_MIN_LENGTH_LIMIT, max = TRACESTATE_MAX_LENGTH)))]
    pub(in crate::config) max_length: usize,
}

/// How our `tracestate` member is signed. `tracestate.member` must be given.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct SignedHop {
    /// Required: the key that signs; it also verifies.
    pub(in crate::config) active: HopKey,
    /// A key that only verifies, while keys rotate: the one before or the one to come. None by default.
    #[cfg_attr(feature = "schema", schemars(with = "HopKey", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) other: Option<HopKey>,
    /// How long a signature is good for: up to an hour, 30 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_expiry", schema_with = "schema::duration"))]
    pub(in crate::config) expires_after: Leaf<Duration>,
}

/// A key and its id.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct HopKey {
    /// Required: goes along with each signature.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::key_id"))]
    pub(in crate::config) id: Leaf<KeyId>,
    /// Required: the key, at least 32 bytes.
    pub(in crate::config) key: SecretName,
}

/// A secret by name.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct SecretName {
    /// Required: a name in `secrets`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) secret: String,
}

impl Trace {
    /// Reports what doesn't go together with the rest of the document. `place` is this section's.
    pub(super) fn check_against(&self, document: &Document, place: &Place<'_>, findings: &mut Findings) {
        let propagation = &self.propagation;
        let mut wrong = |names: &[&str], text: &str| place.descend(names).report::<()>(Problem::Invalid(text.to_owned()), findings);
        if self.tracestate.member.is_some() && !propagation.inject.contains(&Format::TraceContext) {
            wrong(
                &["tracestate", "member"],
                "expected `tracecontext` in `trace.propagation.inject` beside a `member`, which would never be written",
            );
        }
        if self.signed_hop.is_some()
            && self.tracestate.member.as_ref().is_some_and(|member| member.value.as_bytes().len() > MAX_SIGNED_MEMBER)
        {
            wrong(
                &["tracestate", "member"],
                "expected a key of at most 32 bytes beside `signed_hop`: longer members are the first to be cut",
            );
        }
        if let Some(hop) = &self.signed_hop {
            for (name, key) in [("active", Some(&hop.active)), ("other", hop.other.as_ref())] {
                if key.is_some_and(|key| !document.secrets.contains_key(&key.key.secret)) {
                    let at = place.descend(&["signed_hop", name, "key", "secret"]);
                    at.report::<()>(Problem::Invalid("expected a name in `secrets`, found another".to_owned()), findings);
                }
            }
        }
        for (index, rule) in self.trust.iter().enumerate() {
            let Some(condition) = &rule.when else { continue };
            condition.check_against(document, Use::Trust, &place.descend(&["trust"]).item(index).descend(&["when"]), findings);
        }
    }
}

impl Decode for Trace {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let propagation = fields.maybe("propagation", findings, Propagation::decode);
        let tracestate = fields.maybe("tracestate", findings, TraceState::decode);
        let hop_place = fields.optional("signed_hop");
        let signed_hop = hop_place.clone().map_or(Some(None), |place| SignedHop::decode(place, findings).map(Some));
        let trust = fields.maybe("trust", findings, trust::rules);
        let sampling = fields.maybe("sampling", findings, Sampling::decode);
        fields.finish(findings);
        let tracestate = tracestate?.unwrap_or_default();
        if let Some(place) = hop_place.filter(|_| tracestate.member.is_none()) {
            return place
                .report(Problem::Invalid("expected `trace.tracestate.member` beside `signed_hop`, found none".to_owned()), findings);
        }
        let (signed_hop, trust) = (signed_hop?, trust?.unwrap_or_default());
        Some(Self { propagation: propagation?.unwrap_or_default(), tracestate, signed_hop, trust, sampling: sampling? })
    }
}

impl Decode for Propagation {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let extract = fields.maybe("extract", findings, formats);
        let inject = fields.maybe("inject", findings, formats);
        let baggage = fields.maybe("baggage", findings, Baggage::decode);
        fields.finish(findings);
        let default = Self::default();
        let (extract, inject) = (extract?.unwrap_or(default.extract), inject?.unwrap_or(default.inject));
        Some(Self { extract, inject, baggage: baggage?.unwrap_or_default() })
    }
}

impl Default for Propagation {
    fn default() -> Self {
        Self { extract: vec![Format::TraceContext], inject: vec![Format::TraceContext], baggage: Baggage::default() }
    }
}

fn formats(place: Place<'_>, findings: &mut Findings) -> Option<Vec<Format>> {
    let formats: Vec<Format> = super::condition::at_least_one(&place, findings)?;
    place.each_once(formats, findings)
}

impl Decode for Format {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let words = [
            ("tracecontext", Self::TraceContext),
            ("b3", Self::B3),
            ("b3multi", Self::B3Multi),
            ("jaeger", Self::Jaeger),
            ("ottrace", Self::OtTrace),
            ("ot_span_context", Self::OtSpanContext),
            ("xray", Self::XRay),
            ("request_id", Self::RequestId),
        ];
        place.word(&words, findings)
    }
}

impl Decode for Baggage {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let allow = fields.maybe("allow", findings, |place, findings| place.list::<BaggageKey>(findings));
        fields.finish(findings);
        Some(Self { allow: allow?.map(|keys| keys.into_iter().map(|BaggageKey(key)| key).collect()) })
    }
}

struct BaggageKey(String);

impl Decode for BaggageKey {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let key = place.text(findings)?;
        let sound = is_baggage_key(key.as_bytes()) && key != "*";
        if sound { Some(Self(key.to_owned())) } else { place.expected(BAGGAGE_KEY, findings) }
    }
}

impl Decode for TraceState {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let limits = u64::try_from(TRACESTATE_MIN_LENGTH_LIMIT).ok()?..=u64::try_from(TRACESTATE_MAX_LENGTH).ok()?;
        let mut fields = place.fields(findings)?;
        let member = fields.maybe("member", findings, |place, findings| {
            let member: Leaf<MemberKey> = Leaf::decode(place.clone(), findings)?;
            let taken = member.value.as_bytes() == b"ot";
            if taken { place.expected("a key other than `ot`, which is OpenTelemetry's", findings) } else { Some(member) }
        });
        let max_length = fields.maybe("max_length", findings, |place, findings| usize::try_from(place.integer(limits, findings)?).ok());
        fields.finish(findings);
        Some(Self { member: member?, max_length: max_length?.unwrap_or(TRACESTATE_MAX_LENGTH) })
    }
}

impl Default for TraceState {
    fn default() -> Self {
        Self { member: None, max_length: TRACESTATE_MAX_LENGTH }
    }
}

impl Decode for SignedHop {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let active = fields.required("active", findings).and_then(|place| HopKey::decode(place, findings));
        let other = fields.maybe("other", findings, HopKey::decode);
        let expires_after = fields.maybe("expires_after", findings, |place, findings| {
            let leaf: Leaf<Duration> = Leaf::decode(place.clone(), findings)?;
            let seconds = leaf.value.whole_seconds();
            let sound = seconds.is_some_and(|seconds| (1..=SIGNED_HOP_MAX_EXPIRY).contains(&seconds));
            if sound { Some(leaf) } else { place.expected("whole seconds from 1s to 1h", findings) }
        });
        fields.finish(findings);
        let (active, other) = (active?, other?);
        let same = |what: &str| Problem::Invalid(format!("expected two keys with ids and secrets of their own, found one {what}"));
        if let Some(other) = &other {
            if other.id.value == active.id.value {
                return place.report(same("id"), findings);
            }
            if other.key.secret == active.key.secret {
                return place.report(same("secret"), findings);
            }
        }
        Some(Self { active, other, expires_after: expires_after?.or_else(|| Leaf::of(DEFAULT_EXPIRY))? })
    }
}

impl Decode for HopKey {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let id = fields.required("id", findings).and_then(|place| Leaf::decode(place, findings));
        let key = fields.required("key", findings).and_then(|place| SecretName::decode(place, findings));
        fields.finish(findings);
        Some(Self { id: id?, key: key? })
    }
}

impl Decode for SecretName {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let secret = fields.required("secret", findings).and_then(|place| place.name(findings));
        fields.finish(findings);
        Some(Self { secret: secret? })
    }
}

#[cfg(feature = "schema")]
fn default_expiry() -> String {
    DEFAULT_EXPIRY.to_owned()
}

/// `*` alone is a key, and never what is meant.
const BAGGAGE_KEY: &str =
    "a key of baggage: letters, digits and !#$%&'*+-.^_`|~; `*` is no wildcard: leave `allow` out to let every key pass";
/// Longer than any chain of calls.
const DEFAULT_EXPIRY: &str = "30s";
/// Bytes of a key whose signed member is still short enough to be among the last that are cut.
const MAX_SIGNED_MEMBER: usize = 32;
