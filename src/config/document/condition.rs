// SPDX-License-Identifier: Apache-2.0
//! Conditions as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use super::caller::{CallerRule, ClaimRule};
use super::jwt::token;
use super::listener::ClientCertificates;
use super::matcher::{Values, names};
use super::trace::Format;
use super::{Document, Method, Path};
use crate::claim::ClaimPath;
use crate::network::Network;

/// What must be so. What can't be told is neither so nor not so: a rule of `trace.trust` doesn't match then, and a route's rule applies.
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
    /// Any of these methods, in upper case.
    Method(#[cfg_attr(feature = "schema", schemars(length(min = 1), inner(regex(pattern = r"^[A-Z_-]+$"))))] Vec<String>),
    /// This path.
    Path(Path),
    /// A header's lines.
    Header(Header),
    /// A parameter of the query, decoded.
    Query(Query),
    /// The peer's certificate; the policy must say `listener: {client_certificates: verified}`.
    Peer(Peer),
    /// Where the request comes from.
    Source(Source),
    /// The caller: whoever a provider vouches for, in a rule that is enforced or in this condition.
    Caller(Box<CallerRule>),
    /// A claim of the caller's token.
    Claim(Box<Claim>),
    /// Not in a route's rules: the request matched any of these routes, by name.
    Route(#[cfg_attr(feature = "schema", schemars(length(min = 1), inner(length(min = 1))))] Vec<String>),
    /// Only in `trace.trust`: our `tracestate` member bears a valid signature of a gateway of ours; the policy must have `trace.signed_hop`.
    SignedHop(Signature),
}

/// A header and what must be so of its lines.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Header {
    /// Required: its name, in any case.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::token"))]
    pub(in crate::config) name: String,
    /// Required: what must be so.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Values,
}

/// A parameter and what must be so of its values.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Query {
    /// Required: its name.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) name: String,
    /// Required: what must be so.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Values,
}

/// A claim of a token, and whose.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Claim {
    /// Required: a name in `identity.providers`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) provider: String,
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper: `/realm_access/roles`.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 256)))]
    pub(in crate::config) path: Leaf<ClaimPath>,
    /// What parts a text into several values; nothing by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) separator: Option<String>,
    /// Required: what must be so of its values.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Values,
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

/// Where a condition stands, which is what it may ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// In a rule of `trace.trust`.
    Trust,
    /// In a route's rule.
    Rule,
    /// In `listener`.
    Listener,
}

impl Condition {
    /// Reports what may not stand here, or doesn't go together with the rest of the document. `place` is its own.
    pub(super) fn check_against(&self, document: &Document, used: Use, place: &Place<'_>, findings: &mut Findings) {
        let report = |text: &str, findings: &mut Findings| {
            place.report::<()>(Problem::Invalid(text.to_owned()), findings);
        };
        match self {
            Self::All(conditions) => check_each(conditions, &place.descend(&["all"]), document, used, findings),
            Self::Any(conditions) => check_each(conditions, &place.descend(&["any"]), document, used, findings),
            Self::Not(condition) => condition.check_against(document, used, &place.descend(&["not"]), findings),
            Self::Peer(_) if document.listener.client_certificates != ClientCertificates::Verified => {
                let text =
                    "expected `listener: {client_certificates: verified}` beside a `peer` to match: what isn't verified proves nothing";
                report(text, findings);
            }
            Self::Caller(_) | Self::Claim(_) if used == Use::Listener => {
                let word = if matches!(self, Self::Caller(_)) { "caller" } else { "claim" };
                report(&format!("expected no `{word}` here: nobody has been asked for proof yet"), findings);
            }
            Self::Caller(caller) => caller.check_against(document, &place.descend(&["caller"]), findings),
            Self::Claim(claim) => claim.rule().check_against(document, &place.descend(&["claim"]), findings),
            Self::Route(_) if used != Use::Trust => report("expected no `route` here: only `trace.trust` may ask for one", findings),
            Self::Route(names) => {
                for name in names.iter().filter(|name| document.routes.iter().all(|route| route.name != **name)) {
                    report(&format!("expected the name of a route, found {name:?}"), findings);
                }
            }
            Self::SignedHop(_) if used != Use::Trust => {
                report("expected no `signed_hop` here: only `trace.trust` may ask for one", findings)
            }
            Self::SignedHop(_) => {
                if !document.trace.propagation.extract.contains(&Format::TraceContext) {
                    let text =
                        "expected `tracecontext` in `trace.propagation.extract` beside a `signed_hop` to match, which would never be read";
                    report(text, findings);
                }
                if document.trace.signed_hop.is_none() {
                    report("expected `trace.signed_hop` beside a `signed_hop` to match, found none", findings);
                }
            }
            Self::Method(_) | Self::Path(_) | Self::Header(_) | Self::Query(_) | Self::Peer(_) | Self::Source(_) => {}
        }
    }

    /// The providers that it asks about.
    pub(super) fn providers(&self) -> Vec<String> {
        match self {
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().flat_map(Self::providers).collect(),
            Self::Not(condition) => condition.providers(),
            Self::Caller(caller) => vec![caller.provider.clone()],
            Self::Claim(claim) => vec![claim.provider.clone()],
            _ => Vec::new(),
        }
    }
}

fn check_each(conditions: &[Condition], place: &Place<'_>, document: &Document, used: Use, findings: &mut Findings) {
    for (index, condition) in conditions.iter().enumerate() {
        condition.check_against(document, used, &place.item(index), findings);
    }
}

impl Claim {
    /// The same as a rule about callers.
    pub(in crate::config) fn rule(&self) -> CallerRule {
        let Self { provider, path, separator, matches } = self.clone();
        CallerRule::of_claims(provider, vec![ClaimRule { path, separator, matches }])
    }
}

impl Decode for Condition {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let kinds = ["all", "any", "not", "method", "path", "header", "query", "peer", "source", "caller", "claim", "route", "signed_hop"];
        match place.choice(&kinds, findings)? {
            ("all", place) => at_least_one(&place, findings).map(Self::All),
            ("any", place) => at_least_one(&place, findings).map(Self::Any),
            ("not", place) => Self::decode(place, findings).map(Box::new).map(Self::Not),
            ("method", place) => {
                let methods: Vec<Method> = at_least_one(&place, findings)?;
                Some(Self::Method(methods.into_iter().map(|Method(method)| method).collect()))
            }
            ("path", place) => Path::decode(place, findings).map(Self::Path),
            ("header", place) => Header::decode(place, findings).map(Self::Header),
            ("query", place) => Query::decode(place, findings).map(Self::Query),
            ("peer", place) => Peer::decode(place, findings).map(Self::Peer),
            ("source", place) => Source::decode(place, findings).map(Self::Source),
            ("caller", place) => CallerRule::decode(place, findings).map(Box::new).map(Self::Caller),
            ("claim", place) => Claim::decode(place, findings).map(Box::new).map(Self::Claim),
            ("route", place) => names(&place, findings).map(Self::Route),
            (_, place) => place.word(&[("valid", Signature::Valid)], findings).map(Self::SignedHop),
        }
    }
}

impl Decode for Header {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| {
            let name = token(&place, findings)?;
            // Hosts hand it over as `:authority`: a rule that asks for it would never apply.
            if name.eq_ignore_ascii_case("host") {
                return place.expected("another header: hosts are matched by `routes[].match.hosts`", findings);
            }
            Some(name)
        });
        let matches = fields.required("match", findings).and_then(|place| Values::decode(place, findings));
        fields.finish(findings);
        Some(Self { name: name?, matches: matches? })
    }
}

impl Decode for Query {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| place.name(findings));
        let matches = fields.required("match", findings).and_then(|place| Values::decode(place, findings));
        fields.finish(findings);
        Some(Self { name: name?, matches: matches? })
    }
}

impl Decode for Claim {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let provider = fields.required("provider", findings).and_then(|place| place.name(findings));
        let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
        let separator = fields.maybe("separator", findings, |place, findings| place.name(findings));
        let matches = fields.required("match", findings).and_then(|place| Values::decode(place, findings));
        fields.finish(findings);
        Some(Self { provider: provider?, path: path?, separator: separator?, matches: matches? })
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
