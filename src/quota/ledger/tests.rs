// SPDX-License-Identifier: Apache-2.0
//! Several gateways, the VMs of each on one store, and one service between them all, in virtual time.

use std::collections::BTreeMap;

use super::*;
use crate::effect::{GatewayId, RateLimitCall, Verdict};
use crate::event::{Event, HostFailure};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::head::{Header, Headers};
use crate::inputs::{NoSignatures, UnknownPeer};
use crate::quota::table::tests::Memory;
use crate::{EntropyUnavailable, Policy};

mod costs;
mod leases;
mod locals;
mod services;

/// 2026-09-21T14:13:20Z, in no window's first or last second.
const START: i64 = 1_790_000_000_000_000_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1000 * MILLISECOND;

/// A machine and one of its VMs.
type Place = (usize, usize);
/// A request's header lines.
type Lines = &'static [(&'static str, &'static str)];

/// A machine: VMs that share a store.
struct Machine {
    vms: Vec<Gateway>,
    store: Memory,
}

/// Machines and their service.
struct World {
    machines: Vec<Machine>,
    service: Service,
    now: i64,
    /// Calls under way: when their answer comes, whose they are, and what it is.
    calls: Vec<(i64, Place, CallId, Option<Vec<u8>>)>,
    open: BTreeMap<(usize, usize, u32), (Exchange, Lines)>,
    next: u32,
    /// What exchanges that waited came to, by id.
    decided: BTreeMap<u32, Verdict>,
}

/// A rate-limit service as Limitador is: it takes a question's hits whole or not at all.
struct Service {
    limit: u64,
    counters: BTreeMap<Vec<u8>, u64>,
    latency: i64,
    down: bool,
    /// It says how much is left.
    tells: bool,
    /// It counts what it refuses, as Envoy's reference implementation does.
    burns: bool,
    asked: u64,
}

impl Service {
    fn answer(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        self.asked += 1;
        if self.down {
            return None;
        }
        // The hits stand last, in field 3: a byte, and a number to the end, whose bytes but the last have their first bit set.
        let is_number = |bytes: &[u8]| bytes.split_last().is_some_and(|(last, rest)| *last < 0x80 && rest.iter().all(|byte| *byte >= 0x80));
        let at = (0..message.len()).rfind(|at| message[*at] == 0x18 && is_number(&message[at + 1..])).unwrap();
        let (key, hits) = message.split_at(at);
        let hits = hits[1..].iter().rev().fold(0_u64, |sum, byte| (sum << 7) | u64::from(byte & 0x7f));
        let counter = self.counters.entry(key.to_vec()).or_default();
        let fits = *counter + hits <= self.limit;
        if fits || self.burns {
            *counter += hits;
        }
        let left = self.limit.saturating_sub(*counter);
        let mut answer = vec![8, if fits { 1 } else { 2 }];
        if self.tells {
            let number = |field: u8, number: u64| {
                let mut bytes = vec![field << 3];
                let mut rest = number;
                while rest > 0x7f {
                    bytes.push((rest & 0x7f) as u8 | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest as u8);
                bytes
            };
            let status = [number(1, if fits { 1 } else { 2 }), vec![18, 2, 8, 100], number(3, left)].concat();
            answer.extend([&[18, status.len() as u8][..], &status].concat());
        }
        Some(answer)
    }
}

const GET: &[(&str, &str)] = &[(":method", "GET"), (":path", "/"), ("x-key", "alice")];

impl World {
    fn new(quota: &str, machines: usize, vms: usize) -> Self {
        let text = format!(
            r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "refuse"}},
                "quotas": {{"q": {quota}}}, "routes": [{{"name": "all", "quotas": ["q"]}}]}}"#
        );
        let policy = Policy::from_json(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).policy;
        let machine = |_| Machine {
            vms: (0..vms).map(|id| Gateway::new(GatewayId(u32::try_from(id).unwrap()), policy.clone())).collect(),
            store: Memory::default(),
        };
        let service =
            Service { limit: 100, counters: BTreeMap::new(), latency: MILLISECOND, down: false, tells: false, burns: false, asked: 0 };
        Self {
            machines: (0..machines).map(machine).collect(),
            service,
            now: START,
            calls: Vec::new(),
            open: BTreeMap::new(),
            next: 0,
            decided: BTreeMap::new(),
        }
    }

    /// Runs something on one VM, with the world's time and its machine's store.
    fn on<T>(&mut self, (machine, vm): (usize, usize), run: impl FnOnce(&mut Gateway, &mut Inputs<'_>) -> T) -> T {
        let Machine { vms, store } = &mut self.machines[machine];
        let mut entropy = |bytes: &mut [u8]| -> Result<(), EntropyUnavailable> {
            bytes.fill(0x5a);
            Ok(())
        };
        let monotonic = u64::try_from(self.now).unwrap();
        let (peer, signatures) = (&mut UnknownPeer, &mut NoSignatures);
        run(&mut vms[vm], &mut Inputs { now: self.now, monotonic, entropy: &mut entropy, peer, store, signatures })
    }

    /// A request comes; `None` while it waits.
    fn request(&mut self, at: (usize, usize), lines: &'static [(&'static str, &'static str)]) -> (u32, Option<Verdict>) {
        let id = self.next;
        self.next += 1;
        let mut exchange = self.on(at, |gateway, _| gateway.open(ExchangeId(id)));
        let verdict = self.step(at, &mut exchange, lines, false);
        self.open.insert((at.0, at.1, id), (exchange, lines));
        (id, (verdict != Verdict::Wait).then_some(verdict))
    }

    fn step(&mut self, at: (usize, usize), exchange: &mut Exchange, lines: &[(&str, &str)], wake: bool) -> Verdict {
        let lines: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let event = if wake { Event::Wake(Headers::new(&lines)) } else { Event::Request(Headers::new(&lines)) };
        let step = self.on(at, |gateway, inputs| exchange.step(gateway, event, inputs));
        self.send(at, step.effects);
        step.verdict
    }

    fn send(&mut self, at: (usize, usize), effects: Vec<Effect>) {
        for effect in effects {
            let Effect::CheckRateLimit(RateLimitCall { call, message, .. }) = effect else { panic!("{effect:?}") };
            let answer = self.service.answer(&message);
            let due = if answer.is_some() { self.now + self.service.latency } else { self.now };
            self.calls.push((due, at, call, answer));
        }
    }

    /// Lets time pass: answers come, and every VM ticks each 10 ms.
    fn pass(&mut self, nanoseconds: i64) {
        let end = self.now + nanoseconds;
        while self.now < end {
            self.now = (self.now + MILLISECOND).min(end);
            let (due, rest) = std::mem::take(&mut self.calls).into_iter().partition(|(due, ..)| *due <= self.now);
            self.calls = rest;
            for (_, at, call, answer) in Vec::from_iter::<Vec<_>>(due) {
                let reply = answer.as_deref().map(|body| Reply { headers: Headers::default(), body }).ok_or(CallFailed::Disconnected);
                let woken = self.on(at, |gateway, inputs| gateway.reply(call, reply, inputs));
                self.follow(at, woken);
            }
            if self.now % (10 * MILLISECOND) == 0 {
                for machine in 0..self.machines.len() {
                    for vm in 0..self.machines[machine].vms.len() {
                        let woken = self.on((machine, vm), Gateway::tick);
                        self.follow((machine, vm), woken);
                    }
                }
            }
        }
    }

    fn follow(&mut self, at: (usize, usize), woken: Woken) {
        self.send(at, woken.effects);
        for ExchangeId(id) in woken.wake {
            let Some((mut exchange, lines)) = self.open.remove(&(at.0, at.1, id)) else { continue };
            let verdict = self.step(at, &mut exchange, lines, true);
            self.open.insert((at.0, at.1, id), (exchange, lines));
            if verdict != Verdict::Wait {
                assert!(self.decided.insert(id, verdict).is_none(), "decided once");
            }
        }
    }

    /// Requests and lets time pass until it is decided.
    fn decide(&mut self, at: (usize, usize), lines: &'static [(&'static str, &'static str)]) -> Verdict {
        let (id, verdict) = self.request(at, lines);
        verdict.unwrap_or_else(|| {
            for _ in 0..1000 {
                self.pass(MILLISECOND);
                if let Some(verdict) = self.decided.remove(&id) {
                    return verdict;
                }
            }
            panic!("never decided")
        })
    }

    fn counts(&mut self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for machine in &mut self.machines {
            for gateway in &mut machine.vms {
                let names = gateway.counter_names();
                for (index, count) in gateway.drain_counts() {
                    *counts.entry(names[index].clone()).or_default() += count;
                }
            }
        }
        counts.retain(|name, _| name.starts_with("tracegate.quotas."));
        counts
            .into_iter()
            .map(|(name, count)| (name.trim_start_matches("tracegate.quotas.").trim_end_matches(".q").to_owned(), count))
            .collect()
    }
}

fn status(verdict: &Verdict) -> u16 {
    match verdict {
        Verdict::Continue(_) => 200,
        Verdict::Refuse(refusal) => refusal.status(),
        Verdict::Wait => 0,
    }
}

fn header(verdict: &Verdict, name: &str) -> Option<String> {
    let Verdict::Refuse(refusal) = verdict else { return None };
    refusal.headers().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}
