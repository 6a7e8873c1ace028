// SPDX-License-Identifier: Apache-2.0
//! Who vouches for callers, and what the upstream is told of them, as written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use super::certificate::ClientCertificate;
use super::entra::Entra;
use super::forward::{self, CallerToHeader, ClaimToHeader, ReplaceToken};
use super::jwt::{Jwt, TokenPlace};
use super::keys::Keys;
use super::listener::ClientCertificates;
use super::subscription::{Subscription, SubscriptionKeys};
use super::{Document, plain_names};

/// Who calls.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Identity {
    /// Who vouches for callers, by names that rules and metrics use. At most 16.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::providers"))]
    pub(in crate::config) providers: BTreeMap<String, Provider>,
    /// Headers that tell the upstream what a verified token claims. Whatever a client sends under these names, or names that some service takes
    /// for them, is removed, on every route, matched or not.
    pub(in crate::config) claim_to_headers: Vec<ClaimToHeader>,
    /// Headers that tell the upstream who calls, by the policy's names. What holds for `claim_to_headers` holds for them.
    pub(in crate::config) caller_to_headers: Vec<CallerToHeader>,
    /// Whether verified tokens go on to the upstream. Default: `false`. Others never do.
    pub(in crate::config) forward_token: bool,
    /// What goes on in `Authorization` in the place of a verified token; nothing by default.
    #[cfg_attr(feature = "schema", schemars(with = "ReplaceToken"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) replace_token: Option<ReplaceToken>,
}

/// Who vouches for callers.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Provider {
    /// An issuer of JSON Web Tokens.
    Jwt(Box<Jwt>),
    /// Microsoft Entra ID.
    Entra(Box<Entra>),
    /// Subscriptions with keys, as API Management has them.
    SubscriptionKeys(SubscriptionKeys),
    /// Clients with certificates; the policy must say `listener: {client_certificates: verified}`.
    ClientCertificate(ClientCertificate),
}

impl Provider {
    /// The names of the services that it tells apart; `None` where it tells none.
    pub(super) fn services(&self) -> Option<Vec<&str>> {
        match self {
            Self::Entra(entra) => Some(entra.services.iter().map(|service| service.name.as_str()).collect()),
            Self::ClientCertificate(certificate) => Some(certificate.services.iter().map(|service| service.name.as_str()).collect()),
            Self::Jwt(_) | Self::SubscriptionKeys(_) => None,
        }
    }

    /// What its subscriptions have; `None` where it has none.
    pub(super) fn subscriptions<'p>(&'p self, what: impl Fn(&'p Subscription) -> Option<&'p str>) -> Option<Vec<&'p str>> {
        match self {
            Self::SubscriptionKeys(keys) => Some(keys.subscriptions.iter().filter_map(what).collect()),
            Self::Jwt(_) | Self::Entra(_) | Self::ClientCertificate(_) => None,
        }
    }

    /// Where requests carry its credentials: headers, in lower case.
    pub(super) fn headers(&self) -> Vec<&str> {
        match self {
            Self::Jwt(jwt) => jwt.tokens.iter().filter_map(TokenPlace::header).collect(),
            Self::Entra(entra) => entra.tokens.iter().filter_map(TokenPlace::header).collect(),
            Self::SubscriptionKeys(keys) => vec![&keys.header],
            Self::ClientCertificate(_) => Vec::new(),
        }
    }
}

impl Identity {
    /// Reports what doesn't go together with the rest of the document. `root` is the document's place.
    pub(super) fn check_against(&self, document: &Document, root: &Place<'_>, findings: &mut Findings) {
        let providers = root.descend(&["identity", "providers"]);
        let (mut asked, routes) = (Vec::new(), root.descend(&["routes"]));
        for (index, route) in document.routes.iter().enumerate() {
            for (rule_index, rule) in route.rules.iter().enumerate() {
                let place = routes.item(index).descend(&["rules"]).item(rule_index);
                rule.require.visit(&place.descend(&["require"]), &mut |caller, place| {
                    caller.check_against(document, place, findings);
                    asked.push(caller.provider.clone());
                });
                if let Some(when) = &rule.when {
                    asked.extend(when.providers());
                }
            }
        }
        for (name, provider) in &self.providers {
            let place = providers.descend(&[name]);
            if !asked.contains(name) {
                place.warn("no rule requires this provider: it keeps nobody out", findings);
            }
            self.check_provider(provider, &place, document, findings);
        }
        forward::check(self, document, &root.descend(&["identity"]), findings);
    }

    fn check_provider(&self, provider: &Provider, place: &Place<'_>, document: &Document, findings: &mut Findings) {
        match provider {
            Provider::Jwt(jwt) => {
                let Keys::Secrets(keys) = &jwt.keys else { return };
                for (index, _) in keys.iter().enumerate().filter(|(_, key)| !document.secrets.contains_key(&key.key.secret)) {
                    let at = place.descend(&["jwt", "keys", "secrets"]).item(index).descend(&["key", "secret"]);
                    at.report::<()>(Problem::Invalid("expected a name in `secrets`, found another".to_owned()), findings);
                }
            }
            Provider::ClientCertificate(_) if document.listener.client_certificates != ClientCertificates::Verified => {
                let text =
                    "expected `listener: {client_certificates: verified}` beside `client_certificate`: what isn't verified proves nothing";
                place.report::<()>(Problem::Invalid(text.to_owned()), findings);
            }
            Provider::Entra(_) | Provider::SubscriptionKeys(_) | Provider::ClientCertificate(_) => {}
        }
    }
}

impl Decode for Identity {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let providers = fields.maybe("providers", findings, providers);
        let claim_to_headers = fields.maybe("claim_to_headers", findings, |place, findings| place.list(findings));
        let caller_to_headers = fields.maybe("caller_to_headers", findings, |place, findings| place.list(findings));
        let forward_token = fields.maybe("forward_token", findings, |place, findings| place.bool(findings));
        let replace_token = fields.maybe("replace_token", findings, ReplaceToken::decode);
        fields.finish(findings);
        Some(Self {
            providers: providers?.unwrap_or_default(),
            claim_to_headers: claim_to_headers?.unwrap_or_default(),
            caller_to_headers: caller_to_headers?.unwrap_or_default(),
            forward_token: forward_token?.unwrap_or_default(),
            replace_token: replace_token?,
        })
    }
}

fn providers(place: Place<'_>, findings: &mut Findings) -> Option<BTreeMap<String, Provider>> {
    let providers: BTreeMap<String, Provider> = place.map(findings)?;
    plain_names(&place, &providers, findings)?;
    if providers.len() > MAX_PROVIDERS { place.expected("at most 16 providers", findings) } else { Some(providers) }
}

impl Decode for Provider {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["jwt", "entra", "subscription_keys", "client_certificate"], findings)? {
            ("jwt", place) => Jwt::decode(place, findings).map(Box::new).map(Self::Jwt),
            ("entra", place) => Entra::decode(place, findings).map(Box::new).map(Self::Entra),
            ("subscription_keys", place) => SubscriptionKeys::decode(place, findings).map(Self::SubscriptionKeys),
            (_, place) => ClientCertificate::decode(place, findings).map(Self::ClientCertificate),
        }
    }
}

const MAX_PROVIDERS: usize = 16;
