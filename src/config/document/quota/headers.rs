// SPDX-License-Identifier: Apache-2.0
//! Response headers of a quota's own, as written.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::forward::means_something;
use super::super::jwt::token;
use crate::config::decode::{Decode, Place};
use crate::config::finding::Findings;
#[cfg(feature = "schema")]
use crate::config::schema;

/// Response headers of a quota's own.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Headers {
    /// For refused callers: in how many seconds to try again. API Management's `retry-after-header-name`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) retry_after: Option<String>,
    /// What is left. API Management's `remaining-calls-header-name`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) remaining: Option<String>,
    /// The limit. API Management's `total-calls-header-name`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::header_name"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) total: Option<String>,
}

impl Decode for Headers {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let mut header = |name, findings: &mut Findings| {
            fields.maybe(name, findings, |place, findings| {
                let name = token(&place, findings)?;
                if means_something(&name) || name.eq_ignore_ascii_case("retry-after") {
                    return place.expected("a header that means nothing else to gateways and services", findings);
                }
                Some(name)
            })
        };
        let retry_after = header("retry_after", findings);
        let (remaining, total) = (header("remaining", findings), header("total", findings));
        let place = fields.place().clone();
        fields.finish(findings);
        let headers = Self { retry_after: retry_after?, remaining: remaining?, total: total? };
        let named = [("retry_after", &headers.retry_after), ("remaining", &headers.remaining), ("total", &headers.total)];
        let mut seen = BTreeSet::new();
        let twice = named.iter().find(|(_, name)| name.as_ref().is_some_and(|name| !seen.insert(name.to_ascii_lowercase())));
        match twice {
            None => Some(headers),
            Some((field, _)) => place.descend(&[field]).expected("a header of its own", findings),
        }
    }
}
