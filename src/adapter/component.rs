// SPDX-License-Identifier: Apache-2.0
//! The component face: `wit/world.wit`, for hosts of the component model. A component is never entered while it runs, so
//! no cell below is borrowed twice.
#![expect(unsafe_code, reason = "wit-bindgen generates exports and imports, which are unsafe by nature")]

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::{Finding, Findings, Severity};
use crate::event::{CallFailed, HostFailure, Reply};
use crate::head::{self, Headers};
use crate::inputs::{EntropyUnavailable, Expected, HostSignatures, Peer, PeerFact, Store, StoreError, Stored};
use crate::quota::Totals;
use crate::secret::SecretUnavailable;
use crate::{CallId, Effect, ExchangeId, Export, Fetch, GatewayId, Inputs, NoteOf, Policy, RateLimitCall};
use bindings::exports::tracegate::policy::policy as wit;
use bindings::tracegate::policy::{clocks, peer, random, secrets, signatures, store};

#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ world: "edge-policy", path: "wit" });
    use super::Component;
    export!(Component with_types_in self);
}

struct Component;

impl wit::Guest for Component {
    type Gateway = Gateway;
    type Exchange = Exchange;
}

struct Gateway(Rc<RefCell<crate::Gateway>>);

struct Exchange {
    gateway: Rc<RefCell<crate::Gateway>>,
    exchange: RefCell<crate::Exchange>,
}

impl wit::GuestGateway for Gateway {
    fn load(id: u32, policy: String) -> Result<wit::Gateway, Vec<wit::Finding>> {
        let loaded = Policy::from_json(policy.as_bytes()).map_err(|findings| self::findings(&findings))?;
        let mut gateway = crate::Gateway::new(GatewayId(id), loaded.policy);
        let provided = gateway.provide(&mut |variable: &str| secrets::environment(variable));
        provided.map_err(|error| vec![unavailable(&error)])?;
        with_inputs(|inputs| gateway.prove(inputs));
        Ok(wit::Gateway::new(Self(Rc::new(RefCell::new(gateway)))))
    }

    fn open(&self, id: u32) -> wit::Exchange {
        let exchange = RefCell::new(self.0.borrow().open(ExchangeId(id)));
        wit::Exchange::new(Exchange { gateway: Rc::clone(&self.0), exchange })
    }

    fn tick(&self) -> wit::Woken {
        let mut gateway = self.0.borrow_mut();
        let woken = with_inputs(|inputs| gateway.tick(inputs));
        self::woken(woken, gateway.policy())
    }

    fn reply(&self, call: u64, answer: Result<wit::Reply, wit::CallFailed>) -> wit::Woken {
        let mut gateway = self.0.borrow_mut();
        let call = CallId { gateway: gateway.id(), serial: call };
        let lines = answer.as_ref().map(|reply| self::lines(&reply.headers)).unwrap_or_default();
        let answer = match &answer {
            Ok(reply) => Ok(Reply { headers: Headers::new(&lines), body: &reply.body }),
            Err(wit::CallFailed::Refused) => Err(CallFailed::Refused),
            Err(wit::CallFailed::TimedOut) => Err(CallFailed::TimedOut),
            Err(wit::CallFailed::Disconnected) => Err(CallFailed::Disconnected),
            Err(wit::CallFailed::Status(status)) => Err(CallFailed::Status(*status)),
        };
        let woken = with_inputs(|inputs| gateway.reply(call, answer, inputs));
        self::woken(woken, gateway.policy())
    }

    fn end(&self) -> Vec<wit::Call> {
        let mut gateway = self.0.borrow_mut();
        with_inputs(|inputs| gateway.end(inputs)).into_iter().map(call).collect()
    }

    fn ended(&self) {
        self.0.borrow_mut().ended();
    }

    fn is_urgent(&self) -> bool {
        self.0.borrow().is_urgent(clocks::monotonic())
    }

    fn drain_lines(&self) -> Vec<String> {
        self.0.borrow_mut().drain_lines()
    }

    fn drain_counts(&self) -> Vec<wit::Count> {
        let mut gateway = self.0.borrow_mut();
        let names = gateway.counter_names();
        gateway.drain_counts().filter_map(|(index, by)| Some(wit::Count { name: names.get(index)?.clone(), by })).collect()
    }

    fn fingerprint(&self) -> String {
        self.0.borrow().policy().fingerprint.to_string()
    }
}

impl wit::GuestExchange for Exchange {
    fn step(&self, event: wit::Event) -> wit::Step {
        let lines = match &event {
            wit::Event::Request(lines) | wit::Event::Wake(lines) | wit::Event::Trailers(lines) | wit::Event::Response(lines) => {
                self::lines(lines)
            }
            wit::Event::HostFailed(_) | wit::Event::Closed(_) => Vec::new(),
        };
        let event = match &event {
            wit::Event::Request(_) => crate::Event::Request(Headers::new(&lines)),
            wit::Event::Wake(_) => crate::Event::Wake(Headers::new(&lines)),
            wit::Event::Trailers(_) => crate::Event::Trailers(Headers::new(&lines)),
            wit::Event::Response(_) => crate::Event::Response(Headers::new(&lines)),
            wit::Event::HostFailed(failure) => crate::Event::HostFailed(host_failure(*failure)),
            wit::Event::Closed(wit::Totals { request_bytes, response_bytes }) => {
                crate::Event::Closed(Totals { request_bytes: *request_bytes, response_bytes: *response_bytes })
            }
        };
        let step = with_inputs(|inputs| self.exchange.borrow_mut().step(&mut self.gateway.borrow_mut(), event, inputs));
        wit::Step { verdict: verdict(step.verdict), calls: step.effects.into_iter().map(call).collect() }
    }

    fn awaits_response(&self) -> bool {
        self.exchange.borrow().awaits_response(&self.gateway.borrow())
    }

    fn awaits_close(&self) -> bool {
        self.exchange.borrow().awaits_close(&self.gateway.borrow())
    }

    fn reads_totals(&self) -> bool {
        self.exchange.borrow().reads_totals(&self.gateway.borrow())
    }
}

fn lines(lines: &[wit::Header]) -> Vec<head::Header<'_>> {
    lines.iter().map(|wit::Header { name, value }| head::Header { name, value }).collect()
}

const fn host_failure(failure: wit::HostFailure) -> HostFailure {
    match failure {
        wit::HostFailure::HeadNotEdited => HostFailure::HeadNotEdited,
        wit::HostFailure::NotContinued => HostFailure::NotContinued,
        wit::HostFailure::TrailersUnreadable => HostFailure::TrailersUnreadable,
        wit::HostFailure::TrailersWithoutHead => HostFailure::TrailersWithoutHead,
        wit::HostFailure::TrailersNotEdited => HostFailure::TrailersNotEdited,
    }
}

fn verdict(verdict: crate::Verdict) -> wit::Verdict {
    match verdict {
        crate::Verdict::Continue(edits) => wit::Verdict::Continue(edits.iter().map(edit).collect()),
        crate::Verdict::Refuse(refusal) => wit::Verdict::Refuse(wit::Refusal {
            status: refusal.status(),
            reason: refusal.reason().as_str().to_owned(),
            headers: refusal.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: refusal.body(),
        }),
        crate::Verdict::Wait => wit::Verdict::Wait,
    }
}

fn edit(edit: &crate::HeaderEdit) -> wit::HeaderEdit {
    match edit {
        crate::HeaderEdit::Replace { name, value } => {
            wit::HeaderEdit::Replace(wit::Header { name: name.as_bytes().to_vec(), value: value.clone() })
        }
        crate::HeaderEdit::Remove { name } => wit::HeaderEdit::Remove(name.to_string()),
    }
}

fn unavailable(error: &SecretUnavailable) -> wit::Finding {
    let at = wit::Position { line: 1, column: 1 };
    wit::Finding { warning: false, at, path: "secrets".to_owned(), message: error.to_string() }
}

fn findings(findings: &Findings) -> Vec<wit::Finding> {
    let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let finding = |Finding { severity, at, path, problem }: &Finding| wit::Finding {
        warning: *severity == Severity::Warning,
        at: wit::Position { line: number(at.line), column: number(at.column) },
        path: path.clone(),
        message: problem.to_string(),
    };
    findings.iter().map(finding).collect()
}

fn woken(crate::Woken { effects, wake, notes }: crate::Woken, policy: &Policy) -> wit::Woken {
    let note = |(about, note): (NoteOf, String)| format!("{}: {note}", about.words(policy));
    wit::Woken {
        calls: effects.into_iter().map(call).collect(),
        wake: wake.into_iter().map(|ExchangeId(id)| id).collect(),
        notes: notes.into_iter().map(note).collect(),
    }
}

fn call(effect: Effect) -> wit::Call {
    match effect {
        Effect::Fetch(fetch) => wit::Call::Fetch(self::fetch(fetch)),
        Effect::CheckRateLimit(RateLimitCall { call, cluster, message, timeout, .. }) => {
            wit::Call::CheckRateLimit(wit::RateLimitCall { call: call.serial, cluster, message, timeout })
        }
        Effect::Export(Export { call, cluster, uri, headers, body, timeout }) => {
            let crate::identity::FetchUri { scheme, authority, path } = uri;
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_str().to_owned())).collect();
            let call = call.serial;
            wit::Call::Export(wit::ExportCall {
                call,
                cluster,
                scheme: scheme.to_owned(),
                authority,
                path,
                headers,
                body: body.to_vec(),
                timeout,
            })
        }
    }
}

fn fetch(Fetch { call, cluster, uri, accept, headers, timeout, max_body }: Fetch) -> wit::Fetch {
    let crate::identity::FetchUri { scheme, authority, path } = uri;
    let more = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().to_owned()));
    let headers = std::iter::once(("accept".to_owned(), accept.to_owned())).chain(more).collect();
    let max_body = u64::try_from(max_body).unwrap_or(u64::MAX);
    wit::Fetch { call: call.serial, cluster, scheme: scheme.to_owned(), authority, path, headers, timeout, max_body }
}

/// What the host knows of the peer and of its route.
struct HostPeer;

impl Peer for HostPeer {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        peer::ask(match fact {
            PeerFact::SourceAddress => peer::Fact::SourceAddress,
            PeerFact::UriSan => peer::Fact::UriSan,
            PeerFact::DnsSan => peer::Fact::DnsSan,
            PeerFact::Subject => peer::Fact::Subject,
            PeerFact::Sha256 => peer::Fact::Sha256,
        })
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        peer::route_metadata(key)
    }
}

/// The host's store.
struct HostStore;

impl Store for HostStore {
    fn get(&mut self, name: &str) -> Option<Stored> {
        store::get(name).map(|store::Stored { value, version }| Stored { value, version })
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let expected = match expected {
            Expected::Any => store::Expected::Any,
            Expected::Absent => store::Expected::Absent,
            Expected::Version(version) => store::Expected::Version(version),
        };
        store::set(name, value, expected).map_err(|error| match error {
            store::StoreError::Conflict => StoreError::Conflict,
            store::StoreError::Unavailable => StoreError::Unavailable,
        })
    }
}

/// The host's verification of signatures.
struct Signatures;

impl HostSignatures for Signatures {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        signatures::verify(hash, key, signature, text)
    }
}

/// Lends the host's clocks, randomness, knowledge of the peer, store and verification of signatures.
fn with_inputs<T>(run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
    let mut entropy = |bytes: &mut [u8]| {
        let length = u32::try_from(bytes.len()).map_err(|_| EntropyUnavailable)?;
        let drawn = random::bytes(length).filter(|drawn| drawn.len() == bytes.len()).ok_or(EntropyUnavailable)?;
        bytes.copy_from_slice(&drawn);
        Ok(())
    };
    let (store, signatures) = (&mut HostStore, &mut Signatures);
    run(&mut Inputs { now: clocks::now(), monotonic: clocks::monotonic(), entropy: &mut entropy, peer: &mut HostPeer, store, signatures })
}
