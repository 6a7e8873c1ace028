// SPDX-License-Identifier: Apache-2.0
//! Stage: what is recorded of a request, by OpenTelemetry's conventions for HTTP
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).
//!
//! A span is drafted when its request is decided, in the protobuf in which it travels, and finished when the exchange is over. It is metadata by
//! construction: what is told stands in `span/draft.rs` line by line, and nothing else of a request is ever looked at. Queries, bodies and credentials
//! have no way in.

mod attribute;
mod digest;
mod draft;
mod http;
mod subject;
mod url;

pub(crate) use attribute::{Value, put_attribute};
pub(crate) use digest::DigestKey;
pub(crate) use draft::{Awaited, Draft, Observed, Times, Wait};
pub(crate) use subject::{digest, tell as tell_caller};

use crate::claim::ClaimPath;
use crate::secret::{SecretKey, SecretReference};

/// What the policy says of spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanPolicy {
    /// A second span is recorded for the call to the upstream, which then is the upstream's parent.
    pub client: bool,
    /// What stands in `url.path`.
    pub url_path: UrlPath,
    /// Some route tells a parameter of its path as a digest: of requests that match no such route only templates are told.
    pub hides_parameters: bool,
    /// What is told beside what always is.
    pub attributes: Vec<OptionalAttribute>,
    /// Claims of the caller's token that are told.
    pub claims: Vec<TokenClaim>,
    /// What digests are made with, where any are asked for.
    pub digest_key: Option<SecretReference>,
    /// The header that holds the request's id as API Management knows it, in lower case.
    pub request_id_header: Option<String>,
}

/// What spans tell of a path's parameter that the policy tells as a digest with this key, so that it can be searched for: 16 hexadecimal digits.
/// `value` is the segment as it is once decoded (RFC 3986 section 2.4); what stands in it behind a `;` is told in no span. `None` for what is no key.
#[must_use]
pub fn parameter_digest(key: &SecretKey, value: &[u8]) -> Option<String> {
    let digest = DigestKey::new(key)?.digest(&url::id(value));
    Some(String::from_utf8_lossy(&digest).into_owned())
}

/// What stands in `url.path`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrlPath {
    /// The path as it came, without its query and without parameters of its segments (`;a=b`). Of a route some of whose parameters are told as
    /// digests, their values are replaced by these; where there is such a route, the others' requests are told by their templates.
    #[default]
    Full,
    /// The route's template, or what its match says; `/` where no route matches.
    Template,
}

/// An attribute that costs more than it is worth to some: a question to the host, or many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionalAttribute {
    /// `client.address`
    ClientAddress,
    /// `user_agent.original`
    UserAgent,
    /// `server.address` and `server.port`
    ServerAddress,
}

/// A claim that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaim {
    /// The provider, by its place in the policy; any where it is `None`.
    pub provider: Option<usize>,
    /// Which claim.
    pub path: ClaimPath,
}
