// SPDX-License-Identifier: Apache-2.0
//! Files read one after another, so that any number of them takes bounded memory.

use std::path::Path;

use indicatif::ProgressBar;

use super::{Files, Recorded, Records, Unread};
use crate::redact::Redactor;

/// The records of neighbouring files, each opened when its turn comes.
pub struct Stream<'r> {
    files: Vec<(usize, &'r Path)>,
    records: Option<Records<'r>>,
    redactor: &'r Redactor,
    progress: &'r ProgressBar,
}

impl<'r> Stream<'r> {
    /// A stream for every file; where there are more than [`MAX_STREAMS`], for as many runs of neighbours.
    pub fn of(files: &'r Files, redactor: &'r Redactor, progress: &'r ProgressBar) -> Vec<Self> {
        let files: Vec<(usize, &Path)> = files.0.iter().map(|path| path.as_path()).enumerate().collect();
        let run = files.len().div_ceil(MAX_STREAMS).max(1);
        files.chunks(run).map(|files| Self { files: files.iter().rev().copied().collect(), records: None, redactor, progress }).collect()
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<Recorded, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.records.as_mut().and_then(Iterator::next) {
                return Some(next);
            }
            let (file, path) = self.files.pop()?;
            match Records::open(file, path, self.redactor, self.progress) {
                Ok(records) => self.records = Some(records),
                Err(unread) => {
                    self.records = None;
                    return Some(Err(unread));
                }
            }
        }
    }
}

/// How many files are open at once: each holds a window of records and a buffer.
const MAX_STREAMS: usize = 64;
