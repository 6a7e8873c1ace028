// SPDX-License-Identifier: Apache-2.0
//! Whole exchanges through the module in the native host, and what part of a replay each stage takes.

use std::fmt::Write as _;
use std::io;
use std::time::Instant;

use indicatif::ProgressBar;

use super::median;
use crate::error::{Context, Error, Result};
use crate::host::{self, Metering, Vm};
use crate::recording::{InOrder, Recorded, Records, WINDOW};
use crate::replay::{self, Edge};
use crate::{Redactor, module, policy, workspace};

/// Tells exchanges a second, the shares of reading, host and module, comparing and writing, and fuel an exchange.
///
/// # Errors
///
/// When the sample doesn't replay.
pub fn run() -> Result<String> {
    let wasm = module::build()?;
    let loaded = policy::read(&workspace::sample_policy()).context(|| "the sample policy")?;
    let module = host::compile_file(&wasm, Metering::None)?;
    let redactor = Redactor::new(0);
    let mut stages: [Vec<f64>; 4] = Default::default();
    let mut exchanges = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let recorded = read(&redactor)?;
        exchanges = recorded.len();
        let [reading, running, comparing, writing] = &mut stages;
        reading.push(begun.elapsed().as_secs_f64());

        let mut vm = Vm::start(&module, 0)?;
        let plugin = vm.configure(&loaded.canonical)?;
        let heads: Vec<_> = recorded.iter().map(replay::head).collect();
        let begun = Instant::now();
        for head in heads {
            let exchange = vm.request(plugin, head)?;
            vm.outcome(&exchange)?;
            vm.close(exchange)?;
        }
        let alone = begun.elapsed().as_secs_f64();
        running.push(alone);

        let mut edge = Edge::start(&module, &loaded.canonical, 0)?;
        let begun = Instant::now();
        let replayed: Vec<_> = recorded.into_iter().map(|recorded| edge.replay(recorded)).collect::<Result<_>>()?;
        comparing.push((begun.elapsed().as_secs_f64() - alone).max(0.0));

        let begun = Instant::now();
        for replayed in &replayed {
            replay::write_exchange(&mut io::sink(), "sample", replayed, &redactor).context(|| "can't write")?;
        }
        writing.push(begun.elapsed().as_secs_f64());
    }
    let fuel = fuel(&wasm, &loaded.canonical, &redactor)?;
    let medians = stages.map(median);
    let whole: f64 = medians.iter().sum();
    let count = f64::from(u32::try_from(exchanges).unwrap_or(u32::MAX));
    let mut shown = String::new();
    let _ = writeln!(shown, "{exchanges} exchanges of the sample recording, medians of {ROUNDS} rounds\n");
    let _ = writeln!(shown, "{:<34} {:>12} {:>8}", "stage", "µs/exchange", "share");
    for (name, seconds) in ["reading and ordering", "host and module", "building heads and comparing", "writing JSON"].iter().zip(medians) {
        let _ = writeln!(shown, "{name:<34} {:>12.2} {:>7.0}%", seconds * 1e6 / count, seconds * 100.0 / whole);
    }
    let [_, running, ..] = medians;
    let _ = writeln!(shown, "\nexchanges a second: {:.0} through host and module, {:.0} with everything", count / running, count / whole);
    let _ = writeln!(shown, "fuel an exchange: {fuel:.0}");
    Ok(shown)
}

fn read(redactor: &Redactor) -> Result<Vec<Recorded>> {
    let records =
        Records::open(0, &workspace::sample_recording(), redactor, &ProgressBar::hidden()).map_err(|unread| Error::new(unread.message))?;
    InOrder::new([records], WINDOW).map(|next| next.map(|ordered| ordered.recorded).map_err(|unread| Error::new(unread.message))).collect()
}

/// WebAssembly instructions an exchange, as wasmtime counts them: the same on every machine.
fn fuel(wasm: &std::path::Path, policy: &str, redactor: &Redactor) -> Result<f64> {
    let module = host::compile_file(wasm, Metering::Fuel)?;
    let mut edge = Edge::start(&module, policy, 0)?;
    let recorded = read(redactor)?;
    let count = f64::from(u32::try_from(recorded.len()).unwrap_or(u32::MAX));
    let before = edge.vm().fuel_used().unwrap_or(0);
    for recorded in recorded {
        edge.replay(recorded)?;
    }
    let used = edge.vm().fuel_used().unwrap_or(0).saturating_sub(before);
    Ok(f64::from(u32::try_from(used / 1000).unwrap_or(u32::MAX)) * 1000.0 / count)
}

const ROUNDS: usize = 9;
