// SPDX-License-Identifier: Apache-2.0
//! A cursor over wire bytes that never indexes and always knows where it stands.

/// Reads bytes front to back.
pub(crate) struct Reader<'a> {
    whole: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { whole: bytes.len(), rest: bytes }
    }

    /// How many bytes there are in all, read or not.
    pub(crate) const fn length(&self) -> usize {
        self.whole
    }

    /// How many bytes have been read.
    pub(crate) const fn offset(&self) -> usize {
        self.whole.saturating_sub(self.rest.len())
    }

    /// The next `N` bytes, or `None` (and nothing read) where fewer are left.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `length` bytes, or `None` (and nothing read) where fewer are left.
    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next byte, or `None` at the end.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| *byte)
    }
}
