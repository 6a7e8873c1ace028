// SPDX-License-Identifier: Apache-2.0
//! Replay: recorded traffic through the compiled module, compared with the record.
//!
//! The module runs in the native [`host`](crate::host) at the recorded times, with randomness from a seed; the backend is
//! simulated from the record. The same inputs and seed give the same bytes out.

mod agreement;
mod output;
mod report;
mod table;

use tracegate::trace::TraceParent;

pub use agreement::{Agreement, Difference, Undecidable};
pub use output::{write_exchange, write_summary};
pub use report::{By, Report};

use crate::Redactor;
use crate::error::{Error, Result};
use crate::host::{Callout, ExchangeId, Finished, HeaderMap, Message, Module, Options, Part, Proxy, Reply, Request, Vm, World};
use crate::recording::Recorded;

/// A policy at work in a proxy of its own.
#[derive(Debug)]
pub struct Edge<'m> {
    proxy: Proxy<'m, Recording>,
    redactor: Redactor,
}

/// What lies behind the edge in a replay: a backend that answers what it answered then.
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

/// One recorded exchange and what the edge made of it.
#[derive(Debug)]
pub struct Replayed {
    /// The record.
    pub recorded: Recorded,
    /// What the edge decided.
    pub decided: Decided,
    /// What became of the caller's trace.
    pub trace: TraceFate,
    /// How that compares with the record.
    pub agreement: Agreement,
}

/// What the edge decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The request went on to the upstream.
    Admitted {
        /// As the upstream received it, pseudo-headers included.
        upstream: HeaderMap,
        /// As the client received it.
        response: ClientResponse,
    },
    /// The edge answered.
    Refused {
        /// Why.
        reason: String,
        /// As the client received it.
        response: ClientResponse,
    },
}

/// A response as the client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientResponse {
    /// The HTTP status.
    pub status: u32,
    /// Header lines.
    pub headers: HeaderMap,
}

/// What became of the caller's trace, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFate {
    /// The upstream is in the caller's trace.
    Continued,
    /// The upstream is in a fresh trace.
    Restarted,
    /// Nothing reached the upstream.
    None,
}

impl Decided {
    /// The client's status.
    #[must_use]
    pub const fn status(&self) -> u32 {
        match self {
            Self::Admitted { response, .. } | Self::Refused { response, .. } => response.status,
        }
    }

    /// Why the request was refused, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Admitted { .. } => None,
            Self::Refused { reason, .. } => Some(reason),
        }
    }

    /// `admitted` or `refused`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admitted { .. } => "admitted",
            Self::Refused { .. } => "refused",
        }
    }

    pub(crate) fn response_headers(&self) -> &HeaderMap {
        match self {
            Self::Admitted { response, .. } | Self::Refused { response, .. } => &response.headers,
        }
    }
}

impl<'m> Edge<'m> {
    /// Starts a VM and configures it with a policy in JSON.
    ///
    /// # Errors
    ///
    /// When the module traps or refuses the policy.
    pub fn start(module: &'m Module, policy: &str, seed: u64) -> Result<Self> {
        let proxy = Proxy::start(module, Options::new(policy, seed), Recording::default())?;
        Ok(Self { proxy, redactor: Redactor::new(seed) })
    }

    /// Sends a recorded exchange through.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn replay(&mut self, recorded: Recorded) -> Result<Replayed> {
        let nanoseconds = recorded.time.as_nanosecond();
        self.proxy.vm_mut().set_clock(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
        let decided = self.decide(&recorded)?;
        let trace = trace_fate(&recorded, &decided);
        let agreement = Agreement::of(&recorded, &decided, &self.redactor);
        Ok(Replayed { recorded, decided, trace, agreement })
    }

    fn decide(&mut self, recorded: &Recorded) -> Result<Decided> {
        self.proxy.world_mut().response = response(recorded);
        let request = Request { message: Message::request(head(recorded)), ..Request::default() };
        let Finished { upstream, response, details } = self.proxy.exchange(request);
        if let Some(failure) = self.proxy.failure() {
            return Err(Error::new(failure));
        }
        Ok(match (upstream, response) {
            (Some(upstream), Some(response)) => Decided::Admitted { upstream: upstream.head, response: response.into() },
            (None, Some(response)) => Decided::Refused { reason: details, response: response.into() },
            // The plugin closed the connection: access logs show status 0 then.
            (_, None) => {
                Decided::Refused { reason: details, response: ClientResponse { status: 0, headers: HeaderMap::new(Part::Response) } }
            }
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

impl From<Message> for ClientResponse {
    fn from(message: Message) -> Self {
        let status = u32::from(message.status());
        let mut headers = message.head;
        headers.remove(b":status");
        Self { status, headers }
    }
}

fn response(recorded: &Recorded) -> Message {
    let mut head = recorded.response.headers.clone();
    head.add(b":status", recorded.response.status.to_string().as_bytes());
    Message { head, ..Message::default() }
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

fn trace_fate(recorded: &Recorded, decided: &Decided) -> TraceFate {
    let Decided::Admitted { upstream, .. } = decided else { return TraceFate::None };
    let trace_id = |headers: &HeaderMap| {
        headers.first(b"traceparent").and_then(|line| TraceParent::try_from(line).ok()).map(|parent| parent.trace_id())
    };
    match (trace_id(&recorded.request.headers), trace_id(upstream)) {
        (Some(callers), Some(upstreams)) if callers == upstreams => TraceFate::Continued,
        _ => TraceFate::Restarted,
    }
}

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Exchanges replayed.
    pub exchanges: u64,
    /// Admitted by the edge.
    pub admitted: u64,
    /// Admitted, in the caller's trace.
    pub continued: u64,
    /// Admitted, in a fresh trace.
    pub restarted: u64,
    /// Refused by the edge.
    pub refused: u64,
    /// As the record has it.
    pub agreed: u64,
    /// Otherwise than the record has it.
    pub differed: u64,
    /// The record doesn't tell.
    pub undecidable: u64,
}

impl Totals {
    /// Counts one exchange.
    pub fn add(&mut self, replayed: &Replayed) {
        self.exchanges += 1;
        match &replayed.decided {
            Decided::Admitted { .. } => self.admitted += 1,
            Decided::Refused { .. } => self.refused += 1,
        }
        match replayed.trace {
            TraceFate::Continued => self.continued += 1,
            TraceFate::Restarted => self.restarted += 1,
            TraceFate::None => {}
        }
        match &replayed.agreement {
            Agreement::Agrees => self.agreed += 1,
            Agreement::Differs(_) => self.differed += 1,
            Agreement::Undecidable(_) => self.undecidable += 1,
        }
    }
}
