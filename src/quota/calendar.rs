// SPDX-License-Identifier: Apache-2.0
//! Periods of a quota: by the calendar of a time zone, or of a fixed length.

use super::zone::Zone;
use crate::date::{DAY, Date, days, month_length};

/// Seconds in an hour.
const HOUR: i64 = 3600;
/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;
/// The last second that nanoseconds since 1970 can tell; the first is as far before.
const LAST_SECOND: i64 = i64::MAX / SECOND;

/// The unit of a calendar's periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// From one full hour on the zone's clocks to the next. Where clocks change by half an hour, that one lasts an hour and a half.
    Hour,
    /// From midnight to midnight: 23 hours or 25 where clocks change by one.
    Day,
    /// ISO 8601's week, from Monday to Monday.
    Week,
    /// From the first day of a month to the first of the next.
    Month,
    /// All time.
    Lifetime,
}

/// Periods by the calendar in a time zone. A day whose midnight clocks skip begins when they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// How long a period is.
    pub unit: Unit,
    /// Whose clocks tell.
    pub zone: Zone,
    /// When one of the periods begins, in seconds since 1970-01-01T00:00:00Z: the others, before it too, begin whole units away from it. Days, weeks
    /// and months begin when clocks show the time of day that they show at the anchor, months on its day or on their last if that is earlier. Hours
    /// have 60 minutes each, and a lifetime begins here.
    pub anchor: Option<i64>,
}

/// From when on and until when something counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// When it begins, in nanoseconds since 1970-01-01T00:00:00Z; [`i64::MIN`] if it would be earlier.
    pub start: i64,
    /// When the next one begins, by the same count; [`i64::MAX`] if it would be later.
    pub end: i64,
}

/// Periods that are all equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    /// How long, in nanoseconds. 0 is taken for 1.
    pub length: u64,
    /// When one of them begins, in nanoseconds since 1970-01-01T00:00:00Z.
    pub anchor: i64,
}

impl Calendar {
    /// The period at an instant, in nanoseconds since 1970-01-01T00:00:00Z. Periods leave no gap between them. Before a lifetime there is one more.
    #[must_use]
    pub fn period_at(&self, now: i64) -> Period {
        let seconds = now.div_euclid(SECOND);
        let anchor = self.anchor.map(|anchor| anchor.clamp(-LAST_SECOND, LAST_SECOND));
        let (start, end) = match (self.unit, anchor) {
            (Unit::Hour, None) => self.full_hours(seconds),
            (Unit::Hour, Some(anchor)) => {
                let start = seconds.saturating_sub(seconds.saturating_sub(anchor).rem_euclid(HOUR));
                (start, start.saturating_add(HOUR))
            }
            (Unit::Day, anchor) => self.days(seconds, 1, self.origin(anchor, 0)),
            // 1970-01-05 was a Monday.
            (Unit::Week, anchor) => self.days(seconds, 7, self.origin(anchor, 4 * DAY)),
            (Unit::Month, anchor) => self.months(seconds, self.origin(anchor, 0)),
            (Unit::Lifetime, anchor) => {
                let start = anchor.unwrap_or(0);
                if seconds < start { (i64::MIN, start) } else { (start, i64::MAX) }
            }
        };
        Period { start: start.saturating_mul(SECOND), end: end.saturating_mul(SECOND) }
    }

    /// A name for one of its periods: when it begins, in UTC and RFC 3339's format, or `lifetime`.
    #[must_use]
    pub fn label(&self, period: Period) -> String {
        match self.unit {
            Unit::Lifetime => "lifetime".to_owned(),
            _ => period.label(),
        }
    }

    /// Full hours are those of the clocks, of which some are ahead of UTC by half an hour or three quarters.
    fn full_hours(&self, seconds: i64) -> (i64, i64) {
        let past_hour = |seconds| self.zone.local(seconds).rem_euclid(HOUR);
        let start = seconds.saturating_sub(past_hour(seconds));
        // More is past, or to come, where the clocks have changed in between.
        let start = start.saturating_sub(past_hour(start));
        let end = start.saturating_add(HOUR);
        let end = end.saturating_add(HOUR.saturating_sub(past_hour(end)).rem_euclid(HOUR));
        (start, end)
    }

    fn days(&self, seconds: i64, length: i32, origin: Origin) -> (i64, i64) {
        let local = |count: i32| origin.local.saturating_add(i64::from(count.saturating_mul(length)).saturating_mul(DAY));
        let guess = days(self.zone.local(seconds).saturating_sub(origin.local)).checked_div_euclid(length).unwrap_or(0);
        around(seconds, guess, |count| self.instant(local(count), origin))
    }

    fn months(&self, seconds: i64, origin: Origin) -> (i64, i64) {
        let (day, time) = (Date::from_seconds(origin.local).day, origin.local.rem_euclid(DAY));
        let local = |count: i32| {
            let (year, month) = (count.div_euclid(12), count.rem_euclid(12).saturating_add(1));
            Date { year, month, day: day.min(month_length(year, month)) }.to_seconds().saturating_add(time)
        };
        let date = Date::from_seconds(self.zone.local(seconds));
        let guess = date.year.saturating_mul(12).saturating_add(date.month).saturating_sub(1);
        around(seconds, guess, |count| self.instant(local(count), origin))
    }

    fn origin(&self, anchor: Option<i64>, otherwise: i64) -> Origin {
        Origin { local: anchor.map_or(otherwise, |anchor| self.zone.local(anchor)), anchor }
    }

    /// When clocks show `local`. The anchor is where it is, even if clocks showed the same before.
    fn instant(&self, local: i64, origin: Origin) -> i64 {
        origin.anchor.filter(|_| local == origin.local).unwrap_or_else(|| self.zone.instant(local))
    }
}

/// What periods are counted from.
#[derive(Clone, Copy)]
struct Origin {
    /// In local seconds.
    local: i64,
    anchor: Option<i64>,
}

/// The two boundaries of periods around `seconds`, of which `guess` counts the first or one beside it: clocks that change mislead it.
fn around(seconds: i64, guess: i32, boundary: impl Fn(i32) -> i64) -> (i64, i64) {
    let next = guess.saturating_add(1);
    let (start, end) = (boundary(guess), boundary(next));
    if seconds < start {
        (boundary(guess.saturating_sub(1)), start)
    } else if seconds < end {
        (start, end)
    } else {
        (end, boundary(next.saturating_add(1)))
    }
}

impl FixedWindow {
    /// The window at an instant, in nanoseconds since 1970-01-01T00:00:00Z. Windows leave no gap between them.
    #[must_use]
    pub fn period_at(&self, now: i64) -> Period {
        let length = self.length.max(1);
        let past = now.abs_diff(self.anchor).checked_rem(length).unwrap_or(0);
        // Before the anchor the same count goes to the window's end.
        let past = if now < self.anchor && past > 0 { length.saturating_sub(past) } else { past };
        Period { start: now.saturating_sub_unsigned(past), end: now.saturating_add_unsigned(length.saturating_sub(past)) }
    }

    /// A name for one of its windows: when it begins, in UTC and RFC 3339's format, with a fraction unless that is a full second.
    #[must_use]
    pub fn label(&self, period: Period) -> String {
        period.label()
    }
}

impl Period {
    /// When it begins. Two that begin at different times never share it.
    fn label(self) -> String {
        let (seconds, fraction) = (self.start.div_euclid(SECOND), self.start.rem_euclid(SECOND));
        let (Date { year, month, day }, time) = (Date::from_seconds(seconds), seconds.rem_euclid(DAY));
        let (hour, minute, second) = (time / HOUR, time / 60 % 60, time % 60);
        match fraction {
            0 => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"),
            _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNITS: [Unit; 5] = [Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Lifetime];
    const ZONES: [&str; 12] = [
        "UTC",
        "Europe/Amsterdam",
        "Europe/Dublin",
        "America/New_York",
        "America/Nuuk",
        "America/Santiago",
        "America/Havana",
        "Africa/Cairo",
        "Antarctica/Troll",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ];

    /// Seconds since 1970 of a text such as `2026-11-01T00:00:00Z`.
    fn seconds(text: &str) -> i64 {
        let [year, month, day, hour, minute, second] =
            text.trim_end_matches('Z').split(['-', 'T', ':']).map(|part| part.parse().unwrap()).collect::<Vec<i32>>()[..]
        else {
            panic!("{text}")
        };
        Date { year, month, day }.to_seconds() + i64::from(hour * 3600 + minute * 60 + second)
    }

    fn calendar(unit: Unit, zone: &str, anchor: Option<&str>) -> Calendar {
        Calendar { unit, zone: zone.parse().unwrap(), anchor: anchor.map(seconds) }
    }

    #[test]
    fn boundaries_follow_one_another() {
        for (unit, zone, anchor, boundaries) in [
            (Unit::Hour, "UTC", None, &["2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"][..]),
            (Unit::Hour, "Asia/Kathmandu", None, &["2026-10-31T23:15:00Z", "2026-11-01T00:15:00Z", "2026-11-01T01:15:00Z"]),
            // Clocks go from 3:00 to 2:00, and each hour has 60 minutes.
            (Unit::Hour, "Europe/Amsterdam", None, &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]),
            // From 2:00 to 2:30, and from 2:00 to 1:30.
            (Unit::Hour, "Australia/Lord_Howe", None, &["2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z", "2026-10-03T17:00:00Z"]),
            (
                Unit::Hour,
                "Australia/Lord_Howe",
                None,
                &["2027-04-03T13:00:00Z", "2027-04-03T14:00:00Z", "2027-04-03T15:30:00Z", "2027-04-03T16:30:00Z"],
            ),
            (
                Unit::Hour,
                "Australia/Lord_Howe",
                Some("2027-01-01T00:10:07Z"),
                &["2027-04-03T14:10:07Z", "2027-04-03T15:10:07Z", "2027-04-03T16:10:07Z"],
            ),
            (Unit::Day, "UTC", None, &["2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"]),
            // 23 hours and 25.
            (Unit::Day, "Europe/Amsterdam", None, &["2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z", "2027-03-29T22:00:00Z"]),
            (Unit::Day, "Europe/Dublin", None, &["2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z", "2026-10-27T00:00:00Z"]),
            (Unit::Day, "America/New_York", None, &["2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"]),
            // There is no midnight: the day begins at 1:00.
            (Unit::Day, "Africa/Cairo", None, &["2027-04-28T22:00:00Z", "2027-04-29T22:00:00Z", "2027-04-30T21:00:00Z"]),
            (Unit::Day, "America/Santiago", None, &["2026-09-05T04:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"]),
            // From midnight to 23:00.
            (Unit::Day, "Africa/Cairo", None, &["2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z", "2026-10-30T22:00:00Z"]),
            (Unit::Day, "America/Nuuk", None, &["2026-10-24T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]),
            // Midnight twice: the day begins at the first.
            (Unit::Day, "America/Havana", None, &["2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"]),
            (Unit::Day, "Pacific/Apia", None, &["2026-12-31T11:00:00Z", "2027-01-01T11:00:00Z"]),
            // At 2:30, which clocks skip, and which they show twice.
            (
                Unit::Day,
                "Europe/Amsterdam",
                Some("2026-11-01T01:30:00Z"),
                &["2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"],
            ),
            (
                Unit::Day,
                "Europe/Amsterdam",
                Some("2027-10-01T00:30:00Z"),
                &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            // The second time is the anchor.
            (
                Unit::Day,
                "Europe/Amsterdam",
                Some("2026-10-25T01:30:00Z"),
                &["2026-10-24T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],
            ),
            (Unit::Week, "UTC", None, &["1969-12-22T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z", "1970-01-12T00:00:00Z"]),
            (Unit::Week, "Europe/Amsterdam", None, &["2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z"]),
            (
                Unit::Week,
                "America/New_York",
                Some("2026-11-06T14:00:00Z"),
                &["2026-10-23T13:00:00Z", "2026-10-30T13:00:00Z", "2026-11-06T14:00:00Z", "2026-11-13T14:00:00Z"],
            ),
            (
                Unit::Month,
                "UTC",
                None,
                &["1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-02-01T00:00:00Z", "1970-03-01T00:00:00Z", "1970-04-01T00:00:00Z"],
            ),
            (Unit::Month, "Europe/Amsterdam", None, &["2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"]),
            (
                Unit::Month,
                "UTC",
                Some("2027-01-31T12:00:00Z"),
                &[
                    "2026-11-30T12:00:00Z",
                    "2026-12-31T12:00:00Z",
                    "2027-01-31T12:00:00Z",
                    "2027-02-28T12:00:00Z",
                    "2027-03-31T12:00:00Z",
                    "2027-04-30T12:00:00Z",
                    "2027-05-31T12:00:00Z",
                ],
            ),
            (Unit::Month, "UTC", Some("2027-01-30T00:00:00Z"), &["2028-01-30T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-30T00:00:00Z"]),
            // 31 January at 23:30 on the zone's clocks.
            (
                Unit::Month,
                "America/New_York",
                Some("2027-02-01T04:30:00Z"),
                &["2027-02-01T04:30:00Z", "2027-03-01T04:30:00Z", "2027-04-01T03:30:00Z", "2027-05-01T03:30:00Z"],
            ),
        ] {
            let calendar = calendar(unit, zone, anchor);
            for pair in boundaries.windows(2) {
                let expected = Period { start: seconds(pair[0]) * SECOND, end: seconds(pair[1]) * SECOND };
                for now in [expected.start, expected.start + 1, expected.start / 2 + expected.end / 2, expected.end - 1] {
                    let found = calendar.period_at(now);
                    assert_eq!((found, calendar.label(found).as_str()), (expected, pair[0]), "{calendar:?} at {now}");
                }
            }
        }
    }

    #[test]
    fn a_lifetime_begins_once() {
        let lifetime = |anchor| calendar(Unit::Lifetime, "Asia/Tokyo", anchor);
        assert_eq!(lifetime(None).period_at(1), Period { start: 0, end: i64::MAX });
        assert_eq!(lifetime(None).period_at(-1), Period { start: i64::MIN, end: 0 });
        let calendar = lifetime(Some("2026-11-01T00:00:00Z"));
        let start = seconds("2026-11-01T00:00:00Z") * SECOND;
        assert_eq!(calendar.period_at(start), Period { start, end: i64::MAX });
        assert_eq!(calendar.period_at(start - 1), Period { start: i64::MIN, end: start });
        assert_eq!(calendar.label(calendar.period_at(i64::MAX)), "lifetime");
    }

    #[test]
    fn windows_of_a_fixed_length() {
        for (length, anchor, now, start, end) in [
            (10, 0, 25, 20, 30),
            (10, 0, 20, 20, 30),
            (10, 0, -1, -10, 0),
            (10, 0, -10, -10, 0),
            (10, 3, 2, -7, 3),
            (10, 3, 3, 3, 13),
            (0, 0, 7, 7, 8),
            (u64::MAX, 0, 5, 0, i64::MAX),
            (u64::MAX, 0, -5, i64::MIN, 0),
            (u64::MAX, i64::MIN, 5, i64::MIN, i64::MAX),
            (1, i64::MAX, i64::MIN, i64::MIN, i64::MIN + 1),
            (7, i64::MIN, i64::MAX, i64::MAX - 1, i64::MAX),
        ] {
            assert_eq!(FixedWindow { length, anchor }.period_at(now), Period { start, end }, "{length} {anchor} {now}");
        }
        let window = FixedWindow { length: 250_000_000, anchor: 0 };
        let label = |now| window.label(window.period_at(now));
        assert_eq!(label(seconds("2026-11-01T00:00:00Z") * SECOND), "2026-11-01T00:00:00Z");
        assert_eq!(label(seconds("2026-11-01T00:00:00Z") * SECOND - 1), "2026-10-31T23:59:59.750000000Z");
    }

    /// What is so of any periods.
    fn check(period_at: impl Fn(i64) -> Period, now: i64) -> Result<(), TestCaseError> {
        let period = period_at(now);
        let Period { start, end } = period;
        prop_assert!(start <= now && (now < end || end == i64::MAX), "{now} isn't in {period:?}");
        prop_assert_eq!(period_at(start), period);
        if end < i64::MAX {
            prop_assert_eq!(period_at(end - 1), period);
            prop_assert_eq!(period_at(end).start, end);
        }
        if start > i64::MIN {
            prop_assert_eq!(period_at(start - 1).end, start);
        }
        Ok(())
    }

    /// Any instant, those at the ends of time, and those near changes of clocks.
    fn instant() -> impl Strategy<Value = i64> {
        let hour = HOUR * SECOND;
        let near = |text| seconds(text) * SECOND - 30 * HOUR * SECOND..seconds(text) * SECOND + 30 * HOUR * SECOND;
        prop_oneof![
            any::<i64>(),
            near("2026-10-25T01:00:00Z"),
            near("2027-03-28T01:00:00Z"),
            near("2026-10-03T15:30:00Z"),
            near("2027-04-03T15:00:00Z"),
            near("2026-10-29T21:00:00Z"),
            near("2026-11-01T05:00:00Z"),
            i64::MIN..i64::MIN + 100_000 * hour,
            i64::MAX - 100_000 * hour..=i64::MAX,
        ]
    }

    fn anchor() -> impl Strategy<Value = Option<i64>> {
        let seconds = prop_oneof![instant().prop_map(|instant| instant.div_euclid(SECOND)), any::<i64>()];
        proptest::option::of(seconds)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn each_instant_is_in_one_period(unit in 0..UNITS.len(), zone in 0..ZONES.len(), anchor in anchor(), now in instant()) {
            let calendar = Calendar { unit: UNITS[unit], zone: ZONES[zone].parse().unwrap(), anchor };
            check(|now| calendar.period_at(now), now)?;
            if let Some(anchor) = anchor.filter(|anchor| anchor.abs() <= LAST_SECOND) {
                prop_assert_eq!(calendar.period_at(anchor * SECOND).start, anchor * SECOND);
            }
        }

        #[test]
        fn each_instant_is_in_one_window(length in prop_oneof![any::<u64>(), 0..1000_u64], anchor in any::<i64>(), now in instant()) {
            let window = FixedWindow { length, anchor };
            check(|now| window.period_at(now), now)?;
            let length = i128::from(length.max(1));
            let start = i128::from(now) - (i128::from(now) - i128::from(anchor)).rem_euclid(length);
            prop_assert_eq!(i128::from(window.period_at(now).start), start.max(i64::MIN.into()));
        }
    }
}
