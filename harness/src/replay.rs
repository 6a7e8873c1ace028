// SPDX-License-Identifier: Apache-2.0
//! Replay: recorded traffic through the compiled module, compared with the record or with another edge.
//!
//! The module runs in the native [`host`](crate::host) at the recorded times, with randomness from a seed; the backend is
//! simulated from the record. The same inputs and seed give the same bytes out.

mod against;
mod agreement;
mod asked;
mod claims;
mod columns;
mod counted_by;
mod decided;
mod edge;
mod edges;
mod exceeded;
mod export;
mod exported;
mod exporter;
mod exporting;
mod failed;
mod found;
mod held;
mod html;
mod json;
mod key;
mod limited;
mod limits;
mod mint;
mod minted;
mod native;
mod pass;
mod period;
mod place;
mod progress;
mod published;
mod query;
mod rate_limits;
mod render;
mod report;
mod sampling;
mod spans;
mod stand_in;
mod store;
mod subscriptions;
mod summary;
mod survival;
mod table;
mod text;
mod token;
mod tokens;
mod totals;
mod trust;
mod vault;
mod volume;
mod what_if;

use std::sync::Arc;

use tracegate::trace::{TraceId, TraceParent};

pub use agreement::{Agreement, Difference, Undecidable};
pub use decided::{ClientResponse, Decided};
pub use edge::{Edge, clock, facts, head};
pub use edges::{Edges, Executed, Lost};
pub use exceeded::Exceeded;
pub use exporter::{Exporter, Sent, headers};
pub use failed::Failed;
pub use json::write_exchange;
pub use key::Key;
pub use minted::Minted;
pub use pass::{Pass, Passed};
pub use progress::Progress;
pub use published::Published;
pub use query::Query;
pub use rate_limits::{MalformedRequest, RateLimits};
pub use render::{Format, Renderer, Shown};
pub use report::{By, Report};
pub(crate) use store::OwnStore;
pub use summary::Summary;
pub use token::{Token, Unmintable};
pub use tokens::{Prepared, Tokens};
pub use totals::Totals;
pub use trust::Trust;
pub use what_if::{WhatIf, WhatIfs, changed};

use crate::host::HeaderMap;
use crate::recording::{Recorded, Request};
use crate::{Redactor, otlp};

/// One recorded exchange and what the edge made of it.
#[derive(Debug)]
pub struct Replayed {
    /// The record.
    pub recorded: Box<Recorded>,
    /// What the edge decided.
    pub decided: Decided,
    /// What the edge that it is compared with decided; `None` where it is compared with the record.
    pub against: Option<Decided>,
    /// Which token the request carried.
    pub token: Token,
    /// Which subscription's key it carried.
    pub key: Key,
    /// The request as it was presented, where that isn't as recorded.
    pub presented: Option<Box<Request>>,
    /// What the test issuer published meanwhile.
    pub published: Option<Arc<Published>>,
    /// What became of the caller's trace.
    pub trace: TraceFate,
    /// Which limits it is above.
    pub exceeded: Exceeded,
    /// What left of it for collectors, one request to each.
    pub exported: Vec<otlp::Request>,
    /// How that compares.
    pub agreement: Agreement,
    /// The difference is one between two algorithms that limit. It counts apart.
    pub explained: bool,
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

impl Replayed {
    /// Compares what was decided with the record, or where there is one with another decision.
    #[must_use]
    pub fn new(recorded: Box<Recorded>, prepared: Prepared, decided: Decided, against: Option<Decided>, redactor: &Redactor) -> Self {
        let Prepared { token, key, request: presented, published } = prepared;
        let agreement = match &against {
            None => Agreement::of(&recorded, token, key, &decided, redactor),
            Some(against) => against::compare(presented.as_deref().unwrap_or(&recorded.request), against, &decided, redactor),
        };
        Self {
            trace: TraceFate::of(&recorded, &decided),
            recorded,
            decided,
            against,
            token,
            key,
            presented,
            published,
            exceeded: Exceeded::default(),
            exported: Vec::new(),
            agreement,
            explained: false,
        }
    }

    /// The request as it was presented.
    #[must_use]
    pub fn request(&self) -> &Request {
        self.presented.as_deref().unwrap_or(&self.recorded.request)
    }

    /// Takes it that the algorithms of two limits explain the difference. A recorded refusal of which nobody could tell is one then.
    pub(crate) fn explain(&mut self) {
        self.explained = true;
        if let Agreement::Undecidable(_) = self.agreement {
            self.agreement = Agreement::Differs(agreement::decision(false, &self.decided));
        }
    }

    /// What explains a difference, if anything does: `minted` or `algorithm`.
    #[must_use]
    pub fn explained_by(&self) -> Option<&'static str> {
        self.minted().map(|_| "minted").or_else(|| self.explained.then_some("algorithm"))
    }

    /// For a token that was minted and whose decision is compared with the record: what it is to be refused for, or `sound`. It counts apart.
    #[must_use]
    pub const fn minted(&self) -> Option<&'static str> {
        if self.against.is_none() { self.token.minted() } else { None }
    }
}

impl TraceFate {
    fn of(recorded: &Recorded, decided: &Decided) -> Self {
        let Some(upstream) = decided.upstream() else { return Self::None };
        match (trace_id(&recorded.request.headers), trace_id(upstream)) {
            (Some(callers), Some(upstreams)) if callers == upstreams => Self::Continued,
            _ => Self::Restarted,
        }
    }
}

/// The trace that a head is in: that of its only `traceparent`, if it is valid.
fn trace_id(headers: &HeaderMap) -> Option<TraceId> {
    let mut lines = headers.values(b"traceparent");
    let line = lines.next().filter(|_| lines.next().is_none())?;
    TraceParent::try_from(line).ok().map(|parent| parent.trace_id())
}
