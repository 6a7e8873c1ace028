// SPDX-License-Identifier: Apache-2.0
//! What the VMs of one process share, where there is one VM and it runs natively.

use std::collections::HashMap;

use tracegate::{Expected, Store, StoreError, Stored};

/// Shared values of one gateway.
#[derive(Debug, Default)]
pub(crate) struct OwnStore {
    values: HashMap<String, Stored>,
    /// The version that was given last: one count for all names.
    version: u32,
}

impl Store for OwnStore {
    fn get(&mut self, name: &str) -> Option<Stored> {
        self.values.get(name).cloned()
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let known = self.values.get(name).map(|stored| stored.version);
        let fits = match expected {
            Expected::Any => true,
            Expected::Absent => known.is_none(),
            Expected::Version(version) => known == Some(version),
        };
        if !fits {
            return Err(StoreError::Conflict);
        }
        self.version = self.version.wrapping_add(1);
        self.values.insert(name.to_owned(), Stored { value: value.to_vec(), version: self.version });
        Ok(())
    }
}
