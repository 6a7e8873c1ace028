// SPDX-License-Identifier: Apache-2.0
//! What the host lends for one step: its clocks, randomness, knowledge of the peer, store and verification of signatures.

use super::bindings::tracegate::policy::{clocks, peer, random, signatures, store};
use crate::inputs::{EntropyUnavailable, Expected, HostSignatures, Inputs, Peer, PeerFact, Store, StoreError, Stored};

/// Lends them: each clock is read once, and a call goes out for each thing that is asked for.
pub(super) fn with_inputs<T>(run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let mut entropy = |bytes: &mut [u8]| {
        let length = u32::try_from(bytes.len()).map_err(|_| EntropyUnavailable)?;
        let drawn = random::bytes(length).filter(|drawn| drawn.len() == bytes.len()).ok_or(EntropyUnavailable)?;
        bytes.copy_from_slice(&drawn);
        Ok(())
    };
    let (peer, store, signatures) = (&mut HostPeer, &mut HostStore, &mut Signatures);
    run(&mut Inputs { now: clocks::now(), monotonic: clocks::monotonic(), entropy: &mut entropy, peer, store, signatures })
}

/// What the host knows of the peer and of its route.
struct HostPeer;

impl Peer for HostPeer {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        peer::ask(match fact {
            PeerFact::SourceAddress => peer::Fact::SourceAddress,
            PeerFact::UriSan => peer::Fact::UriSan,
            PeerFact::DnsSan => peer::Fact::DnsSan,
            PeerFact::Subject => peer::Fact::Subject,
            PeerFact::Sha256 => peer::Fact::Sha256,
        })
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        peer::route_metadata(key)
    }
}

/// The host's store.
struct HostStore;

impl Store for HostStore {
    fn get(&mut self, name: &str) -> Option<Stored> {
        store::get(name).map(|store::Stored { value, version }| Stored { value, version })
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let expected = match expected {
            Expected::Any => store::Expected::Any,
            Expected::Absent => store::Expected::Absent,
            Expected::Version(version) => store::Expected::Version(version),
        };
        store::set(name, value, expected).map_err(|error| match error {
            store::StoreError::Conflict => StoreError::Conflict,
            store::StoreError::Unavailable => StoreError::Unavailable,
        })
    }
}

/// The host's verification of signatures.
struct Signatures;

impl HostSignatures for Signatures {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        signatures::verify(hash, key, signature, text)
    }
}
