// SPDX-License-Identifier: Apache-2.0
//! What every callback has at hand: the gateway, the host's clock, randomness and knowledge of the peer, and a way to carry out
//! effects.

use std::cell::RefCell;
use std::rc::Rc;

use super::host;
use crate::effect::Effect;
use crate::gateway::Gateway;
use crate::inputs::{EntropyUnavailable, Inputs, PeerFact};

/// The gateway that a root context's streams share. The host runs a VM on one thread and one callback at a time.
pub(super) type SharedGateway = Rc<RefCell<Gateway>>;

/// Carries out what the core asks of the world; the compiler points here when the first stage asks for something.
pub(super) fn perform(effects: &[Effect]) {
    if let Some(effect) = effects.first() {
        match *effect {}
    }
}

/// Lends the host's clock, randomness and knowledge of the peer: one clock read, and a call for each fact that is asked for.
pub(super) fn with_inputs<T>(run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let now = host::now();
    let mut entropy = |bytes: &mut [u8]| -> Result<(), EntropyUnavailable> { host::fill_random(bytes) };
    // The ABI has one clock, the wall's.
    let mut peer = |fact: PeerFact| host::property(path(fact)).ok();
    run(&mut Inputs { now: i64::try_from(now).unwrap_or(i64::MAX), monotonic: now, entropy: &mut entropy, peer: &mut peer })
}

/// Envoy's attribute: <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes#connection-attributes>. Parts of
/// a path are parted by zero bytes.
const fn path(fact: PeerFact) -> &'static str {
    match fact {
        PeerFact::SourceAddress => "source\0address",
        PeerFact::UriSan => "connection\0uri_san_peer_certificate",
        PeerFact::DnsSan => "connection\0dns_san_peer_certificate",
        PeerFact::Subject => "connection\0subject_peer_certificate",
        PeerFact::Sha256 => "connection\0sha256_peer_certificate_digest",
    }
}
