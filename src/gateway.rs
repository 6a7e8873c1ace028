// SPDX-License-Identifier: Apache-2.0
//! One configuration at work. A VM may hold several gateways at once, the old configuration's and the new one's.

use crate::config::Policy;
use crate::effect::{CallId, ExchangeId, GatewayId, Woken};
use crate::event::{CallFailed, Reply};
use crate::exchange::Exchange;
use crate::identity::{KeyRing, Replacement};
use crate::inputs::Inputs;
use crate::metrics::Counts;
use crate::quota::Ledger;
use crate::secret::{SecretText, SecretUnavailable, Secrets};
use crate::trace::{HopKeys, Settler};

/// What the exchanges of one configuration share.
#[derive(Debug)]
pub struct Gateway {
    id: GatewayId,
    policy: Policy,
    settler: Settler,
    ring: KeyRing,
    ledger: Ledger,
    counts: Counts,
    /// What goes on in the place of tokens.
    replacement: Option<SecretText>,
    /// How many calls it has asked for.
    calls: u64,
}

/// What the stages of an exchange work with.
pub(crate) struct Parts<'g> {
    pub(crate) policy: &'g Policy,
    pub(crate) settler: &'g mut Settler,
    pub(crate) ring: &'g mut KeyRing,
    pub(crate) ledger: &'g mut Ledger,
    pub(crate) counts: &'g mut Counts,
    pub(crate) replacement: Option<&'g [u8]>,
    pub(crate) calls: Calls<'g>,
}

impl Gateway {
    /// A gateway that runs `policy`. `id` is unique in the VM.
    #[must_use]
    pub fn new(id: GatewayId, policy: Policy) -> Self {
        let (ring, ledger, counts) = (KeyRing::new(&policy.identity.providers), Ledger::new(&policy.quota), Counts::new(&policy));
        Self { id, policy, settler: Settler::new(), ring, ledger, counts, replacement: None, calls: 0 }
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
        if let Some(Replacement { scheme, secret }) = &self.policy.identity.forward.replacement {
            self.replacement = Some(SecretText::fetch(scheme, secret, secrets)?);
        }
        self.ring.provide(&self.policy.identity.providers, secrets)
    }

    /// Puts the host's signature verification to the test, once, before the first request: a gateway that hasn't done so verifies in its own code.
    pub fn prove(&mut self, inputs: &mut Inputs<'_>) {
        self.ring.prove(&self.policy.identity.providers, inputs);
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
    pub(crate) fn parts(&mut self) -> Parts<'_> {
        let Self { id, policy, settler, ring, ledger, counts, replacement, calls } = self;
        let replacement = replacement.as_ref().map(SecretText::as_bytes);
        Parts { policy, settler, ring, ledger, counts, replacement, calls: Calls { gateway: *id, serial: calls } }
    }

    /// An exchange waits no more: it is over, or its host knows it no more.
    pub fn forget(&mut self, id: ExchangeId, inputs: &mut Inputs<'_>) {
        self.ring.forget(id);
        self.ledger.forget(&self.policy.quota, id, inputs);
    }

    /// Opens an exchange. `id` is unique in the VM.
    #[must_use]
    pub const fn open(&self, id: ExchangeId) -> Exchange {
        Exchange::new(id)
    }

    /// Whether the next [`tick`](Self::tick) should come within some 10 ms: an exchange waits, or a fetch is under way. Otherwise a second is
    /// soon enough.
    #[must_use]
    pub fn is_urgent(&self, monotonic: u64) -> bool {
        self.ring.is_urgent(monotonic) || self.ledger.is_urgent()
    }

    /// The host's clock has ticked.
    pub fn tick(&mut self, inputs: &mut Inputs<'_>) -> Woken {
        let Self { id, policy, ring, ledger, counts, calls, .. } = self;
        let mut calls = Calls { gateway: *id, serial: calls };
        let mut woken = ring.tick(|| calls.next(), inputs, counts);
        ledger.tick(&policy.quota, inputs, counts, &mut woken);
        woken
    }

    /// A call has an answer, or failed. An answer that nothing waits for changes nothing.
    pub fn reply(&mut self, call: CallId, answer: Result<Reply<'_>, CallFailed>, inputs: &mut Inputs<'_>) -> Woken {
        let Self { id, policy, ring, ledger, counts, calls, .. } = self;
        let mut woken = Woken::default();
        if ledger.reply(&policy.quota, call, answer, inputs, counts, &mut woken) {
            return woken;
        }
        let mut calls = Calls { gateway: *id, serial: calls };
        ring.reply(call, answer, || calls.next(), inputs, counts)
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

/// Names a gateway's calls, each once.
pub(crate) struct Calls<'g> {
    gateway: GatewayId,
    /// How many there were.
    serial: &'g mut u64,
}

impl Calls<'_> {
    pub(crate) const fn next(&mut self) -> CallId {
        let serial = *self.serial;
        *self.serial = serial.saturating_add(1);
        CallId { gateway: self.gateway, serial }
    }
}
