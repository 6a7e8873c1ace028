// SPDX-License-Identifier: Apache-2.0
//! `RateLimitResponse`, written:
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>.

/// What is answered.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) admitted: bool,
    /// In the order of the descriptors.
    pub(super) statuses: Vec<Status>,
}

/// What is said of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) is_within: bool,
    /// `None` where no limit applies.
    pub(super) limit: Option<u64>,
    pub(super) remaining: u64,
}

impl Response {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut message = Vec::new();
        put_number(&mut message, 1, code(self.admitted));
        self.statuses.iter().for_each(|status| put_message(&mut message, 2, &status.write()));
        message
    }
}

impl Status {
    fn write(self) -> Vec<u8> {
        let mut message = Vec::new();
        put_number(&mut message, 1, code(self.is_within));
        if let Some(limit) = self.limit {
            let mut current = Vec::new();
            put_number(&mut current, 1, within_32_bits(limit));
            put_message(&mut message, 2, &current);
        }
        put_number(&mut message, 3, within_32_bits(self.remaining));
        message
    }
}

/// `OK`, or `OVER_LIMIT`.
const fn code(is_within: bool) -> u64 {
    if is_within { 1 } else { 2 }
}

/// What the message's fields have room for.
fn within_32_bits(number: u64) -> u64 {
    number.min(u64::from(u32::MAX))
}

/// 0 is left out, as protobuf has it.
fn put_number(message: &mut Vec<u8>, field: u8, number: u64) {
    if number > 0 {
        message.push(field << 3);
        put_varint(message, number);
    }
}

fn put_message(message: &mut Vec<u8>, field: u8, inner: &[u8]) {
    message.push((field << 3) | 2);
    put_varint(message, u64::try_from(inner.len()).unwrap_or(u64::MAX));
    message.extend_from_slice(inner);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        message.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    message.push(u8::try_from(number).unwrap_or(0));
}
