// SPDX-License-Identifier: Apache-2.0
//! When a service that doesn't answer is no longer asked.

/// Counts a service's failures in a row. Times are monotonic, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breaker {
    /// So many make it open.
    threshold: u32,
    /// For so long it stays open.
    pause: u64,
    failures: u32,
    /// While it is open: when one call may try again.
    retry_at: u64,
}

/// What changes for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The service counts as down from now on.
    Down,
    /// It is up again.
    Up,
}

impl Breaker {
    pub(super) const fn new(threshold: u32, pause: u64) -> Self {
        Self { threshold, pause, failures: 0, retry_at: 0 }
    }

    /// Whether the service counts as down.
    pub(super) const fn is_open(&self) -> bool {
        self.failures >= self.threshold
    }

    /// Whether a call may go out. While the service counts as down, one in each pause does: [`lets`](Self::lets) notes that it has.
    pub(super) const fn would_let(&self, now: u64) -> bool {
        // A time further ahead than a pause is a clock's that has jumped.
        let paused = now < self.retry_at && self.retry_at <= now.saturating_add(self.pause);
        self.failures < self.threshold || !paused
    }

    /// The same, for a call that goes out where it may.
    pub(super) const fn lets(&mut self, now: u64) -> bool {
        if !self.would_let(now) {
            return false;
        }
        if self.failures >= self.threshold {
            self.retry_at = now.saturating_add(self.pause);
        }
        true
    }

    /// A call's answer is lost, by no fault of the service's: another may try at once.
    pub(super) const fn lost(&mut self) {
        if self.failures >= self.threshold {
            self.retry_at = 0;
        }
    }

    pub(super) const fn succeeded(&mut self) -> Option<Change> {
        let was_down = self.failures >= self.threshold;
        self.failures = 0;
        if was_down { Some(Change::Up) } else { None }
    }

    pub(super) const fn failed(&mut self, now: u64) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.threshold {
            return None;
        }
        self.retry_at = now.saturating_add(self.pause);
        if self.failures == self.threshold { Some(Change::Down) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_so_many_in_a_row_and_lets_one_try_in_each_pause() {
        let mut breaker = Breaker::new(3, 100);
        assert_eq!([breaker.failed(0), breaker.failed(1)], [None, None]);
        assert_eq!(breaker.succeeded(), None);
        assert_eq!([breaker.failed(2), breaker.failed(3)], [None, None], "in a row");
        assert!(breaker.lets(4));
        assert_eq!(breaker.failed(5), Some(Change::Down));
        assert!(!breaker.lets(6) && !breaker.lets(104));
        assert!(breaker.lets(105), "one");
        assert!(!breaker.lets(106), "and no other");
        assert_eq!(breaker.failed(110), None, "it was down before");
        assert!(!breaker.lets(209));
        breaker.lost();
        assert!(breaker.lets(209) && !breaker.lets(209), "in the place of one that was lost");
        assert!(!breaker.lets(210) && breaker.lets(309));
        assert_eq!(breaker.succeeded(), Some(Change::Up));
        assert!(breaker.lets(211) && breaker.lets(212));
    }

    #[test]
    fn a_clock_that_jumps_back_keeps_nothing_shut() {
        let mut breaker = Breaker::new(1, 100);
        assert_eq!(breaker.failed(1_000_000), Some(Change::Down));
        assert!(breaker.lets(5));
    }
}
