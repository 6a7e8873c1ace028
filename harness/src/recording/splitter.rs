// SPDX-License-Identifier: Apache-2.0
//! Where a row of CSV and its fields end, byte by byte (RFC 4180 section 2).

use memchr::memchr2;

/// The fields of a row, without what quotes them.
#[derive(Default)]
pub(super) struct Texts {
    /// One after another.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Splits one row whose bytes come piece by piece.
#[derive(Default)]
pub(super) struct Splitter {
    /// Those that have ended, and what there is of the next.
    texts: Texts,
    state: State,
    length: usize,
    first_line_end: Option<usize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing of the field yet.
    #[default]
    Begin,
    /// Within a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote: the closing one, or the first of two that stand for one.
    Quote,
}

/// What a splitter stops at.
pub(super) enum Split {
    /// The row's end.
    Row,
    /// What can't stand in a row.
    Broken(&'static str),
}

impl Texts {
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| self.bytes.get(start..end).unwrap_or_default())
    }
}

impl Splitter {
    /// Looks at the next bytes, up to what it stops at; `None` where it needs more.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Option<Split> {
        let mut rest = bytes;
        while let [byte, tail @ ..] = self.within_field(rest) {
            let byte = *byte;
            rest = tail;
            self.length += 1;
            match (self.state, byte) {
                (State::Begin, b'"') => self.state = State::Quoted,
                (State::Begin | State::Plain | State::Quote, b',') => self.end_field(),
                (State::Begin | State::Plain | State::Quote, b'\n') => {
                    if self.state == State::Plain && self.texts.bytes.last() == Some(&b'\r') {
                        self.texts.bytes.pop();
                    }
                    self.end_field();
                    return Some(Split::Row);
                }
                (State::Begin | State::Plain, _) => {
                    self.state = State::Plain;
                    self.texts.bytes.push(byte);
                }
                (State::Quoted, b'"') => self.state = State::Quote,
                (State::Quoted, _) => {
                    if byte == b'\n' {
                        self.first_line_end.get_or_insert(self.length - 1);
                    }
                    self.texts.bytes.push(byte);
                }
                (State::Quote, b'"') => {
                    self.state = State::Quoted;
                    self.texts.bytes.push(byte);
                }
                (State::Quote, b'\r') => {}
                (State::Quote, _) => return Some(Split::Broken("expected ',' or the end of the line behind a closing quote, found more")),
            }
        }
        None
    }

    /// The file ends here.
    pub(super) fn end(&mut self) -> Split {
        if self.state == State::Quoted {
            return Split::Broken("expected a closing quote, found the end of the file");
        }
        self.end_field();
        Split::Row
    }

    /// How many bytes have been looked at.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// The fields that have ended.
    pub(super) const fn fields(&self) -> &Texts {
        &self.texts
    }

    /// Gives out the fields.
    pub(super) fn take(&mut self) -> Texts {
        std::mem::take(&mut self.texts)
    }

    /// Where the row's first line ends, if it has several.
    pub(super) const fn first_line_end(&self) -> Option<usize> {
        self.first_line_end
    }

    fn end_field(&mut self) {
        self.texts.ends.push(self.texts.bytes.len());
        self.state = State::Begin;
    }

    /// Takes what belongs to a field whatever follows; the rest.
    fn within_field<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let passed = match self.state {
            State::Plain => memchr2(b',', b'\n', bytes).unwrap_or(bytes.len()),
            State::Quoted => memchr2(b'"', b'\n', bytes).unwrap_or(bytes.len()),
            State::Begin | State::Quote => 0,
        };
        let (field, rest) = bytes.split_at_checked(passed).unwrap_or((bytes, &[]));
        self.texts.bytes.extend_from_slice(field);
        self.length += passed;
        rest
    }
}
