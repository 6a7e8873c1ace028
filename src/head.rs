// SPDX-License-Identifier: Apache-2.0
//! The head of a request, as the gateway received it: pairs of bytes.
//!
//! Header values are bytes, never text: RFC 9110 section 5.5 admits `obs-text` (0x80 and above) and attackers send it.

use std::fmt;

/// One header line: a name and a value, as received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The field name. Hosts hand it over in lower case; lookups don't rely on that.
    pub name: &'a [u8],
    /// The field value without the optional white space around it.
    pub value: &'a [u8],
}

impl fmt::Debug for Header<'_> {
    /// Shows the name only: a value may be a credential.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ({} bytes)", self.name.escape_ascii(), self.value.len())
    }
}

/// Every header line of a head, pseudo-headers included, in the order received and with repeated lines kept apart.
///
/// A repeated line is often an attack (a smuggled second `traceparent`), so there is no "the value of": a reader says
/// what it does with several.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a>(&'a [Header<'a>]);

impl<'a> Headers<'a> {
    /// Lends the lines of one head.
    #[must_use]
    pub const fn new(lines: &'a [Header<'a>]) -> Self {
        Self(lines)
    }

    /// All lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + Clone + use<'a> {
        self.0.iter().copied()
    }

    /// The values of every line called `name` (lower case), in order.
    pub fn values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.0.iter().filter(move |line| is_called(line.name, name.as_bytes())).map(|line| line.value)
    }
}

/// A request head with the parts that routing reads.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// `:method`, never empty.
    pub method: &'a [u8],
    /// `:authority`, empty where the host gave none.
    pub authority: &'a [u8],
    /// `:path` with its query, empty where the host gave none (as for CONNECT).
    pub path: &'a [u8],
    /// All lines.
    pub headers: Headers<'a>,
}

impl<'a> RequestHead<'a> {
    /// Reads a head.
    ///
    /// # Errors
    ///
    /// [`UnreadableHead`] for a map without a `:method`. A host that can't hand a map over, because it is above a limit of
    /// its own or for lack of memory, may hand over an *empty* one; such a map says nothing about the request, least of
    /// all that it carried no credentials.
    pub fn read(headers: Headers<'a>) -> Result<Self, UnreadableHead> {
        let mut head = Self { method: b"", authority: b"", path: b"", headers };
        for Header { name, value } in headers.iter() {
            match name {
                b":method" => head.method = value,
                b":authority" => head.authority = value,
                b":path" => head.path = value,
                _ => {}
            }
        }
        if head.method.is_empty() { Err(UnreadableHead) } else { Ok(head) }
    }
}

/// A header map that can't be a request: empty, or without `:method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableHead;

impl fmt::Display for UnreadableHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a header map with `:method`, found none")
    }
}

impl std::error::Error for UnreadableHead {}

/// Whether a field is called `name`, which is in lower case, as its own nearly always is. Of other names most differ in their length or in their last
/// letter.
#[inline]
pub(crate) fn is_called(field: &[u8], name: &[u8]) -> bool {
    let may_be = field.len() == name.len() && field.last().map(u8::to_ascii_lowercase).as_ref() == name.last();
    may_be && (field == name || field.eq_ignore_ascii_case(name))
}

/// Whether some reader could take one field name for the other, as those do that know fields as variables: only letters, digits and their places count.
pub(crate) fn is_alike(own: &[u8], other: &[u8]) -> bool {
    let alike = |(own, other): (&u8, &u8)| match (own.is_ascii_alphanumeric(), other.is_ascii_alphanumeric()) {
        (true, true) => own.eq_ignore_ascii_case(other),
        (own, other) => own == other,
    };
    own.len() == other.len() && own.iter().zip(other).all(alike)
}

/// A field's value, or part of one, without the optional white space around it (RFC 9110 section 5.6.3).
pub(crate) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_ows(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_ows(*last)
    {
        text = rest;
    }
    text
}

/// Whether a byte is optional white space.
pub(crate) const fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn line(name: &'static [u8], value: &'static [u8]) -> Header<'static> {
        Header { name, value }
    }

    #[test]
    fn a_map_without_a_method_is_no_request() {
        assert_eq!(RequestHead::read(Headers::default()).unwrap_err(), UnreadableHead);
        let lines = [line(b":path", b"/"), line(b"accept", b"*/*")];
        assert_eq!(RequestHead::read(Headers::new(&lines)).unwrap_err(), UnreadableHead);
        let lines = [line(b":method", b"")];
        assert_eq!(RequestHead::read(Headers::new(&lines)).unwrap_err(), UnreadableHead);
    }

    #[test]
    fn repeated_lines_stay_apart_and_in_order() {
        let lines = [line(b":method", b"GET"), line(b"a", b"1"), line(b"b", b"x"), line(b"A", b"\xff")];
        let head = RequestHead::read(Headers::new(&lines)).unwrap();
        assert_eq!(head.headers.values("a").collect::<Vec<_>>(), [&b"1"[..], b"\xff"]);
    }

    #[test]
    fn debug_output_holds_no_value() {
        let shown = format!("{:?}", Headers::new(&[line(b"authorization", b"Bearer s3cret")]));
        assert_eq!(shown, "Headers([authorization: (13 bytes)])");
    }
}
