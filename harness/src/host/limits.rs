// SPDX-License-Identifier: Apache-2.0
//! What a module may use: memory, and work in one callback.

use std::fmt;

use wasmtime::ResourceLimiter;

/// What a module may use. The defaults are generous: beyond them something is wrong with the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory in each VM.
    pub memory: usize,
    /// Seconds of a callback. Checked once a second.
    pub callback_seconds: u64,
    /// Fuel of a callback, in a module compiled with [`Metering::Fuel`](super::Metering::Fuel).
    pub callback_fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 256 << 20, callback_seconds: 10, callback_fuel: 10_000_000_000 }
    }
}

/// Keeps a VM's memory within its limit: growth beyond it fails as in a host that has no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryLimit {
    pub(super) bytes: usize,
    /// Growth was refused at least once.
    pub(super) refused: bool,
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self { bytes: Limits::default().memory, refused: false }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.bytes;
        self.refused |= !granted;
        Ok(granted)
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        16
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} MiB of memory", self.bytes >> 20)
    }
}

/// Entries of a function table.
const MAX_TABLE: usize = 1 << 20;

// What a module may leave with the host. Envoy knows no such limits; no module that is fit for it comes near them.

/// Bytes of shared data.
pub(super) const MAX_SHARED: usize = 256 << 20;
/// Bytes of the filter state of one exchange.
pub(super) const MAX_LEFT: usize = 16 << 20;
/// Bytes of callouts that one callback asks for, of a body that is set, and of a line that is logged.
pub(super) const MAX_KEPT: usize = 64 << 20;
/// Callouts without a reply.
pub(super) const MAX_PENDING: usize = 1024;
/// What one callback may ask to be done to streams; the rest of it would change nothing.
pub(super) const MAX_ACTIONS: usize = 64;
/// Metrics of one kind.
pub(super) const MAX_METRICS: usize = 10_000;
/// Bytes of a metric's name.
pub(super) const MAX_METRIC_NAME: usize = 4096;
/// Lines of a header map that a plugin adds to.
pub(super) const MAX_LINES: usize = 100_000;
/// Bytes of a header map that a plugin adds to.
pub(super) const MAX_MAP: usize = 64 << 20;
