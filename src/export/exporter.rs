// SPDX-License-Identifier: Apache-2.0
//! One collector's queue: what waits, what is under way, what is tried again, and what became of all of it.

use std::collections::{BTreeMap, VecDeque};

use super::answer::{self, Verdict};
use super::batch::{Batch, Open, Resource};
use super::{BatchPolicy, Collector};
use crate::answer::is_unauthorized;
use crate::backoff::backoff;
use crate::config::{Fingerprint, Service};
use crate::effect::{CallId, Export};
use crate::event::{CallFailed, Reply};
use crate::inputs::Inputs;
use crate::instance::Instance;
use crate::secret::{SecretStore, SecretText};

/// One collector's queue.
#[derive(Debug)]
pub(crate) struct Exporter {
    policy: BatchPolicy,
    /// Headers with secrets in them; `None` until all of these have come.
    headers: Option<Vec<(String, SecretText)>>,
    /// Some of them are fetched, and may be replaced at any time.
    rotates: bool,
    /// The collector doesn't know them, and they may have been replaced.
    is_unknown: bool,
    /// Its last answer was that.
    awaits_secrets: bool,
    /// Written before the first batch leaves.
    resource: Option<Resource>,
    open: Open,
    ready: VecDeque<Tried>,
    under_way: BTreeMap<CallId, Sent>,
    /// Spans or records of all that is in the queue.
    queued: u32,
    /// Bytes of it.
    bytes: usize,
    /// Failures in a row.
    failures: u32,
    /// Nothing leaves before this, on the monotonic clock.
    not_before: u64,
    /// Until then the collector itself has asked for time.
    asked_until: u64,
    /// The gateway is ending: nothing is tried again.
    is_ending: bool,
    /// Of which trouble the operator knows.
    noted: Option<Trouble>,
}

/// What keeps spans or records from arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Some of them.
    Rejected,
    /// A whole batch of them.
    Refused,
    /// All of them, for now.
    Later,
}

/// A batch that waits, for the first time or again.
#[derive(Debug)]
struct Tried {
    batch: Batch,
    /// When it was first sent.
    first: Option<u64>,
    /// How often it was sent.
    times: u32,
}

/// A batch that was sent.
#[derive(Debug)]
struct Sent {
    tried: Tried,
    /// With which headers: there may be others by now.
    headers: Vec<(String, SecretText)>,
    /// Until when an answer is waited for. The host's own time-out comes first.
    deadline: u64,
}

/// What becomes of spans and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They are to be exported.
    Recorded,
    /// The collector has taken them.
    Acknowledged,
    /// They were sent when the gateway ended.
    Unconfirmed,
    /// They found no room.
    DroppedQueueFull,
    /// The collector took the batch, and not them.
    DroppedRejected,
    /// The collector refused the batch, or gave an answer that is none.
    DroppedRefused,
    /// They were sent again and again for as long as OTLP's exporters try.
    DroppedExpired,
    /// The gateway ended and its host took no calls any more.
    DroppedShutdown,
}

impl Fate {
    /// Each once; its place here is its index.
    pub(crate) const ALL: [Self; 8] = [
        Self::Recorded,
        Self::Acknowledged,
        Self::Unconfirmed,
        Self::DroppedQueueFull,
        Self::DroppedRejected,
        Self::DroppedRefused,
        Self::DroppedExpired,
        Self::DroppedShutdown,
    ];

    /// As metrics call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Acknowledged => "acknowledged",
            Self::Unconfirmed => "unconfirmed",
            Self::DroppedQueueFull => "dropped_queue_full",
            Self::DroppedRejected => "dropped_rejected",
            Self::DroppedRefused => "dropped_refused",
            Self::DroppedExpired => "dropped_expired",
            Self::DroppedShutdown => "dropped_shutdown",
        }
    }
}

/// What an exporter does comes to: fates of so many spans or records, and what the operator should read.
pub(crate) trait Tell {
    /// So many, perhaps none, have this fate.
    fn count(&mut self, fate: Fate, many: u64);
    fn note(&mut self, note: String);
}

/// Whose spans and records they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'p> {
    pub(crate) service: &'p Service,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) instance: &'p Instance,
}

impl Exporter {
    pub(crate) fn new(policy: BatchPolicy) -> Self {
        Self {
            policy,
            headers: Some(Vec::new()),
            rotates: false,
            is_unknown: false,
            awaits_secrets: false,
            resource: None,
            open: Open::default(),
            ready: VecDeque::new(),
            under_way: BTreeMap::new(),
            queued: 0,
            bytes: 0,
            failures: 0,
            not_before: 0,
            asked_until: 0,
            is_ending: false,
            noted: None,
        }
    }

    /// Sends the secrets that are there now. Until all of its own have come nothing leaves.
    pub(crate) fn provide(&mut self, collector: &Collector, secrets: &SecretStore) {
        let headers = collector.headers.iter().map(|(name, reference)| Some((name.clone(), secrets.text(None, reference)?))).collect();
        if self.headers != headers {
            self.headers = headers;
            // What others got in answer says nothing of these.
            if std::mem::replace(&mut self.awaits_secrets, false) {
                self.not_before = self.asked_until;
            }
        }
        self.rotates = collector.headers.iter().any(|(_, reference)| reference.is_fetched());
    }

    /// Whether the collector has not known its secrets since the last time that somebody asked.
    pub(crate) const fn take_unknown(&mut self) -> bool {
        std::mem::replace(&mut self.is_unknown, false)
    }

    /// How many spans or records it holds.
    pub(crate) const fn queued(&self) -> u32 {
        self.queued
    }

    /// Whether a batch is full.
    pub(crate) fn has_batch(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether something can leave now.
    pub(crate) fn is_urgent(&self, monotonic: u64) -> bool {
        self.can_send(monotonic) && !self.ready.is_empty()
    }

    /// Whether what is gathered is as much as leaves together.
    const fn is_full(&self) -> bool {
        self.open.count >= self.policy.max_export_batch_size || self.open.length() >= MAX_BATCH_BYTES
    }

    /// Takes what belongs together, such as an exchange's spans: all of it or nothing.
    pub(crate) fn record<'m>(
        &mut self,
        items: impl Iterator<Item = &'m [u8]> + Clone,
        source: Source<'_>,
        monotonic: u64,
        tell: &mut dyn Tell,
    ) {
        let measured = |(count, size): (u32, usize), item: &[u8]| (count.saturating_add(1), size.saturating_add(item.len()));
        let (count, size) = items.clone().fold((0, 0), measured);
        tell.count(Fate::Recorded, count.into());
        let room = self.queued.saturating_add(count) <= self.policy.max_queue_size && self.bytes.saturating_add(size) <= MAX_QUEUE_BYTES;
        if !room {
            tell.count(Fate::DroppedQueueFull, count.into());
            return;
        }
        self.queued = self.queued.saturating_add(count);
        let before = self.open.length();
        self.open.add(items, monotonic);
        self.bytes = self.bytes.saturating_add(self.open.length().saturating_sub(before));
        if self.is_full() {
            self.close(source);
        }
    }

    /// Closes the batch that is open.
    fn close(&mut self, source: Source<'_>) {
        if self.open.count == 0 {
            return;
        }
        let resource = self.resource.take().unwrap_or_else(|| Resource::new(source));
        let length = self.open.length();
        let batch = self.open.close(&resource);
        // It has its instance's id as soon as that is drawn.
        self.resource = source.instance.id().map(|_| resource);
        self.bytes = self.bytes.saturating_sub(length).saturating_add(batch.body.len());
        self.ready.push_back(Tried { batch, first: None, times: 0 });
    }

    /// Sends what is due, and gives up what has had no answer.
    pub(crate) fn tick(
        &mut self,
        collector: &Collector,
        source: Source<'_>,
        call: &mut dyn FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
        tell: &mut dyn Tell,
    ) -> Vec<Export> {
        let now = inputs.monotonic;
        self.set_back(now);
        let late: Vec<CallId> = self.under_way.iter().filter(|(_, sent)| sent.deadline <= now).map(|(call, _)| *call).collect();
        for call in late {
            self.reply(call, Err(CallFailed::TimedOut), inputs, tell);
        }
        if self.open.count > 0 && now.saturating_sub(self.open.since) >= self.policy.schedule_delay {
            self.close(source);
        }
        let mut exports = Vec::new();
        while self.can_send(now)
            && let Some(tried) = self.ready.pop_front()
        {
            exports.push(self.send(tried, collector, call(), now));
        }
        exports
    }

    /// Sends all that is left: the gateway ends. What the host doesn't refuse at once is unconfirmed, see [`ended`](Self::ended).
    pub(crate) fn end(
        &mut self,
        collector: &Collector,
        source: Source<'_>,
        call: &mut dyn FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
    ) -> Vec<Export> {
        self.close(source);
        self.is_ending = true;
        if self.headers.is_none() {
            return Vec::new();
        }
        let now = inputs.monotonic;
        let ready = std::mem::take(&mut self.ready);
        ready.into_iter().map(|tried| self.send(tried, collector, call(), now)).collect()
    }

    /// Of what is under way no answer will be heard.
    pub(crate) fn ended(&mut self, tell: &mut dyn Tell) {
        for sent in std::mem::take(&mut self.under_way).into_values() {
            tell.count(Fate::Unconfirmed, sent.tried.batch.count.into());
            self.leaves(&sent.tried);
        }
        for tried in std::mem::take(&mut self.ready) {
            tell.count(Fate::DroppedShutdown, tried.batch.count.into());
            self.leaves(&tried);
        }
    }

    /// The host's monotonic clock may be the wall's: where that is set back, nothing waits for longer than it would have.
    fn set_back(&mut self, now: u64) {
        let latest = now.saturating_add(MAX_WAIT);
        (self.not_before, self.asked_until) = (self.not_before.min(latest), self.asked_until.min(latest));
        self.open.since = self.open.since.min(now);
        let deadline = self.deadline(now);
        for sent in self.under_way.values_mut() {
            sent.deadline = sent.deadline.min(deadline);
            sent.tried.first = sent.tried.first.map(|first| first.min(now));
        }
        for tried in &mut self.ready {
            tried.first = tried.first.map(|first| first.min(now));
        }
    }

    /// Until when an answer is waited for to what is sent now: the host's own time-out doesn't cover waiting for a healthy host.
    const fn deadline(&self, now: u64) -> u64 {
        now.saturating_add(self.policy.export_timeout).saturating_add(GRACE)
    }

    fn send(&mut self, Tried { batch, first, times }: Tried, collector: &Collector, call: CallId, now: u64) -> Export {
        let headers = self.headers.clone().unwrap_or_default();
        let export = Export {
            call,
            cluster: collector.cluster.clone(),
            uri: collector.uri.clone(),
            headers: headers.clone(),
            body: batch.body.clone(),
            timeout: self.policy.export_timeout,
        };
        let tried = Tried { batch, first: Some(first.unwrap_or(now)), times: times.saturating_add(1) };
        self.under_way.insert(call, Sent { tried, headers, deadline: self.deadline(now) });
        export
    }

    /// After a failure one batch tries, and the others follow it.
    fn can_send(&self, now: u64) -> bool {
        let most = if self.failures == 0 { MAX_UNDER_WAY } else { 1 };
        self.headers.is_some() && now >= self.not_before && self.under_way.len() < most
    }

    /// Takes an answer. `false` where the call is none of this exporter's.
    pub(crate) fn reply(
        &mut self,
        call: CallId,
        answer: Result<Reply<'_>, CallFailed>,
        inputs: &mut Inputs<'_>,
        tell: &mut dyn Tell,
    ) -> bool {
        let Some(Sent { tried, headers, .. }) = self.under_way.remove(&call) else { return false };
        let count = u64::from(tried.batch.count);
        if self.is_ending && answer.is_err() {
            tell.count(Fate::DroppedShutdown, count);
            self.leaves(&tried);
            return true;
        }
        self.awaits_secrets = false;
        let verdict = match answer::read(answer, inputs.now) {
            // Its secrets may have been replaced: they are fetched anew, and the spans wait for them.
            Verdict::Refused { what } if self.rotates && is_unauthorized(answer) => {
                (self.is_unknown, self.awaits_secrets) = (true, true);
                Verdict::Later { after: None, what }
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Taken { rejected, message } => {
                let rejected = rejected.min(count);
                tell.count(Fate::Acknowledged, count.saturating_sub(rejected));
                tell.count(Fate::DroppedRejected, rejected);
                self.leaves(&tried);
                self.failures = 0;
                if rejected > 0 || !message.is_empty() {
                    let repeats = answer.is_ok_and(|reply| is_repeated_in(reply.body, &headers));
                    let message = if repeats { WITHHELD.to_owned() } else { message };
                    self.note(Trouble::Rejected, format!("{rejected} of {count} rejected: {message}"), tell);
                } else {
                    self.noted = None;
                }
            }
            Verdict::Refused { what } => {
                tell.count(Fate::DroppedRefused, count);
                self.leaves(&tried);
                self.failures = 0;
                self.note(Trouble::Refused, format!("{count} refused: found {what}"), tell);
            }
            Verdict::Later { after, what } => {
                let now = inputs.monotonic;
                // Those that fail together have failed once.
                self.failures = if now < self.not_before { self.failures.max(1) } else { self.failures.saturating_add(1) };
                if let Some(after) = after {
                    self.asked_until = self.asked_until.max(now.saturating_add(after));
                }
                // A collector may ask for more time, never for less: its clock may be behind. Nor does another answer take back what it asked for.
                let wait = backoff(self.failures, &mut *inputs.entropy);
                self.not_before = self.not_before.max(now.saturating_add(wait)).max(self.asked_until);
                let first = tried.first.unwrap_or(now);
                // A clock that was set forward makes no outage.
                if now.saturating_sub(first) >= MAX_ELAPSED && tried.times >= MIN_TIMES {
                    tell.count(Fate::DroppedExpired, count);
                    self.leaves(&tried);
                } else {
                    self.ready.push_front(tried);
                }
                self.note(Trouble::Later, format!("not exported for now: found {what}"), tell);
            }
        }
        true
    }

    /// A batch is in the queue no more.
    fn leaves(&mut self, tried: &Tried) {
        self.queued = self.queued.saturating_sub(tried.batch.count);
        self.bytes = self.bytes.saturating_sub(tried.batch.body.len());
    }

    /// Tells the operator once, until it goes well again or is something else.
    fn note(&mut self, trouble: Trouble, note: String, tell: &mut dyn Tell) {
        if self.noted.replace(trouble) != Some(trouble) {
            tell.note(note);
        }
    }
}

/// Whether an answer repeats what a header of its call held: logs are for more eyes than the collector's.
fn is_repeated_in(body: &[u8], headers: &[(String, SecretText)]) -> bool {
    let words = headers.iter().flat_map(|(_, secret)| secret.as_str().split(' ')).map(str::as_bytes);
    let mut words = words.filter(|word| word.len() >= MIN_WORD);
    words.any(|word| body.windows(word.len()).any(|window| window == word))
}

#[cfg(test)]
impl Exporter {
    /// How many there are, counted one batch after the other.
    pub(super) fn counted(&self) -> u32 {
        let ready = self.ready.iter().map(|tried| tried.batch.count);
        let sent = self.under_way.values().map(|sent| sent.tried.batch.count);
        ready.chain(sent).fold(self.open.count, u32::saturating_add)
    }

    /// Has batches leave with this header.
    pub(super) fn set_header(&mut self, name: &str, value: SecretText) {
        self.headers = Some(vec![(name.to_owned(), value)]);
    }

    /// What is under way.
    pub(super) fn calls(&self) -> impl Iterator<Item = CallId> {
        self.under_way.keys().copied()
    }

    /// How many bytes it counts as its own.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Batches under way at once, where all goes well.
const MAX_UNDER_WAY: usize = 4;
/// A batch of so many bytes is full.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// So many bytes are kept, whatever the number of spans or records.
const MAX_QUEUE_BYTES: usize = 32 << 20;
/// For how long a batch is tried again, in nanoseconds, and how often at least.
const MAX_ELAPSED: u64 = 300_000_000_000;
const MIN_TIMES: u32 = 4;
/// The longest pause: what a collector may ask for, in nanoseconds.
const MAX_WAIT: u64 = answer::MAX_RETRY_AFTER;
/// Bytes of the shortest word of a header's value that is looked for in what a collector says.
const MIN_WORD: usize = 6;
/// Stands for what a collector says, where that has a secret in it.
const WITHHELD: &str = "what it says of them has one of its headers' secrets in it, and is withheld";
/// How much longer than the host an exporter waits for an answer, in nanoseconds.
const GRACE: u64 = 1_000_000_000;
