// SPDX-License-Identifier: Apache-2.0
//! Lightstep's binary carrier, which Envoy's former Lightstep tracer wrote into `x-ot-span-context`:
//! <https://github.com/lightstep/lightstep-tracer-common/blob/master/lightstep_carrier.proto>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::carrier::{Context, InvalidCarrier, Lines, Reading, Sampling};
use super::field::Field;
use super::id::{SpanId, TraceId};

/// The `x-ot-span-context` header: base64 of a protobuf message.
///
/// ```text
/// message BinaryCarrier      { BasicTracerCarrier basic_ctx = 2; }
/// message BasicTracerCarrier { fixed64 trace_id = 1; fixed64 span_id = 2; bool sampled = 3; map<string, string> baggage_items = 4; }
/// ```
///
/// Fields that are not named here are passed over, the baggage too. Ids of zero are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtSpanContext(
    /// What it says.
    pub Context,
);

impl TryFrom<&[u8]> for OtSpanContext {
    type Error = InvalidCarrier;

    fn try_from(value: &[u8]) -> Result<Self, InvalidCarrier> {
        let wrong = |expected| InvalidCarrier { offset: 0, expected };
        if value.len() > MAX_LENGTH {
            return Err(wrong("at most 8192 characters"));
        }
        let bytes = STANDARD.decode(value).map_err(|_| wrong("standard base64 with padding"))?;
        Self::from_message(&bytes).ok_or(wrong("a BinaryCarrier with a trace_id and a span_id"))
    }
}

impl OtSpanContext {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        lines.single(Field::OtSpanContext, |value| Self::try_from(value).map(|Self(context)| context).into())
    }

    fn from_message(mut outer: &[u8]) -> Option<Self> {
        let (mut trace, mut span, mut sampled) = (0, 0, 0);
        while !outer.is_empty() {
            let (2, Value::Bytes(mut inner)) = field(&mut outer)? else { continue };
            while !inner.is_empty() {
                match field(&mut inner)? {
                    (1, Value::Fixed(id)) => trace = id,
                    (2, Value::Fixed(id)) => span = id,
                    (3, Value::Varint(value)) => sampled = value,
                    _ => {}
                }
            }
        }
        let mut trace_id = [0; 16];
        trace_id.last_chunk_mut::<8>()?.copy_from_slice(&u64::to_be_bytes(trace));
        let trace_id = TraceId::from_bytes(trace_id)?;
        let span_id = SpanId::from_bytes(u64::to_be_bytes(span))?;
        Some(Self(Context { trace_id, span_id: Some(span_id), sampling: Sampling::of(sampled != 0) }))
    }

    /// The header value. The format's trace-id has 64 bits: the right-most of ours.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self(Context { trace_id, span_id, sampling }) = self;
        let fixed = |bytes: [u8; 8]| u64::from_be_bytes(bytes).to_le_bytes();
        let mut inner = vec![0x09];
        inner.extend(fixed(trace_id.low()));
        inner.push(0x11);
        inner.extend(fixed(span_id.map(SpanId::to_bytes).unwrap_or_default()));
        if sampling.sampled() == Some(true) {
            inner.extend([0x18, 1]);
        }
        let length = u8::try_from(inner.len()).unwrap_or(u8::MAX);
        STANDARD.encode([&[0x12, length], inner.as_slice()].concat()).into_bytes()
    }
}

/// A field's value, by its wire type.
enum Value<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Takes the next field and its number off `message`; `None` where the message breaks off or isn't one.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(message)?;
    let value = match key & 7 {
        0 => Value::Varint(varint(message)?),
        1 => {
            let (bytes, rest) = message.split_first_chunk::<8>()?;
            *message = rest;
            Value::Fixed(u64::from_le_bytes(*bytes))
        }
        2 => {
            let length = usize::try_from(varint(message)?).ok()?;
            let (bytes, rest) = message.split_at_checked(length)?;
            *message = rest;
            Value::Bytes(bytes)
        }
        5 => {
            let (_, rest) = message.split_first_chunk::<4>()?;
            *message = rest;
            Value::Other
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// As long as all baggage may be.
const MAX_LENGTH: usize = 8192;

/// No bytes panic, and what is accepted reprints to what reads the same.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Some(read) = OtSpanContext::try_from(bytes).ok().or_else(|| OtSpanContext::from_message(bytes)) else { return };
    assert_eq!(OtSpanContext::try_from(read.encode().as_slice()), Ok(read), "what we print, we read");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `12 14  09 36470e0e9d92cea3  11 b702a90baa67f000  18 01`: fixed64 is little-endian.
    const SAMPLED: &str = "EhQJNkcODp2SzqMRtwKpC6pn8AAYAQ==";

    #[test]
    fn a_carrier_is_read_and_written() {
        let read = OtSpanContext::try_from(SAMPLED.as_bytes()).unwrap();
        assert_eq!(read.0.trace_id.to_string(), "0000000000000000a3ce929d0e0e4736");
        assert_eq!(read.0.span_id.unwrap().to_string(), "00f067aa0ba902b7");
        assert_eq!(read.0.sampling, Sampling::Accepted);
        assert_eq!(read.encode(), SAMPLED.as_bytes());
        // With baggage { "k": "v" } and the old text pairs before it.
        let message =
            b"\x0a\x02\x0a\x00\x12\x1a\x09\x36\x47\x0e\x0e\x9d\x92\xce\xa3\x11\xb7\x02\xa9\x0b\xaa\x67\xf0\x00\x22\x06\x0a\x01k\x12\x01v";
        let with_baggage = OtSpanContext::from_message(message).unwrap();
        assert_eq!((with_baggage.0.trace_id, with_baggage.0.sampling), (read.0.trace_id, Sampling::Denied));
    }

    #[test]
    fn what_is_no_carrier_is_refused() {
        let whole = STANDARD.decode(SAMPLED).unwrap();
        for length in 0..whole.len() {
            let read = OtSpanContext::from_message(&whole[..length]);
            assert_eq!(read, None, "cut to {length}");
        }
        for value in ["", "====", "EhQJ", "not base64!", &SAMPLED[..SAMPLED.len() - 2], &"A".repeat(8196)] {
            assert!(OtSpanContext::try_from(value.as_bytes()).is_err(), "{value}");
        }
        let mut zero = whole.clone();
        zero[3..11].fill(0);
        assert_eq!(OtSpanContext::from_message(&zero), None, "a trace-id of zeros");
        let mut group = whole;
        group[0] = 0x13;
        assert_eq!(OtSpanContext::from_message(&group), None, "a wire type that is gone");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            accepted_reprints(&bytes);
        }

        #[test]
        fn what_we_print_we_read(trace in 1_u64.., span in 1_u64.., sampled: bool) {
            let mut message = vec![0x12, 20, 0x09];
            message.extend(trace.to_le_bytes());
            message.push(0x11);
            message.extend(span.to_le_bytes());
            message.extend([0x18, u8::from(sampled)]);
            accepted_reprints(STANDARD.encode(&message).as_bytes());
        }
    }
}
