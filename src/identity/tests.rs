// SPDX-License-Identifier: Apache-2.0
//! Key sources at work: several VMs of one process, one issuer, virtual time.

mod edge;
mod forward;
mod handover;
mod interleavings;
mod lifetimes;
mod outages;
mod rules;
mod shared;
mod signatures;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::config::Policy;
use crate::effect::{Effect, ExchangeId, Fetch, GatewayId, Verdict, Woken};
use crate::event::{CallFailed, Event, Reply};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::head::{Header, Headers};
use crate::inputs::{Expected, HostSignatures, Inputs, NoSignatures, Store, StoreError, Stored, UnknownPeer};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// What the VMs of a process share.
#[derive(Debug, Default)]
struct Shared(BTreeMap<String, (Vec<u8>, u32)>);

impl Store for Shared {
    fn get(&mut self, name: &str) -> Option<Stored> {
        self.0.get(name).map(|(value, version)| Stored { value: value.clone(), version: *version })
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let there = self.0.get(name).map(|(_, version)| *version);
        match (expected, there) {
            (Expected::Absent, Some(_)) => return Err(StoreError::Conflict),
            (Expected::Version(expected), Some(version)) if expected != version => return Err(StoreError::Conflict),
            _ => {}
        }
        self.0.insert(name.to_owned(), (value.to_vec(), there.unwrap_or(0) + 1));
        Ok(())
    }
}

/// An issuer's key by its id: each id has a key of its own.
fn key(id: &str) -> SigningKey {
    let mut seed = [7; 32];
    for (place, byte) in seed.iter_mut().zip(id.bytes()) {
        *place = byte;
    }
    SigningKey::from_bytes(&seed)
}

fn key_set(ids: &[&str]) -> String {
    let key = |id: &&str| {
        let x = URL_SAFE_NO_PAD.encode(key(id).verifying_key().as_bytes());
        format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"}}"#)
    };
    format!(r#"{{"keys":[{}]}}"#, ids.iter().map(key).collect::<Vec<_>>().join(","))
}

/// A token that counts for the first hour, signed by this key.
fn token(id: &str) -> String {
    token_until(id, 3600)
}

fn token_until(id: &str, expires: u64) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{id}"}}"#));
    let claims = format!(r#"{{"iss":"https://id.shop.example/","aud":"orders-api","exp":{expires}}}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key(id).sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fn policy(keys: &str) -> Policy {
    let text = format!(
        r#"{{"schema":1,"service":{{"name":"edge"}},"default":{{"action":"refuse"}},
        "identity":{{"providers":{{"customers":{{"jwt":{{"issuer":"https://id.shop.example/","audiences":["orders-api"],
            "algorithms":["EdDSA"],"clock_skew":"0s","keys":{keys}}}}}}}}},
        "routes":[{{"name":"all","rules":[{{"name":"who","require":{{"caller":{{"provider":"customers"}}}}}}]}}]}}"#
    );
    Policy::from_json(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).policy
}

fn jwks(more: &str) -> String {
    format!(r#"{{"jwks":{{"uri":"https://id.shop.example/jwks.json","cluster":"idp"{more}}}}}"#)
}

/// A process: VMs that share data, the fetches that are under way, and the time.
struct Process {
    now: u64,
    shared: Shared,
    vms: Vec<Vm>,
    fetches: Vec<(usize, Fetch)>,
    /// How many fetches there have been in all.
    fetched: usize,
    notes: Vec<String>,
    next: u32,
}

struct Vm {
    gateway: Gateway,
    waiting: BTreeMap<ExchangeId, (Exchange, String)>,
    /// What became of requests, in order.
    decided: Vec<String>,
    alive: bool,
}

impl Process {
    fn new(policy: &Policy, vms: usize) -> Self {
        let vm = |index: usize| {
            let gateway = Gateway::new(GatewayId(u32::try_from(index).unwrap()), policy.clone());
            Vm { gateway, waiting: BTreeMap::new(), decided: vec![], alive: true }
        };
        let vms = (0..vms).map(vm).collect();
        Self { now: SECOND, shared: Shared::default(), vms, fetches: vec![], fetched: 0, notes: vec![], next: 0 }
    }

    /// A process whose VMs have these keys.
    fn with_keys(policy: &Policy, vms: usize, ids: &[&str]) -> Self {
        let mut process = Self::new(policy, vms);
        process.tick();
        process.answer(200, &key_set(ids));
        process.tick();
        assert_eq!(process.fetched, 1);
        process
    }

    fn with<T>(&mut self, vm: usize, run: impl FnOnce(&mut Vm, &mut Inputs<'_>) -> T) -> T {
        self.with_host(vm, &mut NoSignatures, run)
    }

    fn with_host<T>(&mut self, vm: usize, signatures: &mut dyn HostSignatures, run: impl FnOnce(&mut Vm, &mut Inputs<'_>) -> T) -> T {
        let mut entropy = |bytes: &mut [u8]| {
            bytes.fill(7);
            Ok(())
        };
        let (now, monotonic) = (i64::try_from(self.now).unwrap(), self.now);
        let store = &mut self.shared;
        let mut inputs = Inputs { now, monotonic, entropy: &mut entropy, peer: &mut UnknownPeer, store, signatures };
        run(&mut self.vms[vm], &mut inputs)
    }

    /// Sends a request with this token to a VM: what became of it, `wait` for one that waits.
    fn request(&mut self, vm: usize, token: &str) -> String {
        self.next += 1;
        let id = ExchangeId(self.next);
        self.with(vm, |vm, inputs| {
            let exchange = vm.gateway.open(id);
            vm.step(exchange, token.to_owned(), true, inputs);
            if vm.waiting.contains_key(&id) { "wait".to_owned() } else { vm.decided.pop().unwrap() }
        })
    }

    /// Every VM's clock ticks.
    fn tick(&mut self) {
        for vm in 0..self.vms.len() {
            if self.vms[vm].alive {
                let woken = self.with(vm, |vm, inputs| vm.gateway.tick(inputs));
                self.follow(vm, woken);
            }
        }
    }

    /// Lets time pass, with a tick every so often.
    fn pass(&mut self, time: u64, every: u64) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + every).min(end);
            self.tick();
        }
    }

    fn follow(&mut self, vm: usize, Woken { effects, wake, notes }: Woken) {
        self.notes.extend(notes.into_iter().map(|(_, note)| note));
        for fetch in effects.into_iter().map(fetch) {
            self.fetched += 1;
            self.fetches.push((vm, fetch));
        }
        for id in wake {
            self.with(vm, |vm, inputs| {
                let (exchange, token) = vm.waiting.remove(&id).expect("who is woken waits");
                vm.step(exchange, token, false, inputs);
            });
        }
    }

    /// Answers the fetch that is under way.
    fn answer(&mut self, status: u16, body: &str) {
        self.answer_with(&[(":status", &status.to_string())], body);
    }

    fn answer_with(&mut self, lines: &[(&str, &str)], body: &str) {
        let lines: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        self.conclude(Ok(Reply { headers: Headers::new(&lines), body: body.as_bytes() }));
    }

    fn conclude(&mut self, answer: Result<Reply<'_>, CallFailed>) {
        let (vm, fetch) = self.fetches.remove(0);
        if self.vms[vm].alive {
            let woken = self.with(vm, |vm, inputs| vm.gateway.reply(fetch.call, answer, inputs));
            self.follow(vm, woken);
        }
    }

    /// What became of the requests that have waited, in order, of all VMs.
    fn decided(&mut self) -> Vec<String> {
        self.vms.iter_mut().flat_map(|vm| std::mem::take(&mut vm.decided)).collect()
    }
}

impl Vm {
    fn step(&mut self, mut exchange: Exchange, token: String, first: bool, inputs: &mut Inputs<'_>) {
        let authorization = format!("Bearer {token}");
        let lines = [(":method", "GET"), (":path", "/orders"), ("authorization", authorization.as_str())]
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
        let headers = Headers::new(&lines);
        let event = if first { Event::Request(headers) } else { Event::Wake(headers) };
        match exchange.step(&mut self.gateway, event, inputs).verdict {
            Verdict::Continue(_) => self.decided.push("admitted".to_owned()),
            Verdict::Refuse(refusal) => self.decided.push(format!("{} {}", refusal.status(), refusal.reason().as_str())),
            Verdict::Wait => drop(self.waiting.insert(exchange.id(), (exchange, token))),
        }
    }

    /// What has been counted, by name.
    fn counted(&mut self, name: &str) -> u64 {
        let names = self.gateway.counter_names();
        let count = self.gateway.drain_counts().find(|(index, _)| names[*index] == name);
        count.map_or(0, |(_, count)| count)
    }
}

/// What is to be fetched: identity asks for nothing else.
fn fetch(effect: Effect) -> crate::effect::Fetch {
    let Effect::Fetch(fetch) = effect else { panic!("{effect:?}") };
    fetch
}
