// SPDX-License-Identifier: Apache-2.0
//! A limit that a service counts, in real Envoy under steady load: how long requests take and how many wait for the service, asked about each of
//! them and in slices, beside a gateway without the limit. Clients send at a pace of their own, whatever becomes of the requests before.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::envoy::{self, Envoy, Options, Plugin};
use crate::error::{Context, Error, Result};
use crate::http::Connection;
use crate::module;
use crate::rate_limit_service::RateLimitService;

/// Tells latencies and shares.
///
/// # Errors
///
/// When Envoy or the service don't start, or Envoy answers with anything but 200.
pub fn run(rate: u32, seconds: u32) -> Result<String> {
    let (binary, module) = (envoy::install(envoy::VERSION)?, module::build()?);
    let scratch = tempfile::tempdir().context(|| "can't create a directory")?;
    let limits = scratch.path().join("limits.yaml");
    fs::write(&limits, LIMITS).context(|| "can't write the service's limits")?;
    let service = RateLimitService::start(&limits, &["--rate-limit-headers", "draft03"])?;
    let clusters = vec![Cluster::at("limits", &service.address().to_string()).map_err(Error::new)?];
    let mut shown = String::new();
    let _ =
        writeln!(shown, "Envoy {}, {rate} requests a second for {seconds} s, one worker, a service on the same machine\n", envoy::VERSION);
    let _ =
        writeln!(shown, "{:<24} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}", "limit", "p50 µs", "p99 µs", "p99.9 µs", "waited", "share", "asked");
    for (name, mode) in [("none", None), ("exact", Some(json!("exact"))), ("slices", Some(json!({"lease": {"max_slice": 100_000}})))] {
        let configuration = policy(mode.as_ref()).to_string();
        let plugin = Plugin::Wasm { module: module.clone(), configuration };
        let clusters = if mode.is_some() { clusters.clone() } else { Vec::new() };
        let gateway = Envoy::start(&Options { clusters, ..Options::new(binary.clone(), plugin) })?;
        let mut latencies = load(&gateway, rate, seconds)?;
        latencies.sort_unstable();
        let at = |thousandths: usize| latencies.get(latencies.len() * thousandths / 1000).map_or(0, |latency| latency.as_micros());
        // Metrics are flushed each second.
        thread::sleep(Duration::from_millis(1500));
        let count = |fate: &str| -> Result<u64> {
            let name = format!("wasmcustom.tracegate.quotas.{fate}.all");
            Ok(gateway.stats("quotas")?.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count))
        };
        let (waited, leased) = (count("waited")?, count("leased")?);
        let asked = if name == "exact" { waited } else { leased };
        let requests = u64::from(rate) * u64::from(seconds);
        let share = format!("{}.{:02} %", waited * 100 / requests, waited * 10_000 / requests % 100);
        let _ = writeln!(shown, "{name:<24} {:>9} {:>9} {:>9} {waited:>9} {share:>8} {asked:>8}", at(500), at(990), at(999));
    }
    Ok(shown)
}

/// Each request's time from when it was due to its answer.
fn load(gateway: &Envoy, rate: u32, seconds: u32) -> Result<Vec<Duration>> {
    let listener = gateway.listener();
    let client = |number: u32| -> Result<Vec<Duration>> {
        let mut connection = Connection::open(listener).context(|| "can't connect to Envoy")?;
        let (start, each) = (Instant::now(), Duration::from_secs(1) * CLIENTS / rate);
        let mut latencies = Vec::new();
        for request in 0..rate * seconds / CLIENTS {
            let due = start + each * request + each * number / CLIENTS;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            connection.send(REQUEST).context(|| "can't send to Envoy")?;
            let response = connection.read_response().context(|| "can't read from Envoy")?;
            if response.status != 200 {
                return Err(Error::new(format!("expected 200 from Envoy, found {}", response.status)));
            }
            latencies.push(due.elapsed());
        }
        Ok(latencies)
    };
    let client = &client;
    let all: Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        let ended = clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err(Error::new("a client panicked"))));
        ended.collect()
    });
    Ok(all?.concat())
}

fn policy(mode: Option<&Value>) -> Value {
    let mut policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "routes": [{"name": "all"}],
    });
    if let Some(mode) = mode {
        policy["quotas"] = json!({"all": {
            "limit": {"fixed_window": {"requests": 1_000_000_000, "window": "10m"}}, "key": ["route"],
            "enforcement": {"global": {
                "cluster": "limits", "domain": "bench", "timeout": "5s", "mode": mode, "on_unavailable": "refuse",
            }},
        }});
        policy["routes"][0]["quotas"] = json!(["all"]);
    }
    policy
}

const CLIENTS: u32 = 4;
const REQUEST: &[u8] = b"GET /orders/7 HTTP/1.1\r\nhost: api.example\r\n\r\n";
/// What nobody reaches.
const LIMITS: &str =
    "- namespace: bench\n  max_value: 1000000000\n  seconds: 3600\n  conditions: []\n  variables: [\"descriptors[0].window\"]\n";
