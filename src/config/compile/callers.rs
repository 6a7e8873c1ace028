// SPDX-License-Identifier: Apache-2.0
//! Conditions and rules, which name providers: they run by the providers' places.

use std::collections::BTreeMap;

use super::super::document;
use super::{identity::roles_claim, path};
use crate::caller::CallerMatch;
use crate::claim::{ClaimMatch, ClaimPath};
use crate::condition::{Condition, NamedMatch, PeerMatch};
use crate::matcher::{TextMatch, ValuesMatch};
use crate::route::Requirement;

/// The providers: their places, and where their tokens name roles.
pub(super) struct Callers(BTreeMap<String, (usize, ClaimPath)>);

impl Callers {
    pub(super) fn of(identity: &document::Identity) -> Self {
        let named = |(place, (name, provider)): (usize, (&String, &document::Provider))| (name.clone(), (place, roles_claim(provider)));
        Self(identity.providers.iter().enumerate().map(named).collect())
    }

    /// The document was checked: the name is there. A place that isn't keeps everybody out.
    pub(super) fn place(&self, name: &str) -> usize {
        self.0.get(name).map_or(usize::MAX, |(place, _)| *place)
    }

    pub(super) fn requirement(&self, require: document::Requirement) -> Requirement {
        let all = |requirements: Vec<document::Requirement>| requirements.into_iter().map(|require| self.requirement(require)).collect();
        match require {
            document::Requirement::Anonymous => Requirement::Anonymous,
            document::Requirement::Deny => Requirement::Deny,
            document::Requirement::Caller(rule) => Requirement::Caller(Box::new(self.caller(rule))),
            document::Requirement::AnyOf(requirements) => Requirement::AnyOf(all(requirements)),
            document::Requirement::AllOf(requirements) => Requirement::AllOf(all(requirements)),
        }
    }

    fn caller(&self, rule: document::CallerRule) -> CallerMatch {
        let roles_claim = self.0.get(&rule.provider).map_or_else(|| ClaimPath::name("roles"), |(_, path)| path.clone());
        CallerMatch {
            provider: self.place(&rule.provider),
            scopes: rule.scopes,
            roles: rule.roles,
            groups: rule.groups,
            claims: rule.claims.into_iter().map(claim).collect(),
            services: rule.services,
            subscriptions: rule.subscriptions,
            products: rule.products,
            roles_claim,
        }
    }

    pub(super) fn condition(&self, condition: document::Condition) -> Condition {
        let all = |conditions: Vec<document::Condition>| conditions.into_iter().map(|condition| self.condition(condition)).collect();
        match condition {
            document::Condition::All(conditions) => Condition::All(all(conditions)),
            document::Condition::Any(conditions) => Condition::Any(all(conditions)),
            document::Condition::Not(condition) => Condition::Not(Box::new(self.condition(*condition))),
            document::Condition::Method(methods) => Condition::Method(methods),
            document::Condition::Path(matched) => Condition::Path(path(matched)),
            document::Condition::Header(header) => {
                Condition::Header(NamedMatch { name: header.name.to_ascii_lowercase(), matches: values(header.matches) })
            }
            document::Condition::Query(query) => Condition::Query(NamedMatch { name: query.name, matches: values(query.matches) }),
            document::Condition::Peer(matched) => Condition::Peer(peer(matched)),
            document::Condition::Source(document::Source { cidr }) => Condition::Source(cidr.into_iter().map(|leaf| leaf.value).collect()),
            document::Condition::Caller(rule) => Condition::Caller(Box::new(self.caller(*rule))),
            document::Condition::Claim(claim) => Condition::Caller(Box::new(self.caller(claim.rule()))),
            document::Condition::Route(names) => Condition::Route(names),
            document::Condition::SignedHop(_) => Condition::SignedHop,
        }
    }
}

pub(super) fn peer(peer: document::Peer) -> PeerMatch {
    match peer {
        document::Peer::UriSan(matched) => PeerMatch::UriSan(text(matched)),
        document::Peer::DnsSan(matched) => PeerMatch::DnsSan(text(matched)),
        document::Peer::Subject(document::Whole::Exact(subject)) => PeerMatch::Subject(subject),
        document::Peer::Sha256(digits) => PeerMatch::Sha256(digits),
    }
}

fn text(text: document::Text) -> TextMatch {
    match text {
        document::Text::Exact(text) => TextMatch::Exact(text),
        document::Text::Prefix(text) => TextMatch::Prefix(text),
        document::Text::Suffix(text) => TextMatch::Suffix(text),
    }
}

fn claim(rule: document::ClaimRule) -> ClaimMatch {
    ClaimMatch { path: rule.path.value, separator: rule.separator, matches: values(rule.matches) }
}

fn values(values: document::Values) -> ValuesMatch {
    match values {
        document::Values::Exact(text) => ValuesMatch::Any(TextMatch::Exact(text)),
        document::Values::OneOf(texts) => ValuesMatch::Any(TextMatch::OneOf(texts)),
        document::Values::AllOf(texts) => ValuesMatch::AllOf(texts),
        document::Values::Prefix(text) => ValuesMatch::Any(TextMatch::Prefix(text)),
        document::Values::Suffix(text) => ValuesMatch::Any(TextMatch::Suffix(text)),
        document::Values::Contains(text) => ValuesMatch::Any(TextMatch::Contains(text)),
        document::Values::Regex(pattern) => ValuesMatch::Any(TextMatch::Regex(pattern.value)),
        document::Values::Present(present) => ValuesMatch::Present(present),
    }
}
