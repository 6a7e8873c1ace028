// SPDX-License-Identifier: Apache-2.0
//! Going behind what is no record.

use std::io::Read;

use super::frame::FrameError;
use super::lookahead::Lookahead;
use super::scanner::{Found, Scanner};

impl<R: Read> Lookahead<R> {
    /// Goes behind an object or row that is of no use, the beginning of which is scanned.
    pub(super) fn skip_rest(&mut self, mut scanner: Scanner) -> Result<(), FrameError> {
        self.advance(scanner.length());
        while let Some(ahead) = self.more(0)? {
            let (before, length) = (scanner.length(), ahead.len());
            let found = scanner.run(ahead);
            match found {
                None => self.advance(length),
                Some(Found::Array) => self.advance(scanner.length() - before),
                Some(Found::End) => {
                    self.advance(scanner.length() - before);
                    return Ok(());
                }
                Some(Found::Broken { .. }) => {
                    // Where it broke another record may begin.
                    self.advance((scanner.length() - before).saturating_sub(1));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Goes to the next line that begins with `{` or `[`, perhaps behind white space.
    pub(super) fn skip_to_next_record(&mut self) -> Result<(), FrameError> {
        while let Some(ahead) = self.more(0)? {
            let length = ahead.len();
            let line_end = ahead.iter().position(|&byte| byte == b'\n');
            self.advance(line_end.unwrap_or(length));
            if line_end.is_some() && matches!(self.skip_white_space()?, None | Some(b'{' | b'[')) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Goes behind an element of an array that is none: to the next `,` or `]` that is in no string and not within the
    /// element, or line.
    pub(super) fn skip_element(&mut self) -> Result<(), FrameError> {
        let (mut in_string, mut escaped, mut depth) = (false, false, 0_usize);
        // At least the one byte that could begin no record goes.
        let mut first = true;
        while let Some(byte) = self.byte(0)? {
            match byte {
                b'\n' => return Ok(()),
                b',' | b']' if !in_string && !first && depth == 0 => return Ok(()),
                b'[' | b'{' if !in_string => depth += 1,
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                b'"' if !escaped => in_string = !in_string,
                _ => {}
            }
            escaped = in_string && byte == b'\\' && !escaped;
            first = false;
            self.advance(1);
        }
        Ok(())
    }

    /// The next byte that is no white space (nor a byte order mark), unread.
    pub(super) fn skip_white_space(&mut self) -> Result<Option<u8>, FrameError> {
        loop {
            match self.byte(0)? {
                Some(byte) if byte.is_ascii_whitespace() => self.advance(1),
                Some(0xef) if self.byte(1)? == Some(0xbb) && self.byte(2)? == Some(0xbf) => self.advance(3),
                other => return Ok(other),
            }
        }
    }

    fn byte(&mut self, index: usize) -> Result<Option<u8>, FrameError> {
        Ok(self.more(index)?.and_then(|ahead| ahead.first().copied()))
    }

    /// What is read from `index` bytes ahead on; `None` at the end.
    pub(super) fn more(&mut self, index: usize) -> Result<Option<&[u8]>, FrameError> {
        let line = self.line();
        self.ahead(index).map_err(|error| FrameError::Unreadable { line, error })
    }
}
