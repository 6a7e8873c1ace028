// SPDX-License-Identifier: Apache-2.0
//! What a collector's answer means, by OTLP: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>.

use super::http_date;
use crate::event::{CallFailed, MAX_ANSWER, Reply};
use crate::protobuf::{Fields, MalformedMessage};

/// What an answer means for the spans that were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It took them, but for so many.
    Taken {
        rejected: u64,
        /// What it has to say.
        message: String,
    },
    /// They may be sent again, after so many nanoseconds where it says so.
    Later { after: Option<u64>, what: String },
    /// They may not.
    Refused { what: String },
}

/// Reads an answer. `now` is the wall clock's, in nanoseconds.
pub(super) fn read(answer: Result<Reply<'_>, CallFailed>, now: i64) -> Verdict {
    let reply = match answer {
        Ok(reply) => reply,
        Err(failed) => {
            let what = match failed {
                CallFailed::Refused => "a cluster that takes no calls",
                CallFailed::TimedOut => "no answer in time",
                CallFailed::Disconnected => "a connection that failed",
                CallFailed::Status(_) => "an answer of gRPC",
            };
            return Verdict::Later { after: None, what: what.to_owned() };
        }
    };
    let status = reply.headers.values(":status").next().and_then(|status| std::str::from_utf8(status).ok()?.parse::<u16>().ok());
    match status {
        Some(200..=299) => match Some(reply.body).filter(|body| body.len() <= MAX_ANSWER).map(Partial::read) {
            Some(Ok(Partial { rejected, message })) => Verdict::Taken { rejected, message },
            Some(Err(_)) | None => Verdict::Refused { what: "200 and no answer of OTLP: is `uri` that of a collector?".to_owned() },
        },
        Some(status @ (429 | 502 | 503 | 504)) => {
            let after = reply.headers.values("retry-after").next().and_then(|value| retry_after(value, now));
            Verdict::Later { after, what: status.to_string() }
        }
        Some(status) => Verdict::Refused { what: status.to_string() },
        None => Verdict::Refused { what: "an answer without a status".to_owned() },
    }
}

/// A `Retry-After` in both its forms (RFC 9110 section 10.2.3), as nanoseconds from `now`; at most [`MAX_RETRY_AFTER`].
fn retry_after(value: &[u8], now: i64) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    let after = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(SECOND)
    } else {
        let then = http_date::parse(text, now.div_euclid(1_000_000_000))?.saturating_mul(1_000_000_000);
        u64::try_from(then.saturating_sub(now)).unwrap_or(0)
    };
    Some(after.min(MAX_RETRY_AFTER))
}

/// `ExportTraceServiceResponse`: what it didn't take.
#[derive(Debug, Default)]
struct Partial {
    rejected: u64,
    message: String,
}

impl Partial {
    /// An empty body is a message too: all is taken.
    fn read(body: &[u8]) -> Result<Self, MalformedMessage> {
        const PARTIAL_SUCCESS: u32 = 1;
        let mut partial = Self::default();
        let mut fields = Fields::new(body);
        while let Some(field) = fields.next()? {
            if field.number != PARTIAL_SUCCESS {
                continue;
            }
            let mut inner = field.message()?;
            while let Some(field) = inner.next()? {
                match field.number {
                    // Signed in the protocol: a negative one is nobody's count.
                    1 => partial.rejected = i64::from_le_bytes(field.varint()?.to_le_bytes()).try_into().unwrap_or(0),
                    2 => partial.message = printable(field.bytes()?),
                    _ => {}
                }
            }
        }
        Ok(partial)
    }
}

/// What a collector says goes to the log: one line, and short.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..MAX_MESSAGE).unwrap_or(text)).into_owned();
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The longest pause that a collector may ask for, in nanoseconds: five minutes.
pub(super) const MAX_RETRY_AFTER: u64 = 300 * SECOND;
const SECOND: u64 = 1_000_000_000;
const MAX_MESSAGE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Header, Headers};

    /// 2026-11-30T10:00:00Z
    const NOW: i64 = 1_796_032_800_000_000_000;

    fn answered(status: &[u8], retry_after: Option<&[u8]>, body: &[u8]) -> Verdict {
        let mut lines = vec![Header { name: b":status", value: status }];
        lines.extend(retry_after.map(|value| Header { name: b"Retry-After", value }));
        read(Ok(Reply { headers: Headers::new(&lines), body }), NOW)
    }

    #[test]
    fn what_may_be_sent_again_is_what_the_protocol_says() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(answered(status.to_string().as_bytes(), None, b""), Verdict::Later { after: None, .. }), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 408, 413, 500, 501] {
            assert!(matches!(answered(status.to_string().as_bytes(), None, b""), Verdict::Refused { .. }), "{status}");
        }
        for failed in [CallFailed::Refused, CallFailed::TimedOut, CallFailed::Disconnected] {
            assert!(matches!(read(Err(failed), NOW), Verdict::Later { after: None, .. }), "{failed:?}");
        }
        assert!(matches!(read(Ok(Reply { headers: Headers::default(), body: b"" }), NOW), Verdict::Refused { .. }));
    }

    #[test]
    fn both_forms_of_retry_after() {
        for (value, expected) in [
            ("0", Some(0)),
            ("7", Some(7 * SECOND)),
            (" 7 ", Some(7 * SECOND)),
            ("299", Some(299 * SECOND)),
            ("301", Some(MAX_RETRY_AFTER)),
            ("99999999999999999999999", Some(MAX_RETRY_AFTER)),
            ("Mon, 30 Nov 2026 10:00:30 GMT", Some(30 * SECOND)),
            ("Monday, 30-Nov-26 10:00:30 GMT", Some(30 * SECOND)),
            ("Mon Nov 30 10:00:30 2026", Some(30 * SECOND)),
            ("Mon, 30 Nov 2026 09:00:00 GMT", Some(0)),
            ("Thu, 30 Nov 2028 10:00:00 GMT", Some(MAX_RETRY_AFTER)),
            ("-7", None),
            ("7.5", None),
            ("soon", None),
            ("", None),
        ] {
            let Verdict::Later { after, .. } = answered(b"503", Some(value.as_bytes()), b"") else { panic!("{value}") };
            assert_eq!(after, expected, "{value:?}");
        }
    }

    #[test]
    fn partial_success_is_read_and_what_is_no_answer_refused() {
        let taken = |rejected, message: &str| Verdict::Taken { rejected, message: message.to_owned() };
        assert_eq!(answered(b"200", None, b""), taken(0, ""));
        assert_eq!(answered(b"200", None, b"\x0a\x00"), taken(0, ""));
        assert_eq!(answered(b"200", None, b"\x0a\x02\x08\x03"), taken(3, ""));
        assert_eq!(answered(b"200", None, b"\x0a\x07\x08\x03\x12\x03a\nb"), taken(3, "a b"));
        assert_eq!(answered(b"200", None, b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), taken(0, ""), "-1");
        for body in [&b"<!doctype html><html></html>"[..], b"{\"partialSuccess\":{}}", b"\x0a\x05\x08", b"\xff"] {
            assert!(matches!(answered(b"200", None, body), Verdict::Refused { .. }), "{body:?}");
        }
        // A field that nobody knows, as long as may be and longer: 4 bytes stand before it.
        let padded = |length: usize| [&[0x7a, 0xfc, 0xff, 0x03][..], &vec![0; length]].concat();
        assert_eq!(answered(b"200", None, &padded(MAX_ANSWER - 4)), taken(0, ""));
        let long = [&[0x7a, 0xfd, 0xff, 0x03][..], &vec![0; MAX_ANSWER - 3]].concat();
        assert!(matches!(answered(b"200", None, &long), Verdict::Refused { .. }));
    }
}
