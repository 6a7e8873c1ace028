// SPDX-License-Identifier: Apache-2.0
//! Exchanges that wait to be told: whether the algorithms of two limits explain a difference shows once the window after it is over.
//!
//! What stands behind one waits with it, so that all keep their order. Where too many wait, the first is told by what has come so far.

use std::collections::VecDeque;

use super::limits::{Doubt, Limits};
use super::render::{Renderer, Shown};

/// Exchanges that wait, in their order.
#[derive(Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<(Shown, Option<Doubt>)>,
    bytes: usize,
}

impl Held {
    /// Counts an exchange under the policy's limits, and takes it.
    pub(super) fn push(&mut self, shown: Shown, limits: Option<&mut Limits>, renderer: &Renderer<'_>) {
        let doubt = limits.and_then(|limits| limits.count(&shown.replayed, renderer.redactor));
        self.bytes += size(&shown);
        self.queue.push_back((shown, doubt));
    }

    /// The next exchange of which all is known; or at the `end`, whatever is known.
    pub(super) fn next(&mut self, limits: Option<&mut Limits>, renderer: &Renderer<'_>, end: bool) -> Option<Shown> {
        let must = end || self.queue.len() > MAX_EXCHANGES || self.bytes > MAX_BYTES;
        let (_, doubt) = self.queue.front()?;
        let explained = match (doubt, limits) {
            (Some(doubt), Some(limits)) if must || limits.is_settled(doubt) => limits.explain(doubt),
            (Some(_), Some(_)) => return None,
            (None, _) | (_, None) => false,
        };
        let (mut shown, _) = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&shown));
        if explained {
            renderer.explain(&mut shown);
        }
        Some(shown)
    }
}

/// About what an exchange takes in memory.
fn size(shown: &Shown) -> usize {
    // Its headers are held as recorded and as decided.
    3 * shown.replayed.recorded.size + shown.text.len() + FIXED_BYTES
}

const FIXED_BYTES: usize = 1024;
/// How many exchanges wait, at most.
const MAX_EXCHANGES: usize = 100_000;
/// How many bytes of them, but for the last.
const MAX_BYTES: usize = 64 << 20;
