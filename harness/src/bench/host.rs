// SPDX-License-Identifier: Apache-2.0
//! Whole exchanges through the module in the native host, and what part of a replay each stage takes.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use indicatif::ProgressBar;
use tempfile::NamedTempFile;
use tracegate::Policy;

use super::median;
use crate::error::{Context, Error, Result};
use crate::host::{self, Always, Message, Metering, Module, Options, Proxy, Reply, Request};
use crate::look::Look;
use crate::recording::{Files, InOrder, Ordered, Records, WINDOW};
use crate::replay::{self, By, Edge, Edges, Format, Pass, Prepared, Progress, Renderer, Replayed, Report, Tokens};
use crate::{Redactor, module, policy, workspace};

/// Tells the shares of parsing, host, module, comparing and writing, exchanges a second, one after another and as a replay
/// spreads them over threads, fuel an exchange, and what a VM takes to start and to hold.
///
/// # Errors
///
/// When the sample doesn't replay, or the module isn't one.
pub fn run(module: Option<PathBuf>) -> Result<String> {
    let wasm = module.map_or_else(module::build, Ok)?;
    let policy = policy::read(&workspace::sample_policy()).context(|| "the sample policy")?.canonical;
    let module = host::compile_file(&wasm, Metering::Time)?;
    let idle = Module::compile(&wat::parse_str(super::NOOP).context(|| "noop.wat")?, Metering::Time)?;
    let redactor = Redactor::new(0);
    let mut stages: [Vec<f64>; 5] = Default::default();
    let (mut starts, mut held, mut exchanges) = (Vec::new(), 0, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let recorded = read(&redactor)?;
        exchanges = recorded.len();
        let [reading, hosting, running, comparing, writing] = &mut stages;
        reading.push(begun.elapsed().as_secs_f64());

        let hosted = serve(Proxy::start(&idle, Options::new(&policy, 0), upstream())?, &recorded);
        hosting.push(hosted);

        let begun = Instant::now();
        let proxy = Proxy::start(&module, Options::new(&policy, 0), upstream())?;
        starts.push(begun.elapsed().as_secs_f64());
        held = proxy.vm().memory_size();
        let both = serve(proxy, &recorded);
        running.push((both - hosted).max(0.0));

        let mut edge = Edge::start(&module, &policy, 0)?;
        let begun = Instant::now();
        let replayed: Vec<_> = recorded
            .into_iter()
            .map(|Ordered { recorded, .. }| {
                let decided = edge.decide(&recorded, &recorded.request)?;
                Ok(Replayed::new(recorded, Prepared::default(), decided, None, &redactor))
            })
            .collect::<Result<_>>()?;
        comparing.push((begun.elapsed().as_secs_f64() - both).max(0.0));

        let begun = Instant::now();
        for replayed in &replayed {
            replay::write_exchange(&mut io::sink(), "sample", replayed, &redactor, false).context(|| "can't write")?;
        }
        writing.push(begun.elapsed().as_secs_f64());
    }
    let fuel = fuel(&wasm, &policy, &redactor)?;
    let medians = stages.map(median);
    let whole: f64 = medians.iter().sum();
    let count = f64::from(u32::try_from(exchanges).unwrap_or(u32::MAX));
    let mut shown = String::new();
    let _ = writeln!(shown, "{exchanges} exchanges of the sample recording, medians of {ROUNDS} rounds\n");
    let _ = writeln!(shown, "{:<38} {:>12} {:>8}", "stage", "µs/exchange", "share");
    for (name, seconds) in STAGES.iter().zip(medians) {
        let _ = writeln!(shown, "{name:<38} {:>12.2} {:>7.0}%", seconds * 1e6 / count, seconds * 100.0 / whole);
    }
    let [_, hosting, running, ..] = medians;
    let through = count / (hosting + running);
    let _ = writeln!(shown, "\nexchanges a second: {through:.0} through host and module, {:.0} with everything", count / whole);
    let (text, json) = (replayed(&module, &policy, Format::Text)?, replayed(&module, &policy, Format::Json)?);
    let _ = writeln!(shown, "a whole replay of {}: {text:.0} as a table, {json:.0} as JSON", COPIES * exchanges);
    let _ = writeln!(shown, "fuel an exchange: {fuel:.0}");
    let _ = writeln!(shown, "a VM: started and configured in {:.2} ms, {} KiB of memory", median(starts) * 1e3, held >> 10);
    Ok(shown)
}

fn upstream() -> Always {
    Always(Reply::now(Message::default()))
}

/// Sends every exchange through a proxy; the seconds that it took.
fn serve(mut proxy: Proxy<'_, Always>, recorded: &[Ordered]) -> f64 {
    let requests: Vec<_> = recorded
        .iter()
        .map(|next| Request { message: Message::request(replay::head(&next.recorded.request)), ..Request::default() })
        .collect();
    let begun = Instant::now();
    for request in requests {
        proxy.exchange(request);
    }
    begun.elapsed().as_secs_f64()
}

fn read(redactor: &Redactor) -> Result<Vec<Ordered>> {
    let records =
        Records::open(0, &workspace::sample_recording(), redactor, &ProgressBar::hidden()).map_err(|unread| Error::new(unread.message))?;
    InOrder::new([records], WINDOW).map(|next| next.map_err(|unread| Error::new(unread.message))).collect()
}

/// Exchanges a second of a whole replay of many copies of the sample, reading and writing included.
fn replayed(module: &Module, policy: &str, format: Format) -> Result<f64> {
    let sample = fs::read(workspace::sample_recording()).context(|| "can't read the sample")?;
    let mut file = NamedTempFile::new().context(|| "can't write a recording")?;
    (0..COPIES).try_for_each(|_| file.write_all(&sample)).context(|| "can't write a recording")?;
    let (files, redactor) = (Files(vec![file.path().to_owned()]), Redactor::new(0));
    let mut progress = Progress::over(&files, false);
    let read = Policy::from_json(policy.as_bytes()).context(|| "the sample policy")?.policy;
    let mut edges = Edges::new(Edge::start(module, policy, 0)?, None, Tokens::recorded(&read, None, 0));
    let renderer = Renderer { files: &files, redactor: &redactor, queries: &[], format, look: Look::PLAIN };
    let begun = Instant::now();
    let mut report = Report::new(&[By::Api], None);
    let passed = Pass { renderer, progress: &mut progress, exporter: None }.run(&mut edges, &mut report, &mut io::sink())?;
    Ok(f64::from(u32::try_from(passed.exchanges).unwrap_or(u32::MAX)) / begun.elapsed().as_secs_f64())
}

/// WebAssembly instructions an exchange, as wasmtime counts them: the same on every machine.
fn fuel(wasm: &std::path::Path, policy: &str, redactor: &Redactor) -> Result<f64> {
    let module = host::compile_file(wasm, Metering::Fuel)?;
    let mut edge = Edge::start(&module, policy, 0)?;
    let recorded = read(redactor)?;
    let count = f64::from(u32::try_from(recorded.len()).unwrap_or(u32::MAX));
    let before = edge.vm().fuel_used().unwrap_or(0);
    for Ordered { recorded, .. } in recorded {
        edge.decide(&recorded, &recorded.request)?;
    }
    let used = edge.vm().fuel_used().unwrap_or(0).saturating_sub(before);
    Ok(f64::from(u32::try_from(used / 1000).unwrap_or(u32::MAX)) * 1000.0 / count)
}

const STAGES: [&str; 5] = [
    "parsing and ordering",
    "host, with a module that does nothing",
    "module and its host calls",
    "building heads and comparing",
    "writing JSON",
];
const ROUNDS: usize = 9;
/// Of the sample, in a whole replay.
const COPIES: usize = 50;
