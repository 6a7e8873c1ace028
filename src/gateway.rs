// SPDX-License-Identifier: Apache-2.0
//! One configuration at work. A VM may hold several gateways at once, the old configuration's and the new one's.

use crate::config::Policy;
use crate::effect::{CallId, ExchangeId, GatewayId, Woken};
use crate::event::{CallFailed, Reply};
use crate::exchange::Exchange;
use crate::inputs::Inputs;
use crate::metrics::Counts;
use crate::secret::{SecretUnavailable, Secrets};
use crate::trace::{HopKeys, Settler};

/// What the exchanges of one configuration share.
#[derive(Debug)]
pub struct Gateway {
    id: GatewayId,
    policy: Policy,
    settler: Settler,
    counts: Counts,
}

impl Gateway {
    /// A gateway that runs `policy`. `id` is unique in the VM.
    #[must_use]
    pub fn new(id: GatewayId, policy: Policy) -> Self {
        let counts = Counts::new(&policy);
        Self { id, policy, settler: Settler::new(), counts }
    }

    /// Fetches the secrets that the policy names. A gateway without them signs nothing and takes no signature for valid.
    ///
    /// # Errors
    ///
    /// [`SecretUnavailable`] for the first that the host doesn't have.
    pub fn provide(&mut self, secrets: &mut dyn Secrets) -> Result<(), SecretUnavailable> {
        if let Some(hop) = &self.policy.trace.signed_hop {
            self.settler.provide(HopKeys::fetch(hop, secrets)?);
        }
        Ok(())
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

    /// What the stages of an exchange work with.
    pub(crate) const fn parts(&mut self) -> (&Policy, &mut Settler, &mut Counts) {
        (&self.policy, &mut self.settler, &mut self.counts)
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

    /// The names of all that this gateway counts.
    #[must_use]
    pub fn counter_names(&self) -> Vec<String> {
        Counts::names(&self.policy)
    }

    /// What has been counted since the last time, by index in [`counter_names`](Self::counter_names), zeros left out.
    pub fn drain_counts(&mut self) -> impl Iterator<Item = (usize, u64)> + use<> {
        self.counts.drain()
    }
}
