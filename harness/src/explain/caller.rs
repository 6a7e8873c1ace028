// SPDX-License-Identifier: Apache-2.0
//! What is asked of a caller, in words; and what two demands come to together.

use serde::{Deserialize, Serialize};

use super::values::Values;
use super::words::{all, any, word};

/// Who vouches for a caller, and what must be so of that caller: all that is given here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallerRule {
    pub(super) provider: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<ClaimRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subscriptions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    products: Vec<String>,
}

/// What must be so of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ClaimRule {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(rename = "match")]
    matches: Values,
}

/// What two demands come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Both {
    /// One demand that says both.
    One(CallerRule),
    /// Nothing simpler than both.
    Two,
    /// What nobody can meet.
    Never,
}

impl CallerRule {
    /// `partners with scope orders.read, with tier gold or silver`
    pub(super) fn words(&self) -> String {
        let mut phrases = Vec::new();
        let mut add = |texts: &[String], phrase: &dyn Fn() -> String| {
            if !texts.is_empty() {
                phrases.push(phrase());
            }
        };
        add(&self.services, &|| format!("as {}", any(&self.services)));
        add(&self.scopes, &|| format!("with {} {}", if self.scopes.len() == 1 { "scope" } else { "scopes" }, all(&self.scopes)));
        add(&self.roles, &|| format!("with role {}", any(&self.roles)));
        add(&self.groups, &|| format!("in group {}", any(&self.groups)));
        add(&self.subscriptions, &|| format!("named {}", any(&self.subscriptions)));
        add(&self.products, &|| format!("of product {}", any(&self.products)));
        phrases.extend(self.claims.iter().map(|claim| format!("with {}", claim.words())));
        let provider = word(&self.provider);
        if phrases.is_empty() { provider } else { format!("{provider} {}", phrases.join(", ")) }
    }

    /// Whether whoever meets this meets `other` too.
    pub(super) fn implies(&self, other: &Self) -> bool {
        let among = |own: &[String], other: &[String]| other.is_empty() || !own.is_empty() && own.iter().all(|one| other.contains(one));
        self.provider == other.provider
            && other.scopes.iter().all(|scope| self.scopes.contains(scope))
            && other.claims.iter().all(|claim| self.claims.contains(claim))
            && among(&self.roles, &other.roles)
            && among(&self.groups, &other.groups)
            && among(&self.services, &other.services)
            && among(&self.subscriptions, &other.subscriptions)
            && among(&self.products, &other.products)
    }

    /// What it comes to with another demand. A provider vouches for one caller, who may have many roles and groups, but is one service with one
    /// subscription to one product.
    pub(super) fn and(&self, other: &Self) -> Both {
        if self.provider != other.provider {
            return Both::Two;
        }
        let singles = [
            common(&self.services, &other.services),
            common(&self.subscriptions, &other.subscriptions),
            common(&self.products, &other.products),
        ];
        let [Some(services), Some(subscriptions), Some(products)] = singles else { return Both::Never };
        let (Some(roles), Some(groups)) = (narrower(&self.roles, &other.roles), narrower(&self.groups, &other.groups)) else {
            return Both::Two;
        };
        Both::One(Self {
            provider: self.provider.clone(),
            scopes: united(&self.scopes, &other.scopes),
            roles,
            groups,
            claims: united(&self.claims, &other.claims),
            services,
            subscriptions,
            products,
        })
    }
}

impl ClaimRule {
    fn words(&self) -> String {
        let name = match &self.separator {
            None => word(&self.path),
            Some(separator) => format!("{} (parted by {separator:?})", word(&self.path)),
        };
        self.matches.attribute(&name)
    }
}

/// All of both, each once.
fn united<T: Clone + PartialEq>(own: &[T], other: &[T]) -> Vec<T> {
    own.iter().chain(other.iter().filter(|one| !own.contains(one))).cloned().collect()
}

/// What one value may be where both lists must have it, and an empty one has every value; `None` where there is none.
fn common(own: &[String], other: &[String]) -> Option<Vec<String>> {
    if own.is_empty() || other.is_empty() {
        return Some(united(own, other));
    }
    let common: Vec<String> = own.iter().filter(|one| other.contains(one)).cloned().collect();
    (!common.is_empty()).then_some(common)
}

/// The list that asks for more, where any of a list's is asked of many values; `None` where neither does.
fn narrower(own: &[String], other: &[String]) -> Option<Vec<String>> {
    let within = |own: &[String], other: &[String]| own.iter().all(|one| other.contains(one));
    if other.is_empty() || !own.is_empty() && within(own, other) {
        Some(own.to_vec())
    } else if own.is_empty() || within(other, own) {
        Some(other.to_vec())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> CallerRule {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn callers_are_told_in_plain_words() {
        for (text, expected) in [
            (r#"{"provider": "customers"}"#, "customers"),
            (r#"{"provider": "customers", "scopes": ["orders.read"]}"#, "customers with scope orders.read"),
            (
                r#"{"provider": "staff", "scopes": ["a", "b"], "roles": ["A", "B"], "groups": ["g"]}"#,
                "staff with scopes a and b, with role A or B, in group g",
            ),
            (r#"{"provider": "jobs", "services": ["billing", "orders"]}"#, "jobs as billing or orders"),
            (r#"{"provider": "keys", "subscriptions": ["contoso"], "products": ["gold"]}"#, "keys named contoso, of product gold"),
            (
                r#"{"provider": "p", "claims": [{"path": "tier", "match": {"exact": "gold"}}, {"path": "level", "match": {"present": false}}]}"#,
                "p with tier gold, with no level",
            ),
            (
                r#"{"provider": "p", "claims": [{"path": "scp", "separator": " ", "match": {"all_of": ["a", "b"]}}]}"#,
                "p with scp (parted by \" \") a and b",
            ),
        ] {
            assert_eq!(rule(text).words(), expected);
        }
    }

    #[test]
    fn two_demands_come_to_one_where_that_says_the_same() {
        let one =
            |own: &str, other: &str, expected: &str| assert_eq!(rule(own).and(&rule(other)), Both::One(rule(expected)), "{own} {other}");
        let (a, b) = (r#"{"provider": "p", "scopes": ["a"]}"#, r#"{"provider": "p", "scopes": ["b", "a"]}"#);
        one(a, b, r#"{"provider": "p", "scopes": ["a", "b"]}"#);
        one(a, r#"{"provider": "p", "roles": ["r"]}"#, r#"{"provider": "p", "scopes": ["a"], "roles": ["r"]}"#);
        let (wide, narrow) = (r#"{"provider": "p", "roles": ["r", "s"]}"#, r#"{"provider": "p", "roles": ["s"]}"#);
        one(wide, narrow, narrow);
        one(narrow, wide, narrow);
        let (gold, silver) = (r#"{"provider": "p", "products": ["gold", "tin"]}"#, r#"{"provider": "p", "products": ["silver", "gold"]}"#);
        one(gold, silver, r#"{"provider": "p", "products": ["gold"]}"#);
        assert_eq!(rule(gold).and(&rule(r#"{"provider": "p", "products": ["silver"]}"#)), Both::Never);
        // One may have both roles.
        assert_eq!(rule(narrow).and(&rule(r#"{"provider": "p", "roles": ["r"]}"#)), Both::Two);
        assert_eq!(rule(a).and(&rule(r#"{"provider": "q"}"#)), Both::Two);
    }

    #[test]
    fn who_meets_more_meets_less() {
        for (own, other, expected) in [
            (r#"{"provider": "p", "scopes": ["a", "b"]}"#, r#"{"provider": "p", "scopes": ["b"]}"#, true),
            (r#"{"provider": "p", "scopes": ["b"]}"#, r#"{"provider": "p", "scopes": ["a", "b"]}"#, false),
            (r#"{"provider": "p", "roles": ["r"]}"#, r#"{"provider": "p", "roles": ["s", "r"]}"#, true),
            (r#"{"provider": "p", "roles": ["s", "r"]}"#, r#"{"provider": "p", "roles": ["r"]}"#, false),
            (r#"{"provider": "p"}"#, r#"{"provider": "p", "roles": ["r"]}"#, false),
            (r#"{"provider": "p", "products": ["gold"]}"#, r#"{"provider": "p"}"#, true),
            (r#"{"provider": "p"}"#, r#"{"provider": "q"}"#, false),
        ] {
            assert_eq!(rule(own).implies(&rule(other)), expected, "{own} {other}");
        }
    }
}
