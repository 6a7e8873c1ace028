// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;

use super::*;
use crate::protobuf::{put_bytes, put_number, put_text};

fn descriptor(entries: &[(&str, &str)]) -> Descriptor {
    Descriptor { entries: entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect() }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = Vec::new();
    write(&mut message);
    message
}

fn with_header(name: &str, value: &str) -> Vec<u8> {
    let header = written(|header| {
        put_text(header, 1, name);
        put_text(header, 2, value);
    });
    written(|answer| put_bytes(answer, 3, &header))
}

fn with_status(status: &[u8]) -> Vec<u8> {
    written(|answer| put_bytes(answer, 2, status))
}

/// What Limitador answers with headers of the draft.
const LIMITADOR: &[u8] =
    b"\x08\x02\x1a\x20\x0a\x11X-RateLimit-Limit\x12\x0b10, 10;w=60\x1a\x1a\x0a\x15X-RateLimit-Remaining\x12\x010\x1a\x17\x0a\x11X-RateLimit-Reset\x12\x0259";

/// What the reference implementation answers of two descriptors: one is limited to 5 a minute, of the other no limit is known.
const REFERENCE: &[u8] = b"\x08\x01\x12\x0e\x08\x01\x12\x04\x08\x05\x10\x02\x18\x04\x22\x02\x08\x2a\x12\x02\x08\x01";

#[test]
fn requests_are_written() {
    let long = "v".repeat(300);
    for (domain, descriptors, hits, expected) in [
        ("", &[][..], 0, &b""[..]),
        ("edge", &[], 1, b"\x0a\x04edge\x18\x01"),
        ("", &[], 300, b"\x18\xac\x02"),
        ("", &[], u32::MAX, b"\x18\xff\xff\xff\xff\x0f"),
        ("d", &[descriptor(&[])], 0, b"\x0a\x01d\x12\x00"),
        ("d", &[descriptor(&[("", "")])], 0, b"\x0a\x01d\x12\x02\x0a\x00"),
        ("d", &[descriptor(&[("k", "")])], 0, b"\x0a\x01d\x12\x05\x0a\x03\x0a\x01k"),
        (
            "d",
            &[descriptor(&[("a", "1"), ("b", "2")]), descriptor(&[("\u{e9}", "3")])],
            2,
            b"\x0a\x01d\x12\x10\x0a\x06\x0a\x01a\x12\x011\x0a\x06\x0a\x01b\x12\x012\x12\x09\x0a\x07\x0a\x02\xc3\xa9\x12\x013\x18\x02",
        ),
        ("", &[descriptor(&[("", &long)])], 0, &[b"\x12\xb2\x02\x0a\xaf\x02\x12\xac\x02", long.as_bytes()].concat()),
    ] {
        let request = encode_request(domain, descriptors, hits);
        assert_eq!(request, expected, "{domain} {descriptors:?} {hits}: {}", request.escape_ascii());
    }
}

#[test]
fn what_services_answer() {
    let limited = Answer { code: Code::OverLimit, remaining: Some(0), until_reset: Some(59_000_000_000), ..Answer::default() };
    assert_eq!(decode_response(LIMITADOR), Ok(limited));
    let first = Status { code: Code::Ok, limit: Some(5), remaining: 4, until_reset: Some(42_000_000_000) };
    let second = Status { code: Code::Ok, ..Status::default() };
    assert_eq!(decode_response(REFERENCE), Ok(Answer { code: Code::Ok, statuses: vec![first, second], ..Answer::default() }));
}

#[test]
fn codes() {
    for (bytes, code) in [
        (&b""[..], Code::Unknown),
        (b"\x08\x00", Code::Unknown),
        (b"\x08\x01", Code::Ok),
        (b"\x08\x02", Code::OverLimit),
        (b"\x08\x03", Code::Unknown),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Code::Unknown),
        // The last one counts, an unknown one too.
        (b"\x08\x01\x08\x02", Code::OverLimit),
        (b"\x08\x02\x08\x01", Code::Ok),
        (b"\x08\x01\x08\x03", Code::Unknown),
        // Numbers and tags may be longer than they need be, and 32 bits are taken of 64.
        (b"\x08\x81\x80\x00", Code::Ok),
        (b"\x88\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01", Code::Ok),
        (b"\x08\x81\x80\x80\x80\xf0\xff\xff\xff\xff\x01", Code::Ok),
        // Unknown fields of each type, and the known ones that say nothing to us.
        (b"\x78\x05\x08\x01\x78\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Code::Ok),
        (b"\x79\x01\x02\x03\x04\x05\x06\x07\x08\x08\x01", Code::Ok),
        (b"\x7d\x01\x02\x03\x04\x08\x01", Code::Ok),
        (b"\x7a\x02\x0b\xff\x08\x01", Code::Ok),
        (b"\xfa\xff\xff\xff\x0f\x00\x08\x01", Code::Ok),
        (b"\x22\x01\xff\x2a\x01\xff\x32\x01\xff\x08\x01", Code::Ok),
    ] {
        assert_eq!(decode_response(bytes), Ok(Answer { code, ..Answer::default() }), "{}", bytes.escape_ascii());
    }
}

#[test]
fn refuses() {
    const TAG: &str = "the number and type of a field that is no group";
    const NUMBER: &str = "a varint of 64 bits";
    const LENGTH: &str = "as many bytes as the field has";
    const IS_NUMBER: &str = "a field that is a varint";
    const HAS_LENGTH: &str = "a field that has a length";
    for (bytes, offset, expected) in [
        // Groups, types that there are not, field 0, numbers of fields past 29 bits.
        (&b"\x0b\x0c"[..], 0, TAG),
        (b"\x08\x01\x0c", 2, TAG),
        (b"\x7b\x7c", 0, TAG),
        (b"\x0e", 0, TAG),
        (b"\x0f", 0, TAG),
        (b"\x00\x01", 0, TAG),
        (b"\x02\x00", 0, TAG),
        (b"\x88\x80\x80\x80\x10\x01", 0, TAG),
        // Numbers that go on, or past 64 bits.
        (b"\x08", 1, NUMBER),
        (b"\x08\x80", 1, NUMBER),
        (b"\x80", 0, NUMBER),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 1, NUMBER),
        (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 1, NUMBER),
        // Lengths past the end, or the end of what is around.
        (b"\x12\x01", 2, LENGTH),
        (b"\x7a\x01", 2, LENGTH),
        (b"\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", 11, LENGTH),
        (b"\x79\x01\x02\x03\x04\x05\x06\x07", 1, LENGTH),
        (b"\x7d\x01\x02\x03", 1, LENGTH),
        (b"\x12\x04\x12\x03\x08\x01\x08\x01", 4, LENGTH),
        (b"\x12\x02\x08\x80\x01", 3, NUMBER),
        (b"\x12\x04\x22\x02\x08\x80\x01", 5, NUMBER),
        (b"\x1a\x02\x0a\x01\x08\x01", 4, LENGTH),
        // Known fields of other types: a list of numbers is not a number.
        (b"\x0a\x01\x01", 0, IS_NUMBER),
        (b"\x0d\x01\x00\x00\x00", 0, IS_NUMBER),
        (b"\x08\x01\x10\x01", 2, HAS_LENGTH),
        (b"\x18\x01", 0, HAS_LENGTH),
        (b"\x12\x02\x10\x01", 2, HAS_LENGTH),
        (b"\x12\x03\x1a\x01\x01", 2, IS_NUMBER),
        (b"\x12\x07\x22\x05\x0d\x01\x00\x00\x00", 4, IS_NUMBER),
        (b"\x1a\x02\x08\x01", 2, HAS_LENGTH),
    ] {
        assert_eq!(decode_response(bytes), Err(MalformedMessage { offset, expected }), "{}", bytes.escape_ascii());
    }
    let error = decode_response(b"\x12\x02\x08\x80\x01").unwrap_err();
    assert_eq!(error.to_string(), "byte 3: expected a varint of 64 bits");
}

#[test]
fn statuses() {
    let second = Some(1_000_000_000);
    for (bytes, limit, remaining, until_reset) in [
        (&b""[..], None, 0, None),
        (b"\x12\x00\x22\x00", Some(0), 0, Some(0)),
        (b"\x12\x02\x08\x05\x18\x04", Some(5), 4, None),
        (b"\x12\x0d\x08\xac\x02\x10\x02\x1a\x06minute", Some(300), 0, None),
        // Embedded messages are merged, numbers replaced.
        (b"\x12\x02\x08\x05\x12\x02\x10\x02", Some(5), 0, None),
        (b"\x12\x02\x08\x05\x12\x02\x08\x06", Some(6), 0, None),
        (b"\x22\x02\x08\x01\x22\x02\x10\x07", None, 0, Some(1_000_000_007)),
        (b"\x22\x04\x08\x01\x08\x01", None, 0, second),
        (b"\x18\x04\x18\x03", None, 3, None),
        (b"\x18\xff\xff\xff\xff\xff\x01", None, u32::MAX, None),
        // Times that are past, mixed ones, and longer ones than there are.
        (b"\x22\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", None, 0, Some(0)),
        (b"\x22\x0d\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", None, 0, Some(999_999_999)),
        (b"\x22\x08\x08\x01\x10\xff\xff\xff\xff\x0f", None, 0, Some(999_999_999)),
        (b"\x22\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", None, 0, Some(u64::MAX)),
    ] {
        let code = [b"\x08\x01", bytes].concat();
        let answer = decode_response(&with_status(&code));
        let statuses = vec![Status { code: Code::Ok, limit, remaining, until_reset }];
        assert_eq!(answer, Ok(Answer { statuses, ..Answer::default() }), "{}", bytes.escape_ascii());
    }
}

#[test]
fn statuses_are_kept_up_to_a_number_and_read_to_the_end() {
    let status = |remaining| with_status(&written(|status| put_number(status, 3, remaining)));
    let mut bytes: Vec<u8> = (0..100).flat_map(status).collect();
    let answer = decode_response(&bytes).unwrap();
    assert_eq!(answer.statuses.iter().map(|status| status.remaining).collect::<Vec<_>>(), (0..64).collect::<Vec<_>>());
    bytes.extend(with_status(b"\x0b"));
    assert_eq!(decode_response(&bytes).map_err(|error| error.offset), Err(bytes.len() - 1));
}

#[test]
fn headers() {
    const SECOND: u64 = 1_000_000_000;
    for (name, value, remaining, until_reset) in [
        ("X-RateLimit-Remaining", "7", Some(7), None),
        ("x-ratelimit-remaining", " 007 ", Some(7), None),
        ("RateLimit-Remaining", "18446744073709551615", Some(u64::MAX), None),
        ("ratelimit-remaining", "18446744073709551616", None, None),
        ("X-RateLimit-Reset", "0", None, Some(0)),
        ("RATELIMIT-RESET", "60", None, Some(60 * SECOND)),
        ("x-ratelimit-reset", "18446744073709551615", None, Some(u64::MAX)),
        ("x-ratelimit-reset", "", None, None),
        ("x-ratelimit-reset", "-1", None, None),
        ("x-ratelimit-reset", "+1", None, None),
        ("x-ratelimit-reset", "1.5", None, None),
        ("x-ratelimit-reset", "1, 2", None, None),
        ("x-ratelimit-reset", "1s", None, None),
        ("x-ratelimit-reset", "\u{661}", None, None),
        ("x-ratelimit-limit", "1", None, None),
        ("retry-after", "1", None, None),
        ("", "1", None, None),
    ] {
        let answer = decode_response(&with_header(name, value));
        assert_eq!(answer, Ok(Answer { remaining, until_reset, ..Answer::default() }), "{name}: {value}");
    }
}

#[test]
fn headers_that_stand_twice_and_values_as_bytes() {
    let remaining = |bytes: &[u8]| decode_response(bytes).map(|answer| answer.remaining);
    let twice = |first, second| [with_header("x-ratelimit-remaining", first), with_header("ratelimit-remaining", second)].concat();
    assert_eq!(remaining(&twice("1", "2")), Ok(Some(2)));
    assert_eq!(remaining(&twice("1", "many")), Ok(Some(1)));
    let raw = |fields: &[(u8, &[u8])]| {
        let header = written(|header| fields.iter().for_each(|(number, bytes)| put_bytes(header, *number, bytes)));
        written(|answer| put_bytes(answer, 3, &header))
    };
    const NAME: &[u8] = b"ratelimit-remaining";
    assert_eq!(remaining(&raw(&[(1, NAME), (3, b"3")])), Ok(Some(3)));
    assert_eq!(remaining(&raw(&[(1, NAME), (3, b"3"), (2, b"4")])), Ok(Some(4)));
    assert_eq!(remaining(&raw(&[(2, b"5"), (1, b"other"), (1, NAME)])), Ok(Some(5)));
    assert_eq!(remaining(&raw(&[(1, NAME), (3, b"\xff")])), Ok(None));
    assert_eq!(remaining(&raw(&[(1, b"\xff"), (3, b"3")])), Ok(None));
}

#[test]
fn cut_anywhere_it_is_refused_or_ends_with_a_field() {
    let fields = |bytes: &[u8]| {
        let (mut ends, mut fields) = (vec![0], Fields::new(bytes));
        while fields.next().unwrap().is_some() {
            ends.push(fields.offset());
        }
        ends
    };
    for whole in [LIMITADOR, REFERENCE] {
        let ends = fields(whole);
        for length in 0..=whole.len() {
            assert_eq!(decode_response(&whole[..length]).is_ok(), ends.contains(&length), "{length} of {}", whole.escape_ascii());
        }
    }
}

#[test]
fn changed_anywhere_it_does_not_panic() {
    for whole in [LIMITADOR, REFERENCE] {
        for at in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut changed = whole.to_vec();
                changed[at] = byte;
                fuzz_rate_limit_answer(&changed);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_accepted_is_merged(bytes in prop::collection::vec(prop_oneof![0_u8..0x30, any::<u8>()], 0..40)) {
        fuzz_rate_limit_answer(&bytes);
    }
}
