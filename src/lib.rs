// SPDX-License-Identifier: Apache-2.0
//! tracegate: an edge policy for Envoy and compatible gateways, decided on metadata only.
//!
//! One policy core with thin faces. The core is a pure state machine: no I/O, no clock, no randomness of its own, no
//! panics. A face converts types and carries out effects, nothing else.
//!
//! ```text
//!                  request or response headers, callout replies, ticks
//!                                     │
//!   face      adapter/abi.rs   adapter/component.rs   adapter/browser.rs      thin: types and calls only
//!                                     │ Event + Inputs      ▲ Step { verdict, effects, properties }
//!   one request                 Exchange::step ─────────────┘
//!                               trace::read → route → identity → quota → trace::settle → edits → span
//!   one configuration           Gateway: Policy, KeyRing, Ledger, Exporters, entropy in blocks, counts
//! ```
//!
//! The modules, in the order in which data flows: a stage never imports a later one.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | the policy: from text to [`Policy`], all errors in one run |
//! | [`head`], [`event`], [`inputs`], [`secret`] | what the world hands in |
//! | [`matcher`], [`network`], [`path`], [`claim`], [`caller`], [`condition`] | what rules ask about a request and its caller |
//! | [`trace`] | stages `read` and `settle`: trace context in eight formats, trust, sampling |
//! | [`route`] | stage: which rules apply |
//! | [`identity`] | stage: who calls: tokens, keys of subscriptions, certificates, and what the upstream learns of the caller |
//! | [`quota`] | stage: how much of it, counted here or by a rate-limit service |
//! | [`decision`], [`edits`], [`effect`] | what goes out |
//! | [`span`] | stage: what is recorded of it, metadata only |
//! | [`access_log`] | what the host's access log can tell of it |
//! | [`audit`] | what is put on record of decisions, chained |
//! | [`export`] | what leaves for collectors, and what becomes of it |
//! | [`metrics`] | what is counted |
//! | [`exchange`], [`gateway`] | one request; one configuration |
//!
//! Each face is behind a feature of its own (`proxy-wasm`, `component`, `browser`) and built for WebAssembly only.
//! The feature `schema` adds `config::json_schema`, the policy's JSON Schema, for native programs.
//!
//! ```
//! use tracegate::{Event, ExchangeId, Gateway, GatewayId, Header, Headers, Inputs, NoSignatures, NoStore, Policy, UnknownPeer, Verdict};
//!
//! let policy = br#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
//! let mut gateway = Gateway::new(GatewayId(1), Policy::from_json(policy)?.policy);
//! let mut exchange = gateway.open(ExchangeId(2));
//!
//! let lines = [Header { name: b":method", value: b"GET" }, Header { name: b":path", value: b"/orders/7" }];
//! let mut entropy = |bytes: &mut [u8]| {
//!     bytes.fill(0x2a); // a host has better
//!     Ok(())
//! };
//! let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
//! let mut inputs = Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer, store, signatures };
//! let step = exchange.step(&mut gateway, Event::Request(Headers::new(&lines)), &mut inputs);
//!
//! let Verdict::Continue(edits) = step.verdict else { panic!("the policy admits everything") };
//! assert_eq!(edits.len(), 1, "a fresh traceparent");
//! # Ok::<(), tracegate::config::Findings>(())
//! ```

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::string_slice))]

pub mod access_log;
mod adapter;
mod answer;
pub mod audit;
mod backoff;
pub mod caller;
pub mod claim;
pub mod condition;
pub mod config;
mod date;
pub mod decision;
pub mod edits;
pub mod effect;
mod entropy;
pub mod event;
pub mod exchange;
pub mod export;
pub mod gateway;
pub mod head;
pub mod identity;
pub mod inputs;
mod instance;
mod json;
pub mod matcher;
pub mod metrics;
pub mod network;
pub mod path;
mod protobuf;
mod query;
pub mod quota;
mod reader;
pub mod route;
pub mod secret;
pub mod span;
pub mod trace;
mod uri;

pub use config::Policy;
pub use decision::{Reason, Refusal};
pub use edits::{HeaderEdit, HeaderEdits};
pub use effect::{CallId, Effect, ExchangeId, Export, Fetch, GatewayId, NoteOf, RateLimitCall, Step, Verdict, Woken};
pub use event::{CallFailed, Event, HostFailure, Reply};
pub use exchange::Exchange;
pub use gateway::Gateway;
pub use head::{Header, Headers};
pub use inputs::{
    Entropy, EntropyUnavailable, Expected, HostSignatures, Inputs, NoSignatures, NoStore, Peer, PeerFact, Store, StoreError, Stored,
    UnknownPeer,
};

#[cfg(test)]
mod seeds;

/// The version, alike in the module's custom section, in log lines and in reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
