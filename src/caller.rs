// SPDX-License-Identifier: Apache-2.0
//! Who calls, as far as it is proven, and what may be asked of a caller.

use std::borrow::Cow;
use std::sync::Arc;

use crate::claim::{ClaimMatch, ClaimPath, ClaimSet};
use crate::decision::Reason;

/// Who calls: what each provider that was asked has proven. Nothing of it is a client's mere word.
#[derive(Clone, Debug, Default)]
pub struct Caller(Vec<(usize, Option<Arc<Identity>>)>);

impl Caller {
    /// Nobody has been asked.
    #[must_use]
    pub const fn unknown() -> Self {
        Self(Vec::new())
    }

    /// Adds what a provider has proven: `None` where the request proves nothing to it. The first word counts.
    pub(crate) fn add(&mut self, provider: usize, identity: Option<Arc<Identity>>) {
        if self.of(provider).is_none() {
            self.0.push((provider, identity));
        }
    }

    /// What a provider, by its place in the policy, has proven; `None` where nobody knows.
    pub(crate) fn of(&self, provider: usize) -> Option<Option<&Identity>> {
        self.0.iter().find(|(known, _)| *known == provider).map(|(_, identity)| identity.as_deref())
    }

    /// Whether the caller is such a one; `None` where nobody knows.
    pub(crate) fn is(&self, wanted: &CallerMatch) -> Option<bool> {
        self.of(wanted.provider).and_then(|identity| identity.map_or(Some(false), |identity| wanted.known(identity)))
    }

    /// What is proven, in the order in which it was asked for.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter().filter_map(|(_, identity)| identity.as_deref())
    }
}

/// What one provider has proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider, by its place in the policy.
    pub provider: usize,
    /// What it is known by.
    pub subject: Subject,
    /// The policy's name for the service that calls.
    pub service: Option<String>,
}

/// What a caller is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A token's claims.
    Token(ClaimSet),
    /// The key of a subscription.
    Subscription {
        /// The policy's name for it.
        id: String,
        /// What it is subscribed to.
        product: Option<String>,
    },
    /// A client certificate.
    Certificate {
        /// The SHA-256 digest of all of it, in lower-case hexadecimal digits.
        sha256: String,
    },
}

impl Identity {
    /// A token's claims.
    #[must_use]
    pub const fn claims(&self) -> Option<&ClaimSet> {
        match &self.subject {
            Subject::Token(claims) => Some(claims),
            Subject::Subscription { .. } | Subject::Certificate { .. } => None,
        }
    }

    /// What tells this caller from the provider's others.
    pub(crate) fn telling(&self) -> &[u8] {
        match &self.subject {
            Subject::Token(claims) => claims.telling(),
            Subject::Subscription { id, .. } => id.as_bytes(),
            Subject::Certificate { sha256 } => sha256.as_bytes(),
        }
    }
}

/// What must be so of what a provider has proven. All that is given must be so; what is empty asks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerMatch {
    /// The provider, by its place in the policy.
    pub provider: usize,
    /// Every one of these scopes was granted (RFC 6749 section 3.3).
    pub scopes: Vec<String>,
    /// Any of these roles.
    pub roles: Vec<String>,
    /// Any of these groups.
    pub groups: Vec<String>,
    /// All of this is so of its claims.
    pub claims: Vec<ClaimMatch>,
    /// Any of these services.
    pub services: Vec<String>,
    /// Any of these subscriptions.
    pub subscriptions: Vec<String>,
    /// A subscription to any of these products.
    pub products: Vec<String>,
    /// Where the provider's tokens name roles.
    pub roles_claim: ClaimPath,
}

impl CallerMatch {
    /// Whatever the provider at this place vouches for.
    #[must_use]
    pub fn any_of(provider: usize) -> Self {
        Self {
            provider,
            scopes: Vec::new(),
            roles: Vec::new(),
            groups: Vec::new(),
            claims: Vec::new(),
            services: Vec::new(),
            subscriptions: Vec::new(),
            products: Vec::new(),
            roles_claim: ClaimPath::name("roles"),
        }
    }

    /// Whether it is so of what the provider has proven.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), Unmet> {
        self.check_names(identity)?;
        let unmet = |reason| Unmet { reason, scopes: false };
        identity.claims().map_or(Ok(()), |claims| self.claims.iter().try_for_each(|claim| claim.check(claims)).map_err(unmet))
    }

    /// The same; `None` where it can't be told, as of a claim that is too long for a pattern.
    fn known(&self, identity: &Identity) -> Option<bool> {
        if self.check_names(identity).is_err() {
            return Some(false);
        }
        let Some(claims) = identity.claims() else { return Some(true) };
        let mut all = Some(true);
        for claim in &self.claims {
            match claim.known(claims) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => all = None,
            }
        }
        all
    }

    /// What is asked by name: all but the claims.
    fn check_names(&self, identity: &Identity) -> Result<(), Unmet> {
        let among =
            |wanted: &[String], found: Option<&str>| wanted.is_empty() || wanted.iter().any(|wanted| Some(wanted.as_str()) == found);
        let unmet = |reason| Unmet { reason, scopes: false };
        if let Subject::Subscription { id, product } = &identity.subject {
            // API Management says no more of a key that is for something else.
            if !among(&self.subscriptions, Some(id)) || !among(&self.products, product.as_deref()) {
                return Err(unmet(Reason::SubscriptionKeyInvalid));
            }
        }
        if !among(&self.services, identity.service.as_deref()) {
            return Err(unmet(Reason::CallerNotAllowed));
        }
        let Some(claims) = identity.claims() else { return Ok(()) };
        granted(&self.scopes, claims).map_err(|reason| Unmet { reason, scopes: true })?;
        if !self.roles.is_empty() {
            any_in(&self.roles, claims.texts(&self.roles_claim)).map_err(unmet)?;
        }
        if !self.groups.is_empty() {
            any_in(&self.groups, claims.texts_of("groups")).map_err(unmet)?;
        }
        Ok(())
    }
}

/// A caller is known, and not what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// Why.
    pub(crate) reason: Reason,
    /// For want of scopes.
    pub(crate) scopes: bool,
}

/// Scopes stand in `scope`, as RFC 8693 section 4.2 has it, or in `scp`, as Entra ID does; parted by spaces, or in a list.
fn granted(scopes: &[String], claims: &ClaimSet) -> Result<(), Reason> {
    if scopes.is_empty() {
        return Ok(());
    }
    let found = ["scope", "scp"].map(|name| claims.texts_of(name));
    if found.iter().all(Option::is_none) {
        return Err(Reason::TokenClaimNotFound);
    }
    let has = |scope: &String| found.iter().flatten().cloned().flatten().any(|texts| texts.split(' ').any(|text| text == scope));
    if scopes.iter().all(has) { Ok(()) } else { Err(Reason::TokenClaimValueNotAllowed) }
}

fn any_in<'c>(wanted: &[String], found: Option<impl Iterator<Item = Cow<'c, str>>>) -> Result<(), Reason> {
    let mut found = found.ok_or(Reason::TokenClaimNotFound)?;
    if found.any(|found| wanted.iter().any(|wanted| *wanted == found)) { Ok(()) } else { Err(Reason::TokenClaimValueNotAllowed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn identity(subject: Subject, service: Option<&str>) -> Identity {
        Identity { provider: 0, subject, service: service.map(str::to_owned) }
    }

    fn token(text: &str) -> Identity {
        identity(Subject::Token(ClaimSet::new(json::parse(text.as_bytes()).unwrap())), None)
    }

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn every_scope_and_any_role_and_group() {
        use Reason::{TokenClaimNotFound as NotFound, TokenClaimValueNotAllowed as NotAllowed};
        let any = CallerMatch::any_of(0);
        let scopes = CallerMatch { scopes: list(&["a", "b"]), ..any.clone() };
        let roles = CallerMatch { roles: list(&["a", "b"]), ..any.clone() };
        let groups = CallerMatch { groups: list(&["a", "b"]), ..any.clone() };
        let nested = CallerMatch { roles: list(&["a"]), roles_claim: "/realm_access/roles".parse().unwrap(), ..any.clone() };
        for (asked, claims, expected) in [
            (&any, "{}", None),
            (&scopes, r#"{"scp": "b a c"}"#, None),
            (&scopes, r#"{"scope": "a", "scp": ["b"]}"#, None),
            (&scopes, r#"{"scp": "ab"}"#, Some((NotAllowed, true))),
            (&scopes, r#"{"scp": "a"}"#, Some((NotAllowed, true))),
            (&scopes, r#"{"scp": {"a": "a b"}}"#, Some((NotAllowed, true))),
            (&scopes, r#"{"scp": null}"#, Some((NotFound, true))),
            (&scopes, "{}", Some((NotFound, true))),
            (&roles, r#"{"roles": ["x", "b"]}"#, None),
            (&roles, r#"{"roles": "a"}"#, None),
            (&roles, r#"{"roles": "a b"}"#, Some((NotAllowed, false))),
            (&roles, r#"{"scp": "a"}"#, Some((NotFound, false))),
            (&groups, r#"{"groups": ["b"]}"#, None),
            (&groups, r#"{"hasgroups": true}"#, Some((NotFound, false))),
            (&nested, r#"{"realm_access": {"roles": ["a"]}}"#, None),
            (&nested, r#"{"roles": ["a"]}"#, Some((NotFound, false))),
        ] {
            let found = asked.check(&token(claims)).err().map(|unmet| (unmet.reason, unmet.scopes));
            assert_eq!(found, expected, "{asked:?} {claims}");
        }
    }

    #[test]
    fn subscriptions_and_services_are_asked_by_name() {
        let any = CallerMatch::any_of(0);
        let gold = CallerMatch { products: list(&["gold"]), ..any.clone() };
        let contoso = CallerMatch { subscriptions: list(&["contoso"]), ..any.clone() };
        let billing = CallerMatch { services: list(&["billing"]), ..any };
        let subscription = |id: &str, product: Option<&str>| {
            identity(Subject::Subscription { id: id.to_owned(), product: product.map(str::to_owned) }, None)
        };
        let reason = |asked: &CallerMatch, identity: &Identity| asked.check(identity).err().map(|unmet| unmet.reason);
        assert_eq!(reason(&gold, &subscription("a", Some("gold"))), None);
        assert_eq!(reason(&gold, &subscription("a", Some("silver"))), Some(Reason::SubscriptionKeyInvalid));
        assert_eq!(reason(&gold, &subscription("a", None)), Some(Reason::SubscriptionKeyInvalid));
        assert_eq!(reason(&contoso, &subscription("contoso", None)), None);
        assert_eq!(reason(&contoso, &subscription("a", None)), Some(Reason::SubscriptionKeyInvalid));
        let certificate = |service| identity(Subject::Certificate { sha256: "ab".repeat(32) }, service);
        assert_eq!(reason(&billing, &certificate(Some("billing"))), None);
        assert_eq!(reason(&billing, &certificate(Some("orders"))), Some(Reason::CallerNotAllowed));
        assert_eq!(reason(&billing, &certificate(None)), Some(Reason::CallerNotAllowed));
    }
}
