// SPDX-License-Identifier: Apache-2.0
//! Secrets that are fetched, in real Envoy with two workers, before a simulated vault and instance metadata service: rotation without a restart, a
//! vault that is down, and nothing of them in what the gateway shows.

#[path = "secrets/collector.rs"]
mod collector;
#[path = "secrets/outages.rs"]
mod outages;
#[path = "secrets/rotation.rs"]
mod rotation;
#[path = "secrets/vault.rs"]
mod vault;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracegate_harness::cluster::Cluster;
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::module;
use tracegate_tests::{binary, echoed, get};

use vault::Vault;

/// Two keys of 32 bytes.
const ONE: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWO: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// A secret of the vault's, by its name there, that is asked for every second.
fn secret(name: &str) -> Value {
    json!({"key_vault": {
        "vault_uri": "https://shop-kv.vault.azure.net", "name": name, "managed_identity": {"client_id": "6a1f0c9e-1111-4c0e-9d6b-000000000001"},
        "vault_cluster": "vault", "imds_cluster": "imds", "refresh_interval": "1s", "timeout": "500ms",
    }})
}

/// A policy that signs hops and believes signed ones alone, and shows a collector a token.
fn policy() -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "secrets": {"hop": secret("hop-key"), "token": secret("collector-token")},
        "trace": {
            "tracestate": {"member": "tgate"}, "signed_hop": {"active": {"id": "k1", "key": {"secret": "hop"}}},
            "trust": [{"name": "ours", "when": {"signed_hop": "valid"}, "context": "continue"}, {"name": "rest", "context": "restart"}],
        },
        "export": {"traces": {"otel": {"otlp": {
            "cluster": "otel", "uri": "http://otel.internal:4318/v1/traces", "headers": {"x-token": {"secret": "token"}},
            "batch": {"schedule_delay": "100ms"},
        }}}},
    })
}

/// Envoy with two workers before an echo; `None` where it can't be had.
struct Edge {
    envoy: Envoy,
    _echo: Echo,
}

/// One for each worker, and one for the main thread.
const VMS: u64 = 3;

impl Edge {
    fn start(policy: &Value, vault: &Vault, others: &[(&str, SocketAddr)]) -> Option<Self> {
        let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
        let binary = binary(&version)?;
        let echo = Echo::start().expect("there is a free port");
        let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_string() };
        let clusters = [("vault", vault.address()), ("imds", vault.address())];
        let clusters = clusters.iter().chain(others).map(|(name, address)| Cluster::at(name, &address.to_string()).expect("an address"));
        let upstream = Some((echo.address().ip().to_string(), echo.address().port()));
        let options = Options { workers: 2, clusters: clusters.collect(), upstream, ..Options::new(binary, plugin) };
        let envoy = Envoy::start(&options).unwrap_or_else(|error| panic!("{error}"));
        Some(Self { envoy, _echo: echo })
    }

    fn connect(&self) -> Connection {
        Connection::open(self.envoy.listener()).expect("Envoy listens")
    }

    /// The module's metrics whose names begin so, without that.
    fn metrics(&self, prefix: &str) -> BTreeMap<String, u64> {
        let prefix = format!("wasmcustom.tracegate.{prefix}");
        let stats = self.envoy.stats("wasmcustom").expect("Envoy has statistics");
        stats
            .into_iter()
            .filter(|(_, value)| *value > 0)
            .filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value)))
            .collect()
    }

    /// Waits until one is as expected: metrics are flushed every second.
    #[track_caller]
    fn until(&self, name: &str, is_expected: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = self.metrics("");
            if is_expected(found.get(name).copied().unwrap_or(0)) {
                return;
            }
            assert!(Instant::now() < deadline, "{name}: {found:?}\n{}", self.envoy.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Nothing of these texts is in the log or in what the admin interface tells.
    #[track_caller]
    fn shows_none_of(&self, secrets: &[&str]) {
        let mut shown = vec![("the log".to_owned(), self.envoy.log())];
        for path in ["/stats", "/config_dump?include_eds", "/clusters", "/server_info", "/listeners", "/runtime"] {
            let answer = self.envoy.ask_admin("GET", path).expect("Envoy has an admin interface");
            shown.push((path.to_owned(), String::from_utf8_lossy(&answer.body).into_owned()));
        }
        for (place, text) in &shown {
            assert!(!text.is_empty() || place == "/runtime", "{place}");
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} in {place}");
            }
        }
    }
}

fn ask(connection: &mut Connection, headers: &[(&str, &[u8])]) -> Response {
    connection.send(&get("/orders/7", headers)).expect("Envoy takes a request");
    connection.read_response().expect("Envoy answers")
}

/// What a request told the upstream of its trace.
fn hop(response: &Response) -> (String, String) {
    let one = |name: &str| echoed(response, name).into_iter().next().unwrap_or_default();
    (one("traceparent"), one("tracestate"))
}

/// Whether a gateway takes a head for one of ours.
fn continues(connection: &mut Connection, (traceparent, tracestate): &(String, String)) -> bool {
    let response = ask(connection, &[("traceparent", traceparent.as_bytes()), ("tracestate", tracestate.as_bytes())]);
    hop(&response).0.get(..35) == traceparent.get(..35)
}
