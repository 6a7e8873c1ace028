// SPDX-License-Identifier: Apache-2.0
//! What the upstream is told of callers, as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use super::Document;
use super::identity::{Identity, Provider};
use super::jwt::token;
use super::trace::SecretName;
use crate::claim::ClaimPath;
use crate::head::is_alike;
use crate::trace::is_carrier;

/// A header that tells the upstream what a verified token claims.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct ClaimToHeader {
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 256)))]
    pub(in crate::config) claim: Leaf<ClaimPath>,
    /// Required: the header, of its own.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::token"))]
    pub(in crate::config) header: String,
    /// What stands between the values of a list: `,` by default. Within a value it is percent-encoded.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, regex(pattern = r"^[ -$&-/:-@\[-`{-~]{1,8}$")))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) separator: Option<String>,
    /// Whose tokens: a name in `identity.providers`; any issuer's by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) provider: Option<String>,
}

/// A header that tells the upstream who calls.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct CallerToHeader {
    /// Required: what it tells.
    pub(in crate::config) caller: CallerFact,
    /// Required: the header, of its own.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::token"))]
    pub(in crate::config) header: String,
}

/// Something that the policy has a name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum CallerFact {
    /// The providers that vouch for the caller.
    Provider,
    /// The service that calls.
    Service,
    /// The subscription.
    Subscription,
    /// What it is to.
    Product,
}

/// What goes on in the place of a verified token.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct ReplaceToken {
    /// What stands before it. Default: `Bearer`.
    #[cfg_attr(feature = "schema", schemars(default = "default_scheme", schema_with = "schema::token"))]
    pub(in crate::config) scheme: String,
    /// Required: the credential, in printable ASCII.
    pub(in crate::config) credential: SecretName,
}

/// Reports what doesn't go together. `place` is the section's.
pub(super) fn check(identity: &Identity, document: &Document, place: &Place<'_>, findings: &mut Findings) {
    let claims = identity.claim_to_headers.iter().enumerate().map(|(index, one)| ("claim_to_headers", index, &one.header));
    let callers = identity.caller_to_headers.iter().enumerate().map(|(index, one)| ("caller_to_headers", index, &one.header));
    let mut names: Vec<&str> = identity.providers.values().flat_map(Provider::headers).collect();
    for (list, index, header) in claims.chain(callers) {
        if names.iter().any(|name| is_alike(name.as_bytes(), header.as_bytes())) {
            let text = "expected a header of its own, found one that carries something else, or that some service takes for such a one";
            place.descend(&[list]).item(index).descend(&["header"]).report::<()>(Problem::Invalid(text.to_owned()), findings);
        }
        names.push(header);
    }
    for (index, one) in identity.claim_to_headers.iter().enumerate() {
        let provider = one.provider.as_ref().map(|name| identity.providers.get(name));
        if provider.is_some_and(|provider| !matches!(provider, Some(Provider::Jwt(_) | Provider::Entra(_)))) {
            let at = place.descend(&["claim_to_headers"]).item(index).descend(&["provider"]);
            at.expected::<()>("an issuer of tokens in `identity.providers`", findings);
        }
    }
    if let Some(replaced) = &identity.replace_token {
        if !document.secrets.contains_key(&replaced.credential.secret) {
            let at = place.descend(&["replace_token", "credential", "secret"]);
            at.report::<()>(Problem::Invalid("expected a name in `secrets`, found another".to_owned()), findings);
        }
        if identity.forward_token {
            let text = "expected `replace_token` or `forward_token`, found both";
            place.descend(&["replace_token"]).report::<()>(Problem::Invalid(text.to_owned()), findings);
        }
    }
}

/// A header that is free to tell of callers.
fn header(place: &Place<'_>, findings: &mut Findings) -> Option<String> {
    let name = token(place, findings)?;
    // What a client sends under a name that some service takes for this one is removed: it must be nobody else's.
    let begins = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| is_alike(prefix.as_bytes(), start.as_bytes()));
    let taken = means_something(&name) || TAKEN_PREFIXES.iter().any(begins);
    if taken { place.expected("a header that means nothing else to gateways and services", findings) } else { Some(name) }
}

/// Whether gateways and services know a header of this name, or one that some take for it.
pub(super) fn means_something(name: &str) -> bool {
    let dashed: String =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' }).collect();
    TAKEN.iter().any(|taken| is_alike(taken.as_bytes(), name.as_bytes())) || is_carrier(&dashed)
}

impl Decode for ClaimToHeader {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let claim = fields.required("claim", findings).and_then(|place| Leaf::decode(place, findings));
        let header = fields.required("header", findings).and_then(|place| header(&place, findings));
        let separator = fields.maybe("separator", findings, |place, findings| {
            let text = place.text(findings)?;
            // A value's own are percent-encoded: `%2C` must not hold any.
            let parts = |byte: u8| (byte == b' ' || byte.is_ascii_punctuation()) && byte != b'%';
            let sound = matches!(text.len(), 1..=8) && text.bytes().all(parts);
            if sound { Some(text.to_owned()) } else { place.expected("1 to 8 spaces and ASCII punctuation marks but `%`", findings) }
        });
        let provider = fields.maybe("provider", findings, |place, findings| place.name(findings));
        fields.finish(findings);
        Some(Self { claim: claim?, header: header?, separator: separator?, provider: provider? })
    }
}

impl Decode for CallerToHeader {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let facts = [
            ("provider", CallerFact::Provider),
            ("service", CallerFact::Service),
            ("subscription", CallerFact::Subscription),
            ("product", CallerFact::Product),
        ];
        let caller = fields.required("caller", findings).and_then(|place| place.word(&facts, findings));
        let header = fields.required("header", findings).and_then(|place| header(&place, findings));
        fields.finish(findings);
        Some(Self { caller: caller?, header: header? })
    }
}

impl Decode for ReplaceToken {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let scheme = fields.maybe("scheme", findings, |place, findings| token(&place, findings));
        let credential = fields.required("credential", findings).and_then(|place| SecretName::decode(place, findings));
        fields.finish(findings);
        Some(Self { scheme: scheme?.unwrap_or_else(default_scheme), credential: credential? })
    }
}

fn default_scheme() -> String {
    "Bearer".to_owned()
}

/// Headers that mean something else.
const TAKEN: [&str; 24] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "priority",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "www-authenticate",
    "x-real-ip",
    "x-request-id",
    "x-original-url",
];
const TAKEN_PREFIXES: [&str; 4] = ["proxy-", "x-envoy-", "x-forwarded-", "tracegate-"];
