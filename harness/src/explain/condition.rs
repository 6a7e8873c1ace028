// SPDX-License-Identifier: Apache-2.0
//! Conditions in words.

use serde::{Deserialize, Serialize};

use super::caller::CallerRule;
use super::document::Path;
use super::values::Values;
use super::words::{any, join, word};

/// What must be so for a rule to apply.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Method(Vec<String>),
    Path(Path),
    Header(Named),
    Query(Named),
    Peer(Peer),
    Source(Source),
    Caller(CallerRule),
    Claim(Claim),
    Route(Vec<String>),
    SignedHop(String),
}

/// A header or a parameter.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
    #[serde(rename = "match")]
    matches: Values,
}

/// One thing about the peer's certificate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Peer {
    UriSan(Values),
    DnsSan(Values),
    Subject(Values),
    Sha256(String),
}

/// Where requests come from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    cidr: Vec<String>,
}

/// A claim of a token, and whose.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    provider: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(rename = "match")]
    matches: Values,
}

impl Condition {
    /// Behind `when`: `the method is GET and header x-api-version is absent`.
    pub(super) fn words(&self) -> String {
        match self {
            Self::All(conditions) => join(&Self::each(conditions), "and"),
            Self::Any(conditions) => join(&Self::each(conditions), "or"),
            Self::Not(condition) => {
                condition.opposite().map_or_else(|| format!("not ({})", condition.words()), |opposite| opposite.words())
            }
            Self::Method(methods) => format!("the method is {}", any(methods)),
            Self::Path(Path::Exact(path) | Path::Template(path)) => format!("the path is {}", word(path)),
            Self::Path(Path::Prefix(path)) => format!("the path is {} or below", word(path)),
            Self::Header(Named { name, matches }) => format!("header {} {}", word(name), matches.predicate()),
            Self::Query(Named { name, matches }) => format!("parameter {} {}", word(name), matches.predicate()),
            Self::Peer(Peer::UriSan(text)) => format!("the certificate's URI {}", text.predicate()),
            Self::Peer(Peer::DnsSan(text)) => format!("the certificate's DNS name {}", text.predicate()),
            Self::Peer(Peer::Subject(text)) => format!("the certificate's subject {}", text.predicate()),
            Self::Peer(Peer::Sha256(digits)) => format!("the certificate's SHA-256 is {}", word(digits)),
            Self::Source(Source { cidr }) => format!("the source is in {}", any(cidr)),
            Self::Caller(rule) => format!("the caller is one of {}", rule.words()),
            Self::Claim(Claim { provider, path, separator, matches }) => {
                let parted = separator.as_ref().map(|separator| format!(" (parted by {separator:?})")).unwrap_or_default();
                format!("claim {} of {}{parted} {}", word(path), word(provider), matches.predicate())
            }
            Self::Route(names) => format!("the route is {}", any(names)),
            Self::SignedHop(_) => "a gateway of ours has signed the trace".to_owned(),
        }
    }

    /// The words of each, in brackets where they are several.
    fn each(conditions: &[Self]) -> Vec<String> {
        let several = |condition: &Self| matches!(condition, Self::All(inner) | Self::Any(inner) if inner.len() > 1);
        let one = |condition: &Self| if several(condition) { format!("({})", condition.words()) } else { condition.words() };
        conditions.iter().map(one).collect()
    }

    fn opposite(&self) -> Option<Self> {
        match self {
            Self::Not(condition) => Some(Self::clone(condition)),
            Self::Header(Named { name, matches }) => Some(Self::Header(Named { name: name.clone(), matches: matches.opposite()? })),
            Self::Query(Named { name, matches }) => Some(Self::Query(Named { name: name.clone(), matches: matches.opposite()? })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// Every kind of condition and of values that there is.
    fn samples() -> Vec<(Value, &'static str)> {
        let header = |matches: Value| json!({"header": {"name": "x-a", "match": matches}});
        vec![
            (
                json!({"all": [{"method": ["GET", "PUT"]}, {"any": [{"path": {"prefix": "/a"}}, {"path": {"exact": "/b"}}]}]}),
                "the method is GET or PUT and (the path is /a or below or the path is /b)",
            ),
            (json!({"path": {"template": "/orders/{id}"}}), "the path is /orders/{id}"),
            (header(json!({"exact": "a b"})), "header x-a is \"a b\""),
            (header(json!({"one_of": ["a", "b"]})), "header x-a is a or b"),
            (header(json!({"all_of": ["a", "b"]})), "header x-a has a and b"),
            (header(json!({"prefix": "a"})), "header x-a begins with a"),
            (header(json!({"suffix": "a"})), "header x-a ends with a"),
            (header(json!({"contains": "a"})), "header x-a contains a"),
            (header(json!({"regex": "a+"})), "header x-a matches \"a+\""),
            (header(json!({"present": true})), "header x-a is present"),
            (json!({"not": header(json!({"present": true}))}), "header x-a is absent"),
            (json!({"not": {"not": {"method": ["GET"]}}}), "the method is GET"),
            (json!({"not": {"query": {"name": "debug", "match": {"exact": "1"}}}}), "not (parameter debug is 1)"),
            (
                json!({"peer": {"uri_san": {"prefix": "spiffe://shop.example/"}}}),
                "the certificate's URI begins with spiffe://shop.example/",
            ),
            (json!({"peer": {"dns_san": {"suffix": ".shop.example"}}}), "the certificate's DNS name ends with .shop.example"),
            (json!({"peer": {"subject": {"exact": "CN=orders,O=Shop"}}}), "the certificate's subject is \"CN=orders,O=Shop\""),
            (json!({"peer": {"sha256": "ab"}}), "the certificate's SHA-256 is ab"),
            (json!({"source": {"cidr": ["203.0.113.0/24", "2001:db8::/32"]}}), "the source is in 203.0.113.0/24 or 2001:db8::/32"),
            (json!({"caller": {"provider": "staff", "roles": ["Admin"]}}), "the caller is one of staff with role Admin"),
            (json!({"claim": {"provider": "partners", "path": "tier", "match": {"exact": "gold"}}}), "claim tier of partners is gold"),
            (json!({"route": ["orders"]}), "the route is orders"),
            (json!({"signed_hop": "valid"}), "a gateway of ours has signed the trace"),
        ]
    }

    #[test]
    fn every_kind_of_condition_has_words() {
        for (condition, expected) in samples() {
            let read: Condition = serde_json::from_value(condition.clone()).unwrap();
            assert_eq!(read.words(), expected);
            assert_eq!(serde_json::to_value(&read).unwrap(), condition, "it is shown as it was written");
        }
    }

    #[test]
    fn no_kind_is_forgotten() {
        let schema = tracegate::config::json_schema();
        let kinds = |name: &str| -> BTreeSet<String> {
            let of = |kind: &Value| kind["properties"].as_object().unwrap().keys().next().unwrap().clone();
            schema["$defs"][name]["oneOf"].as_array().unwrap().iter().map(of).collect()
        };
        let text = samples().into_iter().map(|(condition, _)| condition.to_string()).collect::<String>();
        let known: Vec<String> = ["Condition", "Values", "Peer", "Path"].into_iter().flat_map(kinds).collect();
        assert!(known.len() > 20, "{known:?}");
        for kind in known {
            assert!(text.contains(&format!("\"{kind}\":")), "{kind}");
        }
    }
}
