// SPDX-License-Identifier: Apache-2.0
//! What the world lends the core for one step: the time and randomness. The core has neither of its own.

use std::fmt;

/// The world, for the time of one step.
pub struct Inputs<'a> {
    /// Wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds smeared or repeated as the host does. May
    /// jump either way.
    pub now: i64,
    /// Monotonic time in nanoseconds from an origin of the host's choice, for deadlines, leases and durations.
    pub monotonic: u64,
    /// The host's randomness.
    pub entropy: &'a mut dyn Entropy,
}

impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inputs").field("now", &self.now).field("monotonic", &self.monotonic).finish_non_exhaustive()
    }
}

/// A source of unpredictable bytes.
pub trait Entropy {
    /// Fills the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// [`EntropyUnavailable`] where the source has none; `bytes` is unspecified then.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

impl<F: FnMut(&mut [u8]) -> Result<(), EntropyUnavailable>> Entropy for F {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        self(bytes)
    }
}

/// The host gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyUnavailable;

impl fmt::Display for EntropyUnavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the host gave no randomness")
    }
}

impl std::error::Error for EntropyUnavailable {}
