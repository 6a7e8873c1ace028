// SPDX-License-Identifier: Apache-2.0
//! A gateway around the native core: it does what the module and its host do. All that is said to the core is held against the other faces.

use std::collections::BTreeMap;

use tracegate::quota::Totals;
use tracegate::secret::SecretUnavailable;
use tracegate::{Event, ExchangeId, GatewayId, Header, Headers, Inputs, Reason, Reply, Step, Verdict};
use tracegate_harness::host::{Facts, HeaderMap, Part};
use tracegate_harness::recording::Recorded;
use tracegate_harness::{keys, replay};
use tracegate_tests::faces::{self, Conversation, Record};

use super::host::{Host, Known, Randomness, Values, Verifier};

/// A gateway around the native core.
pub(crate) struct Native {
    core: faces::Recorded,
    record: Record,
    host: Host,
    randomness: Randomness,
    peer: Known,
    store: Values,
    now: i64,
    next: u32,
    counts: BTreeMap<String, u64>,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Why it was refused, if it was.
    pub(crate) refused: Option<Reason>,
    /// The access log can tell its trace.
    pub(crate) traced: bool,
    /// How often something left for collectors when it was over.
    pub(crate) exports: usize,
}

/// What has been counted, by name.
pub(crate) type Counts = BTreeMap<String, u64>;

impl Native {
    pub(crate) fn start(policy: &str, host: Host) -> Self {
        let record = Record::default();
        let (mut randomness, mut peer) = (Randomness::new(host), Known { facts: Facts::default(), host });
        let mut store = Values::new(host);
        let mut inputs =
            Inputs { now: 0, monotonic: 0, entropy: &mut randomness, peer: &mut peer, store: &mut store, signatures: &mut Verifier(host) };
        let environment = keys::environment(&tracegate::Policy::from_json(policy.as_bytes()).expect("it is one").policy, super::host::SEED);
        let mut secrets = |variable: &str| environment.iter().find(|(name, _)| name == variable).map(|(_, value)| value.clone());
        let core = faces::Recorded::start(GatewayId(1), policy, &mut secrets, &mut inputs, &record).expect("its secrets are there");
        Self { core, record, host, randomness, peer, store, now: 0, next: 2, counts: BTreeMap::new() }
    }

    /// Another gateway, which finds no secret.
    pub(crate) fn start_another(&mut self, policy: &str, record: &Record) -> Result<faces::Recorded, SecretUnavailable> {
        let Self { host, randomness, peer, store, .. } = self;
        let mut inputs = Inputs { now: 0, monotonic: 0, entropy: randomness, peer, store, signatures: &mut Verifier(*host) };
        faces::Recorded::start(GatewayId(1), policy, &mut |_: &str| None, &mut inputs, record)
    }

    /// What is known of whoever sends the next requests.
    pub(crate) fn know(&mut self, facts: Facts) {
        self.peer.facts = facts;
    }

    /// Another record of what is said beside this gateway.
    pub(crate) const fn record(&self) -> &Record {
        &self.record
    }

    /// What follows may be more than a proxy can tell a module.
    pub(crate) fn go_beyond_modules(&self) {
        self.record.go_beyond_modules();
    }

    /// What has been said to the core.
    pub(crate) fn said(&self) -> Conversation {
        self.record.so_far()
    }

    pub(crate) const fn set_clock(&mut self, now: i64) {
        self.now = now;
    }

    /// Time passes.
    pub(crate) const fn pass(&mut self, nanoseconds: i64) {
        self.now += nanoseconds;
    }

    pub(crate) fn open(&self, id: ExchangeId) -> tracegate::Exchange {
        self.core.open(id)
    }

    pub(crate) fn with<T>(&mut self, run: impl FnOnce(&mut faces::Recorded, &mut Inputs<'_>) -> T) -> T {
        let Self { core, host, randomness, peer, store, now, .. } = self;
        let monotonic = u64::try_from(*now).expect("it is after 1970");
        let (entropy, signatures) = (randomness, &mut Verifier(*host));
        run(core, &mut Inputs { now: *now, monotonic, entropy, peer, store, signatures })
    }

    /// A request as it was recorded, and its response.
    pub(crate) fn exchange(&mut self, recorded: &Recorded) -> Outcome {
        self.now = replay::clock(recorded);
        self.peer.facts = replay::facts(recorded);
        let Facts { request_size, response_size, .. } = self.peer.facts;
        let mut exchange = self.core.open(ExchangeId(self.next));
        self.next += 1;
        let request = replay::head(&recorded.request);
        let Step { verdict, effects, properties } =
            self.with(|core, inputs| core.step(&mut exchange, Event::Request(Headers::new(&lent(&request))), inputs));
        assert!(effects.is_empty(), "nothing in these policies is asked about a request");
        let traced = properties.iter().any(|property| property.name == "tracegate.trace_id" && !property.value.is_empty());
        let (refused, response) = match &verdict {
            Verdict::Continue(_) => (None, answer(recorded.response.status, recorded.response.headers.clone())),
            Verdict::Refuse(refusal) => {
                let mut head = HeaderMap::new(Part::Response);
                refusal.headers().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
                (Some(refusal.reason()), answer(refusal.status(), head))
            }
            Verdict::Wait => panic!("nothing in these policies is waited for"),
        };
        if refused.is_none() {
            // The upstream takes a few milliseconds.
            self.now += 1_000_000 * i64::from(2 + self.next % 7);
        }
        if exchange.awaits_response(self.core.core()) {
            let _ = self.with(|core, inputs| core.step(&mut exchange, Event::Response(Headers::new(&lent(&response))), inputs));
        }
        if exchange.awaits_close(self.core.core()) {
            let totals = Totals { request_bytes: request_size.unwrap_or(0), response_bytes: response_size.unwrap_or(0) };
            let totals = if exchange.reads_totals(self.core.core()) { totals } else { Totals::default() };
            let _ = self.with(|core, inputs| core.step(&mut exchange, Event::Closed(totals), inputs));
        }
        Outcome { refused, traced, exports: self.tick() }
    }

    /// Ticks, and tells how often something left then.
    fn tick(&mut self) -> usize {
        let woken = self.with(faces::Recorded::tick);
        self.drain();
        // No service is quicker.
        self.now += 1000;
        let answer = [Header { name: b":status", value: b"200" }];
        let silent = self.host == Host::Silent;
        for effect in woken.effects.iter().filter(|_| !silent) {
            let reply = Ok(Reply { headers: Headers::new(&answer), body: b"" });
            let woken = self.with(|core, inputs| core.reply(effect.call(), reply, inputs));
            assert!(woken.effects.is_empty() && woken.wake.is_empty());
        }
        woken.effects.len()
    }

    /// Takes what has been counted, as the module does after each tick.
    pub(crate) fn drain(&mut self) {
        for (name, by) in self.core.drain().counts {
            *self.counts.entry(name).or_default() += by;
        }
    }

    /// Ends the gateway, whose counts these are.
    pub(crate) fn end(mut self) -> Counts {
        self.with(faces::Recorded::end);
        self.drain();
        self.counts
    }
}

fn answer(status: u16, mut head: HeaderMap) -> HeaderMap {
    head.add(b":status", status.to_string().as_bytes());
    head
}

fn lent(head: &HeaderMap) -> Vec<Header<'_>> {
    head.iter().map(|line| Header { name: &line.name, value: &line.value }).collect()
}
