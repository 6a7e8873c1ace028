// SPDX-License-Identifier: Apache-2.0
//! Stage: who calls. It finds the credential, verifies it, and tells whether the route's rules are met.
//!
//! A JSON Web Token is believed only when it is proven: RFC 7515 and RFC 7519, as strictly as RFC 8725 asks. It is bounded before it is decoded,
//! read in one way only, and verified by a key that its issuer has published, under an algorithm that the policy allows and the key is for.
//!
//! | module | what it holds |
//! |---|---|
//! | `credential` | where a request carries its token |
//! | `token`, `claims`, `members`, `base64url` | what it says, read strictly |
//! | `algorithm`, `key`, `jwk`, `host` | what it is verified with, and by whom |
//! | `source`, `discovery`, `answer`, `absent`, `record`, `uri` | where keys come from, and who of many VMs fetches them |
//! | `cache`, `keyring`, `provider` | what a gateway keeps |

mod absent;
mod algorithm;
mod answer;
mod base64url;
mod cache;
mod claims;
mod credential;
mod discovery;
mod host;
mod jwk;
mod key;
mod keyring;
mod members;
mod provider;
mod record;
mod source;
mod token;
mod uri;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims::ClaimRules;
pub use credential::{Carried, TokenPlace};
pub use jwk::{InvalidJwk, InvalidPublished, Published, published, read as read_jwk};
pub use key::{InvalidKey, InvalidKeySet, Key, KeySet};
pub use provider::{Keys, Provider};
pub use source::{Location, OnUnavailable, SourcePolicy};
pub use uri::{FetchUri, InvalidUri};

#[cfg(any(test, fuzzing))]
pub use token::accepted_has_one_spelling as fuzz_token;

pub(crate) use jwk::MAX_KEY_ID;
pub(crate) use key::MAX_KEYS;
pub(crate) use keyring::KeyRing;

use crate::decision::{Decision, Reason, Refusal};
use crate::effect::ExchangeId;
use crate::head::RequestHead;
use crate::inputs::Inputs;
use crate::metrics::{Counter, Counts};
use crate::route::{Requirement, Route};
use keyring::Proof;

/// Whether the route's rules are met, all of them; `None` while that hangs on keys which may still come.
///
/// A rule in `mode: shadow` makes nobody wait.
pub(crate) fn decide(
    route: &Route,
    head: &RequestHead<'_>,
    id: ExchangeId,
    providers: &[Provider],
    ring: &mut KeyRing,
    inputs: &mut Inputs<'_>,
    counts: &mut Counts,
) -> Option<Decision> {
    let mut shadow = None;
    for rule in &route.rules {
        let refusal = match rule.require {
            Requirement::Anonymous => None,
            Requirement::Deny => Some(Refusal::new(403, Reason::AccessDenied)),
            Requirement::Caller { provider: index } => {
                // The policy was checked: there is one.
                let Some(provider) = providers.get(index) else {
                    return Some(Decision::Refused(Refusal::new(403, Reason::AccessDenied)));
                };
                let patient = (!rule.shadow).then_some(id);
                let proof = match credential::find(head, &provider.places) {
                    Carried::Nothing => Proof::Refused(Reason::TokenNotPresent),
                    Carried::Several => Proof::Refused(Reason::TokenAmbiguous),
                    Carried::Token(text) => ring.verify(index, provider, &text, patient, inputs, counts),
                };
                match proof {
                    Proof::Verified => None,
                    Proof::Unverified => {
                        counts.add(Counter::TokenUnverified);
                        None
                    }
                    Proof::Refused(reason) => Some(Refusal::new(status(reason), reason).challenged(provider.scheme())),
                    Proof::Wait => return None,
                }
            }
        };
        match refusal {
            None => {}
            Some(refusal) if rule.shadow => shadow = Some(refusal.reason()),
            Some(refusal) => return Some(Decision::Refused(refusal)),
        }
    }
    Some(Decision::Admitted { shadow })
}

/// Keys that can't be had are no fault of the caller's.
const fn status(reason: Reason) -> u16 {
    if matches!(reason, Reason::TokenKeysUnavailable) { 503 } else { 401 }
}

#[cfg(test)]
mod tests;
