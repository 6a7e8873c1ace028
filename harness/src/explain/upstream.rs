// SPDX-License-Identifier: Apache-2.0
//! What the upstream is told of callers.

use serde::Serialize;
use tracegate::identity::Provider;

use super::document::{CallerToHeader, ClaimToHeader, Identity, ReplaceToken};
use super::words::word;

/// What goes on to the upstream.
#[derive(Debug, Serialize)]
pub(super) struct Upstream {
    pub(super) headers: Vec<Header>,
    token: Token,
    #[serde(skip)]
    replacement: Option<ReplaceToken>,
}

/// A header that tells something of the caller.
#[derive(Debug, Serialize)]
pub(super) struct Header {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
}

/// What becomes of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Token {
    /// None goes on.
    Stripped,
    /// Verified ones go on.
    Forwarded,
    /// A credential of the gateway's own goes on in the place of a verified one.
    Replaced,
    /// No provider looks for any: they are other headers to the gateway.
    Untouched,
}

impl Upstream {
    pub(super) fn new(identity: Identity, providers: &[Provider]) -> Self {
        let Identity { claim_to_headers, caller_to_headers, forward_token, replace_token } = identity;
        let token = match &replace_token {
            _ if !providers.iter().any(|provider| provider.token().is_some()) => Token::Untouched,
            Some(_) => Token::Replaced,
            None if forward_token => Token::Forwarded,
            None => Token::Stripped,
        };
        // Without providers the gateway leaves all headers alone.
        let claims = claim_to_headers.into_iter().filter(|_| !providers.is_empty()).map(Header::from);
        let callers = caller_to_headers.into_iter().filter(|_| !providers.is_empty()).map(Header::from);
        Self { headers: claims.chain(callers).collect(), token, replacement: replace_token }
    }

    /// What becomes of tokens, in a sentence.
    pub(super) fn token(&self) -> String {
        match (self.token, &self.replacement) {
            (Token::Replaced, Some(ReplaceToken { scheme, credential })) => {
                format!("replaced: in the place of a verified one goes {} and the secret {}", word(scheme), word(&credential.secret))
            }
            (Token::Replaced, None) => "replaced".to_owned(),
            (Token::Stripped, _) => "stripped: none goes on".to_owned(),
            (Token::Forwarded, _) => "forwarded: verified ones go on, others don't".to_owned(),
            (Token::Untouched, _) => "untouched: no provider looks for any".to_owned(),
        }
    }
}

impl Header {
    /// `claim roles, parted by ","`
    pub(super) fn tells(&self) -> String {
        let claim = self.claim.as_ref().map(|claim| format!("claim {}", word(claim)));
        let caller = self.caller.as_ref().map(|caller| match caller.as_str() {
            "provider" => "which providers vouch for the caller".to_owned(),
            fact => format!("the caller's {fact}"),
        });
        let provider = self.provider.as_ref().map(|provider| format!("of {}", word(provider)));
        let tells: Vec<String> = claim.into_iter().chain(caller).chain(provider).collect();
        let separator = self.separator.as_ref().map(|separator| format!(", parted by {separator:?}")).unwrap_or_default();
        tells.join(" ") + &separator
    }
}

impl From<ClaimToHeader> for Header {
    fn from(ClaimToHeader { claim, header, separator, provider }: ClaimToHeader) -> Self {
        Self { name: header, claim: Some(claim), separator, provider, caller: None }
    }
}

impl From<CallerToHeader> for Header {
    fn from(CallerToHeader { caller, header }: CallerToHeader) -> Self {
        Self { name: header, claim: None, separator: None, provider: None, caller: Some(caller) }
    }
}
