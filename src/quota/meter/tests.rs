// SPDX-License-Identifier: Apache-2.0
//! Counting, against plain models and by the clock.

use proptest::prelude::*;

use super::*;
use crate::quota::calendar::FixedWindow;

const SECOND: u64 = 1_000_000_000;
const START: i64 = 1_790_000_000_000_000_000;

const fn rate(seconds: u64, burst: Option<u64>) -> Window {
    Window::Rate { window: seconds * SECOND, burst }
}

const fn sliding(seconds: u64) -> Window {
    Window::Sliding { window: seconds * SECOND }
}

const fn fixed_window(seconds: u64) -> Window {
    Window::Fixed(FixedWindow { length: seconds * SECOND, anchor: 0 })
}

fn windows() -> [Window; 4] {
    [rate(60, None), rate(60, Some(5)), sliding(60), fixed_window(60)]
}

/// Takes one, and keeps what is to be kept.
fn take(meter: &Meter<'_>, words: &mut Option<Words>, now: i64) -> Reading {
    let live = words.filter(|words| Meter::is_live(meter.window, words, Moment::of(meter.window, now)));
    let (next, reading) = meter.take(live, Moment::of(meter.window, now), 1);
    if next.is_some() {
        *words = next;
    }
    reading
}

/// How many of `asked` at once are admitted.
fn burst(meter: &Meter<'_>, words: &mut Option<Words>, now: i64, asked: u64) -> u64 {
    (0..asked).filter(|_| take(meter, words, now).retry.is_none()).count().try_into().unwrap()
}

#[test]
fn at_once_exactly_the_limit_or_the_burst_is_admitted() {
    for limit in [1, 2, 3, 7, 100, 999] {
        for window in windows() {
            let expected = if let Window::Rate { burst: Some(burst), .. } = window { burst } else { limit };
            assert_eq!(burst(&Meter { window: &window, limit }, &mut None, START, limit + 10), expected, "{limit} {window:?}");
        }
    }
}

#[test]
fn the_largest_limit_counts_by_ones() {
    let limit = (1 << 53) - 1;
    for window in [rate(60, None), sliding(60), fixed_window(60)] {
        let meter = Meter { window: &window, limit };
        let (words, reading) = meter.take(None, Moment::of(meter.window, START), limit - 1);
        assert_eq!((reading.remaining, reading.retry), (1, None), "{window:?}");
        let (words, reading) = meter.take(words, Moment::of(meter.window, START), 1);
        assert_eq!((reading.remaining, reading.retry), (0, None), "{window:?}");
        let (_, reading) = meter.take(words, Moment::of(meter.window, START), 1);
        assert!(reading.remaining == 0 && reading.retry.is_some_and(|retry| retry > 0), "{window:?}");
    }
}

#[test]
fn who_comes_back_when_told_is_admitted_and_not_a_nanosecond_sooner() {
    for limit in [1, 3, 100] {
        for window in windows() {
            let meter = Meter { window: &window, limit };
            for offset in [0, 1, 59, 61] {
                let (mut words, mut now) = (None, START);
                burst(&meter, &mut words, now, limit * 2 + 10);
                now += offset * 1_000_000_000;
                burst(&meter, &mut words, now, limit * 2 + 10);
                let retry = i64::try_from(take(&meter, &mut words, now).retry.expect("it is used up")).unwrap();
                assert!(take(&meter, &mut words.clone(), now + retry - 1).retry.is_some(), "{limit} {offset} {window:?}");
                assert!(take(&meter, &mut words.clone(), now + retry).retry.is_none(), "{limit} {offset} {window:?}");
            }
        }
    }
}

#[test]
fn a_rate_flows_as_fast_as_it_says() {
    // 100 a minute with a burst of 20: 20 at once, then one each 0.6 s.
    let window = rate(60, Some(20));
    let meter = Meter { window: &window, limit: 100 };
    let mut words = None;
    assert_eq!(burst(&meter, &mut words, START, 50), 20);
    let admitted: u64 = (1..=600).map(|step| burst(&meter, &mut words, START + step * 100_000_000, 5)).sum();
    assert_eq!(admitted, 100, "in the minute that follows");
}

#[test]
fn a_clock_that_jumps_back_gives_nothing_and_blocks_for_no_longer_than_a_window() {
    let hour = 3_600_000_000_000;
    for window in windows() {
        let meter = Meter { window: &window, limit: 3 };
        let mut words = None;
        assert_eq!(burst(&meter, &mut words, START, 10), if window == rate(60, Some(5)) { 5 } else { 3 });
        let back = START - hour;
        assert_eq!(burst(&meter, &mut words, back, 10), 0, "{window:?}");
        assert!(burst(&meter, &mut words, back + 120_000_000_000, 10) >= 1, "{window:?}");
        // And where nobody comes until the clock is right again, what was counted then has run out.
        assert_eq!(burst(&meter, &mut Some(words.unwrap()), START + hour, 10), burst(&meter, &mut None, START + hour, 10), "{window:?}");
    }
}

#[test]
fn workers_whose_clocks_differ_a_little_count_as_one() {
    // The worker whose clock is behind doesn't pull the others' window back, where it would be counted out.
    let window = fixed_window(60);
    let meter = Meter { window: &window, limit: 10 };
    let boundary = START - START % 60_000_000_000 + 60_000_000_000;
    let mut words = None;
    let admitted: u64 =
        (0..40).map(|step| burst(&meter, &mut words, if step % 2 == 0 { boundary + step } else { boundary - step }, 1)).sum();
    assert_eq!(admitted, 10);
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    for window in windows() {
        let meter = Meter { window: &window, limit: 5 };
        let (mut words, mut last) = (None, 0);
        for _ in 0..5 {
            last = take(&meter, &mut words, START).stamp;
        }
        assert!(take(&meter, &mut words, START).retry.is_some());
        words = meter.give(words, last, 2, START);
        assert_eq!(burst(&meter, &mut words, START, 10), 2, "{window:?}");
    }
}

#[test]
fn what_was_taken_in_a_window_that_is_over_is_not_given_back_in_another() {
    let window = fixed_window(60);
    let meter = Meter { window: &window, limit: 5 };
    let mut words = None;
    let stamp = take(&meter, &mut words, START).stamp;
    let later = START + 60_000_000_000;
    assert_eq!(burst(&meter, &mut words, later, 10), 5);
    assert_eq!(meter.give(words, stamp, 1, later), None);
}

#[test]
fn what_has_flowed_back_by_itself_is_not_given_back_again() {
    // Ten a second: what was taken a second ago is free again.
    let window = rate(1, Some(10));
    let meter = Meter { window: &window, limit: 10 };
    let mut words = None;
    let stamps: Vec<u64> = (0..10).map(|_| take(&meter, &mut words, START).stamp).collect();
    let later = START + 1_000_000_000;
    assert_eq!(burst(&meter, &mut words, later, 20), 10);
    for stamp in stamps {
        words = meter.give(words, stamp, 1, later).or(words);
    }
    assert_eq!(burst(&meter, &mut words, later, 20), 0);
}

#[test]
fn who_asks_for_more_than_there_ever_is_is_never_told_to_come_back() {
    for window in windows() {
        let meter = Meter { window: &window, limit: 3 };
        let (_, reading) = meter.take(None, Moment::of(&window, START), 6);
        assert_eq!(reading.retry, Some(u64::MAX), "{window:?}");
    }
}

#[test]
fn a_cost_known_after_the_fact_is_counted_above_the_limit_too() {
    let window = fixed_window(60);
    let meter = Meter { window: &window, limit: 1000 };
    let (words, reading) = meter.take(None, Moment::of(meter.window, START), 0);
    assert_eq!((reading.remaining, reading.retry), (1000, None));
    let words = meter.charge(words, Moment::of(meter.window, START), 5000);
    assert_eq!(meter.take(Some(words), Moment::of(meter.window, START), 0).1.remaining, 0);
    assert!(meter.take(Some(words), Moment::of(meter.window, START), 0).1.retry.is_some());
}

/// The sliding window, told with the times of all requests.
fn model(admitted: &[i64], now: i64, length: i64) -> usize {
    admitted.iter().filter(|&&time| time > now - length).count()
}

proptest! {
    #[test]
    fn no_clock_and_no_words_break_counting(
        words in prop::option::of(any::<[u64; 3]>()), now: i64, cost in 0..1_u64 << 53, limit in 1..1_u64 << 53, stamp: u64
    ) {
        for window in windows() {
            let meter = Meter { window: &window, limit };
            let (_, reading) = meter.take(words, Moment::of(meter.window, now), cost);
            prop_assert!(reading.remaining <= limit);
            prop_assert_ne!(reading.retry, Some(0));
            let _ = (meter.charge(words, Moment::of(meter.window, now), cost), meter.give(words, stamp, cost, now));
            let _ = words.is_some_and(|words| Meter::is_live(&window, &words, Moment::of(&window, now)));
        }
    }

    #[test]
    fn a_token_bucket_admits_as_its_model_does(
        steps in prop::collection::vec((0..5_000_u64, 1..4_u64), 1..60), limit in 1..50_u64, burst in 1..20_u64
    ) {
        // In thousandths of a request, over a window of `limit` seconds: one a second, so that the model is exact.
        let window = rate(limit, Some(burst));
        let meter = Meter { window: &window, limit };
        let (mut words, mut now, mut filled) = (None, START, burst * 1000);
        for (milliseconds, cost) in steps {
            now += i64::try_from(milliseconds * 1_000_000).unwrap();
            filled = (filled + milliseconds).min(burst * 1000);
            let live = words.filter(|words| Meter::is_live(&window, words, Moment::of(&window, now)));
            let (next, reading) = meter.take(live, Moment::of(meter.window, now), cost);
            let admits = filled >= cost * 1000;
            prop_assert_eq!(reading.retry.is_none(), admits);
            if admits {
                filled -= cost * 1000;
                words = next;
            }
            prop_assert_eq!(reading.remaining, filled / 1000);
        }
    }

    #[test]
    fn a_sliding_window_never_admits_twice_the_limit(steps in prop::collection::vec(0..30_000_u64, 1..200), limit in 1..10_u64) {
        let window = sliding(60);
        let meter = Meter { window: &window, limit };
        let (mut words, mut now, mut admitted) = (None, START, Vec::new());
        for milliseconds in steps {
            now += i64::try_from(milliseconds * 1_000_000).unwrap();
            if take(&meter, &mut words, now).retry.is_none() {
                admitted.push(now);
            }
            let within = u64::try_from(model(&admitted, now, 60_000_000_000)).unwrap();
            prop_assert!(within < 2 * limit.max(2), "{} of {}", within, limit);
        }
    }

    #[test]
    fn a_period_admits_exactly_its_limit(steps in prop::collection::vec(0..20_000_u64, 1..200), limit in 1..10_u64) {
        let window = fixed_window(60);
        let meter = Meter { window: &window, limit };
        let (mut words, mut now) = (None, START);
        let mut counts = std::collections::BTreeMap::new();
        for milliseconds in steps {
            now += i64::try_from(milliseconds * 1_000_000).unwrap();
            let count = counts.entry(now / 60_000_000_000).or_insert(0);
            let admits = *count < limit;
            prop_assert_eq!(take(&meter, &mut words, now).retry.is_none(), admits);
            *count += u64::from(admits);
        }
    }
}
