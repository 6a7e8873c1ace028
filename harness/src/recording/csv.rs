// SPDX-License-Identifier: Apache-2.0
//! Rows of CSV (RFC 4180) whose header names columns that some layout knows.
//!
//! A broken row is reported with its place; where quotes made it swallow lines, reading goes on at its second line. Memory
//! is bounded by [`MAX_RECORD`].

use std::io::Read;
use std::sync::Arc;

use super::fields::{Cell, Fields, known};
use super::flat;
use super::frame::{FrameError, MAX_RECORD};
use super::lookahead::Lookahead;
use super::splitter::{Split, Splitter, Texts};

/// One row.
pub(super) struct Row {
    /// The line on which it begins.
    pub(super) line: u64,
    /// How many bytes it has.
    pub(super) size: usize,
    fields: Texts,
    columns: Columns,
}

/// The columns, where a layout knows them; every row has a share in them.
type Columns = Arc<[Option<Column>]>;

/// A column that a layout knows.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    /// The portal's export says of times that they are UTC, and writes them in a way of its own.
    utc: bool,
}

impl Row {
    /// The fields by name, those that any layout knows.
    pub(super) fn by_name(&self) -> Result<Fields<'_>, String> {
        let mut fields = Fields::default();
        for (column, field) in self.columns.iter().zip(self.fields.iter()) {
            if let Some(Column { name, utc }) = *column {
                let text = std::str::from_utf8(field).map_err(|_| format!("{name}: expected text in UTF-8, found other bytes"))?;
                fields.add(name, if utc { Cell::PortalTime(text) } else { Cell::Text(text) });
            }
        }
        Ok(fields)
    }
}

/// Cuts a stream into rows.
pub(super) struct Rows<R> {
    bytes: Lookahead<R>,
    /// `None` before the header is read.
    columns: Option<Columns>,
    finished: bool,
}

/// Whether a stream begins with a header of which some layout knows a column.
pub(super) fn is_csv<R: Read>(bytes: &mut Lookahead<R>) -> bool {
    let mut splitter = Splitter::default();
    // What can't be read shows again when records are.
    while let Ok(Some(ahead)) = bytes.ahead(splitter.length()) {
        let split = splitter.run(ahead);
        if split.is_some() || splitter.length() > MAX_HEADER {
            break;
        }
    }
    let may_be_json = matches!(bytes.window(MAX_HEADER).trim_ascii_start(), [b'{' | b'[', ..]);
    !may_be_json && splitter.fields().iter().any(|name| column(name).is_some())
}

impl<R: Read> Rows<R> {
    pub(super) const fn new(bytes: Lookahead<R>) -> Self {
        Self { bytes, columns: None, finished: false }
    }

    fn next_row(&mut self) -> Result<Option<Row>, FrameError> {
        if self.columns.is_none() {
            self.read_header()?;
        }
        let expected = self.columns.as_ref().map_or(0, |columns| columns.len());
        match self.split()? {
            Some(row) if row.fields.len() != expected => {
                let message = format!("expected {expected} fields, as many as in the header, found {}", row.fields.len());
                Err(FrameError::Malformed { line: row.line, message })
            }
            row => Ok(row),
        }
    }

    fn read_header(&mut self) -> Result<(), FrameError> {
        let Some(header) = self.split()? else { return Ok(()) };
        let columns: Columns = header.fields.iter().map(column).collect();
        let unusable = |message| FrameError::Unusable { line: header.line, message };
        let mut fields = Fields::default();
        for Column { name, .. } in columns.iter().flatten() {
            if fields.has(name) {
                return Err(unusable(format!("expected the column {name} once, found it again")));
            }
            fields.add(name, Cell::Text(""));
        }
        if let Some(missing) = flat::required(&fields).iter().find(|names| !names.iter().any(|name| fields.has(name))) {
            return Err(unusable(format!("expected a column {}, found none", missing.join(" or "))));
        }
        self.columns = Some(columns);
        Ok(())
    }

    /// The next line, or lines where a quoted field has several; empty ones are left out.
    fn split(&mut self) -> Result<Option<Row>, FrameError> {
        let mut splitter = Splitter::default();
        loop {
            let (line, length) = (self.bytes.line(), splitter.length());
            let malformed = |message| FrameError::Malformed { line, message };
            let ahead = self.bytes.ahead(length).map_err(|error| FrameError::Unreadable { line, error })?;
            let split = match ahead {
                None if length == 0 => return Ok(None),
                None => splitter.end(),
                Some(_) if length > MAX_RECORD => {
                    self.skip(&splitter)?;
                    return Err(malformed(format!("expected a row of at most {} MiB, found more", MAX_RECORD >> 20)));
                }
                Some(ahead) => match splitter.run(ahead) {
                    Some(split) => split,
                    None => continue,
                },
            };
            match split {
                Split::Row => {
                    let (size, fields) = (splitter.length(), splitter.take());
                    self.bytes.advance(size);
                    if fields.iter().any(|field| !field.is_empty()) || fields.len() > 1 {
                        let columns = self.columns.clone().unwrap_or_default();
                        return Ok(Some(Row { line, size, fields, columns }));
                    }
                    splitter = Splitter::default();
                }
                Split::Broken(message) => {
                    let at = splitter.fields().len();
                    let column = self.columns.as_ref().and_then(|columns| *columns.get(at)?);
                    let name = column.map(|Column { name, .. }| format!(" ({name})")).unwrap_or_default();
                    self.skip(&splitter)?;
                    return Err(malformed(format!("column {}{name}: {message}", at + 1)));
                }
            }
        }
    }

    /// Goes behind a broken row: to its second line, or where it has none to the next line.
    fn skip(&mut self, splitter: &Splitter) -> Result<(), FrameError> {
        if let Some(line_end) = splitter.first_line_end() {
            self.bytes.advance(line_end + 1);
            return Ok(());
        }
        let line = self.bytes.line();
        loop {
            let Some(ahead) = self.bytes.ahead(0).map_err(|error| FrameError::Unreadable { line, error })? else { return Ok(()) };
            let length = ahead.len();
            let line_end = ahead.iter().position(|&byte| byte == b'\n');
            self.bytes.advance(line_end.map_or(length, |end| end + 1));
            if line_end.is_some() {
                return Ok(());
            }
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_row();
        self.finished |= matches!(next, Err(FrameError::Unreadable { .. } | FrameError::Unusable { .. })) || self.columns.is_none();
        next.transpose()
    }
}

/// The column that a header's field names.
fn column(name: &[u8]) -> Option<Column> {
    let name = std::str::from_utf8(name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name)).ok()?.trim();
    let time = name.strip_suffix(" [UTC]");
    known(time.unwrap_or(name)).map(|name| Column { name, utc: time.is_some() })
}

/// A header longer than this is none.
const MAX_HEADER: usize = 1 << 16;
