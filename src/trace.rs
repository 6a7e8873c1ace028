// SPDX-License-Identifier: Apache-2.0
//! Stages `read` and `settle`: which trace a request belongs to, and what the upstream is told.
//!
//! `read` parses what the caller sent; `settle` decides, once the caller is known, whether its trace goes on. Invalid
//! context never fails a request: it is dropped, a fresh trace begins and nothing malformed is forwarded. The rules are
//! those of [Trace Context Level 2](https://www.w3.org/TR/trace-context-2/#mutating-the-traceparent-field).

mod id;
mod parent;
mod state;

pub use id::{SpanId, TraceId};
pub use parent::{InvalidTraceParent, TraceFlags, TraceParent};
pub use state::{
    InvalidTraceState, MAX_LENGTH as TRACESTATE_MAX_LENGTH, MIN_LENGTH_LIMIT as TRACESTATE_MIN_LENGTH_LIMIT, Member, MemberKey, TraceState,
};

#[cfg(any(test, fuzzing))]
pub use {parent::accepted_reprints as fuzz_traceparent, state::accepted_reprints as fuzz_tracestate};

use crate::edits::HeaderEdits;
use crate::entropy::EntropyBlock;
use crate::head::Headers;
use crate::inputs::{Entropy, EntropyUnavailable};

/// What the policy says about traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracePolicy {
    /// The `tracestate` member under which our span is named, where one is asked for.
    pub member: Option<MemberKey>,
    /// The longest `tracestate` to send, in bytes, from [`TRACESTATE_MIN_LENGTH_LIMIT`] to [`TRACESTATE_MAX_LENGTH`].
    pub max_tracestate_length: usize,
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    parent: CarriedParent,
    state: CarriedState<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CarriedParent {
    Absent,
    /// Several lines: none can be told to be the true one.
    Several,
    Malformed(InvalidTraceParent),
    Valid(TraceParent),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CarriedState<'a> {
    Absent,
    /// Without a valid `traceparent` nobody looks inside.
    Unread,
    Malformed(InvalidTraceState),
    Valid {
        state: TraceState<'a>,
        /// The one line as received; `None` where there were several.
        line: Option<&'a [u8]>,
    },
}

/// What became of the request's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The caller's trace goes on, under a new parent-id.
    Continued {
        /// What the upstream is told.
        sent: TraceParent,
        /// The caller's `tracestate` was malformed and is dropped.
        state_dropped: bool,
    },
    /// A fresh trace begins.
    Restarted {
        /// What the upstream is told.
        sent: TraceParent,
        /// Why.
        cause: RestartCause,
    },
    /// The host gave no randomness, so no id could be minted: a valid context passes as it came, an invalid one is
    /// removed.
    Unminted,
}

/// Why a fresh trace begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartCause {
    /// No `traceparent`.
    Absent,
    /// A `traceparent` that breaks the grammar.
    Malformed,
    /// Several `traceparent` lines.
    Several,
}

/// Reads the caller's trace context.
#[must_use]
pub(crate) fn read(headers: Headers<'_>) -> Carried<'_> {
    let mut parents = headers.values(TRACEPARENT);
    let parent = match (parents.next(), parents.next()) {
        (None, _) => CarriedParent::Absent,
        (Some(_), Some(_)) => CarriedParent::Several,
        (Some(line), None) => TraceParent::try_from(line).map_or_else(CarriedParent::Malformed, CarriedParent::Valid),
    };
    let states = headers.values(TRACESTATE);
    let mut lines = states.clone();
    let state = match (lines.next(), lines.next(), parent) {
        (None, ..) => CarriedState::Absent,
        (Some(line), second, CarriedParent::Valid(_)) => match TraceState::from_lines(states) {
            Ok(state) => CarriedState::Valid { state, line: second.is_none().then_some(line) },
            Err(error) => CarriedState::Malformed(error),
        },
        _ => CarriedState::Unread,
    };
    Carried { parent, state }
}

/// Decides which trace the request belongs to, and records the header changes that tell the upstream.
pub(crate) fn settle(
    carried: Carried<'_>,
    policy: &TracePolicy,
    ids: &mut EntropyBlock,
    entropy: &mut dyn Entropy,
    edits: &mut HeaderEdits,
) -> Settled {
    let Carried { parent, state } = carried;
    let settled = match mint(parent, ids, entropy) {
        Ok((sent, None)) => Settled::Continued { sent, state_dropped: matches!(state, CarriedState::Malformed(_)) },
        Ok((sent, Some(cause))) => Settled::Restarted { sent, cause },
        Err(EntropyUnavailable) => Settled::Unminted,
    };
    match settled {
        Settled::Continued { sent, .. } | Settled::Restarted { sent, .. } => {
            edits.replace(TRACEPARENT, sent.encode().to_vec());
            write_state(state, sent, policy, edits);
        }
        Settled::Unminted => remove_invalid(parent, &state, edits),
    }
    settled
}

/// What the upstream is told, with the reason where it is a fresh trace.
fn mint(
    parent: CarriedParent,
    ids: &mut EntropyBlock,
    entropy: &mut dyn Entropy,
) -> Result<(TraceParent, Option<RestartCause>), EntropyUnavailable> {
    let cause = match parent {
        CarriedParent::Valid(parent) => return Ok((parent.sent_by(new_span_id(ids, entropy)?), None)),
        CarriedParent::Absent => RestartCause::Absent,
        CarriedParent::Malformed(_) => RestartCause::Malformed,
        CarriedParent::Several => RestartCause::Several,
    };
    let trace_id = TraceId::from_bytes(ids.draw(entropy)?).ok_or(EntropyUnavailable)?;
    // OpenTelemetry's default sampler, `parentbased_always_on`, records every trace that begins here.
    let flags = TraceFlags::SAMPLED.union(TraceFlags::RANDOM);
    Ok((TraceParent::new(trace_id, new_span_id(ids, entropy)?, flags), Some(cause)))
}

/// A source that gives only zeros has no randomness.
fn new_span_id(ids: &mut EntropyBlock, entropy: &mut dyn Entropy) -> Result<SpanId, EntropyUnavailable> {
    SpanId::from_bytes(ids.draw(entropy)?).ok_or(EntropyUnavailable)
}

/// Tells the upstream what is left of the caller's `tracestate`, with our member first where the policy asks for one.
fn write_state(carried: CarriedState<'_>, sent: TraceParent, policy: &TracePolicy, edits: &mut HeaderEdits) {
    let present = carried != CarriedState::Absent;
    let (mut state, line) = match carried {
        CarriedState::Valid { state, line } => (state, line),
        CarriedState::Absent | CarriedState::Unread | CarriedState::Malformed(_) => (TraceState::default(), None),
    };
    let value = sent.parent_id().encode();
    if let Some(member) = policy.member.as_ref().and_then(|key| Member::new(key.as_bytes(), &value).ok()) {
        state.put_first(member);
    }
    state.limit(policy.max_tracestate_length);
    if state.is_empty() {
        if present {
            edits.remove(TRACESTATE);
        }
        return;
    }
    let text = state.encode();
    if line != Some(text.as_slice()) {
        edits.replace(TRACESTATE, text);
    }
}

/// Passing `traceparent` unmodified means passing `tracestate` unmodified, but nothing malformed is ever forwarded.
fn remove_invalid(parent: CarriedParent, state: &CarriedState<'_>, edits: &mut HeaderEdits) {
    match parent {
        CarriedParent::Absent | CarriedParent::Valid(_) => {}
        CarriedParent::Several | CarriedParent::Malformed(_) => edits.remove(TRACEPARENT),
    }
    match state {
        CarriedState::Absent | CarriedState::Valid { .. } => {}
        CarriedState::Unread | CarriedState::Malformed(_) => edits.remove(TRACESTATE),
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

#[cfg(test)]
mod tests;
