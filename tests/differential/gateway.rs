// SPDX-License-Identifier: Apache-2.0
//! Gateways: the modules that a host runs, and how it is set up.

use serde::Deserialize;
use serde_json::Value;

/// A host's setup.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// What its plugins run.
    pub module: Module,
    /// What becomes of requests once the module has trapped.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// The configuration of the VM.
    #[serde(default)]
    pub vm_configuration: String,
    /// The root program of the only plugin, or the first.
    pub root: Option<String>,
    /// The root programs of several, in order.
    #[serde(default)]
    pub roots: Vec<String>,
    /// How many plugins there are, in one VM.
    #[serde(default = "one")]
    pub plugins: usize,
    /// The policy that the product module gets.
    pub policy: Option<Value>,
}

/// A module.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Module {
    /// The tests' own.
    Probe,
    /// The product.
    Tracegate,
}

/// What becomes of requests once the module has trapped: Envoy's names.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "Envoy's names")]
pub enum FailurePolicy {
    /// 503 until the module is loaded anew.
    #[default]
    FailReload,
    /// 503 from then on.
    FailClosed,
    /// Requests pass by the plugin.
    FailOpen,
}

impl FailurePolicy {
    /// As Envoy's configuration has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailReload => "FAIL_RELOAD",
            Self::FailClosed => "FAIL_CLOSED",
            Self::FailOpen => "FAIL_OPEN",
        }
    }
}

/// One plugin of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// `probe`, then `probe-2`.
    pub name: String,
    /// `probe-root`, then `probe-root-2`.
    pub root_id: String,
    /// The configuration it is given.
    pub configuration: String,
}

/// The VM that every plugin of a gateway runs in.
pub const VM_ID: &str = "probe-vm";

impl Gateway {
    /// Its plugins, in the order in which a request meets them.
    #[must_use]
    pub fn plugins(&self) -> Vec<Plugin> {
        let programs: Vec<&String> = self.root.iter().chain(&self.roots).collect();
        (0..self.plugins.max(programs.len()))
            .map(|index| {
                let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
                let program = programs.get(index).map(|program| (*program).clone()).unwrap_or_default();
                let configuration = self.policy.as_ref().map_or(program, Value::to_string);
                Plugin { name: format!("probe{suffix}"), root_id: format!("probe-root{suffix}"), configuration }
            })
            .collect()
    }

    /// The case names of its root programs.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.root.iter().chain(&self.roots).filter_map(|program| program.split('|').next()?.trim().strip_prefix("case "))
    }
}

const fn one() -> usize {
    1
}
