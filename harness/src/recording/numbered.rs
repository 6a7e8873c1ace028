// SPDX-License-Identifier: Apache-2.0
//! Where each record stands among those of its file that can be read.

use super::{Recorded, Unread};

/// Counts the records of each file, of files that come one after another.
pub(super) struct Numbered<I> {
    records: I,
    file: usize,
    next: u64,
}

impl<I> Numbered<I> {
    pub(super) const fn new(records: I) -> Self {
        Self { records, file: 0, next: 0 }
    }
}

impl<I: Iterator<Item = Result<Box<Recorded>, Unread>>> Iterator for Numbered<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<Self::Item> {
        let mut next = self.records.next()?;
        if let Ok(recorded) = &mut next {
            let place = &mut recorded.place;
            if place.file != self.file {
                (self.file, self.next) = (place.file, 0);
            }
            place.index = self.next;
            self.next += 1;
        }
        Some(next)
    }
}
