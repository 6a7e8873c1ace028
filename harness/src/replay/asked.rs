// SPDX-License-Identifier: Apache-2.0
//! Which credentials a route asks for, of the several that its rules may offer.

use tracegate::Policy;
use tracegate::caller::CallerMatch;
use tracegate::condition::Condition;
use tracegate::head::RequestHead;
use tracegate::identity::{Provider, Subscription, SubscriptionKeys};
use tracegate::route::{Requirement, Route, Rule};

/// What a route asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'p> {
    policy: &'p Policy,
    route: &'p Route,
}

impl<'p> Asked<'p> {
    /// What the route asks for that a request matches, if it matches one.
    pub(super) fn find(policy: &'p Policy, head: &RequestHead<'_>) -> Option<Self> {
        policy.routes.find(head).map(|route| Self { policy, route })
    }

    /// Rules in force, up to one by which nobody gets.
    fn rules(self) -> impl Iterator<Item = &'p Rule> {
        let closes = |rule: &&Rule| rule.when.is_none() && rule.require == Requirement::Deny;
        self.route.rules.iter().filter(|rule| !rule.shadow).take_while(move |rule| !closes(rule))
    }

    fn provider(self, place: usize) -> Option<&'p Provider> {
        self.policy.identity.providers.get(place)
    }

    fn is_token(self, place: usize) -> bool {
        self.provider(place).is_some_and(|provider| provider.token().is_some())
    }

    fn is_key(self, place: usize) -> bool {
        self.provider(place).is_some_and(|provider| provider.subscription_keys().is_some())
    }

    /// The providers of subscription keys, each once: those that callers must prove themselves to, and those that conditions ask.
    pub(super) fn keys(self) -> Vec<(usize, &'p SubscriptionKeys)> {
        let mut places = Vec::new();
        for rule in self.rules() {
            if let Some(when) = &rule.when {
                conditions(when, &mut |caller| places.push(caller.provider));
            }
            callers(&rule.require, &mut |caller| places.push(caller.provider));
        }
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| Some((place, self.provider(place)?.subscription_keys()?))).collect()
    }

    /// What is asked of the holder of a token: of the first issuer that is asked for, and of the ways in that a rule offers the first of which
    /// `fits` says that it is to be had. A request that is `subscribed` goes in by its key where it may.
    pub(super) fn token(self, subscribed: bool, fits: &dyn Fn(&[&'p CallerMatch]) -> bool) -> Vec<&'p CallerMatch> {
        let mut wanted: Vec<_> = self.rules().flat_map(|rule| self.choose(&rule.require, subscribed, fits)).collect();
        let first = wanted.first().map(|caller| caller.provider);
        wanted.retain(|caller| Some(caller.provider) == first);
        wanted
    }

    fn choose(self, require: &'p Requirement, subscribed: bool, fits: &dyn Fn(&[&'p CallerMatch]) -> bool) -> Vec<&'p CallerMatch> {
        match require {
            Requirement::Anonymous | Requirement::Deny => Vec::new(),
            Requirement::Caller(caller) => Some(&**caller).filter(|caller| self.is_token(caller.provider)).into_iter().collect(),
            Requirement::AllOf(all) => all.iter().flat_map(|one| self.choose(one, subscribed, fits)).collect(),
            Requirement::AnyOf(any) => {
                let by_key =
                    |one: &&Requirement| mentions(one, &|place| self.is_key(place)) && !mentions(one, &|place| self.is_token(place));
                if subscribed && any.iter().any(|one| by_key(&one)) {
                    return Vec::new();
                }
                let ways: Vec<_> = any.iter().map(|one| self.choose(one, subscribed, fits)).filter(|way| !way.is_empty()).collect();
                let fitting = ways.iter().find(|way| fits(way)).or(ways.first());
                fitting.cloned().unwrap_or_default()
            }
        }
    }

    /// Whether what isn't known decides: the credentials of those providers that are `unknown`. Of the others `known` tells whether they meet what is
    /// asked; where it doesn't, either may be.
    pub(super) fn hangs_on(self, unknown: &dyn Fn(usize) -> bool, known: &dyn Fn(&CallerMatch) -> Option<bool>) -> bool {
        [false, true].into_iter().any(|other| {
            let met = |rule: &Rule, value: bool| {
                let is = |caller: &CallerMatch| if unknown(caller.provider) { value } else { known(caller).unwrap_or(other) };
                meets(&rule.require, &is)
            };
            // A rule that applies to some requests only may not.
            self.rules().filter(|rule| rule.when.is_none()).all(|rule| met(rule, true)) && !self.rules().all(|rule| met(rule, false))
        })
    }
}

/// Whether a subscription's key is what is asked for.
pub(super) fn is_subscribed(caller: &CallerMatch, subscription: Option<&Subscription>) -> bool {
    let among = |wanted: &[String], found: Option<&str>| wanted.is_empty() || wanted.iter().any(|wanted| Some(wanted.as_str()) == found);
    subscription.is_some_and(|found| {
        found.active && among(&caller.subscriptions, Some(&found.id)) && among(&caller.products, found.product.as_deref())
    })
}

/// Whether some route asks for a caller.
pub(super) fn any(policy: &Policy) -> bool {
    let mut rules = policy.routes.routes().iter().flat_map(|route| &route.rules);
    let mut found = false;
    rules.any(|rule| {
        callers(&rule.require, &mut |_| found = true);
        rule.when.iter().for_each(|when| conditions(when, &mut |_| found = true));
        found
    })
}

/// Whether somebody is asked for who is known to a provider that counts.
fn mentions(require: &Requirement, counts: &dyn Fn(usize) -> bool) -> bool {
    let mut found = false;
    callers(require, &mut |caller| found |= counts(caller.provider));
    found
}

fn meets(require: &Requirement, is: &dyn Fn(&CallerMatch) -> bool) -> bool {
    match require {
        Requirement::Anonymous => true,
        Requirement::Deny => false,
        Requirement::Caller(caller) => is(caller),
        Requirement::AnyOf(any) => any.iter().any(|one| meets(one, is)),
        Requirement::AllOf(all) => all.iter().all(|one| meets(one, is)),
    }
}

fn callers<'p>(require: &'p Requirement, see: &mut dyn FnMut(&'p CallerMatch)) {
    match require {
        Requirement::Anonymous | Requirement::Deny => {}
        Requirement::Caller(caller) => see(caller),
        Requirement::AnyOf(within) | Requirement::AllOf(within) => within.iter().for_each(|one| callers(one, see)),
    }
}

fn conditions<'p>(condition: &'p Condition, see: &mut dyn FnMut(&'p CallerMatch)) {
    match condition {
        Condition::All(within) | Condition::Any(within) => within.iter().for_each(|one| conditions(one, see)),
        Condition::Not(within) => conditions(within, see),
        Condition::Caller(caller) => see(caller),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracegate::{Header, Headers};

    use super::*;

    fn policy(rules: &Value) -> Policy {
        let jwt = |issuer: &str| json!({"jwt": {"issuer": issuer, "audiences": ["a"], "algorithms": ["ES256"], "keys": {"jwks": {"uri": "https://id/keys", "cluster": "id"}}}});
        let text = json!({"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "routes": [{"name": "all", "rules": rules}],
            "identity": {"providers": {"k": {"subscription_keys": {"subscriptions": [{"id": "s", "keys_sha256": ["ab".repeat(32)]}]}}, "s": jwt("s"), "t": jwt("t")}}});
        Policy::from_json(text.to_string().as_bytes()).unwrap().policy
    }

    fn asked(policy: &Policy) -> Asked<'_> {
        let lines = [(":method", "GET"), (":authority", "a"), (":path", "/")];
        let lines = lines.map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
        Asked::find(policy, &RequestHead::read(Headers::new(&lines)).unwrap()).unwrap()
    }

    fn of(provider: &str) -> Value {
        json!({"caller": {"provider": provider}})
    }

    /// Providers are `k`, of keys, `s` and `t`, of tokens, in this order.
    #[test]
    fn a_credential_decides_where_the_others_do_not() {
        let rule = |require: Value| json!([{"name": "only", "require": require}]);
        let (key, token) = (of("k"), of("t"));
        for (rules, with_key, without) in [
            (rule(key.clone()), false, false),
            (rule(token.clone()), true, true),
            (rule(json!({"any_of": [key, token]})), false, true),
            (rule(json!({"all_of": [key, token]})), true, false),
            (rule(json!({"any_of": [key, {"all_of": [key, token]}]})), false, false),
            (rule(json!({"any_of": [{"all_of": [key, of("s")]}, token]})), true, true),
            (rule(json!({"any_of": ["anonymous", token]})), false, false),
            (json!([{"name": "a", "require": key}, {"name": "b", "require": token}]), true, false),
            (json!([{"name": "a", "require": key, "when": {"method": ["GET"]}}, {"name": "b", "require": token}]), true, true),
            (json!([{"name": "a", "require": token, "mode": "shadow"}]), false, false),
            (json!([{"name": "a", "require": "deny"}, {"name": "b", "require": token}]), false, false),
        ] {
            let policy = policy(&rules);
            let hangs = |key: bool| asked(&policy).hangs_on(&|place| place == 2, &|caller| (caller.provider == 0).then_some(key));
            assert_eq!((hangs(true), hangs(false)), (with_key, without), "{rules}");
        }
    }

    #[test]
    fn the_first_way_in_that_fits_is_gone() {
        let rules = json!([
            {"name": "tried", "mode": "shadow", "require": of("s")},
            {"name": "any", "require": {"any_of": [{"caller": {"provider": "t", "roles": ["a"]}}, {"all_of": [of("t"), of("t")]}, of("k")]}},
            {"name": "when", "when": {"caller": {"provider": "k"}}, "require": {"all_of": [of("s"), {"caller": {"provider": "t", "roles": ["b"]}}]}}]);
        let policy = policy(&rules);
        let roles = |subscribed, fits: &dyn Fn(&[&CallerMatch]) -> bool| {
            let callers = asked(&policy).token(subscribed, fits);
            callers.iter().map(|caller| format!("{}{}", caller.provider, caller.roles.join(""))).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(roles(false, &|_| true), "2a 2b");
        assert_eq!(roles(false, &|_| false), "2a 2b", "where none fits, the first");
        assert_eq!(roles(false, &|way| way.len() == 2), "2 2 2b");
        assert_eq!(roles(true, &|_| true), "1", "by the key, and then by whom the next rule asks for");
        assert_eq!(asked(&policy).keys().len(), 1);
    }
}
