// SPDX-License-Identifier: Apache-2.0
//! What is asked of callers, as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::Document;
use super::condition::at_least_one;
use super::identity::Provider;
use super::matcher::{Values, names};
use crate::claim::ClaimPath;
use crate::json::Value;

/// Who may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Requirement {
    /// Everybody may.
    Anonymous,
    /// Nobody may.
    Deny,
    /// Whoever a provider vouches for.
    Caller(CallerRule),
    /// Whoever any of these lets.
    AnyOf(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<Self>),
    /// Whoever all of these let.
    AllOf(#[cfg_attr(feature = "schema", schemars(length(min = 1)))] Vec<Self>),
}

/// Who vouches for a caller, and what must be so of that caller: all that is given here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct CallerRule {
    /// Required: a name in `identity.providers`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) provider: String,
    /// Every one of these scopes was granted, in the claims `scope` or `scp`.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1), inner(regex(pattern = r"^[!#-\[\]-~]+$"))))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) scopes: Vec<String>,
    /// Any of these roles, in the provider's `roles_claim`.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1), inner(length(min = 1))))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) roles: Vec<String>,
    /// Any of these groups, in the claim `groups`.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1), inner(length(min = 1))))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) groups: Vec<String>,
    /// All of this is so of the token's claims.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1)))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) claims: Vec<ClaimRule>,
    /// Any of these services, as the provider names them.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1), inner(length(min = 1))))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) services: Vec<String>,
    /// Any of these subscriptions.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1), inner(length(min = 1))))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) subscriptions: Vec<String>,
    /// A subscription to any of these products.
    #[cfg_attr(feature = "schema", schemars(default, length(min = 1), inner(length(min = 1))))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) products: Vec<String>,
}

/// What must be so of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct ClaimRule {
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper: `/realm_access/roles`.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 256)))]
    pub(in crate::config) path: Leaf<ClaimPath>,
    /// What parts a text into several values; nothing by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) separator: Option<String>,
    /// Required: what must be so of its values. Numbers and booleans are texts as JSON writes them; an object has no values.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Values,
}

impl Requirement {
    /// Shows every rule about callers within it to `see`, with its place.
    pub(super) fn visit(&self, place: &Place<'_>, see: &mut dyn FnMut(&CallerRule, &Place<'_>)) {
        match self {
            Self::Anonymous | Self::Deny => {}
            Self::Caller(caller) => see(caller, &place.descend(&["caller"])),
            Self::AnyOf(any) => any.iter().enumerate().for_each(|(index, one)| one.visit(&place.descend(&["any_of"]).item(index), see)),
            Self::AllOf(all) => all.iter().enumerate().for_each(|(index, one)| one.visit(&place.descend(&["all_of"]).item(index), see)),
        }
    }

    /// Whether it asks who calls.
    pub(super) fn asks_caller(&self) -> bool {
        match self {
            Self::Anonymous | Self::Deny => false,
            Self::Caller(_) => true,
            Self::AnyOf(requirements) | Self::AllOf(requirements) => requirements.iter().any(Self::asks_caller),
        }
    }

    /// Whether everybody meets it.
    pub(super) fn is_anybodys(&self) -> bool {
        match self {
            Self::Anonymous => true,
            Self::Deny | Self::Caller(_) => false,
            Self::AnyOf(any) => any.iter().any(Self::is_anybodys),
            Self::AllOf(all) => all.iter().all(Self::is_anybodys),
        }
    }
}

impl CallerRule {
    /// Whoever `provider` vouches for, with such a claim.
    pub(super) fn of_claims(provider: String, claims: Vec<ClaimRule>) -> Self {
        let none = Vec::new;
        Self { provider, claims, scopes: none(), roles: none(), groups: none(), services: none(), subscriptions: none(), products: none() }
    }

    /// Reports what doesn't go together with the rest of the document.
    pub(super) fn check_against(&self, document: &Document, place: &Place<'_>, findings: &mut Findings) {
        let Some(provider) = document.identity.providers.get(&self.provider) else {
            place.descend(&["provider"]).expected::<()>("a name in `identity.providers`", findings);
            return;
        };
        let token = matches!(provider, Provider::Jwt(_) | Provider::Entra(_));
        let subscription = matches!(provider, Provider::SubscriptionKeys(_));
        for (name, given, has, of) in [
            ("scopes", !self.scopes.is_empty(), token, "an issuer of tokens"),
            ("roles", !self.roles.is_empty(), token, "an issuer of tokens"),
            ("groups", !self.groups.is_empty(), token, "an issuer of tokens"),
            ("claims", !self.claims.is_empty(), token, "an issuer of tokens"),
            ("services", !self.services.is_empty(), provider.services().is_some(), "a provider with `services`"),
            ("subscriptions", !self.subscriptions.is_empty(), subscription, "a provider of subscription keys"),
            ("products", !self.products.is_empty(), subscription, "a provider of subscription keys"),
        ] {
            if given && !has {
                let text = format!("expected `{name}` beside {of} alone, found it beside another");
                place.descend(&[name]).report::<()>(Problem::Invalid(text), findings);
            }
        }
        let mut known = |name: &str, asked: &[String], known: Option<Vec<&str>>, of: &str| {
            let Some(known) = known else { return };
            for (index, _) in asked.iter().enumerate().filter(|(_, asked)| !known.contains(&asked.as_str())) {
                place.descend(&[name]).item(index).expected::<()>(format!("one of the provider's {of}"), findings);
            }
        };
        known("services", &self.services, provider.services(), "services");
        known("subscriptions", &self.subscriptions, provider.subscriptions(|one| Some(&one.id)), "subscriptions");
        known("products", &self.products, provider.subscriptions(|one| one.product.as_deref()), "products");
    }
}

impl Decode for Requirement {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.value() {
            Value::String(word) if word == "anonymous" => Some(Self::Anonymous),
            Value::String(word) if word == "deny" => Some(Self::Deny),
            Value::Mapping(_) => match place.choice(&["caller", "any_of", "all_of"], findings)? {
                ("caller", place) => CallerRule::decode(place, findings).map(Self::Caller),
                ("any_of", place) => at_least_one(&place, findings).map(Self::AnyOf),
                (_, place) => at_least_one(&place, findings).map(Self::AllOf),
            },
            _ => place.expected("`anonymous` or `deny` or a mapping with `caller`, `any_of` or `all_of`", findings),
        }
    }
}

impl Decode for CallerRule {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let provider = fields.required("provider", findings).and_then(|place| place.name(findings));
        let scopes = fields.maybe("scopes", findings, |place, findings| {
            let scopes: Vec<Scope> = at_least_one(&place, findings)?;
            Some(scopes.into_iter().map(|Scope(scope)| scope).collect())
        });
        let mut list = |name| fields.maybe(name, findings, |place, findings| names(&place, findings));
        let (roles, groups, services) = (list("roles"), list("groups"), list("services"));
        let (subscriptions, products) = (list("subscriptions"), list("products"));
        let claims = fields.maybe("claims", findings, |place, findings| at_least_one(&place, findings));
        fields.finish(findings);
        Some(Self {
            provider: provider?,
            scopes: scopes?.unwrap_or_default(),
            roles: roles?.unwrap_or_default(),
            groups: groups?.unwrap_or_default(),
            claims: claims?.unwrap_or_default(),
            services: services?.unwrap_or_default(),
            subscriptions: subscriptions?.unwrap_or_default(),
            products: products?.unwrap_or_default(),
        })
    }
}

struct Scope(String);

impl Decode for Scope {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let scope = place.name(findings)?;
        let sound = scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'));
        if sound { Some(Self(scope)) } else { place.expected("a scope: printable ASCII without spaces, quotes and backslashes", findings) }
    }
}

impl Decode for ClaimRule {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
        let separator = fields.maybe("separator", findings, |place, findings| place.name(findings));
        let matches = fields.required("match", findings).and_then(|place| Values::decode(place, findings));
        fields.finish(findings);
        Some(Self { path: path?, separator: separator?, matches: matches? })
    }
}
