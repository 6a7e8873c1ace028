// SPDX-License-Identifier: Apache-2.0
//! Exchanges that are recorded, by why.

use serde::Serialize;
use tracegate::trace::DecidedBy;

/// How many exchanges are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Spans {
    /// As callers had decided.
    pub(super) by_parent: u64,
    /// By the policy's probability.
    pub(super) by_probability: u64,
    /// For being refused, though not sampled.
    pub(super) refused: u64,
    /// For a status of 500 and above, though not sampled.
    pub(super) errors: u64,
}

impl Spans {
    /// Counts an exchange that may be recorded `by` somebody's decision, or else is `exported` because it failed.
    pub(super) const fn add(&mut self, by: Option<DecidedBy>, exported: bool) {
        match by {
            Some(DecidedBy::Parent) => self.by_parent += 1,
            Some(DecidedBy::Probability | DecidedBy::Limit) => self.by_probability += 1,
            Some(DecidedBy::Refusal) => self.refused += 1,
            None if exported => self.errors += 1,
            None => {}
        }
    }

    /// All of them.
    pub(super) const fn all(&self) -> u64 {
        self.by_parent + self.by_probability + self.refused + self.errors
    }
}

/// Bytes as people say it, in units of a thousand.
pub(super) fn human(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (bytes, mut unit) = (u128::from(bytes), 1_000_u128);
    let tenths = |unit: u128| (bytes * 10 + unit / 2) / unit;
    let mut names = UNITS.iter();
    let mut name = names.next();
    // What would be shown as 1000.0 is one of the next unit.
    while tenths(unit) >= 10_000
        && let Some(next) = names.next()
    {
        (unit, name) = (unit * 1_000, Some(next));
    }
    format!("{}.{} {}", tenths(unit) / 10, tenths(unit) % 10, name.unwrap_or(&""))
}

const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_they_fill() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_049, "1.0 kB"),
            (1_050, "1.1 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
            (5_000_000_000_000, "5.0 TB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(human(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn an_exchange_is_recorded_once_and_for_one_reason() {
        let mut spans = Spans::default();
        for (by, exported) in [
            (Some(DecidedBy::Parent), true),
            (Some(DecidedBy::Probability), false),
            (Some(DecidedBy::Refusal), true),
            (None, true),
            (None, false),
        ] {
            spans.add(by, exported);
        }
        assert_eq!(spans, Spans { by_parent: 1, by_probability: 1, refused: 1, errors: 1 });
        assert_eq!(spans.all(), 4);
    }
}
