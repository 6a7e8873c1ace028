// SPDX-License-Identifier: Apache-2.0
//! The records of one file, in the order in which they stand.

use std::path::Path;

use indicatif::ProgressBar;

use super::csv::{self, Row, Rows};
use super::frame::{Frame, FrameError, Frames};
use super::layout::{self, Record};
use super::lookahead::Lookahead;
use super::source::Source;
use super::{Place, Recorded, Unread, flat};
use crate::redact::Redactor;

/// Reads one file's records.
pub struct Records<'r> {
    format: Format,
    file: usize,
    index: u64,
    redactor: &'r Redactor,
    /// Records of an envelope that was read whole, the next one last.
    unpacked: Vec<Frame>,
}

/// What a file is as a whole. What its records are, each of them tells.
enum Format {
    Json(Frames<Source>),
    Csv(Rows<Source>),
}

impl<'r> Records<'r> {
    /// Opens a recording. `progress` advances by the bytes read.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub fn open(file: usize, path: &Path, redactor: &'r Redactor, progress: &ProgressBar) -> Result<Self, Unread> {
        let unread = |error: std::io::Error| Unread { file, line: 0, message: error.to_string(), fatal: true };
        let mut bytes = Lookahead::new(Source::open(path, progress).map_err(unread)?);
        let format = if csv::is_csv(&mut bytes) { Format::Csv(Rows::new(bytes)) } else { Format::Json(Frames::new(bytes)) };
        Ok(Self { format, file, index: 0, redactor, unpacked: Vec::new() })
    }

    /// The next record; several where an envelope is unpacked.
    fn read(&mut self) -> Option<Result<Record, FrameError>> {
        let (file, index, redactor) = (self.file, self.index, self.redactor);
        let place = |line| Place { file, index, line };
        let frame = match (self.unpacked.pop(), &mut self.format) {
            (Some(frame), _) => Ok(frame),
            (None, Format::Json(frames)) => frames.next()?,
            (None, Format::Csv(rows)) => {
                return Some(rows.next()?.and_then(|row| {
                    let Row { line, size, .. } = row;
                    let recorded = rows.fields(&row).and_then(|fields| flat::read(&fields, place(line), size, redactor));
                    recorded.map(Record::exchange).map_err(|message| FrameError::Malformed { line, message })
                }));
            }
        };
        Some(frame.and_then(|frame| {
            let line = frame.line;
            layout::read(&frame, place(line), redactor).map_err(|message| FrameError::Malformed { line, message })
        }))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Recorded, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.file;
        let unread = |line, message, fatal| Some(Err(Unread { file, line, message, fatal }));
        loop {
            match self.read()? {
                Ok(Record::Exchange(recorded)) => {
                    self.index += 1;
                    return Some(Ok(*recorded));
                }
                Ok(Record::Envelope(frames)) => self.unpacked.extend(frames.into_iter().rev()),
                Err(FrameError::Malformed { line, message }) => return unread(line, message, false),
                Err(FrameError::Unusable { line, message }) => return unread(line, message, true),
                Err(FrameError::Unclosed { line }) => {
                    return unread(line, "expected the end of the array that begins here, found the end of the file".to_owned(), true);
                }
                Err(FrameError::Unreadable { line, error }) => return unread(line, error.to_string(), true),
            }
        }
    }
}
