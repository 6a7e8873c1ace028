// SPDX-License-Identifier: Apache-2.0
//! What a host lends the core: two clocks that only the world moves, and randomness from a seed.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::{Entropy, EntropyUnavailable, Inputs, NoSignatures, NoStore, Peer, PeerFact};

/// A duration in milliseconds.
#[must_use]
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A duration in seconds.
#[must_use]
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Debug)]
pub(super) struct Host {
    monotonic: u64,
    /// The wall clock is this far ahead of the monotonic one.
    wall_lead: i64,
    fails_until: u64,
    randomness: Randomness,
    peer: Known,
    store: NoStore,
    signatures: NoSignatures,
}

impl Host {
    pub(super) fn new(seed: u64) -> Self {
        let randomness = Randomness { source: ChaCha8Rng::seed_from_u64(seed), fails: false };
        Self {
            monotonic: 0,
            wall_lead: WALL_AT_START,
            fails_until: 0,
            randomness,
            peer: Known::default(),
            store: NoStore,
            signatures: NoSignatures,
        }
    }

    pub(super) const fn monotonic(&self) -> u64 {
        self.monotonic
    }

    /// When it will be `duration` from now.
    pub(super) fn after(&self, duration: Duration) -> u64 {
        self.monotonic + nanoseconds(duration)
    }

    pub(super) fn advance_to(&mut self, at: u64) {
        assert!(at >= self.monotonic, "the monotonic clock never goes back: it is {}, {at} was due", self.monotonic);
        self.monotonic = at;
    }

    pub(super) fn jump_wall(&mut self, by: i64) {
        self.wall_lead += by;
    }

    pub(super) fn fail_entropy_for(&mut self, duration: Duration) {
        self.fails_until = self.after(duration);
    }

    pub(super) fn know_of_peers(&mut self, facts: &[(PeerFact, &str)]) {
        self.peer = Known(facts.iter().map(|(fact, value)| (*fact, (*value).to_owned())).collect());
    }

    pub(super) fn inputs(&mut self) -> Inputs<'_> {
        self.randomness.fails = self.monotonic < self.fails_until;
        let elapsed = i64::try_from(self.monotonic).expect("no scenario lasts for centuries");
        let Self { wall_lead, monotonic, randomness, peer, store, signatures, .. } = self;
        Inputs { now: *wall_lead + elapsed, monotonic: *monotonic, entropy: randomness, peer, store, signatures }
    }
}

#[derive(Debug)]
struct Randomness {
    source: ChaCha8Rng,
    fails: bool,
}

impl Entropy for Randomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        if self.fails {
            // Always the same, so that a core that used them would give an id twice.
            bytes.fill(0xdd);
            return Err(EntropyUnavailable);
        }
        self.source.fill_bytes(bytes);
        Ok(())
    }
}

/// What is known of whoever sends a request.
#[derive(Debug, Default)]
struct Known(Vec<(PeerFact, String)>);

impl Peer for Known {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        self.0.iter().find(|(known, _)| *known == fact).map(|(_, value)| value.as_bytes().to_vec())
    }
}

/// Every environment variable holds a key of its own: 32 times the last byte of its name.
#[expect(clippy::unnecessary_wraps, reason = "what a host without it would answer")]
pub(super) fn secret(variable: &str) -> Option<String> {
    Some(BASE64_STANDARD.encode([variable.bytes().last().unwrap_or_default(); 32]))
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("no scenario lasts for centuries")
}

/// 2026-01-01T00:00:00Z
const WALL_AT_START: i64 = 1_767_225_600_000_000_000;
