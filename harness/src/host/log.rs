// SPDX-License-Identifier: Apache-2.0
//! What a module logs.

/// The lines of one VM, the first [`MAX_LINES`] of them: a module that logs on and on fills no memory.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Vec<LogLine>,
    /// Bytes of all messages.
    size: usize,
}

impl Log {
    /// Keeps a line, unless there are too many.
    pub(super) fn push(&mut self, level: LogLevel, message: String) {
        if self.lines.len() < MAX_LINES && self.size < MAX_SIZE {
            self.size += message.len();
            self.lines.push(LogLine { level, message });
        }
    }

    pub(super) fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    pub(super) fn take(&mut self) -> Vec<LogLine> {
        self.size = 0;
        std::mem::take(&mut self.lines)
    }
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

const MAX_LINES: usize = 10_000;
const MAX_SIZE: usize = 64 << 20;
