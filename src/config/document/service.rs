// SPDX-License-Identifier: Apache-2.0
//! Whose edge it is, as written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;

/// OpenTelemetry resource attributes of this edge.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Service {
    /// Required: `service.name`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) name: String,
    /// `service.namespace`; none by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) namespace: Option<String>,
    /// Any other resource attribute: texts by name. Not `service.instance.id`, `telemetry.sdk.*` and `tracegate.*`, which the gateway tells itself.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::resource_attributes"))]
    pub(in crate::config) attributes: BTreeMap<String, String>,
}

impl Decode for Service {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| place.name(findings));
        let namespace = fields.maybe("namespace", findings, |place, findings| place.name(findings));
        let attributes = fields.maybe("attributes", findings, resource_attributes);
        fields.finish(findings);
        Some(Self { name: name?, namespace: namespace?, attributes: attributes?.unwrap_or_default() })
    }
}

/// By keys that spans' resource doesn't have anyway.
fn resource_attributes(place: Place<'_>, findings: &mut Findings) -> Option<BTreeMap<String, String>> {
    let attributes: BTreeMap<String, String> = place.map(findings)?;
    let taken = |key: &str| {
        matches!(key, "service.name" | "service.namespace" | "service.instance.id")
            || ["telemetry.sdk.", "tracegate."].iter().any(|prefix| key.starts_with(prefix))
    };
    let wrong: Vec<&String> = attributes.keys().filter(|key| taken(key)).collect();
    for key in &wrong {
        let text =
            "expected another key than the gateway's own: service.{name,namespace,instance.id}, telemetry.sdk.*, tracegate.*, found one";
        place.descend(&[key]).report::<()>(Problem::Invalid(text.to_owned()), findings);
    }
    wrong.is_empty().then_some(attributes)
}
