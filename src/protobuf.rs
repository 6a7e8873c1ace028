// SPDX-License-Identifier: Apache-2.0
//! Protobuf's wire format, written: <https://protobuf.dev/programming-guides/encoding/>.

/// The type of numbers.
pub(crate) const VARINT: u32 = 0;
/// The type of what has a length: bytes, texts, embedded messages.
pub(crate) const BYTES: u32 = 2;

/// Writes a number; none where it is 0.
pub(crate) fn put_number(message: &mut Vec<u8>, number: u8, value: u32) {
    if value != 0 {
        put_tag(message, number, VARINT);
        put_varint(message, value.into());
    }
}

/// Writes a text; none where it is empty.
pub(crate) fn put_text(message: &mut Vec<u8>, number: u8, text: &str) {
    if !text.is_empty() {
        put_bytes(message, number, text.as_bytes());
    }
}

/// Writes bytes, or an embedded message, empty ones too.
pub(crate) fn put_bytes(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    put_tag(message, number, BYTES);
    put_varint(message, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    message.extend_from_slice(bytes);
}

fn put_tag(message: &mut Vec<u8>, number: u8, wire_type: u32) {
    put_varint(message, (u64::from(number) << 3) | u64::from(wire_type));
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        message.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    message.push(low_bits(number));
}

/// The lowest 7 bits.
const fn low_bits(number: u64) -> u8 {
    let [lowest, ..] = number.to_le_bytes();
    lowest & 0x7f
}
