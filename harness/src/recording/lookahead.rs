// SPDX-License-Identifier: Apache-2.0
//! Bytes looked at before they are given out, and the line on which they stand.

use std::io::{self, ErrorKind, Read};

/// A stream that is read as far ahead as is asked for, and kept from where it was given out.
pub(super) struct Lookahead<R> {
    source: R,
    /// Bytes read; those before `start` were given out.
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
    /// Why there is no more to be read; said whenever it is asked for.
    failure: Option<io::Error>,
    line: u64,
}

impl<R: Read> Lookahead<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0, ended: false, failure: None, line: 1 }
    }

    /// The line of the next byte, from 1.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// Whether everything was given out.
    pub(super) fn is_empty(&self) -> bool {
        self.ended && self.start >= self.buffer.len()
    }

    /// What is read from `index` bytes ahead on, at least a byte; `None` at the end.
    pub(super) fn ahead(&mut self, index: usize) -> io::Result<Option<&[u8]>> {
        while self.start + index >= self.buffer.len() {
            match &self.failure {
                Some(error) => return Err(io::Error::new(error.kind(), error.to_string())),
                None if self.ended => return Ok(None),
                None => self.fill(),
            }
        }
        Ok(self.buffer.get(self.start + index..))
    }

    /// The next `length` bytes, of those that are read.
    pub(super) fn window(&self, length: usize) -> &[u8] {
        let end = (self.start + length).min(self.buffer.len());
        self.buffer.get(self.start..end).unwrap_or_default()
    }

    /// Gives out `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.window(length).to_vec();
        self.advance(length);
        taken
    }

    /// Goes on by `length` bytes that are read.
    pub(super) fn advance(&mut self, length: usize) {
        let passed = self.window(length);
        let (length, lines) = (passed.len(), passed.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>());
        self.line += lines;
        self.start += length;
    }

    fn fill(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK, 0);
        let read = self.source.read(self.buffer.get_mut(length..).unwrap_or_default());
        self.buffer.truncate(length + read.as_ref().map_or(0, |&read| read));
        match read {
            Ok(read) => self.ended = read == 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => self.failure = Some(error),
        }
    }
}

const CHUNK: usize = 1 << 16;
