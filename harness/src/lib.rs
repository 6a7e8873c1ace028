// SPDX-License-Identifier: Apache-2.0
//! The native harness of tracegate, as a library: what the `tracegate` command and the tests share.
//!
//! | module | what it does |
//! |---|---|
//! | [`module`], [`package`] | build the module, and what is released of it |
//! | [`policy`] | reads policies, JSON or YAML |
//! | `audit` | verifies audit records |
//! | `explain` | tells who can reach what |
//! | [`issuer`] | mints tokens of its own, to try a policy with |
//! | [`keys`] | finds the keys that a policy's secrets stand for |
//! | [`host`] | runs the module natively |
//! | [`component`] | runs the same core as a component |
//! | [`carrier`] | knows the headers that carry trace context, and what becomes of them |
//! | [`recording`] | reads recorded traffic |
//! | [`replay`] | sends it through the module and compares |
//! | [`render`], [`yaml`] | writes what gateways are to be told around the module |
//! | [`cluster`] | names what a gateway calls, and where it is |
//! | [`envoy`], [`echo`], [`server`] | real Envoy, and upstreams for it |
//! | [`otlp`] | reads and gathers what the module exports |
//! | [`probe`] | sends marked requests through a live gateway |
//! | [`target`], [`tls`] | names what probes and exports are sent to, and has it prove its name |
//! | [`bench`] | measures |
//! | [`look`], [`output`] | how results look, and where they go |
//! | [`command`] | the command line |

mod audit;
pub mod bench;
pub mod carrier;
pub mod cluster;
pub mod collector;
pub mod command;
pub mod component;
pub mod echo;
pub mod envoy;
pub mod error;
mod explain;
mod grid;
pub mod host;
pub mod http;
pub mod issuer;
pub mod keys;
pub mod look;
pub mod module;
pub mod otlp;
pub mod output;
pub mod package;
mod parallel;
pub mod policy;
pub mod probe;
pub mod rate_limit_service;
pub mod recording;
mod redact;
pub mod render;
pub mod replay;
pub mod server;
pub mod target;
pub mod tls;
pub mod tools;
mod varint;
pub mod workspace;
pub mod yaml;

pub use redact::Redactor;
