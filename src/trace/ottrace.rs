// SPDX-License-Identifier: Apache-2.0
//! OpenTracing's `ot-tracer-*` headers, as basictracer and Lightstep's tracers write them:
//! <https://github.com/opentracing/basictracer-go/blob/master/propagation_ot.go>.

use super::carrier::{Context, Lines, Reading, Sampling};
use super::field::Field;
use super::id::{SpanId, TraceId};

/// The `ot-tracer-*` headers.
///
/// ```text
/// ot-tracer-traceid = 1*16HEXDIG / 32HEXDIG    ; old tracers leave out zeros on the left; not all zero
/// ot-tracer-spanid  = 1*16HEXDIG               ; as above
/// ot-tracer-sampled = "true" / "false" / "1" / "0"   ; absent: left open
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtTrace(
    /// What they say.
    pub Context,
);

impl OtTrace {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        Self::parts(lines).unwrap_or_else(|reading| reading)
    }

    fn parts(lines: &Lines<'_>) -> Result<Reading, Reading> {
        let (trace, span) = (lines.one(Field::OtTraceId)?, lines.one(Field::OtSpanId)?);
        let sampled = lines.one(Field::OtSampled)?;
        if [trace, span, sampled].iter().all(Option::is_none) {
            return Ok(Reading::Absent);
        }
        let read = || Self::from_values(trace?, span?, sampled);
        read().map(|Self(context)| Reading::Valid(context)).ok_or(Reading::Malformed)
    }

    /// Reads the values of the three headers; `None` where one breaks its rule.
    #[must_use]
    pub fn from_values(trace: &[u8], span: &[u8], sampled: Option<&[u8]>) -> Option<Self> {
        let trace_id = TraceId::from_digits(trace).filter(|_| matches!(trace.len(), 1..=16 | 32))?;
        let span_id = SpanId::from_digits(span)?;
        let sampling = match sampled {
            None => Sampling::Deferred,
            Some(b"true" | b"1") => Sampling::Accepted,
            Some(b"false" | b"0") => Sampling::Denied,
            Some(_) => return None,
        };
        Some(Self(Context { trace_id, span_id: Some(span_id), sampling }))
    }

    /// The header lines. The format's trace-id has 64 bits: the right-most of ours.
    pub(super) fn encode(&self) -> [(Field, Vec<u8>); 3] {
        let Self(Context { trace_id, span_id, sampling }) = self;
        let digits = trace_id.encode();
        let (_, low) = digits.split_at(16);
        let sampled = if sampling.sampled() == Some(true) { "true" } else { "false" };
        [
            (Field::OtTraceId, low.to_vec()),
            (Field::OtSpanId, span_id.map(SpanId::encode).unwrap_or_default().to_vec()),
            (Field::OtSampled, sampled.into()),
        ]
    }
}

/// No bytes panic, and what is accepted reprints to what reads the same, but for the left half of a trace-id.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |&byte| byte == b'|');
    let (Some(trace), Some(span)) = (parts.next(), parts.next()) else { return };
    let Some(OtTrace(context)) = OtTrace::from_values(trace, span, parts.next()) else { return };
    let [(_, trace), (_, span), (_, sampled)] = OtTrace(context).encode();
    if let Some(OtTrace(again)) = OtTrace::from_values(&trace, &span, Some(&sampled)) {
        assert_eq!((again.trace_id.low(), again.span_id), (context.trace_id.low(), context.span_id));
        assert_eq!(again.sampling.sampled(), Some(context.sampling == Sampling::Accepted));
    } else {
        assert_eq!(context.trace_id.low(), [0; 8], "only a left half alone is lost");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T: &str = "a1ce929d0e0e4736a3ce929d0e0e4736";

    fn printed(trace: &str, span: &str, sampled: Option<&str>) -> Option<[String; 3]> {
        let read = OtTrace::from_values(trace.as_bytes(), span.as_bytes(), sampled.map(str::as_bytes))?;
        Some(read.encode().map(|(_, value)| String::from_utf8(value).unwrap()))
    }

    #[test]
    fn unpadded_ids_are_read_and_padded_ones_written() {
        for (trace, span, sampled, expected) in [
            (T, "00f067aa0ba902b7", Some("1"), ["a3ce929d0e0e4736", "00f067aa0ba902b7", "true"]),
            ("a3ce929d0e0e4736", "00F067AA0BA902B7", Some("false"), ["a3ce929d0e0e4736", "00f067aa0ba902b7", "false"]),
            ("1c3b00da", "7", Some("true"), ["000000001c3b00da", "0000000000000007", "true"]),
            (T, "7", None, ["a3ce929d0e0e4736", "0000000000000007", "false"]),
        ] {
            assert_eq!(printed(trace, span, sampled), Some(expected.map(str::to_owned)), "{trace}");
        }
    }

    #[test]
    fn refuses() {
        let span = "00f067aa0ba902b7";
        for (trace, span, sampled) in [
            ("", span, None),
            ("0", span, None),
            (&*format!("{T}0"), span, None),
            ("1234567890abcd01234", span, None),
            ("zcd00v0000000000", span, None),
            (T, "", None),
            (T, "0", None),
            (T, "00f067aa0ba902b70000", None),
            (T, "00f0wiredba902b7", None),
            (T, span, Some("wired")),
            (T, span, Some("")),
            (T, span, Some("True")),
        ] {
            assert_eq!(printed(trace, span, sampled), None, "{trace} {span} {sampled:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(text in "[0-9a-fA-F]{0,33}\\|[0-9a-f]{0,17}(\\|(true|false|1|0|x))?|\\PC{0,9}") {
            accepted_reprints(text.as_bytes());
        }
    }
}
