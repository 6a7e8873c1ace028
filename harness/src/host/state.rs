// SPDX-License-Identifier: Apache-2.0
//! What the host holds for one VM.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::{Memory, TypedFunc};

use super::headers::HeaderMap;

/// The world of one VM.
pub(super) struct State {
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    /// The plugin's configuration, while it is configured.
    pub(super) configuration: Vec<u8>,
    /// The context that host calls are about.
    pub(super) effective: u32,
    pub(super) streams: HashMap<u32, Stream>,
    /// Nanoseconds since 1970.
    pub(super) now: i64,
    pub(super) randomness: ChaCha8Rng,
    /// A metric's id is its place.
    pub(super) metrics: Vec<Metric>,
    pub(super) log: Vec<LogLine>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            memory: None,
            allocate: None,
            configuration: Vec::new(),
            effective: 0,
            streams: HashMap::new(),
            now: 0,
            randomness: ChaCha8Rng::seed_from_u64(seed),
            metrics: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Keeps a line; what is logged on and on is dropped after [`MAX_LOG_LINES`].
    pub(super) fn log(&mut self, level: LogLevel, message: String) {
        if self.log.len() < MAX_LOG_LINES {
            self.log.push(LogLine { level, message });
        }
    }
}

/// One exchange, as the host sees it.
pub(super) struct Stream {
    pub(super) request: HeaderMap,
    pub(super) local_response: Option<LocalResponse>,
}

/// A response that the plugin gave in the upstream's stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    /// The HTTP status.
    pub status: u32,
    /// The response code details, as in Envoy's access log.
    pub details: Vec<u8>,
    /// The headers that the plugin gave.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// A line that the module logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How grave it is.
    pub level: LogLevel,
    /// What it says.
    pub message: String,
}

/// `proxy_log_level_t`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// 0
    Trace,
    /// 1
    Debug,
    /// 2
    Info,
    /// 3
    Warn,
    /// 4
    Error,
    /// 5
    Critical,
}

impl LogLevel {
    pub(super) const fn from_abi(level: u32) -> Option<Self> {
        match level {
            0 => Some(Self::Trace),
            1 => Some(Self::Debug),
            2 => Some(Self::Info),
            3 => Some(Self::Warn),
            4 => Some(Self::Error),
            5 => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A metric of the plugin's.
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) kind: MetricKind,
    pub(super) value: u64,
}

/// `proxy_metric_type_t`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

const MAX_LOG_LINES: usize = 1000;
