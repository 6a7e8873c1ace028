// SPDX-License-Identifier: Apache-2.0
//! Tokens of the test issuer's for recorded requests: sound ones, and ones with the very fault that the record names. They prove a policy's rules,
//! nothing about signatures.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value, json};
use tracegate::Reason;
use tracegate::caller::CallerMatch;
use tracegate::identity::{Algorithm, ClaimRules, IssuerRule, Keys, TenantAudience, TokenPlace, TokenProvider};

use super::claims;
use super::place;
use super::token::Unmintable;
use crate::error::Result;
use crate::issuer::{Issuer, text};
use crate::keys;
use crate::recording::Request;

/// Mints tokens.
#[derive(Debug)]
pub(super) struct Mint {
    pub(super) issuer: Issuer,
    /// The last token for each purpose, and when it was issued: a client's, too, serves for a while.
    kept: BTreeMap<String, (i64, String)>,
}

/// What a token is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Purpose {
    /// Whose policy it is for, and which provider of it.
    pub(super) owner: (usize, usize),
    /// What is to be wrong with it.
    pub(super) fault: Option<Reason>,
    /// Who calls, and what else rules ask.
    pub(super) claims: Map<String, Value>,
}

impl Purpose {
    /// What tells it from others.
    fn name(&self) -> String {
        let Self { owner: (side, provider), fault, claims } = self;
        format!("{side} {provider} {} {}", fault.map_or("sound", Reason::as_str), Value::Object(claims.clone()))
    }
}

/// What a provider's tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Signing {
    /// The issuer's own key, which it publishes.
    Published(Algorithm),
    /// A secret of the policy's, under this id.
    Shared(Algorithm, Option<String>, Vec<u8>),
}

impl std::fmt::Debug for Signing {
    /// Shows no secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Published(algorithm) | Self::Shared(algorithm, ..) => write!(formatter, "Signing({algorithm})"),
        }
    }
}

impl Signing {
    /// `None` where the policy holds the public keys alone: their owner signs, nobody else. `seed` is that of stand-ins.
    pub(super) fn of(provider: &TokenProvider, seed: u64) -> Option<Self> {
        match &provider.keys {
            Keys::Inline(_) => None,
            Keys::Published(_) => provider.algorithms.first().copied().map(Self::Published),
            Keys::Secrets(secrets) => {
                let (id, reference) = secrets.first()?;
                let secret = keys::secret(&keys::value(reference, seed))?;
                let algorithm = provider.algorithms.iter().copied().find(|algorithm| secret.len() >= least(*algorithm))?;
                Some(Self::Shared(algorithm, id.clone(), secret))
            }
        }
    }
}

/// The shortest secret, in bytes (RFC 7518 section 3.2).
const fn least(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Hs384 => 48,
        Algorithm::Hs512 => 64,
        _ => 32,
    }
}

/// What a token must claim, so that all of these let its holder in but for the fault; it names the recorded user.
pub(super) fn claims(
    provider: &TokenProvider,
    callers: &[&CallerMatch],
    user: Option<&str>,
    fault: Option<Reason>,
) -> Result<Map<String, Value>, Unmintable> {
    let (issuer, mut own) = issued(&provider.claims.issuer);
    let audience = provider.claims.audiences.first().map(String::as_str).unwrap_or_default();
    own.extend([("iss", json!(issuer)), ("aud", json!(audience))].map(|(name, value)| (name.to_owned(), value)));
    // Of dates no rule can say more than that there are some.
    own.extend(["iat", "nbf", "exp"].map(|name| (name.to_owned(), json!(true))));
    claims::of(provider, callers, &own, user.unwrap_or(SUBJECT), fault)
}

/// The fault of a token that a reason names, if it is one that a token of this provider's can have.
pub(super) fn fault(reason: &str, provider: &TokenProvider) -> Option<Reason> {
    let fault = FAULTS.into_iter().find(|fault| fault.as_str() == reason)?;
    // Gateways make two lines of `Authorization` one.
    let one_place = matches!(provider.places.as_slice(), [TokenPlace::Authorization { .. }]);
    (fault != Reason::TokenAmbiguous || !one_place).then_some(fault)
}

impl Mint {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer, kept: BTreeMap::new() }
    }

    /// Signs with other keys from now on.
    pub(super) fn rotate(&mut self) -> Result<()> {
        self.kept.clear();
        self.issuer.rotate()
    }

    /// The request with a token, in the first place where the provider looks for one, instead of what was recorded in any of them. `now` is in
    /// nanoseconds.
    pub(super) fn request(
        &mut self,
        recorded: &Request,
        provider: &TokenProvider,
        signing: &Signing,
        purpose: &Purpose,
        now: i64,
    ) -> Result<Request> {
        let mut request = recorded.clone();
        provider.places.iter().for_each(|place| place::clear(&mut request, place));
        let copies = match purpose.fault {
            Some(Reason::TokenNotPresent) => 0,
            Some(Reason::TokenAmbiguous) => 2,
            _ => 1,
        };
        // Two tokens stand in two places, where there are as many.
        let places = provider.places.iter().cycle().take(copies);
        let token = self.token(signing, &provider.claims, purpose, now)?;
        places.for_each(|place| place::put(&mut request, place, &token));
        Ok(request)
    }

    fn token(&mut self, signing: &Signing, claims: &ClaimRules, purpose: &Purpose, now: i64) -> Result<String> {
        let now = now.div_euclid(1_000_000_000);
        let most = claims.max_lifetime.unwrap_or(LIFETIME);
        // Good for five minutes at least, where the policy lets it, and the same for a whole minute.
        let (issued, lifetime) = if most < LIFETIME { (now, most.min(LEAST_LIFETIME)) } else { (now - now.rem_euclid(MINUTE), LIFETIME) };
        let name = purpose.name();
        if let Some((_, token)) = self.kept.get(&name).filter(|(at, _)| *at == issued) {
            return Ok(token.clone());
        }
        let times = match purpose.fault {
            Some(Reason::TokenExpired) => issued - claims.clock_skew - lifetime - MINUTE,
            Some(Reason::TokenNotYetValid) => issued + claims.clock_skew + 2 * MINUTE,
            _ => issued,
        };
        let token = self.fresh(signing, claims, purpose, times..times + lifetime)?;
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
        self.kept.insert(name, (issued, token.clone()));
        Ok(token)
    }

    /// `times` are those for which it is good, in seconds.
    fn fresh(&mut self, signing: &Signing, claims: &ClaimRules, purpose: &Purpose, times: Range<i64>) -> Result<String> {
        let (algorithm, id) = match signing {
            Signing::Published(algorithm) => (*algorithm, Some(self.issuer.key_id(*algorithm))),
            Signing::Shared(algorithm, id, secret) => {
                self.issuer.share(secret.clone());
                (*algorithm, id.clone())
            }
        };
        let fault = purpose.fault;
        let (mut issuer, mut payload) = issued(&claims.issuer);
        let mut audience = claims.audiences.first().cloned().unwrap_or_default();
        let (mut alg, mut id) = (algorithm.as_str(), id);
        match fault {
            Some(Reason::JwtInvalid) => return Ok("minted.malformed.token".to_owned()),
            Some(Reason::TokenIssuerNotAllowed) => issuer.push_str("/not-this-one"),
            Some(Reason::TokenAudienceNotAllowed) => {
                while claims.audiences.contains(&audience) {
                    audience.push_str("-not-this-one");
                }
            }
            Some(Reason::TokenAlgorithmNotAllowed) => alg = "none",
            Some(Reason::TokenSignatureKeyNotFound) => id = Some(UNKNOWN_KEY.to_owned()),
            _ => {}
        }
        let header: Map<String, Value> = [("alg", Some(json!(alg))), ("kid", id.map(Value::from)), ("typ", Some(json!("JWT")))]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let dates = [("iat", times.start), ("nbf", times.start), ("exp", times.end)];
        payload.extend(purpose.claims.clone());
        payload.extend([("iss".to_owned(), json!(issuer)), ("aud".to_owned(), json!(audience))]);
        payload.extend(dates.map(|(name, date)| (name.to_owned(), json!(date))));
        if fault == Some(Reason::TokenLifetimeNotAllowed) {
            payload.remove("exp");
        }
        let (header, payload) = (Value::Object(header).to_string(), Value::Object(payload).to_string());
        if fault == Some(Reason::TokenSignatureInvalid) {
            let signature = self.issuer.sign(algorithm, b"something else")?;
            return Ok(format!("{}.{}.{}", text(header.as_bytes()), text(payload.as_bytes()), text(&signature)));
        }
        self.issuer.compact(algorithm, header.as_bytes(), payload.as_bytes())
    }
}

/// An issuer that a provider believes, and the claims that go with it.
fn issued(rule: &IssuerRule) -> (String, Map<String, Value>) {
    match rule {
        IssuerRule::Exact(issuer) => (issuer.clone(), Map::new()),
        IssuerRule::Entra(tenants) => {
            let tenant = match (&tenants.audience, tenants.only.first()) {
                (TenantAudience::Tenant(tenant), _) | (_, Some(tenant)) => tenant.as_str(),
                (TenantAudience::Consumers, None) => PERSONAL_ACCOUNTS,
                (TenantAudience::Organizations | TenantAudience::Common, None) => SOME_TENANT,
            };
            let issuer = format!("https://{}/{tenant}/v2.0", tenants.cloud.authority());
            (issuer, Map::from_iter([("tid".to_owned(), json!(tenant)), ("ver".to_owned(), json!("2.0"))]))
        }
    }
}

/// Faults that a token can have. That keys can't be had is none.
const FAULTS: [Reason; 13] = [
    Reason::TokenNotPresent,
    Reason::TokenAmbiguous,
    Reason::JwtInvalid,
    Reason::TokenAlgorithmNotAllowed,
    Reason::TokenSignatureKeyNotFound,
    Reason::TokenSignatureInvalid,
    Reason::TokenIssuerNotAllowed,
    Reason::TokenAudienceNotAllowed,
    Reason::TokenExpired,
    Reason::TokenNotYetValid,
    Reason::TokenLifetimeNotAllowed,
    Reason::TokenClaimNotFound,
    Reason::TokenClaimValueNotAllowed,
];
/// Tokens of more callers than these are minted anew.
const MAX_KEPT: usize = 10_000;
/// Seconds.
const MINUTE: i64 = 60;
const LEAST_LIFETIME: i64 = 5 * MINUTE;
const LIFETIME: i64 = LEAST_LIFETIME + MINUTE;
const PERSONAL_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const SOME_TENANT: &str = "00000000-0000-4000-8000-000000000001";
const SUBJECT: &str = "tracegate-replay";
/// No key has this id.
const UNKNOWN_KEY: &str = "no-such-key";
