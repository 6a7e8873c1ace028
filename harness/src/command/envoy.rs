// SPDX-License-Identifier: Apache-2.0
//! `tracegate envoy`

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use tempfile::TempDir;
use tracegate::Policy;
use tracegate::quota::Enforcement;

use super::Outcome;
use crate::cluster::{Cluster, host_and_port};
use crate::echo::Echo;
use crate::envoy::{self, Envoy, Options, Plugin};
use crate::error::{Context, Error, Result};
use crate::look::complain;
use crate::rate_limit_service::RateLimitService;
use crate::{module, output, policy, render};

/// Run real Envoy with the module in the foreground, until SIGINT or SIGTERM.
#[derive(Debug, Args)]
#[command(after_help = "\
When Envoy serves, one line says where:
  ready listener=http://127.0.0.1:41234 admin=http://127.0.0.1:41235

What the module warns of, and its audit records, go to standard error.\n\nWithout --upstream a built-in echo answers with what reached it: {\"method\", \"path\", \"headers\"}.

Examples:
  cargo harness envoy
  cargo harness envoy --policy edge.yaml --port 8000 --upstream localhost:3000
  cargo harness envoy --policy edge.yaml --cluster idp=https://id.shop.example:443
  cargo harness envoy --policy shop.yaml --global")]
pub(super) struct RunEnvoy {
    /// The policy to run: YAML or JSON; without one, trace context is settled and nothing is refused
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The listener's port; 0 chooses a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// The admin interface's port; 0 chooses a free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    admin_port: u16,
    /// Where requests go, instead of the echo
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    upstream: Option<(String, u16)>,
    /// Where a cluster is that the policy calls, if that isn't where its URIs say. With https:// it is reached by TLS and must prove its name
    #[arg(long = "cluster", value_name = "NAME=[https://]HOST:PORT", value_parser = Cluster::parse)]
    clusters: Vec<Cluster>,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// Two gateways and a rate-limit service (Limitador's engine, built the first time) between them, to see them share the policy's limits
    #[arg(long, requires = "policy", conflicts_with_all = ["port", "admin_port"])]
    global: bool,
    /// An Envoy of your own, instead of the one from PyPI
    #[arg(long, value_name = "BIN")]
    envoy: Option<PathBuf>,
}

impl RunEnvoy {
    pub(super) fn run(self) -> Result<Outcome> {
        let mut limits = None;
        let configuration = match &self.policy {
            None => policy::OBSERVE_ONLY.to_owned(),
            Some(path) => match policy::read(path) {
                Ok(loaded) => {
                    limits = self.global.then(|| Shared::start(&loaded.policy)).transpose()?;
                    if loaded.policy.listener.verifies_clients {
                        complain(
                            "no TLS here: no client has a certificate, whatever the policy says of them; `render` writes a listener that asks for one",
                        );
                    }
                    loaded.canonical
                }
                Err(error) => {
                    eprintln!("{error}");
                    return Ok(Outcome::Unusable);
                }
            },
        };
        let (ended, ending) = mpsc::channel();
        ctrlc::set_handler(move || _ = ended.send(())).context(|| "can't listen for signals")?;
        let module = module::build()?;
        let binary = self.envoy.clone().map_or_else(|| envoy::install(envoy::VERSION), Ok)?;
        let echo = Echo::start().context(|| "can't start the echo")?;
        let upstream = self.upstream.clone().or_else(|| Some((echo.address().ip().to_string(), echo.address().port())));
        let plugin = Plugin::Wasm { module, configuration };
        let mut clusters = self.clusters;
        let own: Vec<Cluster> = limits.iter().flat_map(|shared| shared.clusters.clone()).collect();
        clusters.extend(own.into_iter().filter(|own| clusters.iter().all(|told| told.name != own.name)).collect::<Vec<_>>());
        let options = Options {
            binary,
            plugin,
            upstream,
            port: self.port,
            admin_port: self.admin_port,
            workers: self.workers,
            max_headers: None,
            cpu: None,
            clusters,
            certificates: None,
        };
        let mut envoy = Envoy::start(&options)?;
        output::print(&format!("ready listener=http://{} admin=http://{}\n", envoy.listener(), envoy.admin()))?;
        let second = limits.as_ref().map(|_| Envoy::start(&options)).transpose()?;
        if let Some((second, shared)) = second.as_ref().zip(limits.as_ref()) {
            output::print(&format!("ready listener=http://{} admin=http://{}\n", second.listener(), second.admin()))?;
            output::print(&format!("ready rate-limit-service=grpc://{}\n", shared.service.address()))?;
        }
        let mut shown = envoy.log_length();
        let mut shown_of_second = second.as_ref().map_or(0, Envoy::log_length);
        loop {
            shown = show_log(&envoy, shown);
            if let Some(second) = &second {
                shown_of_second = show_log(second, shown_of_second);
            }
            match ending.recv_timeout(Duration::from_millis(200)) {
                Ok(()) => return Ok(Outcome::Clean),
                // A signal to the whole foreground group may end Envoy a moment before it reaches us.
                Err(_) if envoy.has_ended() && ending.recv_timeout(Duration::from_millis(500)).is_err() => {
                    return Err(Error::new(format!("Envoy ended by itself:\n{}", envoy.log())));
                }
                Err(_) => {}
            }
        }
    }
}

/// A rate-limit service with a policy's limits, for two gateways.
struct Shared {
    service: RateLimitService,
    /// The policy's names for it.
    clusters: Vec<Cluster>,
    /// Holds its limits.
    _folder: TempDir,
}

impl Shared {
    fn start(policy: &Policy) -> Result<Self> {
        let folder = tempfile::tempdir().context(|| "can't create a directory")?;
        let limits = folder.path().join("limits.yaml");
        fs::write(&limits, render::limitador::limits(policy)?).context(|| "can't write the service's limits")?;
        let service = RateLimitService::start(&limits, &["--rate-limit-headers", "draft03"])?;
        let address = service.address().to_string();
        let names = policy.quota.quotas.iter().filter_map(|quota| match &quota.enforcement {
            Enforcement::Global(global) => Some(global.cluster.as_str()),
            Enforcement::Local(_) => None,
        });
        let mut clusters: Vec<Cluster> = names.filter_map(|name| Cluster::at(name, &address).ok()).collect();
        clusters.dedup();
        Ok(Self { service, clusters, _folder: folder })
    }
}

/// Shows what the module has warned of, and what it has put on record, behind the first `shown` bytes of Envoy's log, by whole lines; tells how far
/// that was.
fn show_log(envoy: &Envoy, shown: u64) -> u64 {
    if envoy.log_length() == shown {
        return shown;
    }
    let log = envoy.log_since(shown);
    let Some((lines, _)) = log.rsplit_once('\n') else { return shown };
    let warns = |line: &str| !line.contains("[info]") || line.contains(": {\"audit\":");
    for line in lines.lines().filter(|line| warns(line)) {
        // Behind the names of the plugin and of what is at work in it.
        if let Some((_, message)) = line.split_once("wasm log ").and_then(|(_, rest)| rest.split_once(": ")) {
            eprintln!("{message}");
        }
    }
    shown + u64::try_from(lines.len() + 1).unwrap_or(0)
}
