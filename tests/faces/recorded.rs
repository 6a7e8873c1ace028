// SPDX-License-Identifier: Apache-2.0
//! The native core, with a record of all that is said to it.

use std::cell::RefCell;

use tracegate::quota::Totals;
use tracegate::secret::{SecretUnavailable, Secrets};
use tracegate::{
    CallFailed, CallId, Effect, Entropy, EntropyUnavailable, Event, Exchange, ExchangeId, Expected, Gateway, GatewayId, HostSignatures,
    Inputs, NoteOf, Peer, PeerFact, Policy, Reply, Step, Store, StoreError, Stored, Woken,
};

use super::said::{self, Answer, Awaits, Compiled, Drained, Finding, Heard, Said, Told};
use super::turn::{self, Ask, Record, Taken, Turn};

/// A gateway of the native core, with a record of all that is said to it.
#[derive(Debug)]
pub struct Recorded {
    core: Gateway,
    record: Taken,
}

impl Recorded {
    /// Compiles a policy, and runs nothing.
    #[must_use]
    pub fn compile(policy: &str, record: &Record) -> Compiled {
        let (findings, policy_of) = match Policy::from_json(policy.as_bytes()) {
            Ok(loaded) => (loaded.warnings, Some(loaded.policy)),
            Err(findings) => (findings, None),
        };
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let compiled = Compiled {
            findings: findings.iter().map(Finding::from).collect(),
            fingerprint: policy_of.as_ref().map(|policy| policy.fingerprint.to_string()),
            clusters: policy_of.as_ref().map(|policy| owned(policy.clusters())).unwrap_or_default(),
            variables: policy_of.as_ref().map(|policy| owned(policy.variables())).unwrap_or_default(),
        };
        let said = Said::Compile { policy: policy.to_owned() };
        record.taken().borrow_mut().push(Turn::untimed(said, Heard::Compiled(compiled.clone())));
        compiled
    }

    /// Starts a gateway as faces do. What is said to several gateways of one VM is one conversation.
    ///
    /// # Errors
    ///
    /// When a secret is missing or unfit.
    pub fn start(
        id: GatewayId,
        policy: &str,
        secrets: &mut dyn Secrets,
        inputs: &mut Inputs<'_>,
        record: &Record,
    ) -> Result<Self, SecretUnavailable> {
        let loaded = Policy::from_json(policy.as_bytes()).unwrap_or_else(|findings| panic!("{findings:?}")).policy;
        let (fingerprint, service, routes) = (loaded.fingerprint, loaded.service.name.clone(), loaded.routes.routes().len());
        let mut core = Gateway::new(id, loaded);
        let asks = RefCell::<Vec<Ask>>::default();
        let provided = core.provide(&mut |variable: &str| {
            let answer = secrets.environment(variable);
            asks.borrow_mut().push(Ask::Environment { variable: variable.to_owned(), answer: answer.clone() });
            answer
        });
        let mut log = Vec::new();
        if provided.is_ok() {
            log.push((false, format!("tracegate {}: policy {fingerprint} of {service} loaded, {routes} routes", tracegate::VERSION)));
            tapped(&asks, inputs, |inputs| core.prove(inputs));
        }
        let heard = Heard::Started { error: provided.as_ref().err().map(ToString::to_string) };
        let said = Said::Start { gateway: id.0, policy: policy.to_owned() };
        let record = record.taken();
        record.borrow_mut().push(turn(said, inputs, asks, heard, log));
        provided.map(|()| Self { core, record })
    }

    /// The core itself, for questions.
    #[must_use]
    pub const fn core(&self) -> &Gateway {
        &self.core
    }

    /// Opens an exchange.
    #[must_use]
    pub fn open(&self, id: ExchangeId) -> Exchange {
        let said = Said::Open { gateway: self.core.id().0, exchange: id.0 };
        self.record.borrow_mut().push(Turn::untimed(said, Heard::Done));
        self.core.open(id)
    }

    /// Takes a step.
    pub fn step(&mut self, exchange: &mut Exchange, event: Event<'_>, inputs: &mut Inputs<'_>) -> Step {
        let asks = RefCell::<Vec<Ask>>::default();
        let step = tapped(&asks, inputs, |inputs| exchange.step(&mut self.core, event, inputs));
        let log = self.lines(&[]);
        if let Some(event) = Told::of(&event) {
            let awaits = Awaits {
                response: exchange.awaits_response(&self.core),
                status: exchange.reads_response(&self.core),
                cancellation: exchange.awaits_cancellation(&self.core),
                close: exchange.awaits_close(&self.core),
                totals: exchange.reads_totals(&self.core),
            };
            let (verdict, calls) = ((&step.verdict).into(), said::calls(&step.effects));
            let heard = Heard::Step { verdict, calls, properties: said::properties(&step.properties), awaits };
            self.record.borrow_mut().push(turn(Said::Step { exchange: exchange.id().0, event }, inputs, asks, heard, log));
        }
        step
    }

    /// An exchange is given up before its end, which asks for nothing.
    pub fn give_up(&mut self, mut exchange: Exchange, inputs: &mut Inputs<'_>) {
        let asks = RefCell::<Vec<Ask>>::default();
        let closed = Event::Closed(Totals::default());
        let step = tapped(&asks, inputs, |inputs| exchange.step(&mut self.core, closed, inputs));
        assert!(step.effects.is_empty() && step.properties.is_empty());
        let log = self.lines(&[]);
        self.record.borrow_mut().push(turn(Said::Drop { exchange: exchange.id().0 }, inputs, asks, Heard::Done, log));
    }

    /// The host's clock ticks.
    pub fn tick(&mut self, inputs: &mut Inputs<'_>) -> Woken {
        let asks = RefCell::<Vec<Ask>>::default();
        let woken = tapped(&asks, inputs, |inputs| self.core.tick(inputs));
        self.woken(Said::Tick { gateway: self.core.id().0 }, &woken, asks, inputs);
        woken
    }

    /// A call is answered. One of another gateway's can't be answered through a face.
    pub fn reply(&mut self, call: CallId, answer: Result<Reply<'_>, CallFailed>, inputs: &mut Inputs<'_>) -> Woken {
        let asks = RefCell::<Vec<Ask>>::default();
        let kept = Answer::from(&answer);
        let woken = tapped(&asks, inputs, |inputs| self.core.reply(call, answer, inputs));
        if call.gateway == self.core.id() {
            let said = Said::Reply { gateway: call.gateway.0, call: call.serial, answer: kept };
            self.woken(said, &woken, asks, inputs);
        }
        woken
    }

    fn woken(&mut self, said: Said, woken: &Woken, asks: RefCell<Vec<Ask>>, inputs: &Inputs<'_>) {
        let log = self.lines(&woken.notes);
        let heard = Heard::Woken {
            calls: said::calls(&woken.effects),
            wake: woken.wake.iter().map(|exchange| exchange.0).collect(),
            is_urgent: self.core.is_urgent(inputs.monotonic),
        };
        self.record.borrow_mut().push(turn(said, inputs, asks, heard, log));
    }

    /// The gateway ends.
    pub fn end(&mut self, inputs: &mut Inputs<'_>) -> Vec<Effect> {
        let asks = RefCell::<Vec<Ask>>::default();
        let effects = tapped(&asks, inputs, |inputs| self.core.end(inputs));
        self.core.ended();
        let log = self.lines(&[]);
        let heard = Heard::Ended { calls: said::calls(&effects) };
        self.record.borrow_mut().push(turn(Said::End { gateway: self.core.id().0 }, inputs, asks, heard, log));
        effects
    }

    /// What has been counted and measured since the last time.
    pub fn drain(&mut self) -> Drained {
        let names = self.core.counter_names();
        let counts = self.core.drain_counts().map(|(index, by)| (names[index].clone(), by)).collect();
        let changes = self.core.gauge_names().into_iter().zip(self.core.drain_gauges()).filter(|(_, by)| *by != 0).collect();
        let names = self.core.histogram_names();
        let samples = self.core.drain_durations().into_iter().map(|(index, value)| (names[index].clone(), value)).collect();
        let drained = Drained { counts, changes, samples };
        let said = Said::Drain { gateway: self.core.id().0 };
        self.record.borrow_mut().push(Turn::untimed(said, Heard::Drained(drained.clone())));
        drained
    }

    /// What a face writes to the log.
    fn lines(&mut self, notes: &[(NoteOf, String)]) -> Vec<(bool, String)> {
        let lines = self.core.drain_lines().into_iter().map(|line| (false, line));
        let notes = notes.iter().map(|(about, note)| (true, format!("tracegate: {}: {note}", about.words(self.core.policy()))));
        lines.collect::<Vec<_>>().into_iter().chain(notes).collect()
    }
}

fn turn(said: Said, inputs: &Inputs<'_>, asks: RefCell<Vec<Ask>>, heard: Heard, log: Vec<(bool, String)>) -> Turn {
    Turn { said, now: inputs.now, monotonic: inputs.monotonic, asks: asks.into_inner(), heard, log }
}

/// Lends the inputs, and takes down what they are asked.
fn tapped<T>(asks: &RefCell<Vec<Ask>>, inputs: &mut Inputs<'_>, run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let Inputs { now, monotonic, entropy, peer, store, signatures } = inputs;
    let mut entropy = Tap { asks, tapped: &mut **entropy };
    let mut peer = Tap { asks, tapped: &mut **peer };
    let mut store = Tap { asks, tapped: &mut **store };
    let mut signatures = Tap { asks, tapped: &mut **signatures };
    let (now, monotonic) = (*now, *monotonic);
    run(&mut Inputs { now, monotonic, entropy: &mut entropy, peer: &mut peer, store: &mut store, signatures: &mut signatures })
}

struct Tap<'t, T: ?Sized> {
    asks: &'t RefCell<Vec<Ask>>,
    tapped: &'t mut T,
}

impl Entropy for Tap<'_, dyn Entropy + '_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        let filled = self.tapped.fill(bytes);
        let answer = filled.is_ok().then(|| (&*bytes).into());
        self.asks.borrow_mut().push(Ask::Random { length: bytes.len(), answer });
        filled
    }
}

impl Peer for Tap<'_, dyn Peer + '_> {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        let answer = self.tapped.fact(fact);
        self.asks.borrow_mut().push(Ask::Peer { fact: turn::fact(fact), answer: answer.as_deref().map(Into::into) });
        answer
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        let answer = self.tapped.route_metadata(key);
        self.asks.borrow_mut().push(Ask::RouteMetadata { key: key.to_owned(), answer: answer.as_deref().map(Into::into) });
        answer
    }
}

impl Store for Tap<'_, dyn Store + '_> {
    fn get(&mut self, name: &str) -> Option<Stored> {
        let answer = self.tapped.get(name);
        let kept = answer.as_ref().map(|Stored { value, version }| (value.as_slice().into(), *version));
        self.asks.borrow_mut().push(Ask::Get { name: name.to_owned(), answer: kept });
        answer
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let set = self.tapped.set(name, value, expected);
        let (name, value, expected) = (name.to_owned(), value.into(), turn::expected(expected));
        self.asks.borrow_mut().push(Ask::Set { name, value, expected, answer: turn::refused(set) });
        set
    }
}

impl HostSignatures for Tap<'_, dyn HostSignatures + '_> {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let answer = self.tapped.verify(hash, key, signature, text);
        let (hash, key, signature, text) = (hash.to_owned(), key.into(), signature.into(), text.into());
        self.asks.borrow_mut().push(Ask::Verify { hash, key, signature, text, answer });
        answer
    }
}
