// SPDX-License-Identifier: Apache-2.0
//! `RateLimitRequest`, read:
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>. Fields that nothing hangs on are passed over.

use std::fmt;

use crate::varint;

/// What is asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) domain: String,
    pub(super) descriptors: Vec<Descriptor>,
    /// 0 where none is named.
    pub(super) hits_addend: u32,
}

/// What is counted by.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Descriptor {
    /// Keys and values.
    pub(super) entries: Vec<(String, String)>,
}

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRequest {
    /// What was expected.
    expected: &'static str,
}

impl fmt::Display for MalformedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a rate-limit request: expected {}, found something else", self.expected)
    }
}

impl std::error::Error for MalformedRequest {}

/// A field's value.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// 4 or 8 bytes, which no field of use has.
    Fixed,
}

impl Request {
    pub(super) fn read(message: &[u8]) -> Result<Self, MalformedRequest> {
        let mut request = Self::default();
        each_field(message, |number, value| {
            match number {
                1 => request.domain = value.text()?,
                2 if request.descriptors.len() < MAX_DESCRIPTORS => request.descriptors.push(Descriptor::read(value.bytes()?)?),
                2 => return malformed("no more descriptors than can be meant"),
                // Higher bits are cut off, as protobuf has it.
                3 => request.hits_addend = u32::try_from(value.number()? & u64::from(u32::MAX)).unwrap_or(u32::MAX),
                _ => {}
            }
            Ok(())
        })?;
        Ok(request)
    }
}

impl Descriptor {
    fn read(message: &[u8]) -> Result<Self, MalformedRequest> {
        let mut descriptor = Self::default();
        each_field(message, |number, value| {
            match number {
                1 if descriptor.entries.len() < MAX_ENTRIES => descriptor.entries.push(entry(value.bytes()?)?),
                1 => return malformed("no more entries than can be meant"),
                _ => {}
            }
            Ok(())
        })?;
        Ok(descriptor)
    }
}

fn entry(message: &[u8]) -> Result<(String, String), MalformedRequest> {
    let (mut key, mut text) = (String::new(), String::new());
    each_field(message, |number, value| {
        match number {
            1 => key = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, text))
}

impl<'a> Value<'a> {
    const fn number(&self) -> Result<u64, MalformedRequest> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Bytes(_) | Self::Fixed => malformed("a field that is a number"),
        }
    }

    const fn bytes(&self) -> Result<&'a [u8], MalformedRequest> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) | Self::Fixed => malformed("a field that has a length"),
        }
    }

    fn text(&self) -> Result<String, MalformedRequest> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).or_else(|_| malformed("UTF-8 text"))
    }
}

/// Hands over a message's fields, one after another: <https://protobuf.dev/programming-guides/encoding/>.
fn each_field(mut rest: &[u8], mut take: impl FnMut(u64, Value<'_>) -> Result<(), MalformedRequest>) -> Result<(), MalformedRequest> {
    while !rest.is_empty() {
        let tag = number(&mut rest)?;
        let value = match tag & 0b111 {
            0 => Value::Number(number(&mut rest)?),
            1 => split(&mut rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(number(&mut rest)?).unwrap_or(usize::MAX);
                Value::Bytes(split(&mut rest, length)?)
            }
            5 => split(&mut rest, 4).map(|_| Value::Fixed)?,
            _ => return malformed("a field that is no group"),
        };
        match tag >> 3 {
            0 => return malformed("a field's number above 0"),
            number => take(number, value)?,
        }
    }
    Ok(())
}

fn number(rest: &mut &[u8]) -> Result<u64, MalformedRequest> {
    varint::take(rest).ok_or(MalformedRequest { expected: "a number of at most 64 bits" })
}

fn split<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], MalformedRequest> {
    let (first, others) = rest.split_at_checked(length).ok_or(MalformedRequest { expected: "as many bytes as the field has" })?;
    *rest = others;
    Ok(first)
}

const fn malformed<T>(expected: &'static str) -> Result<T, MalformedRequest> {
    Err(MalformedRequest { expected })
}

/// The module sends one.
const MAX_DESCRIPTORS: usize = 64;
/// A key has fewer parts.
const MAX_ENTRIES: usize = 64;
