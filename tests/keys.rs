// SPDX-License-Identifier: Apache-2.0
//! Keys that an issuer publishes, in real Envoy with two workers: rotation under load, floods of bogus keys, and an issuer that is slow, down or
//! answers with something else; and in the native host, a VM that dies while it fetches.

#[path = "keys/entra.rs"]
mod entra;
#[path = "keys/issuer.rs"]
mod issuer;
#[path = "keys/lease.rs"]
mod lease;
#[path = "keys/load.rs"]
mod load;
#[path = "keys/outages.rs"]
mod outages;
#[path = "keys/rotation.rs"]
mod rotation;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tracegate_harness::cluster::Cluster;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::module;
use tracegate_tests::binary;

/// What tokens claim that the policy lets pass, until the end of the century.
fn claims() -> Value {
    json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": "7", "exp": 4_102_444_800_u64})
}

/// A policy whose issuer publishes its keys, with more settings about them.
fn policy(more: &Value) -> Value {
    let mut jwks = json!({"uri": "http://id.shop.example/jwks.json", "cluster": "idp"});
    if let (Some(jwks), Some(more)) = (jwks.as_object_mut(), more.as_object()) {
        jwks.extend(more.clone());
    }
    let jwt = json!({
        "issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["RS256", "ES256"], "keys": {"jwks": jwks},
    });
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "identity": {"providers": {"customers": {"jwt": jwt}}},
        "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "customers"}}}]}],
    })
}

/// Envoy that answers what it admits itself; `None` where it can't be had.
fn start(policy: &Value, idp: SocketAddr) -> Option<Envoy> {
    start_before(policy, idp, None)
}

/// The same with this upstream behind it.
fn start_before(policy: &Value, idp: SocketAddr, upstream: Option<SocketAddr>) -> Option<Envoy> {
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let binary = binary(&version)?;
    let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_string() };
    let cluster = Cluster { name: "idp".to_owned(), host: idp.ip().to_string(), port: idp.port(), tls: false, http2: false };
    let upstream = upstream.map(|address| (address.ip().to_string(), address.port()));
    let options = Options { workers: 2, clusters: vec![cluster], upstream, ..Options::new(binary, plugin) };
    Some(Envoy::start(&options).unwrap_or_else(|error| panic!("{error}")))
}
