// SPDX-License-Identifier: Apache-2.0
//! What was limited then and what is now, window by window, and which differences the two algorithms explain.
//!
//! A window is the limit's own: of a quota its period, of a rate its length, counted from 1970 on. *Then* is what API Management's log says that
//! it refused for a limit of the same kind (a rate, or a quota). The log names no limit: a recorded refusal belongs to the limit that refuses the
//! request now; where none does, to every limit of its kind on the request's route. *Now* is what this edge refuses for the limit, or would where
//! it is in `mode: shadow`.
//!
//! API Management counts rates in a sliding window (its classic tier) or in a token bucket (v2), "never completely accurate"; this edge counts as
//! the policy says. Two algorithms that admit the same amount in the same time need not admit the same requests. So where exactly one of the two
//! limits a request, that is **explained by the algorithms** where both of this are so of the request's key, as far as the record tells the key:
//!
//! - the other one limited the same key too, in the same window or in one of the two beside it: were the limit another, or counted by another key,
//!   it need not have;
//! - in the window the two limited about as many: they differ by no more than what both could have admitted, which is a whole burst and what comes
//!   free meanwhile. No difference between algorithms can be larger than that; a smaller one need not be theirs, so where one side limits more in
//!   window after window, look at the amounts. Quotas are counted alike on both sides, in windows that don't slide: there the two must have limited
//!   just as many, though perhaps others of those that came at the same time.
//!
//! What isn't explained differs where this edge refuses what went through then: it has seen no request that API Management hadn't. The other way
//! round nobody can tell, as a log need not hold every request that was counted.

mod tally;
mod windows;

use serde::Serialize;
use tracegate::Policy;
use tracegate::config::Loaded;
use tracegate::quota::{LimitFrom, Quota, Window};

use super::limited::{Kind, is_excess};
use super::{Agreement, Decided, Replayed, Undecidable, counted_by, edge};
use crate::Redactor;
use tally::Tally;
use windows::Windows;

/// The policy's limits, and what they came to in each window. Its size doesn't depend on the number of exchanges.
#[derive(Debug)]
pub(super) struct Limits {
    policy: Policy,
    limits: Vec<Windows>,
    /// The time of the latest exchange.
    latest: i64,
}

/// An exchange that exactly one of the two sides limited.
#[derive(Debug)]
pub(super) struct Doubt {
    by: Side,
    /// Under which limits it counts, which is at least one.
    places: Vec<Place>,
    /// When all that can explain it is over.
    due: i64,
}

/// Who limited something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Then,
    Now,
}

/// A key in a window of a limit.
#[derive(Debug)]
struct Place {
    limit: usize,
    start: i64,
    key: String,
}

/// What a row tells: a limit's name (and that it is in shadow mode), a window's, and numbers in the order of [`HEADINGS`].
#[derive(Debug)]
pub(super) struct Row {
    pub(super) limit: String,
    pub(super) window: String,
    pub(super) numbers: [u64; 6],
}

/// As a reader of JSON is told.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    explained: u64,
    unexplained: u64,
    limits: Vec<windows::Shown<'a>>,
}

impl Limits {
    /// `None` where the policy limits nothing.
    pub(super) fn new(loaded: &Loaded) -> Option<Self> {
        let policy = loaded.policy.clone();
        let limits: Vec<Windows> = policy.quota.quotas.iter().map(|quota| Windows::new(quota, most(quota))).collect();
        (!limits.is_empty()).then_some(Self { policy, limits, latest: i64::MIN })
    }

    /// Counts an exchange; says so where exactly one side limited it.
    pub(super) fn count(&mut self, replayed: &Replayed, redactor: &Redactor) -> Option<Doubt> {
        let Self { policy, limits, latest } = self;
        let recorded = &*replayed.recorded;
        let now = edge::clock(recorded);
        *latest = now.max(*latest);
        let route = counted_by::route(policy, replayed)?;
        let recorded_as = Kind::recorded(recorded);
        let above = &replayed.exceeded.policy;
        let kind = |place: usize| policy.quota.quotas.get(place).map(|quota| Kind::of(&quota.limit.window));
        // The recorded refusal is that of the limit that refuses now.
        let is_known = above.iter().any(|&place| recorded_as.is_some() && kind(place) == recorded_as);
        let by = difference(replayed, recorded_as.filter(|_| !is_known));
        let mut doubt = by.map(|by| Doubt { by, places: Vec::new(), due: now });
        for &place in &route.quotas {
            let Some((windows, quota)) = limits.get_mut(place).zip(policy.quota.quotas.get(place)) else { continue };
            let is_now = above.contains(&place);
            let is_then = recorded_as.is_some() && kind(place) == recorded_as && (is_now || !is_known);
            let key = (is_now || is_then).then(|| counted_by::label(policy, quota, route, recorded, redactor));
            let start = windows.count(now, *latest, key.as_deref(), is_then, is_now);
            let Some((key, doubt)) = key.zip(doubt.as_mut()) else { continue };
            let concerns = match doubt.by {
                Side::Then => is_then,
                Side::Now => is_now && !quota.shadow,
            };
            if concerns {
                doubt.due = doubt.due.max(windows.settled_at(start));
                doubt.places.push(Place { limit: place, start, key });
            }
        }
        doubt.filter(|doubt| !doubt.places.is_empty())
    }

    /// Whether all has come that can explain it.
    pub(super) const fn is_settled(&self, doubt: &Doubt) -> bool {
        doubt.due <= self.latest
    }

    /// Whether the algorithms explain it, by what has come so far; it is counted as that.
    pub(super) fn explain(&mut self, doubt: &Doubt) -> bool {
        let explains = |place: &&Place| {
            self.limits.get(place.limit).is_some_and(|windows| windows.explain(place.start, &place.key, doubt.by == Side::Now))
        };
        let explaining = doubt.places.iter().find(explains);
        let is_explained = explaining.is_some();
        if let Some(place) = explaining.or(doubt.places.first())
            && let Some(windows) = self.limits.get_mut(place.limit)
        {
            windows.note(place.start, is_explained);
        }
        is_explained
    }

    /// What stands over the rows.
    pub(super) fn heading(&self) -> String {
        let Tally { then, now, explained, unexplained, .. } = self.all();
        if then == 0 && now == 0 {
            return "limits: nothing was limited then, and nothing is now".to_owned();
        }
        format!(
            "limits, then and now, by windows that begin at (UTC): {} exchanges limited by one side only, {explained} of them explained by the algorithms",
            explained + unexplained
        )
    }

    /// The windows in which anything was limited, the first `most` of each limit, and after them all together.
    pub(super) fn rows(&self, most: usize) -> Vec<Row> {
        self.limits.iter().filter(|windows| windows.all.is_limited()).flat_map(|windows| windows.rows(most)).collect()
    }

    /// What is missing where only the first `most` windows of each limit are shown.
    pub(super) fn more(&self, most: usize) -> Option<String> {
        let more: usize = self.limits.iter().map(|windows| windows.more(most)).sum();
        (more > 0).then(|| format!("… and {more} more windows (--format json has the first {MAX_WINDOWS} of each limit)"))
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        let Tally { explained, unexplained, .. } = self.all();
        Shown { explained, unexplained, limits: self.limits.iter().map(Windows::shown).collect() }
    }

    fn all(&self) -> Tally {
        self.limits.iter().fold(Tally::default(), |all, windows| all.and(windows.all))
    }
}

/// Who limited an exchange that the other side admitted, where the log says so and nothing else hides it. `recorded_as` is what the log refused it
/// for and this edge doesn't.
fn difference(replayed: &Replayed, recorded_as: Option<Kind>) -> Option<Side> {
    let is_comparable = replayed.recorded.apim.is_some() && replayed.recorded.expect.is_none() && replayed.minted().is_none();
    let (decision, doubted) = match &replayed.agreement {
        Agreement::Differs(difference) => (difference.field == "decision", false),
        Agreement::Undecidable(undecidable) => (false, *undecidable == Undecidable::IncompleteLog),
        Agreement::Agrees => (false, false),
    };
    match &replayed.decided {
        Decided::Refused { reason, .. } if is_comparable && decision && is_excess(Some(reason)) => Some(Side::Now),
        Decided::Admitted { .. } if is_comparable && (decision || doubted) && recorded_as.is_some() => Some(Side::Then),
        _ => None,
    }
}

/// By how many requests of one key two algorithms can differ in a window of this limit: of a rate a burst and what comes free meanwhile, of a
/// quota none. `None` where what is counted of a rate isn't each request.
fn most(quota: &Quota) -> Option<u64> {
    if !quota.limit.window.is_rate() {
        return Some(0);
    }
    if quota.cost.when.is_some() || quota.cost.response.is_some() {
        return None;
    }
    let own = match &quota.limit_from {
        Some(LimitFrom::Claim { at_most, .. } | LimitFrom::RouteMetadata { at_most }) => *at_most,
        Some(LimitFrom::Products(products)) => products.iter().map(|(_, amount)| *amount).max().unwrap_or(0),
        None => 0,
    };
    let amount = quota.limit.amount.max(own);
    let burst = match quota.limit.window {
        Window::Rate { burst: Some(burst), .. } => burst.max(amount),
        _ => amount,
    };
    Some(amount.saturating_add(burst).div_ceil(quota.cost.amount.max(1)))
}

/// What stands over the rows.
pub(super) const HEADINGS: &[&str] =
    &["limit", "window", "exchanges", "limited then", "limited now", "by both", "explained", "unexplained"];
/// How many windows of a limit are kept.
const MAX_WINDOWS: usize = 1000;
