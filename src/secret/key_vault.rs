// SPDX-License-Identifier: Apache-2.0
//! Azure Key Vault's questions and answers: <https://learn.microsoft.com/en-us/rest/api/keyvault/secrets/get-secret/get-secret>.

use std::fmt;
use std::str::FromStr;

use super::reference::KeyVaultSecret;
use crate::json::{self, Value};
use crate::uri::FetchUri;

/// A vault: `https://shop-kv.vault.azure.net`. Its host tells the cloud, and with it for whom a token must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultUri {
    /// The vault's host.
    pub authority: String,
    /// For whom tokens must be, percent-encoded as it stands in a query.
    pub resource: &'static str,
}

impl FromStr for VaultUri {
    type Err = InvalidVaultUri;

    fn from_str(text: &str) -> Result<Self, InvalidVaultUri> {
        let FetchUri { scheme, authority, path } = text.parse().map_err(|_| InvalidVaultUri)?;
        let (name, cloud) = authority.split_once('.').ok_or(InvalidVaultUri)?;
        let (_, resource) = CLOUDS.iter().find(|(host, _)| *host == cloud).ok_or(InvalidVaultUri)?;
        let sound = (3..=24).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if scheme == "https" && path == "/" && sound { Ok(Self { authority, resource }) } else { Err(InvalidVaultUri) }
    }
}

/// Text that is no vault's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidVaultUri;

impl fmt::Display for InvalidVaultUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a vault such as https://shop-kv.vault.azure.net, or one at vault.azure.cn or vault.usgovcloudapi.net")
    }
}

impl std::error::Error for InvalidVaultUri {}

impl KeyVaultSecret {
    /// Where it is asked for.
    #[must_use]
    pub fn uri(&self) -> FetchUri {
        let version = self.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
        let path = format!("/secrets/{}{version}?api-version=7.4", self.name);
        FetchUri { scheme: "https", authority: self.vault.authority.clone(), path }
    }
}

/// The secret in an answer, a `SecretBundle`.
///
/// # Errors
///
/// What was expected and what was found, of which nothing is quoted.
pub(super) fn read(body: &[u8]) -> Result<String, String> {
    let node = json::parse(body).map_err(|_| "expected a secret of Key Vault's, found no JSON".to_owned())?;
    match node.member("value").map(|node| &node.value) {
        Some(Value::String(value)) => Ok(value.clone()),
        _ => Err("expected a secret of Key Vault's, found no text `value`".to_owned()),
    }
}

/// The hosts of the clouds' vaults, and for whom tokens must be there.
const CLOUDS: [(&str, &str); 3] = [
    ("vault.azure.net", "https%3A%2F%2Fvault.azure.net"),
    ("vault.azure.cn", "https%3A%2F%2Fvault.azure.cn"),
    ("vault.usgovcloudapi.net", "https%3A%2F%2Fvault.usgovcloudapi.net"),
];
