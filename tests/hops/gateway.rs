// SPDX-License-Identifier: Apache-2.0
//! A gateway: real Envoy with a policy, and with the secrets that its configuration hands to the module.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::error::Result;
use tracegate_harness::module;
use tracegate_tests::binary;

/// A key, by the number that its bytes are: `k1` is in `HOP_KEY_1`.
pub type Key = u8;

/// The policy of a gateway that signs with one key and knows perhaps another.
pub fn signing(active: Key, other: Option<Key>, expires_after: &str) -> Value {
    let key = |key: Key| json!({"id": format!("k{key}"), "key": {"secret": format!("hop-key-{key}")}});
    let mut hop = json!({"active": key(active), "expires_after": expires_after});
    if let Some(other) = other {
        hop["other"] = key(other);
    }
    let secrets: serde_json::Map<String, Value> = std::iter::once(active)
        .chain(other)
        .map(|key| (format!("hop-key-{key}"), json!({"environment": {"name": format!("HOP_KEY_{key}")}})))
        .collect();
    json!({
        "schema": 1, "service": {"name": "edge"}, "secrets": secrets, "default": {"action": "admit"},
        "trace": {"tracestate": {"member": "tgate"}, "signed_hop": hop},
    })
}

/// The same, and a trace goes on only from a gateway of ours.
pub fn trusting_ours(mut policy: Value) -> Value {
    policy["trace"]["trust"] =
        json!([{"name": "ours", "when": {"signed_hop": "valid"}, "context": "continue"}, {"name": "rest", "context": "restart"}]);
    policy
}

/// The variables with these keys.
pub fn environment(keys: &[Key]) -> Value {
    let variables = keys.iter().map(|&key| (format!("HOP_KEY_{key}"), json!(STANDARD.encode([key; 32]))));
    variables.collect::<serde_json::Map<String, Value>>().into()
}

/// Starts a gateway before an upstream; `None` where Envoy can't be had.
pub fn start(policy: &Value, environment: &Value, upstream: SocketAddr) -> Option<Result<Envoy>> {
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let binary = binary(&version)?;
    let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_string() };
    let upstream = Some((upstream.ip().to_string(), upstream.port()));
    let options = Options { upstream, ..Options::new(binary, plugin) };
    let mut tree = options.bootstrap().expect("a policy can be rendered");
    let manager = &mut tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let config = &mut manager["http_filters"][0]["typed_config"]["config"];
    config["vm_config"]["environment_variables"] = json!({"key_values": environment});
    Some(Envoy::run(&options.binary, &tree, options.workers, options.cpu))
}
