// SPDX-License-Identifier: Apache-2.0
//! Protobuf's wire format, written and read: <https://protobuf.dev/programming-guides/encoding/>.

mod fields;

pub(crate) use fields::Fields;
pub use fields::MalformedMessage;

/// The type of numbers.
pub(crate) const VARINT: u32 = 0;
/// The type of numbers of 8 bytes.
pub(crate) const FIXED64: u32 = 1;
/// The type of what has a length: bytes, texts, embedded messages.
pub(crate) const BYTES: u32 = 2;
/// The same, as it stands in a tag of one byte.
const LENGTH_DELIMITED: u8 = 2;
/// The type of numbers of 4 bytes.
pub(crate) const FIXED32: u32 = 5;

/// Writes a number; none where it is 0.
pub(crate) fn put_number(message: &mut Vec<u8>, number: u8, value: u32) {
    if value != 0 {
        put_tag(message, number, VARINT);
        put_varint(message, value.into());
    }
}

/// Writes a number of 64 bits, 0 too; a negative one as its two's complement.
pub(crate) fn put_integer(message: &mut Vec<u8>, number: u8, value: u64) {
    put_tag(message, number, VARINT);
    put_varint(message, value);
}

/// Writes a number of 8 bytes.
pub(crate) fn put_fixed64(message: &mut Vec<u8>, number: u8, value: u64) {
    put_tag(message, number, FIXED64);
    message.extend_from_slice(&value.to_le_bytes());
}

/// Writes a number of 4 bytes.
pub(crate) fn put_fixed32(message: &mut Vec<u8>, number: u8, value: u32) {
    put_tag(message, number, FIXED32);
    message.extend_from_slice(&value.to_le_bytes());
}

/// Writes a text; none where it is empty.
pub(crate) fn put_text(message: &mut Vec<u8>, number: u8, text: &str) {
    if !text.is_empty() {
        put_bytes(message, number, text.as_bytes());
    }
}

/// Writes bytes, or an embedded message, empty ones too.
pub(crate) fn put_bytes(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    put_length(message, number, bytes.len());
    message.extend_from_slice(bytes);
}

/// Writes what stands before so many bytes, which the caller writes next.
#[inline]
pub(crate) fn put_length(message: &mut Vec<u8>, number: u8, length: usize) {
    match u8::try_from(length) {
        // Nearly always: a byte for the tag, and one for the length.
        Ok(length @ ..0x80) if number < 0x10 => message.extend_from_slice(&[(number << 3) | LENGTH_DELIMITED, length]),
        _ => {
            put_tag(message, number, BYTES);
            put_varint(message, u64::try_from(length).unwrap_or(u64::MAX));
        }
    }
}

/// How many bytes a field takes that has a length: its number is below 16.
#[inline]
pub(crate) fn size_of_bytes(length: usize) -> usize {
    if length < 0x80 {
        return length.saturating_add(2);
    }
    length.saturating_add(size_of_integer(u64::try_from(length).unwrap_or(u64::MAX)))
}

/// How many bytes a field takes that is a number: its own number is below 16.
pub(crate) fn size_of_integer(value: u64) -> usize {
    let bits = u64::BITS.saturating_sub(value.leading_zeros()).max(1);
    usize::try_from(bits.div_ceil(7)).unwrap_or(usize::MAX).saturating_add(1)
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
