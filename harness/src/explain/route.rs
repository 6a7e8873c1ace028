// SPDX-License-Identifier: Apache-2.0
//! Who can reach what one route is for.

use serde::Serialize;

use super::caller::CallerRule;
use super::document::{Host, Match, Mode, Path, Route, Rule};
use super::reach::Reach;
use super::words::{all, any, word};

/// A route and who can reach it.
#[derive(Debug, Serialize)]
pub(super) struct ExplainedRoute {
    pub(super) name: String,
    #[serde(rename = "match")]
    matches: Match,
    /// Alternatives, of which one will do, by the rules that hold for every request.
    reachable_by: Vec<Vec<CallerRule>>,
    /// There may be more of them.
    more: bool,
    rules: Vec<Rule>,
    /// What limits it.
    quotas: Vec<String>,
    /// Nothing is asked of a caller, where no rule with a condition applies.
    anonymous: bool,
    /// An earlier route that every request of this one matches.
    caught_by: Option<String>,
}

impl ExplainedRoute {
    pub(super) fn new(Route { name, matches, rules, quotas, .. }: Route, caught_by: Option<String>) -> Self {
        let unconditional = rules.iter().filter(|rule| rule.mode == Mode::Enforce && rule.when.is_none());
        let reach = Reach::of_all(unconditional.map(|rule| &rule.require));
        let anonymous = reach.is_anybody();
        Self { name, matches, reachable_by: reach.alternatives, more: reach.more, rules, quotas, anonymous, caught_by }
    }

    /// Which requests it matches, a line for each thing that is asked.
    pub(super) fn matches(&self) -> Vec<String> {
        let Match { methods, hosts, path } = &self.matches;
        let mut lines = Vec::new();
        if !methods.is_empty() {
            lines.push(format!("method {}", any(methods)));
        }
        for (index, host) in hosts.iter().enumerate() {
            let or = if index == 0 { "" } else { "or " };
            lines.push(match host {
                Host::Exact(name) => format!("{or}host {}", word(name)),
                Host::Suffix(suffix) => format!("{or}host suffix {}", word(suffix)),
            });
        }
        lines.extend(path.iter().map(|path| match path {
            Path::Exact(path) => format!("path {}", word(path)),
            Path::Prefix(path) => format!("path prefix {}", word(path)),
            Path::Template(path) => format!("path template {}", word(path)),
        }));
        if lines.is_empty() {
            lines.push("every request".to_owned());
        }
        lines
    }

    /// Who can reach it, a line for each alternative and each rule beside them, and by what they are limited.
    pub(super) fn callers(&self) -> Vec<String> {
        let caught = self.caught_by.as_ref();
        let mut lines: Vec<String> =
            caught.iter().map(|name| format!("(no request comes here: {}, before it, matches them too)", word(name))).collect();
        let reach = Reach { alternatives: self.reachable_by.clone(), more: self.more };
        let or = |(index, words): (usize, String)| if index == 0 { words } else { format!("or {words}") };
        lines.extend(reach.words().into_iter().enumerate().map(or));
        lines.extend(self.rules.iter().filter(|rule| rule.mode == Mode::Enforce).filter_map(further));
        lines.extend(self.rules.iter().filter(|rule| rule.mode == Mode::Shadow).map(shadow));
        lines.extend((!self.quotas.is_empty()).then(|| format!("limited by {}", all(&self.quotas))));
        lines
    }
}

/// What a rule with a condition asks beside the others.
fn further(rule: &Rule) -> Option<String> {
    let (condition, callers) = (rule.when.as_ref()?.words(), callers(rule));
    Some(if callers == NOBODY { format!("and, when {condition}: {callers}") } else { format!("and, when {condition}, also: {callers}") })
}

fn shadow(rule: &Rule) -> String {
    let when = rule.when.as_ref().map(|when| format!("when {}: ", when.words())).unwrap_or_default();
    format!("(shadow, not enforced) {when}{}", callers(rule))
}

/// Who meets a rule, in one phrase.
fn callers(rule: &Rule) -> String {
    Reach::of_all([&rule.require]).words().join("; or ")
}

const NOBODY: &str = "nobody";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn explained(matches: &Value, rules: Value) -> ExplainedRoute {
        let rules: Vec<Value> = match rules {
            Value::Array(rules) => rules,
            rule => vec![rule],
        };
        let named = rules.into_iter().map(|mut rule| {
            rule["name"] = json!("rule");
            rule["mode"] = rule.get("mode").cloned().unwrap_or_else(|| json!("enforce"));
            rule
        });
        let route =
            json!({"name": "route", "match": matches, "rules": named.collect::<Vec<_>>(), "quotas": [], "attributes": {"path": {}}});
        ExplainedRoute::new(serde_json::from_value(route).unwrap(), None)
    }

    #[test]
    fn requests_are_told_in_the_policys_words() {
        let every = json!({"methods": [], "hosts": []});
        assert_eq!(explained(&every, json!([])).matches(), ["every request"]);
        let hosts = json!([{"exact": "a.example"}, {"suffix": ".b.example"}]);
        let some = json!({"methods": ["GET", "HEAD"], "hosts": hosts, "path": {"template": "/orders/{id}"}});
        let expected = ["method GET or HEAD", "host a.example", "or host suffix .b.example", "path template /orders/{id}"];
        assert_eq!(explained(&some, json!([])).matches(), expected);
    }

    #[test]
    fn rules_are_told_apart_by_whether_they_hold_for_every_request() {
        let every = json!({"methods": [], "hosts": []});
        let staff = json!({"caller": {"provider": "staff"}});
        let when = json!({"header": {"name": "x-a", "match": {"present": true}}});
        let any = json!({"any_of": [staff, {"caller": {"provider": "jobs"}}]});
        for (rules, expected, anonymous) in [
            (json!([]), &["anybody"][..], true),
            (json!({"require": any}), &["staff", "or jobs"], false),
            (json!({"require": staff, "when": when}), &["anybody", "and, when header x-a is present, also: staff"], true),
            (json!({"require": any, "when": when}), &["anybody", "and, when header x-a is present, also: staff; or jobs"], true),
            (json!({"require": "deny", "when": when}), &["anybody", "and, when header x-a is present: nobody"], true),
            (json!({"require": "deny", "mode": "shadow"}), &["anybody", "(shadow, not enforced) nobody"], true),
            (
                json!([{"require": any, "when": when, "mode": "shadow"}, {"require": staff}]),
                &["staff", "(shadow, not enforced) when header x-a is present: staff; or jobs"],
                false,
            ),
        ] {
            let route = explained(&every, rules.clone());
            assert_eq!(
                (route.callers().as_slice(), route.anonymous),
                (&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..], anonymous),
                "{rules}"
            );
        }
    }
}
