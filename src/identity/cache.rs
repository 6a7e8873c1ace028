// SPDX-License-Identifier: Apache-2.0
//! Tokens that have been verified, for as long as they and their keys count.
//!
//! Indexed by a hash of its signature's end under a key of this VM's own, so that nobody can aim at one bucket, and compared in full. Two halves: what isn't used
//! while the younger one fills up goes with the elder one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::claims::Validity;
use crate::caller::Identity;
use crate::claim::ClaimSet;
use crate::decision::Reason;

/// Verified tokens.
pub(super) struct TokenCache {
    seed: Seed,
    young: Half,
    old: Half,
}

#[derive(Clone, Copy)]
struct Seed(u64, u64);

impl BuildHasher for Seed {
    type Hasher = TailHasher;

    fn build_hasher(&self) -> TailHasher {
        TailHasher(SipHasher13::new_with_keys(self.0, self.1))
    }
}

/// Hashes the end of what it is given: there a token has its signature, and no two that are genuine have the same.
struct TailHasher(SipHasher13);

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        let start = bytes.len().saturating_sub(TAIL);
        self.0.write(bytes.get(start..).unwrap_or_default());
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

struct Half {
    tokens: HashMap<Box<[u8]>, Entry, Seed>,
    bytes: usize,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The provider that it was verified for.
    pub(super) provider: usize,
    /// Which keys it was verified with.
    pub(super) generation: u64,
    /// When it counts.
    pub(super) validity: Validity,
    /// Who calls with it, or why it is not enough.
    pub(super) caller: Result<Arc<Identity>, Reason>,
}

impl Entry {
    /// About how many bytes it takes up beside its token.
    fn weight(&self) -> usize {
        self.caller.as_ref().ok().and_then(|identity| identity.claims()).map_or(0, ClaimSet::weight)
    }
}

/// So many bytes at a token's end are hashed: 192 bits of its signature.
const TAIL: usize = 32;
/// In each half: as many tokens, and as many bytes of them and their claims.
const MAX_TOKENS: usize = 4096;
const MAX_BYTES: usize = 8 << 20;

impl TokenCache {
    /// An empty cache; `seed` is nobody else's.
    pub(super) fn new(seed: [u8; 16]) -> Self {
        let (first, second) = seed.split_at(8);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        let seed = Seed(number(first), number(second));
        Self { seed, young: Half::new(seed), old: Half::new(seed) }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.young.tokens.len().saturating_add(self.old.tokens.len())
    }

    /// What is known of `token`.
    pub(super) fn get(&mut self, token: &[u8]) -> Option<Entry> {
        if let Some(entry) = self.young.tokens.get(token) {
            return Some(entry.clone());
        }
        let (token, entry) = self.old.tokens.remove_entry(token)?;
        self.old.bytes = self.old.bytes.saturating_sub(bytes(&token, &entry));
        self.keep(token, entry.clone());
        Some(entry)
    }

    /// Keeps what is known of `token`, in the place of what was.
    pub(super) fn insert(&mut self, token: &[u8], entry: Entry) {
        self.keep(token.into(), entry);
    }

    fn keep(&mut self, token: Box<[u8]>, entry: Entry) {
        let (length, added) = (token.len(), bytes(&token, &entry));
        if self.young.tokens.len() >= MAX_TOKENS || self.young.bytes.saturating_add(added) > MAX_BYTES {
            self.old = std::mem::replace(&mut self.young, Half::new(self.seed));
        }
        self.young.bytes = self.young.bytes.saturating_add(added);
        if let Some(before) = self.young.tokens.insert(token, entry) {
            self.young.bytes = self.young.bytes.saturating_sub(length.saturating_add(before.weight()));
        }
    }
}

/// What an entry and its token take up.
fn bytes(token: &[u8], entry: &Entry) -> usize {
    token.len().saturating_add(entry.weight())
}

impl Half {
    fn new(seed: Seed) -> Self {
        Self { tokens: HashMap::with_hasher(seed), bytes: 0 }
    }
}

impl fmt::Debug for TokenCache {
    /// Shows how many there are, never a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenCache({} tokens)", self.young.tokens.len().saturating_add(self.old.tokens.len()))
    }
}
