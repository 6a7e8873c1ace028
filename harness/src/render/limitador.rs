// SPDX-License-Identifier: Apache-2.0
//! Limitador: its file of limits.

use tracegate::Policy;
use tracegate::quota::{Unit, Window};

use super::counted::{Counted, counted};
use crate::error::Result;
use crate::yaml::{Map, Yaml};

/// The limits of the quotas that a service counts: one for each, or for each amount that its callers may have.
///
/// # Errors
///
/// Where the policy has no such quota.
pub fn limits(policy: &Policy) -> Result<String> {
    let limits: Vec<Yaml> = counted(policy)?.iter().flat_map(limits_of).map(Yaml::from).collect();
    let headline = super::headline("Limitador", policy, "");
    Ok(super::comment(&format!("{headline}\n\n{COMMENT}")) + &Yaml::List(limits).to_string())
}

fn limits_of(counted: &Counted<'_>) -> Vec<Map> {
    let name = counted.quota.name.as_str();
    let limit = |amount: u64| {
        let conditions = std::iter::once(format!("descriptors[0].quota == '{name}'"));
        let conditions = conditions.chain(counted.says_limit().then(|| format!("descriptors[0].limit == '{amount}'")));
        let variables = counted.entries().into_iter().map(|entry| format!("descriptors[0].{entry}"));
        Map::new()
            .noted(counted.note(), "namespace", counted.global.domain.as_str())
            .with("name", name)
            .with("max_value", amount)
            .with("seconds", seconds(&counted.quota.limit.window))
            .with("conditions", conditions.collect::<Vec<_>>())
            .with("variables", variables.collect::<Vec<_>>())
    };
    counted.amounts().into_iter().map(limit).collect()
}

/// For how long a window's count is kept from its first hit on: longer than any window lasts. Clocks change by an hour, in one zone by two
/// (Antarctica/Troll) and in one by half of one, so that a calendar's hour may have 90 minutes (Australia/Lord_Howe); and gateways' clocks differ.
fn seconds(window: &Window) -> u64 {
    match window {
        Window::Rate { window, .. } | Window::Sliding { window } => window.div_ceil(SECOND).saturating_add(MINUTE),
        Window::Fixed(fixed) => fixed.length.div_ceil(SECOND).saturating_add(MINUTE),
        Window::Calendar(calendar) => match calendar.unit {
            Unit::Hour => 2 * HOUR,
            Unit::Day => DAY + 2 * HOUR,
            Unit::Week => 7 * DAY + 2 * HOUR,
            Unit::Month => 31 * DAY + 2 * HOUR,
            Unit::Lifetime => 100 * 365 * DAY,
        },
    }
}

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;

const COMMENT: &str = "\
Limitador's file of limits. Which window a request lies in the gateways say, by their policy's calendar and as the entry `window`; `seconds`
is longer than any of its windows, so that no count starts afresh within one. A lifetime is 100 years.";

#[cfg(test)]
mod tests {
    use tracegate::quota::{Calendar, FixedWindow};

    use super::*;

    #[test]
    fn counts_are_kept_for_longer_than_any_window() {
        let zones = [
            "UTC",
            "Europe/Amsterdam",
            "America/Nuuk",
            "America/Santiago",
            "America/Havana",
            "Africa/Cairo",
            "Antarctica/Troll",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
        ];
        // 2026-01-31T00:30:00Z: months begin on their last day.
        for (zone, anchor) in zones.iter().flat_map(|zone| [(zone, None), (zone, Some(1_769_819_400))]) {
            for (unit, year) in [(Unit::Hour, 2 * 8784), (Unit::Day, 800), (Unit::Week, 110), (Unit::Month, 60)] {
                let calendar = Calendar { unit, zone: zone.parse().unwrap(), anchor };
                let kept = seconds(&Window::Calendar(calendar)) * SECOND;
                let mut at = 1_767_225_600_000_000_000;
                for _ in 0..year {
                    let period = calendar.period_at(at);
                    assert!(period.end.abs_diff(period.start) <= kept, "{zone}: {period:?}");
                    at = period.end;
                }
            }
        }
        assert_eq!(seconds(&Window::Fixed(FixedWindow { length: 1_500_000_000, anchor: 0 })), 62);
    }
}
