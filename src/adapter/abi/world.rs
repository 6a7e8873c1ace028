// SPDX-License-Identifier: Apache-2.0
//! What every callback has at hand: the gateway, the host's clock and randomness, and a way to carry out effects.

use std::cell::RefCell;
use std::rc::Rc;

use super::host;
use crate::effect::Effect;
use crate::gateway::Gateway;
use crate::inputs::{EntropyUnavailable, Inputs};

/// The gateway that a root context's streams share. The host runs a VM on one thread and one callback at a time.
pub(super) type SharedGateway = Rc<RefCell<Gateway>>;

/// Carries out what the core asks of the world; the compiler points here when the first stage asks for something.
pub(super) fn perform(effects: &[Effect]) {
    if let Some(effect) = effects.first() {
        match *effect {}
    }
}

/// Lends the host's clock and randomness: one clock read.
pub(super) fn with_inputs<T>(run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let now = host::now();
    let mut entropy = |bytes: &mut [u8]| -> Result<(), EntropyUnavailable> { host::fill_random(bytes) };
    // The ABI has one clock, the wall's.
    run(&mut Inputs { now: i64::try_from(now).unwrap_or(i64::MAX), monotonic: now, entropy: &mut entropy })
}
