// SPDX-License-Identifier: Apache-2.0
//! The proxy-wasm face (ABI 0.2.1): Envoy, Istio, Envoy Gateway and compatible hosts.
//!
//! It stands on the SDK's contexts and dispatch, but calls the host through wrappers of its own: the SDK's panic on bytes
//! that are no UTF-8 and on statuses that they don't expect, and one panic kills every plugin that shares the VM.

mod host;
mod inputs;
mod root;
mod section;
mod stream;
mod world;

use proxy_wasm::traits::RootContext;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}}
