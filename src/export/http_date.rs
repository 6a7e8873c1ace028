// SPDX-License-Identifier: Apache-2.0
//! Dates in HTTP headers (RFC 9110 section 5.6.7), in all three forms.

use crate::date::Date;

/// Seconds since 1970; `None` for what is no such date. Days of the week are passed over. `now`, in seconds too, tells of which century a year of two
/// digits is.
pub(super) fn parse(text: &str, now: i64) -> Option<i64> {
    let (weekday, rest) = text.split_once(' ')?;
    // Sun, 06 Nov 1994 08:49:37 GMT | Sunday, 06-Nov-94 08:49:37 GMT | Sun Nov  6 08:49:37 1994
    let fields: Vec<&str> = rest.split([' ', '-']).filter(|field| !field.is_empty()).collect();
    let (day, month, year, time) = match (weekday.ends_with(','), fields.as_slice()) {
        (true, [day, month, year, time, "GMT"]) => (day, month, year, time),
        (false, [month, day, time, year]) => (day, month, year, time),
        _ => return None,
    };
    let place = MONTHS.iter().position(|name| name == month)?;
    let year = match (year.len(), number(year)?) {
        (4, year) => year,
        // The last year with these digits that isn't more than 50 years ahead.
        (2, digits) => {
            let latest = Date::from_days(i32::try_from(now.div_euclid(86_400)).ok()?).year.saturating_add(50);
            latest.saturating_sub(latest.saturating_sub(digits).rem_euclid(100))
        }
        _ => return None,
    };
    let date = Date { year, month: i32::try_from(place).ok()?.saturating_add(1), day: number(day)? };
    // A day that no month has is another day when it is counted.
    if Date::from_days(date.to_days()) != date {
        return None;
    }
    let mut parts = time.split(':').map(number);
    let (Some(Some(hour)), Some(Some(minute)), Some(Some(second)), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    // A leap second counts as the one after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let within = hour.saturating_mul(3600).saturating_add(minute.saturating_mul(60)).saturating_add(second);
    Some(date.to_seconds().saturating_add(within.into()))
}

fn number(digits: &str) -> Option<i32> {
    let sound = matches!(digits.len(), 1..=4) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| sound)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-12-01T00:00:00Z
    const NOW: i64 = 1_796_083_200;

    #[test]
    fn the_standards_own_examples() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text, NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(parse("Fri, 31 Dec 2016 23:59:60 GMT", NOW), Some(1_483_228_800));
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_fifty_ahead() {
        for (digits, year) in [("26", 2026), ("27", 2027), ("76", 2076), ("77", 1977), ("99", 1999), ("00", 2000)] {
            let written_out = parse(&format!("Thu, 01 Jan {year} 00:00:00 GMT"), NOW);
            assert!(written_out.is_some() && parse(&format!("Thursday, 01-Jan-{digits} 00:00:00 GMT"), NOW) == written_out, "{digits}");
        }
        assert_eq!(parse("Thursday, 01-Jan-70 00:00:00 GMT", 0), Some(0));
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "Sun,",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 31 Feb 2026 08:49:37 GMT",
            "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37:1 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(parse(text, NOW), None, "{text:?}");
        }
    }
}
