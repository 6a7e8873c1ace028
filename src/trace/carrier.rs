// SPDX-License-Identifier: Apache-2.0
//! What carries trace context: the formats, what a carrier says, and the lines of a head that are of one.

use std::fmt;

use super::field::{Field, FieldSet};
use super::id::{SpanId, TraceId};
use crate::head::{Header, Headers};

/// A format of trace context in headers, by the name that OpenTelemetry gives its propagator where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// W3C Trace Context: `traceparent` and `tracestate`.
    TraceContext,
    /// B3 in one header: `b3`.
    B3,
    /// B3 in several headers: `x-b3-traceid` and others.
    B3Multi,
    /// Jaeger: `uber-trace-id`, baggage in `uberctx-*`.
    Jaeger,
    /// OpenTracing, as Lightstep's tracers write it: `ot-tracer-*`, baggage in `ot-baggage-*`.
    OtTrace,
    /// Lightstep's binary carrier, as Envoy's former Lightstep tracer wrote it: `x-ot-span-context`.
    OtSpanContext,
    /// AWS X-Ray: `x-amzn-trace-id`.
    XRay,
    /// Application Insights before W3C: `request-id`, `request-context`, baggage in `correlation-context`.
    RequestId,
}

impl Format {
    /// Every format, in the order in which they are best tried.
    pub const ALL: [Self; 8] =
        [Self::TraceContext, Self::B3, Self::B3Multi, Self::Jaeger, Self::OtTrace, Self::OtSpanContext, Self::XRay, Self::RequestId];

    /// The headers that carry it, in lower case, but for its baggage.
    #[must_use]
    pub const fn headers(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => &["traceparent", "tracestate"],
            Self::B3 => &["b3"],
            Self::B3Multi => &["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"],
            Self::Jaeger => &["uber-trace-id"],
            Self::OtTrace => &["ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"],
            Self::OtSpanContext => &["x-ot-span-context"],
            Self::XRay => &["x-amzn-trace-id"],
            Self::RequestId => &["request-id", "request-context"],
        }
    }
}

/// What a valid carrier says of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span; `None` where the carrier names a trace only.
    pub span_id: Option<SpanId>,
    /// What the caller decided about recording.
    pub sampling: Sampling,
}

/// What a caller decided about recording its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// It leaves the decision to who comes next.
    Deferred,
    /// Not recorded.
    Denied,
    /// Recorded.
    Accepted,
    /// Recorded, and everybody after is to record it too (B3's and Jaeger's debug flag).
    Debug,
}

impl Sampling {
    pub(super) const fn of(sampled: bool) -> Self {
        if sampled { Self::Accepted } else { Self::Denied }
    }

    /// Whether it is recorded; `None` where that is left open.
    #[must_use]
    pub const fn sampled(self) -> Option<bool> {
        match self {
            Self::Deferred => None,
            Self::Denied => Some(false),
            Self::Accepted | Self::Debug => Some(true),
        }
    }
}

/// What reading one format's headers came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The request has none of them.
    Absent,
    /// They break the format's rules.
    Malformed,
    /// One that may stand once stands in several lines: none can be told to be the true one.
    Several,
    /// They name no trace, but say whether to record one (B3).
    Decision(Sampling),
    /// They name a trace in a form that no id fits (Request-Id).
    Unusable,
    /// They name a trace.
    Valid(Context),
}

impl From<Result<Context, InvalidCarrier>> for Reading {
    fn from(read: Result<Context, InvalidCarrier>) -> Self {
        read.map_or(Self::Malformed, Self::Valid)
    }
}

/// Why a header value is not of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCarrier {
    /// Where, in bytes from 0.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for InvalidCarrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: expected {}", self.offset, self.expected)
    }
}

impl std::error::Error for InvalidCarrier {}

/// A value read field by field, with the place of what is wrong.
pub(super) struct Fields<'a> {
    rest: Option<&'a [u8]>,
    offset: usize,
    separator: u8,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(value: &'a [u8], separator: u8) -> Self {
        Self { rest: Some(value), offset: 0, separator }
    }

    /// The next field and its offset; `None` after the last.
    pub(super) fn next(&mut self) -> Option<(usize, &'a [u8])> {
        let rest = self.rest?;
        let offset = self.offset;
        let length = rest.iter().position(|&byte| byte == self.separator);
        let (field, rest) = match length.and_then(|length| rest.split_at_checked(length)) {
            Some((field, rest)) => (field, rest.get(1..)),
            None => (rest, None),
        };
        self.rest = rest;
        self.offset = offset.saturating_add(field.len()).saturating_add(1);
        Some((offset, field))
    }

    /// The next field, read by `read`, or what was expected in its place.
    pub(super) fn read<T>(&mut self, expected: &'static str, read: impl FnOnce(&'a [u8]) -> Option<T>) -> Result<T, InvalidCarrier> {
        let end = self.offset;
        let (offset, field) = self.next().ok_or(InvalidCarrier { offset: end, expected })?;
        read(field).ok_or(InvalidCarrier { offset, expected })
    }
}

/// The lines of a head that carry trace context, found in one pass over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<'a> {
    headers: Headers<'a>,
    first: [&'a [u8]; Field::ALL.len()],
    present: FieldSet,
    repeated: FieldSet,
}

/// The lines of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Absent,
    One(&'a [u8]),
    Several,
}

impl<'a> Lines<'a> {
    pub(super) fn read(headers: Headers<'a>) -> Self {
        let mut lines = Self { headers, first: [b""; Field::ALL.len()], present: FieldSet::default(), repeated: FieldSet::default() };
        for Header { name, value } in headers.iter() {
            let Some(field) = Field::of(name) else { continue };
            if lines.present.contains(field) {
                lines.repeated.insert(field);
            } else {
                lines.present.insert(field);
                if let Some(first) = lines.first.get_mut(field.place()) {
                    *first = value;
                }
            }
        }
        lines
    }

    /// The one line of `field`, if it has just one.
    pub(super) fn line(&self, field: Field) -> Line<'a> {
        match (self.present.contains(field), self.repeated.contains(field)) {
            (false, _) => Line::Absent,
            (true, false) => Line::One(self.first.get(field.place()).copied().unwrap_or_default()),
            (true, true) => Line::Several,
        }
    }

    /// The value of `field`: `Ok(None)` where it is absent, [`Reading::Several`] where it stands in several lines.
    pub(super) fn one(&self, field: Field) -> Result<Option<&'a [u8]>, Reading> {
        match self.line(field) {
            Line::Absent => Ok(None),
            Line::One(value) => Ok(Some(value)),
            Line::Several => Err(Reading::Several),
        }
    }

    /// Reads a format of which one header says everything.
    pub(super) fn single(&self, field: Field, read: impl FnOnce(&'a [u8]) -> Reading) -> Reading {
        match self.line(field) {
            Line::Absent => Reading::Absent,
            Line::One(value) => read(value),
            Line::Several => Reading::Several,
        }
    }

    /// The values of every line of `field`, in order.
    pub(super) fn values(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.headers.values(field.name())
    }

    /// Names and values of every line of `field`, in order.
    pub(super) fn all(&self, field: Field) -> impl Iterator<Item = Header<'a>> + use<'a> {
        self.headers.iter().filter(move |line| field.is_called(line.name))
    }

    pub(super) const fn present(&self) -> FieldSet {
        self.present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of them, and no other format's.
    #[test]
    fn a_formats_headers_are_its_fields_but_for_baggage() {
        for format in Format::ALL {
            let fields = Field::ALL.into_iter().filter(|field| {
                field.format() == Some(format) && !field.is_formats_baggage() && !field.has_many_names() && *field != Field::JaegerDebugId
            });
            assert_eq!(format.headers(), fields.map(Field::name).collect::<Vec<_>>(), "{format:?}");
        }
    }

    #[test]
    fn repeated_lines_are_told_from_one() {
        let lines = [(&b"B3"[..], &b"0"[..]), (b"x-b3-flags", b"1"), (b"x", b"y"), (b"b3", b"1")];
        let lines = lines.map(|(name, value)| Header { name, value });
        let lines = Lines::read(Headers::new(&lines));
        assert_eq!(lines.line(Field::B3), Line::Several);
        assert_eq!(lines.line(Field::B3Flags), Line::One(b"1"));
        assert_eq!(lines.line(Field::XRay), Line::Absent);
    }

    #[test]
    fn fields_know_their_places() {
        let mut fields = Fields::new(b"ab::c", b':');
        assert_eq!(fields.next(), Some((0, &b"ab"[..])));
        assert_eq!(fields.next(), Some((3, &b""[..])));
        assert_eq!(fields.read("a d", |field| (field == b"d").then_some(())), Err(InvalidCarrier { offset: 4, expected: "a d" }));
        assert_eq!(fields.read("more", |_| Some(())), Err(InvalidCarrier { offset: 6, expected: "more" }));
        assert_eq!(fields.next(), None);
    }
}
