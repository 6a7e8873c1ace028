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
    InvalidTraceState, MAX_KEY as MEMBER_KEY_MAX_LENGTH, MAX_LENGTH as TRACESTATE_MAX_LENGTH,
    MIN_LENGTH_LIMIT as TRACESTATE_MIN_LENGTH_LIMIT, Member, MemberKey, TraceState,
};

#[cfg(any(test, fuzzing))]
pub use {parent::accepted_reprints as fuzz_traceparent, state::accepted_reprints as fuzz_tracestate};

use crate::edits::HeaderEdits;
use crate::entropy::EntropyBlock;
use crate::head::{Header, Headers};
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
        /// It came in one line, with members and without white space around them or empty ones among them.
        dense: bool,
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
    let mut parent = CarriedParent::Absent;
    // The first `tracestate` line, and whether there are more.
    let (mut line, mut several) = (None, false);
    for Header { name, value } in headers.iter() {
        if name.eq_ignore_ascii_case(TRACEPARENT.as_bytes()) {
            parent = match parent {
                CarriedParent::Absent => TraceParent::try_from(value).map_or_else(CarriedParent::Malformed, CarriedParent::Valid),
                _ => CarriedParent::Several,
            };
        } else if name.eq_ignore_ascii_case(TRACESTATE.as_bytes()) {
            several = line.is_some();
            line = line.or(Some(value));
        }
    }
    let state = match (line, parent) {
        (None, _) => CarriedState::Absent,
        (Some(line), CarriedParent::Valid(_)) => {
            let state = if several { TraceState::from_lines(headers.values(TRACESTATE)) } else { TraceState::try_from(line) };
            state.map_or_else(CarriedState::Malformed, |state| {
                // A single line as long as what it prints to is what it prints to.
                let dense = !several && !state.is_empty() && state.length() == line.len();
                CarriedState::Valid { state, dense }
            })
        }
        (Some(_), _) => CarriedState::Unread,
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
    let (mut state, dense) = match carried {
        CarriedState::Valid { state, dense } => (state, dense),
        CarriedState::Absent | CarriedState::Unread | CarriedState::Malformed(_) => (TraceState::default(), false),
    };
    if dense && policy.member.is_none() && state.length() <= policy.max_tracestate_length {
        return;
    }
    let value = sent.parent_id().encode();
    if let Some(member) = policy.member.as_ref().and_then(|key| Member::new(key.as_bytes(), &value).ok()) {
        state.put_first(member);
    }
    state.limit(policy.max_tracestate_length);
    match (state.is_empty(), present) {
        (false, _) => edits.replace(TRACESTATE, state.encode()),
        (true, true) => edits.remove(TRACESTATE),
        (true, false) => {}
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
