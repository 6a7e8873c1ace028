// SPDX-License-Identifier: Apache-2.0
//! Whether a route's rules are met, by what the providers that they name find in the request.

use std::sync::Arc;

use super::certificate::Certificate;
use super::credential::{self, Carried};
use super::keyring::{KeyRing, Proof};
use super::provider::{Credential, Provider, TokenProvider};
use super::{IdentityPolicy, binding};
use crate::caller::{Caller, CallerMatch, Identity, Subject, Unmet};
use crate::condition::{Condition, Facts};
use crate::decision::{Reason, Refusal};
use crate::effect::ExchangeId;
use crate::head::RequestHead;
use crate::inputs::Inputs;
use crate::metrics::{Counter, Counts};
use crate::route::{Requirement, Route, Rule};

/// Finds out who calls, no more than the rules ask.
pub(super) struct Examination<'a, 'i> {
    pub(super) head: &'a RequestHead<'a>,
    pub(super) id: ExchangeId,
    pub(super) policy: &'a IdentityPolicy,
    pub(super) ring: &'a mut KeyRing,
    pub(super) inputs: &'a mut Inputs<'i>,
    pub(super) counts: &'a mut Counts,
    /// Once it has been asked for.
    pub(super) certificate: Option<Certificate>,
    /// What has been found, in the order in which it was asked for.
    pub(super) found: Vec<Found>,
}

/// What a provider has found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) provider: usize,
    /// A rule that is enforced has asked. One in `mode: shadow` makes nobody wait.
    pub(super) enforced: bool,
    pub(super) finding: Finding,
}

/// What a provider finds in a request.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    /// Who calls.
    Proven(Arc<Identity>),
    /// Who calls by the word of a token that nobody can verify, and that the policy lets pass.
    Unverified(Arc<Identity>),
    /// Nothing that proves anything, and why.
    Refused(Reason),
    /// It may be told later.
    Wait,
}

/// What rules come to.
pub(super) enum Met {
    Yes,
    No(Refusal),
    Wait,
}

/// What a route's rules come to.
pub(super) struct Ruled<'r> {
    pub(super) met: Met,
    /// Why a rule in `mode: shadow` would have refused.
    pub(super) shadow: Option<Reason>,
    /// The rule that refuses, or the first in `mode: shadow` that would have.
    pub(super) rule: Option<&'r str>,
}

impl Examination<'_, '_> {
    /// Whether all rules are met.
    pub(super) fn route<'r>(&mut self, route: &'r Route) -> Ruled<'r> {
        let (mut shadow, mut shadowing) = (None, None);
        for rule in &route.rules {
            match (self.rule(rule), rule.shadow) {
                (Met::Yes, _) | (Met::Wait, true) => {}
                (Met::No(refusal), true) => {
                    shadow = shadow.or(Some(refusal.reason()));
                    shadowing = shadowing.or(Some(rule.name.as_str()));
                }
                (met, false) => return Ruled { met, shadow, rule: Some(&rule.name) },
            }
        }
        Ruled { met: Met::Yes, shadow, rule: shadowing }
    }

    fn rule(&mut self, rule: &Rule) -> Met {
        let applies = rule.when.as_ref().map_or(Some(true), |when| self.applies(when, rule.shadow));
        match applies {
            Some(true) => self.meets(&rule.require, rule.shadow),
            Some(false) => Met::Yes,
            None => Met::Wait,
        }
    }

    /// Whether a rule applies: unless it is known not to. A rule only ever keeps callers out, so what can't be told does so too. `None` while
    /// it hangs on keys that may still come.
    fn applies(&mut self, when: &Condition, shadow: bool) -> Option<bool> {
        if let Some(known) = self.known(when, shadow) {
            return Some(known);
        }
        let mut providers = Vec::new();
        when.asks_providers(&mut providers);
        let mut waits = false;
        for provider in providers {
            waits |= matches!(self.ask(provider, shadow), Finding::Wait);
        }
        match self.known(when, shadow) {
            None if waits => None,
            known => Some(known.unwrap_or(true)),
        }
    }

    fn known(&mut self, when: &Condition, shadow: bool) -> Option<bool> {
        // A rule that is enforced asks itself: what it comes to hangs on no rule in `mode: shadow`.
        let caller = caller(&self.found, shadow);
        when.known(&mut Facts::new(self.head.headers, self.policy.trusted_hops, &mut *self.inputs.peer, &caller))
    }

    fn meets(&mut self, require: &Requirement, shadow: bool) -> Met {
        match require {
            Requirement::Anonymous => Met::Yes,
            Requirement::Deny => Met::No(Refusal::of(Reason::AccessDenied)),
            Requirement::Caller(wanted) => self.is(wanted, shadow),
            Requirement::AllOf(all) => {
                let mut met = Met::Yes;
                for require in all {
                    match self.meets(require, shadow) {
                        Met::Yes => {}
                        no @ Met::No(_) => return no,
                        Met::Wait => met = Met::Wait,
                    }
                }
                met
            }
            Requirement::AnyOf(any) => {
                let (mut refusal, mut waits): (Option<Refusal>, _) = (None, false);
                for require in any {
                    match self.meets(require, shadow) {
                        Met::Yes => return Met::Yes,
                        Met::No(other) => refusal = Some(refusal.map_or(other.clone(), |refusal| refusal.or(other))),
                        Met::Wait => waits = true,
                    }
                }
                if waits { Met::Wait } else { Met::No(refusal.unwrap_or_else(|| Refusal::of(Reason::AccessDenied))) }
            }
        }
    }

    fn is(&mut self, wanted: &CallerMatch, shadow: bool) -> Met {
        let checked = match self.ask(wanted.provider, shadow) {
            Finding::Proven(identity) | Finding::Unverified(identity) => wanted.check(&identity),
            Finding::Refused(reason) => Err(Unmet { reason, scopes: false }),
            Finding::Wait => return Met::Wait,
        };
        let Err(Unmet { reason, scopes }) = checked else { return Met::Yes };
        let refusal = Refusal::of(reason);
        Met::No(match self.policy.providers.get(wanted.provider).map(|provider| &provider.credential) {
            Some(Credential::Token(token)) => refusal.challenged(token.scheme(), if scopes { &wanted.scopes } else { &[] }),
            Some(Credential::SubscriptionKey(keys)) => refusal.challenged_for_key(&self.policy.realm, &keys.written),
            Some(Credential::Certificate(_)) | None => refusal,
        })
    }

    /// What a provider finds; asked again, it is what it found.
    fn ask(&mut self, provider: usize, shadow: bool) -> Finding {
        if let Some(found) = self.found.iter_mut().find(|found| found.provider == provider) {
            // Who may wait for keys may learn more than who may not.
            if shadow || found.enforced || matches!(found.finding, Finding::Proven(_)) {
                found.enforced |= !shadow;
                return found.finding.clone();
            }
        }
        let finding = self.look(provider, shadow);
        self.found.retain(|found| found.provider != provider);
        self.found.push(Found { provider, enforced: !shadow, finding: finding.clone() });
        finding
    }

    fn look(&mut self, index: usize, shadow: bool) -> Finding {
        let policy = self.policy;
        // The policy was checked: there is one.
        let Some(Provider { credential, .. }) = policy.providers.get(index) else { return Finding::Refused(Reason::AccessDenied) };
        let (subject, service) = match credential {
            Credential::Token(provider) => return self.token(index, provider, shadow),
            Credential::SubscriptionKey(keys) => match keys.verify(self.head) {
                Ok(subject) => (subject, None),
                Err(reason) => return Finding::Refused(reason),
            },
            Credential::Certificate(provider) => match provider.verify(&self.certificate(), &mut *self.inputs.peer) {
                Ok(found) => found,
                Err(reason) => return Finding::Refused(reason),
            },
        };
        Finding::Proven(Arc::new(Identity { provider: index, subject, service }))
    }

    fn certificate(&mut self) -> Certificate {
        let IdentityPolicy { forwarded_client_cert, trusted_hops, .. } = self.policy;
        let known = &mut self.certificate;
        known
            .get_or_insert_with(|| Certificate::of(self.head.headers, forwarded_client_cert, *trusted_hops, &mut *self.inputs.peer))
            .clone()
    }

    fn token(&mut self, index: usize, provider: &TokenProvider, shadow: bool) -> Finding {
        let text = match credential::find(self.head, &provider.places) {
            Carried::Nothing => return Finding::Refused(Reason::TokenNotPresent),
            Carried::Several => return Finding::Refused(Reason::TokenAmbiguous),
            Carried::Token(text) => text,
        };
        let patient = (!shadow).then_some(self.id);
        let (identity, verified) = match self.ring.verify(index, provider, &text, patient, self.inputs, self.counts) {
            Proof::Verified(identity) => (identity, true),
            Proof::Unverified(identity) => (identity, false),
            Proof::Refused(reason) => return Finding::Refused(reason),
            Proof::Wait => return Finding::Wait,
        };
        let Subject::Token(claims) = &identity.subject else { return Finding::Refused(Reason::JwtInvalid) };
        let digest = || self.certificate().sha256(&mut *self.inputs.peer);
        if let Err(reason) = binding::check(claims, provider.certificate_bound, digest) {
            return Finding::Refused(reason);
        }
        if verified {
            return Finding::Proven(identity);
        }
        self.counts.add(Counter::TokenUnverified);
        Finding::Unverified(identity)
    }
}

/// Who calls, as far as it is proven; with what only rules in `mode: shadow` have asked, or without.
pub(super) fn caller(found: &[Found], shadow: bool) -> Caller {
    let mut caller = Caller::unknown();
    for Found { provider, finding, .. } in found.iter().filter(|found| shadow || found.enforced) {
        match finding {
            Finding::Proven(identity) => caller.add(*provider, Some(Arc::clone(identity))),
            Finding::Refused(Reason::TokenKeysUnavailable) | Finding::Unverified(_) | Finding::Wait => {}
            Finding::Refused(_) => caller.add(*provider, None),
        }
    }
    caller
}
