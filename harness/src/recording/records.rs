// SPDX-License-Identifier: Apache-2.0
//! The records of one file, in the order in which they stand.

use std::path::Path;
use std::vec;

use indicatif::ProgressBar;

use super::cut::Cuts;
use super::decode::decode;
use super::numbered::Numbered;
use super::{Recorded, Unread};
use crate::redact::Redactor;

/// Reads one file's records, one after another on the caller's thread.
pub struct Records<'r>(Numbered<Decoded<'r>>);

struct Decoded<'r> {
    cuts: Cuts,
    redactor: &'r Redactor,
    read: vec::IntoIter<Result<Box<Recorded>, Unread>>,
}

impl<'r> Records<'r> {
    /// Opens a recording. `progress` advances by the bytes read.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub fn open(file: usize, path: &Path, redactor: &'r Redactor, progress: &ProgressBar) -> Result<Self, Unread> {
        let cuts = Cuts::open(file, path, progress)?;
        Ok(Self(Numbered::new(Decoded { cuts, redactor, read: Vec::new().into_iter() })))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Box<Recorded>, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Iterator for Decoded<'_> {
    type Item = Result<Box<Recorded>, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.read.next() {
                return Some(next);
            }
            let mut read = Vec::new();
            decode(self.cuts.next()?, self.redactor, &mut read);
            self.read = read.into_iter();
        }
    }
}
