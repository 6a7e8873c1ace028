// SPDX-License-Identifier: Apache-2.0
//! Attributes, as OTLP has them: `opentelemetry.proto.common.v1.KeyValue`.

use std::borrow::Cow;

use crate::protobuf::{put_bytes, put_integer, put_length, size_of_bytes, size_of_integer};

/// An attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Cut after [`MAX_TEXT`] bytes.
    Text(&'a str),
    /// The same of what somebody sent; what is no UTF-8 is replaced.
    Bytes(&'a [u8]),
    Integer(u64),
}

impl<'a> Value<'a> {
    /// As text.
    pub(crate) fn to_text(self) -> Cow<'a, str> {
        let text = match self {
            Self::Text(text) => Cow::Borrowed(text),
            // Nearly always it is UTF-8, which is found out far quicker than what of it isn't.
            Self::Bytes(bytes) => std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed),
            Self::Integer(value) => return value.to_string().into(),
        };
        if text.len() <= MAX_TEXT {
            return text;
        }
        text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default().to_owned().into()
    }
}

/// Writes an attribute as field `number` of what has it: 9 of a span, 1 of a resource, 3 of an event.
pub(crate) fn put_attribute(message: &mut Vec<u8>, number: u8, key: &str, value: Value<'_>) {
    match value {
        Value::Text(_) | Value::Bytes(_) => put_text_attribute(message, number, key, &value.to_text()),
        Value::Integer(value) => {
            const INT_VALUE: u8 = 3;
            let size = size_of_integer(value);
            put_length(message, number, size_of_bytes(key.len()).saturating_add(size_of_bytes(size)));
            put_bytes(message, 1, key.as_bytes());
            put_length(message, 2, size);
            put_integer(message, INT_VALUE, value);
        }
    }
}

fn put_text_attribute(message: &mut Vec<u8>, number: u8, key: &str, text: &str) {
    const STRING_VALUE: u8 = 1;
    let size = size_of_bytes(text.len());
    let pair = size_of_bytes(key.len()).saturating_add(size_of_bytes(size));
    message.reserve(size_of_bytes(pair));
    put_length(message, number, pair);
    put_bytes(message, 1, key.as_bytes());
    put_length(message, 2, size);
    put_bytes(message, STRING_VALUE, text.as_bytes());
}

/// Bytes of the longest text that is told.
pub(crate) const MAX_TEXT: usize = 1024;
