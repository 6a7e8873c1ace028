// SPDX-License-Identifier: Apache-2.0
//! Which layout a record has, told by its fields: files may hold records of several.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::columns::Columns;
use super::field::{located, unlocated};
use super::fields::Fields;
use super::frame::Frame;
use super::parts::Parts;
use super::table;
use super::{Place, Recorded, flat, gateway_logs, native};
use crate::redact::Redactor;

/// What a frame of a stream holds.
pub(super) enum Record {
    /// An exchange.
    Exchange(Box<Recorded>),
    /// Others: an envelope whose first member is no array of records, or what is read whole of a query's result.
    Envelope(Vec<Frame>),
}

/// Reads one frame in whichever layout it has.
pub(super) fn read(frame: &Frame, place: Place, redactor: &Redactor) -> Result<Record, String> {
    let bytes = frame.bytes.as_slice();
    match &frame.columns {
        // An object tells its layout, wherever it stands.
        Some(columns) if !bytes.starts_with(b"{") => row(columns, bytes, place, redactor).map(Record::exchange),
        _ => object(bytes, place, redactor),
    }
}

fn row(columns: &Columns, bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let fields = columns.fields(bytes)?;
    if FLAT.iter().any(|name| fields.has(name)) { flat::read(&fields, place, bytes.len(), redactor) } else { Err(NEITHER.to_owned()) }
}

fn object(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Record, String> {
    if let Some(recorded) = gateway_logs::read_first(bytes, place, redactor) {
        return Ok(Record::exchange(recorded));
    }
    let layout: Layout<'_> = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    match layout {
        Layout { request: true, .. } => native::read(bytes, place, redactor).map(Record::exchange),
        Layout { properties: true, .. } => gateway_logs::read(bytes, place, redactor).map(Record::exchange),
        Layout { flat: true, .. } => {
            let fields: Fields<'_> = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
            flat::read(&fields, place, bytes.len(), redactor).map(Record::exchange)
        }
        Layout { tables: Some(tables), .. } => unpack(bytes, "tables", tables, place),
        Layout { records: Some(records), .. } => unpack(bytes, "records", records, place),
        Layout { table: true, .. } => table::rows(bytes, place.line).map(Record::Envelope),
        Layout { .. } => Err(NEITHER.to_owned()),
    }
}

impl Record {
    pub(super) fn exchange(recorded: Recorded) -> Self {
        Self::Exchange(Box::new(recorded))
    }
}

/// The elements of an array that stands in an object.
fn unpack(object: &[u8], name: &str, array: &RawValue, place: Place) -> Result<Record, String> {
    let parts: Parts<'_> = serde_json::from_str(array.get()).map_err(|error| format!("{name}: {}", unlocated(&error)))?;
    Ok(Record::Envelope(parts.frames(object, place.line, None)))
}

/// Which of the fields that tell layouts apart a record has.
#[derive(Default)]
struct Layout<'a> {
    request: bool,
    properties: bool,
    /// One of [`FLAT`].
    flat: bool,
    /// `records`, or `value` where it is an array; the first array where there are both.
    records: Option<&'a RawValue>,
    tables: Option<&'a RawValue>,
    /// What the `tables` of a query's result hold.
    table: bool,
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
                    match key.as_str() {
                        "tables" => layout.tables = Some(map.next_value()?),
                        "records" | "value" => {
                            let is_array = |value: &&RawValue| value.get().starts_with('[');
                            let found = Some(map.next_value()?).filter(|value| key == "records" || is_array(value));
                            layout.records = layout.records.filter(is_array).or(found);
                        }
                        name => {
                            layout.request |= name == "request";
                            layout.properties |= name == "properties";
                            layout.table |= name == "columns" || name == "rows";
                            layout.flat |= FLAT.contains(&name);
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(layout)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// Fields of which every flat layout has one.
const FLAT: &[&str] = &["TimeGenerated", "timestamp", "Url", "url", "Method", "method"];

const NEITHER: &str = "expected a record with one of `properties`, `TimeGenerated`, `timestamp`, `request`, or an envelope with one of \
    `records`, `value`, `tables`, found none of them";
