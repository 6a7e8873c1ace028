// SPDX-License-Identifier: Apache-2.0
//! What the world lends the core for one step: the time, randomness, what it knows of the peer, shared values and verification of
//! signatures. The core has nothing of the kind of its own.

use std::fmt;

/// The world, for the time of one step.
pub struct Inputs<'a> {
    /// Wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, leap seconds smeared or repeated as the host does. May
    /// jump either way.
    pub now: i64,
    /// Monotonic time in nanoseconds from an origin of the host's choice, for deadlines, leases and durations.
    pub monotonic: u64,
    /// The host's randomness.
    pub entropy: &'a mut dyn Entropy,
    /// What the host knows of who sent the request at hand.
    pub peer: &'a mut dyn Peer,
    /// What the VMs of one process share.
    pub store: &'a mut dyn Store,
    /// The host's own verification of signatures.
    pub signatures: &'a mut dyn HostSignatures,
}

impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inputs").field("now", &self.now).field("monotonic", &self.monotonic).finish_non_exhaustive()
    }
}

/// A source of unpredictable bytes.
pub trait Entropy {
    /// Fills the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// [`EntropyUnavailable`] where the source has none; `bytes` is unspecified then.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

impl<F: FnMut(&mut [u8]) -> Result<(), EntropyUnavailable>> Entropy for F {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        self(bytes)
    }
}

/// What the host knows of a request's sender. Each answer costs a host call (about 0.8 µs in Envoy), so only what a policy asks about is
/// asked for.
pub trait Peer {
    /// The fact; `None` where there is none, as without TLS.
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>>;

    /// What the metadata of the host's route say under this key of the namespace `tracegate`: a text as it is, a number in 8 bytes of floating
    /// point, little-endian. `None` where they say nothing.
    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        let _ = key;
        None
    }
}

impl<F: FnMut(PeerFact) -> Option<Vec<u8>>> Peer for F {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        self(fact)
    }
}

/// A sender of whom nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownPeer;

impl Peer for UnknownPeer {
    fn fact(&mut self, _: PeerFact) -> Option<Vec<u8>> {
        None
    }
}

/// Asks a host for each fact once.
pub(crate) struct Remembered<'p> {
    host: &'p mut dyn Peer,
    /// `None` before it is asked.
    answers: [Option<Option<Vec<u8>>>; PeerFact::COUNT],
}

impl<'p> Remembered<'p> {
    pub(crate) fn new(host: &'p mut dyn Peer) -> Self {
        Self { host, answers: Default::default() }
    }
}

impl Peer for Remembered<'_> {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        let answer = self.answers.get_mut(fact.index())?;
        answer.get_or_insert_with(|| self.host.fact(fact)).clone()
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        self.host.route_metadata(key)
    }
}

/// Something that a host may know of a request's sender. What it says of a certificate is as true as the listener's validation is strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerFact {
    /// `address:port`, an IPv6 address in brackets.
    SourceAddress,
    /// The certificate's first URI subject alternative name.
    UriSan,
    /// The certificate's first DNS subject alternative name.
    DnsSan,
    /// The certificate's subject: `CN=client,O=Acme`.
    Subject,
    /// The certificate's SHA-256 digest in hexadecimal digits.
    Sha256,
}

impl PeerFact {
    pub(crate) const COUNT: usize = 5;

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::SourceAddress => 0,
            Self::UriSan => 1,
            Self::DnsSan => 2,
            Self::Subject => 3,
            Self::Sha256 => 4,
        }
    }
}

/// Values that the VMs of one process share, by name. Some ten names a policy, and one for each slot of its quotas; nothing is ever deleted.
pub trait Store {
    /// The value, and which version of it this is; `None` where there is none, or no store.
    fn get(&mut self, name: &str) -> Option<Stored>;

    /// Sets the value, if what is there now is what is `expected`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where something else is there.
    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError>;
}

/// A value of a [`Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value.
    pub value: Vec<u8>,
    /// Changes with every [`Store::set`].
    pub version: u32,
}

/// What must be there for a value to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Any,
    /// Nothing.
    Absent,
    /// This version.
    Version(u32),
}

/// A value was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Something else was there than what was expected.
    Conflict,
    /// The host has no store, or takes no more.
    Unavailable,
}

/// A world in which nothing is shared.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn get(&mut self, _: &str) -> Option<Stored> {
        None
    }

    fn set(&mut self, _: &str, _: &[u8], _: Expected) -> Result<(), StoreError> {
        Err(StoreError::Unavailable)
    }
}

/// A host that verifies signatures faster than WebAssembly does.
pub trait HostSignatures {
    /// Whether `signature` is that of `text`: RSASSA-PKCS1-v1_5, or ECDSA with the signature in DER. `hash` is `sha256`, `sha384` or
    /// `sha512`, `key` the public key in DER (SubjectPublicKeyInfo). `None` where the host doesn't say.
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// A host that verifies none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSignatures;

impl HostSignatures for NoSignatures {
    fn verify(&mut self, _: &str, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// The host gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyUnavailable;

impl fmt::Display for EntropyUnavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the host gave no randomness")
    }
}

impl std::error::Error for EntropyUnavailable {}
