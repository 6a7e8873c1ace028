// SPDX-License-Identifier: Apache-2.0
//! Filter state: what filters leave for each other and for later callbacks of one exchange.

use std::collections::BTreeMap;

use super::limits::MAX_LEFT;
use super::status::{Answer, Status};

/// Values by name.
#[derive(Debug, Default)]
pub(super) struct FilterState {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Bytes of all names and values.
    size: usize,
}

impl FilterState {
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// All of them.
    pub(super) fn into_values(self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.values
    }

    /// Sets a value; beyond [`MAX_LEFT`] in all it fails.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) -> Answer {
        let before = self.get(name).map_or(0, |value| name.len() + value.len());
        let after = (self.size - before).saturating_add(name.len()).saturating_add(value.len());
        if after > MAX_LEFT {
            return Err(Status::InternalFailure);
        }
        self.values.insert(name.to_vec(), value.to_vec());
        self.size = after;
        Ok(())
    }
}
