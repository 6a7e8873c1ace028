// SPDX-License-Identifier: Apache-2.0
//! An issuer's published keys: fetched once for all VMs of a process, refreshed before they expire, and fetched again for a key that nobody has
//! seen yet.
//!
//! Who fetches is decided in the host's shared data: by compare-and-set, for a lease that ends, so that a VM which dies in the middle costs the
//! others the rest of its lease. A VM looks there on tick, and for a key that it doesn't know; never for a request whose key it has.

use std::num::NonZeroU64;

use sha2::{Digest, Sha256};

use super::absent::AbsentKeys;
use super::algorithm::Algorithm;
use super::answer::{MAX_BODY, SECOND, freshness};
use super::discovery;
use super::jwk::{self, Published};
use super::key::KeySet;
use super::record::Record;
use crate::answer::body;
use crate::effect::{CallId, Fetch};
use crate::event::{CallFailed, Reply};
use crate::inputs::{Expected, Store, StoreError, Stored};
use crate::uri::FetchUri;

/// Where an issuer publishes its keys, and how they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePolicy {
    /// Where to fetch.
    pub location: Location,
    /// The host's cluster that answers.
    pub cluster: String,
    /// The longest that keys count as fresh, in nanoseconds, and how long where the issuer doesn't say.
    pub cache_duration: u64,
    /// How long they go on being used when no fresher ones can be had, in nanoseconds.
    pub stale_if_error: u64,
    /// The shortest time between two fetches for unknown keys, in nanoseconds.
    pub unknown_kid_interval: u64,
    /// How long one fetch may take, in nanoseconds.
    pub timeout: u64,
    /// How long a request waits for keys, in nanoseconds.
    pub wait: u64,
    /// What becomes of a request when there are none.
    pub on_unavailable: OnUnavailable,
}

/// Where an issuer publishes its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A JSON Web Key Set.
    Jwks(FetchUri),
    /// An OpenID Provider's configuration, which says where the key set is.
    Discovery {
        /// The configuration.
        uri: FetchUri,
        /// Whose it must be.
        issuer: String,
        /// The cluster that answers for the key set, where that is on another host.
        jwks_cluster: Option<String>,
    },
}

/// What becomes of a request whose token can't be verified because there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnavailable {
    /// It is answered with 503.
    Refuse,
    /// It goes on if the token's claims are in order: anybody can write such a token.
    Admit,
}

/// A key source at work.
#[derive(Debug)]
pub(super) struct Source {
    policy: SourcePolicy,
    /// The names of its record and of its keys in the store.
    record_name: String,
    keys_name: String,
    record: Record,
    /// What the record in the store must be to be replaced.
    expected: Expected,
    keys: KeySet,
    /// The version of `keys`.
    version: Option<NonZeroU64>,
    /// A key was asked for that nobody knows.
    wanted: bool,
    fetching: Option<Fetching>,
    /// Keys that a fetch didn't bring.
    absent: AbsentKeys,
}

/// A fetch of this VM's.
#[derive(Clone, Copy, Debug)]
struct Fetching {
    call: CallId,
    step: Step,
    deadline: u64,
    /// Which fetch of the process it is.
    begun: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Discovery,
    Keys,
}

/// What a source says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is among the keys.
    Here,
    /// It may come with the fetch that is under way.
    Soon,
    /// The issuer has no such key.
    Absent,
    /// There are no keys.
    Unavailable,
}

/// What became of a fetch.
#[derive(Debug)]
pub(super) enum Fetched {
    /// There is another step to take.
    Next(Fetch),
    /// The keys are there; so many of them are wrong.
    Keys {
        /// Left out.
        wrong: usize,
    },
    /// It failed, and why.
    Failed(String),
}

impl Source {
    pub(super) fn new(policy: SourcePolicy) -> Self {
        let location = match &policy.location {
            Location::Jwks(uri) => format!("jwks\0{uri}\0{}", policy.cluster),
            Location::Discovery { uri, issuer, jwks_cluster } => {
                format!("discovery\0{uri}\0{}\0{issuer}\0{}", policy.cluster, jwks_cluster.as_deref().unwrap_or_default())
            }
        };
        let digest = Sha256::digest(location.as_bytes());
        let id: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self {
            policy,
            record_name: format!("lease/{id}"),
            keys_name: format!("keys/{id}"),
            record: Record::default(),
            expected: Expected::Absent,
            keys: KeySet::default(),
            version: None,
            wanted: false,
            fetching: None,
            absent: AbsentKeys::default(),
        }
    }

    pub(super) const fn policy(&self) -> &SourcePolicy {
        &self.policy
    }

    /// How many fetches are over: who waits for one waits for this to change.
    pub(super) const fn over(&self) -> u64 {
        self.record.over
    }

    /// Changes with the keys.
    pub(super) fn generation(&self) -> u64 {
        self.version.map_or(0, NonZeroU64::get)
    }

    /// Whether there are keys to verify with.
    pub(super) const fn has_keys(&self, now: u64) -> bool {
        self.version.is_some() && now < self.record.fresh_until.saturating_add(self.policy.stale_if_error)
    }

    /// Whether it should be looked after more often than usual.
    pub(super) const fn is_urgent(&self, now: u64) -> bool {
        self.fetching.is_some() || (!self.has_keys(now) && self.record.failures == 0)
    }

    /// The keys, the last that came.
    pub(super) const fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// Asks for the key that a token names. `waited` is true for who has seen a fetch end since it first asked.
    pub(super) fn ask(&mut self, id: Option<&str>, algorithm: Algorithm, waited: bool, now: u64, store: &mut dyn Store) -> Answer {
        if !self.has_keys(now) || self.keys.find(id, algorithm).is_none() {
            self.look(now, store);
        }
        if !self.has_keys(now) {
            let soon = self.record.is_leased(now) || self.due_at() <= now.saturating_add(self.policy.wait);
            if soon { Answer::Soon } else { Answer::Unavailable }
        } else if self.keys.find(id, algorithm).is_some() {
            Answer::Here
        } else if self.may_come(id, waited, now) {
            Answer::Soon
        } else {
            Answer::Absent
        }
    }

    /// Whether it is worth waiting for a key that isn't there.
    fn may_come(&mut self, id: Option<&str>, waited: bool, now: u64) -> bool {
        // Without an id, another fetch would hardly make the choice clearer.
        let Some(id) = id else { return false };
        if self.absent.has(id, now) {
            return false;
        }
        let open = self.may_force(now);
        if waited && !open {
            // A fetch that failed doesn't tell what the issuer has.
            if self.record.failures == 0 {
                self.absent.add(id, now, self.policy.unknown_kid_interval);
            }
            return false;
        }
        self.wanted |= open;
        open || self.record.is_leased(now)
    }

    fn may_force(&self, now: u64) -> bool {
        let Record { forced_at, begun_at, failures, .. } = self.record;
        let next = forced_at.saturating_add(self.policy.unknown_kid_interval);
        // One that failed is repeated as soon as any other.
        let again = if failures == 0 { next } else { next.min(begun_at.saturating_add(backoff(failures))) };
        forced_at == 0 || now >= again
    }

    /// When the next fetch is due for the keys' own sake.
    fn due_at(&self) -> u64 {
        let Record { version, fetched_at, fresh_until, begun_at, failures, .. } = self.record;
        let due =
            if version.is_none() { 0 } else { fetched_at.saturating_add((fresh_until.saturating_sub(fetched_at) / 5).saturating_mul(4)) };
        let retry = if failures == 0 { 0 } else { begun_at.saturating_add(backoff(failures)) };
        due.max(retry)
    }

    /// Follows what other VMs have done.
    pub(super) fn look(&mut self, now: u64, store: &mut dyn Store) {
        let over = self.record.over;
        if let Some(Stored { value, version }) = store.get(&self.record_name) {
            self.expected = Expected::Version(version);
            // What can't be read is replaced.
            if let Some(record) = Record::decode(&value) {
                self.record = record;
            }
        }
        self.record = self.record.at(now, LONGEST_LEASE, self.policy.cache_duration);
        if self.record.over != over {
            self.wanted = false;
        }
        if self.record.version != self.version
            && let Some(Stored { value, .. }) = store.get(&self.keys_name)
            && let Some((&FORMAT, text)) = value.split_first()
            && Some(version(text)) == self.record.version
            && let Ok(Published { keys, .. }) = jwk::published(text)
        {
            self.adopt(keys, version(text));
        }
    }

    fn adopt(&mut self, keys: KeySet, version: NonZeroU64) {
        self.keys = keys;
        self.version = Some(version);
        self.absent = AbsentKeys::default();
    }

    /// As long as all steps of a fetch may take, and a little longer.
    fn lease(&self) -> u64 {
        let steps = if matches!(self.policy.location, Location::Discovery { .. }) { 2 } else { 1 };
        self.policy.timeout.saturating_add(CALL_MARGIN).saturating_mul(steps).saturating_add(CALL_MARGIN)
    }

    /// Begins a fetch, if one is due and nobody else has begun one. `None` where there is nothing to do; the failure of an own fetch that took too
    /// long comes first.
    pub(super) fn tick(&mut self, call: impl FnOnce() -> CallId, now: u64, store: &mut dyn Store) -> Option<Fetched> {
        if let Some(Fetching { deadline, begun, .. }) = self.fetching {
            // The host's own time-out may not count the time until it has a connection. A deadline further away than any is a clock's that has
            // jumped.
            let late = now >= deadline || deadline > self.deadline(now);
            return late.then(|| {
                self.fetching = None;
                self.fail(begun, "expected an answer in time, found none".to_owned(), now, store)
            });
        }
        self.look(now, store);
        if self.record.is_leased(now) {
            return None;
        }
        let forced = self.wanted && self.may_force(now);
        let abandoned = self.record.is_abandoned(now);
        if abandoned {
            // The first time at once; one that is lost again and again counts as failing.
            self.record.over = self.record.begun;
            self.record.failures = self.record.failures.saturating_add(1);
            if store.set(&self.record_name, &self.record.encode(), self.expected) == Err(StoreError::Conflict) {
                return None;
            }
            self.look(now, store);
        }
        let due = now >= self.due_at() || forced || (abandoned && self.record.failures == 1);
        if !due {
            return None;
        }
        let begun = self.record.begun.saturating_add(1);
        // 0 is the time of none.
        let forced_at = if forced { now.max(1) } else { self.record.forced_at };
        let claimed = Record { begun, begun_at: now, lease_until: now.saturating_add(self.lease()), forced_at, ..self.record };
        match store.set(&self.record_name, &claimed.encode(), self.expected) {
            // Another VM was quicker: it fetches.
            Err(StoreError::Conflict) => return None,
            // A VM that shares nothing fetches for itself.
            Ok(()) | Err(StoreError::Unavailable) => self.record = claimed,
        }
        self.wanted = false;
        let (step, uri) = match &self.policy.location {
            Location::Jwks(uri) => (Step::Keys, uri.clone()),
            Location::Discovery { uri, .. } => (Step::Discovery, uri.clone()),
        };
        Some(Fetched::Next(self.fetch(call(), step, uri, self.policy.cluster.clone(), now)))
    }

    fn fetch(&mut self, call: CallId, step: Step, uri: FetchUri, cluster: String, now: u64) -> Fetch {
        self.fetching = Some(Fetching { call, step, deadline: self.deadline(now), begun: self.record.begun });
        Fetch { call, cluster, uri, accept: JSON, headers: Vec::new(), timeout: self.policy.timeout, max_body: MAX_BODY }
    }

    /// When a call that begins now is given up: a little later than the host should have done so, which knows better what went wrong.
    const fn deadline(&self, now: u64) -> u64 {
        now.saturating_add(self.policy.timeout).saturating_add(CALL_MARGIN)
    }

    /// Takes a call's answer; `None` where this source waits for another call or none.
    pub(super) fn reply(
        &mut self,
        call: CallId,
        answer: Result<Reply<'_>, CallFailed>,
        next: impl FnOnce() -> CallId,
        now: u64,
        store: &mut dyn Store,
    ) -> Option<Fetched> {
        let Fetching { step, begun, .. } = self.fetching.take_if(|fetching| fetching.call == call)?;
        self.look(now, store);
        if self.record.begun != begun {
            // This VM was given up, and another one has begun since: its answer is the newer one.
            return Some(Fetched::Failed("expected an answer before the lease ended, found it afterwards".to_owned()));
        }
        let done = body(answer, MAX_BODY).and_then(|(reply, text)| match step {
            Step::Discovery => discovery::read(text, &self.policy).map(Done::Location),
            Step::Keys => match jwk::published(text) {
                Ok(published) => Ok(Done::Keys(published, freshness(reply, self.policy.cache_duration))),
                Err(invalid) => Err(invalid.to_string()),
            },
        });
        Some(match done {
            Ok(Done::Location((uri, cluster))) => Fetched::Next(self.fetch(next(), Step::Keys, uri, cluster, now)),
            Ok(Done::Keys(Published { keys, wrong }, lifetime)) => {
                let text = answer.map(|reply| reply.body).unwrap_or_default();
                self.publish(keys, text, lifetime, now, store);
                Fetched::Keys { wrong }
            }
            Err(why) => self.fail(begun, why, now, store),
        })
    }

    fn publish(&mut self, keys: KeySet, text: &[u8], lifetime: u64, now: u64, store: &mut dyn Store) {
        let version = version(text);
        // A VM that shares nothing keeps them to itself.
        let _ = store.set(&self.keys_name, &[&[FORMAT], text].concat(), Expected::Any);
        if self.version != Some(version) {
            self.adopt(keys, version);
        }
        self.record.version = Some(version);
        self.record.fetched_at = now;
        self.record.fresh_until = now.saturating_add(lifetime);
        self.record.failures = 0;
        self.end(store);
    }

    /// The fetch that this VM began has failed.
    fn fail(&mut self, begun: u64, why: String, now: u64, store: &mut dyn Store) -> Fetched {
        self.look(now, store);
        if begun == self.record.begun {
            self.record.failures = self.record.failures.saturating_add(1);
            self.end(store);
        }
        Fetched::Failed(why)
    }

    /// Ends the lease.
    fn end(&mut self, store: &mut dyn Store) {
        self.record.over = self.record.begun;
        self.record.lease_until = 0;
        // Whoever has begun another one meanwhile will end that.
        let _ = store.set(&self.record_name, &self.record.encode(), self.expected);
    }
}

enum Done {
    Location((FetchUri, String)),
    Keys(Published, u64),
}

/// Names a text and no other: VMs that hold one version hold the same keys, whoever has fetched them.
fn version(text: &[u8]) -> NonZeroU64 {
    let digest = Sha256::digest(text);
    let first = digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    NonZeroU64::new(first).unwrap_or(NonZeroU64::MIN)
}

/// How long to wait after so many failures in a row.
fn backoff(failures: u64) -> u64 {
    let doublings = u32::try_from(failures.saturating_sub(1).min(10)).unwrap_or(10);
    SECOND.saturating_mul(1 << doublings).min(MAX_BACKOFF)
}

/// What key sets and configurations are.
const JSON: &str = "application/json";
/// The longest wait after a failure.
const MAX_BACKOFF: u64 = 30 * SECOND;
/// How much longer than a call should take we wait for it, and how much longer than all that a lease is.
const CALL_MARGIN: u64 = SECOND / 4;
/// The longest lease that any policy asks for: others may share the source, and ask for another time than this one.
const LONGEST_LEASE: u64 = 2 * (30 * SECOND + CALL_MARGIN) + CALL_MARGIN;
/// The first byte of the keys' value: its format.
const FORMAT: u8 = 1;
