// SPDX-License-Identifier: Apache-2.0
//! A host that answers the component with another number of random bytes than was asked for: what its types can't rule out.

use tracegate::{EntropyUnavailable, Inputs, NoSignatures, NoStore, UnknownPeer};
use tracegate_harness::component::{Lend, Level};

/// A host that lends nothing but these.
pub(crate) struct OtherLength {
    /// How many bytes it answers with, by how many are asked for.
    answered: fn(usize) -> usize,
    entropy: fn(&mut [u8]) -> Result<(), EntropyUnavailable>,
    peer: UnknownPeer,
    store: NoStore,
    signatures: NoSignatures,
}

impl OtherLength {
    pub(crate) fn new(answered: fn(usize) -> usize) -> Self {
        Self { answered, entropy: |_| Err(EntropyUnavailable), peer: UnknownPeer, store: NoStore, signatures: NoSignatures }
    }
}

impl Lend for OtherLength {
    fn inputs(&mut self) -> Inputs<'_> {
        let Self { entropy, peer, store, signatures, .. } = self;
        Inputs { now: 0, monotonic: 0, entropy, peer, store, signatures }
    }

    fn random(&mut self, length: u32) -> Option<Vec<u8>> {
        let asked = usize::try_from(length).expect("it fits");
        assert_ne!((self.answered)(asked), asked);
        Some(vec![7; (self.answered)(asked)])
    }

    fn environment(&mut self, _: &str) -> Option<String> {
        None
    }

    fn log(&mut self, _: Level, _: &str) {}
}
