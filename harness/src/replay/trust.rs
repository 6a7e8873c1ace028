// SPDX-License-Identifier: Apache-2.0
//! What the edge made of its callers' trace context, by principal: from the module's own metrics, so that it is what the module did.

use std::collections::BTreeMap;

use serde::Serialize;
use tracegate::trace::{Treatment, TrustPolicy};

use super::columns::Columns;

/// What became of trace context, by principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// In the policy's order.
    pub(super) principals: Vec<Principal>,
    /// Signs of spoofed contexts, by kind. Each may have an innocent cause.
    pub(super) signs: BTreeMap<&'static str, u64>,
}

/// A trust rule and what became of its callers' traces, of refused requests too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Principal {
    pub(super) name: String,
    /// What the rule says.
    pub(super) context: &'static str,
    pub(super) continued: u64,
    pub(super) linked: u64,
    pub(super) restarted: u64,
    pub(super) rejected: u64,
}

impl Trust {
    /// Takes what the module has counted; `None` where the policy has no trust rules.
    pub(super) fn read(policy: &TrustPolicy, metrics: &BTreeMap<String, u64>) -> Option<Self> {
        let count = |name: String| metrics.get(&name).copied().unwrap_or(0);
        let principal = |rule: &tracegate::trace::TrustRule| {
            let fate = |fate: &str| count(format!("tracegate.principals.{fate}.{}", rule.name));
            Principal {
                name: rule.name.clone(),
                context: context(rule.context),
                continued: fate("continued"),
                linked: fate("linked"),
                restarted: fate("restarted"),
                rejected: fate("rejected"),
            }
        };
        let principals: Vec<Principal> = policy.rules().iter().map(principal).collect();
        let signs = SIGNS.iter().map(|&(kind, _)| (kind, count(format!("tracegate.indicators.spoofing.{kind}"))));
        let signs = signs.filter(|&(_, count)| count > 0).collect();
        (!principals.is_empty()).then_some(Self { principals, signs })
    }

    /// Rows for a table with [`COLUMNS`], the totals last.
    pub(super) fn rows(&self) -> Vec<(String, Vec<u64>)> {
        let mut rows: Vec<(String, Vec<u64>)> = self.principals.iter().map(Principal::row).collect();
        let all = (0..COLUMNS.headings.len()).map(|column| rows.iter().filter_map(|(_, numbers)| numbers.get(column)).sum());
        rows.push(("all".to_owned(), all.collect()));
        rows
    }

    /// The signs in words, with their counts.
    pub(super) fn told(&self) -> BTreeMap<String, u64> {
        let words = |kind: &str| SIGNS.iter().find(|(known, _)| *known == kind).map(|(_, words)| format!("{kind}: {words}"));
        self.signs.iter().filter_map(|(kind, count)| Some((words(kind)?, *count))).collect()
    }
}

impl Principal {
    fn row(&self) -> (String, Vec<u64>) {
        let &Self { ref name, context, continued, linked, restarted, rejected } = self;
        let numbers = vec![continued + linked + restarted + rejected, continued, linked, restarted, rejected];
        (format!("{name} ({context})"), numbers)
    }
}

const fn context(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Continue => "continue",
        Treatment::Link => "link",
        Treatment::Restart => "restart",
        Treatment::Reject => "reject",
    }
}

/// What stands over the principals' names.
pub(super) const HEADING: &str = "principal";
/// What stands over the signs.
pub(super) const SIGNS_HEADING: &str = "signs of spoofed trace context";

pub(super) const COLUMNS: Columns = Columns {
    headings: &["requests", "continued", "linked", "restarted", "rejected"],
    alarm: 4,
    numbers: |_| Vec::new(),
    parts: &[(1, "#2277bb"), (2, "#66aadd"), (3, "#999999"), (4, "#cc2222")],
};

const SIGNS: &[(&str, &str)] = &[
    ("conflicting_carriers", "two valid carriers name different traces"),
    ("foreign_pair", "somebody else sent the same trace-id and parent-id within a minute"),
    ("malformed_carrier", "a carrier breaks its format's rules, or stands in several lines"),
];

#[cfg(test)]
mod tests {
    use tracegate::Policy;

    use super::*;

    #[test]
    fn principals_and_signs_are_what_the_module_counted() {
        let policy = |trust: &str| {
            let text = format!(
                r#"{{"schema": 1, "service": {{"name": "edge"}}, "trace": {{"trust": [{trust}]}}, "default": {{"action": "admit"}}}}"#
            );
            Policy::from_json(text.as_bytes()).unwrap().policy.trace.trust
        };
        let metrics = [
            ("tracegate.principals.continued.ours", 3),
            ("tracegate.principals.restarted.ours", 2),
            ("tracegate.principals.rejected.rest", 1),
            ("tracegate.indicators.spoofing.foreign_pair", 4),
            ("tracegate.indicators.spoofing.malformed_carrier", 0),
        ];
        let metrics = metrics.map(|(name, count)| (name.to_owned(), count)).into_iter().collect();
        assert_eq!(Trust::read(&policy(""), &metrics), None);
        let two = r#"{"name": "ours", "when": {"source": {"cidr": ["10.0.0.0/8"]}}, "context": "continue"}, {"name": "rest", "context": "reject"}"#;
        let trust = Trust::read(&policy(two), &metrics).unwrap();
        let rows = [("ours (continue)", [5, 3, 0, 2, 0]), ("rest (reject)", [1, 0, 0, 0, 1]), ("all", [6, 3, 0, 2, 1])];
        assert_eq!(trust.rows(), rows.map(|(name, numbers)| (name.to_owned(), numbers.to_vec())));
        let told = "foreign_pair: somebody else sent the same trace-id and parent-id within a minute".to_owned();
        assert_eq!(trust.told(), BTreeMap::from([(told, 4)]));
    }
}
