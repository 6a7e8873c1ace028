// SPDX-License-Identifier: Apache-2.0
//! Whose trace context is believed, as written.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::{Findings, Problem};
use super::condition::Condition;

/// A principal and what becomes of its trace context.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct TrustRule {
    /// Required: unique, in metrics.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,63}$")))]
    pub(in crate::config) name: String,
    /// Who it is; everybody by default, which the last rule must be, and only the last.
    #[cfg_attr(feature = "schema", schemars(with = "Condition", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) when: Option<Condition>,
    /// Required: what becomes of its context.
    pub(in crate::config) context: Treatment,
    /// Whether its decision about recording counts. By default it does where the context goes on.
    #[cfg_attr(feature = "schema", schemars(with = "Sampled", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) sampled: Option<Sampled>,
    /// Whether responses carry `traceresponse`. Default: `false`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) traceresponse: bool,
}

/// What becomes of a principal's trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Treatment {
    /// The caller's trace goes on.
    Continue,
    /// A fresh trace begins, linked to the caller's.
    Link,
    /// A fresh trace begins; what the caller sent is dropped.
    Restart,
    /// A request with trace context is answered with 400.
    Reject,
}

/// Whether a caller's decision about recording counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Sampled {
    /// It does.
    Honor,
    /// It doesn't: `trace.sampling` decides.
    Ignore,
}

/// The rules, of which the last is everybody's.
pub(super) fn rules(place: Place<'_>, findings: &mut Findings) -> Option<Vec<TrustRule>> {
    let (rules, unique) = (place.list::<TrustRule>(findings), place.unique("name", findings));
    let rules = unique.and(rules)?;
    if rules.len() > usize::try_from(MAX_TRUST_RULES).unwrap_or(usize::MAX) {
        return place.report(Problem::Invalid(format!("expected at most {MAX_TRUST_RULES} rules, found {}", rules.len())), findings);
    }
    let last = rules.len().saturating_sub(1);
    let mut sound = Some(());
    for (index, rule) in rules.iter().enumerate() {
        let problem = match (index == last, rule.when.is_some()) {
            (true, true) => "expected the last rule without `when`, so that every caller has a rule",
            (false, false) => "expected a `when`: without one this rule matches everybody, and the rules after it nobody",
            _ => continue,
        };
        sound = place.item(index).report(Problem::Invalid(problem.to_owned()), findings);
    }
    sound.map(|()| rules)
}

impl Decode for TrustRule {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| {
            let name = place.text(findings)?;
            let tail = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
            let sound = matches!(name.len(), 1..=64) && tail && !name.starts_with(['_', '-']);
            if sound {
                Some(name.to_owned())
            } else {
                place.expected("1 to 64 of a-z, 0-9, '_', '-', the first a letter or digit", findings)
            }
        });
        let when = fields.maybe("when", findings, Condition::decode);
        let treatments =
            [("continue", Treatment::Continue), ("link", Treatment::Link), ("restart", Treatment::Restart), ("reject", Treatment::Reject)];
        let context = fields.required("context", findings).and_then(|place| place.word(&treatments, findings));
        let sampled = [("honor", Sampled::Honor), ("ignore", Sampled::Ignore)];
        let sampled = fields.maybe("sampled", findings, |place, findings| place.word(&sampled, findings));
        let traceresponse = fields.maybe("traceresponse", findings, |place, findings| place.bool(findings));
        fields.finish(findings);
        let context = context?;
        let default = if context == Treatment::Continue { Sampled::Honor } else { Sampled::Ignore };
        let (sampled, traceresponse) = (sampled?.or(Some(default)), traceresponse?.unwrap_or_default());
        Some(Self { name: name?, when: when?, context, sampled, traceresponse })
    }
}

/// Each has metrics of its own.
pub(super) const MAX_TRUST_RULES: u64 = 64;
