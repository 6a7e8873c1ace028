// SPDX-License-Identifier: Apache-2.0
//! Where a secret is, and what it is used as.

use std::fmt;
use std::sync::Arc;

use super::key_vault::VaultUri;
use super::value::{MIN_KEY, SecretKey, SecretText, SecretValue};
use crate::uri::FetchUri;

/// A use of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretReference {
    /// The policy's name for it.
    pub name: String,
    /// Where it is.
    pub source: Arc<SecretSource>,
    /// What it is used as.
    pub form: SecretForm,
}

/// What a secret is used as. One that is used in several ways must fit them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretForm {
    /// A key, written in base64.
    Key {
        /// Bytes of the shortest.
        least: usize,
    },
    /// A header's value.
    Text,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the environment.
    Environment {
        /// The variable that holds it.
        variable: String,
    },
    /// In the policy itself.
    Literal(SecretValue),
    /// The body of an answer.
    Http(HttpSecret),
    /// Azure Key Vault.
    KeyVault(KeyVaultSecret),
}

/// A secret that is the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSecret {
    /// Where to fetch.
    pub uri: FetchUri,
    /// The host's cluster that answers.
    pub cluster: String,
    /// How it is kept fresh.
    pub refresh: Refresh,
}

/// A secret of Azure Key Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVaultSecret {
    /// The vault.
    pub vault: VaultUri,
    /// The secret's name there.
    pub name: String,
    /// Its version; the newest where there is none.
    pub version: Option<String>,
    /// The client id of a user-assigned managed identity; the system-assigned one where there is none.
    pub client_id: Option<String>,
    /// The host's cluster that answers for the vault.
    pub vault_cluster: String,
    /// The host's cluster that answers for the instance metadata service.
    pub imds_cluster: String,
    /// How it is kept fresh.
    pub refresh: Refresh,
}

/// How a secret is kept fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// The longest time from one good answer to the next question, in nanoseconds.
    pub interval: u64,
    /// How long one fetch may take, in nanoseconds.
    pub timeout: u64,
}

impl SecretReference {
    /// A key in an environment variable.
    #[must_use]
    pub fn environment(name: &str, variable: &str) -> Self {
        let source = Arc::new(SecretSource::Environment { variable: variable.to_owned() });
        Self { name: name.to_owned(), source, form: SecretForm::Key { least: MIN_KEY } }
    }

    /// The environment variable that holds it, where one does.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match &*self.source {
            SecretSource::Environment { variable } => Some(variable),
            SecretSource::Literal(_) | SecretSource::Http(_) | SecretSource::KeyVault(_) => None,
        }
    }

    /// Whether it is fetched.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        matches!(&*self.source, SecretSource::Http(_) | SecretSource::KeyVault(_))
    }
}

impl SecretForm {
    /// Whether a text can be used so.
    ///
    /// # Errors
    ///
    /// What was found instead.
    pub(super) fn check(self, text: &str) -> Result<(), &'static str> {
        match self {
            Self::Key { least } => SecretKey::read(text, least).map(drop),
            Self::Text => SecretText::read(None, text).map(drop),
        }
    }
}

impl fmt::Display for SecretForm {
    /// What is expected of its text.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { least } => write!(formatter, "at least {least} bytes in base64"),
            Self::Text => formatter.write_str("printable ASCII"),
        }
    }
}
