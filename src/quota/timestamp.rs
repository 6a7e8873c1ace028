// SPDX-License-Identifier: Apache-2.0
//! Instants as RFC 3339 writes them.

use std::fmt;
use std::str::FromStr;

use crate::date::Date;

/// An instant, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads `2026-11-01T00:00:00Z` or the same with an offset (RFC 3339 section 5.6), without fractions and leap seconds.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        read(text).ok_or(InvalidTimestamp)
    }
}

fn read(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let (year, rest) = date.split_at_checked(4)?;
    let (month, day) = pair(rest.strip_prefix('-')?, '-')?;
    let year: i32 = digits(year, 4)?.try_into().ok()?;
    let date = Date { year, month: month.try_into().ok()?, day: day.try_into().ok()? };
    // A day that no month has is another day when it is counted.
    if Date::from_days(date.to_days()) != date {
        return None;
    }
    let (time, zone) = time.split_at_checked(8)?;
    let (hour, rest) = time.split_once(':')?;
    let (hour, (minute, second)) = (digits(hour, 2)?, pair(rest, ':')?);
    let offset = match zone.split_at_checked(1)? {
        ("Z", "") => 0,
        (sign @ ("+" | "-"), offset) => {
            let (hours, minutes) = pair(offset, ':')?;
            let seconds = hours.saturating_mul(60).saturating_add(minutes).saturating_mul(60);
            (hours < 24 && minutes < 60).then_some(if sign == "+" { seconds } else { 0_i64.saturating_sub(seconds) })?
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let within = hour.saturating_mul(3600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
    Some(Timestamp { seconds: date.to_seconds().saturating_add(within).saturating_sub(offset) })
}

/// Two numbers of two digits.
fn pair(text: &str, by: char) -> Option<(i64, i64)> {
    let (first, second) = text.split_once(by)?;
    Some((digits(first, 2)?, digits(second, 2)?))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

/// Text that is no such instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected an instant such as 2026-11-01T00:00:00Z or 2026-11-01T02:00:00+02:00")
    }
}

impl std::error::Error for InvalidTimestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339s() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-01T00:00:00Z", 1_793_491_200),
            ("2026-11-01T02:00:00+02:00", 1_793_491_200),
            ("2026-10-31T14:30:00-09:30", 1_793_491_200),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp { seconds }), "{text}");
        }
        for text in [
            "",
            "2026-11-01",
            "2026-11-01T00:00:00",
            "2026-11-01 00:00:00Z",
            "2026-11-01T00:00:00z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-01T24:00:00Z",
            "2026-11-01T00:60:00Z",
            "2026-11-01T00:00:60Z",
            "2026-11-01T00:00:00.5Z",
            "2026-11-01T00:00:00+24:00",
            "2026-11-01T00:00:00+0200",
            "+026-11-01T00:00:00Z",
            "2026-11-01T0\u{661}:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }
}
