// SPDX-License-Identifier: Apache-2.0
//! What a proxy is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::callout::Cluster;
use crate::host::vm::{PluginOptions, VmOptions};

/// What a proxy is made of.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The VM that its plugins share.
    pub vm: VmOptions,
    /// The filters, from the client to the upstream.
    pub plugins: Vec<PluginOptions>,
    /// What happens once the module has trapped.
    pub failure_policy: FailurePolicy,
    /// The clusters that plugins can call.
    pub clusters: BTreeMap<String, Cluster>,
    /// The wall clock at the start, in nanoseconds since 1970.
    pub clock: i64,
    /// What the proxy waits for, and how long.
    pub timeouts: Timeouts,
}

/// How long a proxy waits; the defaults are Envoy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For an upstream's response.
    pub response: Duration,
    /// For anything to happen in an exchange.
    pub idle: Duration,
    /// After a module was loaded, until it may be loaded anew.
    pub reload: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { response: Duration::from_secs(15), idle: Duration::from_secs(300), reload: Duration::from_secs(1) }
    }
}

impl Options {
    /// One plugin with this configuration, and randomness from `seed`.
    #[must_use]
    pub fn new(configuration: &str, seed: u64) -> Self {
        let vm = VmOptions { seed, vm_id: "tracegate".to_owned(), ..VmOptions::default() };
        Self { vm, plugins: vec![PluginOptions::new(configuration)], ..Self::default() }
    }
}

/// What happens once the module has trapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Requests get 503 until it has been loaded anew, no sooner than a second after it was loaded before.
    #[default]
    Reload,
    /// Requests get 503.
    Closed,
    /// Requests pass by the plugin.
    Open,
}
