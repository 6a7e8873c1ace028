// SPDX-License-Identifier: Apache-2.0
//! The core, natively: what parsers and whole steps cost.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate::quota::Totals;
use tracegate::trace::{TraceParent, TraceState};
use tracegate::{
    EntropyUnavailable, Event, ExchangeId, Gateway, GatewayId, Header, HeaderEdit, Headers, Inputs, NoSignatures, NoStore, PeerFact,
    Policy, Reply, UnknownPeer, Verdict,
};

use super::{median, whole_job};
use crate::error::{Context, Error, Result};
use crate::issuer::Issuer;
use crate::replay::OwnStore;

/// Tells nanoseconds an operation, and the ratio to a step that begins a fresh trace.
///
/// # Errors
///
/// When the benchmark's own policy doesn't load.
pub fn run() -> Result<String> {
    let open = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
    let member =
        r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"tracestate": {"member": "tgate"}}, "default": {"action": "admit"}}"#;
    let longest: Vec<u8> = (0..32).map(|index| format!("k{index:0255}={}", "v".repeat(256))).collect::<Vec<_>>().join(",").into_bytes();
    let reading = format!(r#"{{{HEAD} "trace": {{"propagation": {{"extract": {ALL_FORMATS}}}}}}}"#);
    let writing = format!(r#"{{{HEAD} "trace": {{"propagation": {{"inject": {ALL_FORMATS}}}}}}}"#);
    let baggage = b"k=v,".repeat(15 * 1024);
    let commas = vec![b','; 60 * 1024];
    let state = b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";
    let fresh = measure_step(open, &[])?;
    let mut issuer = Issuer::new(0)?.sharing(vec![0; 64]);
    let rows = [
        ("step: fresh trace", fresh),
        ("step: trace goes on", measure_step(open, &[("traceparent", PARENT)])?),
        ("step: trace goes on, tracestate of 2", measure_step(open, &[("traceparent", PARENT), ("tracestate", state)])?),
        ("step: the same, our member put first", measure_step(member, &[("traceparent", PARENT), ("tracestate", state)])?),
        (
            "step: malformed traceparent",
            measure_step(open, &[("traceparent", b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")])?,
        ),
        ("step: fresh trace, last of 10 routes by prefix", measure_step(&routes_by_prefix(10), &[])?),
        ("step: fresh trace, last of 100 routes by prefix", measure_step(&routes_by_prefix(100), &[])?),
        ("step: fresh trace, last of 1,000 routes by prefix", measure_step(&routes_by_prefix(1000), &[])?),
        ("step: fresh trace, last of 1,000 routes by host", measure_step(&routes_by_host(1000), &[(":authority", HOST)])?),
        ("step: rules met, the last of 10 routes", measure_rules(&mut issuer, 10)?),
        ("step: rules met, the last of 100 routes", measure_rules(&mut issuer, 100)?),
        ("step: rules met, the last of 1,000 routes", measure_rules(&mut issuer, 1000)?),
        ("exchange: known token, limit, header and span", measure_whole_job(&mut issuer)?),
        ("step: longest tracestate of the grammar", measure_step(open, &[("traceparent", PARENT), ("tracestate", &longest)])?),
        ("step: tracestate of 60 KiB of commas", measure_step(open, &[("traceparent", PARENT), ("tracestate", &commas)])?),
        ("step: the same, our member signed and verified", measure_step(SIGNED, &[("traceparent", PARENT), ("tracestate", &signed()?)])?),
        ("step: trust by network, the last of 3 rules", measure_step(TRUST, &[("traceparent", PARENT)])?),
        ("step: fresh trace, sampled by probability", measure_step(SAMPLING, &[])?),
        ("step: 8 formats read, none there", measure_step(&reading, &[])?),
        ("step: 8 formats read, traceparent", measure_step(&reading, &[("traceparent", PARENT)])?),
        ("step: 8 formats read, b3", measure_step(&reading, &[("b3", B3)])?),
        ("step: 8 formats read, x-b3-*", measure_step(&reading, B3_MULTI)?),
        ("step: 8 formats read, uber-trace-id", measure_step(&reading, &[("uber-trace-id", JAEGER)])?),
        ("step: 8 formats read, ot-tracer-*", measure_step(&reading, OT_TRACER)?),
        ("step: 8 formats read, x-ot-span-context", measure_step(&reading, &[("x-ot-span-context", OT_SPAN_CONTEXT)])?),
        ("step: 8 formats read, x-amzn-trace-id", measure_step(&reading, &[("x-amzn-trace-id", XRAY)])?),
        ("step: 8 formats read, request-id", measure_step(&reading, &[("request-id", REQUEST_ID)])?),
        ("step: trace goes on, 8 formats written", measure_step(&writing, &[("traceparent", PARENT)])?),
        ("step: trace goes on, baggage of 2", measure_step(open, &[("traceparent", PARENT), ("baggage", b"tenant=7,role=admin;p")])?),
        ("step: baggage of 60 KiB", measure_step(open, &[("traceparent", PARENT), ("baggage", &baggage)])?),
        ("step: no token where one is required", measure_step(&identity(&issuer, Algorithm::Rs256), &[])?),
        ("step: token known, RS256", measure_token(&mut issuer, Algorithm::Rs256, true)?),
        ("step: token verified, RS256", measure_token(&mut issuer, Algorithm::Rs256, false)?),
        ("step: token verified, RS384", measure_token(&mut issuer, Algorithm::Rs384, false)?),
        ("step: token verified, RS512", measure_token(&mut issuer, Algorithm::Rs512, false)?),
        ("step: token verified, PS256", measure_token(&mut issuer, Algorithm::Ps256, false)?),
        ("step: token verified, PS384", measure_token(&mut issuer, Algorithm::Ps384, false)?),
        ("step: token verified, PS512", measure_token(&mut issuer, Algorithm::Ps512, false)?),
        ("step: token verified, ES256", measure_token(&mut issuer, Algorithm::Es256, false)?),
        ("step: token verified, ES384", measure_token(&mut issuer, Algorithm::Es384, false)?),
        ("step: token verified, EdDSA", measure_token(&mut issuer, Algorithm::EdDsa, false)?),
        ("step: token verified, HS256", measure_token(&mut issuer, Algorithm::Hs256, false)?),
        ("step: token verified, HS384", measure_token(&mut issuer, Algorithm::Hs384, false)?),
        ("step: token verified, HS512", measure_token(&mut issuer, Algorithm::Hs512, false)?),
        ("parse: traceparent", measure(|| _ = black_box(TraceParent::try_from(black_box(PARENT))))),
        ("parse: tracestate of 2", measure(|| drop(black_box(TraceState::try_from(black_box(&state[..])))))),
    ];
    let mut shown = String::new();
    let _ = writeln!(shown, "{:<50} {:>10} {:>8}", "operation", "ns", "ratio");
    for (name, nanoseconds) in rows {
        let _ = writeln!(shown, "{name:<50} {nanoseconds:>10.1} {:>8.2}", nanoseconds / fresh);
    }
    Ok(shown)
}

/// Routes of which the last one's prefix is the request's.
fn routes_by_prefix(count: usize) -> String {
    let others = (1..count).map(|index| format!("/order{index:04}"));
    routes(others.chain(["/orders".to_owned()]).map(|prefix| json!({"path": {"prefix": prefix}})))
}

/// Routes of which the last one's host is the request's.
fn routes_by_host(count: usize) -> String {
    let others = (1..count).map(|index| format!("edge{index:04}.shop.example"));
    let own = String::from_utf8_lossy(HOST).into_owned();
    routes(others.chain([own]).map(|host| json!({"hosts": [{"exact": host}]})))
}

/// A policy with a route for each of the matches, and nothing for other requests.
fn routes(matches: impl Iterator<Item = Value>) -> String {
    let routes: Vec<Value> = matches.enumerate().map(|(index, matched)| json!({"name": format!("r{index}"), "match": matched})).collect();
    json!({"schema": 1, "service": {"name": "edge"}, "routes": routes, "default": {"action": "refuse"}}).to_string()
}

/// A policy that requires a token of the issuer's.
fn identity(issuer: &Issuer, algorithm: Algorithm) -> String {
    let keys =
        if algorithm.is_symmetric() { json!({"secrets": [{"key": {"secret": "shared"}}]}) } else { json!({"inline": issuer.key_set()}) };
    let jwt = json!({"issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": [algorithm.as_str()], "keys": keys});
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "secrets": {"shared": {"environment": {"name": "SHARED"}}},
        "identity": {"providers": {"customers": {"jwt": jwt}}},
        "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "customers"}}}]}],
    })
    .to_string()
}

/// A request with a token that is in order, known or verified each time.
fn measure_token(issuer: &mut Issuer, algorithm: Algorithm, known: bool) -> Result<f64> {
    let claims = json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": "1f2c7a64", "exp": 4_102_444_800_u64});
    let authorization = format!("Bearer {}", issuer.mint(algorithm, &claims)?);
    measure_through(&identity(issuer, algorithm), &[("authorization", authorization.as_bytes())], known)
}

/// A request with a known token that meets the rules of the last of so many routes, each of which has as many; the upstream learns of two claims.
fn measure_rules(issuer: &mut Issuer, count: usize) -> Result<f64> {
    let mut document: Value = serde_json::from_str(&identity(issuer, Algorithm::Rs256)).context(|| "the benchmark's policy")?;
    let tier = json!({"path": "tier", "match": {"one_of": ["gold", "silver"]}});
    let caller = json!({"caller": {"provider": "customers", "scopes": ["orders.read"], "claims": [tier]}});
    let rules = json!([
        {"name": "who", "require": {"any_of": [{"caller": {"provider": "customers", "roles": ["Orders.Admin"]}}, caller]}},
        {"name": "legacy", "when": {"not": {"header": {"name": "accept", "match": {"present": true}}}}, "require": "deny"},
    ]);
    let others = (1..count).map(|index| format!("/service{index:04}"));
    let routes = others.chain(["/orders".to_owned()]).enumerate();
    document["routes"] =
        routes.map(|(index, prefix)| json!({"name": format!("r{index}"), "match": {"path": {"prefix": prefix}}, "rules": rules})).collect();
    document["identity"]["claim_to_headers"] = json!([{"claim": "sub", "header": "x-user-id"}, {"claim": "tier", "header": "x-user-tier"}]);
    let claims = json!({
        "iss": "https://id.shop.example/", "aud": "orders-api", "sub": "1f2c7a64", "exp": 4_102_444_800_u64, "scp": "orders.read", "tier": "gold",
    });
    let authorization = format!("Bearer {}", issuer.mint(Algorithm::Rs256, &claims)?);
    measure_step(&document.to_string(), &[("authorization", authorization.as_bytes())])
}

/// An exchange from its request to its end under a policy that asks for a token, counts and records it; its spans are taken each tick.
fn measure_whole_job(issuer: &mut Issuer) -> Result<f64> {
    let mut document: Value = serde_json::from_str(&identity(issuer, Algorithm::Rs256)).context(|| "the benchmark's policy")?;
    whole_job::extend(&mut document, whole_job::Step::Span);
    let claims = json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": "1f2c7a64", "exp": 4_102_444_800_u64});
    let authorization = format!("Bearer {}", issuer.mint(Algorithm::Rs256, &claims)?);
    let loaded = Policy::from_json(document.to_string().as_bytes()).context(|| "the benchmark's policy")?;
    let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
    let mut randomness = ChaCha8Rng::seed_from_u64(0);
    let mut entropy = move |bytes: &mut [u8]| {
        randomness.fill_bytes(bytes);
        Ok(())
    };
    let browser = BROWSER.iter().map(|&(name, value)| (name, value.as_bytes()));
    let own = [("traceparent", PARENT), ("authorization", authorization.as_bytes())];
    let lines: Vec<Header<'_>> = browser.chain(own).map(|(name, value)| Header { name: name.as_bytes(), value }).collect();
    let status = [Header { name: b":status", value: b"200" }];
    let (mut store, mut now) = (OwnStore::default(), 0);
    Ok(measure(|| {
        now += 20_000;
        let (peer, signatures) = (&mut peer, &mut NoSignatures);
        let inputs = &mut Inputs { now: 0, monotonic: now, entropy: &mut entropy, peer, store: &mut store, signatures };
        let mut exchange = gateway.open(ExchangeId(1));
        drop(black_box(exchange.step(&mut gateway, Event::Request(Headers::new(black_box(&lines))), inputs)));
        drop(black_box(exchange.step(&mut gateway, Event::Response(Headers::new(black_box(&status))), inputs)));
        drop(black_box(exchange.step(&mut gateway, Event::Closed(Totals::default()), inputs)));
        if gateway.has_batch() {
            for effect in gateway.tick(inputs).effects {
                drop(gateway.reply(effect.call(), Ok(Reply { headers: Headers::new(&status), body: b"" }), inputs));
            }
        }
    }))
}

/// A whole request through a gateway, among the headers that a browser sends.
fn measure_step(policy: &str, trace: &[(&str, &[u8])]) -> Result<f64> {
    measure_through(policy, trace, true)
}

/// The same, in a gateway that remembers tokens or doesn't, for want of a seed to index them by.
fn measure_through(policy: &str, trace: &[(&str, &[u8])], remembers: bool) -> Result<f64> {
    let loaded = Policy::from_json(policy.as_bytes()).context(|| "the benchmark's policy")?;
    let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
    gateway.provide(&mut key).context(|| "the benchmark's key")?;
    let mut randomness = ChaCha8Rng::seed_from_u64(0);
    let mut entropy = move |bytes: &mut [u8]| {
        randomness.fill_bytes(bytes);
        if remembers || bytes.len() > SEED { Ok(()) } else { Err(EntropyUnavailable) }
    };
    let browser = BROWSER.iter().map(|&(name, value)| (name, value.as_bytes()));
    let lines: Vec<Header<'_>> =
        browser.chain(trace.iter().copied()).map(|(name, value)| Header { name: name.as_bytes(), value }).collect();
    Ok(measure(|| {
        let (peer, store, signatures) = (&mut peer, &mut NoStore, &mut NoSignatures);
        let mut inputs = Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer, store, signatures };
        let mut exchange = gateway.open(ExchangeId(1));
        drop(black_box(exchange.step(&mut gateway, Event::Request(Headers::new(black_box(&lines))), &mut inputs)));
    }))
}

/// The `tracestate` that a gateway with the benchmark's key writes for the benchmark's trace.
fn signed() -> Result<Vec<u8>> {
    let loaded = Policy::from_json(SIGNED.as_bytes()).context(|| "the benchmark's policy")?;
    let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
    gateway.provide(&mut key).context(|| "the benchmark's key")?;
    let lines = [Header { name: b":method", value: b"GET" }, Header { name: b"traceparent", value: PARENT }];
    let mut entropy = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok(())
    };
    let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
    let mut inputs = Inputs { now: 0, monotonic: 0, entropy: &mut entropy, peer, store, signatures };
    let step = gateway.open(ExchangeId(1)).step(&mut gateway, Event::Request(Headers::new(&lines)), &mut inputs);
    let Verdict::Continue(edits) = step.verdict else { return Err(Error::new("the benchmark's request is refused")) };
    let state = edits.iter().find_map(|edit| match edit {
        HeaderEdit::Replace { name, value } if name == "tracestate" => Some(value.clone()),
        _ => None,
    });
    state.ok_or_else(|| Error::new("the benchmark's request isn't signed"))
}

#[expect(clippy::unnecessary_wraps, reason = "what a host without it would answer")]
fn key(_: &str) -> Option<String> {
    Some(format!("{}==", "A".repeat(86)))
}

/// What Envoy tells of a client.
#[expect(clippy::unnecessary_wraps, reason = "what a host without it would answer")]
fn peer(_: PeerFact) -> Option<Vec<u8>> {
    Some(b"198.51.100.7:46906".to_vec())
}

/// Nanoseconds a call: the median of rounds that last long enough for the clock.
pub(super) fn measure(mut operation: impl FnMut()) -> f64 {
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

/// All that a policy must have.
const HEAD: &str = r#""schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},"#;
const ALL_FORMATS: &str = r#"["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"]"#;
const SIGNED: &str = r#"{"schema": 1, "service": {"name": "edge"}, "secrets": {"hop": {"environment": {"name": "HOP"}}},
    "trace": {"tracestate": {"member": "tgate"}, "signed_hop": {"active": {"id": "k1", "key": {"secret": "hop"}}}},
    "default": {"action": "admit"}}"#;
const TRUST: &str = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"trust": [
    {"name": "ours", "when": {"source": {"cidr": ["10.0.0.0/8", "fd00::/8"]}}, "context": "continue"},
    {"name": "partners", "when": {"source": {"cidr": ["203.0.113.0/24"]}}, "context": "link"},
    {"name": "internet", "context": "restart"}]}, "default": {"action": "admit"}}"#;
const SAMPLING: &str = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"sampling": {"root": {"probability": 0.1}, "max_per_second": 200}},
    "default": {"action": "admit"}}"#;
const B3: &[u8] = b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
const B3_MULTI: &[(&str, &[u8])] =
    &[("x-b3-traceid", b"0af7651916cd43dd8448eb211c80319c"), ("x-b3-spanid", b"b7ad6b7169203331"), ("x-b3-sampled", b"1")];
const JAEGER: &[u8] = b"0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1";
const OT_TRACER: &[(&str, &[u8])] =
    &[("ot-tracer-traceid", b"8448eb211c80319c"), ("ot-tracer-spanid", b"b7ad6b7169203331"), ("ot-tracer-sampled", b"true")];
const OT_SPAN_CONTEXT: &[u8] = b"EhQJNkcODp2SzqMRtwKpC6pn8AAYAQ==";
const XRAY: &[u8] = b"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
const REQUEST_ID: &[u8] = b"|0af7651916cd43dd8448eb211c80319c.b7ad6b7169203331.";
pub(super) const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
pub(super) const BROWSER: &[(&str, &str)] = &[
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
const HOST: &[u8] = b"edges.shop.example";
/// Bytes of the seed that tokens are indexed by; ids are drawn in blocks.
const SEED: usize = 16;
const ROUND: Duration = Duration::from_millis(20);
const ROUNDS: usize = 9;
