// SPDX-License-Identifier: Apache-2.0
//! One root context: one configuration, one [`Gateway`].

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel, MetricType};

use super::host;
use super::stream::Stream;
use super::world::{SharedWorld, World};
use crate::adapter::lines;
use crate::config::{Findings, Loaded, Policy, Severity};
use crate::effect::{ExchangeId, GatewayId};
use crate::gateway::Gateway;

pub(super) struct Root {
    id: u32,
    /// `None` until a policy is configured.
    running: Option<Running>,
}

struct Running {
    world: SharedWorld,
    /// The host's ids, by index in [`Gateway::counter_names`]; `None` where the host has no metrics.
    counters: Vec<Option<u32>>,
    /// Likewise, by index in [`Gateway::gauge_names`].
    gauges: Vec<Option<u32>>,
}

impl Root {
    pub(super) const fn new(id: u32) -> Self {
        Self { id, running: None }
    }

    fn load(&mut self, size: usize) -> Result<(), String> {
        let text = host::plugin_configuration(size).map_err(|error| error.to_string())?;
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err("expected the policy as JSON in a google.protobuf.StringValue, found something else".to_owned());
        }
        let Loaded { policy, .. } = Policy::from_json(&text).map_err(|findings| errors(&findings))?;
        let mut gateway = Gateway::new(GatewayId(self.id), policy);
        gateway.provide(&mut |variable: &str| std::env::var(variable).ok()).map_err(|error| error.to_string())?;
        host::log(LogLevel::Info, &lines::loaded(gateway.policy()));
        let fingerprint = gateway.policy().fingerprint;
        if let Ok(gauge) = host::define_metric(MetricType::Gauge, FINGERPRINT_GAUGE) {
            host::record_metric(gauge, fingerprint.gauge());
        }
        let counters = gateway.counter_names().iter().map(|name| host::define_metric(MetricType::Counter, name).ok()).collect();
        let gauges = gateway.gauge_names().iter().map(|name| host::define_metric(MetricType::Gauge, name).ok()).collect();
        let histograms = gateway.histogram_names().iter().map(|name| host::define_metric(MetricType::Histogram, name).ok()).collect();
        let world = Rc::new(World::new(self.id, gateway, histograms));
        let _ = world.with_gateway(Gateway::prove);
        world.pace();
        self.running = Some(Running { world, counters, gauges });
        Ok(())
    }
}

impl Running {
    fn flush_metrics(&self) {
        let Ok(mut gateway) = self.world.gateway.try_borrow_mut() else { return };
        for (index, count) in gateway.drain_counts() {
            if let Some(Some(id)) = self.counters.get(index) {
                host::increment_metric(*id, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        for (id, change) in self.gauges.iter().zip(gateway.drain_gauges()) {
            if let Some(id) = id.filter(|_| change != 0) {
                host::increment_metric(id, change);
            }
        }
    }
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        if let Some(running) = &self.running {
            running.world.end_all();
            running.flush_metrics();
        }
        true
    }

    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        if let Some(running) = &self.running {
            running.world.grpc_reply(token, status, size);
        }
    }

    fn on_http_call_response(&mut self, token: u32, lines: usize, size: usize, _: usize) {
        if let Some(running) = &self.running {
            running.world.reply(token, lines, size);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match self.load(size) {
            Ok(()) => true,
            Err(message) => {
                for line in message.lines() {
                    host::log(LogLevel::Critical, &format!("tracegate {}: invalid policy: {line}", crate::VERSION));
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(running) = &self.running else { return };
        running.world.tick();
        running.flush_metrics();
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let world = self.running.as_ref().map(|running| Rc::clone(&running.world));
        Some(Box::new(Stream::new(world, ExchangeId(id))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// The findings that keep a policy from running, one a line.
fn errors(findings: &Findings) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Holds the first 48 bits of the running policy's fingerprint.
const FINGERPRINT_GAUGE: &str = "tracegate.policy.fingerprint";
