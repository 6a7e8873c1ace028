// SPDX-License-Identifier: Apache-2.0
//! Secrets by reference: a policy names them; the host's environment, an endpoint or a vault holds them.
//!
//! What is fetched comes from the root context, by every VM for itself: never through data that VMs share, which other plugins can read. A value
//! that is there stays until a better one comes, however long its source is down.
//!
//! | module | what it holds |
//! |---|---|
//! | `value` | a secret's text, and what it is read as: a key, a header's value |
//! | `reference` | where a secret is, and what it is used as |
//! | `managed_identity` | tokens of Azure's instance metadata service |
//! | `key_vault` | Azure Key Vault's questions and answers |
//! | `source` | when one secret is fetched |
//! | `store` | what a gateway holds now |

mod key_vault;
mod managed_identity;
mod reference;
mod source;
mod store;
mod value;

pub use key_vault::{InvalidVaultUri, VaultUri};
pub use managed_identity::HOST as IMDS_HOST;
pub use reference::{HttpSecret, KeyVaultSecret, Refresh, SecretForm, SecretReference, SecretSource};
pub(crate) use store::{SecretFate, SecretStore, Stepped};
pub use value::{MIN_KEY, SecretKey, SecretText, SecretUnavailable, SecretValue};

/// The host's secrets.
pub trait Secrets {
    /// The value of an environment variable; `None` where there is none.
    fn environment(&mut self, variable: &str) -> Option<String>;
}

impl<F: FnMut(&str) -> Option<String>> Secrets for F {
    fn environment(&mut self, variable: &str) -> Option<String> {
        self(variable)
    }
}

#[cfg(test)]
mod tests;
