// SPDX-License-Identifier: Apache-2.0
//! Stages `read` and `settle`: which trace a request belongs to, and what the upstream is told.
//!
//! `read` parses what the caller sent, in whichever of eight formats; `settle` decides, once the caller is known, whether its
//! trace goes on, and writes what the upstream is told. Invalid context never fails a request: it is dropped, a fresh trace begins and
//! nothing malformed is forwarded. Ids are never mixed: they come from one carrier, the first valid one in the policy's order. The rules of
//! `traceparent` and `tracestate` are those of
//! [Trace Context Level 2](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field).

mod b3;
mod baggage;
mod carrier;
mod field;
mod id;
mod jaeger;
mod ot_span_context;
mod ottrace;
mod pairs;
mod parent;
mod read;
mod request_id;
mod sampling;
mod settle;
mod signature;
mod state;
mod trust;
mod write;
mod xray;

pub use b3::{B3, B3Multi};
pub use baggage::{Baggage, BaggagePolicy, is_token as is_baggage_key};
pub use carrier::{Context, Format, InvalidCarrier, Sampling};
pub use id::{SpanId, TraceId};
pub use jaeger::UberTraceId;
pub use ot_span_context::OtSpanContext;
pub use ottrace::OtTrace;
pub use parent::{InvalidTraceParent, TraceFlags, TraceParent};
pub use request_id::RequestId;
pub use sampling::{Decided, DecidedBy, InvalidProbability, OtMember, Randomness, Sampler, SamplingPolicy, Threshold};
pub use settle::{Indicators, Outcome, RestartCause, Settled};
pub use signature::{
    CallerDigest, HopKeyReference, HopKeys, HopPolicy, InvalidKeyId, KeyId, MAX_EXPIRY as SIGNED_HOP_MAX_EXPIRY, SignedHop,
};
pub use state::{
    InvalidTraceState, MAX_KEY as MEMBER_KEY_MAX_LENGTH, MAX_LENGTH as TRACESTATE_MAX_LENGTH,
    MIN_LENGTH_LIMIT as TRACESTATE_MIN_LENGTH_LIMIT, Member, MemberKey, TraceState,
};
pub use trust::{Treatment, TrustPolicy, TrustRule};
pub use xray::XRayTraceId;

pub(crate) use field::is_carrier;
pub(crate) use read::read;
pub(crate) use settle::{Circumstances, Settler};

#[cfg(any(test, fuzzing))]
pub use {
    b3::accepted_reprints as fuzz_b3, b3::lines_reprint as fuzz_b3multi, baggage::accepted_reprints as fuzz_baggage,
    jaeger::accepted_reprints as fuzz_jaeger, ot_span_context::accepted_reprints as fuzz_ot_span_context,
    ottrace::accepted_reprints as fuzz_ottrace, parent::accepted_reprints as fuzz_traceparent,
    request_id::accepted_reprints as fuzz_request_id, signature::forged_never_verifies as fuzz_signed_hop,
    state::accepted_reprints as fuzz_tracestate, xray::accepted_reprints as fuzz_xray,
};

/// What the policy says about traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracePolicy {
    /// What is read, the first valid one wins.
    pub extract: Vec<Format>,
    /// What the upstream is told in.
    pub inject: Vec<Format>,
    /// What becomes of baggage.
    pub baggage: BaggagePolicy,
    /// The `tracestate` member under which our span is named, where one is asked for.
    pub member: Option<MemberKey>,
    /// The longest `tracestate` to send, in bytes, from [`TRACESTATE_MIN_LENGTH_LIMIT`] to [`TRACESTATE_MAX_LENGTH`].
    pub max_tracestate_length: usize,
    /// Whose context is believed.
    pub trust: TrustPolicy,
    /// How our member is signed, where it is; there is a [`member`](Self::member) then.
    pub signed_hop: Option<HopPolicy>,
    /// What is recorded; by default everything that the caller doesn't decide about.
    pub sampling: Option<SamplingPolicy>,
}

impl TracePolicy {
    /// Whether a format is read or written: none of its headers passes by then.
    fn handles(&self, format: Format) -> bool {
        self.extract.contains(&format) || self.inject.contains(&format)
    }
}

#[cfg(test)]
mod tests;
