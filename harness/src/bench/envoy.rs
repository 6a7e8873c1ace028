// SPDX-License-Identifier: Apache-2.0
//! The module in real Envoy: CPU time a request, over the router alone and over a plugin that does nothing.
//!
//! One Envoy a variant, one worker each, measured in turn, so that what the machine does beside hits all alike. Where
//! `taskset` is at hand and there is more than one CPU, Envoy has one to itself, and clients and upstream another. CPU
//! time is the kernel's: the sum over Envoy's threads in `/proc`.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::tokens::{Carried, Tokens};
use super::whole_job::{self, Step};
use super::{median, quartile};
use crate::cluster::Cluster;
use crate::collector::Collector;
use crate::envoy::{self, Envoy, Options, Plugin};
use crate::error::{Context, Error, Result};
use crate::http::Connection;
use crate::{echo::Echo, module};

/// Tells the medians and what each variant adds.
///
/// # Errors
///
/// When Envoy doesn't start or answers with anything but 200, or where there is no `/proc`.
pub fn run(rounds: u32, requests: u32, proxied: bool, only: &[String], against: &[PathBuf]) -> Result<String> {
    let binary = envoy::install(envoy::VERSION)?;
    let module = module::build()?;
    let scratch = tempfile::tempdir().context(|| "can't create a directory")?;
    let noop = scratch.path().join("noop.wasm");
    fs::write(&noop, wat::parse_str(super::NOOP).context(|| "noop.wat")?).context(|| "can't write the no-op plugin")?;
    // Threads and processes started from here on inherit this process's CPU, but for Envoy, which gets its own.
    let own_cpu = (std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) && pin_to(1)).then_some(0);
    let echo = Echo::start().context(|| "can't start the upstream")?;
    let wasm = |module: &Path, configuration: &str| Plugin::Wasm { module: module.to_owned(), configuration: configuration.to_owned() };
    let tokens = Tokens::mint(requests)?;
    let collector = Collector::start_counting().context(|| "can't start a collector")?;
    let native = |flush| Plugin::Native(whole_job::native(&tokens, flush));
    let variants = [
        ("router only", Plugin::None, Carried::Same),
        ("plugin that does nothing", wasm(&noop, ""), Carried::Same),
        ("tracegate: trace goes on", wasm(&module, POLICY), Carried::Same),
        ("tracegate: our tracestate member too", wasm(&module, POLICY_WITH_MEMBER), Carried::Same),
        ("tracegate: 8 formats read", wasm(&module, POLICY_READING), Carried::Same),
        ("tracegate: trust by network, sampling", wasm(&module, POLICY_TRUST), Carried::Same),
        ("tracegate: trace, known token", wasm(&module, &tokens.policy()), Carried::Same),
        ("tracegate: the same, rules, 2 claims told", wasm(&module, &tokens.policy_of_rules()), Carried::Same),
        ("tracegate: trace, subscription key", wasm(&module, &Tokens::policy_of_keys()), Carried::Same),
        ("tracegate: trace, new token each time", wasm(&module, &tokens.policy()), Carried::New(Cell::new(0))),
        ("tracegate: trace, one route", wasm(&module, POLICY_ROUTE), Carried::Same),
        ("tracegate: the same, a local limit", wasm(&module, &limited(true)), Carried::Same),
        ("tracegate: the same, no RateLimit headers", wasm(&module, &limited(false)), Carried::Same),
        ("local_ratelimit", Plugin::Native(local_ratelimit().into()), Carried::Same),
        ("jwt_authn: known token", Plugin::Native(tokens.jwt_authn(true).into()), Carried::Same),
        ("jwt_authn: new token each time", Plugin::Native(tokens.jwt_authn(true).into()), Carried::New(Cell::new(0))),
        ("jwt_authn: no cache", Plugin::Native(tokens.jwt_authn(false).into()), Carried::Same),
        ("tracegate: whole job but limit and span", wasm(&module, &whole_job::policy(&tokens, Step::Caller)), Carried::Same),
        ("tracegate: whole job but span", wasm(&module, &whole_job::policy(&tokens, Step::Limit)), Carried::Same),
        (WHOLE_JOB, wasm(&module, &whole_job::policy(&tokens, Step::Span)), Carried::Same),
        ("native whole job, no tracer", native(None), Carried::Same),
        ("native whole job, tracer batched", native(Some(whole_job::BATCHED)), Carried::Same),
        ("native whole job, tracer by default", native(Some(whole_job::DEFAULT_FLUSH)), Carried::Same),
    ];
    let others = against.iter().map(|module| {
        let found = fs::canonicalize(module).context(|| format!("can't read {}", module.display()))?;
        Ok((format!("whole job: {}", name(module)), wasm(&found, &whole_job::policy(&tokens, Step::Span))))
    });
    let others = others.collect::<Result<Vec<_>>>()?;
    let others = others.iter().map(|(name, plugin)| (name.as_str(), plugin.clone(), Carried::Same));
    // The first two are what the others are compared with.
    let asked = |index: usize, name: &str| index < 2 || only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let variants = variants.into_iter().enumerate().filter(|(index, (name, ..))| asked(*index, name)).map(|(_, it)| it);
    let variants: Vec<_> = variants.chain(others).collect();
    let mut rows: Vec<(&str, Vec<f64>)> = variants.iter().map(|(name, ..)| (*name, Vec::new())).collect();
    let progress = indicatif::ProgressBar::new(u64::from(rounds));
    for batch in 0..STARTS {
        let mut envoys = Vec::new();
        for (_, plugin, _) in &variants {
            let upstream = proxied.then(|| (echo.address().ip().to_string(), echo.address().port()));
            let clusters = vec![collector_cluster(collector.address())?];
            let options = Options { upstream, cpu: own_cpu, clusters, ..Options::new(binary.clone(), plugin.clone()) };
            envoys.push(Envoy::start(&options)?);
        }
        for (envoy, (name, _, carried)) in envoys.iter().zip(&variants) {
            let before = collector.bytes();
            settle(envoy, requests, || tokens.requests(carried))?;
            // An Envoy before may send its last spans meanwhile: not as many.
            if exports(name) && collector.bytes().saturating_sub(before) < u64::from(WARM_UP) * LEAST_SPAN {
                return Err(Error::new(format!("{name}: its spans haven't reached the collector")));
            }
        }
        for _ in (batch..rounds).step_by(STARTS as usize) {
            for ((envoy, (_, measured)), (.., carried)) in envoys.iter().zip(&mut rows).zip(&variants) {
                let before = cpu(envoy.process_id())?;
                load(envoy.listener(), requests, tokens.requests(carried))?;
                let used = cpu(envoy.process_id())?.saturating_sub(before);
                measured.push(f64::from(u32::try_from(used / 1000).unwrap_or(u32::MAX)) / f64::from(requests));
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    let how = if proxied { "proxied" } else { "direct response" };
    let mut shown = String::new();
    let _ = writeln!(
        shown,
        "Envoy {}, {how}, {requests} requests a round, medians over {rounds} interleaved rounds after Envoy's JIT compiler has come to rest;\ndifferences and ratios are medians too, of what they are within each round, and the spread is from their first to their third quartile; every\nresponse was 200\n",
        envoy::VERSION
    );
    let _ = writeln!(
        shown,
        "{:<41} {:>13} {:>12} {:>16} {:>12} {:>8}",
        "variant", "CPU µs/req", "over router", "spread", "over no-op", "ratio"
    );
    for (name, measured) in &rows {
        // Compared round by round: what slows a whole round slows both.
        let over = |index: usize, compare: fn(f64, f64) -> f64| {
            let baseline = rows.get(index).map(|(_, measured)| measured.as_slice()).unwrap_or_default();
            measured.iter().zip(baseline).map(|(&value, &baseline)| compare(value, baseline)).collect::<Vec<f64>>()
        };
        let added = over(0, std::ops::Sub::sub);
        let spread = format!("{:+.2} to {:+.2}", quartile(added.clone(), 1), quartile(added.clone(), 3));
        let (alone, over_router, over_noop) = (median(measured.clone()), median(added), median(over(1, std::ops::Sub::sub)));
        let ratio = median(over(0, std::ops::Div::div));
        let _ = writeln!(shown, "{name:<41} {alone:>13.2} {over_router:>+12.2} {spread:>16} {over_noop:>+12.2} {ratio:>8.3}");
    }
    let added = |wanted: &str| {
        let measured = |name: &str| rows.iter().find(|(known, _)| *known == name).map(|(_, measured)| measured);
        let (own, router) = (measured(wanted)?, measured("router only")?);
        Some(median(own.iter().zip(router).map(|(own, router)| own - router).collect()))
    };
    for native in ["native whole job, tracer batched", "native whole job, tracer by default"] {
        if let (Some(own), Some(native_added)) = (added(WHOLE_JOB), added(native)) {
            let _ = writeln!(shown, "\ntracegate's whole job adds {:.2} of what {native:?} adds", own / native_added);
        }
    }
    Ok(shown)
}

/// A variant whose spans leave for the collector.
fn exports(variant: &str) -> bool {
    variant == WHOLE_JOB || variant.starts_with("whole job: ") || variant.starts_with("native whole job, tracer")
}

/// A file's path as it is given, or as much of its end as the table's column has room for.
fn name(file: &Path) -> String {
    let path = file.to_string_lossy();
    let left_out = path.chars().count().saturating_sub(30);
    path.chars().skip(left_out).collect()
}

/// A policy with a limit that nobody reaches, by source address.
fn limited(tells: bool) -> String {
    let headers = if tells { r#"["ratelimit"]"# } else { "[]" };
    let quota = r#"{"limit": {"rate": {"requests": 100000000, "window": "60s"}}, "key": ["source"], "key_absent": "shared_bucket",
        "enforcement": {"local": {}}}"#;
    format!(
        r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "refuse"}}, "responses": {{"rate_limit_headers": {headers}}},
        "quotas": {{"all": {quota}}}, "routes": [{{"name": "all", "quotas": ["all"]}}]}}"#
    )
}

/// Envoy's own filter, with a limit that nobody reaches.
pub(super) fn local_ratelimit() -> serde_json::Value {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    json!({"name": "envoy.filters.http.local_ratelimit", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": 100_000_000, "tokens_per_fill": 100_000_000, "fill_interval": "60s"},
        "filter_enabled": always, "filter_enforced": always,
    }})
}

/// Where spans go.
fn collector_cluster(address: SocketAddr) -> Result<Cluster> {
    Cluster::at(whole_job::CLUSTER, &address.to_string()).map_err(Error::new)
}

/// Keeps this process on one CPU, if `taskset` can.
fn pin_to(cpu: u32) -> bool {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "--pid", &cpu.to_string(), &std::process::id().to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Warms Envoy up: V8 compiles a function well once it has run often enough, tens of thousands of times where it is short, and what it compiles
/// in the background is no request's.
fn settle<'r, I: Iterator<Item = &'r [u8]>>(envoy: &Envoy, requests: u32, next: impl Fn() -> I) -> Result<()> {
    let mut sent = 0;
    for _ in 0..MAX_WARM_UPS {
        let (all, compilers) = (cpu(envoy.process_id())?, compilers(envoy.process_id())?);
        load(envoy.listener(), requests, next())?;
        sent += requests;
        let compiling = self::compilers(envoy.process_id())?.saturating_sub(compilers);
        if sent >= WARM_UP && compiling.saturating_mul(100) < cpu(envoy.process_id())?.saturating_sub(all) {
            return Ok(());
        }
    }
    Err(Error::new("Envoy's JIT compiler never came to rest"))
}

/// CPU time of all threads, in nanoseconds.
fn cpu(process: u32) -> Result<u64> {
    threads(process, |_| true)
}

/// CPU time of the threads in which V8 compiles, in nanoseconds.
fn compilers(process: u32) -> Result<u64> {
    threads(process, |name| name.starts_with("V8 "))
}

/// CPU time of the threads whose names are such, in nanoseconds.
fn threads(process: u32, is_one: impl Fn(&str) -> bool) -> Result<u64> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).context(|| "CPU time comes from /proc, which is not here")?;
    let mut sum = 0;
    for task in tasks {
        let path = task.context(|| "can't list Envoy's threads")?.path();
        // A thread may end between the two.
        if fs::read_to_string(path.join("comm")).is_ok_and(|name| is_one(&name))
            && let Ok(text) = fs::read_to_string(path.join("schedstat"))
        {
            sum += text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Sends requests over some connections at once, each a closed loop.
fn load<'r>(address: SocketAddr, requests: u32, mut next: impl Iterator<Item = &'r [u8]>) -> Result<()> {
    let mut connections =
        (0..CONNECTIONS).map(|_| Connection::open(address)).collect::<std::io::Result<Vec<_>>>().context(|| "can't connect to Envoy")?;
    let mut sent = 0;
    while sent < requests {
        for connection in &mut connections {
            connection.send(next.next().unwrap_or_default()).context(|| "can't send to Envoy")?;
        }
        for connection in &mut connections {
            let response = connection.read_response().context(|| "can't read from Envoy")?;
            if response.status != 200 {
                return Err(Error::new(format!("expected 200 from Envoy, found {}", response.status)));
            }
        }
        sent += u32::try_from(connections.len()).unwrap_or(u32::MAX);
    }
    Ok(())
}

/// How often all Envoys are started anew: where a process and its compiled code happen to lie shifts its cost by some
/// microseconds, the same in each of its rounds.
const STARTS: u32 = 3;
/// So many requests come before those that are measured, at least.
const WARM_UP: u32 = 60_000;
/// So many loads are enough for any module.
const MAX_WARM_UPS: u32 = 1000;
const CONNECTIONS: usize = 100;
/// Bytes that a span takes at the collector, at least.
const LEAST_SPAN: u64 = 50;
const WHOLE_JOB: &str = "tracegate: whole job";
const POLICY: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
const POLICY_ROUTE: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "routes": [{"name": "all"}]}"#;
const POLICY_WITH_MEMBER: &str =
    r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"tracestate": {"member": "tgate"}}, "default": {"action": "admit"}}"#;
const POLICY_READING: &str = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"propagation":
    {"extract": ["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"]}}, "default": {"action": "admit"}}"#;
const POLICY_TRUST: &str = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"trust": [
    {"name": "partners", "when": {"source": {"cidr": ["203.0.113.0/24"]}}, "context": "link"},
    {"name": "ours", "when": {"source": {"cidr": ["127.0.0.0/8", "fd00::/8"]}}, "context": "continue", "sampled": "ignore"},
    {"name": "internet", "context": "restart"}], "sampling": {"root": {"probability": 0.1}, "max_per_second": 200}}, "default": {"action": "admit"}}"#;
