// SPDX-License-Identifier: Apache-2.0
//! The records of one file, in the order in which they stand.

use std::path::Path;

use indicatif::ProgressBar;

use super::frame::{Frame, FrameError, Frames};
use super::layout::{self, Record};
use super::lookahead::Lookahead;
use super::source::Source;
use super::{Place, Recorded, Unread};
use crate::redact::Redactor;

/// Reads one file's records.
pub struct Records<'r> {
    frames: Frames<Source>,
    file: usize,
    index: u64,
    redactor: &'r Redactor,
    /// Records of an envelope that was read whole, the next one last.
    unpacked: Vec<Frame>,
}

impl<'r> Records<'r> {
    /// Opens a recording. `progress` advances by the bytes read.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub fn open(file: usize, path: &Path, redactor: &'r Redactor, progress: &ProgressBar) -> Result<Self, Unread> {
        let source = Source::open(path, progress).map_err(|error| Unread { file, line: 0, message: error.to_string(), fatal: true })?;
        Ok(Self { frames: Frames::new(Lookahead::new(source)), file, index: 0, redactor, unpacked: Vec::new() })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Recorded, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.file;
        let unread = |line, message, fatal| Some(Err(Unread { file, line, message, fatal }));
        loop {
            let frame = match self.unpacked.pop() {
                Some(frame) => Ok(frame),
                None => self.frames.next()?,
            };
            let Frame { line, bytes } = match frame {
                Ok(frame) => frame,
                Err(FrameError::Malformed { line, message }) => return unread(line, message, false),
                Err(FrameError::Unclosed { line }) => {
                    return unread(line, "expected the end of the array that begins here, found the end of the file".to_owned(), true);
                }
                Err(FrameError::Unreadable { line, error }) => return unread(line, error.to_string(), true),
            };
            let place = Place { file, index: self.index, line };
            match layout::read(&bytes, place, self.redactor) {
                Ok(Record::Exchange(recorded)) => {
                    self.index += 1;
                    return Some(Ok(*recorded));
                }
                Ok(Record::Envelope(frames)) => self.unpacked.extend(frames.into_iter().rev()),
                Err(message) => return unread(line, message, false),
            }
        }
    }
}
