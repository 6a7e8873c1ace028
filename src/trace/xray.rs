// SPDX-License-Identifier: Apache-2.0
//! AWS X-Ray's tracing header:
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.

use super::carrier::{Context, Fields, InvalidCarrier, Lines, Reading, Sampling};
use super::field::Field;
use super::id::{SpanId, TraceId};

/// The `x-amzn-trace-id` header.
///
/// ```text
/// x-amzn-trace-id = pair *( ";" pair ) [ ";" ]   ; in any order; others than these are passed over
/// pair            = "Root=1-" 8HEXDIG "-" 24HEXDIG / "Parent=" 16HEXDIG / "Sampled=" ( "0" / "1" / "?" )
/// ```
///
/// A root alone is what AWS's load balancers write: the trace, and no span of it. `Sampled=?`, or any other value of it, leaves the decision open. The first 8 digits of a root are a time, the others random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XRayTraceId(
    /// What it says.
    pub Context,
);

impl TryFrom<&[u8]> for XRayTraceId {
    type Error = InvalidCarrier;

    fn try_from(value: &[u8]) -> Result<Self, InvalidCarrier> {
        let (mut root, mut parent, mut sampling) = (None, None, None);
        let mut fields = Fields::new(value, b';');
        while let Some((offset, pair)) = fields.next() {
            if pair.trim_ascii().is_empty() && offset.saturating_add(pair.len()) == value.len() && offset > 0 {
                break;
            }
            let wrong = |expected| InvalidCarrier { offset, expected };
            let mut halves = pair.trim_ascii().splitn(2, |&byte| byte == b'=');
            let (Some(key), Some(value)) = (halves.next(), halves.next()) else { return Err(wrong("a key, `=` and a value")) };
            match key {
                b"Root" => set(&mut root, trace_id(value)).ok_or(wrong("one root: 1-, 8 hexadecimal digits, -, 24 more"))?,
                b"Parent" => set(&mut parent, span_id(value)).ok_or(wrong("one parent of 16 hexadecimal digits, not all 0"))?,
                b"Sampled" => set(&mut sampling, Some(decision(value))).ok_or(wrong("`Sampled` once"))?,
                _ => {}
            }
        }
        let missing = |expected| InvalidCarrier { offset: value.len(), expected };
        let trace_id = root.ok_or(missing("a `Root`"))?;
        Ok(Self(Context { trace_id, span_id: parent, sampling: sampling.unwrap_or(Sampling::Deferred) }))
    }
}

impl XRayTraceId {
    pub(super) fn read(lines: &Lines<'_>) -> Reading {
        lines.single(Field::XRay, |value| Self::try_from(value).map(|Self(context)| context).into())
    }

    /// The header value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self(Context { trace_id, span_id, sampling }) = self;
        let digits = trace_id.encode();
        let (time, random) = digits.split_at(8);
        let sampled: &[u8] = match sampling {
            Sampling::Deferred => b"?",
            Sampling::Denied => b"0",
            Sampling::Accepted | Sampling::Debug => b"1",
        };
        let mut value = [b"Root=1-", time, b"-", random].concat();
        if let Some(parent) = span_id {
            value.extend(b";Parent=");
            value.extend(parent.encode());
        }
        value.extend(b";Sampled=");
        value.extend(sampled);
        value
    }
}

/// `None` where there is no value, or is one already: two can't both be true.
fn set<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    if slot.is_some() {
        return None;
    }
    *slot = value;
    slot.is_some().then_some(())
}

fn trace_id(root: &[u8]) -> Option<TraceId> {
    let (time, random) = root.strip_prefix(b"1-")?.split_first_chunk::<8>()?;
    let random: &[u8; 24] = random.strip_prefix(b"-")?.try_into().ok()?;
    TraceId::from_digits(&[&time[..], random].concat())
}

fn span_id(parent: &[u8]) -> Option<SpanId> {
    if parent.len() == 16 { SpanId::from_digits(parent) } else { None }
}

fn decision(value: &[u8]) -> Sampling {
    match value {
        b"0" => Sampling::Denied,
        b"1" => Sampling::Accepted,
        _ => Sampling::Deferred,
    }
}

/// No bytes panic, and what is accepted reprints to what reads the same.
#[cfg(any(test, fuzzing))]
pub fn accepted_reprints(bytes: &[u8]) {
    let Ok(read) = XRayTraceId::try_from(bytes) else { return };
    assert_eq!(XRayTraceId::try_from(read.encode().as_slice()), Ok(read), "what we print, we read");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts() {
        const FULL: &str = "Root=1-abcdef12-1234567890abcdef12345678;Parent=1234567890abcdef";
        for (value, sampled) in [
            (format!("{FULL};Sampled=1"), "1"),
            (format!("{FULL};Sampled=0;"), "0"),
            (format!("{FULL};Sampled=?"), "?"),
            (format!("{FULL};Sampled=other"), "?"),
            (FULL.to_owned(), "?"),
            (format!("Self=1-abcdef12-0;Sampled=1; {FULL};Lineage=a:b"), "1"),
            (format!("Sampled=1;{}", FULL.replace("abcdef", "ABCDEF")), "1"),
        ] {
            let read = XRayTraceId::try_from(value.as_bytes()).map(|read| String::from_utf8(read.encode()).unwrap());
            assert_eq!(read, Ok(format!("{FULL};Sampled={sampled}")), "{value}");
        }
        let alone = XRayTraceId::try_from(&FULL.as_bytes()[..40]).unwrap();
        assert_eq!((alone.0.span_id, alone.encode()), (None, format!("{};Sampled=?", &FULL[..40]).into_bytes()));
    }

    #[test]
    fn refuses() {
        let root = "Root=1-abcdef12-1234567890abcdef12345678";
        for (value, offset) in [
            (String::new(), 0),
            (";".to_owned(), 0),
            ("Root=1-abc-123;Parent=1234567890abcdef".to_owned(), 0),
            ("Root=1abcdef121234567890abcdef12345678;Parent=1234567890abcdef".to_owned(), 0),
            ("Root=2-abcdef12-1234567890abcdef12345678;Parent=1234567890abcdef".to_owned(), 0),
            ("Root=1-00000000-000000000000000000000000;Parent=1234567890abcdef".to_owned(), 0),
            (format!("{root};Parent=bad"), 41),
            (format!("{root};Parent=0000000000000000"), 41),
            (format!("{root};Broken;Parent=1234567890abcdef"), 41),
            (format!("{root};;Parent=1234567890abcdef"), 41),
            (format!("{root};{root};Parent=1234567890abcdef"), 41),
            (format!("{root};Sampled=1;Sampled=0"), 51),
            ("Parent=1234567890abcdef;Sampled=1".to_owned(), 33),
            ("Sampled=1".to_owned(), 9),
        ] {
            assert_eq!(XRayTraceId::try_from(value.as_bytes()).map_err(|error| error.offset), Err(offset), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_accepted_reprints(text in "(Root=1-[0-9a-f]{8}-[0-9a-f]{24};?|Parent=[0-9a-f]{15,16};?|Sampled=[01?x];?|\\PC{0,3}){0,4}") {
            accepted_reprints(text.as_bytes());
        }
    }
}
