// SPDX-License-Identifier: Apache-2.0
//! Who issues tokens, and what is asked of them.

use super::algorithm::Algorithm;
use super::claims::ClaimRules;
use super::credential::TokenPlace;
use super::key::KeySet;
use super::source::SourcePolicy;
use crate::secret::SecretReference;

/// An issuer of tokens.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The policy's name for it, in metrics too.
    pub name: String,
    /// Where requests carry its tokens.
    pub places: Vec<TokenPlace>,
    /// The longest token, in bytes.
    pub max_length: usize,
    /// What its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// What its tokens must claim.
    pub claims: ClaimRules,
    /// What they are verified with.
    pub keys: Keys,
}

/// Where a provider's keys are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// In the policy.
    Inline(KeySet),
    /// Among the policy's secrets, under these ids.
    Secrets(Vec<(Option<String>, SecretReference)>),
    /// Where the issuer publishes them.
    Published(SourcePolicy),
}

impl Provider {
    /// What a client is told to authenticate with.
    pub(super) fn scheme(&self) -> &str {
        let schemes = self.places.iter().find_map(|place| match place {
            TokenPlace::Authorization { scheme } => Some(scheme.as_str()),
            _ => None,
        });
        schemes.unwrap_or("Bearer")
    }
}
