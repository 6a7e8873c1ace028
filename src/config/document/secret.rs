// SPDX-License-Identifier: Apache-2.0
//! Where secrets are, as written.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Serialize, Serializer};
use sha2::Sha256;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::jwt::{HOUR, duration};
use super::plain_name;
use crate::identity::{FetchUri, Guid};
use crate::secret::{SecretValue, VaultUri};

/// Where a secret is.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Secret {
    /// In an environment variable of the gateway's process that its configuration hands to the module.
    Environment(Environment),
    /// In the policy itself, for tests: whoever reads the policy reads it.
    Literal(Literal),
    /// The body of an answer, fetched when the gateway starts and again and again.
    Http(HttpSecret),
    /// In Azure Key Vault, which a managed identity may read; fetched when the gateway starts and again and again.
    KeyVault(KeyVaultSecret),
}

/// An environment variable.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Environment {
    /// Required: its name. It holds a key in base64; where it replaces tokens, the credential as it is.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")))]
    pub(in crate::config) name: String,
}

/// A secret that is no secret.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Literal {
    /// Required: a key in base64, or a header's value as it is.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(max = 25600), regex(pattern = r"[^ \t\n\f\r]")))]
    #[serde(serialize_with = "text")]
    pub(in crate::config) value: SecretValue,
}

/// A secret that is the body of an answer to a GET.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct HttpSecret {
    /// Required: where to fetch, such as `https://secrets.shop.example/hop-key`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::uri"))]
    pub(in crate::config) uri: Leaf<FetchUri>,
    /// Required: the gateway's cluster that answers. TLS is the cluster's to configure.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) cluster: String,
    /// The longest time from one good answer to the next question: from 1 second to 24 hours, 1 hour by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_interval", schema_with = "schema::duration"))]
    pub(in crate::config) refresh_interval: Leaf<Duration>,
    /// How long one fetch may take: from 100 milliseconds to 30 seconds, 2 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_timeout", schema_with = "schema::duration"))]
    pub(in crate::config) timeout: Leaf<Duration>,
}

/// A secret of Azure Key Vault.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct KeyVaultSecret {
    /// Required: the vault, such as `https://shop-kv.vault.azure.net`; or one of China's (`vault.azure.cn`) or the US government's
    /// (`vault.usgovcloudapi.net`).
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::vault_uri"))]
    pub(in crate::config) vault_uri: Leaf<VaultUri>,
    /// Required: the secret's name there.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9A-Za-z-]{1,127}$")))]
    pub(in crate::config) name: String,
    /// Its version; always the newest by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, regex(pattern = r"^[0-9A-Za-z]{1,64}$")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) version: Option<String>,
    /// Who may read it; by default the identity that the system has assigned to the machine.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) managed_identity: ManagedIdentity,
    /// Required: the gateway's cluster that answers for the vault, by TLS.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) vault_cluster: String,
    /// Required: the gateway's cluster that answers for the instance metadata service, at 169.254.169.254:80.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) imds_cluster: String,
    /// The longest time from one good answer to the next question: from 1 second to 24 hours, 1 hour by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_interval", schema_with = "schema::duration"))]
    pub(in crate::config) refresh_interval: Leaf<Duration>,
    /// How long one fetch may take, of a token as of the secret: from 100 milliseconds to 30 seconds, 2 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "default_timeout", schema_with = "schema::duration"))]
    pub(in crate::config) timeout: Leaf<Duration>,
}

/// A managed identity.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct ManagedIdentity {
    /// The client id of one that a user has assigned; none by default.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::guid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) client_id: Option<Leaf<Guid>>,
}

impl Secret {
    /// The value that stands here, where one does.
    pub(in crate::config) const fn literal_mut(&mut self) -> Option<&mut SecretValue> {
        match self {
            Self::Literal(literal) => Some(&mut literal.value),
            Self::Environment(_) | Self::Http(_) | Self::KeyVault(_) => None,
        }
    }

    /// Puts a keyed digest in the place of the value that stands here, and gives that back.
    pub(in crate::config) fn digest(&mut self) -> Option<SecretValue> {
        let value = self.literal_mut()?;
        // An HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(LITERAL).ok()?;
        mac.update(value.as_str().as_bytes());
        let mut digits = [0; 64];
        let written = hex::encode_to_slice(mac.finalize().into_bytes(), &mut digits);
        debug_assert_eq!(written, Ok(()), "64 digits hold 32 bytes");
        Some(std::mem::replace(value, SecretValue::new(&String::from_utf8_lossy(&digits))))
    }
}

/// Secrets by name.
pub(super) fn secrets(place: Place<'_>, findings: &mut Findings) -> Option<BTreeMap<String, Secret>> {
    let secrets: BTreeMap<String, Secret> = place.map(findings)?;
    let mut fetched: usize = 0;
    for (name, _) in secrets.iter().filter(|(_, secret)| matches!(secret, Secret::Http(_) | Secret::KeyVault(_))) {
        plain_name(&place, name, findings)?;
        fetched = fetched.saturating_add(1);
    }
    if fetched > MAX_FETCHED {
        let text = format!("expected at most {MAX_FETCHED} secrets that are fetched, found {fetched}");
        return place.report(Problem::Invalid(text), findings);
    }
    Some(secrets)
}

impl Decode for Secret {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["environment", "literal", "http", "key_vault"], findings)? {
            ("environment", place) => Environment::decode(place, findings).map(Self::Environment),
            ("literal", place) => Literal::decode(place, findings).map(Self::Literal),
            ("http", place) => HttpSecret::decode(place, findings).map(Self::Http),
            (_, place) => KeyVaultSecret::decode(place, findings).map(Self::KeyVault),
        }
    }
}

impl Decode for Environment {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| {
            let name = place.text(findings)?;
            let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let sound = sound && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
            if sound { Some(name.to_owned()) } else { place.expected("the name of an environment variable", findings) }
        });
        fields.finish(findings);
        Some(Self { name: name? })
    }
}

impl Decode for Literal {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.warn("whoever reads the policy reads the secret: for tests alone", findings);
        let mut fields = place.fields(findings)?;
        let value = fields.required("value", findings).and_then(|place| {
            let value = place.text(findings)?;
            let sound = !value.trim_ascii().is_empty() && value.len() <= MAX_LITERAL;
            if sound { Some(SecretValue::new(value)) } else { place.expected("text of 1 to 25600 bytes", findings) }
        });
        fields.finish(findings);
        Some(Self { value: value? })
    }
}

impl Decode for HttpSecret {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let uri = fields.required("uri", findings).and_then(|place| Leaf::decode(place, findings));
        let cluster = fields.required("cluster", findings).and_then(|place| place.name(findings));
        let refresh_interval = fields.maybe("refresh_interval", findings, interval);
        let timeout = fields.maybe("timeout", findings, timeout);
        fields.finish(findings);
        Some(Self {
            uri: uri?,
            cluster: cluster?,
            refresh_interval: refresh_interval?.or_else(|| Leaf::of(DEFAULT_INTERVAL))?,
            timeout: timeout?.or_else(|| Leaf::of(DEFAULT_TIMEOUT))?,
        })
    }
}

impl Decode for KeyVaultSecret {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let vault_uri = fields.required("vault_uri", findings).and_then(|place| Leaf::decode(place, findings));
        let name = fields.required("name", findings).and_then(|place| {
            let name = place.text(findings)?;
            let sound = matches!(name.len(), 1..=127) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if sound { Some(name.to_owned()) } else { place.expected("1 to 127 letters, digits and `-`", findings) }
        });
        let version = fields.maybe("version", findings, |place, findings| {
            let version = place.text(findings)?;
            let sound = matches!(version.len(), 1..=64) && version.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if sound { Some(version.to_owned()) } else { place.expected("a version of a secret, of letters and digits", findings) }
        });
        let managed_identity = fields.maybe("managed_identity", findings, ManagedIdentity::decode);
        let vault_cluster = fields.required("vault_cluster", findings).and_then(|place| place.name(findings));
        let imds_cluster = fields.required("imds_cluster", findings).and_then(|place| place.name(findings));
        let refresh_interval = fields.maybe("refresh_interval", findings, interval);
        let timeout = fields.maybe("timeout", findings, timeout);
        fields.finish(findings);
        Some(Self {
            vault_uri: vault_uri?,
            name: name?,
            version: version?,
            managed_identity: managed_identity?.unwrap_or_default(),
            vault_cluster: vault_cluster?,
            imds_cluster: imds_cluster?,
            refresh_interval: refresh_interval?.or_else(|| Leaf::of(DEFAULT_INTERVAL))?,
            timeout: timeout?.or_else(|| Leaf::of(DEFAULT_TIMEOUT))?,
        })
    }
}

impl Decode for ManagedIdentity {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let client_id = fields.maybe("client_id", findings, Leaf::decode);
        fields.finish(findings);
        Some(Self { client_id: client_id? })
    }
}

fn interval(place: Place<'_>, findings: &mut Findings) -> Option<Leaf<Duration>> {
    duration(place, 1000..=24 * HOUR, "from 1s to 24h", findings)
}

fn timeout(place: Place<'_>, findings: &mut Findings) -> Option<Leaf<Duration>> {
    duration(place, 100..=30_000, "from 100ms to 30s", findings)
}

fn text<S: Serializer>(value: &SecretValue, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_str().serialize(serializer)
}

#[cfg(feature = "schema")]
fn default_interval() -> &'static str {
    DEFAULT_INTERVAL
}

#[cfg(feature = "schema")]
fn default_timeout() -> &'static str {
    DEFAULT_TIMEOUT
}

const DEFAULT_INTERVAL: &str = "1h";
const DEFAULT_TIMEOUT: &str = "2s";
/// Each has metrics of its own, and is fetched by every worker.
const MAX_FETCHED: usize = 16;
/// Bytes of the longest secret, Key Vault's own bound.
const MAX_LITERAL: usize = 25_600;
/// Keeps digests of literals from being those of anything else.
const LITERAL: &[u8] = b"tracegate literal secret 1\0";
