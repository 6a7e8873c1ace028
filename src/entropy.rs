// SPDX-License-Identifier: Apache-2.0
//! Randomness in blocks: one host call (about 0.5 µs in Envoy) serves many ids.

use std::fmt;

use crate::inputs::{Entropy, EntropyUnavailable};

/// A block of randomness, each byte of it given out once.
pub(crate) struct EntropyBlock {
    bytes: Vec<u8>,
    /// `used <= bytes.len()`; everything before it has been given out.
    used: usize,
}

impl EntropyBlock {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), used: 0 }
    }

    /// Draws `N` fresh bytes, at most [`BLOCK_SIZE`].
    ///
    /// # Errors
    ///
    /// [`EntropyUnavailable`] where a new block is needed and `source` has none, or gives only zeros.
    pub(crate) fn draw<const N: usize>(&mut self, source: &mut dyn Entropy) -> Result<[u8; N], EntropyUnavailable> {
        if let Some(drawn) = self.take() {
            return Ok(drawn);
        }
        let mut fresh = std::mem::take(&mut self.bytes);
        // A host may claim to have filled the block and not have: that must neither make old bytes new nor hand out zeros.
        fresh.clear();
        fresh.resize(BLOCK_SIZE, 0);
        let filled =
            source.fill(&mut fresh).and_then(|()| if fresh.iter().any(|byte| *byte != 0) { Ok(()) } else { Err(EntropyUnavailable) });
        self.bytes = fresh;
        // After a failure the block's bytes are unspecified: none of them may be given out.
        self.used = if filled.is_ok() { 0 } else { self.bytes.len() };
        filled?;
        self.take().ok_or(EntropyUnavailable)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let drawn = *self.bytes.get(self.used..)?.first_chunk::<N>()?;
        self.used = self.used.saturating_add(N);
        Some(drawn)
    }
}

impl fmt::Debug for EntropyBlock {
    /// Shows how much is left, never the bytes to come.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EntropyBlock({} bytes left)", self.bytes.len().saturating_sub(self.used))
    }
}

/// Bytes asked of the host at once. Hosts refuse more than 64 KiB.
const BLOCK_SIZE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_serves_many_draws_and_no_byte_twice() {
        let mut fills = 0_u8;
        let mut source = |bytes: &mut [u8]| {
            fills += 1;
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::try_from(index / 16).unwrap_or(u8::MAX);
            }
            Ok(())
        };
        let mut block = EntropyBlock::new();
        for expected in 0..=u8::MAX {
            assert_eq!(block.draw::<16>(&mut source), Ok([expected; 16]));
        }
        assert_eq!(block.draw::<16>(&mut source), Ok([0; 16]));
        assert_eq!(fills, 2);
    }

    #[test]
    fn after_a_failure_nothing_old_is_given_out() {
        let mut block = EntropyBlock::new();
        let mut broken = |bytes: &mut [u8]| {
            bytes.fill(7);
            Err(EntropyUnavailable)
        };
        assert_eq!(block.draw::<8>(&mut broken), Err(EntropyUnavailable));
        assert_eq!(block.draw::<8>(&mut broken), Err(EntropyUnavailable));
        let mut whole = |bytes: &mut [u8]| {
            bytes.fill(9);
            Ok(())
        };
        assert_eq!(block.draw::<8>(&mut whole), Ok([9; 8]));
    }

    #[test]
    fn a_source_that_fills_nothing_repeats_nothing() {
        let mut fills = 0;
        let mut lazy = |bytes: &mut [u8]| {
            fills += 1;
            if fills == 1 {
                bytes.fill(7);
            }
            Ok(())
        };
        let mut block = EntropyBlock::new();
        for _ in 0..BLOCK_SIZE / 16 {
            assert_eq!(block.draw::<16>(&mut lazy), Ok([7; 16]));
        }
        assert_eq!(block.draw::<16>(&mut lazy), Err(EntropyUnavailable));
        let mut mended = |bytes: &mut [u8]| {
            bytes.fill(8);
            Ok(())
        };
        assert_eq!(block.draw::<16>(&mut mended), Ok([8; 16]), "it asks again");
    }

    #[test]
    fn a_draw_larger_than_a_block_fails_rather_than_repeats() {
        let mut source = |_: &mut [u8]| Ok(());
        assert_eq!(EntropyBlock::new().draw::<5000>(&mut source), Err(EntropyUnavailable));
    }
}
