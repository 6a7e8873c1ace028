// SPDX-License-Identifier: Apache-2.0
//! What tokens are verified with, as written.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::condition::at_least_one;
use super::jwt::{HOUR, MINUTE, duration};
use super::trace::SecretName;
use crate::identity::{FetchUri, Key, KeySet, MAX_KEY_ID, MAX_KEYS, read_jwk};
use crate::json::{Node, Written};

/// What tokens are verified with.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Keys {
    /// A JSON Web Key Set of public keys. Keys of types that this version doesn't know are left out.
    Inline(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::key_set"))] InlineKeys),
    /// Public keys in PEM.
    Pem(#[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))] Vec<PemKey>),
    /// Secrets that the issuer shares with us, for HS256, HS384 and HS512.
    Secrets(#[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))] Vec<SecretKey>),
    /// A JSON Web Key Set that the issuer publishes.
    Jwks(Published),
    /// An OpenID Provider's configuration, which says where its key set is.
    Discovery(Published),
}

/// A JSON Web Key Set in the policy: the keys as written, and as read.
#[derive(Clone, Debug, Serialize)]
pub(in crate::config) struct InlineKeys {
    keys: Vec<Written>,
    #[serde(skip)]
    pub(in crate::config) set: KeySet,
}

/// A public key in PEM.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct PemKey {
    /// The `kid` by which tokens name it; none is needed where it is the only key for an algorithm.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1, max = 256)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Required: `-----BEGIN PUBLIC KEY-----` and so on.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    key: Leaf<Key>,
}

impl PemKey {
    pub(in crate::config) fn key(self) -> Key {
        self.key.value.with_id(self.kid)
    }
}

/// A secret that verifies.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct SecretKey {
    /// The `kid` by which tokens name it; none is needed for the only one.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1, max = 256)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) kid: Option<String>,
    /// Required: the secret, at least as long as the hash.
    pub(in crate::config) key: SecretName,
}

/// Keys that the issuer publishes.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Published {
    /// Required: where the key set is, or the configuration: `https://id.shop.example/.well-known/openid-configuration`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::uri"))]
    pub(in crate::config) uri: Leaf<FetchUri>,
    /// Required: the gateway's cluster that answers for it. TLS to the issuer is the cluster's to configure.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) cluster: String,
    /// Only in `discovery`: the cluster that answers for the key set, where that is on another host.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) jwks_cluster: Option<String>,
    /// The longest that keys count as fresh, and how long where the issuer doesn't say: from 1 minute to 24 hours, 1 hour by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_cache", schema_with = "schema::duration"))]
    pub(in crate::config) cache_duration: Leaf<Duration>,
    /// How long keys go on being used when no fresher ones can be had: up to 720 hours, 24 hours by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_stale", schema_with = "schema::duration"))]
    pub(in crate::config) stale_if_error: Leaf<Duration>,
    /// The shortest time between two fetches for keys that nobody has seen yet: from 1 second to 24 hours, 5 minutes by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_interval", schema_with = "schema::duration"))]
    pub(in crate::config) unknown_kid_interval: Leaf<Duration>,
    /// How long one fetch may take: from 100 milliseconds to 30 seconds, 2 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_timeout", schema_with = "schema::duration"))]
    pub(in crate::config) timeout: Leaf<Duration>,
    /// How long a request waits for keys: up to 1 minute, 5 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_wait", schema_with = "schema::duration"))]
    pub(in crate::config) wait: Leaf<Duration>,
    /// What becomes of a request when there are no keys. Default: `refuse`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) on_unavailable: OnUnavailable,
}

/// What becomes of a request when there are no keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnUnavailable {
    /// It is answered with 503.
    #[default]
    Refuse,
    /// It goes on if its token claims what it should: anybody can write such a token.
    Admit,
}

impl Keys {
    /// Whether a key is so; of keys that are elsewhere, one may be.
    pub(super) fn any(&self, is: impl Fn(&Key) -> bool) -> bool {
        match self {
            Self::Inline(inline) => inline.set.iter().any(is),
            Self::Pem(keys) => keys.iter().any(|key| is(&key.key.value)),
            Self::Secrets(_) | Self::Jwks(_) | Self::Discovery(_) => true,
        }
    }
}

impl Decode for Keys {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["inline", "pem", "secrets", "jwks", "discovery"], findings)? {
            ("inline", place) => InlineKeys::decode(place, findings).map(Self::Inline),
            ("pem", place) => {
                let keys: Vec<PemKey> = at_least_one(&place, findings)?;
                set(&place, keys.iter().cloned().map(PemKey::key).collect(), findings)?;
                Some(Self::Pem(keys))
            }
            ("secrets", place) => {
                let keys: Vec<SecretKey> = at_least_one(&place, findings)?;
                let mut ids = BTreeSet::new();
                if keys.len() > MAX_KEYS || keys.iter().filter_map(|key| key.kid.as_ref()).any(|kid| !ids.insert(kid)) {
                    return place.report(Problem::Invalid("expected at most 100 keys, each `kid` once".to_owned()), findings);
                }
                Some(Self::Secrets(keys))
            }
            ("jwks", place) => {
                let published = Published::decode(place.clone(), findings)?;
                if published.jwks_cluster.is_some() {
                    let text = "expected `jwks_cluster` in `discovery` alone, found it in `jwks`";
                    return place.report(Problem::Invalid(text.to_owned()), findings);
                }
                Some(Self::Jwks(published))
            }
            (_, place) => Published::decode(place, findings).map(Self::Discovery),
        }
    }
}

fn set(place: &Place<'_>, keys: Vec<Key>, findings: &mut Findings) -> Option<KeySet> {
    match KeySet::new(keys) {
        Ok(keys) => Some(keys),
        Err(invalid) => place.report(Problem::Invalid(invalid.to_string()), findings),
    }
}

impl Decode for InlineKeys {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let keys_place = fields.required("keys", findings);
        fields.finish(findings);
        let keys_place = keys_place?;
        let keys: Vec<InlineKey> = at_least_one(&keys_place, findings)?;
        let written = keys.iter().map(|key| Written(key.written.clone())).collect();
        let set = set(&keys_place, keys.into_iter().filter_map(|key| key.key).collect(), findings)?;
        if set.is_empty() {
            return keys_place.report(Problem::Invalid("expected at least one key of use, found none".to_owned()), findings);
        }
        Some(Self { keys: written, set })
    }
}

struct InlineKey {
    written: Node,
    key: Option<Key>,
}

impl Decode for InlineKey {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match read_jwk(place.node()) {
            Ok(key) => {
                if key.is_none() {
                    place.warn("a key of a type that isn't known, or that isn't for signatures: it is left out", findings);
                }
                Some(Self { written: place.node().clone(), key })
            }
            Err(invalid) => place.report(Problem::Invalid(invalid.to_string()), findings),
        }
    }
}

impl Decode for PemKey {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let kid = fields.maybe("kid", findings, key_id);
        let key = fields.required("key", findings).and_then(|place| {
            let text = place.text(findings)?;
            match Key::from_pem(text) {
                Ok(_) => Leaf::parse(&place, Key::from_pem, findings),
                Err(invalid) => place.report(Problem::Invalid(format!("{invalid}, found something else")), findings),
            }
        });
        fields.finish(findings);
        Some(Self { kid: kid?, key: key? })
    }
}

impl Decode for SecretKey {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let kid = fields.maybe("kid", findings, key_id);
        let key = fields.required("key", findings).and_then(|place| SecretName::decode(place, findings));
        fields.finish(findings);
        Some(Self { kid: kid?, key: key? })
    }
}

fn key_id(place: Place<'_>, findings: &mut Findings) -> Option<String> {
    let id = place.name(findings)?;
    if id.len() <= MAX_KEY_ID { Some(id) } else { place.expected("at most 256 bytes", findings) }
}

impl Decode for Published {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let uri = fields.required("uri", findings).and_then(|place| Leaf::decode(place, findings));
        let cluster = fields.required("cluster", findings).and_then(|place| place.name(findings));
        let jwks_cluster = fields.maybe("jwks_cluster", findings, |place, findings| place.name(findings));
        let mut time = |name, range, words, default| {
            let time = fields.maybe(name, findings, |place, findings| duration(place, range, words, findings))?;
            time.or_else(|| Leaf::of(default))
        };
        let cache_duration = time("cache_duration", MINUTE..=24 * HOUR, "from 1m to 24h", DEFAULT_CACHE);
        let stale_if_error = time("stale_if_error", 0..=720 * HOUR, "up to 720h", DEFAULT_STALE);
        let unknown_kid_interval = time("unknown_kid_interval", 1000..=24 * HOUR, "from 1s to 24h", DEFAULT_INTERVAL);
        let timeout = time("timeout", 100..=30_000, "from 100ms to 30s", DEFAULT_TIMEOUT);
        let wait = time("wait", 0..=MINUTE, "up to 1m", DEFAULT_WAIT);
        let words = [("refuse", OnUnavailable::Refuse), ("admit", OnUnavailable::Admit)];
        let on_unavailable = fields.maybe("on_unavailable", findings, |place, findings| place.word(&words, findings));
        let choice = fields.optional("on_unavailable");
        if let (Some(Some(OnUnavailable::Admit)), Some(place)) = (on_unavailable, choice) {
            place.warn("without keys every token that claims what it should is believed: anybody can write one", findings);
        }
        fields.finish(findings);
        Some(Self {
            uri: uri?,
            cluster: cluster?,
            jwks_cluster: jwks_cluster?,
            cache_duration: cache_duration?,
            stale_if_error: stale_if_error?,
            unknown_kid_interval: unknown_kid_interval?,
            timeout: timeout?,
            wait: wait?,
            on_unavailable: on_unavailable?.unwrap_or_default(),
        })
    }
}

#[cfg(feature = "schema")]
fn default_cache() -> String {
    DEFAULT_CACHE.to_owned()
}

#[cfg(feature = "schema")]
fn default_stale() -> String {
    DEFAULT_STALE.to_owned()
}

#[cfg(feature = "schema")]
fn default_interval() -> String {
    DEFAULT_INTERVAL.to_owned()
}

#[cfg(feature = "schema")]
fn default_timeout() -> String {
    DEFAULT_TIMEOUT.to_owned()
}

#[cfg(feature = "schema")]
fn default_wait() -> String {
    DEFAULT_WAIT.to_owned()
}

const DEFAULT_CACHE: &str = "1h";
const DEFAULT_STALE: &str = "24h";
const DEFAULT_INTERVAL: &str = "5m";
const DEFAULT_TIMEOUT: &str = "2s";
const DEFAULT_WAIT: &str = "5s";
