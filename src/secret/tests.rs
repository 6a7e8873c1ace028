// SPDX-License-Identifier: Apache-2.0
//! Secrets in one gateway's life: virtual time, a vault that answers as a test says.

mod hostile;
mod lifetimes;
mod users;

use crate::config::Policy;
use crate::effect::{CallId, Effect, Export, Fetch, GatewayId, Woken};
use crate::event::{CallFailed, Reply};
use crate::gateway::Gateway;
use crate::head::{Header, Headers};
use crate::inputs::{Inputs, NoSignatures, NoStore, UnknownPeer};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// A key of 32 bytes, and another one.
const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// `traceparent` and `tracestate`.
type Hop = (String, String);

/// A policy that signs hops with the secret `hop`, which is there, and believes signed hops alone.
fn signing(secret: &str) -> Policy {
    policy(
        &format!(r#""hop":{secret}"#),
        r#","trace":{"tracestate":{"member":"tgate"},"signed_hop":{"active":{"id":"k1","key":{"secret":"hop"}},"expires_after":"1h"},
            "trust":[{"name":"gateways","when":{"signed_hop":"valid"},"context":"continue"},{"name":"rest","context":"restart"}]}"#,
    )
}

fn policy(secrets: &str, sections: &str) -> Policy {
    let text = format!(r#"{{"schema":1,"service":{{"name":"edge"}},"default":{{"action":"admit"}},"secrets":{{{secrets}}}{sections}}}"#);
    Policy::from_json(text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).policy
}

fn http(more: &str) -> String {
    format!(r#"{{"http":{{"uri":"https://secrets.shop.example/hop","cluster":"secrets"{more}}}}}"#)
}

fn key_vault(name: &str, more: &str) -> String {
    format!(
        r#"{{"key_vault":{{"vault_uri":"https://shop-kv.vault.azure.net","name":"{name}","vault_cluster":"vault","imds_cluster":"imds"{more}}}}}"#
    )
}

fn bundle(value: &str) -> String {
    format!(r#"{{"value":"{value}","id":"https://shop-kv.vault.azure.net/secrets/hop/1","attributes":{{"enabled":true}}}}"#)
}

fn token(token: &str, expires_in: u64) -> String {
    format!(
        r#"{{"access_token":"{token}","client_id":"c","expires_in":"{expires_in}","expires_on":"1","resource":"https://vault.azure.net","token_type":"Bearer"}}"#
    )
}

/// A gateway, what it has asked for, and the time.
struct World {
    gateway: Gateway,
    now: u64,
    draws: u64,
    fetches: Vec<Fetch>,
    exports: Vec<Export>,
    /// How many fetches there have been in all.
    fetched: usize,
    notes: Vec<String>,
}

impl World {
    /// Just configured.
    fn new(policy: Policy) -> Self {
        let mut gateway = Gateway::new(GatewayId(1), policy);
        gateway.provide(&mut |_: &str| None).unwrap();
        let (fetches, exports, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { gateway, now: HOUR, draws: 0, fetches, exports, fetched: 0, notes }
    }

    fn with<T>(&mut self, run: impl FnOnce(&mut Gateway, &mut Inputs<'_>) -> T) -> T {
        let Self { gateway, now, draws, .. } = self;
        let mut entropy = |bytes: &mut [u8]| {
            for byte in bytes {
                *draws = draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = draws.to_be_bytes()[0];
            }
            Ok(())
        };
        let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
        let wall = i64::try_from(*now).unwrap();
        run(gateway, &mut Inputs { now: wall, monotonic: *now, entropy: &mut entropy, peer, store, signatures })
    }

    fn follow(&mut self, woken: Woken) {
        self.notes.extend(woken.notes.into_iter().map(|(about, note)| format!("{}: {note}", about.words(self.gateway.policy()))));
        for effect in woken.effects {
            match effect {
                Effect::Fetch(fetch) => {
                    self.fetched += 1;
                    self.fetches.push(fetch);
                }
                Effect::Export(export) => self.exports.push(export),
                Effect::CheckRateLimit(_) => panic!("{effect:?}"),
            }
        }
    }

    fn tick(&mut self) {
        let woken = self.with(|gateway, inputs| gateway.tick(inputs));
        self.follow(woken);
    }

    /// Lets time pass, ticking every second, and no longer than until something is asked for.
    fn pass(&mut self, time: u64) {
        let (until, fetched) = (self.now + time, self.fetched);
        while self.now < until && self.fetched == fetched {
            self.now = until.min(self.now + SECOND);
            self.tick();
        }
    }

    /// The fetch that is under way: where it goes.
    fn asks(&self) -> String {
        let asks: Vec<String> = self.fetches.iter().map(|fetch| format!("{} {}", fetch.cluster, fetch.uri)).collect();
        asks.join(", ")
    }

    /// Answers the first fetch that is under way.
    fn answer(&mut self, status: u16, body: &str) {
        let status = status.to_string();
        let lines = [Header { name: b":status", value: status.as_bytes() }];
        self.conclude(Ok(Reply { headers: Headers::new(&lines), body: body.as_bytes() }));
    }

    fn conclude(&mut self, answer: Result<Reply<'_>, CallFailed>) {
        let call = self.fetches.remove(0).call;
        self.reply(call, answer);
    }

    fn reply(&mut self, call: CallId, answer: Result<Reply<'_>, CallFailed>) {
        let woken = self.with(|gateway, inputs| gateway.reply(call, answer, inputs));
        self.follow(woken);
    }

    /// What a request tells the upstream of its trace.
    fn hop(&mut self) -> Hop {
        self.hop_after(&[])
    }

    fn hop_after(&mut self, lines: &[(&str, &str)]) -> Hop {
        let edits = self.request(lines).unwrap();
        let told = |name: &str| edits.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default();
        (told("traceparent"), told("tracestate"))
    }

    /// Whether a request with such a head comes from a gateway of ours, by its signature.
    fn continues(&mut self, (traceparent, state): &Hop) -> bool {
        let (found, _) = self.hop_after(&[("traceparent", traceparent), ("tracestate", state)]);
        found.get(..35) == traceparent.get(..35)
    }

    /// Sends a request; what is changed of its head, or the status and the reason of its refusal.
    fn request(&mut self, lines: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        use crate::edits::HeaderEdit;
        use crate::effect::{ExchangeId, Verdict};
        use crate::event::Event;
        let head = [(":method", "GET"), (":path", "/orders/alice")];
        let lines: Vec<Header<'_>> =
            head.iter().chain(lines).map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let verdict = self.with(|gateway, inputs| {
            let mut exchange = gateway.open(ExchangeId(7));
            let verdict = exchange.step(gateway, Event::Request(Headers::new(&lines)), inputs).verdict;
            let _ = exchange.step(gateway, Event::Closed(crate::quota::Totals::default()), inputs);
            verdict
        });
        match verdict {
            Verdict::Continue(edits) => Ok(edits
                .iter()
                .map(|edit| match edit {
                    HeaderEdit::Replace { name, value } => (name.to_string(), String::from_utf8(value.clone()).unwrap()),
                    HeaderEdit::Remove { name } => (name.to_string(), String::new()),
                })
                .collect()),
            Verdict::Refuse(refusal) => Err(format!("{} {}", refusal.status(), refusal.reason().as_str())),
            Verdict::Wait => Err("wait".to_owned()),
        }
    }

    /// What has been counted since the last time, by name.
    fn counted(&mut self) -> Vec<String> {
        let names = self.gateway.counter_names();
        let counts = self.gateway.drain_counts().filter_map(|(index, count)| {
            let name = names[index].strip_prefix("tracegate.")?;
            (name.starts_with("secrets.") || name.starts_with("spans.")).then(|| format!("{name} {count}"))
        });
        counts.collect()
    }
}

/// Whether our member of a `tracestate` is signed.
fn is_signed((_, state): &Hop) -> bool {
    state.starts_with("tgate=1.k1.")
}
