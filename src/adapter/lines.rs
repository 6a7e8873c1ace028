// SPDX-License-Identifier: Apache-2.0
//! The header lines of what the core has its host send, beside pseudo-headers: alike whatever the face.

use crate::effect::{Export, Fetch};

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
