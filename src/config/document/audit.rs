// SPDX-License-Identifier: Apache-2.0
//! What is put on record of decisions, as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::Document;
use super::jwt::duration;
use super::trace::SecretName;

/// What is put on record of decisions.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Audit {
    /// Which decisions beside refusals, which always are.
    pub(in crate::config) records: Records,
    /// Where records go. Default: `[log]`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), extend("uniqueItems" = true)))]
    pub(in crate::config) outputs: Vec<Output>,
    /// Chains records, so that a change, a gap and a restart can be told apart; by default nothing does.
    #[cfg_attr(feature = "schema", schemars(with = "Chain"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) chain: Option<Chain>,
}

/// Which decisions are put on record beside refusals.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Records {
    /// These, whatever the route; none by default.
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(in crate::config) decisions: Vec<Audited>,
    /// All decisions on these, by names in `routes`; none by default.
    #[cfg_attr(feature = "schema", schemars(inner(length(min = 1)), extend("uniqueItems" = true)))]
    pub(in crate::config) routes: Vec<String>,
}

/// A kind of decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Audited {
    /// Requests that the edge refuses: always on record, named or not.
    Refused,
    /// Requests that went on and that a rule or limit in `mode: shadow` would have refused.
    Shadowed,
    /// Requests that went on.
    Admitted,
}

/// Where records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Output {
    /// The gateway's own log, a line of JSON each, at level `info`.
    Log,
    /// The collectors of `export.logs`.
    Otlp,
}

/// Chains records.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Chain {
    /// Required: the key, at least 32 bytes.
    pub(in crate::config) key: SecretName,
    /// How soon after a record a checkpoint follows, from `1s` to `1h`. Default: `1m`.
    #[cfg_attr(feature = "schema", schemars(default = "default_interval", schema_with = "schema::duration"))]
    pub(in crate::config) checkpoint_interval: Leaf<Duration>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { records: Records::default(), outputs: vec![Output::Log], chain: None }
    }
}

impl Audit {
    /// Reports what doesn't go together with the rest of the document. `place` is this section's.
    pub(super) fn check_against(&self, document: &Document, place: &Place<'_>, findings: &mut Findings) {
        for (index, name) in self.records.routes.iter().enumerate() {
            if !document.routes.iter().any(|route| route.name == *name) {
                place.descend(&["records", "routes"]).item(index).expected::<()>("a name in `routes`", findings);
            }
        }
        if self.outputs.contains(&Output::Otlp) && document.export.logs.is_empty() {
            let text = "expected a collector in `export.logs` beside `otlp`, found none";
            place.descend(&["outputs"]).report::<()>(Problem::Invalid(text.to_owned()), findings);
        }
        match &self.chain {
            Some(chain) if !document.secrets.contains_key(&chain.key.secret) => {
                let text = "expected a name in `secrets`, found another";
                place.descend(&["chain", "key", "secret"]).report::<()>(Problem::Invalid(text.to_owned()), findings);
            }
            Some(_) => {}
            None => place.warn("without `chain` nobody can tell a changed record from a genuine one", findings),
        }
    }

    /// Whether records go to collectors.
    pub(super) fn has_otlp(&self) -> bool {
        self.outputs.contains(&Output::Otlp)
    }
}

impl Decode for Audit {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let records = fields.maybe("records", findings, Records::decode);
        let outputs = fields.maybe("outputs", findings, |place, findings| {
            let outputs: Vec<Output> = place.list(findings)?;
            if outputs.is_empty() {
                place.report(Problem::Invalid("expected a list of at least one, found an empty one".to_owned()), findings)
            } else {
                place.each_once(outputs, findings)
            }
        });
        let chain = fields.maybe("chain", findings, Chain::decode);
        fields.finish(findings);
        let default = Self::default();
        Some(Self { records: records?.unwrap_or_default(), outputs: outputs?.unwrap_or(default.outputs), chain: chain? })
    }
}

impl Decode for Records {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let decisions = fields.maybe("decisions", findings, |place, findings| {
            let items = place.list(findings)?;
            place.each_once(items, findings)
        });
        let routes = fields.maybe("routes", findings, |place, findings| {
            let names: Vec<String> = place.list(findings)?;
            place.each_once(names.iter().map(String::as_str).collect(), findings)?;
            Some(names)
        });
        fields.finish(findings);
        Some(Self { decisions: decisions?.unwrap_or_default(), routes: routes?.unwrap_or_default() })
    }
}

impl Decode for Audited {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.word(&[("refused", Self::Refused), ("shadowed", Self::Shadowed), ("admitted", Self::Admitted)], findings)
    }
}

impl Decode for Output {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        place.word(&[("log", Self::Log), ("otlp", Self::Otlp)], findings)
    }
}

impl Decode for Chain {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let key = fields.required("key", findings).and_then(|place| SecretName::decode(place, findings));
        let interval =
            fields.maybe("checkpoint_interval", findings, |place, findings| duration(place, 1000..=3_600_000, "from 1s to 1h", findings));
        fields.finish(findings);
        let interval = interval?.or_else(|| Leaf::of(DEFAULT_INTERVAL))?;
        Some(Self { key: key?, checkpoint_interval: interval })
    }
}

#[cfg(feature = "schema")]
fn default_interval() -> &'static str {
    DEFAULT_INTERVAL
}

const DEFAULT_INTERVAL: &str = "1m";
