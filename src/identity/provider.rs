// SPDX-License-Identifier: Apache-2.0
//! Who vouches for callers, and what is asked of their credentials.

use super::algorithm::Algorithm;
use super::certificate::CertificateProvider;
use super::claims::ClaimRules;
use super::credential::TokenPlace;
use super::entra::EntraRules;
use super::key::KeySet;
use super::source::SourcePolicy;
use super::subscription::SubscriptionKeys;
use crate::claim::ClaimPath;
use crate::secret::SecretReference;

/// Who vouches for callers.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The policy's name for it, in metrics too.
    pub name: String,
    /// What it vouches for.
    pub credential: Credential,
}

/// What a provider vouches for.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Tokens that it issues.
    Token(Box<TokenProvider>),
    /// Keys of subscriptions.
    SubscriptionKey(Box<SubscriptionKeys>),
    /// Client certificates.
    Certificate(CertificateProvider),
}

impl Provider {
    /// The issuer, where tokens are vouched for.
    #[must_use]
    pub fn token(&self) -> Option<&TokenProvider> {
        match &self.credential {
            Credential::Token(provider) => Some(provider),
            Credential::SubscriptionKey(_) | Credential::Certificate(_) => None,
        }
    }

    /// The subscriptions, where keys are vouched for.
    #[must_use]
    pub fn subscription_keys(&self) -> Option<&SubscriptionKeys> {
        match &self.credential {
            Credential::SubscriptionKey(keys) => Some(keys),
            Credential::Token(_) | Credential::Certificate(_) => None,
        }
    }
}

/// An issuer of tokens.
#[derive(Clone, Debug)]
pub struct TokenProvider {
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
    /// Where they name roles.
    pub roles_claim: ClaimPath,
    /// Whether each must be bound to its caller's certificate (RFC 8705). One that is bound is held to it in any case.
    pub certificate_bound: bool,
    /// What else is asked of tokens of Entra ID.
    pub entra: Option<EntraRules>,
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

impl TokenProvider {
    /// What a client is told to authenticate with.
    pub(super) fn scheme(&self) -> &str {
        let schemes = self.places.iter().find_map(|place| match place {
            TokenPlace::Authorization { scheme } => Some(scheme.as_str()),
            _ => None,
        });
        schemes.unwrap_or("Bearer")
    }
}
