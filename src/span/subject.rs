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
        attribute("tracegate.caller.provider", Value::Text(&provider.name));
    }
    if let Some(service) = &identity.service {
        attribute("tracegate.caller.service", Value::Text(service));
    }
    if let Subject::Subscription { id, product } = &identity.subject {
        attribute("tracegate.caller.subscription", Value::Text(id));
        if let Some(product) = product {
            attribute("tracegate.caller.product", Value::Text(product));
        }
    }
    if let Some(key) = key {
        attribute("tracegate.caller.digest", Value::Bytes(&digest(key, providers, identity)));
    }
    let mut keys = Vec::new();
    for claim in &policy.claims {
        // Of two providers' claims with one name the first that the caller has is told.
        if keys.contains(&claim.path.as_str()) {
            continue;
        }
        let told = caller.identities().filter(|identity| claim.provider.is_none_or(|provider| provider == identity.provider));
        let texts = told.filter_map(Identity::claims).find_map(|claims| claims.texts(&claim.path));
        let texts: Vec<_> = texts.into_iter().flatten().collect();
        if !texts.is_empty() {
            let name = format!("tracegate.caller.claim.{}", claim.path.as_str());
            attribute(&name, Value::Text(&texts.join(",")));
            keys.push(claim.path.as_str());
        }
    }
}

/// Tells this caller from all others, by what tells it from its provider's.
pub(crate) fn digest(key: &DigestKey, providers: &[Provider], identity: &Identity) -> [u8; 16] {
    key.digest_of(|tell| {
        tell(providers.get(identity.provider).map(|provider| provider.name.as_bytes()).unwrap_or_default());
        tell(identity.telling());
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::claim::ClaimSet;
    use crate::json;
    use crate::span::TokenClaim;

    /// A key stands once on a span, whatever the policy asks of several providers.
    #[test]
    fn of_two_claims_with_one_name_the_first_that_there_is_is_told() {
        let token = |provider: usize, text: &str| {
            let subject = Subject::Token(ClaimSet::new(json::parse(text.as_bytes()).unwrap()));
            Some(Arc::new(Identity { provider, subject, service: None }))
        };
        let claim = |provider: Option<usize>, path: &str| TokenClaim { provider, path: path.parse().unwrap() };
        let policy = SpanPolicy { claims: vec![claim(Some(0), "tid"), claim(Some(1), "tid"), claim(None, "tid")], ..SpanPolicy::default() };
        for (first, second, expected) in [
            (r#"{"tid": "a"}"#, r#"{"tid": "b"}"#, &["a"][..]),
            ("{}", r#"{"tid": "b"}"#, &["b"]),
            (r#"{"tid": []}"#, r#"{"tid": "b"}"#, &["b"]),
            ("{}", "{}", &[]),
        ] {
            let mut caller = Caller::default();
            caller.add(0, token(0, first));
            caller.add(1, token(1, second));
            let mut told = Vec::new();
            tell(&caller, &[], &policy, None, |key, value| {
                let Value::Text(text) = value else { panic!("{key}") };
                told.push((key.to_owned(), text.to_owned()));
            });
            let expected: Vec<_> = expected.iter().map(|text| ("tracegate.caller.claim.tid".to_owned(), (*text).to_owned())).collect();
            assert_eq!(told, expected, "{first} {second}");
        }
    }
}
