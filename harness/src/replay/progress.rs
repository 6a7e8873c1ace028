// SPDX-License-Identifier: Apache-2.0
//! How far a replay is, for people who wait.

use std::fs;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::recording::Files;

/// A bar by bytes read, with the rate and the time left, drawn once the wait is worth one.
#[derive(Debug)]
pub struct Progress {
    /// The bar, which is hidden at first.
    pub bar: ProgressBar,
    begun: Instant,
    /// Whether it is still to be drawn.
    waits: bool,
}

impl Progress {
    /// A bar for the reading of `files`; it stays hidden unless it is `wanted`.
    #[must_use]
    pub fn over(files: &Files, wanted: bool) -> Self {
        let bytes = files.0.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum();
        let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, begun: Instant::now(), waits: wanted }
    }

    /// So many bytes more are read.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.bar.inc(bytes.try_into().unwrap_or(u64::MAX));
        self.reveal();
    }

    /// Draws the bar from now on, if it is time.
    pub(super) fn reveal(&mut self) {
        if self.waits && self.begun.elapsed() > PATIENCE {
            self.waits = false;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// What is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
