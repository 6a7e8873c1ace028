// SPDX-License-Identifier: Apache-2.0
//! Time zones: the names that IANA's database has, each with the rule that it has for the years to come.
//!
//! Years gone by aren't told: in them a zone is as if it had always had its rule of today. Nor are exceptions in single years: that Cuba doesn't put
//! its clocks back in the winter of 2026, and that Palestine will do so for Ramadan from 2036 on.

use std::fmt;
use std::str::FromStr;

use rule::Rule;
use table::ZONES;

mod rule;
mod table;

/// A time zone by IANA's name for it: <https://www.iana.org/time-zones>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    name: &'static str,
    rule: &'static Rule,
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self { name: "UTC", rule: &Rule { offset: 0, summer: None } };

    /// Its name, as it was written: an alias remains one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// How many seconds its clocks are ahead of UTC at an instant, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn offset_at(self, seconds: i64) -> i64 {
        self.rule.offset_at(seconds)
    }

    /// What its clocks show at an instant: local seconds, which are those since 1970-01-01T00:00:00Z of the instant at which clocks in UTC show
    /// the same.
    #[must_use]
    pub fn local(self, seconds: i64) -> i64 {
        seconds.saturating_add(self.offset_at(seconds))
    }

    /// The instant at which its clocks show these local seconds: the first one where they are put back, so that they show them twice. Where they
    /// are put forward and skip them, it is the instant at which they do.
    #[must_use]
    pub fn instant(self, local_seconds: i64) -> i64 {
        self.rule.instant(local_seconds)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        let find =
            |(rule, names): &'static (Rule, &'static str)| names.split(' ').find(|name| *name == text).map(|name| Self { name, rule });
        ZONES.iter().find_map(find).ok_or(UnknownZone)
    }
}

/// A text that names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownZone;

impl fmt::Display for UnknownZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected the name of an IANA time zone, as Europe/Amsterdam, found none such")
    }
}

impl std::error::Error for UnknownZone {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    #[test]
    fn names_are_compared_exactly() {
        for name in
            ["UTC", "Etc/UTC", "Europe/Amsterdam", "America/Argentina/ComodRivadavia", "Asia/Calcutta", "GMT0", "Etc/GMT+12", "EST5EDT"]
        {
            assert_eq!(zone(name).name(), name);
        }
        assert_eq!(zone("UTC"), Zone::UTC);
        assert_ne!(zone("Etc/UTC"), Zone::UTC, "another name");
        for text in [
            "",
            " ",
            "utc",
            "UTC ",
            "Europe",
            "Europe/",
            "Europe/amsterdam",
            "Africa/Accra Africa/Banjul",
            "Factory",
            "CET-1CEST",
            "+01:00",
        ] {
            assert_eq!(text.parse::<Zone>(), Err(UnknownZone), "{text:?}");
        }
        assert_eq!(UnknownZone.to_string(), "expected the name of an IANA time zone, as Europe/Amsterdam, found none such");
    }

    #[test]
    fn the_table_has_each_name_once_and_is_small() {
        let names = ZONES.iter().flat_map(|(_, names)| names.split(' ')).collect::<Vec<_>>();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| !name.is_empty()));
        let bytes = size_of_val(ZONES) + ZONES.iter().map(|(_, names)| names.len()).sum::<usize>();
        assert!(bytes < 12_000, "{bytes} bytes would weigh on a module");
    }

    /// Clocks change at `seconds`, from one offset to the other.
    #[test]
    fn clocks_change_when_they_do() {
        for (name, seconds, before, after) in [
            // 2027-03-28T01:00:00Z and 2026-10-25T01:00:00Z
            ("Europe/Amsterdam", 1_806_195_600, HOUR, 2 * HOUR),
            ("Europe/Amsterdam", 1_792_890_000, 2 * HOUR, HOUR),
            // Winter is what the database calls daylight saving time.
            ("Europe/Dublin", 1_806_195_600, 0, HOUR),
            ("Europe/Dublin", 1_792_890_000, HOUR, 0),
            // 2027-03-14T07:00:00Z and 2026-11-01T06:00:00Z
            ("America/New_York", 1_805_007_600, -5 * HOUR, -4 * HOUR),
            ("America/New_York", 1_793_512_800, -4 * HOUR, -5 * HOUR),
            // 2026-10-03T15:30:00Z and 2027-04-03T15:00:00Z: by half an hour
            ("Australia/Lord_Howe", 1_791_041_400, 37_800, 39_600),
            ("Australia/Lord_Howe", 1_806_764_400, 39_600, 37_800),
            // 2027-03-28T01:00:00Z, which is the day before there, and 2026-10-25T01:00:00Z
            ("America/Nuuk", 1_806_195_600, -2 * HOUR, -HOUR),
            ("America/Nuuk", 1_792_890_000, -HOUR, -2 * HOUR),
            // 2027-04-29T22:00:00Z and 2026-10-29T21:00:00Z, both at midnight
            ("Africa/Cairo", 1_809_036_000, 2 * HOUR, 3 * HOUR),
            ("Africa/Cairo", 1_793_307_600, 3 * HOUR, 2 * HOUR),
            // 2026-09-06T04:00:00Z and 2027-04-04T03:00:00Z, at midnight in the south
            ("America/Santiago", 1_788_667_200, -4 * HOUR, -3 * HOUR),
            ("America/Santiago", 1_806_807_600, -3 * HOUR, -4 * HOUR),
            // 2027-03-28T01:00:00Z: by two hours
            ("Antarctica/Troll", 1_806_195_600, 0, 2 * HOUR),
            // 2027-03-27T00:00:00Z: 50 hours after a Thursday began
            ("Asia/Gaza", 1_806_105_600, 2 * HOUR, 3 * HOUR),
        ] {
            let zone = zone(name);
            assert_eq!((zone.offset_at(seconds - 1), zone.offset_at(seconds)), (before, after), "{name}");
            if before < after {
                // Skipped local seconds are at the change.
                for skipped in [seconds + before, seconds + before + 1, seconds + after - 1] {
                    assert_eq!(zone.instant(skipped), seconds, "{name}");
                }
                assert_eq!(zone.instant(seconds + before - 1), seconds - 1, "{name}");
                assert_eq!(zone.instant(seconds + after), seconds, "{name}");
            } else {
                // Those that are shown twice are before it.
                for shown in [seconds + after, seconds + after + 1, seconds + before - 1] {
                    assert_eq!(zone.instant(shown), shown - before, "{name}");
                }
                assert_eq!(zone.instant(seconds + before), seconds + before - after, "{name}");
            }
        }
    }

    #[test]
    fn clocks_that_never_change() {
        for (name, offset) in [
            ("UTC", 0),
            ("Asia/Kathmandu", 20_700),
            ("Asia/Kolkata", 19_800),
            ("Pacific/Apia", 13 * HOUR),
            ("Pacific/Kiritimati", 14 * HOUR),
            ("Pacific/Marquesas", -34_200),
            ("Etc/GMT+12", -12 * HOUR),
            ("America/Asuncion", -3 * HOUR),
            ("Africa/Casablanca", 0),
            ("America/Vancouver", -7 * HOUR),
        ] {
            let zone = zone(name);
            for seconds in (1_800_000_000..1_840_000_000).step_by(86_400 * 30) {
                assert_eq!((zone.offset_at(seconds), zone.local(seconds)), (offset, seconds + offset), "{name}");
                assert_eq!(zone.instant(seconds + offset), seconds, "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn an_instant_is_the_first_that_shows_its_local_time(place in 0..ZONES.len(), seconds in -9_223_372_036..9_223_372_036_i64) {
            let (_, names) = ZONES[place];
            let zone = zone(names.split(' ').next().unwrap());
            let (local, first) = (zone.local(seconds), zone.instant(zone.local(seconds)));
            prop_assert_eq!(zone.local(first), local);
            prop_assert!(first == seconds || (seconds - 2 * HOUR..seconds).contains(&first));
        }

        #[test]
        fn local_times_have_their_instants_in_order(place in 0..ZONES.len(), local in -9_223_372_036..9_223_372_036_i64, step in 0..10_000_i64) {
            let (rule, _) = ZONES[place];
            prop_assert!(rule.instant(local) <= rule.instant(local + step));
        }
    }
}
