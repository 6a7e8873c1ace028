// SPDX-License-Identifier: Apache-2.0
//! The core, natively: what parsers and whole steps cost.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::trace::{TraceParent, TraceState};
use tracegate::{Event, ExchangeId, Gateway, GatewayId, Header, Headers, Inputs, Policy, UnknownPeer};

use super::median;
use crate::error::{Context, Result};

/// Tells nanoseconds an operation, and the ratio to a step that begins a fresh trace.
///
/// # Errors
///
/// When the benchmark's own policy doesn't load.
pub fn run() -> Result<String> {
    let open = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
    let member =
        r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"tracestate": {"member": "tgate"}}, "default": {"action": "admit"}}"#;
    let routes = routes(100);
    let longest: Vec<u8> = (0..32).map(|index| format!("k{index:0255}={}", "v".repeat(256))).collect::<Vec<_>>().join(",").into_bytes();
    let commas = vec![b','; 60 * 1024];
    let state = b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
    let fresh = measure_step(open, &[])?;
    let rows = [
        ("step: fresh trace", fresh),
        ("step: trace goes on", measure_step(open, &[("traceparent", PARENT)])?),
        ("step: trace goes on, tracestate of 2", measure_step(open, &[("traceparent", PARENT), ("tracestate", state)])?),
        ("step: the same, our member put first", measure_step(member, &[("traceparent", PARENT), ("tracestate", state)])?),
        (
            "step: malformed traceparent",
            measure_step(open, &[("traceparent", b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")])?,
        ),
        ("step: fresh trace, last of 100 routes", measure_step(&routes, &[])?),
        ("step: longest tracestate of the grammar", measure_step(open, &[("traceparent", PARENT), ("tracestate", &longest)])?),
        ("step: tracestate of 60 KiB of commas", measure_step(open, &[("traceparent", PARENT), ("tracestate", &commas)])?),
        ("parse: traceparent", measure(|| _ = black_box(TraceParent::try_from(black_box(PARENT))))),
        ("parse: tracestate of 2", measure(|| drop(black_box(TraceState::try_from(black_box(&state[..])))))),
    ];
    let mut shown = String::new();
    let _ = writeln!(shown, "{:<42} {:>10} {:>8}", "operation", "ns", "ratio");
    for (name, nanoseconds) in rows {
        let _ = writeln!(shown, "{name:<42} {nanoseconds:>10.1} {:>8.2}", nanoseconds / fresh);
    }
    Ok(shown)
}

fn routes(count: usize) -> String {
    let routes: Vec<String> =
        (0..count).map(|index| format!(r#"{{"name": "r{index}", "match": {{"path": {{"prefix": "/r{index}"}}}}}}"#)).collect();
    format!(
        r#"{{"schema": 1, "service": {{"name": "edge"}}, "routes": [{}, {{"name": "rest"}}], "default": {{"action": "refuse"}}}}"#,
        routes.join(",")
    )
}

/// A whole request through a gateway, among the headers that a browser sends.
fn measure_step(policy: &str, trace: &[(&str, &[u8])]) -> Result<f64> {
    let loaded = Policy::from_json(policy.as_bytes()).context(|| "the benchmark's policy")?;
    let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
    let mut randomness = ChaCha8Rng::seed_from_u64(0);
    let mut entropy = move |bytes: &mut [u8]| {
        randomness.fill_bytes(bytes);
        Ok(())
    };
    let browser = BROWSER.iter().map(|&(name, value)| (name, value.as_bytes()));
    let lines: Vec<Header<'_>> =
        browser.chain(trace.iter().copied()).map(|(name, value)| Header { name: name.as_bytes(), value }).collect();
    Ok(measure(|| {
        let mut inputs = Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer: &mut UnknownPeer };
        let mut exchange = gateway.open(ExchangeId(1));
        drop(black_box(exchange.step(&mut gateway, Event::Request(Headers::new(black_box(&lines))), &mut inputs)));
    }))
}

/// Nanoseconds a call: the median of rounds that last long enough for the clock.
fn measure(mut operation: impl FnMut()) -> f64 {
    let mut calls = 1_u32;
    let round = loop {
        let begun = Instant::now();
        (0..calls).for_each(|_| operation());
        let took = begun.elapsed();
        if took >= ROUND || calls > u32::MAX / 4 {
            break took;
        }
        calls *= 2;
    };
    let mut rounds = vec![round.as_secs_f64()];
    for _ in 1..ROUNDS {
        let begun = Instant::now();
        (0..calls).for_each(|_| operation());
        rounds.push(begun.elapsed().as_secs_f64());
    }
    median(rounds) * 1e9 / f64::from(calls)
}

const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const BROWSER: &[(&str, &str)] = &[
    (":authority", "api.example.com"),
    (":path", "/orders/7?expand=lines"),
    (":method", "GET"),
    (":scheme", "https"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"),
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "2f1c7a64-0b6e-4c1e-8f0e-3f0f7d1f9a55"),
];
const ROUND: Duration = Duration::from_millis(20);
const ROUNDS: usize = 9;
