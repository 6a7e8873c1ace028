// SPDX-License-Identifier: Apache-2.0
//! The columns of a table in the result of a query, and what a row says in them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::field::{located, unlocated};
use super::fields::{Cell, Fields, known};

/// A table's columns, each by name where a layout knows it; every row has a share in them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Column>")]
pub(super) struct Columns(Arc<[Option<&'static str>]>);

#[derive(Deserialize)]
#[serde(expecting = "a column as a JSON object")]
struct Column {
    name: String,
}

impl From<Vec<Column>> for Columns {
    fn from(columns: Vec<Column>) -> Self {
        Self(columns.iter().map(|column| known(&column.name)).collect())
    }
}

impl Columns {
    /// Those of a table of which this is the text up to the `[` of its rows; `None` where they don't stand there.
    pub(super) fn before_rows(text: &[u8]) -> Result<Option<Self>, String> {
        #[derive(Deserialize)]
        struct Head {
            columns: Option<Columns>,
        }
        let head: Head = serde_json::from_slice(&[text, b"]}"].concat()).map_err(|error| message(&error))?;
        Ok(head.columns)
    }

    /// A row's fields by name, those that any layout knows.
    pub(super) fn fields<'a>(&self, row: &'a [u8]) -> Result<Fields<'a>, String> {
        if let Some(found) = row.first().filter(|&&first| first != b'[') {
            return Err(format!("expected {ROW}, found '{}'", found.escape_ascii()));
        }
        let cells: Vec<&RawValue> = serde_json::from_slice(row).map_err(|error| located(&error))?;
        if cells.len() != self.0.len() {
            return Err(format!("expected {} cells, as many as there are columns, found {}", self.0.len(), cells.len()));
        }
        let mut fields = Fields::default();
        for (name, cell) in self.0.iter().zip(cells) {
            if let Some(name) = *name {
                fields.add(name, Cell::Json(cell));
            }
        }
        Ok(fields)
    }
}

/// What is wrong with a table.
pub(super) fn message(error: &serde_json::Error) -> String {
    format!("tables: {}", unlocated(error))
}

/// What is expected of a row.
pub(super) const ROW: &str = "a row as an array";
