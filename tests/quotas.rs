// SPDX-License-Identifier: Apache-2.0
//! Limits in real Envoy: exact across workers, across a change of the listener and across machines; and what becomes of requests while a service is
//! slow, gone or talks nonsense.

#[path = "quotas/across.rs"]
mod across;
#[path = "quotas/flood.rs"]
mod flood;
#[path = "quotas/outages.rs"]
mod outages;
#[path = "quotas/redis.rs"]
mod redis;
#[path = "quotas/responses.rs"]
mod responses;
#[path = "quotas/update.rs"]
mod update;
#[path = "quotas/workers.rs"]
mod workers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use serde_json::{Value, json};
use tracegate_harness::cluster::Cluster;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::Connection;
use tracegate_harness::module;
use tracegate_tests::{binary, get};

/// A policy with this limit on everything.
fn policy(quota: &Value) -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "quotas": {"q": quota}, "routes": [{"name": "all", "quotas": ["q"]}],
    })
}

/// A limit of so many in half an hour, by the header `x-key`, with more settings.
fn limit(requests: u64, more: &Value) -> Value {
    let mut quota = json!({
        "limit": {"fixed_window": {"requests": requests, "window": "30m"}}, "key": [{"header": "x-key"}], "key_absent": "refuse",
        "enforcement": {"local": {}},
    });
    if let (Some(quota), Some(more)) = (quota.as_object_mut(), more.as_object()) {
        quota.extend(more.clone());
    }
    quota
}

/// Envoy that answers what it admits itself; `None` where it can't be had.
fn start(policy: &Value, workers: u32, service: Option<SocketAddr>) -> Option<Envoy> {
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_string() };
    let clusters = service.map(|address| Cluster::at("limits", &address.to_string()).expect("an address is one"));
    let options = Options { workers, clusters: clusters.into_iter().collect(), ..Options::new(binary(&version)?, plugin) };
    Some(Envoy::start(&options).unwrap_or_else(|error| panic!("{error}")))
}

/// What becomes of a request with this key: its status and reason.
fn ask(connection: &mut Connection, key: &str) -> String {
    connection.send(&get("/orders", &[("x-key", key.as_bytes())])).expect("Envoy takes a request");
    let response = connection.read_response().expect("Envoy answers");
    let reason = response.field("tracegate-reason").map(|reason| format!(" {}", String::from_utf8_lossy(reason)));
    format!("{}{}", response.status, reason.unwrap_or_default())
}

/// So many requests from each of so many clients at once, each on a connection of its own, to these listeners in turn.
fn storm(listeners: &[SocketAddr], clients: usize, requests: usize, key: &str) -> BTreeMap<String, u64> {
    let client = |client: usize| {
        let mut connection = Connection::open(listeners[client % listeners.len()]).expect("Envoy listens");
        let mut outcomes = BTreeMap::<String, u64>::new();
        for _ in 0..requests {
            *outcomes.entry(ask(&mut connection, key)).or_default() += 1;
        }
        outcomes
    };
    let client = &client;
    let outcomes: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().map(|client| client.join().expect("a client comes to its end")).collect()
    });
    let mut all = BTreeMap::new();
    for (outcome, count) in outcomes.into_iter().flatten() {
        *all.entry(outcome).or_default() += count;
    }
    all
}

/// The value of a plugin metric, once it is as expected: flushing takes up to a second.
fn metric(envoy: &Envoy, name: &str, is_expected: impl Fn(u64) -> bool) -> u64 {
    let mut value = 0;
    for _ in 0..100 {
        let stats = envoy.stats("wasmcustom").expect("Envoy has statistics");
        value = stats.iter().find(|(known, _)| known == &format!("wasmcustom.tracegate.quotas.{name}.q")).map_or(0, |(_, value)| *value);
        if is_expected(value) {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    value
}

fn outcomes<const N: usize>(outcomes: [(&str, u64); N]) -> BTreeMap<String, u64> {
    outcomes.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}
