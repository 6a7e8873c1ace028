// SPDX-License-Identifier: Apache-2.0
//! Protobuf's wire format, read: <https://protobuf.dev/programming-guides/encoding/>.

use super::MalformedAnswer;
use crate::protobuf::{BYTES, VARINT};
use crate::reader::Reader;

/// A message, read field by field. It never looks into a field that it isn't asked about.
pub(super) struct Fields<'a> {
    reader: Reader<'a>,
    /// Where it begins in the outermost message.
    start: usize,
}

/// A field as it stands on the wire.
pub(super) struct Field<'a> {
    /// Its number, not 0.
    pub(super) number: u32,
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
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { reader: Reader::new(message), start: 0 }
    }

    /// The next field; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, MalformedAnswer> {
        if self.reader.offset() == self.reader.length() {
            return Ok(None);
        }
        let offset = self.offset();
        let malformed = MalformedAnswer { offset, expected: "the number and type of a field that is no group" };
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
        let value = value.ok_or(MalformedAnswer { offset: self.offset(), expected: "as many bytes as the field has" })?;
        Ok(Some(Field { number, offset, value }))
    }

    fn varint(&mut self) -> Result<u64, MalformedAnswer> {
        let malformed = MalformedAnswer { offset: self.offset(), expected: "a varint of 64 bits" };
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
    pub(super) const fn offset(&self) -> usize {
        self.start.saturating_add(self.reader.offset())
    }
}

impl<'a> Field<'a> {
    /// A 64-bit number.
    pub(super) const fn varint(&self) -> Result<u64, MalformedAnswer> {
        match self.value {
            Value::Varint(number) => Ok(number),
            Value::Bytes(..) | Value::Fixed => Err(self.malformed("a field that is a varint")),
        }
    }

    /// A 32-bit number: the higher bits are cut off, as protobuf has it.
    pub(super) fn varint32(&self) -> Result<u32, MalformedAnswer> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    /// Bytes, or a text whose encoding nobody asks about.
    pub(super) fn bytes(&self) -> Result<&'a [u8], MalformedAnswer> {
        self.delimited().map(|(bytes, _)| bytes)
    }

    /// An embedded message.
    pub(super) fn message(&self) -> Result<Fields<'a>, MalformedAnswer> {
        self.delimited().map(|(bytes, start)| Fields { reader: Reader::new(bytes), start })
    }

    const fn delimited(&self) -> Result<(&'a [u8], usize), MalformedAnswer> {
        match self.value {
            Value::Bytes(bytes, start) => Ok((bytes, start)),
            Value::Varint(_) | Value::Fixed => Err(self.malformed("a field that has a length")),
        }
    }

    const fn malformed(&self, expected: &'static str) -> MalformedAnswer {
        MalformedAnswer { offset: self.offset, expected }
    }
}

const FIXED64: u32 = 1;
const FIXED32: u32 = 5;
