// SPDX-License-Identifier: Apache-2.0
//! What leaves of an exchange.

use super::Decided;
use crate::otlp::{Malformed, Request};
use crate::recording::{Durations, Recorded};

/// Reads the requests of an exchange that leave at once, one to each collector. Its spans last as long as was recorded.
///
/// # Errors
///
/// [`Malformed`]
pub(super) fn read(bodies: &[Vec<u8>], recorded: &Recorded, decided: &Decided) -> Result<Vec<Request>, Malformed> {
    let Durations { total, backend } = recorded.durations;
    let (total, backend) = match decided {
        Decided::Admitted { .. } => (total, backend),
        // What the edge refuses waits for no backend.
        Decided::Refused { .. } => (total.map(|total| total.saturating_sub(backend.unwrap_or_default())), None),
    };
    bodies.iter().map(|body| Request::read(body)?.lasting(total, backend)).collect()
}
