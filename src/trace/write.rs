// SPDX-License-Identifier: Apache-2.0
//! How the upstream is told: in every format that the policy injects, and in no other that was read.

use super::TracePolicy;
use super::b3::{B3, B3Multi};
use super::baggage::Baggage;
use super::carrier::{Context, Format, Sampling};
use super::field::{Field, FieldSet};
use super::jaeger::UberTraceId;
use super::ot_span_context::OtSpanContext;
use super::ottrace::OtTrace;
use super::parent::TraceParent;
use super::read::{Carried, CarriedState};
use super::request_id::RequestId;
use super::state::{Member, TraceState};
use super::xray::XRayTraceId;
use crate::edits::HeaderEdits;

/// What of the caller's goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keeps {
    /// Its trace context.
    pub(super) context: bool,
    /// Its baggage.
    pub(super) baggage: bool,
    /// Headers of formats that are neither read nor written.
    pub(super) unread: bool,
}

/// What is written into `tracestate` beside the caller's members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnMembers {
    /// The value of our member.
    pub(super) ours: Option<Vec<u8>>,
    /// The value of OpenTelemetry's member, empty to remove it; `None` leaves it.
    pub(super) ot: Option<Vec<u8>>,
}

/// Tells the upstream that `sent` sent the request; says how many baggage members were dropped.
pub(super) fn write(
    carried: &Carried<'_>,
    sent: TraceParent,
    debug: bool,
    keeps: Keeps,
    own: &OwnMembers,
    policy: &TracePolicy,
    edits: &mut HeaderEdits,
) -> usize {
    let mut written = FieldSet::default();
    for &format in &policy.inject {
        if format == Format::TraceContext {
            edits.replace(Field::TraceParent.name(), sent.encode().to_vec());
            written.insert(Field::TraceParent);
            written.insert(Field::TraceState);
            write_state(carried, keeps.context, own, policy, edits);
        } else {
            write_format(format, sent, debug, &mut written, edits);
        }
    }
    let (names, dropped) = if keeps.baggage { write_baggage(carried, policy, &mut written, edits) } else { (Vec::new(), 0) };
    remove(carried, written, &names, keeps, policy, edits);
    dropped
}

/// Removes what can't go on from a request whose context passes as it came: everything but the carrier that is believed.
pub(super) fn leave(carried: &Carried<'_>, keeps: Keeps, policy: &TracePolicy, edits: &mut HeaderEdits) {
    let mut kept = FieldSet::default();
    let believed = carried.context.filter(|_| keeps.context).map(|(format, _)| format);
    for field in Field::ALL {
        let malformed = field == Field::TraceState && matches!(carried.state, CarriedState::Unread | CarriedState::Malformed(_));
        let unlisted = field.is_formats_baggage() && policy.baggage.allow.is_some();
        let carries = field.format() == believed && believed.is_some() && !malformed && !unlisted;
        if carries || (field == Field::Baggage && keeps.baggage) {
            kept.insert(field);
        }
    }
    if keeps.baggage && carried.lines.present().contains(Field::Baggage) {
        Baggage::read(&carried.lines, None, &policy.baggage).write(&carried.lines, edits);
    }
    remove(carried, kept, &[], keeps, policy, edits);
}

fn write_format(format: Format, sent: TraceParent, debug: bool, written: &mut FieldSet, edits: &mut HeaderEdits) {
    let sampled = sent.flags().contains(super::TraceFlags::SAMPLED);
    let sampling = if debug && sampled { Sampling::Debug } else { Sampling::of(sampled) };
    let context = Context { trace_id: sent.trace_id(), span_id: Some(sent.parent_id()), sampling };
    let mut put = |field: Field, value: Vec<u8>| {
        edits.replace(field.name(), value);
        written.insert(field);
    };
    match format {
        // These two know the right half of a trace-id only, and no zeros.
        Format::OtTrace | Format::OtSpanContext if context.trace_id.low() == [0; 8] => {}
        Format::TraceContext => {}
        Format::B3 => put(Field::B3, B3::Context(context).encode()),
        Format::B3Multi => B3Multi(context).encode().into_iter().flatten().for_each(|(field, value)| put(field, value)),
        Format::Jaeger => put(Field::UberTraceId, UberTraceId(context).encode()),
        Format::OtTrace => OtTrace(context).encode().into_iter().for_each(|(field, value)| put(field, value)),
        Format::OtSpanContext => put(Field::OtSpanContext, OtSpanContext(context).encode()),
        Format::XRay => put(Field::XRay, XRayTraceId(context).encode()),
        Format::RequestId => put(Field::RequestId, RequestId::encode(sent.trace_id(), sent.parent_id())),
    }
}

/// Writes what is left of the caller's `tracestate`, with our members first.
fn write_state(carried: &Carried<'_>, keeps: bool, own: &OwnMembers, policy: &TracePolicy, edits: &mut HeaderEdits) {
    let present = carried.state != CarriedState::Absent;
    let (state, dense) = match &carried.state {
        CarriedState::Valid { state, dense } if keeps => (Some(state), *dense),
        _ => (None, false),
    };
    if own == &OwnMembers::default() && (dense || !present) && state.is_none_or(|state| state.length() <= policy.max_tracestate_length) {
        return;
    }
    let mut state: TraceState<'_> = state.cloned().unwrap_or_default();
    if let Some(ot) = &own.ot {
        state.remove(super::sampling::OT);
        if let Ok(member) = Member::new(super::sampling::OT, ot) {
            state.put_first(member);
        }
    }
    let ours = policy.member.as_ref().zip(own.ours.as_ref());
    if let Some(member) = ours.and_then(|(key, value)| Member::new(key.as_bytes(), value).ok()) {
        state.put_first(member);
    }
    state.limit(policy.max_tracestate_length);
    match (state.is_empty(), present) {
        (false, _) => edits.replace(Field::TraceState.name(), state.encode()),
        (true, true) => edits.remove(Field::TraceState.name()),
        (true, false) => {}
    }
}

/// Writes the baggage in its own header and in those of the formats that have one; the names of the latter, and how many members were dropped.
fn write_baggage(carried: &Carried<'_>, policy: &TracePolicy, written: &mut FieldSet, edits: &mut HeaderEdits) -> (Vec<String>, usize) {
    if policy.inject.contains(&Format::RequestId) {
        // Which application called: as true as the caller.
        written.insert(Field::RequestContext);
    }
    let fields = [Field::Baggage, Field::OtBaggage, Field::UberContext, Field::CorrelationContext];
    if !fields.into_iter().any(|field| carried.lines.present().contains(field)) {
        return (Vec::new(), 0);
    }
    let baggage = Baggage::read(&carried.lines, carried.context.map(|(format, _)| format), &policy.baggage);
    baggage.write(&carried.lines, edits);
    written.insert(Field::Baggage);
    let names = policy.inject.iter().flat_map(|&format| baggage.write_as(format, edits)).collect();
    (names, baggage.dropped())
}

/// Removes the fields that are there, aren't `kept` and don't pass unread; of those with many names all but `names`.
fn remove(carried: &Carried<'_>, kept: FieldSet, names: &[String], keeps: Keeps, policy: &TracePolicy, edits: &mut HeaderEdits) {
    let present = carried.lines.present();
    if present.is_empty() {
        return;
    }
    for field in Field::ALL {
        if !present.contains(field) || kept.contains(field) || passes_unread(field, keeps, policy) {
            continue;
        }
        if !field.has_many_names() {
            if !names.iter().any(|name| name == field.name()) {
                edits.remove(field.name());
            }
            continue;
        }
        let lines = carried.lines.all(field).filter_map(|line| std::str::from_utf8(line.name).ok());
        let mut stale: Vec<String> = lines.map(str::to_ascii_lowercase).filter(|name| !names.contains(name)).collect();
        stale.sort_unstable();
        stale.dedup();
        stale.into_iter().for_each(|name| edits.remove(name));
    }
}

/// Whether a field is none of the policy's business.
fn passes_unread(field: Field, keeps: Keeps, policy: &TracePolicy) -> bool {
    match field.format() {
        _ if field == Field::Baggage => false,
        _ if field.is_formats_baggage() && policy.baggage.allow.is_some() => false,
        Some(format) => keeps.unread && !policy.handles(format),
        None => keeps.unread,
    }
}
