// SPDX-License-Identifier: Apache-2.0
//! Where a row of CSV and its fields end, byte by byte (RFC 4180 section 2).

/// Splits one row whose bytes come piece by piece.
#[derive(Default)]
pub(super) struct Splitter {
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
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

impl Splitter {
    /// Looks at the next bytes, up to what it stops at; `None` where it needs more.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Option<Split> {
        for &byte in bytes {
            self.length += 1;
            match (self.state, byte) {
                (State::Begin, b'"') => self.state = State::Quoted,
                (State::Begin | State::Plain | State::Quote, b',') => self.end_field(),
                (State::Begin | State::Plain | State::Quote, b'\n') => {
                    if self.state != State::Quote && self.field.last() == Some(&b'\r') {
                        self.field.pop();
                    }
                    self.end_field();
                    return Some(Split::Row);
                }
                (State::Begin | State::Plain, _) => {
                    self.state = State::Plain;
                    self.field.push(byte);
                }
                (State::Quoted, b'"') => self.state = State::Quote,
                (State::Quoted, _) => {
                    if byte == b'\n' {
                        self.first_line_end.get_or_insert(self.length - 1);
                    }
                    self.field.push(byte);
                }
                (State::Quote, b'"') => {
                    self.state = State::Quoted;
                    self.field.push(byte);
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
    pub(super) fn fields(&self) -> &[Vec<u8>] {
        &self.fields
    }

    /// Gives out the fields.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.fields)
    }

    /// Where the row's first line ends, if it has several.
    pub(super) const fn first_line_end(&self) -> Option<usize> {
        self.first_line_end
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.state = State::Begin;
    }
}
