// SPDX-License-Identifier: Apache-2.0
//! Dates of the Gregorian calendar, counted in days since 1970-01-01. The arithmetic is Howard Hinnant's:
//! <https://howardhinnant.github.io/date_algorithms.html>.

/// Seconds in a day of 24 hours.
pub(crate) const DAY: i64 = 86_400;
/// Days from 0000-03-01, which begins a cycle of 400 years, to 1970-01-01.
const TO_EPOCH: i32 = 719_468;
/// Days in 400 years.
const CYCLE: i32 = 146_097;

/// A date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i32,
    /// From 1 to 12.
    pub(crate) month: i32,
    /// From 1.
    pub(crate) day: i32,
}

impl Date {
    /// The date so many days after 1970-01-01.
    pub(crate) fn from_days(days: i32) -> Self {
        let shifted = days.saturating_add(TO_EPOCH);
        let (cycle, day) = (shifted.div_euclid(CYCLE), shifted.rem_euclid(CYCLE));
        let year = day.saturating_sub(day / 1460).saturating_add(day / 36_524).saturating_sub(day / 146_096) / 365;
        let day = day.saturating_sub(year.saturating_mul(365)).saturating_sub(year / 4).saturating_add(year / 100);
        // Years begin in March here: a leap day is the last of its year.
        let month = day.saturating_mul(5).saturating_add(2) / 153;
        let day = day.saturating_sub(days_before(month)).saturating_add(1);
        let year = cycle.saturating_mul(400).saturating_add(year);
        if month < 10 {
            Self { year, month: month.saturating_add(3), day }
        } else {
            Self { year: year.saturating_add(1), month: month.saturating_sub(9), day }
        }
    }

    /// The date on which this second falls, where seconds count from 1970-01-01T00:00:00.
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self::from_days(days(seconds))
    }

    /// Days since 1970-01-01.
    pub(crate) fn to_days(self) -> i32 {
        let (year, month) = if self.month > 2 {
            (self.year, self.month.saturating_sub(3))
        } else {
            (self.year.saturating_sub(1), self.month.saturating_add(9))
        };
        let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
        let day = day.saturating_add(days_before(month)).saturating_add(self.day).saturating_sub(1);
        cycle.saturating_mul(CYCLE).saturating_add(day).saturating_sub(TO_EPOCH)
    }

    /// The second at which it begins.
    pub(crate) fn to_seconds(self) -> i64 {
        i64::from(self.to_days()).saturating_mul(DAY)
    }
}

/// Days of a year from March on before its `month`, where March is 0.
fn days_before(month: i32) -> i32 {
    month.saturating_mul(153).saturating_add(2) / 5
}

/// How many days since 1970-01-01 are over at this second.
pub(crate) fn days(seconds: i64) -> i32 {
    let days = seconds.div_euclid(DAY);
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

/// Whether the year has a 29 February.
pub(crate) const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// How many days the month has.
pub(crate) const fn month_length(year: i32, month: i32) -> i32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (year, month, day, days) in [
            (1970, 1, 1, 0),
            (1969, 12, 31, -1),
            (1677, 9, 21, -106_752),
            (1900, 2, 28, -25_509),
            (1900, 3, 1, -25_508),
            (2000, 2, 29, 11_016),
            (2026, 11, 1, 20_758),
            (2262, 4, 11, 106_751),
        ] {
            let date = Date { year, month, day };
            assert_eq!((date.to_days(), Date::from_days(days)), (days, date));
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut expected = Date { year: 1599, month: 12, day: 31 };
        let end = Date { year: 2401, month: 1, day: 2 };
        for days in expected.to_days()..end.to_days() {
            assert_eq!((Date::from_days(days), expected.to_days()), (expected, days));
            expected.day += 1;
            if expected.day > month_length(expected.year, expected.month) {
                expected = Date { month: expected.month + 1, day: 1, ..expected };
            }
            if expected.month > 12 {
                expected = Date { year: expected.year + 1, month: 1, day: 1 };
            }
        }
    }

    #[test]
    fn any_number_is_taken() {
        for number in [i32::MIN, i32::MAX] {
            let _ = Date::from_days(number);
            let _ = Date { year: number, month: number, day: number }.to_days();
        }
        assert_eq!((days(i64::MIN), days(-1), days(0), days(i64::MAX)), (i32::MIN, -1, 0, i32::MAX));
    }
}
