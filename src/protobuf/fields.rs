// SPDX-License-Identifier: Apache-2.0
//! Protobuf's wire format, read: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

use super::{BYTES, FIXED32, FIXED64, VARINT};
use crate::reader::Reader;

/// A message, read field by field. It never looks into a field that it isn't asked about.
pub(crate) struct Fields<'a> {
    reader: Reader<'a>,
    /// Where it begins in the outermost message.
    start: usize,
}

/// A field as it stands on the wire.
pub(crate) struct Field<'a> {
    /// Its number, not 0.
    pub(crate) number: u32,
    /// Where it stands in the outermost message.
    offset: usize,
    value: Value<'a>,
}

enum Value<'a> {
    Varint(u64),
    /// With the place where they begin in the outermost message.
    Bytes(&'a [u8], usize),
    /// 4 or 8 bytes: no field that we read has them.
    Fixed,
}

impl<'a> Fields<'a> {
    /// Those of an outermost message.
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { reader: Reader::new(message), start: 0 }
    }

    /// The next field; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, MalformedMessage> {
        if self.reader.offset() == self.reader.length() {
            return Ok(None);
        }
        let offset = self.offset();
        let malformed = MalformedMessage { offset, expected: "the number and type of a field that is no group" };
        let tag = u32::try_from(self.varint()?).map_err(|_| malformed)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(malformed);
        }
        let value = match tag & 0b111 {
            VARINT => Some(Value::Varint(self.varint()?)),
            FIXED64 => self.reader.take::<8>().map(|_| Value::Fixed),
            BYTES => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let start = self.offset();
                self.reader.slice(length).map(|bytes| Value::Bytes(bytes, start))
            }
            FIXED32 => self.reader.take::<4>().map(|_| Value::Fixed),
            _ => return Err(malformed),
        };
        let value = value.ok_or(MalformedMessage { offset: self.offset(), expected: "as many bytes as the field has" })?;
        Ok(Some(Field { number, offset, value }))
    }

    fn varint(&mut self) -> Result<u64, MalformedMessage> {
        let malformed = MalformedMessage { offset: self.offset(), expected: "a varint of 64 bits" };
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.reader.byte().ok_or(malformed)?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.wrapping_shl(shift);
            if shifted.wrapping_shr(shift) != bits {
                return Err(malformed);
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed)
    }

    /// Where the next field begins in the outermost message.
    pub(crate) const fn offset(&self) -> usize {
        self.start.saturating_add(self.reader.offset())
    }
}

impl<'a> Field<'a> {
    /// A 64-bit number.
    pub(crate) const fn varint(&self) -> Result<u64, MalformedMessage> {
        match self.value {
            Value::Varint(number) => Ok(number),
            Value::Bytes(..) | Value::Fixed => Err(self.malformed("a field that is a varint")),
        }
    }

    /// A 32-bit number: the higher bits are cut off, as protobuf has it.
    pub(crate) fn varint32(&self) -> Result<u32, MalformedMessage> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    /// Bytes, or a text whose encoding nobody asks about.
    pub(crate) fn bytes(&self) -> Result<&'a [u8], MalformedMessage> {
        self.delimited().map(|(bytes, _)| bytes)
    }

    /// An embedded message.
    pub(crate) fn message(&self) -> Result<Fields<'a>, MalformedMessage> {
        self.delimited().map(|(bytes, start)| Fields { reader: Reader::new(bytes), start })
    }

    const fn delimited(&self) -> Result<(&'a [u8], usize), MalformedMessage> {
        match self.value {
            Value::Bytes(bytes, start) => Ok((bytes, start)),
            Value::Varint(_) | Value::Fixed => Err(self.malformed("a field that has a length")),
        }
    }

    const fn malformed(&self, expected: &'static str) -> MalformedMessage {
        MalformedMessage { offset: self.offset, expected }
    }
}

/// Why bytes are no message of the kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedMessage {
    /// Where, in bytes from 0.
    pub offset: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for MalformedMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: expected {}", self.offset, self.expected)
    }
}

impl std::error::Error for MalformedMessage {}
