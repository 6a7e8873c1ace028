// SPDX-License-Identifier: Apache-2.0
//! A gateway around the native core: it does what the module and its host do. All that is said to the core is held against the other faces.

use std::collections::BTreeMap;

use tracegate::quota::Totals;
use tracegate::{
    Effect, Event, ExchangeId, GatewayId, Header, HeaderEdit, HeaderEdits, Headers, Inputs, NoSignatures, Reply, Step, Verdict,
};
use tracegate_harness::host::{Facts, HeaderMap};
use tracegate_harness::recording::Recorded;
use tracegate_harness::{keys, replay};
use tracegate_tests::faces::{self, Conversation, Record};

use super::host::{Host, Known, Randomness, Values};
use super::outcome::{self, Outcome};

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

/// What has been counted, by name.
pub(crate) type Counts = BTreeMap<String, u64>;

impl Native {
    pub(crate) fn start(policy: &str, host: Host) -> Self {
        let record = Record::default();
        let (mut randomness, mut peer) = (Randomness::new(host), Known { facts: Facts::default(), host });
        let mut store = Values::new(host);
        let mut inputs =
            Inputs { now: 0, monotonic: 0, entropy: &mut randomness, peer: &mut peer, store: &mut store, signatures: &mut NoSignatures };
        let environment = keys::environment(&tracegate::Policy::from_json(policy.as_bytes()).expect("it is one").policy, super::host::SEED);
        let mut secrets = |variable: &str| environment.iter().find(|(name, _)| name == variable).map(|(_, value)| value.clone());
        let core = faces::Recorded::start(GatewayId(1), policy, &mut secrets, &mut inputs, &record).expect("its secrets are there");
        Self { core, record, host, randomness, peer, store, now: 0, next: 2, counts: BTreeMap::new() }
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
        let Self { core, randomness, peer, store, now, .. } = self;
        let monotonic = u64::try_from(*now).expect("it is after 1970");
        let (entropy, signatures) = (randomness, &mut NoSignatures);
        run(core, &mut Inputs { now: *now, monotonic, entropy, peer, store, signatures })
    }

    /// A request as it was recorded, and its response.
    pub(crate) fn exchange(&mut self, recorded: &Recorded) -> Outcome {
        self.now = replay::clock(recorded);
        self.peer.facts = replay::facts(recorded);
        let totals =
            Totals { request_bytes: self.peer.facts.request_size.unwrap_or(0), response_bytes: self.peer.facts.response_size.unwrap_or(0) };
        let mut exchange = self.core.open(ExchangeId(self.next));
        self.next += 1;
        let mut request = replay::head(&recorded.request);
        let Step { verdict, effects, properties } =
            self.with(|core, inputs| core.step(&mut exchange, Event::Request(Headers::new(&lent(&request))), inputs));
        assert!(effects.is_empty(), "nothing in these policies is asked about a request");
        let properties = properties.into_iter().map(|property| (property.name.as_bytes().to_vec(), property.value.into_bytes())).collect();
        let mut outcome = Outcome { properties, ..Outcome::default() };
        let mut response = recorded.response.headers.clone();
        match &verdict {
            Verdict::Continue(edits) => {
                edit(&mut request, edits);
                outcome.upstream = Some(outcome::lines(&request));
                outcome.status = recorded.response.status;
                response.add(b":status", outcome.status.to_string().as_bytes());
            }
            Verdict::Refuse(refusal) => {
                outcome.status = refusal.status();
                outcome.body = refusal.body().into_bytes();
                outcome.reason = refusal.reason().as_str().to_owned();
                let lines = refusal.headers().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
                outcome.response = lines.collect();
            }
            Verdict::Wait => panic!("nothing in these policies is waited for"),
        }
        if exchange.awaits_response(self.core.core()) {
            let status = if exchange.reads_response(self.core.core()) { outcome.status.to_string() } else { String::new() };
            let lines = [Header { name: b":status", value: status.as_bytes() }];
            let step = self.with(|core, inputs| core.step(&mut exchange, Event::Response(Headers::new(&lines)), inputs));
            if let Verdict::Continue(edits) = &step.verdict {
                edit(&mut response, edits);
            }
        }
        if outcome.upstream.is_some() {
            outcome.response = outcome::lines(&response);
        }
        if exchange.awaits_close(self.core.core()) {
            let totals = if exchange.reads_totals(self.core.core()) { totals } else { Totals::default() };
            let _ = self.with(|core, inputs| core.step(&mut exchange, Event::Closed(totals), inputs));
        }
        outcome.exported = self.tick();
        outcome
    }

    /// Ticks, and tells what leaves then.
    fn tick(&mut self) -> Vec<Vec<u8>> {
        let woken = self.with(faces::Recorded::tick);
        self.drain();
        let exports = woken.effects.into_iter().map(|effect| match effect {
            Effect::Export(export) => export,
            other => panic!("nothing in these policies asks for {other:?}"),
        });
        let exports: Vec<_> = exports.collect();
        // No service is quicker.
        self.now += 1000;
        let answer = [Header { name: b":status", value: b"200" }];
        let silent = self.host == Host::Silent;
        for export in exports.iter().filter(|_| !silent) {
            let reply = Ok(Reply { headers: Headers::new(&answer), body: b"" });
            let woken = self.with(|core, inputs| core.reply(export.call, reply, inputs));
            assert!(woken.effects.is_empty() && woken.wake.is_empty());
        }
        exports.into_iter().map(|export| export.body.to_vec()).collect()
    }

    fn drain(&mut self) {
        for (name, by) in self.core.drain().counts {
            *self.counts.entry(name).or_default() += by;
        }
    }

    /// Ends the gateway: what it sends then, and what it has counted.
    pub(crate) fn end(mut self) -> (Vec<Vec<u8>>, Counts) {
        let effects = self.with(faces::Recorded::end);
        self.drain();
        let bodies = effects.into_iter().filter_map(|effect| match effect {
            Effect::Export(export) => Some(export.body.to_vec()),
            _ => None,
        });
        (bodies.collect(), self.counts)
    }
}

fn lent(head: &HeaderMap) -> Vec<Header<'_>> {
    head.iter().map(|line| Header { name: &line.name, value: &line.value }).collect()
}

fn edit(head: &mut HeaderMap, edits: &HeaderEdits) {
    for edit in edits.iter() {
        match edit {
            HeaderEdit::Replace { name, value } => head.replace(name.as_bytes(), value),
            HeaderEdit::Remove { name } => head.remove(name.as_bytes()),
        }
    }
}
