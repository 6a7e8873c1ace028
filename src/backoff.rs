// SPDX-License-Identifier: Apache-2.0
//! How long to wait before what has failed is tried again.

use crate::inputs::Entropy;

/// How long to wait after so many failures in a row, in nanoseconds: from half a second, twice as long each time, up to half a minute; and as much
/// again at most, by chance, lest all gateways come back at once.
pub(crate) fn backoff(failures: u32, entropy: &mut dyn Entropy) -> u64 {
    const LEAST: u64 = 500_000_000;
    const MOST: u64 = 30_000_000_000;
    let base = LEAST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(MOST);
    let mut drawn = [0xff; 2];
    // Without randomness it waits for as long as it can.
    if entropy.fill(&mut drawn).is_err() {
        drawn = [0xff; 2];
    }
    let share = base.saturating_mul(u16::from_le_bytes(drawn).into()) >> 16;
    base.saturating_add(share)
}
