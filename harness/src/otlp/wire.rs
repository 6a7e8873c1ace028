// SPDX-License-Identifier: Apache-2.0
//! Protobuf's wire format, read and written: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

use crate::varint;

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its number, not 0.
    pub(super) number: u64,
    pub(super) value: Value<'a>,
    /// All of it, its tag included.
    pub(super) whole: &'a [u8],
}

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Bytes, a text, or a message.
    Bytes(&'a [u8]),
}

/// Why bytes are no message of the kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    expected: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "OTLP in protobuf: expected {}, found something else", self.expected)
    }
}

impl std::error::Error for Malformed {}

/// What was expected, where it isn't there.
pub(super) const fn malformed<T>(expected: &'static str) -> Result<T, Malformed> {
    Err(Malformed { expected })
}

impl<'a> Value<'a> {
    pub(super) const fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => malformed("a field that has a length"),
        }
    }

    /// A text; what is no UTF-8 is replaced.
    pub(super) fn text(self) -> Result<String, Malformed> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A number, however it is written.
    pub(super) fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => Ok(number),
            Self::Fixed32(number) => Ok(number.into()),
            Self::Bytes(_) => malformed("a field that is a number"),
        }
    }
}

/// A message's fields, in order.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Malformed>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let next = field(&mut rest);
        if next.is_err() {
            // Behind what can't be read nothing can.
            rest = &[];
        }
        Some(next)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, Malformed> {
    let begin = *rest;
    let number = |rest: &mut &'a [u8]| varint::take(rest).map_or_else(|| malformed("a varint of 64 bits"), Ok);
    let tag = number(rest)?;
    let value = match tag & 0b111 {
        0 => Value::Varint(number(rest)?),
        1 => Value::Fixed64(u64::from_le_bytes(fixed(rest)?)),
        2 => {
            let length = usize::try_from(number(rest)?).unwrap_or(usize::MAX);
            let Some((bytes, after)) = rest.split_at_checked(length) else { return malformed("as many bytes as a field has") };
            *rest = after;
            Value::Bytes(bytes)
        }
        5 => Value::Fixed32(u32::from_le_bytes(fixed(rest)?)),
        _ => return malformed("a field that is no group"),
    };
    let whole = begin.get(..begin.len() - rest.len()).unwrap_or_default();
    match tag >> 3 {
        0 => malformed("a field's number above 0"),
        number => Ok(Field { number, value, whole }),
    }
}

fn fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let Some((bytes, after)) = rest.split_first_chunk::<N>() else { return malformed("as many bytes as a field has") };
    *rest = after;
    Ok(*bytes)
}

/// Writes what has a length.
pub(super) fn put_bytes(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(message, number << 3 | 2);
    put_varint(message, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    message.extend_from_slice(bytes);
}

/// Writes a number of 8 bytes.
pub(super) fn put_fixed64(message: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(message, number << 3 | 1);
    message.extend_from_slice(&value.to_le_bytes());
}

/// Writes a number.
pub(super) fn put_number(message: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(message, number << 3);
    put_varint(message, value);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push((number & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let mut message = Vec::new();
        put_number(&mut message, 3, u64::MAX);
        put_fixed64(&mut message, 8, 7);
        put_bytes(&mut message, 20, b"bytes");
        let read: Vec<Field<'_>> = fields(&message).collect::<Result<_, _>>().unwrap();
        let values: Vec<_> = read.iter().map(|field| (field.number, field.value)).collect();
        assert_eq!(values, [(3, Value::Varint(u64::MAX)), (8, Value::Fixed64(7)), (20, Value::Bytes(b"bytes"))]);
        assert_eq!(read.iter().map(|field| field.whole).collect::<Vec<_>>().concat(), message);
        let ends: Vec<usize> = read
            .iter()
            .scan(0, |end, field| {
                *end += field.whole.len();
                Some(*end)
            })
            .collect();
        for cut in 1..message.len() {
            let whole = fields(&message[..cut]).all(|field| field.is_ok());
            assert_eq!(whole, ends.contains(&cut), "{cut}");
        }
    }

    #[test]
    fn groups_and_fields_without_a_number_are_none() {
        for bytes in [&[0x0b][..], &[0x00, 0x01], &[0xff; 11]] {
            assert!(fields(bytes).any(|field| field.is_err()), "{bytes:?}");
        }
    }
}
