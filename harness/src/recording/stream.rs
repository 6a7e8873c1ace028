// SPDX-License-Identifier: Apache-2.0
//! All files of a replay, read and decoded ahead of whoever takes the records.

use std::io;
use std::path::Path;
use std::thread::{Scope, available_parallelism};

use indicatif::ProgressBar;
use jiff::Timestamp;

use super::cut::{Cut, Cuts};
use super::decode::decode;
use super::numbered::Numbered;
use super::order::{InOrder, WINDOW};
use super::{Files, Ordered, Recorded, Records, Unread};
use crate::parallel;
use crate::redact::Redactor;

/// The records of all files in time order, read and decoded in threads of `scope`. What can't be read comes as soon as it is
/// met.
///
/// # Errors
///
/// When there is no thread to be had.
pub fn in_order<'scope>(
    scope: &'scope Scope<'scope, '_>,
    files: &'scope Files,
    redactor: &'scope Redactor,
    progress: &'scope ProgressBar,
) -> io::Result<impl Iterator<Item = Result<Ordered, Unread>> + Send + 'scope> {
    let streams = streams(files, progress);
    let decoders = if streams.len() > 1 { 1 } else { available_parallelism().map_or(1, usize::from).saturating_sub(1).min(MAX_DECODERS) };
    let size = |next: &Result<Cut, Unread>| next.as_ref().map_or(0, Cut::size);
    let decode = move |next, read: &mut Vec<Result<Box<Recorded>, Unread>>| decode(next, redactor, read);
    let streams: Vec<_> = streams
        .into_iter()
        .map(|stream| parallel::spread(scope, ["cut", "decode"], decoders, stream, size, decode).map(Numbered::new))
        .collect::<io::Result<_>>()?;
    Ok(InOrder::new(streams, WINDOW))
}

/// A stream for every file; where there are more than [`MAX_STREAMS`], for as many runs of neighbours in time.
fn streams<'r>(files: &'r Files, progress: &'r ProgressBar) -> Vec<Stream<'r>> {
    let mut files: Vec<(usize, &Path)> = files.0.iter().map(|path| path.as_path()).enumerate().collect();
    if files.len() > MAX_STREAMS {
        files.sort_by_cached_key(|&(file, path)| (first_time(path), file));
    }
    let run = files.len().div_ceil(MAX_STREAMS).max(1);
    files.chunks(run).map(|files| Stream { files: files.iter().rev().copied().collect(), cuts: None, progress }).collect()
}

/// The time of a file's first record, if one of its first can be read; only of what can be read twice.
fn first_time(path: &Path) -> Option<Timestamp> {
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let (redactor, progress) = (Redactor::new(0), ProgressBar::hidden());
    let records = if is_file { Records::open(0, path, &redactor, &progress).ok()? } else { return None };
    records.take(FIRST).find_map(Result::ok).map(|recorded| recorded.time)
}

/// The records of neighbouring files, each opened when its turn comes.
struct Stream<'r> {
    files: Vec<(usize, &'r Path)>,
    cuts: Option<Cuts>,
    progress: &'r ProgressBar,
}

impl Iterator for Stream<'_> {
    type Item = Result<Cut, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(next) = self.cuts.as_mut().and_then(Iterator::next) {
                return Some(next);
            }
            let (file, path) = self.files.pop()?;
            match Cuts::open(file, path, self.progress) {
                Ok(cuts) => self.cuts = Some(cuts),
                Err(unread) => {
                    self.cuts = None;
                    return Some(Err(unread));
                }
            }
        }
    }
}

/// How many records are looked at for a first time.
const FIRST: usize = 10;
/// How many files are open at once: each holds a window of records and a buffer.
const MAX_STREAMS: usize = 64;
/// More wouldn't be waited for: deciding takes more than a third of decoding.
const MAX_DECODERS: usize = 3;
