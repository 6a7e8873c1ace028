// SPDX-License-Identifier: Apache-2.0
//! Callers, by what they show to which provider; and whether they are whom an explanation names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A subscription's name, product and key.
pub type Subscription = (&'static str, &'static str, &'static str);

/// The subscriptions of all policies here.
pub const SUBSCRIPTIONS: [Subscription; 2] = [("contoso", "gold", "contoso-primary-key"), ("fabrikam", "silver", "fabrikam-primary-key")];

/// Credentials by provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caller(pub BTreeMap<String, Credential>);

/// What is shown to a provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// A token with these claims beside those that every token of the provider's has.
    Token(Value),
    /// The key of a subscription.
    Key(Subscription),
}

impl Caller {
    /// One who fits an alternative, and shows no more than that.
    pub fn fitting(alternative: &Value) -> Self {
        Self(items(alternative).iter().map(|asked| (text(&asked["provider"]).to_owned(), Credential::fitting(asked))).collect())
    }

    /// Those who lack one thing that the alternative asks for, with the name of it.
    pub fn lacking_one(alternative: &Value) -> Vec<(String, Self)> {
        let mut lacking = Vec::new();
        for asked in items(alternative) {
            let provider = text(&asked["provider"]).to_owned();
            let mut nothing = Self::fitting(alternative);
            nothing.0.remove(&provider);
            lacking.push((format!("{provider}'s credential"), nothing));
            for (what, credential) in Credential::lacking_one(asked) {
                let mut caller = Self::fitting(alternative);
                caller.0.insert(provider.clone(), credential);
                lacking.push((format!("{provider}'s {what}"), caller));
            }
        }
        lacking
    }

    /// Whether an alternative is met.
    pub fn fits(&self, alternative: &Value) -> bool {
        items(alternative).iter().all(|asked| self.is(asked))
    }

    /// Whether a rule's requirement is met.
    pub fn meets(&self, require: &Value) -> bool {
        match require {
            Value::String(word) => word == "anonymous",
            require if require.get("any_of").is_some() => items(&require["any_of"]).iter().any(|one| self.meets(one)),
            require if require.get("all_of").is_some() => items(&require["all_of"]).iter().all(|one| self.meets(one)),
            require => self.is(&require["caller"]),
        }
    }

    fn is(&self, asked: &Value) -> bool {
        let any =
            |name: &str, has: &dyn Fn(&str) -> bool| asked.get(name).is_none_or(|asked| items(asked).iter().any(|one| has(text(one))));
        match self.0.get(text(&asked["provider"])) {
            None => false,
            Some(Credential::Key((id, product, _))) => any("subscriptions", &|one| one == *id) && any("products", &|one| one == *product),
            Some(Credential::Token(claims)) => {
                let scopes: Vec<&str> = claims.get("scope").map(|scope| text(scope).split(' ').collect()).unwrap_or_default();
                let listed = |claim: &str, one: &str| claims.get(claim).is_some_and(|list| items(list).contains(&json!(one)));
                let claimed = |claim: &Value| {
                    let found = claims.get(text(&claim["path"]));
                    found.is_some_and(|found| accepted(&claim["match"]).contains(found))
                };
                asked.get("scopes").is_none_or(|asked| items(asked).iter().all(|scope| scopes.contains(&text(scope))))
                    && any("roles", &|one| listed("roles", one))
                    && any("groups", &|one| listed("groups", one))
                    && asked.get("claims").is_none_or(|asked| items(asked).iter().all(claimed))
            }
        }
    }
}

impl Credential {
    fn fitting(asked: &Value) -> Self {
        if ["subscriptions", "products"].iter().any(|name| asked.get(name).is_some()) || asked["provider"] == "subscriptions" {
            let fits = |one: &&Subscription| Caller([(text(&asked["provider"]).to_owned(), Self::Key(**one))].into()).is(asked);
            return Self::Key(*SUBSCRIPTIONS.iter().find(fits).unwrap_or_else(|| panic!("no subscription fits {asked}")));
        }
        let mut claims = json!({});
        if let Some(scopes) = asked.get("scopes") {
            claims["scope"] = json!(items(scopes).iter().map(text).collect::<Vec<_>>().join(" "));
        }
        for name in ["roles", "groups"] {
            if let Some(list) = asked.get(name) {
                claims[name] = json!([items(list)[0]]);
            }
        }
        for claim in asked.get("claims").map(items).unwrap_or_default() {
            claims[text(&claim["path"])] = accepted(&claim["match"])[0].clone();
        }
        Self::Token(claims)
    }

    fn lacking_one(asked: &Value) -> Vec<(String, Self)> {
        let mut lacking = Vec::new();
        if asked.get("subscriptions").is_some() || asked.get("products").is_some() {
            let caller = |one: Subscription| Caller([(text(&asked["provider"]).to_owned(), Self::Key(one))].into());
            lacking.extend(SUBSCRIPTIONS.iter().filter(|one| !caller(**one).is(asked)).map(|one| ("key".to_owned(), Self::Key(*one))));
            assert!(!lacking.is_empty(), "every subscription fits {asked}");
        }
        let Self::Token(full) = Self::fitting(asked) else { return lacking };
        for scope in asked.get("scopes").map(items).unwrap_or_default() {
            let rest: Vec<&str> = text(&full["scope"]).split(' ').filter(|one| one != &text(scope)).collect();
            let mut claims = full.clone();
            claims["scope"] = json!(rest.join(" "));
            lacking.push((format!("scope {scope}"), Self::Token(claims)));
        }
        let lists = ["roles", "groups"].into_iter().filter(|name| asked.get(name).is_some()).map(|name| (name, json!(["another"])));
        let claims = asked.get("claims").map(items).unwrap_or_default().iter().map(|claim| (text(&claim["path"]), json!("another")));
        for (name, another) in lists.chain(claims) {
            let (mut none, mut other) = (full.clone(), full.clone());
            none.as_object_mut().expect("claims are an object").remove(name);
            other[name] = another;
            lacking.extend([(format!("{name}, there is none"), Self::Token(none)), (format!("{name}, it is another"), Self::Token(other))]);
        }
        lacking
    }
}

/// The values that are accepted of a claim.
fn accepted(matches: &Value) -> Vec<Value> {
    match (matches.get("exact"), matches.get("one_of")) {
        (Some(one), _) => vec![one.clone()],
        (_, Some(list)) => items(list).to_vec(),
        _ => panic!("no value is known for {matches}"),
    }
}

pub fn items(list: &Value) -> &[Value] {
    list.as_array().unwrap_or_else(|| panic!("{list} is no list"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
