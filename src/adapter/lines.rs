// SPDX-License-Identifier: Apache-2.0
//! Lines that are alike whatever the face: the header lines of what the core has its host send, beside pseudo-headers, and the log's.

use crate::config::Policy;
use crate::effect::{Export, Fetch};

/// The log's, once a policy runs.
pub(super) fn loaded(policy: &Policy) -> String {
    let (fingerprint, service, routes) = (policy.fingerprint, &policy.service.name, policy.routes.routes().len());
    format!("tracegate {}: policy {fingerprint} of {service} loaded, {routes} routes", crate::VERSION)
}

/// Of a fetch.
pub(super) fn of_fetch(Fetch { accept, headers, .. }: &Fetch) -> impl Iterator<Item = (&str, &str)> {
    let own = [("accept", *accept), ("user-agent", concat!("tracegate/", env!("CARGO_PKG_VERSION")))];
    own.into_iter().chain(headers.iter().map(|(name, value)| (*name, value.as_str())))
}

/// Of what goes to a collector.
pub(super) fn of_export(Export { headers, .. }: &Export) -> impl Iterator<Item = (&str, &str)> {
    // The protocol's own way to say who exports.
    let user_agent = concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));
    let own = [("content-type", "application/x-protobuf"), ("user-agent", user_agent)];
    own.into_iter().chain(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}
