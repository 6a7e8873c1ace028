// SPDX-License-Identifier: Apache-2.0
//! Time order. Exports are batched, so records stand out of order; a window of them is held back and sorted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;

use jiff::Timestamp;

use super::{Place, Recorded, Unread};

/// How many records of a file are held back, at most.
pub const WINDOW: usize = 10_000;
/// How many bytes of records of a file are held back, at most, but for the last of them.
const WINDOW_BYTES: usize = 48 << 20;
/// About what a header line takes besides its text.
const LINE_BYTES: usize = 128;
/// How many bytes of records of all files are held back, likewise.
const ALL_WINDOWS_BYTES: usize = 96 << 20;

/// The records of several files in time order, ties in file order. Unreadable records come as soon as they are met.
pub struct InOrder<I: Iterator<Item = Result<Box<Recorded>, Unread>>> {
    files: Vec<Peekable<Windowed<I>>>,
}

impl<I: Iterator<Item = Result<Box<Recorded>, Unread>>> InOrder<I> {
    /// Orders `files`, holding back `window` records of each.
    pub fn new(files: impl IntoIterator<Item = I>, window: usize) -> Self {
        let files: Vec<I> = files.into_iter().collect();
        let window_bytes = WINDOW_BYTES.min(ALL_WINDOWS_BYTES / files.len().max(1));
        let windowed = |file| Windowed { file, held: BinaryHeap::new(), held_bytes: 0, window, window_bytes, latest: None }.peekable();
        Self { files: files.into_iter().map(windowed).collect() }
    }
}

impl<I: Iterator<Item = Result<Box<Recorded>, Unread>>> Iterator for InOrder<I> {
    type Item = Result<Ordered, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(usize, Key)> = None;
        for (index, file) in self.files.iter_mut().enumerate() {
            match file.peek() {
                None => {}
                Some(Err(_)) => return file.next(),
                Some(Ok(ordered)) => {
                    let key = key(&ordered.recorded);
                    if first.as_ref().is_none_or(|(_, least)| key < *least) {
                        first = Some((index, key));
                    }
                }
            }
        }
        first.and_then(|(index, _)| self.files.get_mut(index)).and_then(Iterator::next)
    }
}

/// A record in its place in time.
#[derive(Debug)]
pub struct Ordered {
    /// The record.
    pub recorded: Box<Recorded>,
    /// It stood further out of order than the window, and comes where it stands.
    pub late: bool,
}

struct Windowed<I> {
    file: I,
    held: BinaryHeap<Reverse<Held>>,
    held_bytes: usize,
    window: usize,
    window_bytes: usize,
    latest: Option<Timestamp>,
}

impl<I: Iterator<Item = Result<Box<Recorded>, Unread>>> Iterator for Windowed<I> {
    type Item = Result<Ordered, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.held.len() < self.window.max(1) && self.held_bytes < self.window_bytes {
            match self.file.next() {
                Some(Ok(recorded)) => {
                    self.held_bytes += held_bytes(&recorded);
                    self.held.push(Reverse(Held { key: key(&recorded), recorded }));
                }
                Some(Err(unread)) => return Some(Err(unread)),
                None => break,
            }
        }
        let Reverse(Held { recorded, .. }) = self.held.pop()?;
        self.held_bytes -= held_bytes(&recorded);
        let late = self.latest.is_some_and(|latest| recorded.time < latest);
        self.latest = self.latest.max(Some(recorded.time));
        Some(Ok(Ordered { recorded, late }))
    }
}

/// About what a record takes in memory.
const fn held_bytes(recorded: &Recorded) -> usize {
    let lines = recorded.request.headers.len() + recorded.response.headers.len();
    recorded.size + size_of::<Recorded>() + lines * LINE_BYTES
}

/// A record, ordered by time and then by place.
struct Held {
    key: Key,
    recorded: Box<Recorded>,
}

type Key = (Timestamp, Place);

fn key(recorded: &Recorded) -> Key {
    (recorded.time, recorded.place)
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Held {}
