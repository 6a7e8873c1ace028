// SPDX-License-Identifier: Apache-2.0
//! Where a JSON object or a row ends: brackets and strings, byte by byte, in bounded memory.

/// Looks for the end of an object, or of a row as an array, whose bytes come piece by piece.
pub(super) struct Scanner {
    /// The brackets that are open, outermost first; those further in than [`MAX_DEPTH`] are only counted.
    open: Vec<u8>,
    deeper: usize,
    in_string: bool,
    escaped: bool,
    /// The last byte that is no white space.
    last: u8,
    /// How far in the line is, while it is white space only.
    indent: Option<usize>,
    /// How far in a row's cells are, once one begins a line.
    cells: Option<usize>,
    /// Where the last line that begins with `{` does so.
    again: Option<usize>,
    /// Whether arrays are told.
    tells_arrays: bool,
    length: usize,
}

/// What a scanner stops at.
pub(super) enum Found {
    /// The end.
    End,
    /// The `[` of an array that is a member of the object itself.
    Array,
    /// What can't stand there in JSON: what was expected, and after how many bytes to go on.
    Broken { message: String, resume: usize },
}

impl Scanner {
    /// Begins with these brackets open already.
    pub(super) fn new(open: &[u8], tells_arrays: bool) -> Self {
        Self {
            open: open.to_vec(),
            deeper: 0,
            in_string: false,
            escaped: false,
            last: 0,
            indent: None,
            cells: None,
            again: None,
            tells_arrays,
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
        let mut rest = bytes;
        while let [byte, tail @ ..] = self.within_string(rest) {
            let byte = *byte;
            rest = tail;
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
            if byte == b'{' && self.indent.is_some() {
                if !matches!((self.last, self.open.last()), (b':', _) | (b'[' | b',', Some(b'['))) {
                    return Some(self.broken("expected the end of a JSON object, found the beginning of another", self.length - 1));
                }
                self.again = Some(self.length - 1);
            }
            if self.open == b"[" && !byte.is_ascii_whitespace() {
                if byte == b'[' && self.begins_row() {
                    return Some(self.broken("expected the end of a row, found the beginning of another", self.length - 1));
                }
                self.cells = self.cells.or(self.indent);
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
            if byte.is_ascii_whitespace() {
                self.indent = if byte == b'\n' { Some(0) } else { self.indent.map(|indent| indent + 1) };
            } else {
                self.indent = None;
                self.last = byte;
            }
            if byte == b'[' && self.tells_arrays && self.open == b"{[" {
                return Some(Found::Array);
            }
        }
        None
    }

    /// Goes to the next byte that means something; outside of strings all do.
    fn within_string<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.in_string || self.escaped {
            return bytes;
        }
        let passed = memchr::memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len());
        self.length += passed;
        bytes.get(passed..).unwrap_or_default()
    }

    /// Whether a `[` between a row's cells is no cell but the next row's, which begins a line less far in than cells do.
    fn begins_row(&self) -> bool {
        match (self.last, self.indent) {
            (b'[', _) | (b',', None) => false,
            (b',', Some(indent)) => self.cells.is_none_or(|cells| indent < cells),
            _ => true,
        }
    }

    fn broken(&self, message: &str, resume: usize) -> Found {
        Found::Broken { message: message.to_owned(), resume: self.again.unwrap_or(resume) }
    }
}

/// Deeper than any reader goes.
const MAX_DEPTH: usize = 1024;
