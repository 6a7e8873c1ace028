// SPDX-License-Identifier: Apache-2.0
//! The engine that compiles and runs modules, and what keeps a callback from running for ever.

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine};

use crate::error::{Context, Error, Result};

/// How a module's work is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metering {
    /// By time alone, as fast as it gets.
    Time,
    /// By instructions too, which costs speed but is the same on every machine.
    Fuel,
}

/// An engine that meters what it runs.
///
/// # Errors
///
/// When wasmtime has none for this machine, or there is no thread to watch the time.
pub(crate) fn start(metering: Metering) -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true).consume_fuel(metering == Metering::Fuel).wasm_multi_memory(false);
    let engine = Engine::new(&config).map_err(|error| wasm_error("can't start the engine", &error))?;
    watch(&engine)?;
    Ok(engine)
}

/// An error of the engine's, with what was being done.
pub(super) fn wasm_error(what: &str, error: &wasmtime::Error) -> Error {
    Error::new(format!("{what}: {}", error.root_cause()))
}

/// Advances the engine's epoch once a second for as long as there is an engine, so that no callback runs for ever.
fn watch(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let watching = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        loop {
            thread::sleep(EPOCH);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
        }
    });
    watching.map(drop).context(|| "can't start a thread")
}

/// How long an epoch of the engine lasts.
const EPOCH: Duration = Duration::from_secs(1);
