// SPDX-License-Identifier: Apache-2.0
//! The Envoy configurations that ship.

use std::fs;

use serde_json::{Value, json};
use tracegate::Policy;

use super::{Cluster, Options, Plugin};
use crate::error::{Context, Error, Result};

/// A configuration that ships. Each has one listener with one filter chain, and one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// `envoy-config/envoy.yaml`
    Plain,
    /// `envoy-config/envoy-mtls.yaml`: clients prove by certificate who they are.
    MutualTls,
}

impl Shipped {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Plain, Self::MutualTls];

    /// Where it lies in the repository.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Plain => "envoy-config/envoy.yaml",
            Self::MutualTls => "envoy-config/envoy-mtls.yaml",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Plain => include_str!("../../../envoy-config/envoy.yaml"),
            Self::MutualTls => include_str!("../../../envoy-config/envoy-mtls.yaml"),
        }
    }

    /// The configuration as it ships.
    ///
    /// # Errors
    ///
    /// When it is no YAML.
    pub fn read(self) -> Result<Value> {
        serde_saphyr::from_str(self.text()).context(|| self.path())
    }

    /// The configuration with the options in place.
    ///
    /// # Errors
    ///
    /// When it lacks what the options are about, or the module is missing.
    pub fn bootstrap(self, options: &Options) -> Result<Value> {
        let mut bootstrap = self.read()?;
        let mut set = |pointer: &str, value: Value| {
            let place = bootstrap.pointer_mut(pointer);
            *place.ok_or_else(|| Error::new(format!("{} has no {pointer}", self.path())))? = value;
            Ok::<(), Error>(())
        };
        set("/admin/address/socket_address/port_value", json!(options.admin_port))?;
        set("/static_resources/listeners/0/address/socket_address/port_value", json!(options.port))?;
        match &options.upstream {
            Some((host, port)) => set(ENDPOINT, json!({"address": host, "port_value": port}))?,
            None => {
                let route = json!({"match": {"prefix": "/"}, "direct_response": {"status": 200}});
                set(&format!("{MANAGER}/route_config/virtual_hosts/0/routes/0"), route)?;
            }
        }
        if let Plugin::Wasm { module, configuration } = &options.plugin {
            let module = fs::canonicalize(module).context(|| format!("can't find {}", module.display()))?;
            let wasm = format!("{MANAGER}/http_filters/0/typed_config/config");
            set(&format!("{wasm}/vm_config/code/local/filename"), json!(module))?;
            set(&format!("{wasm}/configuration/value"), json!(configuration))?;
            let policy = Policy::from_json(configuration.as_bytes()).ok();
            let variables = policy.as_ref().map(|loaded| loaded.policy.variables()).unwrap_or_default();
            if !variables.is_empty() {
                let machine = bootstrap.pointer_mut(&format!("{wasm}/vm_config")).and_then(Value::as_object_mut);
                let machine = machine.ok_or_else(|| Error::new(format!("{} has no VM", self.path())))?;
                machine.insert("environment_variables".to_owned(), json!({ "host_env_keys": variables }));
            }
        }
        if let Plugin::Native(filter) = &options.plugin {
            let place = bootstrap.pointer_mut(&format!("{MANAGER}/http_filters/0"));
            *place.ok_or_else(|| Error::new(format!("{} has no filter", self.path())))? = filter.clone();
        }
        let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        clusters
            .ok_or_else(|| Error::new(format!("{} has no clusters", self.path())))?
            .extend(options.clusters.iter().map(Cluster::to_value));
        let manager = bootstrap.pointer_mut(MANAGER).and_then(Value::as_object_mut);
        let manager = manager.ok_or_else(|| Error::new(format!("{} has no {MANAGER}", self.path())))?;
        if let (Plugin::None, Some(Value::Array(filters))) = (&options.plugin, manager.get_mut("http_filters")) {
            filters.drain(..1.min(filters.len()));
        }
        if let Some(max_headers) = options.max_headers {
            let options = manager.get_mut("common_http_protocol_options").and_then(Value::as_object_mut);
            let options = options.ok_or_else(|| Error::new(format!("{} has no common_http_protocol_options", self.path())))?;
            options.insert("max_headers_count".to_owned(), json!(max_headers));
        }
        Ok(bootstrap)
    }
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const ENDPOINT: &str = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
