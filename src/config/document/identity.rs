// SPDX-License-Identifier: Apache-2.0
//! Who issues tokens, as written.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::condition::{Name, at_least_one};
use super::keys::Keys;
use super::{Document, Requirement};
use crate::identity::{Algorithm, Key};

/// Who calls.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Identity {
    /// Who vouches for callers, by names that rules and metrics use. At most 16.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::providers"))]
    pub(in crate::config) providers: BTreeMap<String, Provider>,
}

/// Who vouches for callers.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Provider {
    /// An issuer of JSON Web Tokens.
    Jwt(Box<Jwt>),
}

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

impl Identity {
    /// Reports what doesn't go together with the rest of the document. `root` is the document's place.
    pub(super) fn check_against(&self, document: &Document, root: &Place<'_>, findings: &mut Findings) {
        let providers = root.descend(&["identity", "providers"]);
        let required = |name: &String| {
            let mut rules = document.routes.iter().flat_map(|route| &route.rules);
            rules.any(|rule| matches!(&rule.require, Requirement::Caller(caller) if caller.provider == *name))
        };
        for name in self.providers.keys().filter(|name| !required(name)) {
            providers.descend(&[name]).warn("no rule requires this provider: it keeps nobody out", findings);
        }
        for (name, Provider::Jwt(jwt)) in &self.providers {
            let Keys::Secrets(keys) = &jwt.keys else { continue };
            for (index, _) in keys.iter().enumerate().filter(|(_, key)| !document.secrets.contains_key(&key.key.secret)) {
                let at = providers.descend(&[name, "jwt", "keys", "secrets"]).item(index).descend(&["key", "secret"]);
                at.report::<()>(Problem::Invalid("expected a name in `secrets`, found another".to_owned()), findings);
            }
        }
        for (index, route) in document.routes.iter().enumerate() {
            for (rule_index, rule) in route.rules.iter().enumerate() {
                let Requirement::Caller(caller) = &rule.require else { continue };
                if !self.providers.contains_key(&caller.provider) {
                    let rule = root.descend(&["routes"]).item(index).descend(&["rules"]).item(rule_index);
                    rule.descend(&["require", "caller", "provider"]).expected::<()>("a name in `identity.providers`", findings);
                }
            }
        }
    }
}

impl Decode for Identity {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let providers = fields.maybe("providers", findings, |place, findings| {
            let providers: BTreeMap<String, Provider> = place.map(findings)?;
            let sound = |name: &String| {
                let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
                name.len() <= 64 && name.bytes().all(known) && !name.starts_with(['_', '-'])
            };
            if let Some(name) = providers.keys().find(|name| !sound(name)) {
                let text = "expected a name of at most 64 lower-case letters, digits, `-` and `_`, found another";
                return place.descend(&[name]).report(Problem::Invalid(text.to_owned()), findings);
            }
            if providers.len() > MAX_PROVIDERS { place.expected("at most 16 providers", findings) } else { Some(providers) }
        });
        fields.finish(findings);
        Some(Self { providers: providers?.unwrap_or_default() })
    }
}

impl Decode for Provider {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let (_, place) = place.choice(&["jwt"], findings)?;
        Jwt::decode(place, findings).map(Box::new).map(Self::Jwt)
    }
}

impl Decode for Jwt {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let issuer = fields.required("issuer", findings).and_then(|place| place.name(findings));
        let audiences = fields.required("audiences", findings).and_then(|place| at_least_one::<Name>(&place, findings));
        let algorithms = fields.required("algorithms", findings).and_then(|place| algorithms(&place, findings));
        let keys_place = fields.required("keys", findings);
        let keys = keys_place.clone().and_then(|place| Keys::decode(place, findings));
        let tokens = fields.maybe("tokens", findings, |place, findings| at_least_one(&place, findings));
        let clock_skew = fields.maybe("clock_skew", findings, |place, findings| duration(place, 0..=10 * MINUTE, "up to 10m", findings));
        let max_lifetime =
            fields.maybe("max_lifetime", findings, |place, findings| duration(place, 1000..=99_999 * HOUR, "of 1s at least", findings));
        let max_length = fields.maybe("max_length", findings, |place, findings| place.integer(MIN_LENGTH..=MAX_LENGTH, findings));
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
            audiences: audiences?.into_iter().map(|Name(name)| name).collect(),
            algorithms,
            keys,
            tokens: tokens?.unwrap_or_else(default_tokens),
            clock_skew: clock_skew?.or_else(|| Leaf::of(DEFAULT_SKEW))?,
            max_lifetime: max_lifetime?,
            max_length: max_length?.unwrap_or(DEFAULT_LENGTH),
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
                Some(Self::Header(name))
            }
            ("query", place) => place.name(findings).map(Self::Query),
            (_, place) => token(&place, findings).map(Self::Cookie),
        }
    }
}

/// A token in the sense of RFC 9110 section 5.6.2.
fn token(place: &Place<'_>, findings: &mut Findings) -> Option<String> {
    let text = place.name(findings)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.bytes().all(sound) { Some(text) } else { place.expected("a name of letters, digits and !#$%&'*+-.^_`|~", findings) }
}

fn default_tokens() -> Vec<TokenPlace> {
    vec![TokenPlace::Authorization(Scheme { scheme: "Bearer".to_owned() })]
}

#[cfg(feature = "schema")]
fn default_skew() -> String {
    DEFAULT_SKEW.to_owned()
}

#[cfg(feature = "schema")]
const fn default_length() -> u64 {
    DEFAULT_LENGTH
}

pub(super) const MINUTE: u64 = 60_000;
pub(super) const HOUR: u64 = 60 * MINUTE;
const DEFAULT_SKEW: &str = "60s";
/// Bytes of a token.
const MIN_LENGTH: u64 = 256;
const MAX_LENGTH: u64 = 65_536;
const DEFAULT_LENGTH: u64 = 8192;
const MAX_PROVIDERS: usize = 16;
