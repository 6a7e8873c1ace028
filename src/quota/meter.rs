// SPDX-License-Identifier: Apache-2.0
//! What is counted under one key, and what that leaves: pure arithmetic in whole numbers, exact up to limits of 2^53 and total for every clock.
//!
//! All times are wall-clock nanoseconds, since windows are a calendar's. A clock that jumps back takes nothing from a caller and gives nothing:
//! what was counted stays counted, and nobody waits for longer than a window.

use super::calendar::Period;
use super::limit::Window;

/// What is kept of one key, by kind of window:
///
/// | window | words |
/// |---|---|
/// | rate | when all of it is free again (the theoretical arrival time of GCRA), in nanoseconds and 2^-64 of them |
/// | sliding | where the current window starts; what was counted in the one before; what is counted in it |
/// | fixed, calendar | where the period starts; what is counted in it |
pub(super) type Words = [u64; 3];

/// Counts one key of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter<'p> {
    pub(super) window: &'p Window,
    /// How much this key may have, at least 1.
    pub(super) limit: u64,
}

/// A time, and the period of a window that it lies in: told once for all that is done at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: i64,
    /// `None` for a window without periods.
    pub(super) period: Option<Period>,
}

impl Moment {
    pub(super) fn of(window: &Window, now: i64) -> Self {
        Self { now, period: window.period_at(now) }
    }

    /// The period; from now on for ever where there is none.
    fn own_period(self) -> Period {
        self.period.unwrap_or(Period { start: self.now, end: i64::MAX })
    }
}

/// What counting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// How much is left.
    pub(super) remaining: u64,
    /// Where there isn't enough: in how many nanoseconds there is, at the earliest; `u64::MAX` for never.
    pub(super) retry: Option<u64>,
    /// In how many nanoseconds all of it is free again; `u64::MAX` for never.
    pub(super) reset: u64,
    /// When it was taken, for [`Meter::give`]: the window's start; of a rate, when what was taken has run out.
    pub(super) stamp: u64,
}

/// Two workers' clocks are read one after the other: so far ahead may lie what another one wrote.
const SKEW: i64 = 1_000_000_000;

impl Meter<'_> {
    /// Whether what is kept still counts for something.
    pub(super) fn is_live(window: &Window, words: &Words, moment: Moment) -> bool {
        let Moment { now, period } = moment;
        let [first, ..] = *words;
        match window {
            Window::Rate { .. } => first >= unsigned(now),
            Window::Sliding { window } => first.saturating_add(window.saturating_mul(2)) > unsigned(now),
            Window::Fixed(_) | Window::Calendar(_) => period.is_none_or(|period| signed(first) >= period.start),
        }
    }

    /// Takes `cost`, if at least as much is left, and at least one: what is to be kept, where it isn't what there is, and how the limit stands.
    pub(super) fn take(&self, words: Option<Words>, moment: Moment, cost: u64) -> (Option<Words>, Reading) {
        let now = moment.now;
        match self.window {
            Window::Rate { window, burst } => self.take_rate(words, now, cost, *window, burst.unwrap_or(self.limit)),
            Window::Sliding { window } => self.take_sliding(words, now, cost, *window),
            Window::Fixed(_) | Window::Calendar(_) => self.take_period(words, now, cost, moment.own_period()),
        }
    }

    /// Takes `cost`, whatever is left: it is known after the fact.
    pub(super) fn charge(&self, words: Option<Words>, moment: Moment, cost: u64) -> Words {
        let now = moment.now;
        match self.window {
            Window::Rate { window, burst } => {
                let cell = cell(*window, self.limit);
                let whole = cell.saturating_mul(u128::from(burst.unwrap_or(self.limit)));
                let now = fixed(now);
                let arrival = arrival(words, now, whole).saturating_add(cell.saturating_mul(u128::from(cost)));
                split(arrival.min(now.saturating_add(whole)))
            }
            Window::Sliding { window } => {
                let [start, previous, current] = slid(words, unsigned(now), *window);
                [start, previous, current.saturating_add(cost)]
            }
            Window::Fixed(_) | Window::Calendar(_) => {
                let (start, used) = counted(words, now, moment.own_period());
                [unsigned(start), used.saturating_add(cost), 0]
            }
        }
    }

    /// Gives back what was taken when `stamp` says; `None` where that has run out since.
    pub(super) fn give(&self, words: Option<Words>, stamp: u64, cost: u64, now: i64) -> Option<Words> {
        let [first, second, third] = words?;
        match self.window {
            Window::Rate { window, .. } => {
                // What has flowed back by itself isn't given back once more.
                let left = join(stamp, 0).saturating_sub(fixed(now));
                let taken = cell(*window, self.limit).saturating_mul(u128::from(cost)).min(left);
                (taken > 0).then(|| split(join(first, second).saturating_sub(taken)))
            }
            Window::Sliding { window } => {
                if stamp == first {
                    Some([first, second, third.saturating_sub(cost)])
                } else {
                    (stamp.saturating_add(*window) == first).then(|| [first, second.saturating_sub(cost), third])
                }
            }
            Window::Fixed(_) | Window::Calendar(_) => (stamp == first).then(|| [first, second.saturating_sub(cost), third]),
        }
    }

    /// The generic cell rate algorithm (ITU-T I.371, the virtual scheduling form): a request conforms where the theoretical arrival time, with
    /// its own cells, lies no further ahead than the burst.
    fn take_rate(&self, words: Option<Words>, now: i64, cost: u64, window: u64, burst: u64) -> (Option<Words>, Reading) {
        let cell = cell(window, self.limit);
        let whole = cell.saturating_mul(u128::from(burst));
        let now = fixed(now);
        let arrival = arrival(words, now, whole);
        let free = |arrival: u128| whole.saturating_sub(arrival.saturating_sub(now));
        let needed = cell.saturating_mul(u128::from(cost.max(1)));
        if free(arrival) < needed {
            // More than there ever is at once never comes.
            let retry = if needed > whole { u64::MAX } else { whole_nanoseconds(needed.saturating_sub(free(arrival))) };
            // A time that only a clock which has jumped back can have set would else stay where it is until that time has come.
            let nearer = words.filter(|[high, low, _]| arrival < join(*high, *low)).map(|_| split(arrival));
            return (nearer, Reading { remaining: cells(free(arrival), cell), retry: Some(retry), reset: retry, stamp: 0 });
        }
        let next = arrival.saturating_add(cell.saturating_mul(u128::from(cost)));
        let reset = whole_nanoseconds(next.saturating_sub(now));
        let [stamp, ..] = split(next);
        (Some(split(next)), Reading { remaining: cells(free(next), cell), retry: None, reset, stamp })
    }

    fn take_sliding(&self, words: Option<Words>, now: i64, cost: u64, window: u64) -> (Option<Words>, Reading) {
        let now = unsigned(now);
        let [start, previous, current] = slid(words, now, window);
        let passed = now.saturating_sub(start).min(window);
        let used = weighed(previous, window.saturating_sub(passed), window).saturating_add(current);
        let left = self.limit.saturating_sub(used);
        let needed = cost.max(1);
        if left < needed {
            let retry = self.slides_free(previous, current, needed, passed, window);
            return (
                changed(words, [start, previous, current]),
                Reading { remaining: left, retry: Some(retry), reset: retry, stamp: start },
            );
        }
        let left_of = |windows: u64| window.saturating_mul(windows).saturating_sub(passed);
        let current = current.saturating_add(cost);
        let reset = if current > 0 { left_of(2) } else { left_of(1) };
        (Some([start, previous, current]), Reading { remaining: left.saturating_sub(cost), retry: None, reset, stamp: start })
    }

    /// In how long enough has slid out of the window.
    fn slides_free(&self, previous: u64, current: u64, needed: u64, passed: u64, window: u64) -> u64 {
        let Some(room) = self.limit.checked_sub(needed) else { return u64::MAX };
        // How far into a window its predecessor's count, weighed, leaves this much room.
        let at = |previous: u64, room: u64| {
            let stays = u128::from(window).saturating_mul(u128::from(room)).checked_div(u128::from(previous)).unwrap_or(u128::MAX);
            window.saturating_sub(u64::try_from(stays).unwrap_or(u64::MAX))
        };
        match room.checked_sub(current) {
            Some(room) => at(previous, room).saturating_sub(passed).max(1),
            // Not in this window: in the next, where what is counted now is the earlier.
            None => window.saturating_sub(passed).saturating_add(at(current, room)).max(1),
        }
    }

    fn take_period(&self, words: Option<Words>, now: i64, cost: u64, period: Period) -> (Option<Words>, Reading) {
        let (start, used) = counted(words, now, period);
        let left = self.limit.saturating_sub(used);
        let stamp = unsigned(start);
        // Where another worker counts in the next period already, that one's end counts.
        let ahead = start.abs_diff(period.start);
        let reset = if period.end == i64::MAX { u64::MAX } else { period.end.abs_diff(now).saturating_add(ahead) };
        if left < cost.max(1) {
            let reset = if cost.max(1) > self.limit { u64::MAX } else { reset };
            return (changed(words, [stamp, used, 0]), Reading { remaining: left, retry: Some(reset), reset, stamp });
        }
        let remaining = left.saturating_sub(cost);
        (Some([stamp, used.saturating_add(cost), 0]), Reading { remaining, retry: None, reset, stamp })
    }
}

/// What is to be kept, where it isn't what there is.
fn changed(words: Option<Words>, next: Words) -> Option<Words> {
    (words != Some(next)).then_some(next)
}

/// What a period's counter stands at, and in which period.
fn counted(words: Option<Words>, now: i64, period: Period) -> (i64, u64) {
    let Some([start, used, _]) = words else { return (period.start, 0) };
    let start = signed(start);
    if start <= period.start {
        return (period.start, if start == period.start { used } else { 0 });
    }
    // Another worker is a little ahead, in the next period already; or the clock has jumped back, and what was counted since counts here.
    (if start.saturating_sub(now) <= SKEW { start } else { period.start }, used)
}

/// The windows as they lie now.
fn slid(words: Option<Words>, now: u64, window: u64) -> Words {
    let Some([start, previous, current]) = words else { return [now, 0, 0] };
    let Some(passed) = now.checked_sub(start) else {
        // The clock has jumped back, or another worker is a little ahead.
        let ahead = start.saturating_sub(now) <= unsigned(SKEW);
        return [if ahead { start } else { now }, previous, current];
    };
    match passed.checked_div(window) {
        Some(0) => [start, previous, current],
        Some(1) => [start.saturating_add(window), current, 0],
        _ => [now, 0, 0],
    }
}

/// So much of a window's count as lies in `part` of its length, rounded up.
fn weighed(count: u64, part: u64, window: u64) -> u64 {
    let weighed = u128::from(count).saturating_mul(u128::from(part)).div_ceil(u128::from(window.max(1)));
    u64::try_from(weighed).unwrap_or(u64::MAX)
}

/// What one request takes of time: rounded up, so that no rate is above its limit.
fn cell(window: u64, limit: u64) -> u128 {
    (u128::from(window) << 64).div_ceil(u128::from(limit.max(1)))
}

/// When all is free again; from now on, and no later than a whole burst ahead: what lies further was set by a clock that has jumped back since, or by
/// another limit.
fn arrival(words: Option<Words>, now: u128, whole: u128) -> u128 {
    words.map_or(now, |[high, low, _]| join(high, low)).clamp(now, now.saturating_add(whole))
}

fn cells(time: u128, cell: u128) -> u64 {
    time.checked_div(cell).and_then(|cells| u64::try_from(cells).ok()).unwrap_or(u64::MAX)
}

fn whole_nanoseconds(time: u128) -> u64 {
    u64::try_from(time.div_ceil(1 << 64)).unwrap_or(u64::MAX)
}

fn fixed(now: i64) -> u128 {
    u128::from(unsigned(now)) << 64
}

fn join(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

fn split(time: u128) -> Words {
    let part = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX);
    [part(time >> 64), part(time), 0]
}

/// Times before 1970 are 1970: no clock of a gateway's is right there.
pub(super) const fn unsigned(time: i64) -> u64 {
    if time < 0 { 0 } else { time.cast_unsigned() }
}

fn signed(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
