// SPDX-License-Identifier: Apache-2.0
//! When a zone's clocks change: the rules of POSIX's variable `TZ`, with the hours beyond a day that RFC 9636 section 3.3 adds.

use crate::date::{DAY, Date, is_leap, month_length};

/// How far a zone's clocks are ahead of UTC, now and for all years to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Seconds east of UTC: where there is a summer, outside of it.
    pub(super) offset: i32,
    pub(super) summer: Option<Summer>,
}

/// The part of each year in which clocks are further ahead. Whether it or the rest counts as standard time (in Ireland it does) makes
/// no difference here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summer {
    /// Seconds east of UTC: more than outside of it.
    offset: i32,
    /// By clocks as they were outside of it.
    from: Change,
    /// By its own clocks.
    until: Change,
}

/// When clocks change in a year. Never within two weeks of its turn, so that the year of an instant is the same by any clock, as far as
/// changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    day: Day,
    /// Seconds since the day began: before it, or days after it too.
    time: i32,
}

/// A day of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `Mm.w.d`: the month's first to fourth such day, or the last if `week` is 5. Sunday is 0.
    Weekday { month: u8, week: u8, weekday: u8 },
    /// `Jn`: counted from 1, where 29 February doesn't count.
    Julian(u16),
    /// `n`: counted from 0, where it does.
    OfYear(u16),
}

impl Rule {
    /// Seconds east of UTC at this second since 1970 in UTC.
    pub(super) fn offset_at(&self, seconds: i64) -> i64 {
        let offset = i64::from(self.offset);
        match &self.summer {
            Some(summer) if summer.in_year(Date::from_seconds(seconds.saturating_add(offset)).year, self).holds(seconds) => {
                i64::from(summer.offset)
            }
            _ => offset,
        }
    }

    /// The second in UTC at which clocks show this one: the first if there are two. Clocks that skip it do so at the second that is returned.
    pub(super) fn instant(&self, local: i64) -> i64 {
        let outside = local.saturating_sub(self.offset.into());
        let Some(summer) = &self.summer else { return outside };
        let year = summer.in_year(Date::from_seconds(local).year, self);
        let inside = local.saturating_sub(summer.offset.into());
        if year.holds(inside) {
            inside
        } else if year.holds(outside) {
            year.from
        } else {
            outside
        }
    }
}

impl Summer {
    /// When it is summer in a year by `rule`, whose own it is.
    fn in_year(&self, year: i32, rule: &Rule) -> Span {
        let from = self.from.in_year(year).saturating_sub(rule.offset.into());
        let until = self.until.in_year(year).saturating_sub(self.offset.into());
        Span { from, until }
    }
}

/// One year's summer in seconds in UTC. South of the equator it ends before it begins.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    until: i64,
}

impl Span {
    const fn holds(self, seconds: i64) -> bool {
        if self.from < self.until { self.from <= seconds && seconds < self.until } else { seconds < self.until || self.from <= seconds }
    }
}

impl Change {
    /// The local second.
    fn in_year(self, year: i32) -> i64 {
        i64::from(self.day.in_year(year)).saturating_mul(DAY).saturating_add(self.time.into())
    }
}

impl Day {
    /// Days since 1970-01-01.
    fn in_year(self, year: i32) -> i32 {
        let new_year = Date { year, month: 1, day: 1 };
        match self {
            Self::Weekday { month, week, weekday } => {
                let month = i32::from(month);
                let first = Date { year, month, day: 1 }.to_days();
                // 1970-01-01 was a Thursday.
                let to_weekday = i32::from(weekday).saturating_sub(4).saturating_sub(first).rem_euclid(7);
                let day = i32::from(week).saturating_sub(1).saturating_mul(7).saturating_add(to_weekday);
                let day = if day < month_length(year, month) { day } else { day.saturating_sub(7) };
                first.saturating_add(day)
            }
            Self::Julian(day) => {
                let before = if is_leap(year) && day >= 60 { day } else { day.saturating_sub(1) };
                new_year.to_days().saturating_add(before.into())
            }
            Self::OfYear(day) => new_year.to_days().saturating_add(day.into()),
        }
    }
}

/// Reads a rule such as `STD-1DST,M3.5.0,M10.5.0/3`. For constants only: the compiler refuses what is no rule.
pub(super) const fn rule(text: &str) -> Rule {
    let mut text = Text(text.as_bytes());
    text.expect(b"STD");
    // POSIX counts to the west.
    let standard = text.time().wrapping_neg();
    if text.0.is_empty() {
        return Rule { offset: standard, summer: None };
    }
    text.expect(b"DST");
    let other = if matches!(text.0, [b',', ..]) { standard.wrapping_add(3600) } else { text.time().wrapping_neg() };
    let (to_other, to_standard) = (text.change(), text.change());
    assert!(text.0.is_empty() && standard != other);
    if other > standard {
        Rule { offset: standard, summer: Some(Summer { offset: other, from: to_other, until: to_standard }) }
    } else {
        Rule { offset: other, summer: Some(Summer { offset: standard, from: to_standard, until: to_other }) }
    }
}

/// What is still to be read of a rule.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    const fn take(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    const fn expect(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            assert!(self.take(*first));
            bytes = rest;
        }
    }

    /// A number of at least one digit.
    const fn number(&mut self, least: u16, most: u16) -> u16 {
        assert!(matches!(self.0, [b'0'..=b'9', ..]));
        let mut number = 0_u16;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.0 {
            #[expect(clippy::as_conversions, reason = "a byte fits")]
            let digit = digit.wrapping_sub(b'0') as u16;
            number = number.saturating_mul(10).saturating_add(digit);
            self.0 = rest;
        }
        assert!(least <= number && number <= most);
        number
    }

    #[expect(clippy::as_conversions, reason = "the limit fits")]
    const fn small_number(&mut self, least: u8, most: u8) -> u8 {
        self.number(least as u16, most as u16) as u8
    }

    /// Hours, perhaps with minutes, perhaps with seconds; in seconds.
    #[expect(clippy::as_conversions, reason = "a longer integer holds them")]
    const fn time(&mut self) -> i32 {
        let negative = self.take(b'-');
        let hours = self.number(0, 167) as i32;
        let minutes = if self.take(b':') { self.number(0, 59) as i32 } else { 0 };
        let seconds = if self.take(b':') { self.number(0, 59) as i32 } else { 0 };
        let time = hours.wrapping_mul(60).wrapping_add(minutes).wrapping_mul(60).wrapping_add(seconds);
        if negative { time.wrapping_neg() } else { time }
    }

    /// A comma, a day and perhaps the time of day, which is 2 o'clock if it isn't said.
    const fn change(&mut self) -> Change {
        self.expect(b",");
        let day = if self.take(b'M') {
            let month = self.small_number(1, 12);
            self.expect(b".");
            let week = self.small_number(1, 5);
            self.expect(b".");
            Day::Weekday { month, week, weekday: self.small_number(0, 6) }
        } else if self.take(b'J') {
            Day::Julian(self.number(1, 365))
        } else {
            Day::OfYear(self.number(0, 365))
        };
        Change { day, time: if self.take(b'/') { self.time() } else { 7200 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::zone::table::ZONES;

    #[test]
    fn days_of_a_year() {
        let weekday = |month, week, weekday| Day::Weekday { month, week, weekday };
        for (day, year, expected) in [
            (weekday(3, 5, 0), 2026, (3, 29)),
            (weekday(3, 2, 0), 2026, (3, 8)),
            (weekday(11, 1, 0), 2026, (11, 1)),
            (weekday(10, 4, 4), 2026, (10, 22)),
            (weekday(10, 5, 4), 2026, (10, 29)),
            (weekday(2, 5, 0), 2026, (2, 22)),
            (weekday(2, 5, 2), 2028, (2, 29)),
            (weekday(5, 5, 0), 2026, (5, 31)),
            (weekday(6, 1, 1), 2026, (6, 1)),
            (weekday(9, 1, 6), 1969, (9, 6)),
            (Day::Julian(1), 2028, (1, 1)),
            (Day::Julian(59), 2028, (2, 28)),
            (Day::Julian(60), 2028, (3, 1)),
            (Day::Julian(60), 2027, (3, 1)),
            (Day::Julian(365), 2028, (12, 31)),
            (Day::OfYear(0), 2028, (1, 1)),
            (Day::OfYear(59), 2028, (2, 29)),
            (Day::OfYear(59), 2027, (3, 1)),
        ] {
            let date = Date::from_days(day.in_year(year));
            assert_eq!((date.year, (date.month, date.day)), (year, expected), "{day:?}");
        }
    }

    #[test]
    fn rules_are_read() {
        assert_eq!(rule("STD0"), Rule { offset: 0, summer: None });
        assert_eq!(rule("STD3:30"), Rule { offset: -12_600, summer: None });
        assert_eq!(rule("STD-5:45:30"), Rule { offset: 20_730, summer: None });
        let from = Change { day: Day::Julian(80), time: -3600 };
        let until = Change { day: Day::OfYear(300), time: 50 * 3600 + 1800 };
        assert_eq!(
            rule("STD10:30DST9:30,J80/-1,300/50:30"),
            Rule { offset: -37_800, summer: Some(Summer { offset: -34_200, from, until }) }
        );
        // The same clocks, by whatever names.
        assert_eq!(rule("STD-1DST0,M10.5.0,M3.5.0/1"), rule("STD0DST,M3.5.0/1,M10.5.0/2"));
    }

    #[test]
    fn no_clock_changes_near_the_turn_of_a_year() {
        for summer in ZONES.iter().filter_map(|(rule, _)| rule.summer) {
            for year in 1970..=2100 {
                for change in [summer.from, summer.until] {
                    let days = change.in_year(year) / DAY - i64::from(Date { year, month: 1, day: 1 }.to_days());
                    assert!((14..351).contains(&days), "{change:?}");
                }
            }
        }
    }

    #[test]
    fn any_second_has_an_offset_and_an_instant() {
        for (rule, names) in ZONES {
            for seconds in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX] {
                assert!(rule.offset_at(seconds).abs() <= 14 * 3600, "{names}");
                assert!(rule.instant(seconds).abs_diff(seconds) <= 14 * 3600, "{names}");
            }
        }
    }
}
