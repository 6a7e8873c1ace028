// SPDX-License-Identifier: Apache-2.0
//! What a host lends, and hosts that fail to.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::{Entropy, EntropyUnavailable, Expected, HostSignatures, Peer, PeerFact, Store, StoreError, Stored};
use tracegate_harness::host::{Facts, Signatures};

/// How good a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Sound,
    /// It has no randomness.
    Dull,
    /// It knows nothing of anybody.
    Ignorant,
    /// It keeps nothing.
    Forgetful,
    /// It drops every reply.
    Silent,
    /// It tells another version of a value than it has.
    Lying,
    /// It says nothing of signatures.
    Unverifying,
}

/// Randomness from a seed.
#[derive(Debug)]
pub(crate) struct Randomness {
    pub(crate) source: ChaCha8Rng,
    pub(crate) host: Host,
}

impl Randomness {
    pub(crate) fn new(host: Host) -> Self {
        Self { source: ChaCha8Rng::seed_from_u64(SEED), host }
    }
}

impl Entropy for Randomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        if self.host == Host::Dull {
            return Err(EntropyUnavailable);
        }
        self.source.fill_bytes(bytes);
        Ok(())
    }
}

/// What is known of whoever sends the request at hand.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: Facts,
    pub(crate) host: Host,
}

impl Peer for Known {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        let tls = self.facts.tls.as_ref();
        let text = match fact {
            PeerFact::SourceAddress => Some(self.facts.source.to_string()),
            PeerFact::UriSan => tls?.uri_san.clone(),
            PeerFact::DnsSan => tls?.dns_san.clone(),
            PeerFact::Subject => tls?.subject.clone(),
            PeerFact::Sha256 => tls?.sha256.clone(),
        };
        text.filter(|_| self.host != Host::Ignorant).map(String::into_bytes)
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        let known = self.facts.route_metadata.iter().find(|(namespace, known, _)| namespace == "tracegate" && known == key);
        known.filter(|_| self.host != Host::Ignorant).map(|(.., text)| text.clone().into_bytes())
    }
}

/// What is said of signatures.
#[derive(Debug)]
pub(crate) struct Verifier(pub(crate) Host);

impl HostSignatures for Verifier {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        if self.0 == Host::Unverifying { None } else { Signatures.verify(hash, key, signature, text) }
    }
}

/// Values by name.
#[derive(Debug, Default)]
pub(crate) struct Values {
    values: HashMap<String, Stored>,
    version: u32,
    host: Option<Host>,
}

impl Values {
    pub(crate) fn new(host: Host) -> Self {
        Self { host: Some(host), ..Self::default() }
    }
}

impl Store for Values {
    fn get(&mut self, name: &str) -> Option<Stored> {
        let Stored { value, version } = self.values.get(name).cloned()?;
        Some(Stored { value, version: if self.host == Some(Host::Lying) { version.wrapping_add(1) } else { version } })
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let known = self.values.get(name).map(|stored| stored.version);
        if self.host == Some(Host::Forgetful) {
            return Err(StoreError::Unavailable);
        }
        match expected {
            Expected::Absent if known.is_some() => return Err(StoreError::Conflict),
            Expected::Version(version) if known != Some(version) => return Err(StoreError::Conflict),
            _ => {}
        }
        self.version += 1;
        self.values.insert(name.to_owned(), Stored { value: value.to_vec(), version: self.version });
        Ok(())
    }
}

pub(crate) const SEED: u64 = 7;
