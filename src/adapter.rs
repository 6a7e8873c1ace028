// SPDX-License-Identifier: Apache-2.0
//! The faces: each converts types and carries out effects, nothing else. Built only for WebAssembly and only one at a
//! time, since each exports its host's entry points.

#[cfg(all(feature = "proxy-wasm", target_family = "wasm"))]
mod abi;

#[cfg(all(feature = "component", target_family = "wasm"))]
mod component;

#[cfg(all(feature = "browser", target_family = "wasm"))]
mod browser;

#[cfg(any(test, all(feature = "proxy-wasm", target_family = "wasm")))]
mod pairs;

#[cfg(all(any(feature = "proxy-wasm", feature = "component", feature = "browser"), target_family = "wasm"))]
mod lines;
