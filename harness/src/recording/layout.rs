// SPDX-License-Identifier: Apache-2.0
//! Which layout a record has, told by its fields: files may hold records of several.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::field::{located, unlocated};
use super::fields::{Fields, known};
use super::frame::{Frame, FrameError};
use super::{Place, Recorded, flat, gateway_logs, native};
use crate::redact::Redactor;

/// What one JSON object of a stream holds.
pub(super) enum Record {
    /// An exchange.
    Exchange(Box<Recorded>),
    /// Others: an envelope whose first member is no array of records, or the result of a query.
    Envelope(Vec<Result<Frame, FrameError>>),
}

/// Reads one record in whichever layout it has.
pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Record, String> {
    let layout: Layout<'_> = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    match layout {
        Layout { request: true, .. } => native::read(bytes, place, redactor).map(Record::exchange),
        Layout { properties: true, .. } => gateway_logs::read(bytes, place, redactor).map(Record::exchange),
        Layout { flat: true, .. } => {
            let fields: Fields<'_> = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
            flat::read(&fields, place, bytes.len(), redactor).map(Record::exchange)
        }
        Layout { tables: Some(tables), .. } => tables_of(bytes, tables, place.line).map(Record::Envelope),
        Layout { records: Some(records), .. } => unpack(bytes, records, place.line).map(Record::Envelope),
        Layout { .. } => Err(NEITHER.to_owned()),
    }
}

impl Record {
    pub(super) fn exchange(recorded: Recorded) -> Self {
        Self::Exchange(Box::new(recorded))
    }
}

/// An envelope's records, each with the line on which it begins.
fn unpack(envelope: &[u8], records: &RawValue, first_line: u64) -> Result<Vec<Result<Frame, FrameError>>, String> {
    let records: Vec<&RawValue> = serde_json::from_str(records.get()).map_err(|error| format!("records: {}", unlocated(&error)))?;
    let mut lines = Lines { text: envelope, line: first_line, counted: 0 };
    Ok(records.into_iter().map(|record| Ok(Frame { line: lines.of(record), bytes: record.get().as_bytes().to_vec() })).collect())
}

/// A table in the result of a query.
#[derive(Deserialize)]
struct Table<'a> {
    columns: Vec<Column>,
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

/// The rows of a query's result, each as an object, with the line on which it begins.
fn tables_of(result: &[u8], tables: &RawValue, first_line: u64) -> Result<Vec<Result<Frame, FrameError>>, String> {
    let tables: Vec<Table<'_>> = serde_json::from_str(tables.get()).map_err(|error| format!("tables: {}", unlocated(&error)))?;
    let mut lines = Lines { text: result, line: first_line, counted: 0 };
    let mut rows = Vec::new();
    for Table { columns, rows: found } in &tables {
        for row in found {
            let line = lines.of(row);
            rows.push(match serde_json::from_str::<Vec<&RawValue>>(row.get()) {
                Ok(cells) if cells.len() == columns.len() => Ok(Frame { line, bytes: object(columns, &cells) }),
                Ok(cells) => {
                    let message = format!("expected {} cells, as many as there are columns, found {}", columns.len(), cells.len());
                    Err(FrameError::Malformed { line, message })
                }
                Err(_) => Err(FrameError::Malformed { line, message: "expected a row as an array, found another value".to_owned() }),
            });
        }
    }
    Ok(rows)
}

/// A row as a JSON object of the columns that any layout knows.
fn object(columns: &[Column], cells: &[&RawValue]) -> Vec<u8> {
    let fields = columns.iter().zip(cells).filter_map(|(column, cell)| Some(format!("\"{}\":{}", known(&column.name)?, cell.get())));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(",")).into_bytes()
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
    /// One of those that every flat layout has.
    flat: bool,
    /// `records`, or `value` where it is an array; the first array where there are both.
    records: Option<&'a RawValue>,
    tables: Option<&'a RawValue>,
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
                            layout.flat |= matches!(name, "TimeGenerated" | "timestamp" | "Url" | "url" | "Method" | "method");
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

const NEITHER: &str = "expected a record with one of `properties`, `TimeGenerated`, `timestamp`, `request`, or an envelope with one of \
    `records`, `value`, `tables`, found neither";
