// SPDX-License-Identifier: Apache-2.0
//! A policy at work: the compiled module in the native host, at the recorded times, before a backend that answers what it
//! answered then.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tracegate::{Policy, network};

use super::decided::{ClientResponse, Decided};
use crate::error::{Error, Result};
use crate::host::{Callout, ExchangeId, Facts, Finished, HeaderMap, Message, Module, Options, Proxy, Reply, Request, Tls, Vm, World};
use crate::keys;
use crate::recording::{Caller, Recorded};

/// A policy at work in a proxy of its own.
#[derive(Debug)]
pub struct Edge<'m> {
    proxy: Proxy<'m, Recording>,
}

/// What lies behind the edge in a replay.
#[derive(Debug, Default)]
struct Recording {
    response: Message,
}

impl World for Recording {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(std::mem::take(&mut self.response))
    }

    fn service(&mut self, _: &Callout) -> Reply {
        Reply::Refused
    }
}

impl<'m> Edge<'m> {
    /// Starts a VM and configures it with a policy in JSON; its secrets are the environment's, or stand-ins.
    ///
    /// # Errors
    ///
    /// When the module traps or refuses the policy.
    pub fn start(module: &'m Module, policy: &str, seed: u64) -> Result<Self> {
        let mut options = Options::new(policy, seed);
        if let Ok(loaded) = Policy::from_json(policy.as_bytes()) {
            options.vm.environment = keys::environment(&loaded.policy, seed);
        }
        Ok(Self { proxy: Proxy::start(module, options, Recording::default())? })
    }

    /// Sends a recorded request through.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn decide(&mut self, recorded: &Recorded) -> Result<Decided> {
        self.proxy.vm_mut().set_clock(clock(recorded));
        self.proxy.world_mut().response = response(recorded);
        let request = Request { message: Message::request(head(recorded)), facts: Arc::new(facts(recorded)), ..Request::default() };
        let Finished { upstream, response, details } = self.proxy.exchange(request);
        if let Some(failure) = self.proxy.failure() {
            return Err(Error::new(failure));
        }
        Ok(match (upstream, response) {
            (Some(upstream), Some(response)) => Decided::Admitted { upstream: upstream.head, response: response.into() },
            (None, Some(response)) => Decided::Refused { reason: details, response: response.into() },
            // The plugin closed the connection.
            (_, None) => Decided::Refused { reason: details, response: ClientResponse::CLOSED },
        })
    }

    /// The VM, for its metrics and its log.
    #[must_use]
    pub const fn vm(&self) -> &Vm {
        self.proxy.vm()
    }

    /// Lets the plugin flush what it has counted.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn tick(&mut self) -> Result<()> {
        self.proxy.tick();
        self.proxy.failure().map_or(Ok(()), |failure| Err(Error::new(failure)))
    }
}

/// The wall clock, in nanoseconds.
pub(super) fn clock(recorded: &Recorded) -> i64 {
    i64::try_from(recorded.time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn response(recorded: &Recorded) -> Message {
    let mut head = recorded.response.headers.clone();
    head.add(b":status", recorded.response.status.to_string().as_bytes());
    Message { head, ..Message::default() }
}

/// What the gateway knew of the client. A certificate that it hadn't verified is none.
pub(super) fn facts(recorded: &Recorded) -> Facts {
    let Caller { address, certificate, .. } = &recorded.caller;
    let address = address.as_ref().and_then(|address| network::address(address.as_bytes())).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let tls = certificate.as_ref().filter(|certificate| certificate.verified).map(|certificate| Tls {
        mutual: true,
        uri_san: certificate.uri_san.clone(),
        dns_san: certificate.dns_san.clone(),
        subject: certificate.subject.clone(),
        sha256: certificate.sha256.clone(),
        ..Tls::default()
    });
    Facts { source: SocketAddr::new(address, 1), tls, ..Facts::default() }
}

/// The head as a gateway hands it to a plugin, pseudo-headers first.
#[must_use]
pub fn head(recorded: &Recorded) -> HeaderMap {
    let request = &recorded.request;
    let pseudo: [(&[u8], &[u8]); 4] = [
        (b":authority", request.authority.as_bytes()),
        (b":path", request.path.as_bytes()),
        (b":method", request.method.as_bytes()),
        (b":scheme", request.scheme.as_bytes()),
    ];
    pseudo.into_iter().chain(request.headers.iter().map(|line| (line.name.as_slice(), line.value.as_slice()))).collect()
}
