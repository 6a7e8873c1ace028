// SPDX-License-Identifier: Apache-2.0
//! A file cut into records, none of them read yet.

use std::io::Error;
use std::path::Path;

use indicatif::ProgressBar;

use super::Unread;
use super::csv::{self, Row, Rows};
use super::frame::{Frame, FrameError, Frames};
use super::lookahead::Lookahead;
use super::source::Source;

/// A record's bytes, and what is known of them.
pub(super) struct Cut {
    /// The file, by its place among the arguments.
    pub(super) file: usize,
    pub(super) piece: Piece,
}

/// What a record was cut out as.
pub(super) enum Piece {
    Json(Frame),
    Csv(Row),
}

/// Cuts one file.
pub(super) struct Cuts {
    format: Format,
    file: usize,
}

/// What a file is as a whole. What its records are, each of them tells.
enum Format {
    Json(Frames<Source>),
    Csv(Rows<Source>),
}

impl Cut {
    /// About what it takes in memory.
    pub(super) fn size(&self) -> usize {
        match &self.piece {
            Piece::Json(frame) => frame.bytes.len(),
            Piece::Csv(row) => row.size,
        }
    }
}

impl Cuts {
    /// Opens a recording. `progress` advances by the bytes read.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub(super) fn open(file: usize, path: &Path, progress: &ProgressBar) -> Result<Self, Unread> {
        let unread = |error: Error| Unread { file, line: 0, message: error.to_string(), fatal: true };
        let mut bytes = Lookahead::new(Source::open(path, progress).map_err(unread)?);
        if let Ok(Some([0xff, 0xfe, ..] | [0xfe, 0xff, ..])) = bytes.ahead(0) {
            return Err(unread(Error::other("expected text in UTF-8, found UTF-16")));
        }
        let format = if csv::is_csv(&mut bytes) { Format::Csv(Rows::new(bytes)) } else { Format::Json(Frames::new(bytes)) };
        Ok(Self { format, file })
    }

    fn unread(&self, error: FrameError) -> Unread {
        let (line, message, fatal) = match error {
            FrameError::Malformed { line, message } => (line, message, false),
            FrameError::Unusable { line, message } => (line, message, true),
            FrameError::Unclosed { line } => {
                (line, "expected the end of the array that begins here, found the end of the file".to_owned(), true)
            }
            FrameError::Unreadable { line, error } => (line, error.to_string(), true),
        };
        Unread { file: self.file, line, message, fatal }
    }
}

impl Iterator for Cuts {
    type Item = Result<Cut, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = match &mut self.format {
            Format::Json(frames) => frames.next()?.map(Piece::Json),
            Format::Csv(rows) => rows.next()?.map(Piece::Csv),
        };
        let file = self.file;
        Some(piece.map(|piece| Cut { file, piece }).map_err(|error| self.unread(error)))
    }
}
