// SPDX-License-Identifier: Apache-2.0
//! Replay: recorded traffic through the compiled module, compared with the record.
//!
//! The module runs in the native [`host`](crate::host) at the recorded times, with randomness from a seed; the backend is
//! simulated from the record. The same inputs and seed give the same bytes out.

mod agreement;
mod output;
mod report;

use tracegate::trace::TraceParent;

pub use agreement::{Agreement, Difference, Undecidable};
pub use output::{write_exchange, write_summary};
pub use report::Report;

use crate::Redactor;
use crate::error::Result;
use crate::host::{HeaderMap, Module, Outcome, Plugin, Vm};
use crate::recording::Recorded;

/// A policy at work in a VM of its own.
#[derive(Debug)]
pub struct Edge {
    vm: Vm,
    plugin: Plugin,
    redactor: Redactor,
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

impl Edge {
    /// Starts a VM and configures it with a policy in JSON.
    ///
    /// # Errors
    ///
    /// When the module traps or refuses the policy.
    pub fn start(module: &Module, policy: &str, seed: u64) -> Result<Self> {
        let mut vm = Vm::start(module, seed)?;
        let plugin = vm.configure(policy)?;
        Ok(Self { vm, plugin, redactor: Redactor::new(seed) })
    }

    /// Sends a recorded exchange through.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn replay(&mut self, recorded: Recorded) -> Result<Replayed> {
        let nanoseconds = recorded.time.as_nanosecond();
        self.vm.set_clock(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
        let decided = self.decide(&recorded)?;
        let trace = trace_fate(&recorded, &decided);
        let agreement = Agreement::of(&recorded, &decided, &self.redactor);
        Ok(Replayed { recorded, decided, trace, agreement })
    }

    fn decide(&mut self, recorded: &Recorded) -> Result<Decided> {
        let exchange = self.vm.request(self.plugin, head(recorded))?;
        let outcome = self.vm.outcome(&exchange)?;
        self.vm.close(exchange)?;
        Ok(match outcome {
            Outcome::Forwarded(upstream) => {
                let response = ClientResponse { status: u32::from(recorded.response.status), headers: recorded.response.headers.clone() };
                Decided::Admitted { upstream, response }
            }
            Outcome::Answered(response) => {
                let reason = String::from_utf8_lossy(&response.details).into_owned();
                Decided::Refused { reason, response: ClientResponse { status: response.status, headers: response.headers } }
            }
            // Nobody resumes it: in a gateway it would end by the gateway's own time-out.
            Outcome::Paused => Decided::Refused {
                reason: "NeverResumed".to_owned(),
                response: ClientResponse { status: 504, headers: HeaderMap::default() },
            },
        })
    }

    /// The VM, for its metrics and its log.
    #[must_use]
    pub const fn vm(&self) -> &Vm {
        &self.vm
    }

    /// Lets the plugin flush what it has counted.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn tick(&mut self) -> Result<()> {
        self.vm.tick(self.plugin)
    }
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
