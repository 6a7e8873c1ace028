// SPDX-License-Identifier: Apache-2.0
//! One configuration at work. A VM may hold several gateways at once, the old configuration's and the new one's.

use crate::config::Policy;
use crate::edits::HeaderEdits;
use crate::effect::{CallId, ExchangeId, GatewayId, Woken};
use crate::entropy::EntropyBlock;
use crate::event::{CallFailed, Reply};
use crate::exchange::Exchange;
use crate::inputs::Inputs;
use crate::metrics::Counts;
use crate::trace;

/// What the exchanges of one configuration share.
#[derive(Debug)]
pub struct Gateway {
    id: GatewayId,
    policy: Policy,
    ids: EntropyBlock,
    pub(crate) counts: Counts,
}

impl Gateway {
    /// A gateway that runs `policy`. `id` is unique in the VM.
    #[must_use]
    pub fn new(id: GatewayId, policy: Policy) -> Self {
        Self { id, policy, ids: EntropyBlock::new(), counts: Counts::default() }
    }

    /// Which gateway of its VM this is.
    #[must_use]
    pub const fn id(&self) -> GatewayId {
        self.id
    }

    /// What it runs.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Settles a request's trace by this gateway's policy, with ids from its block of randomness.
    pub(crate) fn settle_trace(&mut self, carried: trace::Carried<'_>, inputs: &mut Inputs<'_>, edits: &mut HeaderEdits) -> trace::Settled {
        let settled = trace::settle(carried, &self.policy.trace, &mut self.ids, inputs.entropy, edits);
        self.counts.count_trace(settled);
        settled
    }

    /// Opens an exchange. `id` is unique in the VM.
    #[must_use]
    pub const fn open(&self, id: ExchangeId) -> Exchange {
        Exchange::new(id)
    }

    /// The host's clock has ticked.
    pub fn tick(&mut self, _inputs: &mut Inputs<'_>) -> Woken {
        Woken::default()
    }

    /// A call that serves several exchanges has an answer, or failed. An answer that nothing waits for changes nothing.
    pub fn reply(&mut self, _call: CallId, _answer: Result<Reply<'_>, CallFailed>, _inputs: &mut Inputs<'_>) -> Woken {
        Woken::default()
    }

    /// What has been counted since the last time, by index in [`Counter::ALL`](crate::metrics::Counter::ALL), zeros left
    /// out.
    pub fn drain_counts(&mut self) -> impl Iterator<Item = (usize, u64)> + use<> {
        self.counts.drain()
    }
}
