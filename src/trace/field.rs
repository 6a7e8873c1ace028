// SPDX-License-Identifier: Apache-2.0
//! Header fields that carry trace context, and how they are found among all that a request has.

use super::carrier::Format;
use crate::head::is_called;

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
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        // Nearly every header of a request is none of them: the first letter and the length tell most apart.
        CANDIDATES.get(letter(*name.first()?)?)?.get(name.len().min(LONGEST))?.iter().find(|field| field.is_called(name))
    }

    pub(super) fn is_called(self, name: &[u8]) -> bool {
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

    /// Its place in [`ALL`](Self::ALL).
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
            Self::JaegerDebugId => 17,
            Self::JaegerBaggage => 18,
            Self::Baggage => 19,
            Self::UberContext => 20,
            Self::OtBaggage => 21,
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

/// For each first letter and each length of a name, the fields that may be called so.
static CANDIDATES: [[FieldSet; LONGEST + 1]; 26] = candidates();

/// Of names that are as long or longer the length tells nothing apart.
const LONGEST: usize = 31;

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic, reason = "it runs when this is compiled")]
const fn candidates() -> [[FieldSet; LONGEST + 1]; 26] {
    let mut candidates = [[FieldSet(0); LONGEST + 1]; 26];
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
                candidates[letter][length].insert(field);
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

    pub(super) fn place(self) -> usize {
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

    /// The fields, in the order of [`Field::ALL`].
    fn iter(self) -> impl Iterator<Item = Field> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let field = *Field::ALL.get(usize::try_from(rest.trailing_zeros()).ok()?)?;
            rest &= rest.wrapping_sub(1);
            Some(field)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_in_any_case_and_nothing_else_is() {
        let places: std::collections::BTreeSet<usize> = Field::ALL.into_iter().map(Field::place).collect();
        assert_eq!(places.into_iter().collect::<Vec<_>>(), (0..Field::ALL.len()).collect::<Vec<_>>());
        assert!(Field::ALL.iter().enumerate().all(|(place, field)| field.place() == place));
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
}
