// SPDX-License-Identifier: Apache-2.0
//! OpenID Provider configurations: OpenID Connect Discovery 1.0 sections 3 and 4.3.

use super::members::Members;
use super::source::{Location, SourcePolicy};
use crate::json::{self, Value};
use crate::uri::FetchUri;

/// Where the key set is, and which cluster answers for it.
///
/// # Errors
///
/// What was expected and what was found, for text that is no configuration of the issuer's, and for a key set that nobody has vouched for.
pub(super) fn read(text: &[u8], policy: &SourcePolicy) -> Result<(FetchUri, String), String> {
    let Location::Discovery { uri, issuer, jwks_cluster } = &policy.location else {
        return Err("expected a key set".to_owned());
    };
    let node = json::parse(text).map_err(|_| "expected an OpenID Provider configuration, found no JSON".to_owned())?;
    let members = Members::read(&node).ok_or("expected an OpenID Provider configuration, found no object, or a member twice")?;
    let text = |name: &str| match members.get(name).map(|node| &node.value) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(format!("expected `{name}` in the configuration, found none")),
    };
    // Section 4.3: it must be identical, lest one issuer speaks for another.
    if text("issuer")? != issuer {
        return Err(format!("expected the configuration of {issuer}, found another issuer's"));
    }
    let keys: FetchUri = text("jwks_uri")?.parse().map_err(|_| "expected `jwks_uri` to be an absolute URI, found something else")?;
    if uri.scheme == "https" && keys.scheme != "https" {
        return Err("expected `jwks_uri` to be https, as the configuration is, found http".to_owned());
    }
    if keys.authority.eq_ignore_ascii_case(&uri.authority) {
        return Ok((keys, policy.cluster.clone()));
    }
    match jwks_cluster {
        Some(cluster) => Ok((keys, cluster.clone())),
        None => Err(format!("expected `jwks_uri` on {}, found {}: name its cluster in `jwks_cluster`", uri.authority, keys.authority)),
    }
}
