// SPDX-License-Identifier: Apache-2.0
//! The parts of what was read whole, each with its own line.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::columns::Columns;
use super::frame::Frame;

/// The elements of an array, not yet read; at most [`MAX_PARTS`], as each takes more memory than its text may.
pub(super) struct Parts<'a>(Vec<&'a RawValue>);

impl Parts<'_> {
    /// Each element as a frame. `text` is what they stand in, and `first_line` its line.
    pub(super) fn frames(&self, text: &[u8], first_line: u64, columns: Option<&Columns>) -> Vec<Frame> {
        let (mut line, mut counted) = (first_line, 0);
        let mut frame = |value: &RawValue| {
            let offset = value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
            let passed = text.get(counted..offset).unwrap_or_default();
            line += passed.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
            counted = offset;
            Frame { line, bytes: value.get().as_bytes().to_vec(), columns: columns.cloned() }
        };
        self.0.iter().map(|value| frame(value)).collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = array.next_element()? {
                    if elements.len() == MAX_PARTS {
                        let message = "elements where the array is not the first member, found more";
                        return Err(A::Error::custom(format_args!("expected at most {MAX_PARTS} {message}")));
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }
        deserializer.deserialize_seq(Elements).map(Parts)
    }
}

/// As many records as what is read whole can hold, if each has 160 bytes: none that says enough has less.
const MAX_PARTS: usize = 100_000;
