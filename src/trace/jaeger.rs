// SPDX-License-Identifier: Apache-2.0
//! Jaeger's `uber-trace-id`:
//! <https://www.jaegertracing.io/docs/1.76/architecture/#propagation-format>.

use std::borrow::Cow;

use super::carrier::{Context, Fields, InvalidCarrier, Lines, Reading, Sampling};
use super::field::Field;
use super::id::{SpanId, TraceId};

/// The `uber-trace-id` header.
///
/// ```text
/// uber-trace-id = trace-id ":" span-id ":" parent-id ":" flags
/// trace-id      = 1*32HEXDIG   ; zeros on the left may be left out; not all zero
/// span-id       = 1*16HEXDIG   ; as above
/// parent-id     = *octet       ; deprecated, not read
/// flags         = 1*HEXDIG     ; 1 sampled, 3 debug; 2 without 1 is not sampled
/// ```
///
/// Some clients write `%3A` for `:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UberTraceId(
    /// What it says.
    pub Context,
);

impl TryFrom<&[u8]> for UberTraceId {
    type Error = InvalidCarrier;

    fn try_from(value: &[u8]) -> Result<Self, InvalidCarrier> {
        let value = unescaped(value);
        let mut fields = Fields::new(&value, b':');
        let trace_id = fields.read("a trace-id of 1 to 32 hexadecimal digits, not all 0", TraceId::from_digits)?;
        let span_id = fields.read("a span-id of 1 to 16 hexadecimal digits, not all 0", SpanId::from_digits)?;
        fields.read("a parent-id", Some)?;
        let sampling = fields.read("flags in hexadecimal digits", flags)?;
        match fields.next() {
            None => Ok(Self(Context { trace_id, span_id: Some(span_id), sampling })),
            Some((offset, _)) => Err(InvalidCarrier { offset, expected: "the end" }),
        }
    }
}

impl UberTraceId {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        lines.single(Field::UberTraceId, |value| Self::try_from(value).map(|Self(context)| context).into())
    }

    /// The header value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self(Context { trace_id, span_id, sampling }) = self;
        let flags = match sampling {
            Sampling::Deferred | Sampling::Denied => b":0:0",
            Sampling::Accepted => b":0:1",
            Sampling::Debug => b":0:3",
        };
        [&trace_id.encode()[..], b":", &span_id.map(SpanId::encode).unwrap_or_default(), flags].concat()
    }
}

fn unescaped(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'%') {
        return Cow::Borrowed(value);
    }
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, others)) = rest.split_first() {
        let escaped = first == b'%' && others.first_chunk::<2>().is_some_and(|digits| digits.eq_ignore_ascii_case(b"3a"));
        plain.push(if escaped { b':' } else { first });
        rest = if escaped { others.get(2..).unwrap_or_default() } else { others };
    }
    Cow::Owned(plain)
}

/// Only the last digit's bits have a meaning; there may be any number of digits before it.
fn flags(digits: &[u8]) -> Option<Sampling> {
    let last = char::from(*digits.last()?).to_digit(16)?;
    let sampling = match last & 3 {
        3 => Sampling::Debug,
        1 => Sampling::Accepted,
        _ => Sampling::Denied,
    };
    (digits.len() <= MAX_FLAGS && digits.iter().all(u8::is_ascii_hexdigit)).then_some(sampling)
}

/// Digits of flags that are read: a number of 64 bits.
const MAX_FLAGS: usize = 16;

/// No bytes panic, and what is accepted reprints to what reads the same.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Ok(read) = UberTraceId::try_from(bytes) else { return };
    assert_eq!(UberTraceId::try_from(read.encode().as_slice()), Ok(read), "what we print, we read");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts() {
        let (trace, span) = ("a1ce929d0e0e4736a3ce929d0e0e4736", "00f067aa0ba902b7");
        for (value, printed) in [
            (format!("{trace}:{span}:0:0"), format!("{trace}:{span}:0:0")),
            (format!("{trace}:{span}:0:1"), format!("{trace}:{span}:0:1")),
            (format!("{trace}:{span}::3"), format!("{trace}:{span}:0:3")),
            (format!("{trace}:{span}:0:2"), format!("{trace}:{span}:0:0")),
            (format!("{trace}:{span}:whatever:00001"), format!("{trace}:{span}:0:1")),
            (format!("{trace}:{span}:0:ff"), format!("{trace}:{span}:0:3")),
            (format!("{trace}%3A{span}%3a0%3A1"), format!("{trace}:{span}:0:1")),
            ("3CE:f:0:1".to_owned(), format!("{}3ce:000000000000000f:0:1", "0".repeat(29))),
        ] {
            let read = UberTraceId::try_from(value.as_bytes()).map(|read| String::from_utf8(read.encode()).unwrap());
            assert_eq!(read, Ok(printed), "{value}");
        }
    }

    #[test]
    fn refuses() {
        for (value, offset) in [
            ("", 0),
            ("a1ce", 5),
            ("a1ce:", 5),
            ("a1ce:b", 7),
            ("a1ce:b:0", 9),
            ("a1ce:b:0:", 9),
            ("a1ce:b:0:x", 9),
            ("a1ce:b:0:1:2", 11),
            ("0:b:0:1", 0),
            ("a:0:0:1", 2),
            ("zz:b:0:1", 0),
            ("a1ce-b-0-1", 0),
            ("a:b:0:11111111111111111", 6),
            ("a%3b:b:0:1", 0),
        ] {
            assert_eq!(UberTraceId::try_from(value.as_bytes()).map_err(|error| error.offset), Err(offset), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(text in "[0-9a-fA-F]{0,33}(:|%3A)[0-9a-f]{0,17}:[0-9a-z]{0,3}:[0-9a-g]{0,3}|\\PC{0,9}") {
            accepted_reprints(text.as_bytes());
        }
    }
}
