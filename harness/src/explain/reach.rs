// SPDX-License-Identifier: Apache-2.0
//! Who meets several rules at once: alternatives, any of which will do, each of demands that must all be met.

use super::caller::{Both, CallerRule};
use super::document::Requirement;

/// Who may, as alternatives. None is nobody; one without demands is anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) alternatives: Vec<Vec<CallerRule>>,
    /// There may be more alternatives than these.
    pub(super) more: bool,
}

impl Reach {
    /// Whoever meets all of these.
    pub(super) fn of_all<'r>(requirements: impl IntoIterator<Item = &'r Requirement>) -> Self {
        let mut reach = requirements.into_iter().fold(Self::anybody(), |reach, require| reach.and(Self::of(require)));
        reach.keep(MAX_SHOWN);
        reach
    }

    /// Whether nothing is asked of callers.
    pub(super) fn is_anybody(&self) -> bool {
        self.alternatives.iter().any(Vec::is_empty)
    }

    /// In words: `customers with scope orders.read`, `partners, and subscriptions of product gold`, `anybody`, `nobody`; one phrase for each
    /// alternative.
    pub(super) fn words(&self) -> Vec<String> {
        let demands = |alternative: &Vec<CallerRule>| alternative.iter().map(CallerRule::words).collect::<Vec<_>>().join(", and ");
        let words = |alternative: &Vec<CallerRule>| if alternative.is_empty() { "anybody".to_owned() } else { demands(alternative) };
        let mut phrases: Vec<String> = self.alternatives.iter().map(words).collect();
        if self.more {
            phrases.push("others in ways too many to list".to_owned());
        }
        if phrases.is_empty() {
            phrases.push("nobody".to_owned());
        }
        phrases
    }

    fn of(require: &Requirement) -> Self {
        match require {
            Requirement::Anonymous => Self::anybody(),
            Requirement::Deny => Self::nobody(),
            Requirement::Caller(rule) => Self { alternatives: vec![vec![rule.clone()]], more: false },
            Requirement::AnyOf(any) => any.iter().fold(Self::nobody(), |reach, require| reach.or(Self::of(require))),
            Requirement::AllOf(all) => all.iter().fold(Self::anybody(), |reach, require| reach.and(Self::of(require))),
        }
    }

    const fn nobody() -> Self {
        Self { alternatives: Vec::new(), more: false }
    }

    fn anybody() -> Self {
        Self { alternatives: vec![Vec::new()], more: false }
    }

    fn or(mut self, other: Self) -> Self {
        self.more |= other.more;
        other.alternatives.into_iter().for_each(|alternative| self.add(alternative));
        self.keep(MAX_AT_WORK);
        self
    }

    fn and(self, other: Self) -> Self {
        let mut both = Self { alternatives: Vec::new(), more: self.more || other.more };
        let pairs = self.alternatives.iter().flat_map(|own| other.alternatives.iter().map(move |other| (own, other)));
        for alternative in pairs.filter_map(|(own, other)| united(own, other)) {
            both.add(alternative);
            if both.alternatives.len() > MAX_AT_WORK {
                both.keep(MAX_AT_WORK);
                break;
            }
        }
        both
    }

    /// Adds an alternative, unless whoever fits it fits another anyway.
    fn add(&mut self, alternative: Vec<CallerRule>) {
        if self.alternatives.iter().any(|known| implies(&alternative, known)) {
            return;
        }
        self.alternatives.retain(|known| !implies(known, &alternative));
        self.alternatives.push(alternative);
    }

    fn keep(&mut self, most: usize) {
        self.more |= self.alternatives.len() > most;
        self.alternatives.truncate(most);
    }
}

/// Whether whoever meets all of `narrow` meets all of `wide`.
fn implies(narrow: &[CallerRule], wide: &[CallerRule]) -> bool {
    wide.iter().all(|asked| narrow.iter().any(|given| given.implies(asked)))
}

/// The demands of both; `None` where nobody can meet them.
fn united(own: &[CallerRule], other: &[CallerRule]) -> Option<Vec<CallerRule>> {
    let mut united = own.to_vec();
    'other: for asked in other {
        for known in &mut united {
            match known.and(asked) {
                Both::One(one) => {
                    *known = one;
                    continue 'other;
                }
                Both::Never => return None,
                Both::Two => {}
            }
        }
        united.push(asked.clone());
    }
    Some(united)
}

/// Alternatives that anybody would read.
const MAX_SHOWN: usize = 64;
/// Alternatives on the way to them: some of them may yet fall away.
const MAX_AT_WORK: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn reach(requirements: &Value) -> Reach {
        let requirements: Vec<Requirement> = serde_json::from_value(requirements.clone()).unwrap();
        Reach::of_all(&requirements)
    }

    #[test]
    fn rules_come_to_alternatives() {
        let caller = |provider: &str| json!({"caller": {"provider": provider}});
        let [a, b, c] = ["a", "b", "c"].map(caller);
        let gold = json!({"caller": {"provider": "a", "products": ["gold"]}});
        let tin = json!({"caller": {"provider": "a", "products": ["tin"]}});
        for (requirements, expected) in [
            (json!([]), "anybody"),
            (json!(["anonymous"]), "anybody"),
            (json!(["deny", a]), "nobody"),
            (json!([a, b]), "a, and b"),
            (json!([{"any_of": [a, b]}, c]), "a, and c | b, and c"),
            (json!([{"any_of": [a, {"all_of": [b, c]}]}]), "a | b, and c"),
            (json!([{"any_of": ["deny", a]}]), "a"),
            // Whoever fits one of these fits the other.
            (json!([{"any_of": [a, "anonymous"]}]), "anybody"),
            (json!([{"any_of": [{"all_of": [a, b]}, a]}]), "a"),
            (json!([{"any_of": [gold, a]}]), "a"),
            (json!([a, a]), "a"),
            (json!([gold, a]), "a of product gold"),
            (json!([gold, tin]), "nobody"),
            (json!([{"any_of": [gold, b]}, {"any_of": [tin, b]}]), "b"),
        ] {
            assert_eq!(reach(&requirements).words().join(" | "), expected, "{requirements}");
        }
    }

    #[test]
    fn there_are_bounds() {
        let any = |rule: usize| {
            let one = |choice: usize| json!({"caller": {"provider": format!("p{rule}-{choice}")}});
            json!({"any_of": (0..4).map(one).collect::<Vec<_>>()})
        };
        let ways = |rules: usize| reach(&Value::Array((0..rules).map(any).collect()));
        assert_eq!((ways(3).alternatives.len(), ways(3).more), (64, false));
        assert_eq!((ways(4).alternatives.len(), ways(4).more), (64, true));
        let many = ways(12);
        assert_eq!((many.alternatives.len(), many.more), (64, true));
        assert!(many.alternatives.iter().all(|alternative| alternative.len() == 12));
        assert_eq!(many.words().last().unwrap(), "others in ways too many to list");
    }
}
