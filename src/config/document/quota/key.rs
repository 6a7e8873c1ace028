// SPDX-License-Identifier: Apache-2.0
//! Whose requests are counted together, as written.

use serde::Serialize;

use super::super::jwt::token;
use crate::claim::ClaimPath;
use crate::config::decode::{Decode, Leaf, Place, WordOrField};
use crate::config::finding::Findings;
use crate::quota::{self, entry_name};

/// A part of a key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum KeyPart {
    /// The caller's subscription.
    Subscription,
    /// The product that it is to.
    Product,
    /// The caller, as its provider knows it: a token's subject, a subscription, a certificate.
    Caller,
    /// A claim of the caller's token.
    Claim(KeyClaim),
    /// Where the request comes from; `source` alone is whole IPv4 addresses and 64 bits of IPv6 addresses.
    Source(Prefixes),
    /// A header, by its name.
    Header(String),
    /// A query parameter, by its name.
    Query(String),
    /// The policy's route.
    Route,
    /// The method.
    Method,
    /// Always the same: all that the route's requests cost is counted together.
    Literal(String),
}

/// A claim, and whose.
#[derive(Clone, Debug, Serialize)]
pub(in crate::config) struct KeyClaim {
    /// A name in `identity.providers`; any by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) provider: Option<String>,
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper.
    pub(in crate::config) path: Leaf<ClaimPath>,
}

/// How many bits of an address count.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::config) struct Prefixes {
    /// From 0 to 32.
    pub(in crate::config) ipv4_prefix: u8,
    /// From 0 to 128.
    pub(in crate::config) ipv6_prefix: u8,
}

impl Prefixes {
    /// A network of 64 bits is one customer's as a rule, who has all of its addresses.
    const DEFAULT: Self = Self { ipv4_prefix: 32, ipv6_prefix: 64 };
}

/// What becomes of a request whose key can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum KeyAbsent {
    /// It isn't limited.
    Skip,
    /// It is refused.
    Refuse,
    /// It is counted together with all of its kind.
    SharedBucket,
}

impl KeyPart {
    /// Whether no request is without it.
    pub(super) const fn is_always_there(&self) -> bool {
        matches!(self, Self::Route | Self::Method | Self::Literal(_))
    }

    /// The name under which it travels to a rate-limit service.
    pub(super) fn entry_name(&self) -> String {
        entry_name(&match self {
            Self::Subscription => quota::KeyPart::Subscription,
            Self::Product => quota::KeyPart::Product,
            Self::Caller => quota::KeyPart::Caller,
            Self::Claim(claim) => quota::KeyPart::Claim { provider: None, path: claim.path.value.clone() },
            Self::Source(Prefixes { ipv4_prefix, ipv6_prefix }) => {
                quota::KeyPart::Source { ipv4_prefix: *ipv4_prefix, ipv6_prefix: *ipv6_prefix }
            }
            Self::Header(name) => quota::KeyPart::Header(name.to_ascii_lowercase()),
            Self::Query(name) => quota::KeyPart::Query(name.clone()),
            Self::Route => quota::KeyPart::Route,
            Self::Method => quota::KeyPart::Method,
            Self::Literal(text) => quota::KeyPart::Literal(text.clone()),
        })
    }
}

impl Decode for KeyPart {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let words: [(&str, Make); 6] = [
            ("subscription", || Self::Subscription),
            ("product", || Self::Product),
            ("caller", || Self::Caller),
            ("source", || Self::Source(Prefixes::DEFAULT)),
            ("route", || Self::Route),
            ("method", || Self::Method),
        ];
        match place.word_or_field(&words, &["claim", "source", "header", "query", "literal"], findings)? {
            WordOrField::Word(part) => Some(part()),
            WordOrField::Field("claim", place) => {
                let mut fields = place.fields(findings)?;
                let provider = fields.maybe("provider", findings, |place, findings| place.name(findings));
                let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
                fields.finish(findings);
                Some(Self::Claim(KeyClaim { provider: provider?, path: path? }))
            }
            WordOrField::Field("source", place) => {
                let mut fields = place.fields(findings)?;
                let mut prefix = |name, longest: u8, default, findings: &mut Findings| {
                    let written =
                        fields.maybe(name, findings, |place, findings| u8::try_from(place.integer(0..=u64::from(longest), findings)?).ok());
                    written.map(|written| written.unwrap_or(default))
                };
                let ipv4_prefix = prefix("ipv4_prefix", 32, Prefixes::DEFAULT.ipv4_prefix, findings);
                let ipv6_prefix = prefix("ipv6_prefix", 128, Prefixes::DEFAULT.ipv6_prefix, findings);
                fields.finish(findings);
                Some(Self::Source(Prefixes { ipv4_prefix: ipv4_prefix?, ipv6_prefix: ipv6_prefix? }))
            }
            WordOrField::Field("header", place) => token(&place, findings).map(Self::Header),
            WordOrField::Field("query", place) => place.name(findings).map(Self::Query),
            WordOrField::Field(_, place) => place.name(findings).map(Self::Literal),
        }
    }
}

/// Makes a part that is told by a word.
type Make = fn() -> KeyPart;
