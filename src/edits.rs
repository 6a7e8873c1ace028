// SPDX-License-Identifier: Apache-2.0
//! Stage: the header changes of one step, collected in one place.
//!
//! A mutation costs 0.05 to 0.2 µs in Envoy and a copy of the value, so stages record only what changes something.

use std::borrow::Cow;

/// Header changes, to be made in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits(Vec<HeaderEdit>);

impl HeaderEdits {
    /// No change.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Makes `name` (lower case) one line with `value`, whatever there was.
    pub(crate) fn replace(&mut self, name: impl Into<Cow<'static, str>>, value: Vec<u8>) {
        self.0.push(HeaderEdit::Replace { name: name.into(), value });
    }

    /// Deletes every line called `name` (lower case).
    pub(crate) fn remove(&mut self, name: impl Into<Cow<'static, str>>) {
        self.0.push(HeaderEdit::Remove { name: name.into() });
    }

    /// The changes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &HeaderEdit> {
        self.0.iter()
    }

    /// How many changes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One header change. Names are lower case; values hold no CR, LF or NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit {
    /// All lines of this name become one with this value.
    Replace {
        /// The field name.
        name: Cow<'static, str>,
        /// The one value.
        value: Vec<u8>,
    },
    /// All lines of this name go.
    Remove {
        /// The field name.
        name: Cow<'static, str>,
    },
}
