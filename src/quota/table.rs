// SPDX-License-Identifier: Apache-2.0
//! Counters by key, in memory that the VMs of one process share: a fixed number of slots, each with room for a few keys.
//!
//! A key's slot and its tag come from one keyed hash, whose key the process draws at random: who chooses keys can't choose whose slot they fill.
//! A slot drops what has run out and nothing else, so that a flood of keys resets nobody's counter. Every change is a compare-and-set: of two
//! workers that change one slot at once one changes it again.

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

use crate::inputs::{Entropy, Expected, Store, StoreError, Stored};

/// How many keys a slot holds.
pub const WAYS: usize = 8;

/// A key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest {
    place: u64,
    tag: u64,
}

impl Digest {
    /// What those share that have no key. Not in a slot with any key's, as the other isn't.
    pub(super) const KEYLESS: Self = Self { place: u64::MAX, tag: 0 };
    /// What those share that found no room.
    pub(super) const OVERFLOW: Self = Self { place: u64::MAX, tag: 1 };
}

/// What keys are hashed with: the same in all VMs of a process, unknown outside.
#[derive(Clone, Copy)]
pub(super) struct Seed([u8; 16]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seed")
    }
}

impl Seed {
    /// The process's seed: drawn by the first VM that asks. `None` without a store or without randomness.
    pub(super) fn share(store: &mut dyn Store, entropy: &mut dyn Entropy) -> Option<Self> {
        const NAME: &str = "quota/seed";
        let read = |store: &mut dyn Store| store.get(NAME).and_then(|stored| stored.value.try_into().ok()).map(Self);
        if let Some(known) = read(store) {
            return Some(known);
        }
        let mut drawn = [0; 16];
        entropy.fill(&mut drawn).ok()?;
        match store.set(NAME, &drawn, Expected::Absent) {
            Ok(()) => Some(Self(drawn)),
            Err(StoreError::Conflict) => read(store),
            Err(StoreError::Unavailable) => None,
        }
    }

    /// The hash of a key's parts: of other parts another one, wherever the bytes are cut.
    pub(super) fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(bytes);
        let hash = hasher.finish128();
        // The shared buckets' place is nobody's.
        Digest { place: hash.h1 & (u64::MAX >> 1), tag: hash.h2 }
    }
}

/// The counters of one quota: `N` words a key.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize> {
    /// `quota/<id>/`.
    prefix: String,
    slots: u64,
}

/// A key found no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaced {
    /// Its slot is full of others, all of them live.
    Full,
    /// The host has no store, or takes no more; or other workers were quicker time after time.
    Unavailable,
}

/// The first byte of a slot: its format.
const FORMAT: u8 = 1;
/// How often a change is tried. Each try fails only where another worker's has succeeded.
const TRIES: usize = 64;

impl<const N: usize> Table<N> {
    /// Bytes of one key.
    const WIDTH: usize = 8_usize.saturating_mul(N.saturating_add(1));

    /// The table under this id, of so many slots, at least one.
    pub(super) fn new(id: &str, slots: u32) -> Self {
        Self { prefix: format!("quota/{id}/"), slots: u64::from(slots.max(1)) }
    }

    fn name(&self, digest: Digest) -> String {
        let mut name = String::with_capacity(self.prefix.len().saturating_add(16));
        name.push_str(&self.prefix);
        if digest.place == u64::MAX {
            name.push_str("shared");
        } else {
            push_hex(&mut name, digest.place.checked_rem(self.slots).unwrap_or(0));
        }
        name
    }

    /// Changes what stands under a key: `change` sees what is there, if it is live, and says what is to be, `None` for the same, and what comes of
    /// it. It may be called several times; the last counts.
    ///
    /// # Errors
    ///
    /// [`Unplaced`] where nothing was changed.
    pub(super) fn update<T>(
        &self,
        digest: Digest,
        store: &mut dyn Store,
        is_live: impl Fn(&[u64; N]) -> bool,
        mut change: impl FnMut(Option<[u64; N]>) -> (Option<[u64; N]>, T),
    ) -> Result<T, Unplaced> {
        let name = self.name(digest);
        for _ in 0..TRIES {
            let (mut slot, expected) = match store.get(&name) {
                Some(Stored { value, version }) => (value, Expected::Version(version)),
                None => (Vec::new(), Expected::Absent),
            };
            if slot.first() != Some(&FORMAT) {
                // What another version wrote counts for nothing here.
                slot.clear();
                slot.push(FORMAT);
            }
            let found = Self::find(&slot, digest);
            let own = found.and_then(|place| Self::read(&slot, place)).filter(|words| is_live(words));
            let (next, outcome) = change(own);
            let Some(next) = next else { return Ok(outcome) };
            let place = match found {
                Some(place) => place,
                None => {
                    Self::sweep(&mut slot, &is_live);
                    if slot.len() > Self::WIDTH.saturating_mul(WAYS) {
                        return Err(Unplaced::Full);
                    }
                    let place = slot.len();
                    slot.resize(place.saturating_add(Self::WIDTH), 0);
                    place
                }
            };
            Self::write(&mut slot, place, digest.tag, &next);
            match store.set(&name, &slot, expected) {
                Ok(()) => return Ok(outcome),
                Err(StoreError::Conflict) => {}
                Err(StoreError::Unavailable) => return Err(Unplaced::Unavailable),
            }
        }
        Err(Unplaced::Unavailable)
    }

    /// Where a key stands.
    fn find(slot: &[u8], digest: Digest) -> Option<usize> {
        let entries = slot.get(1..)?;
        let tag = digest.tag.to_le_bytes();
        let index = entries.chunks_exact(Self::WIDTH).position(|entry| entry.starts_with(&tag))?;
        Some(index.saturating_mul(Self::WIDTH).saturating_add(1))
    }

    fn read(slot: &[u8], place: usize) -> Option<[u64; N]> {
        let entry = slot.get(place.saturating_add(8)..)?;
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(entry.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        Some(words)
    }

    fn write(slot: &mut [u8], place: usize, tag: u64, words: &[u64; N]) {
        let Some(entry) = slot.get_mut(place..place.saturating_add(Self::WIDTH)) else { return };
        for (bytes, word) in entry.chunks_exact_mut(8).zip(std::iter::once(&tag).chain(words)) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Drops what has run out.
    fn sweep(slot: &mut Vec<u8>, is_live: &impl Fn(&[u64; N]) -> bool) {
        let mut kept = vec![FORMAT];
        for entry in slot.get(1..).unwrap_or_default().chunks_exact(Self::WIDTH) {
            if Self::read(entry, 0).is_some_and(|words| is_live(&words)) {
                kept.extend_from_slice(entry);
            }
        }
        *slot = kept;
    }
}

/// Writes a number in lower-case hexadecimal digits: `format!` costs as much as all else that is done to a slot.
fn push_hex(text: &mut String, number: u64) {
    let digits = 16_u32.saturating_sub(number.leading_zeros() / 4).max(1);
    for digit in (0..digits).rev() {
        let digit = number.checked_shr(digit.saturating_mul(4)).unwrap_or(0) & 0xf;
        text.push(u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 16)).unwrap_or('0'));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A store in memory, whose first `conflicts` sets come too late.
    #[derive(Default)]
    pub(crate) struct Memory {
        pub(in crate::quota) values: BTreeMap<String, (Vec<u8>, u32)>,
        pub(in crate::quota) conflicts: usize,
    }

    impl Store for Memory {
        fn get(&mut self, name: &str) -> Option<Stored> {
            self.values.get(name).map(|(value, version)| Stored { value: value.clone(), version: *version })
        }

        fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
            let version = self.values.get(name).map(|(_, version)| *version);
            let fits = match expected {
                Expected::Any => true,
                Expected::Absent => version.is_none(),
                Expected::Version(expected) => version == Some(expected),
            };
            if !fits || self.conflicts > 0 {
                self.conflicts = self.conflicts.saturating_sub(1);
                return Err(StoreError::Conflict);
            }
            self.values.insert(name.to_owned(), (value.to_vec(), version.unwrap_or(0) + 1));
            Ok(())
        }
    }

    const SEED: Seed = Seed([7; 16]);

    fn add(table: &Table<1>, store: &mut Memory, key: &[u8], live: impl Fn(&[u64; 1]) -> bool) -> Result<u64, Unplaced> {
        table.update(SEED.digest(key), store, live, |own| {
            let next = own.map_or(1, |[count]| count + 1);
            (Some([next]), next)
        })
    }

    #[test]
    fn each_key_has_a_count_of_its_own() {
        let (table, mut store) = (Table::<1>::new("t", 2), Memory::default());
        for round in 1..=3 {
            for key in 0..8_u8 {
                assert_eq!(add(&table, &mut store, &[key], |_| true), Ok(round), "{key}");
            }
        }
        assert!(store.values.len() <= 2, "two slots");
    }

    #[test]
    fn a_flood_of_keys_resets_nobody_and_takes_no_more_memory() {
        let (table, mut store) = (Table::<1>::new("t", 4), Memory::default());
        assert_eq!(add(&table, &mut store, b"victim", |_| true), Ok(1));
        let refused = (0..10_000_u32).filter(|key| add(&table, &mut store, &key.to_le_bytes(), |_| true) == Err(Unplaced::Full)).count();
        assert_eq!(refused, 10_000 - (4 * WAYS - 1), "all room is used, and not more");
        assert_eq!(add(&table, &mut store, b"victim", |_| true), Ok(2));
        assert_eq!(store.values.len(), 4);
        assert!(store.values.values().all(|(value, _)| value.len() == 1 + 16 * WAYS));
    }

    #[test]
    fn what_has_run_out_makes_room() {
        let (table, mut store) = (Table::<1>::new("t", 1), Memory::default());
        for key in 0..8_u8 {
            assert_eq!(add(&table, &mut store, &[key], |_| true), Ok(1));
        }
        assert_eq!(add(&table, &mut store, &[0], |_| true), Ok(2));
        assert_eq!(add(&table, &mut store, &[8], |_| true), Err(Unplaced::Full));
        assert_eq!(add(&table, &mut store, &[8], |[count]| *count > 1), Ok(1), "only key 0 is live");
        assert_eq!(add(&table, &mut store, &[0], |_| true), Ok(3));
        assert_eq!(add(&table, &mut store, &[1], |_| true), Ok(1), "dropped");
    }

    #[test]
    fn a_change_that_comes_too_late_is_made_again() {
        let (table, mut store) = (Table::<1>::new("t", 1), Memory::default());
        store.conflicts = TRIES - 1;
        assert_eq!(add(&table, &mut store, b"k", |_| true), Ok(1));
        store.conflicts = TRIES;
        assert_eq!(add(&table, &mut store, b"k", |_| true), Err(Unplaced::Unavailable));
    }

    #[test]
    fn a_slot_of_another_format_counts_for_nothing_and_is_replaced() {
        for garbage in [&b""[..], b"\0", b"\x02abc", &[0xff; 500]] {
            let (table, mut store) = (Table::<1>::new("t", 1), Memory::default());
            store.values.insert("quota/t/0".to_owned(), (garbage.to_vec(), 4));
            assert_eq!(add(&table, &mut store, b"k", |_| true), Ok(1));
            assert_eq!(add(&table, &mut store, b"k", |_| true), Ok(2));
        }
        // Cut in the middle of a key: what is whole counts.
        let (table, mut store) = (Table::<1>::new("t", 1), Memory::default());
        assert_eq!(add(&table, &mut store, b"k", |_| true), Ok(1));
        store.values.get_mut("quota/t/0").unwrap().0.extend([1, 2, 3]);
        assert_eq!(add(&table, &mut store, b"k", |_| true), Ok(2));
        assert_eq!(add(&table, &mut store, b"l", |_| true), Ok(1));
        assert_eq!(add(&table, &mut store, b"k", |_| true), Ok(3));
    }

    #[test]
    fn a_slot_is_named_in_hexadecimal_digits() {
        for number in [0, 1, 9, 15, 16, 255, 4096, 0xabc_def0, u64::MAX >> 1, u64::MAX] {
            let mut text = String::new();
            push_hex(&mut text, number);
            assert_eq!(text, format!("{number:x}"));
        }
    }

    #[test]
    fn the_seed_is_one_for_all_and_needs_randomness() {
        let mut store = Memory::default();
        let fill = |byte: u8| {
            move |bytes: &mut [u8]| {
                bytes.fill(byte);
                Ok(())
            }
        };
        let first = Seed::share(&mut store, &mut fill(1)).unwrap();
        let second = Seed::share(&mut store, &mut fill(2)).unwrap();
        assert_eq!(first.digest(b"k"), second.digest(b"k"));
        assert!(Seed::share(&mut Memory::default(), &mut |_: &mut [u8]| Err(crate::inputs::EntropyUnavailable)).is_none());
    }
}
