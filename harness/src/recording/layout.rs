// SPDX-License-Identifier: Apache-2.0
//! Which layout a record has, told by its fields: files may hold records of several.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::field::located;
use super::frame::Frame;
use super::{Place, Recorded, gateway_logs, native};
use crate::redact::Redactor;

/// What one JSON object of a stream holds.
pub(super) enum Record {
    /// An exchange.
    Exchange(Box<Recorded>),
    /// Others, as `{"records": […]}` whose first member is another.
    Envelope(Vec<Frame>),
}

/// Reads one record in whichever layout it has.
pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Record, String> {
    let layout: Layout<'_> = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    match layout {
        Layout { request: true, .. } => native::read(bytes, place, redactor).map(Record::exchange),
        Layout { properties: true, .. } => gateway_logs::read(bytes, place, redactor).map(Record::exchange),
        Layout { records: Some(records), .. } => Ok(Record::Envelope(unpack(bytes, records, place.line))),
        Layout { .. } => Err(
            "expected a GatewayLogs record (with `properties`), a native one (with `request`) or an envelope (with `records`), found none"
                .to_owned(),
        ),
    }
}

impl Record {
    fn exchange(recorded: Recorded) -> Self {
        Self::Exchange(Box::new(recorded))
    }
}

/// An envelope's records, each with the line on which it begins.
fn unpack(envelope: &[u8], records: Vec<&RawValue>, first_line: u64) -> Vec<Frame> {
    let mut lines = Lines { text: envelope, line: first_line, counted: 0 };
    records.into_iter().map(|record| Frame { line: lines.of(record), bytes: record.get().as_bytes().to_vec() }).collect()
}

/// Counts lines up to values that stand in a text, in their order.
struct Lines<'a> {
    text: &'a [u8],
    line: u64,
    counted: usize,
}

impl Lines<'_> {
    fn of(&mut self, value: &RawValue) -> u64 {
        let offset = value.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let passed = self.text.get(self.counted..offset).unwrap_or_default();
        self.line += passed.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        self.counted = offset;
        self.line
    }
}

/// Which of the fields that tell layouts apart a record has.
#[derive(Default)]
struct Layout<'a> {
    request: bool,
    properties: bool,
    records: Option<Vec<&'a RawValue>>,
}

impl<'de> Deserialize<'de> for Layout<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Layout<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Layout<'de>, A::Error> {
                let mut layout = Layout::default();
                while let Some(key) = map.next_key::<String>()? {
                    layout.request |= key == "request";
                    layout.properties |= key == "properties";
                    if key == "records" {
                        layout.records = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(layout)
            }
        }
        deserializer.deserialize_map(Names)
    }
}
