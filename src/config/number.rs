// SPDX-License-Identifier: Apache-2.0
//! Durations and probabilities as written.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::decode::{Decode, Place};
use super::finding::{Findings, Problem};
use crate::json::Value;
use crate::trace::Threshold;

pub(super) use crate::quota::Timestamp;

/// A duration as Gateway API writes it: <https://gateway-api.sigs.k8s.io/geps/gep-2257/>. One to four numbers of up to 5 digits, each with
/// `h`, `m`, `s` or `ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration {
    milliseconds: u64,
}

impl Duration {
    pub(super) const fn milliseconds(self) -> u64 {
        self.milliseconds
    }

    /// For the core's clocks.
    pub(super) const fn nanoseconds(self) -> u64 {
        self.milliseconds.saturating_mul(1_000_000)
    }

    /// Seconds, where there are no milliseconds beside them.
    pub(super) const fn whole_seconds(self) -> Option<u64> {
        if self.milliseconds.is_multiple_of(1000) { Some(self.milliseconds / 1000) } else { None }
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let (mut rest, mut milliseconds, mut parts) = (text, 0_u64, 0);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = rest.split_at_checked(digits).filter(|_| matches!(digits, 1..=5)).ok_or(InvalidDuration)?;
            let letters = unit.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, next) = unit.split_at_checked(letters).ok_or(InvalidDuration)?;
            let scale: u64 = match unit {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1000,
                "ms" => 1,
                _ => return Err(InvalidDuration),
            };
            let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
            milliseconds = milliseconds.saturating_add(number.saturating_mul(scale));
            parts = u32::saturating_add(parts, 1);
            rest = next;
        }
        if matches!(parts, 1..=4) { Ok(Self { milliseconds }) } else { Err(InvalidDuration) }
    }
}

/// A text that is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidDuration;

impl fmt::Display for InvalidDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a duration such as 30s or 1h30m: numbers of up to 5 digits, each with h, m, s or ms")
    }
}

/// A probability. Read from its digits: floating point would weigh 30 KB on a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probability {
    /// Without zeros at the end, as JSON.
    text: String,
    pub(super) threshold: Threshold,
}

impl Probability {
    pub(super) const ONE: Self = Self { text: String::new(), threshold: Threshold::ALWAYS };
}

impl Decode for Probability {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let text = match place.value() {
            Value::Integer(whole) => whole.to_string(),
            Value::Number(text) => text.clone(),
            _ => return place.expected("a probability from 0 to 1, such as 0.1", findings),
        };
        match text.parse() {
            Ok(threshold) => {
                let short =
                    if text.contains('.') && !text.contains(['e', 'E']) { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
                Some(Self { text: short.to_owned(), threshold })
            }
            Err(error) => place.report(Problem::Invalid(format!("{error} ({})", place.value())), findings),
        }
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = if self.text.is_empty() { "1" } else { &self.text };
        RawValue::from_string(text.to_owned()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// A part of a whole, in thousandths: above 0, up to 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thousandths {
    pub(super) thousandths: u64,
}

impl Decode for Thousandths {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let text = match place.value() {
            Value::Integer(whole) => whole.to_string(),
            Value::Number(text) => text.clone(),
            _ => String::new(),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let thousandths = format!("{fraction:0<3}").parse::<u64>().ok().filter(|_| digits);
        let whole = whole.parse::<u64>().ok().filter(|whole| *whole <= 1);
        let sum = whole.zip(thousandths).map(|(whole, part)| whole.saturating_mul(1000).saturating_add(part));
        match sum.filter(|sum| (1..=1000).contains(sum)) {
            Some(thousandths) => Some(Self { thousandths }),
            None => place.expected("a part above 0 and up to 1, in thousandths, such as 0.5", findings),
        }
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self.thousandths {
            1000 => "1".to_owned(),
            part => format!("0.{part:03}").trim_end_matches('0').to_owned(),
        };
        RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gateway_apis() {
        for (text, milliseconds) in
            [("30s", 30_000), ("100ms", 100), ("1h30m", 5_400_000), ("0s", 0), ("1h1m1s1ms", 3_661_001), ("90m", 5_400_000)]
        {
            assert_eq!(text.parse(), Ok(Duration { milliseconds }), "{text}");
        }
        for text in ["", "30", "s", "1d", "1.5s", "-1s", "100000s", "1h1h1h1h1h", "1 s", "1S", " 1s", "\u{661}s"] {
            assert_eq!(text.parse::<Duration>(), Err(InvalidDuration), "{text}");
        }
    }
}
