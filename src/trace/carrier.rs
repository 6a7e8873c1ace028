// SPDX-License-Identifier: Apache-2.0
//! What carries trace context: the formats, their header fields, and what a carrier says.

use std::fmt;

use super::id::{SpanId, TraceId};
use crate::head::{Header, Headers, is_called};

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

/// A header field that carries trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    TraceParent,
    TraceState,
    B3,
    B3TraceId,
    B3SpanId,
    B3ParentSpanId,
    B3Sampled,
    B3Flags,
    UberTraceId,
    OtTraceId,
    OtSpanId,
    OtSampled,
    OtSpanContext,
    XRay,
    RequestId,
    RequestContext,
    CorrelationContext,
    /// Forces Jaeger's sampling; never written.
    JaegerDebugId,
    /// Jaeger's baggage in one header; never written.
    JaegerBaggage,
    /// W3C Baggage goes with no format: it comes with each.
    Baggage,
    /// Every `uberctx-*`.
    UberContext,
    /// Every `ot-baggage-*`.
    OtBaggage,
    /// Every one of [`FOREIGN`].
    Foreign,
}

impl Field {
    pub(super) const ALL: [Self; 23] = [
        Self::TraceParent,
        Self::TraceState,
        Self::B3,
        Self::B3TraceId,
        Self::B3SpanId,
        Self::B3ParentSpanId,
        Self::B3Sampled,
        Self::B3Flags,
        Self::UberTraceId,
        Self::OtTraceId,
        Self::OtSpanId,
        Self::OtSampled,
        Self::OtSpanContext,
        Self::XRay,
        Self::RequestId,
        Self::RequestContext,
        Self::CorrelationContext,
        Self::JaegerDebugId,
        Self::JaegerBaggage,
        Self::Baggage,
        Self::UberContext,
        Self::OtBaggage,
        Self::Foreign,
    ];

    /// The field that a name in whatever case stands for.
    fn of(name: &[u8]) -> Option<Self> {
        // Nearly every header of a request is none of them: the first letter and the length tell most apart.
        let mut candidates = *CANDIDATES.get(letter(*name.first()?)?)?.get(name.len().min(LONGEST))?;
        while candidates != 0 {
            let field = *Self::ALL.get(usize::try_from(candidates.trailing_zeros()).ok()?)?;
            if field.is_called(name) {
                return Some(field);
            }
            candidates &= candidates.wrapping_sub(1);
        }
        None
    }

    fn is_called(self, name: &[u8]) -> bool {
        let own = self.name().as_bytes();
        match self {
            Self::Foreign => FOREIGN.iter().any(|known| is_called(name, known.as_bytes())),
            // With an empty key too: nobody could write one, and clients read it.
            Self::UberContext | Self::OtBaggage => name.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own)),
            _ => is_called(name, own),
        }
    }

    /// Whether the field stands for many names.
    pub(super) const fn has_many_names(self) -> bool {
        matches!(self, Self::UberContext | Self::OtBaggage | Self::Foreign)
    }

    /// Whether it holds baggage in the way of a format of its own.
    pub(super) const fn is_formats_baggage(self) -> bool {
        matches!(self, Self::UberContext | Self::OtBaggage | Self::JaegerBaggage | Self::CorrelationContext)
    }

    /// The name in lower case, or what the names begin with; empty where they have nothing in common.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TraceParent => "traceparent",
            Self::TraceState => "tracestate",
            Self::B3 => "b3",
            Self::B3TraceId => "x-b3-traceid",
            Self::B3SpanId => "x-b3-spanid",
            Self::B3ParentSpanId => "x-b3-parentspanid",
            Self::B3Sampled => "x-b3-sampled",
            Self::B3Flags => "x-b3-flags",
            Self::UberTraceId => "uber-trace-id",
            Self::OtTraceId => "ot-tracer-traceid",
            Self::OtSpanId => "ot-tracer-spanid",
            Self::OtSampled => "ot-tracer-sampled",
            Self::OtSpanContext => "x-ot-span-context",
            Self::XRay => "x-amzn-trace-id",
            Self::RequestId => "request-id",
            Self::RequestContext => "request-context",
            Self::CorrelationContext => "correlation-context",
            Self::Baggage => "baggage",
            Self::JaegerDebugId => "jaeger-debug-id",
            Self::JaegerBaggage => "jaeger-baggage",
            Self::UberContext => "uberctx-",
            Self::OtBaggage => "ot-baggage-",
            Self::Foreign => "",
        }
    }

    /// The format that the field belongs to; `None` for baggage, which goes with each, and for what is no format of ours.
    pub(super) const fn format(self) -> Option<Format> {
        Some(match self {
            Self::TraceParent | Self::TraceState => Format::TraceContext,
            Self::B3 => Format::B3,
            Self::B3TraceId | Self::B3SpanId | Self::B3ParentSpanId | Self::B3Sampled | Self::B3Flags => Format::B3Multi,
            Self::UberTraceId | Self::UberContext | Self::JaegerDebugId | Self::JaegerBaggage => Format::Jaeger,
            Self::OtTraceId | Self::OtSpanId | Self::OtSampled | Self::OtBaggage => Format::OtTrace,
            Self::OtSpanContext => Format::OtSpanContext,
            Self::XRay => Format::XRay,
            Self::RequestId | Self::RequestContext | Self::CorrelationContext => Format::RequestId,
            Self::Baggage | Self::Foreign => return None,
        })
    }

    const fn index(self) -> u32 {
        match self {
            Self::TraceParent => 0,
            Self::TraceState => 1,
            Self::B3 => 2,
            Self::B3TraceId => 3,
            Self::B3SpanId => 4,
            Self::B3ParentSpanId => 5,
            Self::B3Sampled => 6,
            Self::B3Flags => 7,
            Self::UberTraceId => 8,
            Self::OtTraceId => 9,
            Self::OtSpanId => 10,
            Self::OtSampled => 11,
            Self::OtSpanContext => 12,
            Self::XRay => 13,
            Self::RequestId => 14,
            Self::RequestContext => 15,
            Self::CorrelationContext => 16,
            Self::Baggage => 17,
            Self::UberContext => 18,
            Self::OtBaggage => 19,
            Self::JaegerDebugId => 20,
            Self::JaegerBaggage => 21,
            Self::Foreign => 22,
        }
    }
}

/// Whether a header of this name, in lower case, carries trace context or baggage in any format.
pub(crate) fn is_carrier(name: &str) -> bool {
    Field::of(name.as_bytes()).is_some()
}

/// Headers in which other tracing systems hand on their ids. Nothing is read from them or written to them; what isn't believed is removed.
///
/// Datadog, Google Cloud, gRPC's OpenCensus, Sentry, Elastic, New Relic, SkyWalking and Instana.
pub(super) const FOREIGN: &[&str] = &[
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-origin",
    "x-datadog-tags",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sentry-trace",
    "elastic-apm-traceparent",
    "newrelic",
    "sw8",
    "sw8-correlation",
    "sw8-x",
    "x-instana-t",
    "x-instana-s",
    "x-instana-l",
];

/// For each first letter and each length of a name, a bit for each of [`Field::ALL`] that may be called so.
static CANDIDATES: [[u32; LONGEST + 1]; 26] = candidates();

/// Of names that are as long or longer the length tells nothing apart.
const LONGEST: usize = 31;

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic, reason = "it runs when this is compiled")]
const fn candidates() -> [[u32; LONGEST + 1]; 26] {
    let mut candidates = [[0; LONGEST + 1]; 26];
    let mut place = 0;
    while place < Field::ALL.len() {
        let field = Field::ALL[place];
        let own = [field.name()];
        let names: &[&str] = if matches!(field, Field::Foreign) { FOREIGN } else { &own };
        let mut index = 0;
        while index < names.len() {
            let name = names[index].as_bytes();
            let Some(letter) = letter(name[0]) else { panic!("a name begins with a letter") };
            // Something may follow what is the beginning of many names.
            let longest = if matches!(field, Field::UberContext | Field::OtBaggage) { LONGEST } else { name.len() };
            let mut length = name.len();
            while length <= longest {
                candidates[letter][length] |= 1 << place;
                length += 1;
            }
            index += 1;
        }
        place += 1;
    }
    candidates
}

/// A letter's place in the alphabet, in either case.
#[expect(clippy::as_conversions, reason = "there is no other conversion in a constant")]
const fn letter(byte: u8) -> Option<usize> {
    let lower = byte.to_ascii_lowercase();
    if lower.is_ascii_lowercase() { Some(lower.wrapping_sub(b'a') as usize) } else { None }
}

impl Field {
    const fn bit(self) -> u32 {
        1_u32.wrapping_shl(self.index())
    }

    fn place(self) -> usize {
        usize::try_from(self.index()).unwrap_or(usize::MAX)
    }
}

/// A set of [`Field`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(u32);

impl FieldSet {
    pub(super) const fn contains(self, field: Field) -> bool {
        self.0 & field.bit() != 0
    }

    pub(super) const fn insert(&mut self, field: Field) {
        self.0 |= field.bit();
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
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

    #[test]
    fn every_field_is_found_by_its_name_in_any_case_and_nothing_else_is() {
        let places: std::collections::BTreeSet<usize> = Field::ALL.into_iter().map(Field::place).collect();
        assert_eq!(places.into_iter().collect::<Vec<_>>(), (0..Field::ALL.len()).collect::<Vec<_>>());
        for name in FOREIGN {
            assert_eq!(Field::of(name.to_ascii_uppercase().as_bytes()), Some(Field::Foreign), "{name}");
        }
        for field in Field::ALL.into_iter().filter(|field| *field != Field::Foreign) {
            let name = if field.has_many_names() { format!("{}k", field.name()) } else { field.name().to_owned() };
            assert_eq!(Field::of(name.as_bytes()), Some(field), "{name}");
            assert_eq!(Field::of(name.to_ascii_uppercase().as_bytes()), Some(field), "{name}");
            for other in [format!("{name} "), name.replacen(['a', 'b', 'r'], "z", 1)] {
                assert!(field.has_many_names() || Field::of(other.as_bytes()).is_none(), "{other}");
            }
            // As long as any other field's name, too.
            for length in 1..24 {
                let prefixed = format!("{}{}", field.name(), "x".repeat(length));
                assert_eq!(Field::of(prefixed.as_bytes()), field.has_many_names().then_some(field), "{prefixed}");
            }
        }
        for name in ["", "b", "accept", "user-agent", "x-b3-spanix", "ot-baggage", "uberctx", "x-request-id", "x-datadog"] {
            assert_eq!(Field::of(name.as_bytes()), None, "{name}");
        }
    }

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
