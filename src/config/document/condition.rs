// SPDX-License-Identifier: Apache-2.0
//! Conditions as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use crate::network::Network;

/// What must be so. A fact that isn't known matches nothing.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Condition {
    /// All of these.
    All(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<Self>),
    /// Any of these.
    Any(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// The peer's certificate; the policy must say `listener: {client_certificates: verified}`.
    Peer(Peer),
    /// Where the request comes from.
    Source(Source),
    /// The request matched any of these routes, by name.
    Route(#[cfg_attr(feature = "schema", schemars(length(min = 1), inner(length(min = 1))))] Vec<String>),
    /// Our `tracestate` member bears a valid signature of a gateway of ours; the policy must have `trace.signed_hop`.
    SignedHop(Signature),
}

/// A gateway's signature.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Signature {
    /// By a key of the policy's, for this trace, not expired.
    Valid,
}

/// One thing about the peer's certificate.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Peer {
    /// Its first URI subject alternative name: `spiffe://shop.example/orders`.
    UriSan(Text),
    /// Its first DNS subject alternative name, in any case.
    DnsSan(Text),
    /// Its whole subject: `CN=orders,O=Shop`. Parts of it can't be told apart by their text.
    Subject(Whole),
    /// The SHA-256 digest of all of it: 64 hexadecimal digits.
    Sha256(#[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9A-Fa-f]{64}$")))] String),
}

/// The one way to match a text of parts.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Whole {
    /// It is this.
    Exact(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
}

/// One way to match a text.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Text {
    /// It is this.
    Exact(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// It begins so.
    Prefix(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
    /// It ends so.
    Suffix(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] String),
}

/// Where requests come from.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Source {
    /// Required: any of these networks, IPv4 or IPv6.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::networks"))]
    pub(in crate::config) cidr: Vec<Leaf<Network>>,
}

impl Condition {
    /// Whether it, or one within it, is so.
    pub(in crate::config) fn has(&self, is: &mut dyn FnMut(&Self) -> bool) -> bool {
        let within = match self {
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(|condition| condition.has(is)),
            Self::Not(condition) => condition.has(is),
            Self::Peer(_) | Self::Source(_) | Self::Route(_) | Self::SignedHop(_) => false,
        };
        within || is(self)
    }
}

impl Decode for Condition {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let names = ["all", "any", "not", "peer", "source", "route", "signed_hop"];
        match place.choice(&names, findings)? {
            ("all", place) => at_least_one(&place, findings).map(Self::All),
            ("any", place) => at_least_one(&place, findings).map(Self::Any),
            ("not", place) => Self::decode(place, findings).map(Box::new).map(Self::Not),
            ("peer", place) => Peer::decode(place, findings).map(Self::Peer),
            ("source", place) => Source::decode(place, findings).map(Self::Source),
            ("route", place) => {
                let names: Vec<Name> = at_least_one(&place, findings)?;
                Some(Self::Route(names.into_iter().map(|Name(name)| name).collect()))
            }
            (_, place) => place.word(&[("valid", Signature::Valid)], findings).map(Self::SignedHop),
        }
    }
}

/// A list of which at least one item must be there.
pub(super) fn at_least_one<T: Decode>(place: &Place<'_>, findings: &mut Findings) -> Option<Vec<T>> {
    let items: Vec<T> = place.list(findings)?;
    if items.is_empty() {
        place.report(Problem::Invalid("expected a list of at least one, found an empty one".to_owned()), findings)
    } else {
        Some(items)
    }
}

/// Text with at least one character.
pub(super) struct Name(pub(super) String);

impl Decode for Name {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.name(findings).map(Self)
    }
}

impl Decode for Peer {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["uri_san", "dns_san", "subject", "sha256"], findings)? {
            ("uri_san", place) => match Text::decode(place.clone(), findings)? {
                // `spiffe://shop.example` also begins `spiffe://shop.example.evil.example/`.
                Text::Prefix(text) if text.split_once("://").is_some_and(|(_, rest)| !rest.contains('/')) => {
                    place.expected("a prefix that goes past the authority: with a `/` behind it", findings)
                }
                text => Some(Self::UriSan(text)),
            },
            ("dns_san", place) => match Text::decode(place.clone(), findings)? {
                Text::Suffix(text) if !text.starts_with('.') => {
                    place.expected("a suffix with its leading dot, such as .shop.example", findings)
                }
                Text::Prefix(_) => place.expected("`exact` or `suffix`: a name's owner is told by its end", findings),
                text => Some(Self::DnsSan(text)),
            },
            ("subject", place) => {
                let (_, place) = place.choice(&["exact"], findings)?;
                place.name(findings).map(Whole::Exact).map(Self::Subject)
            }
            (_, place) => {
                let digits = place.text(findings)?;
                let sound = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                if sound { Some(Self::Sha256(digits.to_ascii_lowercase())) } else { place.expected("64 hexadecimal digits", findings) }
            }
        }
    }
}

impl Decode for Text {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let (kind, place) = place.choice(&["exact", "prefix", "suffix"], findings)?;
        let text = place.name(findings)?;
        Some(match kind {
            "exact" => Self::Exact(text),
            "prefix" => Self::Prefix(text),
            _ => Self::Suffix(text),
        })
    }
}

impl Decode for Source {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let cidr = fields.required("cidr", findings).and_then(|place| at_least_one(&place, findings));
        fields.finish(findings);
        Some(Self { cidr: cidr? })
    }
}
