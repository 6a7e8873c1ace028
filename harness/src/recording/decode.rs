// SPDX-License-Identifier: Apache-2.0
//! From a record's bytes to what it says.

use super::cut::{Cut, Piece};
use super::frame::Frame;
use super::layout::{self, Record};
use super::{Place, Recorded, Unread, flat};
use crate::redact::Redactor;

/// Reads a record, or several where an envelope was cut out whole, and appends what comes of it. Where it stands among the
/// file's records is not known here.
pub(super) fn decode(next: Result<Cut, Unread>, redactor: &Redactor, read: &mut Vec<Result<Box<Recorded>, Unread>>) {
    let Cut { file, piece } = match next {
        Ok(cut) => cut,
        Err(unread) => return read.push(Err(unread)),
    };
    let place = |line| Place { file, index: 0, line };
    let malformed = |line, message| Unread { file, line, message, fatal: false };
    let mut frames: Vec<Frame> = match piece {
        Piece::Json(frame) => vec![frame],
        Piece::Csv(row) => {
            let recorded = row.by_name().and_then(|fields| flat::read(&fields, place(row.line), row.size, redactor));
            return read.push(recorded.map(Box::new).map_err(|message| malformed(row.line, message)));
        }
    };
    // The next one last.
    while let Some(frame) = frames.pop() {
        let line = frame.line;
        match layout::read(&frame, place(line), redactor) {
            Ok(Record::Exchange(recorded)) => read.push(Ok(recorded)),
            Ok(Record::Envelope(unpacked)) => frames.extend(unpacked.into_iter().rev()),
            Err(message) => read.push(Err(malformed(line, message))),
        }
    }
}
