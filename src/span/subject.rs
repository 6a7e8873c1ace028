// SPDX-License-Identifier: Apache-2.0
//! What is told of who calls: names of the policy's own, claims that it names, and a digest.

use super::{DigestKey, SpanPolicy, Value};
use crate::caller::{Caller, Identity, Subject};
use crate::identity::Provider;

/// Tells what is proven of the caller, by attributes. Of several identities the first is told, in the order in which rules asked for them.
pub(crate) fn tell(
    caller: &Caller,
    providers: &[Provider],
    policy: &SpanPolicy,
    key: Option<&DigestKey>,
    mut attribute: impl FnMut(&str, Value<'_>),
) {
    let Some(identity) = caller.identities().next() else { return };
    if let Some(provider) = providers.get(identity.provider) {
        attribute("tracegate.caller.provider", Value::Text(provider.name.as_bytes()));
    }
    if let Some(service) = &identity.service {
        attribute("tracegate.caller.service", Value::Text(service.as_bytes()));
    }
    if let Subject::Subscription { id, product } = &identity.subject {
        attribute("tracegate.caller.subscription", Value::Text(id.as_bytes()));
        if let Some(product) = product {
            attribute("tracegate.caller.product", Value::Text(product.as_bytes()));
        }
    }
    if let Some(key) = key {
        attribute("tracegate.caller.digest", Value::Text(&digest(key, providers, identity)));
    }
    for claim in &policy.claims {
        let told = caller.identities().filter(|identity| claim.provider.is_none_or(|provider| provider == identity.provider));
        let texts = told.filter_map(Identity::claims).find_map(|claims| claims.texts(&claim.path));
        if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
            let name = format!("tracegate.caller.claim.{}", claim.path.as_str());
            attribute(&name, Value::Text(texts.join(",").as_bytes()));
        }
    }
}

/// Tells this caller from all others, by what tells it from its provider's.
fn digest(key: &DigestKey, providers: &[Provider], identity: &Identity) -> [u8; 16] {
    key.digest_of(|tell| {
        tell(providers.get(identity.provider).map(|provider| provider.name.as_bytes()).unwrap_or_default());
        identity.tell(tell);
    })
}
