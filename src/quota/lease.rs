// SPDX-License-Identifier: Apache-2.0
//! Slices of a limit, taken from a rate-limit service ahead of need and spent in the memory that the workers share.
//!
//! A slice counts in the window that it was taken in, and no longer than its lease: what isn't spent by then is lost, never given back, so that
//! all gateways together never admit more than the limit. One worker asks at a time. It asks for as much as the key has lately spent in half a
//! lease, and for no more than the service last said to be left: some services count what they refuse.

use super::calendar::Period;
use super::meter::unsigned;

/// What is kept of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// How much can be spent here.
    pub(super) tokens: u64,
    /// Where the window starts that they count in, in wall-clock nanoseconds.
    pub(super) start: u64,
    /// Until when they count.
    expires_at: u64,
    /// Until when nobody else asks, since somebody does; 0 for nobody.
    asking_until: u64,
    /// How much was last asked for.
    slice: u64,
    /// At most so much is left at the service in this window.
    pub(super) remaining: u64,
    /// When it was last asked.
    asked_at: u64,
    /// How much has lately been spent: what was in half a lease counts half in the next.
    spent: u64,
    /// Since when.
    since: u64,
    /// How much was spent that nobody has asked for yet: its cost was known after the fact.
    owed: u64,
}

/// A lease as the table holds it.
pub(super) type Words = [u64; 10];

/// How slices are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The largest slice.
    pub(super) max_slice: u64,
    /// For how long a slice counts, in nanoseconds.
    pub(super) duration: u64,
    /// How long the service is given to answer a request that waits, in nanoseconds.
    pub(super) timeout: u64,
}

impl Terms {
    /// How long it is given for a slice that nobody waits for yet: that goes out with the gateway's next tick, and is meant for later.
    pub(super) const fn patience(&self) -> u64 {
        const AHEAD: u64 = 250_000_000;
        if self.timeout > AHEAD { self.timeout } else { AHEAD }
    }
}

/// What spending came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spending {
    pub(super) outcome: Outcome,
    /// How much to ask the service for now.
    pub(super) ask: Option<u64>,
}

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is paid for.
    Spent,
    /// Nothing is left of the limit in this window.
    Exhausted,
    /// It may be paid for once the service has answered.
    Wait,
}

/// The most that a service's protocol can be asked for at once.
const MAX_ASK: u64 = 4_294_967_295;

impl Lease {
    const fn fresh(period: Period, now: u64) -> Self {
        let start = unsigned(period.start);
        Self {
            tokens: 0,
            start,
            expires_at: 0,
            asking_until: 0,
            slice: 1,
            remaining: u64::MAX,
            asked_at: now,
            spent: 0,
            since: now,
            owed: 0,
        }
    }

    pub(super) const fn from_words(words: Words) -> Self {
        let [tokens, start, expires_at, asking_until, slice, remaining, asked_at, spent, since, owed] = words;
        Self { tokens, start, expires_at, asking_until, slice, remaining, asked_at, spent, since, owed }
    }

    pub(super) const fn to_words(self) -> Words {
        let Self { tokens, start, expires_at, asking_until, slice, remaining, asked_at, spent, since, owed } = self;
        [tokens, start, expires_at, asking_until, slice, remaining, asked_at, spent, since, owed]
    }

    /// Whether it still counts: its window isn't over.
    pub(super) const fn is_live(words: &Words, period: Period) -> bool {
        let [_, start, ..] = *words;
        start >= unsigned(period.start)
    }

    /// The lease as it stands now. A clock that has jumped back makes nothing last for longer than it was given.
    fn at(words: Option<Words>, now: u64, period: Period, terms: &Terms) -> Self {
        let fresh = Self::fresh(period, now);
        let mut lease = words.map_or(fresh, Self::from_words);
        if lease.start != fresh.start {
            return fresh;
        }
        if lease.expires_at <= now || lease.expires_at > now.saturating_add(terms.duration) {
            lease.tokens = 0;
        }
        if lease.asking_until > now.saturating_add(terms.patience()) {
            lease.asking_until = 0;
        }
        lease.asked_at = lease.asked_at.min(now);
        lease.since = lease.since.min(now);
        let half = (terms.duration / 2).max(1);
        let passed = now.saturating_sub(lease.since).checked_div(half).unwrap_or(0);
        lease.spent = u32::try_from(passed).ok().and_then(|passed| lease.spent.checked_shr(passed)).unwrap_or(0);
        lease.since = lease.since.saturating_add(passed.saturating_mul(half));
        lease
    }

    /// Whether somebody asks the service for more.
    pub(super) const fn is_asked(&self, now: i64) -> bool {
        self.asking_until > unsigned(now)
    }

    /// Spends `cost`, where there is as much and at least one, and says whether to ask for more, where that `may` be.
    pub(super) fn spend(words: Option<Words>, now: i64, cost: u64, may_ask: bool, period: Period, terms: &Terms) -> (Self, Spending) {
        let now = unsigned(now);
        let mut lease = Self::at(words, now, period, terms);
        let needed = cost.max(1);
        // What is owed is paid first.
        let due = needed.saturating_add(lease.owed);
        let outcome = if lease.tokens >= needed {
            lease.tokens = lease.tokens.saturating_sub(cost);
            lease.spent = lease.spent.saturating_add(cost);
            Outcome::Spent
        } else if lease.remaining < due && lease.asking_until <= now {
            Outcome::Exhausted
        } else {
            Outcome::Wait
        };
        // Ahead of need only for who has come back within half a lease: for others most of a slice would be lost.
        let comes_back = outcome != Outcome::Spent || lease.spent > needed;
        let runs_low = lease.tokens <= lease.slice / 2 && comes_back;
        // What is used up may have been raised since: one asks again, once in a lease.
        let used_up = outcome == Outcome::Exhausted;
        if used_up && may_ask && lease.owed == 0 && now.saturating_sub(lease.asked_at) >= terms.duration {
            lease.remaining = lease.remaining.max(1);
            let ask = lease.ask(now, 1, terms.patience(), &Terms { max_slice: 1, ..*terms });
            lease.remaining = 0;
            return (lease, Spending { outcome, ask: Some(ask) });
        }
        let asks = may_ask && lease.asking_until <= now && lease.remaining > 0 && !used_up;
        let patience = if outcome == Outcome::Wait { terms.timeout } else { terms.patience() };
        let ask = (runs_low && asks).then(|| lease.ask(now, needed, patience, terms));
        (lease, Spending { outcome, ask })
    }

    /// How much to ask for, and that somebody asks.
    fn ask(&mut self, now: u64, needed: u64, patience: u64, terms: &Terms) -> u64 {
        // What is missing comes first; a slice of a limit that has been found to be nearly used up is small.
        let missing = needed.saturating_sub(self.tokens).saturating_add(self.owed);
        self.slice = self.spent.clamp(1, terms.max_slice.max(1)).max(missing).min(self.remaining).min(MAX_ASK);
        self.asking_until = now.saturating_add(patience);
        self.asked_at = now;
        self.slice
    }

    /// The service has given what it was asked for. `None` where that was for another window.
    pub(super) fn granted(
        words: Option<Words>,
        now: i64,
        asked: Asked,
        remaining: Option<u64>,
        period: Period,
        terms: &Terms,
    ) -> Option<Self> {
        let now = unsigned(now);
        let mut lease = Self::at(words, now, period, terms);
        if lease.start != asked.start {
            return None;
        }
        let paid = lease.owed.min(asked.slice);
        lease.owed = lease.owed.saturating_sub(paid);
        lease.tokens = lease.tokens.saturating_add(asked.slice.saturating_sub(paid));
        lease.expires_at = now.saturating_add(terms.duration).min(unsigned(period.end));
        lease.asking_until = 0;
        // More than was thought to be left: the limit has been raised.
        let raised = lease.remaining < asked.slice;
        let bound = if lease.remaining == u64::MAX || raised { u64::MAX } else { lease.remaining.saturating_sub(asked.slice) };
        lease.remaining = remaining.unwrap_or(bound);
        Some(lease)
    }

    /// The service has refused what it was asked for: less than that is left, or `remaining` where it says so. `None` where that was for another
    /// window.
    pub(super) fn refused(
        words: Option<Words>,
        now: i64,
        asked: Asked,
        remaining: Option<u64>,
        period: Period,
        terms: &Terms,
    ) -> Option<Self> {
        let mut lease = Self::at(words, unsigned(now), period, terms);
        if lease.start != asked.start {
            return None;
        }
        let fewer = asked.slice.saturating_sub(1);
        lease.asking_until = 0;
        lease.remaining = remaining.map_or(fewer, |remaining| remaining.min(fewer));
        // The next try begins small.
        lease.slice = (asked.slice / 4).max(1);
        lease.spent = 0;
        Some(lease)
    }

    /// The service hasn't answered: another may ask.
    pub(super) fn unanswered(words: Option<Words>, now: i64, period: Period, terms: &Terms) -> Self {
        let mut lease = Self::at(words, unsigned(now), period, terms);
        lease.asking_until = 0;
        lease
    }

    /// Gives back what a request didn't cost after all. `None` where its window is over.
    pub(super) fn give(words: Option<Words>, stamp: u64, cost: u64) -> Option<Self> {
        let mut lease = Self::from_words(words?);
        if lease.start != stamp {
            return None;
        }
        lease.tokens = lease.tokens.saturating_add(cost);
        Some(lease)
    }

    /// Takes what a request has cost beyond what was known; what isn't there is owed, and asked for with the next slice. `None` where its window is
    /// over.
    pub(super) fn charge(words: Option<Words>, stamp: u64, cost: u64) -> Option<Self> {
        let mut lease = Self::from_words(words?);
        if lease.start != stamp {
            return None;
        }
        lease.owed = lease.owed.saturating_add(cost.saturating_sub(lease.tokens));
        lease.tokens = lease.tokens.saturating_sub(cost);
        lease.spent = lease.spent.saturating_add(cost);
        Some(lease)
    }
}

/// What a service was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// How much.
    pub(super) slice: u64,
    /// In which window, by its start.
    pub(super) start: u64,
}
