// SPDX-License-Identifier: Apache-2.0
//! Which traces are recorded, as written.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;
use super::super::number::Probability;
#[cfg(feature = "schema")]
use super::super::schema;

/// Which traces are recorded.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Sampling {
    /// For traces about which no caller decides.
    pub(in crate::config) root: Root,
    /// At most so many of those a second, by each worker of the gateway; no bound by default.
    #[cfg_attr(feature = "schema", schemars(with = "u32", range(min = 1, max = MAX_PER_SECOND)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) max_per_second: Option<u32>,
    /// What is recorded whatever the decision. Default: `[refused, error]`.
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(in crate::config) always_record: Vec<AlwaysRecord>,
}

/// Which of a route's traces are recorded.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct RouteSampling {
    /// Required: for traces about which no caller decides.
    pub(in crate::config) root: Root,
}

/// How traces that begin here are picked.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Root {
    /// Required: from 0 to 1.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::probability"))]
    pub(in crate::config) probability: Probability,
}

/// What is recorded whatever the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum AlwaysRecord {
    /// Requests that the edge refuses.
    Refused,
    /// Responses with a status of 500 and above.
    Error,
}

impl Decode for Sampling {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let root = fields.maybe("root", findings, Root::decode);
        let max_per_second =
            fields.maybe("max_per_second", findings, |place, findings| u32::try_from(place.integer(1..=MAX_PER_SECOND, findings)?).ok());
        let always_record = fields.maybe("always_record", findings, |place, findings| {
            let items = place.list(findings)?;
            place.each_once(items, findings)
        });
        fields.finish(findings);
        let default = Self::default();
        let (root, always_record) = (root?.unwrap_or(default.root), always_record?.unwrap_or(default.always_record));
        Some(Self { root, max_per_second: max_per_second?, always_record })
    }
}

impl Default for Sampling {
    fn default() -> Self {
        let root = Root { probability: Probability::ONE };
        Self { root, max_per_second: None, always_record: vec![AlwaysRecord::Refused, AlwaysRecord::Error] }
    }
}

impl Decode for RouteSampling {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let root = fields.required("root", findings).and_then(|place| Root::decode(place, findings));
        fields.finish(findings);
        Some(Self { root: root? })
    }
}

impl Decode for Root {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let probability = fields.required("probability", findings).and_then(|place| Probability::decode(place, findings));
        fields.finish(findings);
        Some(Self { probability: probability? })
    }
}

impl Decode for AlwaysRecord {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.word(&[("refused", Self::Refused), ("error", Self::Error)], findings)
    }
}

/// More than any gateway serves.
const MAX_PER_SECOND: u64 = 1_000_000;
