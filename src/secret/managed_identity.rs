// SPDX-License-Identifier: Apache-2.0
//! Tokens of a managed identity, from Azure's instance metadata service:
//! <https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http>.

use super::reference::KeyVaultSecret;
use super::source::Pending;
use super::value::SecretText;
use crate::effect::{CallId, Fetch};
use crate::json::{self, Value};
use crate::uri::FetchUri;

/// A managed identity, and its token for one cloud's vaults.
#[derive(Debug)]
pub(super) struct ManagedIdentity {
    client_id: Option<String>,
    resource: &'static str,
    cluster: String,
    token: Option<Token>,
    /// Counts tokens.
    serial: u64,
    pub(super) under_way: Option<Pending>,
}

#[derive(Debug)]
struct Token {
    authorization: SecretText,
    /// When another one is asked for, a margin before it expires; on the monotonic clock, in nanoseconds.
    until: u64,
    /// From when it came until then.
    lasts: u64,
}

impl ManagedIdentity {
    pub(super) fn of(secret: &KeyVaultSecret) -> Self {
        let (client_id, cluster) = (secret.client_id.clone(), secret.imds_cluster.clone());
        Self { client_id, resource: secret.vault.resource, cluster, token: None, serial: 0, under_way: None }
    }

    /// Whether it is the secret's.
    pub(super) fn is_of(&self, secret: &KeyVaultSecret) -> bool {
        (&self.client_id, self.resource, &self.cluster) == (&secret.client_id, secret.vault.resource, &secret.imds_cluster)
    }

    /// What stands in `authorization`, and which of its tokens that is; `None` where there is none that counts.
    pub(super) fn authorization(&self, now: u64) -> Option<(SecretText, u64)> {
        // One that counts for longer than it was given for is a clock's that has jumped.
        let token = self.token.as_ref().filter(|token| now < token.until && token.until <= now.saturating_add(token.lasts))?;
        Some((token.authorization.clone(), self.serial))
    }

    /// The vault has refused this token: it counts no more.
    pub(super) fn refused(&mut self, serial: u64) {
        if self.serial == serial {
            self.token = None;
        }
    }

    /// Asks for a token, unless that is under way.
    pub(super) fn fetch(&mut self, call: &mut dyn FnMut() -> CallId, timeout: u64, now: u64) -> Option<Fetch> {
        if self.under_way.is_some() {
            return None;
        }
        let call = call();
        self.under_way = Some(Pending::new(call, timeout, now));
        let resource = self.resource;
        let client_id = self.client_id.as_ref().map(|id| format!("&client_id={id}")).unwrap_or_default();
        let path = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{client_id}");
        let uri = FetchUri { scheme: "http", authority: HOST.to_owned(), path };
        // It is there to show that nobody else's request was passed on: it is no secret.
        let headers = SecretText::read(None, "true").map(|value| vec![("metadata", value)]).unwrap_or_default();
        Some(Fetch { call, cluster: self.cluster.clone(), uri, accept: "application/json", headers, timeout, max_body: MAX_ANSWER })
    }

    /// Takes an answer's body.
    ///
    /// # Errors
    ///
    /// What was expected and what was found, of which nothing is quoted.
    pub(super) fn take(&mut self, body: &[u8], now: u64) -> Result<(), String> {
        let node = json::parse(body).map_err(|_| "expected a token, found no JSON".to_owned())?;
        let text = |name| match node.member(name).map(|node| &node.value) {
            Some(Value::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let token = text("access_token").filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
        let authorization = token.and_then(|token| SecretText::read(Some("Bearer"), token).ok());
        let authorization = authorization.ok_or("expected a token, found no `access_token` that can stand in a header")?;
        // A text there, a number from services that answer in its place.
        let seconds = match node.member("expires_in").map(|node| &node.value) {
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Integer(seconds)) => u64::try_from(*seconds).ok(),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
        let seconds = seconds.ok_or_else(|| format!("expected `expires_in` from 1 to {LONGEST} seconds, found something else"))?;
        let lasts = seconds.saturating_mul(SECOND);
        let lasts = lasts.saturating_sub(MARGIN.min(lasts / 5));
        self.serial = self.serial.saturating_add(1);
        self.token = Some(Token { authorization, until: now.saturating_add(lasts), lasts });
        Ok(())
    }
}

/// The service's address, the same in every virtual network of Azure's.
pub const HOST: &str = "169.254.169.254";
const SECOND: u64 = 1_000_000_000;
/// Another token is asked for so long before one expires, or a fifth of its time where that is less, in nanoseconds.
const MARGIN: u64 = 300 * SECOND;
/// Seconds that no token counts for: Entra ID's count for a day, or 28 hours at most.
const LONGEST: u64 = 172_800;
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 65_536;
