// SPDX-License-Identifier: Apache-2.0
//! The probe: a proxy-wasm module that runs small programs of raw host calls and logs what each call comes to, so that
//! two hosts can be compared call by call. Natively there is nothing in it.

#[cfg(target_family = "wasm")]
mod calls;
#[cfg(target_family = "wasm")]
mod contexts;
#[cfg(target_family = "wasm")]
mod host;
#[cfg(target_family = "wasm")]
mod program;
#[cfg(target_family = "wasm")]
mod text;
