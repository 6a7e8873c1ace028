// SPDX-License-Identifier: Apache-2.0
//! The time that a recording spans, and what that makes of a day.

use jiff::Timestamp;

/// From the first request to the last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Period(Option<(Timestamp, Timestamp)>);

impl Period {
    pub(super) fn add(&mut self, time: Timestamp) {
        self.0 = Some(self.0.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }

    /// How long it is.
    pub(super) fn seconds(self) -> f64 {
        self.nanoseconds() as f64 / 1e9
    }

    /// As many in a day as so many are in this time; `None` where no time passes.
    pub(super) fn per_day(self, count: u64) -> Option<u64> {
        per_day(count, self.nanoseconds())
    }

    /// What stands over figures of `what` and of a day's `more`.
    pub(super) fn heading(self, what: &str, more: &str) -> String {
        let nanoseconds = self.nanoseconds();
        let (seconds, minutes) = (nanoseconds / SECOND, nanoseconds / MINUTE);
        let of = match nanoseconds {
            0 => return format!("{what}; no time passes in this recording, so nothing can be said of a day"),
            1..MINUTE => format!("{seconds} seconds of recording, which say little of one"),
            MINUTE..HOUR => format!("{minutes} minutes of recording, which say little of one"),
            HOUR.. => format!("{}.{} hours of recording", (minutes + 3) / 60, (minutes + 3) % 60 / 6),
        };
        format!("{what}, and a day's {more} at the pace of {of}")
    }

    fn nanoseconds(self) -> u128 {
        let passed = self.0.map_or(0, |(first, last)| last.as_nanosecond() - first.as_nanosecond());
        u128::try_from(passed).unwrap_or(0)
    }
}

fn per_day(count: u64, nanoseconds: u128) -> Option<u64> {
    u64::try_from((u128::from(count) * 24 * HOUR + nanoseconds / 2).checked_div(nanoseconds)?).ok()
}

const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_scaled_to_a_day() {
        for (count, nanoseconds, expected) in
            [(5, 0, None), (5, HOUR, Some(120)), (2, 48 * HOUR, Some(1)), (1, 7 * 24 * HOUR, Some(0)), (u64::MAX, 1, None)]
        {
            assert_eq!(per_day(count, nanoseconds), expected, "{count} in {nanoseconds} ns");
        }
    }
}
