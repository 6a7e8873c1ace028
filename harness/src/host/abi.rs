// SPDX-License-Identifier: Apache-2.0
//! The host functions of ABI 0.2.1, with Envoy's semantics, and the few of WASI that it allows.
//!
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

mod buffers;
mod callouts;
mod grpc;
mod maps;
mod metrics;
mod properties;
mod shared_data;
mod streams;
mod system;
mod wasi;

use wasmtime::{Linker, Val};

use super::engine::wasm_error;
use super::faults::Fault;
use super::memory::Host;
use super::state::State;
use super::status::{Answer, Status};
use crate::error::{Error, Result};
use wasi::answer as wasi_answer;

/// Defines host functions: name, implementation and parameters. One that hands a buffer over says so.
macro_rules! define {
    ($linker:ident, $from:ident, $answer:ident: $($name:literal => $function:path, ($($parameter:ident: $type:ty),*) $(, $hands_over:ident)?;)*) => {
        $($linker.func_wrap($from, $name, |mut host: $crate::host::memory::Host<'_>, $($parameter: $type),*| {
            let hands_over = false $(|| stringify!($hands_over) == "hands_over")?;
            $crate::host::abi::$answer(&mut host, $name, hands_over, |host| $function(host, $($parameter),*))
        })?;)*
    };
}
use define;

/// Links every import of `module` to a host function.
///
/// # Errors
///
/// When the module imports what ABI 0.2.1 doesn't have, by name.
pub(super) fn link(linker: &mut Linker<State>, module: &wasmtime::Module) -> Result<()> {
    // A module may import a function twice.
    linker.allow_shadowing(true);
    define_all(linker).map_err(|error| wasm_error("can't define the host functions", &error))?;
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let known = (from == ENV && UNIMPLEMENTED.contains(&name)) || (from == WASI && wasi::UNIMPLEMENTED.contains(&name));
        if !known {
            continue;
        }
        let Some(signature) = import.ty().func().cloned() else {
            return Err(Error::new(format!("expected `{from}.{name}` to be a function")));
        };
        let answer = if from == ENV { Status::Unimplemented.number().cast_signed() } else { wasi::NOSYS };
        let defined = linker.func_new(from, name, signature, move |_, _, results| {
            results.fill(Val::I32(answer));
            Ok(())
        });
        defined.map_err(|error| wasm_error("can't define the host functions", &error))?;
    }
    Ok(())
}

fn define_all(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    maps::define(linker)?;
    buffers::define(linker)?;
    properties::define(linker)?;
    shared_data::define(linker)?;
    metrics::define(linker)?;
    callouts::define(linker)?;
    grpc::define(linker)?;
    streams::define(linker)?;
    system::define(linker)?;
    wasi::define(linker)
}

/// Runs a host function, unless a fault takes its place, and turns what comes of it into a number.
fn answer(host: &mut Host<'_>, name: &'static str, hands_over: bool, run: impl FnOnce(&mut Host<'_>) -> Answer) -> u32 {
    if host.data().faults.is_some() {
        match inject(host, name, hands_over) {
            Some(Fault::Status(status)) => return status,
            Some(Fault::Silent) => return OK,
            Some(_) | None => {}
        }
    }
    let result = run(host);
    match result {
        Ok(()) => OK,
        Err(status) => status.number(),
    }
}

/// What goes wrong in this call, put in place where it isn't the call's status.
fn inject(host: &mut Host<'_>, name: &'static str, hands_over: bool) -> Option<Fault> {
    let state = host.data_mut();
    let fault = state.faults.as_mut()?.of_call(name, hands_over);
    (state.mangle, state.number) = (None, None);
    match fault {
        Some(Fault::Buffer(mangle)) => state.mangle = Some(mangle),
        Some(Fault::Number(number)) => state.number = Some(number),
        Some(Fault::ClockJump(nanoseconds)) => state.now = state.now.saturating_add(nanoseconds).max(0),
        _ => {}
    }
    fault
}

const ENV: &str = "env";
const WASI: &str = "wasi_snapshot_preview1";
const OK: u32 = 0;

/// What ABI 0.2.1 has beside what is implemented: gRPC streams and shared queues.
const UNIMPLEMENTED: &[&str] = &[
    "proxy_dequeue_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
];
