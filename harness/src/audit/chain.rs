// SPDX-License-Identifier: Apache-2.0
//! One instance's records: whether they are what it wrote, and all that it wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use super::found::Place;
use super::key::{Keys, Term};

/// One instance's records.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// By sequence number; of several with one number, those that differ.
    kept: BTreeMap<u64, Vec<Kept>>,
    /// Sequence numbers that another output has.
    elsewhere: Vec<u64>,
    /// How many lines there were.
    lines: u64,
    pub(super) flaws: Vec<Flaw>,
}

/// What is kept of a record.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) time: String,
    sequence: u64,
    previous: Option<String>,
    key: Option<String>,
    mac: Option<String>,
    standing: Standing,
    /// For how long its key counts.
    term: Term,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Genesis,
    Decision,
    Checkpoint,
    End,
}

/// What a key says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Genuine,
    Changed,
    UnknownKey,
    Unchained,
}

/// Something that isn't as the instance wrote it.
#[derive(Debug)]
pub(super) enum Flaw {
    /// A record isn't what its key chained.
    Changed(Place, u64),
    /// None of the keys given is the record's.
    UnknownKey(Place, u64, String),
    /// A record has no MAC.
    Unchained(Place, u64),
    /// Two genuine records differ and have one number.
    Fork(Place, u64),
    /// A record doesn't follow the one before.
    Unlinked(Place, u64),
    /// A record is chained with a retired key that another one had replaced.
    Replaced(Place, u64, String),
    /// A record is chained with a retired key when that counted no more: what time it was, by the chain or by itself, and until when the key counts.
    Expired(Place, u64, String, String, Timestamp),
    /// So many lines are of gateways that had no randomness: the first's place.
    Nameless(Place, u64),
    /// Records are missing, from the first to the last.
    Missing(u64, u64),
    /// Another output has records that the logs lack, from the first to the last.
    Lacking(u64, u64),
}

/// A record's members that its chain hangs on.
#[derive(Deserialize)]
struct Members {
    audit: Kind,
    time: String,
    instance: String,
    sequence: u64,
    previous: Option<String>,
    key: Option<String>,
    mac: Option<String>,
}

impl Kept {
    /// Reads a record, and holds it against its key; gives its instance too.
    ///
    /// # Errors
    ///
    /// Its place, where it is none.
    pub(super) fn read(text: &str, place: Place, keys: &Keys) -> Result<(String, Self), Place> {
        let Ok(Members { audit: kind, time, instance, sequence, previous, key, mac }) = serde_json::from_str(text) else {
            return Err(place);
        };
        let (standing, term) = match (&key, &mac) {
            (Some(id), Some(mac)) => match keys.get(id) {
                Some((key, term)) => {
                    // Nothing may follow the MAC.
                    let covered = text.strip_suffix(&format!(",\"mac\":\"{mac}\"}}"));
                    let genuine = covered.is_some_and(|covered| key.verifies(covered, mac));
                    (if genuine { Standing::Genuine } else { Standing::Changed }, term)
                }
                None => (Standing::UnknownKey, Term::Current),
            },
            _ => (Standing::Unchained, Term::Current),
        };
        Ok((instance, Self { place, kind, time, sequence, previous, key, mac, standing, term }))
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.mac, self.standing, &self.previous) == (&other.mac, other.standing, &other.previous)
    }
}

impl Chain {
    /// Takes a record; the same record once more, as logs that overlap have it, counts once.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.lines += 1;
        let others = self.kept.entry(kept.sequence).or_default();
        // What anybody can write into a log takes no genuine record's place.
        let has_room = kept.standing == Standing::Genuine || others.len() < MAX_ALIKE;
        if has_room && !others.iter().any(|other| other.is_like(&kept)) {
            others.push(kept);
        }
    }

    /// Another output has these genuine records.
    pub(super) fn lacks(&mut self, elsewhere: &Self) {
        let genuine = |kept: &&Kept| kept.standing == Standing::Genuine;
        self.elsewhere = elsewhere.kept.values().flatten().filter(genuine).map(|kept| kept.sequence).collect();
    }

    /// Whether any of its records is genuine.
    pub(super) fn is_genuine(&self) -> bool {
        self.kept.values().flatten().any(|kept| kept.standing == Standing::Genuine)
    }

    /// Whether another output has records of it.
    pub(super) const fn is_lacking(&self) -> bool {
        !self.elsewhere.is_empty()
    }

    /// Whether some record names a key that isn't among those given.
    pub(super) fn asks_for_another_key(&self) -> bool {
        self.kept.values().flatten().any(|kept| kept.standing == Standing::UnknownKey)
    }

    /// Which records from the one number to before the other aren't there; one that is there and changed is told as that.
    fn missing(&self, mut next: u64, end: u64) -> Vec<Flaw> {
        let mut missing = Vec::new();
        let changed = |kept: &Vec<Kept>| kept.iter().any(|kept| kept.standing == Standing::Changed);
        let there = self.kept.range(next..end.max(next)).filter(|(_, kept)| changed(kept)).map(|(sequence, _)| *sequence);
        for sequence in there.chain([end]) {
            if next < sequence {
                missing.push(Flaw::Missing(next, sequence - 1));
            }
            next = sequence.saturating_add(1);
        }
        missing
    }

    /// Finds all that is wrong. `partial`: the logs begin within it.
    pub(super) fn judge(&mut self, partial: bool) {
        let mut flaws = Vec::new();
        let mut before: Option<(u64, Option<&str>)> = None;
        let mut rotation = Rotation::default();
        let has_genuine = self.is_genuine();
        for (&sequence, kept) in &self.kept {
            for other in kept {
                let (place, at) = (other.place.clone(), sequence);
                match other.standing {
                    Standing::Genuine => {}
                    Standing::Changed => flaws.push(Flaw::Changed(place, at)),
                    Standing::UnknownKey => flaws.push(Flaw::UnknownKey(place, at, other.key.clone().unwrap_or_default())),
                    Standing::Unchained => flaws.push(Flaw::Unchained(place, at)),
                }
            }
            let genuine: Vec<&Kept> = kept.iter().filter(|kept| kept.standing == Standing::Genuine).collect();
            if has_genuine && genuine.is_empty() {
                // Whoever wrote it says nothing of which records there were.
                continue;
            }
            if let [_, second, ..] = genuine.as_slice() {
                flaws.push(Flaw::Fork(second.place.clone(), sequence));
            }
            flaws.extend(genuine.iter().filter_map(|record| rotation.follow(record)));
            let next = before.map_or(0, |(last, _)| last + 1);
            if !(partial && before.is_none()) {
                flaws.extend(self.missing(next, sequence));
            }
            let mac = genuine.first().and_then(|first| first.mac.as_deref());
            if let (Some(first), Some((last, Some(previous)))) = (genuine.first(), before)
                && last + 1 == sequence
                && first.previous.as_deref() != Some(previous)
            {
                flaws.push(Flaw::Unlinked(first.place.clone(), sequence));
            }
            before = Some((sequence, mac));
        }
        // Of logs that were rotated nobody knows what came before.
        let first = if partial { self.kept.keys().next().copied().unwrap_or(u64::MAX) } else { 0 };
        let lacking = self.elsewhere.iter().copied().filter(|sequence| *sequence >= first && !self.kept.contains_key(sequence));
        for (first, last) in ranges(lacking) {
            // What is missing anyway need not be told twice.
            if !flaws.iter().any(|flaw| matches!(flaw, Flaw::Missing(from, to) if *from <= first && last <= *to)) {
                flaws.push(Flaw::Lacking(first, last));
            }
        }
        self.flaws = flaws;
    }

    /// Nobody wrote it that could be told from others: that is all that can be said of it.
    pub(super) fn judge_nameless(&mut self) {
        let first = self.records().next().map(|first| first.place.clone());
        self.flaws = first.map(|first| Flaw::Nameless(first, self.lines)).into_iter().collect();
    }

    /// Whether its last genuine record is chained with a retired key.
    pub(super) fn is_by_a_retired_key(&self) -> bool {
        let last = self.kept.values().flatten().rfind(|kept| kept.standing == Standing::Genuine);
        last.is_some_and(|last| last.term != Term::Current)
    }

    /// The ids of the keys of its genuine records.
    pub(super) fn keys(&self) -> BTreeSet<&str> {
        let genuine = self.kept.values().flatten().filter(|kept| kept.standing == Standing::Genuine);
        genuine.filter_map(|kept| kept.key.as_deref()).collect()
    }

    /// Its records, in order.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        self.kept.values().filter_map(|kept| kept.first())
    }

    /// Whether it ended as gateways do that are told to.
    pub(super) fn has_ended(&self) -> bool {
        self.kept.values().flatten().any(|kept| kept.kind == Kind::End && kept.standing == Standing::Genuine)
    }
}

/// How a chain's keys have followed each other.
#[derive(Default)]
struct Rotation<'k> {
    /// The last record's key.
    key: Option<&'k str>,
    /// Keys that others have replaced.
    replaced: BTreeSet<&'k str>,
    /// A key that is in use now has taken over.
    is_over: bool,
    /// The latest time that a record tells.
    latest: Option<Timestamp>,
}

impl<'k> Rotation<'k> {
    /// Takes the next record; what is wrong about its key, if anything is.
    fn follow(&mut self, record: &'k Kept) -> Option<Flaw> {
        let key = record.key.as_deref()?;
        if let Some(before) = self.key.replace(key).filter(|before| *before != key) {
            self.replaced.insert(before);
        }
        let time: Option<Timestamp> = record.time.parse().ok();
        // A record can say that it is older than those before it, which doesn't make it so.
        self.latest = self.latest.max(time);
        let (place, at) = (record.place.clone(), record.sequence);
        match record.term {
            Term::Current => {
                self.is_over = true;
                None
            }
            Term::UntilReplaced => (self.is_over || self.replaced.contains(key)).then(|| Flaw::Replaced(place, at, key.to_owned())),
            Term::Until(until) => {
                let counts = time.and(self.latest).is_some_and(|latest| latest <= until);
                let when = || self.latest.filter(|_| time.is_some()).map_or_else(|| record.time.clone(), |latest| latest.to_string());
                (!counts).then(|| Flaw::Expired(place, at, key.to_owned(), when(), until))
            }
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(place, at) => write!(formatter, "{place}: record {at} is changed: its MAC isn't the key's"),
            Self::UnknownKey(place, at, key) => write!(formatter, "{place}: record {at} is chained with key {key:?}, none of those given"),
            Self::Unchained(place, at) => write!(formatter, "{place}: record {at} has no MAC"),
            Self::Fork(place, at) => {
                write!(formatter, "{place}: record {at} is another one than the first of this number, and genuine too")
            }
            Self::Unlinked(place, at) => write!(formatter, "{place}: record {at} doesn't follow the one before"),
            Self::Replaced(place, at, key) => {
                write!(formatter, "{place}: record {at} is chained with the retired key {key}, which another one had replaced")
            }
            Self::Expired(place, at, key, time, until) => {
                write!(formatter, "{place}: record {at} is chained with the retired key {key} at {time}: it counts until {until}")
            }
            Self::Nameless(place, 1) => write!(formatter, "{place}: a record of a gateway without randomness: nobody can tell whose it is"),
            Self::Nameless(place, lines) => write!(
                formatter,
                "{place}: the first of {lines} records of gateways without randomness: nobody can tell whose they are, or which are missing"
            ),
            Self::Missing(first, last) if first == last => write!(formatter, "record {first} is missing"),
            Self::Missing(first, last) => write!(formatter, "records {first} to {last} are missing"),
            Self::Lacking(first, last) if first == last => write!(formatter, "record {first} is missing: another output has it"),
            Self::Lacking(first, last) => {
                write!(formatter, "records {first} to {last} are missing: another output has some or all of them")
            }
        }
    }
}

/// Numbers in order, as ranges.
fn ranges(numbers: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 >= number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

/// So many records of one number are told apart.
const MAX_ALIKE: usize = 8;
