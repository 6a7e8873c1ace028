// SPDX-License-Identifier: Apache-2.0
//! What leaves real Envoy for collectors, read by OpenTelemetry's own types; and what becomes of it, and of requests, while a collector is down, slow
//! or talks nonsense.

#[path = "spans/measured.rs"]
mod measured;
#[path = "spans/outages.rs"]
mod outages;
#[path = "spans/replayed.rs"]
mod replayed;
#[path = "spans/told.rs"]
mod told;
#[path = "spans/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracegate_harness::cluster::Cluster;
use tracegate_harness::collector::Collector;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::module;
use tracegate_tests::collected::{self, Span};
use tracegate_tests::{binary, get};

/// A policy whose spans leave ten times a second.
fn policy(batch: &Value) -> Value {
    json!({
        "schema": 1, "service": {"name": "edge", "namespace": "shop", "attributes": {"deployment.environment.name": "test"}},
        "default": {"action": "refuse"},
        "routes": [
            {"name": "order", "match": {"path": {"template": "/orders/{id}"}}, "attributes": {"path": {"id": "raw"}}},
            {"name": "closed", "match": {"path": {"prefix": "/closed"}}, "rules": [{"name": "nobody", "require": "deny"}]},
        ],
        "export": {"traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel.internal:4318/v1/traces", "batch": batch}}}},
    })
}

fn often() -> Value {
    json!({"schedule_delay": "100ms"})
}

/// Envoy before an upstream that answers 200, with a collector; `None` where it can't be had.
fn start(policy: &Value, workers: u32, collector: SocketAddr) -> Option<Envoy> {
    start_before(None, policy, workers, vec![cluster("otel", collector)])
}

/// The same before this upstream, with these clusters.
fn start_before(upstream: Option<SocketAddr>, policy: &Value, workers: u32, clusters: Vec<Cluster>) -> Option<Envoy> {
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_string() };
    let upstream = upstream.map(|address| (address.ip().to_string(), address.port()));
    let options = Options { workers, clusters, upstream, ..Options::new(binary(&version)?, plugin) };
    Some(Envoy::start(&options).unwrap_or_else(|error| panic!("{error}")))
}

fn cluster(name: &str, address: SocketAddr) -> Cluster {
    Cluster::at(name, &address.to_string()).expect("an address is one")
}

fn ask(connection: &mut Connection, path: &str, headers: &[(&str, &[u8])]) -> Response {
    connection.send(&get(path, headers)).expect("Envoy takes a request");
    connection.read_response().expect("Envoy answers")
}

/// What becomes of spans, by metric, summed over workers.
fn ledger(envoy: &Envoy) -> BTreeMap<String, u64> {
    let stats = envoy.stats("wasmcustom").expect("Envoy has statistics");
    let fate = |name: &str| Some(name.strip_prefix("wasmcustom.tracegate.spans.")?.strip_suffix(".otel")?.to_owned());
    stats.iter().filter(|(_, value)| *value > 0).filter_map(|(name, value)| Some((fate(name)?, *value))).collect()
}

/// The ledger, once it is as expected: metrics are flushed every second.
#[track_caller]
fn ledger_until(envoy: &Envoy, within: Duration, is_expected: impl Fn(&BTreeMap<String, u64>) -> bool) -> BTreeMap<String, u64> {
    let deadline = Instant::now() + within;
    loop {
        let found = ledger(envoy);
        if is_expected(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn fates<const N: usize>(fates: [(&str, u64); N]) -> BTreeMap<String, u64> {
    fates.into_iter().map(|(fate, count)| (fate.to_owned(), count)).collect()
}

/// What has come once there are so many spans.
#[track_caller]
fn spans_until(collector: &Collector, count: usize) -> Vec<Span> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let spans = collected::spans(collector);
        if spans.len() >= count {
            return spans;
        }
        assert!(Instant::now() < deadline, "{} of {count} spans", spans.len());
        thread::sleep(Duration::from_millis(100));
    }
}
