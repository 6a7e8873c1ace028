// SPDX-License-Identifier: Apache-2.0
//! What the world lends the core for one step: the time, randomness and what it knows of the peer. The core has nothing of the
//! kind of its own.

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

/// The host gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyUnavailable;

impl fmt::Display for EntropyUnavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the host gave no randomness")
    }
}

impl std::error::Error for EntropyUnavailable {}
