// SPDX-License-Identifier: Apache-2.0
//! Where a JSON object ends: brackets and strings, byte by byte, in bounded memory.

/// Looks for the end of an object whose bytes come piece by piece.
pub(super) struct Scanner {
    /// The brackets that are open, outermost first; those further in than [`MAX_DEPTH`] are only counted.
    open: Vec<u8>,
    deeper: usize,
    in_string: bool,
    escaped: bool,
    /// The last byte that is no white space.
    last: u8,
    /// The line so far is white space only.
    line_begins: bool,
    /// Where the last line that begins with `{` does so.
    again: Option<usize>,
    /// Whether the first `[` is told.
    tells_array: bool,
    length: usize,
}

/// What a scanner stops at.
pub(super) enum Found {
    /// The object's end.
    End,
    /// The first `[`.
    Array,
    /// What can't stand in a JSON object: what was expected, and after how many bytes of the object to go on.
    Broken { message: String, resume: usize },
}

impl Scanner {
    /// Begins with these brackets open already.
    pub(super) fn new(open: &[u8], tells_array: bool) -> Self {
        Self {
            open: open.to_vec(),
            deeper: 0,
            in_string: false,
            escaped: false,
            last: 0,
            line_begins: false,
            again: None,
            tells_array,
            length: 0,
        }
    }

    /// How many bytes have been looked at.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Where the last line that begins with `{` does so: another record, if this one turns out to be broken.
    pub(super) const fn again(&self) -> Option<usize> {
        self.again
    }

    /// Looks at the next bytes, up to what it stops at; `None` where it needs more.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Option<Found> {
        for &byte in bytes {
            self.length += 1;
            if self.in_string {
                match byte {
                    b'\n' => return Some(self.broken("expected the end of a string, found the end of the line", self.length - 1)),
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            if byte == b'{' && self.line_begins {
                if !matches!((self.last, self.open.last()), (b':', _) | (b'[' | b',', Some(b'['))) {
                    return Some(self.broken("expected the end of a JSON object, found the beginning of another", self.length - 1));
                }
                self.again = Some(self.length - 1);
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' if self.open.len() < MAX_DEPTH => self.open.push(byte),
                b'{' | b'[' => self.deeper += 1,
                b'}' | b']' if self.deeper > 0 => self.deeper -= 1,
                b'}' | b']' => {
                    let opener = if byte == b'}' { b'{' } else { b'[' };
                    if self.open.pop() != Some(opener) {
                        let message = format!("expected the end of a JSON array or object, found '{}'", char::from(byte));
                        return Some(self.broken(&message, self.length));
                    }
                    if self.open.is_empty() {
                        return Some(Found::End);
                    }
                }
                _ => {}
            }
            self.line_begins = byte == b'\n' || (self.line_begins && byte.is_ascii_whitespace());
            if !byte.is_ascii_whitespace() {
                self.last = byte;
            }
            if byte == b'[' && std::mem::take(&mut self.tells_array) {
                return Some(Found::Array);
            }
        }
        None
    }

    fn broken(&self, message: &str, resume: usize) -> Found {
        Found::Broken { message: message.to_owned(), resume: self.again.unwrap_or(resume) }
    }
}

/// Deeper than any reader goes.
const MAX_DEPTH: usize = 1024;
