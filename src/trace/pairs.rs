// SPDX-License-Identifier: Apache-2.0
//! Which (trace-id, parent-id) pairs came from whom a short while ago: the same pair from somebody else is a sign of a copied context.
//!
//! A sign, no proof: a caller may reach us over two addresses, and a flood of pairs pushes older ones out.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::carrier::Context;

/// Pairs and their senders, in a table of fixed size.
pub(super) struct SeenPairs {
    /// Makes places in the table unpredictable.
    seed: u64,
    /// Empty until the first pair comes.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    pair: u64,
    sender: u64,
    /// Monotonic nanoseconds; 0 in an unused slot.
    seen: u64,
}

impl SeenPairs {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, slots: Vec::new() }
    }

    /// Hashes what tells one sender from another.
    pub(super) fn sender(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        hasher
    }

    /// Notes that `sender` sent `context` at `now`, in monotonic nanoseconds; says whether somebody else did within [`WINDOW`].
    pub(super) fn observe(&mut self, context: &Context, sender: u64, now: u64) -> bool {
        let Some(span_id) = context.span_id else { return false };
        let mut hasher = self.sender();
        (context.trace_id, span_id).hash(&mut hasher);
        let pair = hasher.finish();
        if self.slots.is_empty() {
            self.slots = vec![Slot::default(); SLOTS];
        }
        let sets = u64::try_from(SLOTS / WAYS).unwrap_or(1);
        let at = usize::try_from(pair.checked_rem(sets).unwrap_or(0)).unwrap_or(0).saturating_mul(WAYS);
        let Some(set) = self.slots.get_mut(at..at.saturating_add(WAYS)) else { return false };
        let fresh = |slot: &Slot| slot.seen != 0 && now.saturating_sub(slot.seen) <= WINDOW;
        if let Some(slot) = set.iter_mut().find(|slot| slot.pair == pair && fresh(slot)) {
            let foreign = slot.sender != sender;
            *slot = Slot { pair, sender, seen: now.max(1) };
            return foreign;
        }
        if let Some(oldest) = set.iter_mut().min_by_key(|slot| slot.seen) {
            *oldest = Slot { pair, sender, seen: now.max(1) };
        }
        false
    }
}

impl fmt::Debug for SeenPairs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SeenPairs({} slots)", self.slots.len())
    }
}

/// How long a pair is remembered, in nanoseconds: a minute.
const WINDOW: u64 = 60_000_000_000;
/// 96 KiB a gateway and VM.
const SLOTS: usize = 4096;
/// Slots that a pair may take.
const WAYS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Sampling, SpanId, TraceId};

    fn context(trace: u8, span: u64) -> Context {
        Context {
            trace_id: TraceId::from_bytes([trace; 16]).unwrap(),
            span_id: SpanId::from_bytes(span.to_be_bytes()),
            sampling: Sampling::Accepted,
        }
    }

    #[test]
    fn the_same_pair_from_somebody_else_is_noticed_within_a_minute() {
        let mut pairs = SeenPairs::new(7);
        assert!(!pairs.observe(&context(1, 1), 10, 5));
        assert!(!pairs.observe(&context(1, 1), 10, 6), "the same sender may repeat itself");
        assert!(!pairs.observe(&context(1, 2), 11, 7), "another span of the trace");
        assert!(!pairs.observe(&context(2, 1), 11, 7), "the same span-id in another trace");
        assert!(pairs.observe(&context(1, 1), 11, 8));
        assert!(pairs.observe(&context(1, 1), 10, 8 + WINDOW));
        assert!(!pairs.observe(&context(1, 1), 11, 9 + WINDOW + WINDOW), "too long ago");
        assert!(!pairs.observe(&Context { span_id: None, ..context(1, 1) }, 12, 9 + WINDOW + WINDOW), "half a pair is none");
        assert!(!pairs.observe(&context(3, 1), 1, 0) && pairs.observe(&context(3, 1), 2, 0), "a clock may begin at 0");
        assert!(pairs.observe(&context(3, 1), 1, 0), "or go back");
    }

    #[test]
    fn a_flood_takes_no_more_memory_and_is_no_sign() {
        let mut pairs = SeenPairs::new(7);
        for span in 1..100_000 {
            assert!(!pairs.observe(&context(1, span), span, 1000 + span));
        }
        assert_eq!(pairs.slots.capacity(), SLOTS);
        assert!(pairs.observe(&context(1, 99_999), 5, 200_000), "the newest are still known");
    }
}
