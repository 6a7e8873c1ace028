// SPDX-License-Identifier: Apache-2.0
//! One configuration at work. A VM may hold several gateways at once, the old configuration's and the new one's.

use crate::audit::{Entry, Trail};
use crate::config::Policy;
use crate::effect::{CallId, Effect, ExchangeId, GatewayId, NoteOf, Woken};
use crate::event::{CallFailed, Reply};
use crate::exchange::Exchange;
use crate::export::{Exporter, Fate, Source, Tell};
use crate::identity::{KeyRing, Replacement};
use crate::inputs::Inputs;
use crate::instance::Instance;
use crate::metrics::{Counter, Counts, Durations, Levels, is_published};
use crate::quota::Ledger;
use crate::secret::{SecretStore, SecretText, SecretUnavailable, Secrets, Stepped};
use crate::span::{DigestKey, Draft};
use crate::trace::{HopKeys, Settler};

/// What the exchanges of one configuration share.
#[derive(Debug)]
pub struct Gateway {
    id: GatewayId,
    policy: Policy,
    settler: Settler,
    ring: KeyRing,
    ledger: Ledger,
    instance: Instance,
    trail: Trail,
    /// What the host's log has still to be told.
    lines: Vec<String>,
    /// In the order of [`ExportPolicy::collectors`](crate::export::ExportPolicy::collectors).
    exporters: Vec<Exporter>,
    levels: Levels,
    counts: Counts,
    durations: Durations,
    secrets: SecretStore,
    /// What digests in spans are made with.
    digest_key: Option<DigestKey>,
    /// What goes on in the place of tokens.
    replacement: Option<SecretText>,
    /// How many calls it has asked for.
    calls: u64,
}

/// What the stages of an exchange work with.
pub(crate) struct Parts<'g> {
    pub(crate) policy: &'g Policy,
    pub(crate) settler: &'g mut Settler,
    pub(crate) ring: &'g mut KeyRing,
    pub(crate) ledger: &'g mut Ledger,
    pub(crate) counts: &'g mut Counts,
    pub(crate) durations: &'g mut Durations,
    pub(crate) trail: &'g mut Trail,
    pub(crate) instance: &'g mut Instance,
    pub(crate) digest_key: Option<&'g DigestKey>,
    pub(crate) replacement: Option<&'g [u8]>,
    /// One is to go on, and hasn't come yet.
    pub(crate) lacks_replacement: bool,
    pub(crate) calls: Calls<'g>,
}

impl Gateway {
    /// A gateway that runs `policy`. `id` is unique in the VM.
    #[must_use]
    pub fn new(id: GatewayId, policy: Policy) -> Self {
        let (ring, ledger, counts) = (KeyRing::new(&policy.identity.providers), Ledger::new(&policy.quota), Counts::new(&policy));
        let exporters: Vec<Exporter> = policy.export.collectors().map(|collector| Exporter::new(collector.batch)).collect();
        let levels = Levels::new(&policy);
        let (settler, instance, trail, lines) = (Settler::new(), Instance::default(), Trail::default(), Vec::new());
        let durations = Durations::new(&policy);
        let secrets = SecretStore::new(policy.secret_uses());
        let (digest_key, replacement) = (None, None);
        Self {
            id,
            policy,
            settler,
            ring,
            ledger,
            instance,
            trail,
            lines,
            exporters,
            levels,
            counts,
            durations,
            secrets,
            digest_key,
            replacement,
            calls: 0,
        }
    }

    /// Takes the secrets that the policy names, but for those that are fetched, which [`tick`](Self::tick) asks for.
    ///
    /// A gateway without a secret does what is safe without it: it signs nothing and takes no signature for valid, refuses tokens that only the
    /// secret verifies, refuses who proves itself where a credential is to replace tokens, tells nothing of what only a digest may tell, and keeps
    /// spans until their collector's headers are there.
    ///
    /// # Errors
    ///
    /// [`SecretUnavailable`] for the first, by its name, that the host doesn't have or that doesn't fit its uses.
    pub fn provide(&mut self, secrets: &mut dyn Secrets) -> Result<(), SecretUnavailable> {
        self.secrets.provide(secrets)?;
        self.supply();
        Ok(())
    }

    /// Hands out the secrets that are there now.
    fn supply(&mut self) {
        let Self { policy, settler, ring, trail, exporters, secrets, digest_key, replacement, .. } = self;
        settler.provide(policy.trace.signed_hop.as_ref().and_then(|hop| HopKeys::of(hop, secrets)));
        let replaced = policy.identity.forward.replacement.as_ref();
        *replacement = replaced.and_then(|Replacement { scheme, secret }| secrets.text(Some(scheme), secret));
        *digest_key = policy.export.spans.digest_key.as_ref().and_then(|reference| DigestKey::new(&secrets.key(reference)?));
        if let Some(chain) = policy.audit.as_ref().and_then(|audit| audit.chain.as_ref()) {
            trail.provide(secrets.key(&chain.key).as_ref());
        }
        for (exporter, collector) in exporters.iter_mut().zip(policy.export.collectors()) {
            exporter.provide(collector, secrets);
        }
        ring.provide(&policy.identity.providers, secrets);
    }

    /// Follows what became of secrets that are fetched.
    fn follow(&mut self, Stepped { fetches, fates, notes, changed }: Stepped, woken: &mut Woken) {
        woken.effects.extend(fetches.into_iter().map(Effect::Fetch));
        fates.into_iter().for_each(|(place, fate)| self.counts.count_secret(place, fate));
        woken.notes.extend(notes.into_iter().map(|(place, note)| (NoteOf::Secret(place), note)));
        if changed {
            self.supply();
        }
    }

    /// Puts the host's signature verification to the test, once, before the first request: a gateway that hasn't done so verifies in its own code.
    pub fn prove(&mut self, inputs: &mut Inputs<'_>) {
        self.ring.prove(&self.policy.identity.providers, inputs);
    }

    /// Which gateway of its VM this is.
    #[must_use]
    pub const fn id(&self) -> GatewayId {
        self.id
    }

    /// What it runs.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the stages of an exchange work with.
    pub(crate) fn parts(&mut self) -> Parts<'_> {
        let Self { id, policy, settler, ring, ledger, trail, instance, counts, durations, digest_key, replacement, calls, .. } = self;
        let replacement = replacement.as_ref().map(|replacement| replacement.as_str().as_bytes());
        let lacks_replacement = replacement.is_none() && policy.identity.forward.replacement.is_some();
        let digest_key = digest_key.as_ref();
        let calls = Calls { gateway: *id, serial: calls };
        Parts { policy, settler, ring, ledger, counts, durations, trail, instance, digest_key, replacement, lacks_replacement, calls }
    }

    /// An exchange waits no more: it is over, or its host knows it no more.
    pub fn forget(&mut self, id: ExchangeId, inputs: &mut Inputs<'_>) {
        self.ring.forget(id);
        self.ledger.forget(&self.policy.quota, id, inputs);
    }

    /// Opens an exchange. `id` is unique in the VM.
    #[must_use]
    pub const fn open(&self, id: ExchangeId) -> Exchange {
        Exchange::new(id)
    }

    /// Whether the next [`tick`](Self::tick) should come within some 10 ms: an exchange waits, a fetch is under way, or a batch of spans is full.
    /// Otherwise a second is soon enough.
    #[must_use]
    pub fn is_urgent(&self, monotonic: u64) -> bool {
        let fetches = self.ring.is_urgent(monotonic) || self.secrets.is_urgent(monotonic);
        fetches || self.ledger.is_urgent() || self.exporters.iter().any(|exporter| exporter.is_urgent(monotonic))
    }

    /// Whether a batch of spans waits to leave, be it now or after a pause.
    #[must_use]
    pub fn has_batch(&self) -> bool {
        self.exporters.iter().any(Exporter::has_batch)
    }

    /// The host's clock has ticked.
    pub fn tick(&mut self, inputs: &mut Inputs<'_>) -> Woken {
        self.instance.draw(&mut *inputs.entropy);
        let Self { policy, trail, instance, .. } = self;
        if let Some(audit) = &policy.audit {
            trail.tick(audit, source(policy, instance), inputs);
            self.put_on_record(inputs.monotonic);
        }
        // Before all others: what they send may hang on them.
        let stepped = self.secrets.tick(&mut || Calls { gateway: self.id, serial: &mut self.calls }.next(), inputs);
        let mut secrets = Woken::default();
        self.follow(stepped, &mut secrets);
        let Self { id, policy, ring, ledger, instance, exporters, counts, calls, .. } = self;
        let mut calls = Calls { gateway: *id, serial: calls };
        let mut woken = ring.tick(|| calls.next(), inputs, counts);
        ledger.tick(&policy.quota, inputs, counts, &mut woken);
        let source = source(policy, instance);
        for (place, (exporter, collector)) in exporters.iter_mut().zip(policy.export.collectors()).enumerate() {
            let tell = &mut Telling { place, counts: &mut *counts, notes: &mut woken.notes };
            let exports = exporter.tick(collector, source, &mut || calls.next(), inputs, tell);
            woken.effects.extend(exports.into_iter().map(Effect::Export));
        }
        woken.effects.extend(secrets.effects);
        woken.notes.extend(secrets.notes);
        self.durations.tick(inputs.monotonic);
        self.measure(inputs.monotonic);
        self.durations.call(&woken.effects, inputs.monotonic);
        woken
    }

    /// Sees how much there is.
    fn measure(&mut self, monotonic: u64) {
        let Self { policy, ring, ledger, exporters, levels, .. } = self;
        let queued = exporters.iter().map(Exporter::queued);
        let published = policy.identity.providers.iter().enumerate().filter(|(_, provider)| is_published(provider));
        let usable = published.map(|(place, _)| u32::from(ring.has_keys(place, monotonic)));
        let down = policy.quota.quotas.iter().filter_map(|quota| ledger.is_down(quota)).map(u32::from);
        levels.set(queued.chain(usable).chain(down).chain([ring.remembered()]));
    }

    /// The gateway ends: what to ask of the world before it does. Call [`ended`](Self::ended) once that is asked.
    pub fn end(&mut self, inputs: &mut Inputs<'_>) -> Vec<Effect> {
        self.instance.draw(&mut *inputs.entropy);
        let Self { policy, trail, instance, .. } = self;
        if let Some(audit) = &policy.audit {
            trail.end(audit, source(policy, instance), inputs);
            self.put_on_record(inputs.monotonic);
        }
        let Self { id, policy, instance, exporters, calls, .. } = self;
        let mut calls = Calls { gateway: *id, serial: calls };
        let source = source(policy, instance);
        let exporters = exporters.iter_mut().zip(policy.export.collectors());
        let exports = exporters.flat_map(|(exporter, collector)| exporter.end(collector, source, &mut || calls.next(), inputs));
        exports.map(Effect::Export).collect()
    }

    /// No answer is heard any more.
    pub fn ended(&mut self) {
        let mut notes = Vec::new();
        for (place, exporter) in self.exporters.iter_mut().enumerate() {
            exporter.ended(&mut Telling { place, counts: &mut self.counts, notes: &mut notes });
        }
        self.levels.clear();
    }

    /// Takes the spans of an exchange that is over.
    pub(crate) fn record(&mut self, draft: Draft, inputs: &mut Inputs<'_>) {
        self.instance.draw(&mut *inputs.entropy);
        let Self { policy, instance, exporters, counts, .. } = self;
        let errors = policy.trace.sampling.is_some_and(|sampling| sampling.record_errors);
        let Some(finished) = draft.finish(errors, inputs.monotonic) else { return };
        let spans = std::iter::once(finished.server.as_slice()).chain(finished.client.as_deref());
        let mut notes = Vec::new();
        for (place, exporter) in exporters.iter_mut().take(policy.export.traces.len()).enumerate() {
            let tell = &mut Telling { place, counts: &mut *counts, notes: &mut notes };
            exporter.record(spans.clone(), source(policy, instance), inputs.monotonic, tell);
        }
    }

    /// Hands over what the trail holds: to the log, to collectors, or to both.
    pub(crate) fn put_on_record(&mut self, monotonic: u64) {
        let Self { policy, trail, instance, lines, exporters, counts, .. } = self;
        let Some(audit) = &policy.audit else { return };
        counts.add_by(Counter::AuditDropped, trail.take_dropped());
        if trail.is_empty(audit.chain.as_ref(), instance) {
            return;
        }
        let mut notes = Vec::new();
        while let Some(Entry { line, message }) = trail.next(audit.chain.as_ref(), instance) {
            for (place, exporter) in exporters.iter_mut().enumerate().skip(policy.export.traces.len()) {
                if let Some(message) = &message {
                    let tell = &mut Telling { place, counts: &mut *counts, notes: &mut notes };
                    exporter.record(std::iter::once(message.as_slice()), source(policy, instance), monotonic, tell);
                }
            }
            // Who hosts us takes them after each step: this bound is for one that doesn't.
            let has_room = !audit.log || lines.len() < MAX_LINES;
            counts.add(if has_room { Counter::Audited } else { Counter::AuditDropped });
            if audit.log && has_room {
                lines.push(line);
            }
        }
    }

    /// Lines for the host's log, at its level `info`; none twice.
    pub fn drain_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// A call has an answer, or failed. An answer that nothing waits for changes nothing.
    pub fn reply(&mut self, call: CallId, answer: Result<Reply<'_>, CallFailed>, inputs: &mut Inputs<'_>) -> Woken {
        self.durations.answer(call, inputs.monotonic);
        let woken = self.answered(call, answer, inputs);
        self.durations.call(&woken.effects, inputs.monotonic);
        woken
    }

    fn answered(&mut self, call: CallId, answer: Result<Reply<'_>, CallFailed>, inputs: &mut Inputs<'_>) -> Woken {
        let mut woken = Woken::default();
        let stepped = self.secrets.reply(call, answer, &mut || Calls { gateway: self.id, serial: &mut self.calls }.next(), inputs);
        if let Some(stepped) = stepped {
            self.follow(stepped, &mut woken);
            return woken;
        }
        let Self { id, policy, ring, ledger, exporters, counts, secrets, calls, .. } = self;
        if ledger.reply(&policy.quota, call, answer, inputs, counts, &mut woken) {
            return woken;
        }
        for (place, exporter) in exporters.iter_mut().enumerate() {
            if exporter.reply(call, answer, inputs, &mut Telling { place, counts: &mut *counts, notes: &mut woken.notes }) {
                if let Some(collector) = policy.export.collectors().nth(place).filter(|_| exporter.take_unknown()) {
                    collector.headers.iter().for_each(|(_, reference)| secrets.hasten(&reference.name, inputs.monotonic));
                }
                return woken;
            }
        }
        let mut calls = Calls { gateway: *id, serial: calls };
        ring.reply(call, answer, || calls.next(), inputs, counts)
    }

    /// The names of all that this gateway counts.
    #[must_use]
    pub fn counter_names(&self) -> Vec<String> {
        Counts::names(&self.policy)
    }

    /// The names of the gauges that tell how much there is of what comes and goes.
    #[must_use]
    pub fn gauge_names(&self) -> Vec<String> {
        Levels::names(&self.policy)
    }

    /// By how much each of them has changed from the tick before to the last one: the gateway's VMs share them.
    pub fn drain_gauges(&mut self) -> Vec<i64> {
        self.levels.drain()
    }

    /// The names of the histograms that tell how long requests and calls take.
    #[must_use]
    pub fn histogram_names(&self) -> Vec<String> {
        Durations::names(&self.policy)
    }

    /// What has been measured, in milliseconds, by index in [`histogram_names`](Self::histogram_names); to be asked after each step.
    pub fn drain_durations(&mut self) -> Vec<(usize, u64)> {
        self.durations.take()
    }

    /// What has been counted since the last time, by index in [`counter_names`](Self::counter_names), zeros left out.
    pub fn drain_counts(&mut self) -> impl Iterator<Item = (usize, u64)> + use<> {
        self.counts.drain()
    }
}

fn source<'p>(policy: &'p Policy, instance: &'p Instance) -> Source<'p> {
    Source { service: &policy.service, fingerprint: policy.fingerprint, instance }
}

/// Lines that wait for the host.
const MAX_LINES: usize = 4096;

/// Counts and notes what an exporter tells.
struct Telling<'g> {
    /// Its collector's place in the policy.
    place: usize,
    counts: &'g mut Counts,
    notes: &'g mut Vec<(NoteOf, String)>,
}

impl Tell for Telling<'_> {
    fn count(&mut self, fate: Fate, many: u64) {
        self.counts.count_exported(self.place, fate, many);
    }

    fn note(&mut self, note: String) {
        self.notes.push((NoteOf::Collector(self.place), note));
    }
}

/// Names a gateway's calls, each once.
pub(crate) struct Calls<'g> {
    gateway: GatewayId,
    /// How many there were.
    serial: &'g mut u64,
}

impl Calls<'_> {
    pub(crate) const fn next(&mut self) -> CallId {
        let serial = *self.serial;
        *self.serial = serial.saturating_add(1);
        CallId { gateway: self.gateway, serial }
    }
}
