// SPDX-License-Identifier: Apache-2.0
//! Shared data: keys and values that every VM of one `vm_id` sees, with a compare-and-set number for each key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::MAX_SHARED;
use super::status::{Answer, Status};

/// The shared data of one `vm_id`. Clones share it; it outlives every VM.
#[derive(Clone, Debug, Default)]
pub struct SharedData(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Vec<u8>, Entry>,
    /// Bytes of all keys and values.
    size: usize,
    /// The compare-and-set number that was given last: one count for all keys.
    last_cas: u32,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Vec<u8>,
    cas: u32,
}

impl SharedData {
    /// A key's value and its compare-and-set number.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.entries().by_key.get(key).map(|entry| (entry.value.clone(), entry.cas))
    }

    /// Sets a key: unconditionally with `cas` 0 or where there is no such key yet, otherwise when its number is `cas`.
    /// Beyond [`MAX_SHARED`] in all it fails.
    pub(super) fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Answer {
        let mut entries = self.entries();
        let Entries { by_key, size, last_cas } = &mut *entries;
        let known = by_key.get_mut(key);
        let before = known.as_ref().map_or(0, |entry| key.len() + entry.value.len());
        let after = size.saturating_sub(before).saturating_add(key.len()).saturating_add(value.len());
        match known {
            Some(entry) if cas != 0 && cas != entry.cas => return Err(Status::CasMismatch),
            _ if after > MAX_SHARED => return Err(Status::InternalFailure),
            Some(entry) => *entry = Entry { value: value.to_vec(), cas: next(*last_cas) },
            None => {
                by_key.insert(key.to_vec(), Entry { value: value.to_vec(), cas: next(*last_cas) });
            }
        }
        *last_cas = next(*last_cas);
        *size = after;
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number after `cas`; 0 stands for "unconditionally" and is never one.
const fn next(cas: u32) -> u32 {
    match cas.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_succeeds_unconditionally_for_a_new_key_or_with_the_right_number() {
        let data = SharedData::default();
        assert_eq!(data.get(b"k"), None);
        data.set(b"k", b"new", u32::MAX).unwrap();
        let (value, cas) = data.get(b"k").unwrap();
        assert_eq!(value, b"new");
        assert_eq!(data.set(b"k", b"wrong", cas + 1), Err(Status::CasMismatch));
        data.set(b"k", b"right", cas).unwrap();
        assert_eq!(data.set(b"k", b"late", cas), Err(Status::CasMismatch));
        data.clone().set(b"k", b"any", 0).unwrap();
        assert_eq!(data.get(b"k").unwrap().0, b"any");
        let before = data.get(b"k").unwrap().1;
        data.set(b"other", b"", 0).unwrap();
        assert_eq!(data.get(b"other").unwrap().1, before + 1, "one count for all keys");
        assert_eq!(next(u32::MAX), 1);
    }
}
