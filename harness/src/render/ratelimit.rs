// SPDX-License-Identifier: Apache-2.0
//! Envoy's reference rate-limit service, <https://github.com/envoyproxy/ratelimit>: a file of its configuration.
//!
//! It counts in windows of its own units, which begin at multiples of their length since 1970; a month has 30 days there and a year 365. Which of the
//! policy's windows a request lies in is an entry of its descriptor, so a longer unit counts a shorter window as well, if none of its own begins
//! within one of the policy's: the count would start afresh there.

use std::collections::BTreeSet;

use tracegate::Policy;
use tracegate::quota::{Calendar, Unit as Period, Window};

use super::counted::{Counted, counted};
use crate::error::{Error, Result};
use crate::yaml::{Map, Yaml};

/// A file for one domain, and what its reader should know: which counts start afresh within their windows.
///
/// A file of the service's has one domain, and of several documents in one it reads the first: where the policy has several domains, `domain` says
/// which.
///
/// # Errors
///
/// Where the policy has no such quota, or several domains and none is told, or a limit is higher than the service can count.
pub fn configuration(policy: &Policy, domain: Option<&str>) -> Result<(String, Vec<String>)> {
    let counted = counted(policy)?;
    let domains: BTreeSet<&str> = counted.iter().map(|counted| counted.global.domain.as_str()).collect();
    let found = domains.iter().map(|domain| format!("{domain:?}")).collect::<Vec<_>>().join(" and ");
    let domain = match (domain, domains.first()) {
        (Some(told), _) if domains.contains(told) => told,
        (Some(told), _) => return Err(Error::new(format!("--domain {told}: expected a domain of the policy's quotas, found {found}"))),
        (None, Some(only)) if domains.len() == 1 => only,
        (None, _) => return Err(Error::new(format!("expected quotas of one domain, as a file has, found {found}: say which by --domain"))),
    };
    let (mut descriptors, mut warnings) = (Vec::new(), Vec::new());
    for counted in counted.iter().filter(|counted| counted.global.domain == domain) {
        let unit = unit(&counted.quota.limit.window);
        if unit.is_none() {
            let name = &counted.quota.name;
            warnings.push(format!(
                "quota {name}: no unit of the service's fits its windows: it starts their counts afresh once a year, {YEARS}"
            ));
        }
        descriptors.push(descriptor(counted, unit)?);
    }
    let headline = super::headline("envoyproxy/ratelimit", policy, "");
    let file = Map::new().with("domain", domain).with("descriptors", descriptors);
    Ok((super::comment(&format!("{headline}\n\n{COMMENT}")) + &Yaml::from(file).to_string(), warnings))
}

/// A quota's descriptors, in one another as a request's entries follow one another.
fn descriptor(counted: &Counted<'_>, unit: Option<&'static str>) -> Result<Map> {
    let Counted { quota, .. } = counted;
    let limit = |amount: u64| {
        let requests = u32::try_from(amount).map_err(|_| {
            let most = u32::MAX;
            Error::new(format!("quota {}: expected a limit of at most {most}, to which the service counts, found {amount}", quota.name))
        })?;
        let note = match &quota.limit.window {
            _ if unit.is_some() => "",
            Window::Calendar(Calendar { unit: Period::Month, zone, anchor: None }) if zone.name() == "UTC" => UTC_MONTH_NOTE,
            _ => AFRESH_NOTE,
        };
        let limit = Map::new().with("unit", unit.unwrap_or("year")).with("requests_per_unit", requests);
        let mut entries = counted.entries().into_iter().rev();
        let last = Map::new().with("key", entries.next().unwrap_or_default()).noted(note, "rate_limit", limit);
        Ok(entries.fold(last, |inner, name| Map::new().with("key", name).with("descriptors", [inner])))
    };
    let limits = if counted.says_limit() {
        let valued = |amount: u64| {
            let inner = limit(amount)?;
            Ok(Map::new().with("key", "limit").with("value", amount.to_string()).with("descriptors", [inner]))
        };
        counted.amounts().into_iter().map(valued).collect::<Result<Vec<_>>>()?
    } else {
        vec![limit(quota.limit.amount)?]
    };
    Ok(Map::new().noted(counted.note(), "key", "quota").with("value", quota.name.as_str()).with("descriptors", limits))
}

/// The shortest unit of which no window begins within one of the policy's.
fn unit(window: &Window) -> Option<&'static str> {
    UNITS.into_iter().find(|(_, seconds)| fits(*seconds, window)).map(|(name, _)| name)
}

/// Whether each window of a unit begins with one of the policy's.
fn fits(seconds: i64, window: &Window) -> bool {
    match window {
        Window::Fixed(fixed) => {
            let length = i128::from(fixed.length.max(1));
            (i128::from(seconds) * i128::from(SECOND)) % length == 0 && i128::from(fixed.anchor) % length == 0
        }
        Window::Calendar(calendar) => {
            let first = TEN_YEARS.start().div_euclid(seconds) + 1;
            let starts = (first..).map(|count| count * seconds).take_while(|start| TEN_YEARS.contains(start));
            starts.map(|start| start * SECOND).all(|start| calendar.period_at(start).start == start)
        }
        // No service counts these.
        Window::Rate { .. } | Window::Sliding { .. } => false,
    }
}

/// The service's units, in seconds.
const UNITS: [(&str, i64); 7] =
    [("second", 1), ("minute", 60), ("hour", 3600), ("day", DAY), ("week", 7 * DAY), ("month", 30 * DAY), ("year", 365 * DAY)];
const DAY: i64 = 86_400;
/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;
/// From 2026 to 2035: in so many years some window begins within one of a calendar's, if any does.
const TEN_YEARS: std::ops::RangeInclusive<i64> = 1_767_225_600..=2_082_758_399;

/// When a unit of 365 days begins.
const YEARS: &str = "at midnight UTC on 2026-12-18, 2027-12-18, 2028-12-17, 2029-12-17, 2030-12-17 and so on every 365 days";

const COMMENT: &str = "\
A file of the service's configuration, which has one for each domain. Which window a request lies in the gateways say, by their policy's
calendar and as the entry `window`; `unit` says for how long the service keeps a count. Of those that fit it is the shortest: none of its
windows begins within one of the policy's.";
const AFRESH_NOTE: &str = "\
No unit fits: the service starts this count afresh once a year, at midnight UTC on 2026-12-18, 2027-12-18, 2028-12-17, 2029-12-17,
2030-12-17 and so on every 365 days.";
const UTC_MONTH_NOTE: &str = "\
No unit fits: the service starts this count afresh once a year, at midnight UTC on 2026-12-18, 2027-12-18, 2028-12-17, 2029-12-17,
2030-12-17 and so on every 365 days. With USE_CALENDAR_MONTH_RATE_LIMIT=true in its environment `unit: month` fits.";

#[cfg(test)]
mod tests {
    use tracegate::quota::{FixedWindow, Timestamp};

    use super::*;

    fn calendar(unit: Period, zone: &str, anchor: Option<&str>) -> Window {
        let anchor = anchor.map(|text| text.parse::<Timestamp>().unwrap().seconds);
        Window::Calendar(Calendar { unit, zone: zone.parse().unwrap(), anchor })
    }

    fn fixed(seconds: u64, anchor: i64) -> Window {
        Window::Fixed(FixedWindow { length: seconds * SECOND.unsigned_abs(), anchor: anchor * SECOND })
    }

    #[test]
    fn a_unit_is_the_shortest_that_begins_with_a_window() {
        for (window, expected) in [
            (fixed(1, 0), Some("second")),
            (fixed(20, 0), Some("minute")),
            (fixed(20, 40), Some("minute")),
            (fixed(20, 10), None),
            (fixed(60, 0), Some("minute")),
            (fixed(90, 0), Some("hour")),
            (fixed(7 * 60, 0), Some("week")),
            (fixed(86_400, 0), Some("day")),
            (fixed(86_400, 3600), None),
            (fixed(5 * 86_400, 0), Some("month")),
            (fixed(73 * 86_400, 0), Some("year")),
            (fixed(31 * 86_400, 0), None),
            (fixed(800 * 86_400, 0), None),
            (calendar(Period::Hour, "UTC", None), Some("hour")),
            (calendar(Period::Hour, "Europe/Amsterdam", None), Some("hour")),
            (calendar(Period::Hour, "Asia/Kathmandu", None), None),
            // In summer its clocks are ahead by whole hours, and the service's years begin in December.
            (calendar(Period::Hour, "Australia/Lord_Howe", None), Some("year")),
            (calendar(Period::Hour, "UTC", Some("2026-01-01T00:30:00Z")), None),
            (calendar(Period::Day, "UTC", None), Some("day")),
            (calendar(Period::Day, "Africa/Abidjan", None), Some("day")),
            (calendar(Period::Day, "Europe/London", None), Some("year")),
            (calendar(Period::Day, "Europe/Amsterdam", None), None),
            // The service's weeks begin on Thursdays.
            (calendar(Period::Week, "UTC", None), None),
            (calendar(Period::Week, "UTC", Some("2026-01-01T00:00:00Z")), Some("week")),
            (calendar(Period::Month, "UTC", None), None),
            (calendar(Period::Month, "UTC", Some("2026-12-18T00:00:00Z")), None),
            (calendar(Period::Lifetime, "UTC", None), None),
        ] {
            assert_eq!(unit(&window), expected, "{window:?}");
        }
    }

    #[test]
    fn years_begin_when_it_is_said() {
        let year = 365 * DAY;
        let dates: Vec<&str> = YEARS.split([' ', ',']).filter(|word| word.starts_with("20")).collect();
        assert_eq!(dates.len(), 5);
        let seconds = dates.iter().map(|date| format!("{date}T00:00:00Z").parse::<Timestamp>().unwrap().seconds);
        assert_eq!(seconds.collect::<Vec<_>>(), (57..62).map(|count| count * year).collect::<Vec<_>>());
        for note in [AFRESH_NOTE, UTC_MONTH_NOTE] {
            assert!(note.replace('\n', " ").contains(YEARS), "{note}");
        }
    }
}
