// SPDX-License-Identifier: Apache-2.0
//! What spans tell, as written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use super::identity::Provider;
use super::jwt::token;
use super::trace::SecretName;
use super::{Document, Path};
use crate::claim::ClaimPath;
use crate::head::is_alike;
use crate::path::{PathMatch, Segment};

/// What is told in spans. Never a query, a body or a credential.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Spans {
    /// A second span is recorded for the call to the upstream. Default: `false`.
    pub(in crate::config) client: bool,
    /// What stands in `url.path`. Default: `full`.
    pub(in crate::config) url_path: UrlPath,
    /// What is told beside what always is. Default: `[server.address]`.
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(in crate::config) attributes: Vec<SpanAttribute>,
    /// Claims of the caller's token that are told, as `tracegate.caller.claim.<path>`; none by default.
    pub(in crate::config) claims: Vec<SpanClaim>,
    /// What digests are made with: of callers, as `tracegate.caller.digest`, and of path parameters. Without it no caller's digest is told.
    #[cfg_attr(feature = "schema", schemars(with = "SecretName"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) digest_key: Option<SecretName>,
    /// The request header that holds the request's id as API Management knows it, told as `tracegate.request_id`; none by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", regex(pattern = schema::TOKEN)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) request_id_header: Option<String>,
}

/// What stands in `url.path`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum UrlPath {
    /// The path, without its query and without parameters of its segments.
    #[default]
    Full,
    /// The route's template.
    Template,
}

/// What may be told beside what always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::config) enum SpanAttribute {
    /// Where the request comes from, as `listener.trusted_hops` has it. Asks the host, which takes about a microsecond.
    #[serde(rename = "client.address")]
    ClientAddress,
    /// The client's `user-agent`.
    #[serde(rename = "user_agent.original")]
    UserAgent,
    /// The request's authority, and its port where it names one.
    #[serde(rename = "server.address")]
    ServerAddress,
}

/// A claim, and whose.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct SpanClaim {
    /// A name in `identity.providers`; any by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) provider: Option<String>,
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 256)))]
    pub(in crate::config) path: Leaf<ClaimPath>,
}

/// What is told of a route's requests.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct RouteAttributes {
    /// Parameters of its path's template, by name, as `tracegate.path.<name>`.
    pub(in crate::config) path: BTreeMap<String, PathTold>,
}

/// How a path parameter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum PathTold {
    /// As it is.
    Raw,
    /// As a digest, here and in `url.path`: who has the value finds its requests, and who reads a span doesn't learn it.
    Digest,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            client: false,
            url_path: UrlPath::Full,
            attributes: vec![SpanAttribute::ServerAddress],
            claims: Vec::new(),
            digest_key: None,
            request_id_header: None,
        }
    }
}

impl Spans {
    /// Reports what doesn't go together with the rest of the document. `place` is this section's.
    pub(super) fn check_against(&self, document: &Document, place: &Place<'_>, findings: &mut Findings) {
        let mut credentials = document.identity.providers.values().flat_map(Provider::headers);
        if let Some(name) = &self.request_id_header
            && credentials.any(|credential| is_alike(credential.as_bytes(), name.as_bytes()))
        {
            place.descend(&["request_id_header"]).expected::<()>("a header without credentials", findings);
        }
        let is_token = |name: &str| matches!(document.identity.providers.get(name), Some(Provider::Jwt(_) | Provider::Entra(_)));
        for (index, claim) in self.claims.iter().enumerate() {
            let at = place.descend(&["claims"]).item(index);
            match &claim.provider {
                Some(name) if !is_token(name) => {
                    at.descend(&["provider"]).expected::<()>("a name in `identity.providers` of one with tokens", findings);
                }
                None if !document.identity.providers.keys().any(|name| is_token(name)) => {
                    let text = "expected a provider with tokens in `identity.providers`: nobody's claims are known";
                    at.report::<()>(Problem::Invalid(text.to_owned()), findings);
                }
                _ => {}
            }
            // One that tells of any provider's tokens, or of the same one's, leaves nothing to tell.
            let told = |before: &SpanClaim| before.path == claim.path && (before.provider.is_none() || before.provider == claim.provider);
            if let Some(before) = self.claims.iter().take(index).position(told) {
                let text = format!("expected another claim, found that of `claims[{before}]`");
                at.report::<()>(Problem::Invalid(text), findings);
            }
        }
    }
}

impl RouteAttributes {
    /// Reports what doesn't go together with the rest of the document. `place` is the route's.
    pub(super) fn check_against(&self, path: Option<&Path>, spans: &Spans, place: &Place<'_>, findings: &mut Findings) {
        let template = match path {
            Some(Path::Template(Leaf { value: PathMatch::Template(segments), .. })) => segments.as_slice(),
            _ => &[],
        };
        for (name, told) in &self.path {
            let at = place.descend(&["attributes", "path", name]);
            if !template.iter().any(|segment| matches!(segment, Segment::Parameter(parameter) if parameter == name)) {
                at.report::<()>(Problem::Invalid("expected a parameter of the route's path template, found another".to_owned()), findings);
            }
            if *told == PathTold::Digest && spans.digest_key.is_none() {
                let text = "expected `export.spans.digest_key` beside a digest, found none";
                at.report::<()>(Problem::Invalid(text.to_owned()), findings);
            }
        }
    }
}

impl Decode for Spans {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let client = fields.maybe("client", findings, |place, findings| place.bool(findings));
        let words = [("full", UrlPath::Full), ("template", UrlPath::Template)];
        let url_path = fields.maybe("url_path", findings, |place, findings| place.word(&words, findings));
        let attributes = fields.maybe("attributes", findings, |place, findings| {
            let items = place.list(findings)?;
            place.each_once(items, findings)
        });
        let claims = fields.maybe("claims", findings, |place, findings| place.list(findings));
        let digest_key = fields.maybe("digest_key", findings, SecretName::decode);
        let request_id_header = fields.maybe("request_id_header", findings, |place, findings| {
            let name = token(&place, findings)?;
            let secret = CREDENTIALS.iter().any(|credential| is_alike(credential.as_bytes(), name.as_bytes()));
            if secret { place.expected("a header without credentials", findings) } else { Some(name) }
        });
        fields.finish(findings);
        let default = Self::default();
        Some(Self {
            client: client?.unwrap_or_default(),
            url_path: url_path?.unwrap_or_default(),
            attributes: attributes?.unwrap_or(default.attributes),
            claims: claims?.unwrap_or_default(),
            digest_key: digest_key?,
            request_id_header: request_id_header?,
        })
    }
}

impl Decode for SpanAttribute {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let words =
            [("client.address", Self::ClientAddress), ("user_agent.original", Self::UserAgent), ("server.address", Self::ServerAddress)];
        place.word(&words, findings)
    }
}

impl Decode for SpanClaim {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let provider = fields.maybe("provider", findings, |place, findings| place.name(findings));
        let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
        fields.finish(findings);
        Some(Self { provider: provider?, path: path? })
    }
}

impl Decode for RouteAttributes {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let path = fields.maybe("path", findings, |place, findings| place.map(findings));
        fields.finish(findings);
        Some(Self { path: path?.unwrap_or_default() })
    }
}

impl Decode for PathTold {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.word(&[("raw", Self::Raw), ("digest", Self::Digest)], findings)
    }
}

/// Headers that hold credentials, whatever the policy says of them.
const CREDENTIALS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-forwarded-client-cert"];
