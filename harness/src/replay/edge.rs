// SPDX-License-Identifier: Apache-2.0
//! A policy at work: the compiled module in the native host, at the recorded times, before a backend that answers what it
//! answered then.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tracegate::config::Loaded;
use tracegate::{Policy, network};

use super::decided::{ClientResponse, Decided};
use super::exceeded::Meters;
use super::exported;
use super::exporting::{self, Exporting};
use super::published::{self, Published};
use super::rate_limits::RateLimits;
use super::stand_in::{self, Seconds};
use super::vault::Vault;
use crate::error::{Context as _, Error, Result};
use crate::host::{
    Callout, Cluster, ExchangeId, Facts, Finished, GrpcCall, HeaderMap, Message, Module, Options, Proxy, Reply, Request, Tls, Vm, World,
};
use crate::keys;
use crate::otlp;
use crate::recording::{self, Caller, Recorded, Sizes};

/// A policy at work in a proxy of its own.
#[derive(Debug)]
pub struct Edge<'m> {
    proxy: Proxy<'m, Recording>,
    /// How long the policy's calls take that nobody waits for.
    calls: Duration,
    /// Second keys of subscriptions, which the module doesn't know.
    seconds: Seconds,
    /// What the module counts of the policy's limits.
    meters: Meters,
    /// Spans leave at once.
    exports: bool,
    /// The fingerprint of the policy that the module runs, which has stand-ins in it; and of the one that it is to tell.
    fingerprints: Option<(String, String)>,
}

/// What lies behind the edge in a replay.
#[derive(Debug, Default)]
struct Recording {
    response: Message,
    /// What the test issuer publishes, where there is one.
    published: Arc<Published>,
    fetches: u64,
    /// What holds the policy's secrets that are fetched.
    vault: Vault,
    /// The rate-limit service of the policy's global quotas.
    limits: RateLimits,
    /// Bodies of what was exported of the last exchange, in order.
    exported: Vec<Vec<u8>>,
}

impl World for Recording {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(std::mem::take(&mut self.response))
    }

    fn service(&mut self, callout: &Callout) -> Reply {
        let asked = |name: &[u8]| callout.request.head.first(name).unwrap_or_default();
        if asked(b":method") == b"POST" {
            self.exported.push(callout.request.body.clone());
            return Reply::now(Message::response(200, [("content-type", "application/x-protobuf")], b""));
        }
        if let Some(secret) = self.vault.find(callout.cluster.as_bytes(), asked(b":authority"), asked(b":path")) {
            return Reply::now(Message::response(200, [("content-type", "application/octet-stream")], secret));
        }
        let Some(document) = self.published.find(callout.cluster.as_bytes(), asked(b":authority"), asked(b":path")) else {
            return Reply::Refused;
        };
        self.fetches += u64::from(document.has_keys);
        Reply::now(Message::response(200, published::HEADERS, &document.body))
    }

    fn grpc(&mut self, _: &Callout, call: &GrpcCall) -> Reply {
        Reply::now(match self.limits.answer(&call.message) {
            Ok(answer) => Message::grpc(&answer),
            Err(error) => Message::grpc_status(INVALID_ARGUMENT, &error.to_string()),
        })
    }
}

impl<'m> Edge<'m> {
    /// Starts a VM and configures it with a policy in JSON; its secrets are the environment's, or stand-ins, and subscriptions have a key more: the
    /// stand-in for those that weren't logged.
    ///
    /// # Errors
    ///
    /// When the module traps or refuses the policy.
    pub fn start(module: &'m Module, policy: &str, seed: u64) -> Result<Self> {
        Self::start_as(module, policy, seed, None)
    }

    /// The same with spans that leave at once, see [`exported`](Self::exported): where the policy exports nothing, those of an `export` with its
    /// defaults.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn exporting(module: &'m Module, policy: &Loaded, seed: u64) -> Result<Self> {
        let own = policy.policy.fingerprint.to_string();
        Self::start_as(module, &Exporting::of(policy)?.loaded.canonical, seed, Some(own))
    }

    fn start_as(module: &'m Module, policy: &str, seed: u64, own: Option<String>) -> Result<Self> {
        let (mut exports, mut fingerprints) = (false, None);
        let mut options = Options::new(policy, seed);
        let (mut seconds, mut meters, mut world) = (Seconds::default(), Meters::default(), Recording::default());
        if let Ok(loaded) = Policy::from_json(policy.as_bytes()) {
            let mut told = loaded.policy.fingerprint;
            if let Some(document) = stand_in::document(&loaded, seed)? {
                options = Options::new(&document, seed);
                seconds = Seconds::of(&loaded.policy, seed);
                told = Policy::from_json(document.as_bytes()).map_or(told, |loaded| loaded.policy.fingerprint);
            }
            exports = exporting::is_at_once(&loaded.policy);
            fingerprints = own.map(|own| (told.to_string(), own));
            meters = Meters::new(&loaded.policy);
            world.limits = RateLimits::new(&loaded.policy);
            world.vault = Vault::new(&loaded.policy, seed);
            options.vm.environment = keys::environment(&loaded.policy, seed);
            options.clusters = loaded.policy.clusters().into_iter().map(|name| (name.to_owned(), Cluster::Reachable)).collect();
        }
        let calls = match (options.clusters.is_empty(), world.limits.is_empty()) {
            (true, _) => Duration::ZERO,
            (false, true) => ANSWERED,
            (false, false) => ASKED_AHEAD,
        };
        let fetches = !world.vault.is_empty();
        let mut proxy = Proxy::start(module, options, world)?;
        if fetches {
            // Its secrets come first.
            proxy.advance(ASKED_AHEAD);
        }
        Ok(Self { calls, seconds, meters, exports, fingerprints, proxy })
    }

    /// From now on key sets are what the test issuer publishes.
    pub fn serve(&mut self, published: Arc<Published>) {
        self.proxy.world_mut().published = published;
    }

    /// How often the module has fetched key sets of the test issuer's.
    pub const fn fetches(&mut self) -> u64 {
        self.proxy.world_mut().fetches
    }

    /// Sends a recorded request through, as it is presented now.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn decide(&mut self, recorded: &Recorded, presented: &recording::Request) -> Result<Decided> {
        self.proxy.vm_mut().set_clock(clock(recorded));
        self.proxy.world_mut().response = response(recorded);
        self.proxy.world_mut().exported.clear();
        let (head, sent) = self.seconds.stand_in(head(presented));
        let request = Request { message: Message::request(head), facts: Arc::new(facts(recorded)), ..Request::default() };
        let Finished { upstream, response, details, .. } = self.proxy.exchange(request);
        if self.exports {
            self.proxy.tick();
        }
        if !self.calls.is_zero() {
            // The next exchange may be an hour later: answers that are under way come before.
            self.proxy.advance(self.calls);
        }
        if let Some(failure) = self.proxy.failure() {
            return Err(Error::new(failure));
        }
        Ok(match (upstream, response) {
            (Some(upstream), Some(response)) => {
                Decided::Admitted { upstream: stand_in::restored(upstream.head, &sent), response: response.into() }
            }
            (None, Some(response)) => Decided::Refused { reason: details, response: response.into() },
            // The plugin closed the connection.
            (_, None) => Decided::Refused { reason: details, response: ClientResponse::CLOSED },
        })
    }

    /// What left of the request that was decided last, one request to each collector in the order of their names: its spans last as long as was
    /// recorded. Nothing of one that isn't recorded, or where spans don't leave at once.
    ///
    /// # Errors
    ///
    /// When it isn't as the module makes it.
    pub fn exported(&mut self, recorded: &Recorded, decided: &Decided) -> Result<Vec<otlp::Request>> {
        let bodies = std::mem::take(&mut self.proxy.world_mut().exported);
        let requests = exported::read(&bodies, recorded, decided).context(|| "what the module exports")?;
        Ok(match &self.fingerprints {
            Some((told, own)) => requests.into_iter().map(|request| request.telling(own, told)).collect(),
            None => requests,
        })
    }

    /// The limits that the request is above which was decided last: the one that refused it, and those in `mode: shadow` that would have.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn exceeded(&mut self, decided: &Decided) -> Result<Vec<usize>> {
        if !self.meters.hang_on(decided) {
            return Ok(Vec::new());
        }
        // Counts are told on ticks.
        self.tick()?;
        Ok(self.meters.read(&self.proxy.vm().metrics(), decided))
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

/// gRPC's status for what the caller has got wrong.
const INVALID_ARGUMENT: u32 = 3;
/// More than the answers to a policy's calls take, one after another.
const ANSWERED: Duration = Duration::from_micros(100);

/// The same, where some go out on a tick: 10 ms later.
const ASKED_AHEAD: Duration = Duration::from_millis(25);

/// The wall clock, in nanoseconds.
#[must_use]
pub fn clock(recorded: &Recorded) -> i64 {
    i64::try_from(recorded.time.as_nanosecond()).unwrap_or(i64::MAX)
}

fn response(recorded: &Recorded) -> Message {
    let mut head = recorded.response.headers.clone();
    head.add(b":status", recorded.response.status.to_string().as_bytes());
    Message { head, ..Message::default() }
}

/// What the gateway knew of the client. A certificate that it hadn't verified is none.
#[must_use]
pub fn facts(recorded: &Recorded) -> Facts {
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
    let Sizes { request, response: response_size } = recorded.sizes;
    // Recordings hold no bodies: where they don't say how long one was, the request does.
    let told = recorded.request.headers.first(b"content-length").and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
    let request_size = request.or(told);
    Facts { source: SocketAddr::new(address, 1), tls, request_size, response_size, ..Facts::default() }
}

/// The head as a gateway hands it to a plugin, pseudo-headers first.
#[must_use]
pub fn head(request: &recording::Request) -> HeaderMap {
    let pseudo: [(&[u8], &[u8]); 4] = [
        (b":authority", request.authority.as_bytes()),
        (b":path", request.path.as_bytes()),
        (b":method", request.method.as_bytes()),
        (b":scheme", request.scheme.as_bytes()),
    ];
    pseudo.into_iter().chain(request.headers.iter().map(|line| (line.name.as_slice(), line.value.as_slice()))).collect()
}
