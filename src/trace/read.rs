// SPDX-License-Identifier: Apache-2.0
//! Stage `read`: what a request carries.

use super::b3::{B3, B3Multi};
use super::carrier::{Context, Format, Line, Lines, Reading, Sampling};
use super::field::Field;
use super::jaeger::UberTraceId;
use super::ot_span_context::OtSpanContext;
use super::ottrace::OtTrace;
use super::parent::{TraceFlags, TraceParent};
use super::request_id::RequestId;
use super::state::{InvalidTraceState, TraceState};
use super::xray::XRayTraceId;
use crate::head::Headers;

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) struct Carried<'a> {
    pub(super) headers: Headers<'a>,
    pub(super) lines: Lines<'a>,
    /// The first valid carrier in the policy's order.
    pub(super) context: Option<(Format, Context)>,
    /// The random flag of `traceparent`, where that is the carrier.
    pub(super) random: bool,
    /// What the caller decided about recording, with a context or without one.
    pub(super) sampling: Sampling,
    pub(super) state: CarriedState<'a>,
    /// A carrier that is read breaks its rules.
    pub(super) malformed: bool,
    /// A header that may stand once stands in several lines.
    pub(super) several: bool,
    /// Two valid carriers name different traces.
    pub(super) conflicting: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CarriedState<'a> {
    Absent,
    /// Nobody looks inside unless the trace is that of a valid `traceparent`.
    Unread,
    Malformed(InvalidTraceState),
    Valid {
        state: TraceState<'a>,
        /// It came in one line, with members and without white space around them or empty ones among them.
        dense: bool,
    },
}

/// Reads the caller's trace context in these formats.
#[must_use]
pub(crate) fn read<'a>(headers: Headers<'a>, extract: &[Format]) -> Carried<'a> {
    let lines = Lines::read(headers);
    let mut carried = Carried {
        headers,
        lines,
        context: None,
        random: false,
        sampling: Sampling::Deferred,
        state: CarriedState::Absent,
        malformed: false,
        several: false,
        conflicting: false,
    };
    for &format in extract {
        let (reading, flags) = read_format(format, &lines);
        match (reading, carried.context) {
            (Reading::Absent | Reading::Unusable, _) => {}
            (Reading::Malformed, _) => carried.malformed = true,
            (Reading::Several, _) => carried.several = true,
            (Reading::Decision(sampling), None) if carried.sampling == Sampling::Deferred => carried.sampling = sampling,
            (Reading::Decision(_), _) => {}
            (Reading::Valid(context), None) => {
                carried.context = Some((format, context));
                carried.random = flags.contains(TraceFlags::RANDOM);
                carried.sampling = context.sampling;
            }
            (Reading::Valid(context), Some((_, first))) => carried.conflicting |= !is_same_trace(&first, &context),
        }
    }
    carried.state = read_state(&lines, matches!(carried.context, Some((Format::TraceContext, _))));
    carried
}

fn read_format(format: Format, lines: &Lines<'_>) -> (Reading, TraceFlags) {
    let reading = match format {
        Format::TraceContext => return read_parent(lines),
        Format::B3 => B3::read(lines),
        Format::B3Multi => B3Multi::read(lines),
        Format::Jaeger => UberTraceId::read(lines),
        Format::OtTrace => OtTrace::read(lines),
        Format::OtSpanContext => OtSpanContext::read(lines),
        Format::XRay => XRayTraceId::read(lines),
        Format::RequestId => RequestId::read(lines),
    };
    (reading, TraceFlags::default())
}

fn read_parent(lines: &Lines<'_>) -> (Reading, TraceFlags) {
    match lines.line(Field::TraceParent) {
        Line::Absent => (Reading::Absent, TraceFlags::default()),
        Line::Several => (Reading::Several, TraceFlags::default()),
        Line::One(value) => match TraceParent::try_from(value) {
            Err(_) => (Reading::Malformed, TraceFlags::default()),
            Ok(parent) => {
                let sampling = Sampling::of(parent.flags().contains(TraceFlags::SAMPLED));
                let context = Context { trace_id: parent.trace_id(), span_id: Some(parent.parent_id()), sampling };
                (Reading::Valid(context), parent.flags())
            }
        },
    }
}

fn read_state<'a>(lines: &Lines<'a>, has_parent: bool) -> CarriedState<'a> {
    let line = lines.line(Field::TraceState);
    let state = match (line, has_parent) {
        (Line::Absent, _) => return CarriedState::Absent,
        (_, false) => return CarriedState::Unread,
        (Line::One(line), true) => TraceState::try_from(line),
        (Line::Several, true) => TraceState::from_lines(lines.values(Field::TraceState)),
    };
    state.map_or_else(CarriedState::Malformed, |state| {
        // A single line as long as what it prints to is what it prints to.
        let dense = matches!(line, Line::One(line) if !state.is_empty() && state.length() == line.len());
        CarriedState::Valid { state, dense }
    })
}

/// Whether two contexts name one trace. Systems with ids of 64 bits know the right half only.
fn is_same_trace(one: &Context, other: &Context) -> bool {
    let is_short = |context: &Context| context.trace_id.to_bytes().starts_with(&[0; 8]);
    one.trace_id == other.trace_id || (one.trace_id.low() == other.trace_id.low() && (is_short(one) || is_short(other)))
}

impl Carried<'_> {
    /// Whether the request has any header that carries trace context, in a format that is read or not; baggage alone is none.
    pub(super) fn is_any(&self) -> bool {
        let is_baggage = |field: Field| field == Field::Baggage || field.is_formats_baggage();
        Field::ALL.into_iter().any(|field| !is_baggage(field) && self.lines.present().contains(field))
    }
}
