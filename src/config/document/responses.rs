// SPDX-License-Identifier: Apache-2.0
//! How callers are answered, as written.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;

/// How refusals are written.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Responses {
    /// Default: `apim`.
    pub(in crate::config) errors: Errors,
    /// What tells callers of their limits, in every response that one applies to. Default: `[ratelimit]`.
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(in crate::config) rate_limit_headers: Vec<RateLimitHeaders>,
}

impl Default for Responses {
    fn default() -> Self {
        Self { errors: Errors::default(), rate_limit_headers: vec![RateLimitHeaders::RateLimit] }
    }
}

/// Headers that tell of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::config) enum RateLimitHeaders {
    /// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).
    #[serde(rename = "ratelimit")]
    RateLimit,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the nearest limit; the reset in seconds from now.
    #[serde(rename = "x_ratelimit")]
    XRateLimit,
    /// The same, the reset in seconds since 1970.
    #[serde(rename = "x_ratelimit_epoch")]
    XRateLimitEpoch,
}

impl Decode for RateLimitHeaders {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let words = [("ratelimit", Self::RateLimit), ("x_ratelimit", Self::XRateLimit), ("x_ratelimit_epoch", Self::XRateLimitEpoch)];
        place.word(&words, findings)
    }
}

/// A form of errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Errors {
    /// API Management's envelope: `{ "statusCode": 401, "message": "…" }`.
    #[default]
    Apim,
    /// Problem details (RFC 9457).
    ProblemJson,
}

impl Decode for Responses {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let words = [("apim", Errors::Apim), ("problem_json", Errors::ProblemJson)];
        let errors = fields.maybe("errors", findings, |place, findings| place.word(&words, findings));
        let headers = fields.maybe("rate_limit_headers", findings, |place, findings| {
            let items = place.list(findings)?;
            place.each_once(items, findings)
        });
        fields.finish(findings);
        let default = Self::default();
        Some(Self { errors: errors?.unwrap_or_default(), rate_limit_headers: headers?.unwrap_or(default.rate_limit_headers) })
    }
}
