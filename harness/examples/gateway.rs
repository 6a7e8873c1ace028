// SPDX-License-Identifier: Apache-2.0
//! How a gateway in Rust embeds the component: what it lends, and one request decided.
//!
//! ```console
//! $ cargo plugin --face component
//! $ cargo run --release --package tracegate-harness --example gateway -- dist/tracegate.component.wasm policy.json /orders/7
//! ```

#![allow(missing_docs, unreachable_pub, reason = "generated")]

use std::collections::{HashMap, VecDeque};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Result, Store, format_err};

use self::exports::tracegate::policy::policy::{
    Call, CallFailed, Event, ExportCall, Fetch, Header, HeaderEdit, RateLimitCall, Totals, Verdict,
};
use self::tracegate::policy::{clocks, logging, peer, random, secrets, signatures, store};

wasmtime::component::bindgen!({ world: "edge-policy", path: "../wit" });

/// What the gateway lends: to the instances of all its threads it would lend one store.
struct Host {
    started: Instant,
    values: HashMap<String, store::Stored>,
}

impl clocks::Host for Host {
    fn now(&mut self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as i64)
    }

    fn monotonic(&mut self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

impl random::Host for Host {
    fn bytes(&mut self, length: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length as usize];
        getrandom::fill(&mut bytes).ok()?;
        Some(bytes)
    }
}

impl peer::Host for Host {
    fn ask(&mut self, fact: peer::Fact) -> Option<Vec<u8>> {
        (fact == peer::Fact::SourceAddress).then(|| b"203.0.113.9:4711".to_vec())
    }

    fn route_metadata(&mut self, _: String) -> Option<Vec<u8>> {
        None
    }
}

impl secrets::Host for Host {
    fn environment(&mut self, variable: String) -> Option<String> {
        std::env::var(variable).ok()
    }
}

impl store::Host for Host {
    fn get(&mut self, name: String) -> Option<store::Stored> {
        self.values.get(&name).cloned()
    }

    fn set(&mut self, name: String, value: Vec<u8>, expected: store::Expected) -> Result<(), store::StoreError> {
        let known = self.values.get(&name).map(|stored| stored.version);
        match (expected, known) {
            (store::Expected::Absent, Some(_)) => return Err(store::StoreError::Conflict),
            (store::Expected::Version(version), known) if known != Some(version) => return Err(store::StoreError::Conflict),
            _ => {}
        }
        self.values.insert(name, store::Stored { value, version: known.unwrap_or(0).wrapping_add(1) });
        Ok(())
    }
}

impl signatures::Host for Host {
    fn verify(&mut self, _: String, _: Vec<u8>, _: Vec<u8>, _: Vec<u8>) -> Option<bool> {
        None
    }
}

impl logging::Host for Host {
    fn log(&mut self, _: logging::Level, line: String) {
        eprintln!("{line}");
    }
}

/// The host's name of the one exchange.
const EXCHANGE: u32 = 1;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, policy, path] = arguments.as_slice() else {
        return Err(format_err!("usage: gateway COMPONENT POLICY PATH"));
    };
    let engine = Engine::default();
    let component = Component::from_file(&engine, component)?;
    let mut linker = Linker::new(&engine);
    EdgePolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    let mut store = Store::new(&engine, Host { started: Instant::now(), values: HashMap::new() });
    let edge = EdgePolicy::instantiate(&mut store, &component, &linker)?;
    let policy_of = edge.tracegate_policy_policy();

    // Once for a configuration. A real gateway ticks every second, and soon where `is-urgent` says so.
    let document = std::fs::read_to_string(policy).map_err(|error| format_err!("can't read {policy}: {error}"))?;
    let compiled = policy_of.call_compile(&mut store, &document)?;
    let compiled = compiled.map_err(|findings| format_err!("the policy can't run: {findings:#?}"))?;
    let gateway = policy_of.gateway().call_start(&mut store, compiled, 1)?.map_err(|missing| format_err!("{missing}"))?;
    let mut calls = VecDeque::from(policy_of.gateway().call_tick(&mut store, gateway)?.calls);

    // Once for a request.
    let line = |(name, value): (&str, &str)| Header { name: name.into(), value: value.into() };
    let head = [(":method", "GET"), (":scheme", "https"), (":authority", "api.example.com"), (":path", path)].map(line);
    let exchange = policy_of.gateway().call_open(&mut store, gateway, EXCHANGE)?;
    let mut step = policy_of.exchange().call_step(&mut store, exchange, &Event::Request(head.to_vec()))?;
    // A real gateway sends each call to its cluster and tells the answer when it comes. This one has nobody to send it to, and says so.
    calls.extend(step.calls.drain(..));
    while let Some(call) = calls.pop_front() {
        let (Call::Fetch(Fetch { call, .. }) | Call::CheckRateLimit(RateLimitCall { call, .. }) | Call::Export(ExportCall { call, .. })) =
            call;
        let woken = policy_of.gateway().call_reply(&mut store, gateway, call, Err(CallFailed::Refused))?;
        calls.extend(woken.calls);
        if woken.wake.contains(&EXCHANGE) {
            step = policy_of.exchange().call_step(&mut store, exchange, &Event::Wake(head.to_vec()))?;
            calls.extend(step.calls.drain(..));
        }
    }
    match step.verdict {
        Verdict::Continue(edits) => {
            println!("admitted");
            show(edits);
        }
        Verdict::Refuse(refusal) => println!("refused: {} {}\n{}", refusal.status, refusal.reason, refusal.body),
        Verdict::Wait => println!("waits"),
    }
    // Once for its response, be it the upstream's or a refusal, where something is to be edited or read.
    if policy_of.exchange().call_awaits_response(&mut store, exchange)? {
        let response = Event::Response(vec![line((":status", "200"))]);
        if let Verdict::Continue(edits) = policy_of.exchange().call_step(&mut store, exchange, &response)?.verdict {
            println!("response");
            show(edits);
        }
    }
    let totals = Totals { request_bytes: 0, response_bytes: 0 };
    policy_of.exchange().call_step(&mut store, exchange, &Event::Closed(totals))?;
    exchange.resource_drop(&mut store)?;

    // Once for a configuration: what it has kept for collectors leaves, and nobody hears their answers.
    let left = policy_of.gateway().call_end(&mut store, gateway)?;
    eprintln!("calls that leave at the end: {}", left.len());
    policy_of.gateway().call_ended(&mut store, gateway)?;
    gateway.resource_drop(&mut store)
}

fn show(edits: Vec<HeaderEdit>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for edit in edits {
        match edit {
            HeaderEdit::Replace(Header { name, value }) => println!("{}: {}", text(&name), text(&value)),
            HeaderEdit::Remove(name) => println!("without {name}"),
        }
    }
}
