// SPDX-License-Identifier: Apache-2.0
//! Rules of routes, as written.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;
use super::caller::Requirement;
use super::condition::Condition;

/// What is asked of a request.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Rule {
    /// Required: unique in its route.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) name: String,
    /// Of which requests; of all by default. Where it can't be told, the rule applies.
    #[cfg_attr(feature = "schema", schemars(with = "Condition", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) when: Option<Condition>,
    /// Required: who may.
    pub(in crate::config) require: Requirement,
    /// Default: `enforce`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) mode: Mode,
}

/// Whether a rule acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Mode {
    /// What the rule refuses is refused.
    #[default]
    Enforce,
    /// What the rule would refuse is counted and admitted.
    Shadow,
}

/// A route's rules, by names of their own.
pub(super) fn rules(place: Place<'_>, findings: &mut Findings) -> Option<Vec<Rule>> {
    let (rules, unique) = (place.list(findings), place.unique("name", findings));
    unique.and(rules)
}

impl Decode for Rule {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| place.name(findings));
        let when = fields.maybe("when", findings, Condition::decode);
        let require = fields.required("require", findings).and_then(|place| Requirement::decode(place, findings));
        let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
        let mode = fields.maybe("mode", findings, |place, findings| place.word(&modes, findings));
        fields.finish(findings);
        Some(Self { name: name?, when: when?, require: require?, mode: mode?.unwrap_or_default() })
    }
}
