// SPDX-License-Identifier: Apache-2.0
//! Stage: who calls. It finds the credentials that the route's rules ask for, verifies them, tells whether the rules are met, and sees to it that
//! the upstream learns of the caller from the gateway alone.
//!
//! A JSON Web Token is believed only when it is proven: RFC 7515 and RFC 7519, as strictly as RFC 8725 asks. It is bounded before it is decoded,
//! read in one way only, and verified by a key that its issuer has published, under an algorithm that the policy allows and the key is for.
//!
//! | module | what it holds |
//! |---|---|
//! | `credential` | where a request carries its token |
//! | `token`, `claims`, `members`, `base64url` | what it says, read strictly |
//! | `algorithm`, `key`, `jwk`, `host` | what it is verified with, and by whom |
//! | `source`, `discovery`, `answer`, `absent`, `record` | where keys come from, and who of many VMs fetches them |
//! | `entra` | what is asked of tokens of Entra ID |
//! | `subscription` | keys of subscriptions |
//! | `certificate`, `xfcc`, `binding` | client certificates, those that a proxy tells of, tokens that are bound to one |
//! | `cache`, `keyring`, `provider` | what a gateway keeps |
//! | `rules` | whether a route's rules are met |
//! | `forward` | what the upstream learns |

mod absent;
mod algorithm;
mod answer;
mod base64url;
mod binding;
mod cache;
mod certificate;
mod claims;
mod credential;
mod discovery;
mod entra;
mod forward;
mod host;
mod jwk;
mod key;
mod keyring;
mod members;
mod provider;
mod record;
mod rules;
mod source;
mod subscription;
mod token;
mod xfcc;

pub use crate::uri::{FetchUri, InvalidUri};
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use certificate::{CertificateProvider, ForwardedClientCert};
pub use claims::{ClaimRules, IssuerRule};
pub use credential::{Carried, TokenPlace};
pub use entra::{Cloud, EntraRules, EntraTenants, Guid, InvalidGuid, InvalidTenant, TenantAudience, Workload};
pub use forward::{ForwardPolicy, IdentityHeader, Replacement, Telling};
pub use jwk::{InvalidJwk, InvalidPublished, Published, published, read as read_jwk};
pub use key::{InvalidKey, InvalidKeySet, Key, KeySet};
pub use provider::{Credential, Keys, Provider, TokenProvider};
pub use source::{Location, OnUnavailable, SourcePolicy};
pub use subscription::{InvalidKeyDigest, KeyDigest, Subscription, SubscriptionKeys};

#[cfg(any(test, fuzzing))]
pub use token::accepted_has_one_spelling as fuzz_token;

pub(crate) use jwk::MAX_KEY_ID;
pub(crate) use key::MAX_KEYS;
pub(crate) use keyring::KeyRing;

use crate::caller::Caller;
use crate::decision::Decision;
use crate::effect::ExchangeId;
use crate::head::RequestHead;
use crate::inputs::Inputs;
use crate::metrics::Counts;
use crate::route::Route;
use rules::{Examination, Finding, Found, Met, Ruled};

pub(crate) use forward::{Handover, guard_trailers};

/// What the policy says about callers.
#[derive(Clone, Debug, Default)]
pub struct IdentityPolicy {
    /// Who vouches for them.
    pub providers: Vec<Provider>,
    /// What the upstream is told of them.
    pub forward: ForwardPolicy,
    /// What becomes of `x-forwarded-client-cert`.
    pub forwarded_client_cert: ForwardedClientCert,
    /// Proxies of ours before the listener.
    pub trusted_hops: usize,
    /// What clients without a key are told that they want to enter, in printable ASCII without quotes and backslashes.
    pub realm: String,
}

/// What is known of a request's caller.
#[derive(Debug)]
pub(crate) struct Identified<'r> {
    pub(crate) decision: Decision,
    /// The rule that refused it, or the first in `mode: shadow` that would have.
    pub(crate) rule: Option<&'r str>,
    pub(crate) caller: Caller,
    /// The providers whose credentials may go on, by their places in the policy.
    pub(crate) passed: Vec<usize>,
}

/// Whether the route's rules are met, all of them; `None` while that hangs on keys which may still come.
///
/// A rule in `mode: shadow` makes nobody wait.
pub(crate) fn decide<'r>(
    route: &'r Route,
    head: &RequestHead<'_>,
    id: ExchangeId,
    policy: &IdentityPolicy,
    ring: &mut KeyRing,
    inputs: &mut Inputs<'_>,
    counts: &mut Counts,
) -> Option<Identified<'r>> {
    ring.rouse(id);
    let mut examination = Examination { head, id, policy, ring, inputs, counts, certificate: None, found: Vec::new() };
    let Ruled { met, shadow, rule } = examination.route(route);
    let found = examination.found;
    let decision = match met {
        Met::Yes => Decision::Admitted { shadow },
        Met::No(refusal) => Decision::Refused(refusal),
        Met::Wait => return None,
    };
    Some(Identified { decision, rule, caller: rules::caller(&found, false), passed: passed(&found, policy) })
}

/// A credential goes on where it is verified, or where the policy lets it pass without; one that only rules in `mode: shadow` have asked for goes on
/// whatever it came to, unless another rule has looked at the same place and found nothing that counts: they change nothing for anybody, were the
/// policy's audience wrong or the issuer down.
fn passed(found: &[Found], policy: &IdentityPolicy) -> Vec<usize> {
    let counts = |found: &Found| matches!(found.finding, Finding::Proven(_) | Finding::Unverified(_));
    let places = |found: &Found| policy.providers.get(found.provider).and_then(Provider::token).map_or(&[][..], |token| &token.places);
    let refused = |place: &TokenPlace| found.iter().any(|other| other.enforced && !counts(other) && places(other).contains(place));
    let passes = |found: &&Found| counts(found) || (!found.enforced && !places(found).iter().any(refused));
    found.iter().filter(passes).map(|found| found.provider).collect()
}

#[cfg(test)]
mod tests;
