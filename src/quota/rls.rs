// SPDX-License-Identifier: Apache-2.0
//! The messages of Envoy's rate-limit service, `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`:
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>.
//!
//! [Limitador](https://github.com/Kuadrant/limitador) and [Envoy's reference implementation](https://github.com/envoyproxy/ratelimit) answer it.

pub use crate::protobuf::MalformedMessage;
use crate::protobuf::{Fields, put_bytes, put_number, put_text};

/// What a service counts by: `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Keys and values, in an order that some services match by.
    pub entries: Vec<(String, String)>,
}

/// A `RateLimitRequest`, byte for byte as other encoders write it. 0 hits are left out, and services count that as 1.
#[must_use]
pub fn encode_request(domain: &str, descriptors: &[Descriptor], hits_addend: u32) -> Vec<u8> {
    let mut request = Vec::new();
    put_text(&mut request, 1, domain);
    for descriptor in descriptors {
        let mut message = Vec::new();
        for (key, value) in &descriptor.entries {
            let mut entry = Vec::new();
            put_text(&mut entry, 1, key);
            put_text(&mut entry, 2, value);
            put_bytes(&mut message, 1, &entry);
        }
        put_bytes(&mut request, 2, &message);
    }
    put_number(&mut request, 3, hits_addend);
    request
}

/// What a `RateLimitResponse` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What becomes of the request.
    pub code: Code,
    /// What was found of each descriptor, in the order of the request: the first [`MAX_STATUSES`]. Limitador sends none.
    pub statuses: Vec<Status>,
    /// Requests left until the reset, as the response's headers have it.
    pub remaining: Option<u64>,
    /// Nanoseconds until the reset, as the response's headers have it.
    pub until_reset: Option<u64>,
}

/// What was found of one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What becomes of it.
    pub code: Code,
    /// Requests in each unit of time; `None` where no limit applies, or none is named.
    pub limit: Option<u32>,
    /// Requests left in this unit of time.
    pub remaining: u32,
    /// Nanoseconds until the next; 0 for a time that is past.
    pub until_reset: Option<u64>,
}

/// A decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    /// Nothing is said, or nothing that we know. Of a whole answer, that is no answer.
    #[default]
    Unknown,
    /// Within its limits.
    Ok,
    /// Over a limit.
    OverLimit,
}

impl Code {
    const fn read(number: u32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::OverLimit,
            _ => Self::Unknown,
        }
    }
}

/// Reads a `RateLimitResponse`. Fields that we don't know are passed over unread; of a field that may stand once the last one counts, and of
/// an embedded message each field's last one.
///
/// # Errors
///
/// [`MalformedMessage`] for what is no message, or has a field that we know in another type. Groups are refused.
pub fn decode_response(bytes: &[u8]) -> Result<Answer, MalformedMessage> {
    let mut answer = Answer::default();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => answer.code = Code::read(field.varint32()?),
            2 => {
                let status = Status::read(field.message()?)?;
                if answer.statuses.len() < MAX_STATUSES {
                    answer.statuses.push(status);
                }
            }
            3 => answer.note_header(field.message()?)?,
            _ => {}
        }
    }
    Ok(answer)
}

impl Answer {
    /// Keeps what a header says; the last of a name counts. Values that are no number are passed over.
    fn note_header(&mut self, mut fields: Fields<'_>) -> Result<(), MalformedMessage> {
        let (mut name, mut value, mut raw_value) = (&[][..], &[][..], &[][..]);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => name = field.bytes()?,
                2 => value = field.bytes()?,
                3 => raw_value = field.bytes()?,
                _ => {}
            }
        }
        let is = |names: [&str; 2]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let number = whole_number(if value.is_empty() { raw_value } else { value });
        if is(REMAINING) {
            self.remaining = number.or(self.remaining);
        } else if is(RESET) {
            self.until_reset = number.map(|seconds| seconds.saturating_mul(NANOSECONDS)).or(self.until_reset);
        }
        Ok(())
    }
}

impl Status {
    fn read(mut fields: Fields<'_>) -> Result<Self, MalformedMessage> {
        let mut status = Self::default();
        let mut until_reset: Option<Duration> = None;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => status.code = Code::read(field.varint32()?),
                2 => read_limit(status.limit.get_or_insert(0), field.message()?)?,
                3 => status.remaining = field.varint32()?,
                4 => until_reset.get_or_insert_default().merge(field.message()?)?,
                _ => {}
            }
        }
        Ok(Self { until_reset: until_reset.map(Duration::nanoseconds), ..status })
    }
}

/// `RateLimit`: its requests per unit of time.
fn read_limit(limit: &mut u32, mut fields: Fields<'_>) -> Result<(), MalformedMessage> {
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            *limit = field.varint32()?;
        }
    }
    Ok(())
}

/// `google.protobuf.Duration`.
#[derive(Default)]
struct Duration {
    seconds: i64,
    nanoseconds: i32,
}

impl Duration {
    fn merge(&mut self, mut fields: Fields<'_>) -> Result<(), MalformedMessage> {
        while let Some(field) = fields.next()? {
            match field.number {
                1 => self.seconds = field.varint()?.cast_signed(),
                2 => self.nanoseconds = field.varint32()?.cast_signed(),
                _ => {}
            }
        }
        Ok(())
    }

    /// The whole of it, from 0 to the longest that there is.
    fn nanoseconds(self) -> u64 {
        let whole = i128::from(self.seconds).saturating_mul(NANOSECONDS.into()).saturating_add(self.nanoseconds.into());
        u64::try_from(whole.max(0)).unwrap_or(u64::MAX)
    }
}

/// Decimal digits; `None` for anything else, and for a number that is too large.
fn whole_number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    // A `+` would be read too.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The most statuses that are kept of an answer; others are read and dropped.
pub const MAX_STATUSES: usize = 64;

/// The headers for requests left, as Limitador and Envoy call them, and as the reference implementation does.
const REMAINING: [&str; 2] = ["x-ratelimit-remaining", "ratelimit-remaining"];
/// The headers for seconds until the reset.
const RESET: [&str; 2] = ["x-ratelimit-reset", "ratelimit-reset"];
const NANOSECONDS: u64 = 1_000_000_000;

/// No bytes panic, and what is accepted is merged with itself as protobuf says: singular fields stay, repeated ones come twice.
#[cfg(any(test, fuzzing))]
pub fn fuzz_rate_limit_answer(bytes: &[u8]) {
    let Ok(answer) = decode_response(bytes) else { return };
    let mut statuses = [answer.statuses.as_slice(), &answer.statuses].concat();
    statuses.truncate(MAX_STATUSES);
    let twice = decode_response(&[bytes, bytes].concat());
    assert_eq!(twice, Ok(Answer { statuses, ..answer }));
}

#[cfg(test)]
mod tests;
