// SPDX-License-Identifier: Apache-2.0
//! Issuers of JSON Web Tokens, as written.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::condition::at_least_one;
use super::forward::means_something;
use super::keys::Keys;
use super::matcher::names;
use crate::claim::ClaimPath;
use crate::identity::{Algorithm, Key};

/// An issuer of JSON Web Tokens.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Jwt {
    /// Required: the claim `iss`, exactly.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) issuer: String,
    /// Required: any of these must be in the claim `aud`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), inner(length(min = 1))))]
    pub(in crate::config) audiences: Vec<String>,
    /// Required: what tokens may be signed with.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::algorithms"))]
    pub(in crate::config) algorithms: Vec<Leaf<Algorithm>>,
    /// Required: what tokens are verified with.
    pub(in crate::config) keys: Keys,
    /// Where requests carry tokens. Default: in `Authorization`, as `Bearer`.
    #[cfg_attr(feature = "schema", schemars(default = "default_tokens", length(min = 1)))]
    pub(in crate::config) tokens: Vec<TokenPlace>,
    /// How much our clock and the issuer's may differ: up to 10 minutes, 60 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_skew", schema_with = "schema::duration"))]
    pub(in crate::config) clock_skew: Leaf<Duration>,
    /// The longest time from `iat` to `exp`; any by default.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::duration", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) max_lifetime: Option<Leaf<Duration>>,
    /// The longest token in bytes. Default: 8192.
    #[cfg_attr(feature = "schema", schemars(default = "default_length", range(min = MIN_LENGTH, max = MAX_LENGTH)))]
    pub(in crate::config) max_length: u64,
    /// Where tokens name roles: a claim's name, or a JSON Pointer. Default: `roles`.
    #[cfg_attr(feature = "schema", schemars(with = "String", default = "default_roles", length(min = 1, max = 256)))]
    pub(in crate::config) roles_claim: Leaf<ClaimPath>,
    /// Whether each must be bound to its caller's certificate (RFC 8705). Default: `false`; one that is bound is held to it in any case.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) certificate_bound: bool,
}

/// A place where requests carry tokens.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum TokenPlace {
    /// In `Authorization`, after a scheme.
    Authorization(Scheme),
    /// The whole value of this header.
    Header(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))] String),
    /// This parameter of the query.
    Query(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// This cookie.
    Cookie(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::token"))] String),
}

/// What comes before a token in `Authorization`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Scheme {
    /// Required: such as `Bearer`, in any case.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::token"))]
    pub(in crate::config) scheme: String,
}

impl Decode for Jwt {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let issuer = fields.required("issuer", findings).and_then(|place| place.name(findings));
        let audiences = fields.required("audiences", findings).and_then(|place| names(&place, findings));
        let algorithms = fields.required("algorithms", findings).and_then(|place| algorithms(&place, findings));
        let keys_place = fields.required("keys", findings);
        let keys = keys_place.clone().and_then(|place| Keys::decode(place, findings));
        let tokens = fields.maybe("tokens", findings, |place, findings| at_least_one(&place, findings));
        let clock_skew = fields.maybe("clock_skew", findings, clock_skew);
        let max_lifetime =
            fields.maybe("max_lifetime", findings, |place, findings| duration(place, 1000..=99_999 * HOUR, "of 1s at least", findings));
        let max_length = fields.maybe("max_length", findings, |place, findings| place.integer(MIN_LENGTH..=MAX_LENGTH, findings));
        let roles_claim = fields.maybe("roles_claim", findings, Leaf::decode);
        let certificate_bound = fields.maybe("certificate_bound", findings, |place, findings| place.bool(findings));
        fields.finish(findings);
        let (algorithms, keys) = (algorithms?, keys?);
        let fits = |key: &Key| algorithms.iter().any(|algorithm| key.fits(algorithm.value));
        if let Some(place) = keys_place.as_ref().filter(|_| !keys.any(fits)) {
            place.warn("no key here is for any of `algorithms`: every token is refused", findings);
        }
        let symmetric = matches!(keys, Keys::Secrets(_));
        if algorithms.iter().any(|algorithm| algorithm.value.is_symmetric() != symmetric) {
            // With a public key for an HMAC's secret, everybody could sign.
            let text = "expected HS256, HS384 and HS512 beside `secrets`, and the others beside public keys, found a mixture";
            return keys_place?.report(Problem::Invalid(text.to_owned()), findings);
        }
        Some(Self {
            issuer: issuer?,
            audiences: audiences?,
            algorithms,
            keys,
            tokens: tokens?.unwrap_or_else(default_tokens),
            clock_skew: clock_skew?.or_else(|| Leaf::of(DEFAULT_SKEW))?,
            max_lifetime: max_lifetime?,
            max_length: max_length?.unwrap_or(DEFAULT_LENGTH),
            roles_claim: roles_claim?.or_else(|| Leaf::of(DEFAULT_ROLES))?,
            certificate_bound: certificate_bound?.unwrap_or_default(),
        })
    }
}

fn algorithms(place: &Place<'_>, findings: &mut Findings) -> Option<Vec<Leaf<Algorithm>>> {
    let algorithms: Vec<AlgorithmName> = at_least_one(place, findings)?;
    place.each_once(algorithms.iter().map(|AlgorithmName(leaf)| leaf.value).collect(), findings)?;
    Some(algorithms.into_iter().map(|AlgorithmName(leaf)| leaf).collect())
}

struct AlgorithmName(Leaf<Algorithm>);

impl Decode for AlgorithmName {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let known = Algorithm::ALL.map(|algorithm| (algorithm.as_str(), ()));
        place.word(&known, findings)?;
        Leaf::parse(&place, |text| text.parse().map_err(|_| "expected an algorithm"), findings).map(Self)
    }
}

/// How much two clocks may differ.
pub(super) fn clock_skew(place: Place<'_>, findings: &mut Findings) -> Option<Leaf<Duration>> {
    duration(place, 0..=10 * MINUTE, "up to 10m", findings)
}

/// A duration within `range`, in milliseconds, which `words` say.
pub(super) fn duration(
    place: Place<'_>,
    range: RangeInclusive<u64>,
    words: &'static str,
    findings: &mut Findings,
) -> Option<Leaf<Duration>> {
    let leaf: Leaf<Duration> = Leaf::decode(place.clone(), findings)?;
    if range.contains(&leaf.value.milliseconds()) { Some(leaf) } else { place.expected(format!("a duration {words}"), findings) }
}

impl TokenPlace {
    /// The header that it is, if it is one alone.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            Self::Authorization(_) | Self::Query(_) | Self::Cookie(_) => None,
        }
    }
}

impl Decode for TokenPlace {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["authorization", "header", "query", "cookie"], findings)? {
            ("authorization", place) => {
                let mut fields = place.fields(findings)?;
                let scheme = fields.required("scheme", findings).and_then(|place| token(&place, findings));
                fields.finish(findings);
                Some(Self::Authorization(Scheme { scheme: scheme? }))
            }
            ("header", place) => {
                let name = token(&place, findings)?.to_ascii_lowercase();
                // Its scheme must not pass for a part of the token, nor one cookie for another.
                if matches!(name.as_str(), "authorization" | "cookie") {
                    return place.expected("another header: `authorization` and `cookie` are places of their own", findings);
                }
                if means_something(&name) {
                    return place.expected("a header that means nothing else to gateways and services", findings);
                }
                Some(Self::Header(name))
            }
            ("query", place) => place.name(findings).map(Self::Query),
            (_, place) => token(&place, findings).map(Self::Cookie),
        }
    }
}

/// A token in the sense of RFC 9110 section 5.6.2.
pub(super) fn token(place: &Place<'_>, findings: &mut Findings) -> Option<String> {
    let text = place.name(findings)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.bytes().all(sound) { Some(text) } else { place.expected("a name of letters, digits and !#$%&'*+-.^_`|~", findings) }
}

pub(super) fn default_tokens() -> Vec<TokenPlace> {
    vec![TokenPlace::Authorization(Scheme { scheme: "Bearer".to_owned() })]
}

#[cfg(feature = "schema")]
pub(super) fn default_skew() -> String {
    DEFAULT_SKEW.to_owned()
}

#[cfg(feature = "schema")]
fn default_roles() -> String {
    DEFAULT_ROLES.to_owned()
}

#[cfg(feature = "schema")]
const fn default_length() -> u64 {
    DEFAULT_LENGTH
}

pub(super) const MINUTE: u64 = 60_000;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DEFAULT_SKEW: &str = "60s";
const DEFAULT_ROLES: &str = "roles";
/// Bytes of a token.
const MIN_LENGTH: u64 = 256;
const MAX_LENGTH: u64 = 65_536;
const DEFAULT_LENGTH: u64 = 8192;
