// SPDX-License-Identifier: Apache-2.0
//! What the core asks of the world and gets answered later, and what one step comes to.

use std::fmt;
use std::sync::Arc;

use crate::access_log::Property;
use crate::config::Policy;
use crate::decision::Refusal;
use crate::edits::HeaderEdits;
use crate::secret::SecretText;
use crate::uri::FetchUri;

/// A request to the world. Its answer comes back to [`Gateway::reply`](crate::gateway::Gateway::reply), since it serves many exchanges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Fetch something by HTTP.
    Fetch(Fetch),
    /// Ask a rate-limit service: unary gRPC, `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`.
    CheckRateLimit(RateLimitCall),
    /// Send spans or records to a collector: `POST` by HTTP.
    Export(Export),
}

impl Effect {
    /// The call's name in its answer.
    #[must_use]
    pub const fn call(&self) -> CallId {
        match self {
            Self::Fetch(fetch) => fetch.call,
            Self::CheckRateLimit(asked) => asked.call,
            Self::Export(export) => export.call,
        }
    }

    /// The host's cluster that is called.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            Self::Fetch(Fetch { cluster, .. })
            | Self::CheckRateLimit(RateLimitCall { cluster, .. })
            | Self::Export(Export { cluster, .. }) => cluster,
        }
    }
}

/// A question to a rate-limit service. Its answer is the response's message, as [`Reply::body`](crate::event::Reply::body).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitCall {
    /// Names the call in its answer.
    pub call: CallId,
    /// The host's cluster that answers.
    pub cluster: String,
    /// The request's message, in protobuf.
    pub message: Vec<u8>,
    /// The exchange that asks waits for the answer: with its stream the answer may be lost.
    pub awaited: bool,
    /// How long the host should wait, in nanoseconds.
    pub timeout: u64,
}

/// A `GET` without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Names the call in its answer.
    pub call: CallId,
    /// The host's cluster that answers.
    pub cluster: String,
    /// What to ask it for.
    pub uri: FetchUri,
    /// What stands in `accept`.
    pub accept: &'static str,
    /// More headers: names in lower case and their values.
    pub headers: Vec<(&'static str, SecretText)>,
    /// How long the host should wait, in nanoseconds.
    pub timeout: u64,
    /// The longest body of use, in bytes: of a longer one, one byte more is enough to hand over.
    pub max_body: usize,
}

/// Spans or records for a collector: OTLP over HTTP, in protobuf.
#[derive(Clone, PartialEq, Eq)]
pub struct Export {
    /// Names the call in its answer.
    pub call: CallId,
    /// The host's cluster that answers.
    pub cluster: String,
    /// Where it takes them.
    pub uri: FetchUri,
    /// Headers that it asks for: names in lower case and their values.
    pub headers: Vec<(String, SecretText)>,
    /// An `ExportTraceServiceRequest` or `ExportLogsServiceRequest`.
    pub body: Arc<[u8]>,
    /// How long the host should wait, in nanoseconds.
    pub timeout: u64,
}

impl fmt::Debug for Export {
    /// Shows how long the body is.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, cluster, uri, headers, body, timeout } = self;
        let mut shown = formatter.debug_struct("Export");
        shown.field("call", call).field("cluster", cluster).field("uri", uri).field("headers", headers);
        shown.field("body", &body.len()).field("timeout", timeout).finish()
    }
}

/// Names one call of one gateway. Minted by the core; unique in a VM, where several gateways (an old and a new
/// configuration) live at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The gateway that asked.
    pub gateway: GatewayId,
    /// Counts that gateway's calls from 0.
    pub serial: u64,
}

/// Names one gateway in its VM. The face chooses it: proxy-wasm has the root context's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(pub u32);

/// Names one exchange in its VM. The face chooses it: proxy-wasm has the stream context's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);

/// What one event came to.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a step that is not carried out leaves its exchange hanging"]
pub struct Step {
    /// What to do with the exchange now.
    pub verdict: Verdict,
    /// What to ask of the world, in this order.
    pub effects: Vec<Effect>,
    /// What to set on the exchange, before the verdict is carried out: its access log tells it.
    pub properties: Vec<Property>,
}

impl Step {
    /// A step that asks nothing of the world.
    pub(crate) const fn of(verdict: Verdict) -> Self {
        Self { verdict, effects: Vec::new(), properties: Vec::new() }
    }
}

/// What to do with an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make these edits to the head at hand, then let it pass.
    Continue(HeaderEdits),
    /// Answer the client now; nothing reaches the upstream.
    Refuse(Refusal),
    /// Nothing to do now: a paused request stays paused, a passed one has passed. A request's head that is answered so is kept
    /// back until [`Woken::wake`] names the exchange.
    Wait,
}

/// What a gateway's tick or reply came to.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "an exchange that is not woken waits for its deadline"]
pub struct Woken {
    /// What to ask of the world, in this order.
    pub effects: Vec<Effect>,
    /// The exchanges to step with [`Event::Wake`](crate::event::Event::Wake), in this order.
    pub wake: Vec<ExchangeId>,
    /// What the operator should read in the log, and of what.
    pub notes: Vec<(NoteOf, String)>,
}

/// What a note is about, by its place in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteOf {
    /// A provider's keys.
    Keys(usize),
    /// A quota's rate-limit service.
    Service(usize),
    /// A collector, by its place among [all of them](crate::export::ExportPolicy::collectors).
    Collector(usize),
    /// A secret, by its place among those that are fetched.
    Secret(usize),
}

impl NoteOf {
    /// In words, by the policy's names.
    #[must_use]
    pub fn words(self, policy: &Policy) -> String {
        match self {
            Self::Keys(place) => format!("keys of {}", policy.identity.providers.get(place).map_or("", |provider| &provider.name)),
            Self::Service(place) => {
                format!("rate-limit service of quota {}", policy.quota.quotas.get(place).map_or("", |quota| &quota.name))
            }
            Self::Secret(place) => format!("secret {}", policy.fetched_secrets().get(place).copied().unwrap_or_default()),
            Self::Collector(place) => {
                let what = if place < policy.export.traces.len() { "spans" } else { "records" };
                format!("{what} for {}", policy.export.collectors().nth(place).map_or("", |collector| &collector.name))
            }
        }
    }
}
