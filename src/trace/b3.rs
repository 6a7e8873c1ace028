// SPDX-License-Identifier: Apache-2.0
//! B3, in one header and in several: <https://github.com/openzipkin/b3-propagation>.

use super::carrier::{Context, Fields, InvalidCarrier, Lines, Reading, Sampling};
use super::field::Field;
use super::id::{SpanId, TraceId};

/// The `b3` header.
///
/// ```text
/// b3       = context / decision
/// context  = trace-id "-" span-id [ "-" decision [ "-" span-id ] ]   ; the last is the parent's, which is not kept
/// trace-id = 16HEXDIGLC / 32HEXDIGLC                                 ; not all zero
/// span-id  = 16HEXDIGLC                                              ; not all zero
/// decision = "0" / "1" / "d"
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum B3 {
    /// A trace, and perhaps a decision about it.
    Context(Context),
    /// A decision about whatever trace begins here.
    Decision(Sampling),
}

impl TryFrom<&[u8]> for B3 {
    type Error = InvalidCarrier;

    fn try_from(value: &[u8]) -> Result<Self, InvalidCarrier> {
        if let Some(sampling) = decision(value) {
            return Ok(Self::Decision(sampling));
        }
        let mut fields = Fields::new(value, b'-');
        let trace_id = fields.read(TRACE_ID, trace_id)?;
        let span_id = fields.read(SPAN_ID, span_id)?;
        let sampling = match fields.next() {
            None => Sampling::Deferred,
            Some((offset, field)) => decision(field).ok_or(InvalidCarrier { offset, expected: "a decision: 0, 1 or d" })?,
        };
        if let Some((offset, parent)) = fields.next() {
            // A root's parent may be written as zeros.
            let digits = parent.len() == 16 && parent.iter().all(|&digit| is_lower_hex(digit));
            digits.then_some(()).ok_or(InvalidCarrier { offset, expected: "the parent's span-id of 16 lower-case hexadecimal digits" })?;
        }
        match fields.next() {
            None => Ok(Self::Context(Context { trace_id, span_id: Some(span_id), sampling })),
            Some((offset, _)) => Err(InvalidCarrier { offset, expected: "the end" }),
        }
    }
}

impl B3 {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        lines.single(Field::B3, |value| match Self::try_from(value) {
            Ok(Self::Context(context)) => Reading::Valid(context),
            Ok(Self::Decision(sampling)) => Reading::Decision(sampling),
            Err(_) => Reading::Malformed,
        })
    }

    /// The header value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Decision(sampling) => letter(*sampling).into_iter().collect(),
            Self::Context(context) => {
                let mut value = context.trace_id.encode().to_vec();
                value.push(b'-');
                value.extend(context.span_id.map(SpanId::encode).unwrap_or_default());
                if let Some(letter) = letter(context.sampling) {
                    value.extend([b'-', letter]);
                }
                value
            }
        }
    }
}

/// The `x-b3-*` headers: `traceid` and `spanid` as in [`B3`], and perhaps `sampled` (`0`, `1`; leniently `true`, `false`), `flags` (`1` is
/// debug and outweighs `sampled`; anything else says nothing) and `parentspanid`, which is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct B3Multi(
    /// What they say.
    pub Context,
);

impl B3Multi {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        Self::parts(lines).unwrap_or_else(|reading| reading)
    }

    fn parts(lines: &Lines<'_>) -> Result<Reading, Reading> {
        let (trace, span) = (lines.one(Field::B3TraceId)?, lines.one(Field::B3SpanId)?);
        let (sampled, flags) = (lines.one(Field::B3Sampled)?, lines.one(Field::B3Flags)?);
        if [trace, span, sampled, flags].iter().all(Option::is_none) {
            return Ok(Reading::Absent);
        }
        let sampling = match (flags, sampled) {
            (Some(b"1"), _) => Sampling::Debug,
            (_, None) => Sampling::Deferred,
            (_, Some(b"0")) => Sampling::Denied,
            (_, Some(b"1")) => Sampling::Accepted,
            (_, Some(text)) if text.eq_ignore_ascii_case(b"true") => Sampling::Accepted,
            (_, Some(text)) if text.eq_ignore_ascii_case(b"false") => Sampling::Denied,
            (_, Some(_)) => return Err(Reading::Malformed),
        };
        match (trace, span) {
            (Some(trace), Some(span)) => {
                let (trace_id, span_id) = trace_id(trace).zip(span_id(span)).ok_or(Reading::Malformed)?;
                Ok(Reading::Valid(Context { trace_id, span_id: Some(span_id), sampling }))
            }
            (None, None) => Ok(Reading::Decision(sampling)),
            _ => Err(Reading::Malformed),
        }
    }

    /// The header lines: ids, then `sampled`, or `flags` for debug.
    pub(super) fn encode(&self) -> [Option<(Field, Vec<u8>)>; 3] {
        let Self(Context { trace_id, span_id, sampling }) = self;
        let decision = match sampling {
            Sampling::Deferred => None,
            Sampling::Denied => Some((Field::B3Sampled, b"0".to_vec())),
            Sampling::Accepted => Some((Field::B3Sampled, b"1".to_vec())),
            Sampling::Debug => Some((Field::B3Flags, b"1".to_vec())),
        };
        [
            Some((Field::B3TraceId, trace_id.encode().to_vec())),
            span_id.map(|span_id| (Field::B3SpanId, span_id.encode().to_vec())),
            decision,
        ]
    }
}

fn decision(field: &[u8]) -> Option<Sampling> {
    match field {
        b"0" => Some(Sampling::Denied),
        b"1" => Some(Sampling::Accepted),
        b"d" => Some(Sampling::Debug),
        _ => None,
    }
}

const fn letter(sampling: Sampling) -> Option<u8> {
    match sampling {
        Sampling::Deferred => None,
        Sampling::Denied => Some(b'0'),
        Sampling::Accepted => Some(b'1'),
        Sampling::Debug => Some(b'd'),
    }
}

fn trace_id(digits: &[u8]) -> Option<TraceId> {
    let sound = matches!(digits.len(), 16 | 32) && digits.iter().all(|&digit| is_lower_hex(digit));
    if sound { TraceId::from_digits(digits) } else { None }
}

fn span_id(digits: &[u8]) -> Option<SpanId> {
    let sound = digits.len() == 16 && digits.iter().all(|&digit| is_lower_hex(digit));
    if sound { SpanId::from_digits(digits) } else { None }
}

const fn is_lower_hex(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'a'..=b'f')
}

const TRACE_ID: &str = "a trace-id of 16 or 32 lower-case hexadecimal digits, not all 0";
const SPAN_ID: &str = "a span-id of 16 lower-case hexadecimal digits, not all 0";

/// No bytes panic, and what is accepted reprints to what reads the same.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Ok(b3) = B3::try_from(bytes) else { return };
    let printed = b3.encode();
    assert_eq!(B3::try_from(printed.as_slice()), Ok(b3), "what we print, we read");
}

/// The same for several headers, one input split at `|`: trace-id, span-id, `sampled`, `flags`; an empty one is no line.
#[cfg(any(test, fuzzing))]
pub fn lines_reprint(bytes: &[u8]) {
    use crate::head::{Header, Headers};

    let read = |lines: &[(&str, &[u8])]| {
        let lines: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value }).collect();
        B3Multi::read(&Lines::read(Headers::new(&lines)))
    };
    let names = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
    let values = bytes.splitn(names.len(), |&byte| byte == b'|');
    let received: Vec<(&str, &[u8])> = names.into_iter().zip(values).filter(|(_, value)| !value.is_empty()).collect();
    let Reading::Valid(context) = read(&received) else { return };
    let printed = B3Multi(context).encode();
    let printed: Vec<(&str, &[u8])> = printed.iter().flatten().map(|(field, value)| (field.name(), value.as_slice())).collect();
    assert_eq!(read(&printed), Reading::Valid(context), "what we print, we read");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::head::{Header, Headers};

    const T: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const S: &str = "00f067aa0ba902b7";

    fn context(sampling: Sampling) -> Context {
        Context { trace_id: TraceId::from_digits(T.as_bytes()).unwrap(), span_id: SpanId::from_digits(S.as_bytes()), sampling }
    }

    #[test]
    fn one_header_is_accepted() {
        for (value, expected, printed) in [
            (format!("{T}-{S}"), B3::Context(context(Sampling::Deferred)), format!("{T}-{S}")),
            (format!("{T}-{S}-0"), B3::Context(context(Sampling::Denied)), format!("{T}-{S}-0")),
            (format!("{T}-{S}-1"), B3::Context(context(Sampling::Accepted)), format!("{T}-{S}-1")),
            (format!("{T}-{S}-d"), B3::Context(context(Sampling::Debug)), format!("{T}-{S}-d")),
            (format!("{T}-{S}-1-00000000000000cd"), B3::Context(context(Sampling::Accepted)), format!("{T}-{S}-1")),
            (format!("{T}-{S}-1-0000000000000000"), B3::Context(context(Sampling::Accepted)), format!("{T}-{S}-1")),
            ("0".to_owned(), B3::Decision(Sampling::Denied), "0".to_owned()),
            ("1".to_owned(), B3::Decision(Sampling::Accepted), "1".to_owned()),
            ("d".to_owned(), B3::Decision(Sampling::Debug), "d".to_owned()),
        ] {
            let read = B3::try_from(value.as_bytes());
            assert_eq!(read, Ok(expected), "{value}");
            assert_eq!(String::from_utf8(expected.encode()).unwrap(), printed);
        }
        let short = B3::try_from(format!("{}-{S}", &T[16..]).as_bytes()).unwrap();
        assert_eq!(short.encode(), format!("0000000000000000{}-{S}", &T[16..]).into_bytes());
    }

    #[test]
    fn one_header_is_refused_where_it_is_wrong() {
        for (value, offset) in [
            (String::new(), 0),
            ("2".to_owned(), 0),
            ("true".to_owned(), 0),
            (T.to_owned(), 33),
            (format!("{T}0-{S}-1"), 0),
            (format!("{}-{S}-1", T.to_uppercase()), 0),
            (format!("{}-{S}-1", "0".repeat(32)), 0),
            (format!("{T}-{S}0-1"), 33),
            (format!("{T}-{}-1", S.to_uppercase()), 33),
            (format!("{T}-{}-1", "0".repeat(16)), 33),
            (format!("{T}-{S}-"), 50),
            (format!("{T}-{S}-q"), 50),
            (format!("{T}-{S}-true"), 50),
            (format!("{T}-{S}-1-"), 52),
            (format!("{T}-{S}-1-{}", S.to_uppercase()), 52),
            (format!("{T}-{S}-1-{S}-"), 69),
        ] {
            assert_eq!(B3::try_from(value.as_bytes()).map_err(|error| error.offset), Err(offset), "{value}");
        }
    }

    fn multi(lines: &[(&str, &str)]) -> Reading {
        let lines: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        B3Multi::read(&Lines::read(Headers::new(&lines)))
    }

    #[test]
    fn several_headers_are_read_together() {
        let ids = [("x-b3-traceid", T), ("X-B3-SpanId", S)];
        let with = |more: &[(&'static str, &'static str)]| multi(&[&ids, more].concat());
        for (more, expected) in [
            (&[][..], Sampling::Deferred),
            (&[("x-b3-sampled", "0")], Sampling::Denied),
            (&[("x-b3-sampled", "1"), ("x-b3-parentspanid", "00f067aa0ba90200")], Sampling::Accepted),
            (&[("x-b3-sampled", "True")], Sampling::Accepted),
            (&[("x-b3-sampled", "false")], Sampling::Denied),
            (&[("x-b3-flags", "1")], Sampling::Debug),
            (&[("x-b3-flags", "1"), ("x-b3-sampled", "0")], Sampling::Debug),
            (&[("x-b3-flags", "2"), ("x-b3-sampled", "1")], Sampling::Accepted),
        ] {
            assert_eq!(with(more), Reading::Valid(context(expected)), "{more:?}");
        }
        assert_eq!(with(&[("x-b3-sampled", "d")]), Reading::Malformed);
        assert_eq!(with(&[("x-b3-sampled", "")]), Reading::Malformed);
        assert_eq!(with(&[("x-b3-spanid", S)]), Reading::Several);
        assert_eq!(multi(&ids[..1]), Reading::Malformed);
        assert_eq!(multi(&ids[1..]), Reading::Malformed);
        assert_eq!(multi(&[]), Reading::Absent);
        assert_eq!(multi(&[("x-b3-sampled", "0")]), Reading::Decision(Sampling::Denied));
        let lines = |sampling| B3Multi(context(sampling)).encode().map(|line| line.map(|(field, value)| (field.name(), value)));
        let ids = [("x-b3-traceid", T), ("x-b3-spanid", S)].map(|(name, value)| Some((name, value.as_bytes().to_vec())));
        for (sampling, last) in [
            (Sampling::Deferred, None),
            (Sampling::Accepted, Some(("x-b3-sampled", b"1".to_vec()))),
            (Sampling::Debug, Some(("x-b3-flags", b"1".to_vec()))),
        ] {
            assert_eq!(lines(sampling), [ids[0].clone(), ids[1].clone(), last]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(text in "([0-9a-f]{16}|[0-9a-f]{32})-[0-9a-f]{15,17}(-[01dx])?(-[0-9a-f]{16})?-?|\\PC{0,9}") {
            accepted_reprints(text.as_bytes());
        }

        #[test]
        fn nor_do_several_headers(text in "([0-9a-f]{16}|[0-9a-f]{32})?\\|[0-9a-f]{15,17}\\|(0|1|true|False|d)?(\\|[01])?|\\PC{0,9}") {
            lines_reprint(text.as_bytes());
        }
    }
}
