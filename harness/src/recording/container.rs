// SPDX-License-Identifier: Apache-2.0
//! What the records of a stream stand in, told by the text that it begins with.

use super::columns::{Columns, ROW};

/// What is open around a record.
#[derive(Debug)]
pub(super) enum Container {
    /// `[…]`
    Array,
    /// `{"records": […]}` or `{"value": […]}`.
    Envelope,
    /// The result of a query, `{"tables": […]}`.
    Tables,
    /// A table in such a result, `{"columns": […], "rows": […]}`.
    Rows(Columns),
}

impl Container {
    /// Which one an object is that begins with this text, up to the first `[` of a member.
    pub(super) fn of(text: &[u8]) -> Option<Self> {
        let is = |name| before_array(text, name) == Some(b"{".as_slice());
        match () {
            () if is("records") || is("value") => Some(Self::Envelope),
            () if is("tables") => Some(Self::Tables),
            () => None,
        }
    }

    /// The columns of its elements, if they are rows.
    pub(super) fn columns(&self) -> Option<Columns> {
        match self {
            Self::Rows(columns) => Some(columns.clone()),
            Self::Array | Self::Envelope | Self::Tables => None,
        }
    }

    /// What is expected of an element.
    pub(super) const fn element(&self) -> &'static str {
        match self {
            Self::Array | Self::Envelope | Self::Tables => "a JSON object",
            Self::Rows(_) => ROW,
        }
    }
}

/// Whether the beginning of a table ends with that of its rows.
pub(super) fn begins_rows(text: &[u8]) -> bool {
    matches!(before_array(text, "rows"), Some([.., b'{' | b',']))
}

/// What stands before the member of this name, where an object's text ends with `"name": [`. Every byte but those of the
/// name is looked at for one `[` at most.
fn before_array<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let member = text.strip_suffix(b"[")?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    Some(member.strip_suffix(b"\"")?.strip_suffix(name.as_bytes())?.strip_suffix(b"\"")?.trim_ascii_end())
}
