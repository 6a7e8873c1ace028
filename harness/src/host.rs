// SPDX-License-Identifier: Apache-2.0
//! A native proxy-wasm host: it runs the very module that ships, as Envoy would, on a clock and randomness of the
//! caller's choice. `tests/differential.rs` holds it to Envoy, call by call.
//!
//! | | |
//! |---|---|
//! | [`Module`] | compiled once |
//! | [`Vm`] | one instance of it, with the contexts of its plugins and streams |
//! | [`Plugin`] | one configuration in a VM (a root context) |
//! | [`Proxy`] | filter chain, upstream, callouts and ticks around a VM, in virtual time |
//!
//! Every host function and callback of ABI 0.2.1 is here but gRPC streams and shared queues, which answer
//! `Unimplemented` rather than pretend.

mod abi;
mod callout;
mod calls;
mod compiled;
mod engine;
mod facts;
mod failure;
pub mod faults;
mod filter_state;
mod grpc;
mod grpc_service;
mod headers;
mod limits;
mod log;
mod memory;
mod message;
mod metrics;
mod module;
mod pairs;
mod property;
mod proxy;
mod release;
mod shared;
mod signature;
mod state;
mod status;
mod vm;

pub use callout::{Callout, Cluster, Reply};
pub use engine::Metering;
pub(crate) use engine::start as start_engine;
pub use facts::{Facts, Tls};
pub use grpc::GrpcCall;
pub use headers::{HeaderMap, Line, Part};
pub use limits::Limits;
pub use log::{LogLevel, LogLine};
pub use message::Message;
pub use metrics::Stats;
pub use module::{Module, compile_file};
pub use proxy::{Always, ExchangeId, FailurePolicy, Finished, Options, Proxy, Request, Timeouts, World};
pub use release::Release;
pub use shared::SharedData;
pub use signature::Signatures;
pub use vm::{Plugin, PluginOptions, Vm, VmOptions};
