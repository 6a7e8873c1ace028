// SPDX-License-Identifier: Apache-2.0
//! The windows of one limit.

use std::collections::BTreeMap;

use serde::Serialize;
use tracegate::quota::{FixedWindow, Period, Quota, Window};

use super::tally::Tally;
use super::{MAX_WINDOWS, Row};

/// The windows of one limit, by when they begin.
#[derive(Debug)]
pub(super) struct Windows {
    name: String,
    mode: Mode,
    window: Window,
    /// By how many requests of a key two algorithms can differ in a window.
    most: Option<u64>,
    /// All of them together.
    pub(super) all: Tally,
    by_start: BTreeMap<i64, Counted>,
    /// The window of the exchange before.
    last: Option<Period>,
    /// Windows in which something was limited, and that aren't kept.
    left_out: u64,
}

/// Whether a limit refuses anybody.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Enforce,
    Shadow,
}

/// One window.
#[derive(Debug)]
struct Counted {
    end: i64,
    tally: Tally,
    /// How many were limited then and now, by key; only keys of which any was.
    keys: BTreeMap<String, [u64; 2]>,
    /// It explains nothing any more.
    is_closed: bool,
}

/// A limit, as a reader of JSON is told.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    name: &'a str,
    mode: Mode,
    #[serde(flatten)]
    all: Tally,
    windows: Vec<ShownWindow>,
    windows_left_out: u64,
}

/// A window, likewise.
#[derive(Debug, Serialize)]
struct ShownWindow {
    start: String,
    #[serde(flatten)]
    tally: Tally,
}

impl Windows {
    pub(super) fn new(quota: &Quota, most: Option<u64>) -> Self {
        Self {
            name: quota.name.clone(),
            mode: if quota.shadow { Mode::Shadow } else { Mode::Enforce },
            window: quota.limit.window,
            most,
            all: Tally::default(),
            by_start: BTreeMap::new(),
            last: None,
            left_out: 0,
        }
    }

    /// Counts an exchange, under its key where a side limited it. Says when its window began.
    pub(super) fn count(&mut self, now: i64, latest: i64, key: Option<&str>, is_then: bool, is_now: bool) -> i64 {
        let period = match self.last {
            Some(period) if period.start <= now && now < period.end => period,
            _ => {
                self.close(latest);
                *self.last.insert(self.period(now))
            }
        };
        self.all.count(is_then, is_now);
        let counted = self.by_start.entry(period.start).or_insert_with(|| Counted::until(period.end));
        counted.tally.count(is_then, is_now);
        if let Some(key) = key {
            let key = if counted.keys.contains_key(key) || counted.keys.len() < MAX_KEYS { key } else { OTHERS };
            let [then, now] = counted.keys.entry(key.to_owned()).or_default();
            *then += u64::from(is_then);
            *now += u64::from(is_now);
        }
        period.start
    }

    /// When the window after the one that begins at `start` is over.
    pub(super) fn settled_at(&self, start: i64) -> i64 {
        self.beside(start).map_or(i64::MAX, |[_, next]| next.end)
    }

    /// Whether the algorithms explain that exactly one side limited a request with this key in the window that begins at `start`: `now`, or then.
    pub(super) fn explain(&self, start: i64, key: &str, now: bool) -> bool {
        let beside = self.beside(start).map(|periods| periods.map(|period| period.start));
        let starts = beside.into_iter().flatten().chain([start]);
        let limited = |start: i64| {
            let keys = &self.by_start.get(&start)?.keys;
            keys.get(key).or_else(|| keys.get(OTHERS)).copied()
        };
        let the_other = |[then, is_now]: [u64; 2]| if now { then } else { is_now };
        let met = starts.filter_map(limited).any(|limited| the_other(limited) > 0);
        let [then, is_now] = limited(start).unwrap_or_default();
        met && self.most.is_none_or(|most| then.abs_diff(is_now) <= most)
    }

    /// Notes whether a difference in a window is explained.
    pub(super) fn note(&mut self, start: i64, explained: bool) {
        self.all.note(explained);
        if let Some(counted) = self.by_start.get_mut(&start) {
            counted.tally.note(explained);
        }
    }

    /// The first `most` windows in which something was limited, and all together.
    pub(super) fn rows(&self, most: usize) -> Vec<Row> {
        let limit = match self.mode {
            Mode::Enforce => self.name.clone(),
            Mode::Shadow => format!("{} (shadow)", self.name),
        };
        let row = |window: String, tally: &Tally| Row { limit: limit.clone(), window, numbers: tally.numbers() };
        let windows = self.limited().take(most).map(|(start, counted)| row(self.label(start), &counted.tally));
        windows.chain([row("all".to_owned(), &self.all)]).collect()
    }

    /// How many windows are missing then.
    pub(super) fn more(&self, most: usize) -> usize {
        let left_out = usize::try_from(self.left_out).unwrap_or(usize::MAX);
        self.limited().skip(most).count().saturating_add(left_out)
    }

    pub(super) fn shown(&self) -> Shown<'_> {
        let window = |(start, counted): (i64, &Counted)| ShownWindow { start: self.label(start), tally: counted.tally };
        Shown {
            name: &self.name,
            mode: self.mode,
            all: self.all,
            windows: self.limited().map(window).collect(),
            windows_left_out: self.left_out,
        }
    }

    fn limited(&self) -> impl Iterator<Item = (i64, &Counted)> {
        self.by_start.iter().filter(|(_, counted)| counted.tally.is_limited()).map(|(start, counted)| (*start, counted))
    }

    /// Forgets what can explain nothing any more: keys, and windows in which nothing was limited.
    fn close(&mut self, latest: i64) {
        let is_over = |start: i64, counted: &Counted| {
            // Whom the window after it explains is told a window later.
            let length = i128::from(counted.end) - i128::from(start);
            i128::from(counted.end) + 3 * length <= i128::from(latest)
        };
        let mut kept = self.by_start.values().filter(|counted| counted.is_closed).count();
        let left_out = &mut self.left_out;
        self.by_start.retain(|start, counted| {
            if counted.is_closed || !is_over(*start, counted) {
                return true;
            }
            counted.keys.clear();
            counted.is_closed = true;
            let stays = counted.tally.is_limited() && kept < MAX_WINDOWS;
            kept += usize::from(stays);
            *left_out += u64::from(counted.tally.is_limited() && !stays);
            stays
        });
    }

    fn period(&self, now: i64) -> Period {
        self.window.period_at(now).unwrap_or_else(|| self.lengths(now).period_at(now))
    }

    /// The windows before and after the one that begins at `start`; `None` where there is no other.
    fn beside(&self, start: i64) -> Option<[Period; 2]> {
        let Period { end, .. } = self.period(start);
        (end != i64::MAX).then(|| [self.period(start.saturating_sub(1)), self.period(end)])
    }

    /// A rate has no periods: those of its length stand for them.
    fn lengths(&self, now: i64) -> FixedWindow {
        FixedWindow { length: self.window.length_at(now).unwrap_or(u64::MAX), anchor: 0 }
    }

    fn label(&self, start: i64) -> String {
        let period = self.period(start);
        match &self.window {
            Window::Calendar(calendar) => calendar.label(period),
            Window::Fixed(_) | Window::Rate { .. } | Window::Sliding { .. } => self.lengths(start).label(period),
        }
    }
}

impl Counted {
    fn until(end: i64) -> Self {
        Self { end, tally: Tally::default(), keys: BTreeMap::new(), is_closed: false }
    }
}

/// How many keys of a window are told apart.
const MAX_KEYS: usize = 10_000;
const OTHERS: &str = "(others)";
