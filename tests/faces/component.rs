// SPDX-License-Identifier: Apache-2.0
//! The component, lent what the native core was lent.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tracegate::{Entropy, EntropyUnavailable, Expected, HostSignatures, Inputs, Peer, PeerFact, Store, StoreError, Stored};
use tracegate_harness::component::{self, Edge, Exchange, Gateway, Lend, Level, wit};
use tracegate_harness::module;

use super::bytes::Bytes;
use super::said::{Answer, Awaits, Call, Compiled, Decided, Drained, Edit, Failed, Failure, Finding, Heard, Said, Told};
use super::turn::{self, Ask, Conversation, Turn};

/// The component of this checkout.
#[derive(Debug)]
pub(super) struct Component(component::Component);

impl Component {
    pub(super) fn build() -> Self {
        let wasm = std::fs::read(module::build_component().expect("the component builds")).expect("it has been built");
        Self(component::Component::compile(&wasm).expect("it is a component"))
    }

    /// Holds it to a conversation.
    #[track_caller]
    pub(super) fn agree(&self, conversation: &Conversation) {
        let script = Rc::new(RefCell::new(Script::default()));
        let mut instance = Instance {
            edge: self.0.start(Lent::new(&script)).expect("it is for our world"),
            gateways: BTreeMap::new(),
            exchanges: BTreeMap::new(),
        };
        for turn in conversation {
            *script.borrow_mut() = Script { turn: Some(turn.clone()), ..Script::default() };
            let heard = instance.say(&turn.said);
            let Script { asked, log, wrong, .. } = script.take();
            assert_eq!(wrong, None, "the component asks for something else in {:?}", turn.said);
            assert_eq!(asked, turn.asks.len(), "the component asks for less in {:?}", turn.said);
            assert_eq!(heard, turn.heard, "the component answers something else to {:?}", turn.said);
            assert_eq!(log, turn.log, "the component logs something else in {:?}", turn.said);
        }
        // What is left ends without a trap, whoever else is asked then.
        for gateway in instance.gateways.into_values() {
            instance.edge.drop_gateway(gateway).expect("a gateway can be dropped before its exchanges");
        }
        for exchange in instance.exchanges.into_values() {
            instance.edge.drop_exchange(exchange).expect("an exchange can be dropped at any time");
        }
    }
}

struct Instance {
    edge: Edge<Lent>,
    gateways: BTreeMap<u32, Gateway>,
    exchanges: BTreeMap<u32, Exchange>,
}

impl Instance {
    fn say(&mut self, said: &Said) -> Heard {
        let Self { edge, gateways, exchanges } = self;
        match said {
            Said::Compile { policy } => Heard::Compiled(match edge.compile(policy).expect("no trap") {
                Ok(compiled) => Compiled {
                    findings: findings(edge.warnings(compiled).expect("no trap")),
                    fingerprint: Some(edge.fingerprint(compiled).expect("no trap")),
                    clusters: edge.clusters(compiled).expect("no trap"),
                    variables: edge.variables(compiled).expect("no trap"),
                },
                Err(errors) => Compiled { findings: findings(errors), ..Compiled::default() },
            }),
            Said::Start { gateway: id, policy } => {
                let compiled = edge.compile(policy).expect("no trap").expect("the native core compiles it");
                let started = edge.run(compiled, *id).expect("no trap");
                edge.drop_policy(compiled).expect("no trap");
                let error = started.map(|gateway| gateways.insert(*id, gateway)).err();
                Heard::Started { error }
            }
            Said::Open { gateway, exchange } => {
                let opened = edge.open(gateways[gateway], *exchange).expect("no trap");
                exchanges.insert(*exchange, opened);
                Heard::Done
            }
            Said::Step { exchange, event } => {
                let exchange = exchanges[exchange];
                let wit::Step { verdict, calls, properties } = edge.step(exchange, &self::event(event)).expect("no trap");
                let component::Awaits { response, status, cancellation, close, totals } = edge.awaits(exchange).expect("no trap");
                Heard::Step {
                    verdict: decided(verdict),
                    calls: self::calls(calls),
                    properties: properties.into_iter().map(|wit::Property { name, value }| (name, value)).collect(),
                    awaits: Awaits { response, status, cancellation, close, totals },
                }
            }
            Said::Drop { exchange } => {
                let exchange = exchanges.remove(exchange).expect("it was opened");
                edge.drop_exchange(exchange).expect("no trap");
                Heard::Done
            }
            Said::Tick { gateway } => {
                let gateway = gateways[gateway];
                let woken = edge.tick(gateway).expect("no trap");
                self.woken(woken, gateway)
            }
            Said::Reply { gateway, call, answer } => {
                let gateway = gateways[gateway];
                let woken = edge.reply(gateway, *call, &self::answer(answer)).expect("no trap");
                self.woken(woken, gateway)
            }
            Said::Drain { gateway } => {
                let gateway = gateways[gateway];
                let counts = edge.drain_counts(gateway).expect("no trap");
                let changes = edge.drain_changes(gateway).expect("no trap");
                let samples = edge.drain_samples(gateway).expect("no trap");
                Heard::Drained(Drained {
                    counts: counts.into_iter().map(|wit::Count { name, by }| (name, by)).collect(),
                    changes: changes.into_iter().map(|wit::Change { name, by }| (name, by)).collect(),
                    samples: samples.into_iter().map(|wit::Sample { name, milliseconds }| (name, milliseconds)).collect(),
                })
            }
            Said::End { gateway } => {
                let calls = edge.end(gateways[gateway]).expect("no trap");
                edge.ended(gateways[gateway]).expect("no trap");
                Heard::Ended { calls: self::calls(calls) }
            }
        }
    }

    fn woken(&mut self, wit::Woken { calls, wake }: wit::Woken, gateway: Gateway) -> Heard {
        let is_urgent = self.edge.is_urgent(gateway).expect("no trap");
        Heard::Woken { calls: self::calls(calls), wake, is_urgent }
    }
}

fn findings(findings: Vec<wit::Finding>) -> Vec<Finding> {
    let finding = |wit::Finding { severity, at, path, message }| Finding {
        severity: if severity == wit::Severity::Error { "error" } else { "warning" }.to_owned(),
        line: usize::try_from(at.line).expect("texts are short"),
        column: usize::try_from(at.column).expect("lines are short"),
        path,
        message,
    };
    findings.into_iter().map(finding).collect()
}

fn lines(lines: &[(Bytes, Bytes)]) -> Vec<wit::Header> {
    lines.iter().map(|(name, value)| wit::Header { name: name.0.clone(), value: value.0.clone() }).collect()
}

fn event(event: &Told) -> wit::Event {
    match event {
        Told::Request(headers) => wit::Event::Request(lines(headers)),
        Told::Wake(headers) => wit::Event::Wake(lines(headers)),
        Told::Trailers(headers) => wit::Event::Trailers(lines(headers)),
        Told::Response(headers) => wit::Event::Response(lines(headers)),
        Told::Cancelled(headers) => wit::Event::Cancelled(lines(headers)),
        Told::HostFailed(failure) => wit::Event::HostFailed(match failure {
            Failure::HeadNotEdited => wit::HostFailure::HeadNotEdited,
            Failure::NotContinued => wit::HostFailure::NotContinued,
            Failure::TrailersUnreadable => wit::HostFailure::TrailersUnreadable,
            Failure::TrailersWithoutHead => wit::HostFailure::TrailersWithoutHead,
            Failure::TrailersNotEdited => wit::HostFailure::TrailersNotEdited,
        }),
        Told::Closed { request_bytes, response_bytes } => {
            wit::Event::Closed(wit::Totals { request_bytes: *request_bytes, response_bytes: *response_bytes })
        }
    }
}

fn answer(answer: &Answer) -> Result<wit::Reply, wit::CallFailed> {
    match answer {
        Answer::Reply { headers, body } => Ok(wit::Reply { headers: lines(headers), body: body.0.clone() }),
        Answer::Failed(Failed::Refused) => Err(wit::CallFailed::Refused),
        Answer::Failed(Failed::TimedOut) => Err(wit::CallFailed::TimedOut),
        Answer::Failed(Failed::Disconnected) => Err(wit::CallFailed::Disconnected),
        Answer::Failed(Failed::Status(status)) => Err(wit::CallFailed::Status(*status)),
    }
}

fn decided(verdict: wit::Verdict) -> Decided {
    match verdict {
        wit::Verdict::Continue(edits) => Decided::Continue(edits.into_iter().map(edit).collect()),
        wit::Verdict::Refuse(wit::Refusal { status, reason, headers, body }) => Decided::Refuse { status, reason, headers, body },
        wit::Verdict::Wait => Decided::Wait,
    }
}

fn edit(edit: wit::HeaderEdit) -> Edit {
    match edit {
        wit::HeaderEdit::Replace(wit::Header { name, value }) => Edit::Replace { name: Bytes(name), value: Bytes(value) },
        wit::HeaderEdit::Remove(name) => Edit::Remove(name),
    }
}

fn calls(calls: Vec<wit::Call>) -> Vec<Call> {
    calls.into_iter().map(call).collect()
}

fn call(call: wit::Call) -> Call {
    match call {
        wit::Call::Fetch(wit::Fetch { call, cluster, scheme, authority, path, headers, timeout, max_body }) => {
            Call::Fetch { call, cluster, scheme, authority, path, headers, timeout, max_body }
        }
        wit::Call::CheckRateLimit(wit::RateLimitCall { call, cluster, message, awaited, timeout }) => {
            Call::CheckRateLimit { call, cluster, message: Bytes(message), awaited, timeout }
        }
        wit::Call::Export(wit::ExportCall { call, cluster, scheme, authority, path, headers, body, timeout }) => {
            Call::Export { call, cluster, scheme, authority, path, headers, body: Bytes(body), timeout }
        }
    }
}

/// What the native core was lent in the turn at hand, in its order.
#[derive(Debug, Default)]
struct Script {
    turn: Option<Turn>,
    /// How much has been asked.
    asked: usize,
    log: Vec<(bool, String)>,
    /// The first question that the native core didn't ask, and what it asked then.
    wrong: Option<(Ask, Option<Ask>)>,
}

impl Script {
    /// The answer to this question, which holds no answer yet.
    fn ask(&mut self, question: &Ask) -> Option<Ask> {
        let turn = self.turn.as_ref()?;
        let known = turn.asks.get(self.asked).cloned();
        self.asked += 1;
        if known.as_ref().map(unanswered).as_ref() == Some(question) {
            return known;
        }
        self.wrong.get_or_insert_with(|| (question.clone(), known));
        None
    }
}

/// The question alone.
fn unanswered(ask: &Ask) -> Ask {
    let mut question = ask.clone();
    match &mut question {
        Ask::Random { answer, .. } | Ask::Peer { answer, .. } | Ask::RouteMetadata { answer, .. } => *answer = None,
        Ask::Environment { answer, .. } => *answer = None,
        Ask::Get { answer, .. } => *answer = None,
        Ask::Set { answer, .. } => *answer = None,
        Ask::Verify { answer, .. } => *answer = None,
    }
    question
}

/// A part of the host that keeps to the script.
#[derive(Debug)]
struct Part(Rc<RefCell<Script>>);

#[derive(Debug)]
struct Lent {
    script: Rc<RefCell<Script>>,
    entropy: Part,
    peer: Part,
    store: Part,
    signatures: Part,
}

impl Lent {
    fn new(script: &Rc<RefCell<Script>>) -> Self {
        let part = || Part(Rc::clone(script));
        Self { script: Rc::clone(script), entropy: part(), peer: part(), store: part(), signatures: part() }
    }
}

impl Lend for Lent {
    fn inputs(&mut self) -> Inputs<'_> {
        let (now, monotonic) = self.script.borrow().turn.as_ref().map_or((0, 0), |turn| (turn.now, turn.monotonic));
        let Self { entropy, peer, store, signatures, .. } = self;
        Inputs { now, monotonic, entropy, peer, store, signatures }
    }

    fn environment(&mut self, variable: &str) -> Option<String> {
        let question = Ask::Environment { variable: variable.to_owned(), answer: None };
        match self.script.borrow_mut().ask(&question)? {
            Ask::Environment { answer, .. } => answer,
            _ => None,
        }
    }

    fn log(&mut self, level: Level, line: &str) {
        self.script.borrow_mut().log.push((level == Level::Warning, line.to_owned()));
    }
}

impl Entropy for Part {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        match self.0.borrow_mut().ask(&Ask::Random { length: bytes.len(), answer: None }) {
            Some(Ask::Random { answer: Some(Bytes(answer)), .. }) => bytes.copy_from_slice(&answer),
            _ => return Err(EntropyUnavailable),
        }
        Ok(())
    }
}

impl Peer for Part {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        match self.0.borrow_mut().ask(&Ask::Peer { fact: turn::fact(fact), answer: None })? {
            Ask::Peer { answer, .. } => answer.map(|Bytes(answer)| answer),
            _ => None,
        }
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        match self.0.borrow_mut().ask(&Ask::RouteMetadata { key: key.to_owned(), answer: None })? {
            Ask::RouteMetadata { answer, .. } => answer.map(|Bytes(answer)| answer),
            _ => None,
        }
    }
}

impl Store for Part {
    fn get(&mut self, name: &str) -> Option<Stored> {
        match self.0.borrow_mut().ask(&Ask::Get { name: name.to_owned(), answer: None })? {
            Ask::Get { answer, .. } => answer.map(|(Bytes(value), version)| Stored { value, version }),
            _ => None,
        }
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let (name, value, expected) = (name.to_owned(), value.into(), turn::expected(expected));
        match self.0.borrow_mut().ask(&Ask::Set { name, value, expected, answer: None }) {
            Some(Ask::Set { answer: None, .. }) => Ok(()),
            Some(Ask::Set { answer: Some("conflict"), .. }) => Err(StoreError::Conflict),
            _ => Err(StoreError::Unavailable),
        }
    }
}

impl HostSignatures for Part {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let question = Ask::Verify { hash: hash.to_owned(), key: key.into(), signature: signature.into(), text: text.into(), answer: None };
        match self.0.borrow_mut().ask(&question)? {
            Ask::Verify { answer, .. } => answer,
            _ => None,
        }
    }
}
