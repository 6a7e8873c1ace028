// SPDX-License-Identifier: Apache-2.0
//! One request and its response: the stages, in order.

use crate::caller::Caller;
use crate::decision::{Decision, Reason, Refusal};
use crate::edits::HeaderEdits;
use crate::effect::{ExchangeId, Step, Verdict};
use crate::event::Event;
use crate::gateway::{Gateway, Parts};
use crate::head::{Headers, RequestHead, UnreadableHead};
use crate::identity::{self, Handover, Identified};
use crate::inputs::{Inputs, Remembered};
use crate::route::{self, Matched};
use crate::trace::{self, Circumstances, Outcome, TraceParent};

/// One request on its way through the edge.
#[derive(Debug)]
pub struct Exchange {
    id: ExchangeId,
    state: State,
}

/// Each state holds what exists in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The request's head has not been seen.
    Open,
    /// The request waits for what the gateway fetches. Nothing of it is kept: it is read again.
    Waiting,
    /// The request is decided; its response may come.
    Decided {
        /// What the response tells the caller of our trace, if it does.
        trace_response: Option<TraceParent>,
    },
    /// Nothing comes any more.
    Closed,
}

impl Exchange {
    pub(crate) const fn new(id: ExchangeId) -> Self {
        Self { id, state: State::Open }
    }

    /// Which exchange of its VM this is.
    #[must_use]
    pub const fn id(&self) -> ExchangeId {
        self.id
    }

    /// Whether the response's head is to be edited: a host need not be asked for it otherwise.
    #[must_use]
    pub const fn edits_response(&self) -> bool {
        matches!(self.state, State::Decided { trace_response: Some(_) })
    }

    /// Takes what happened and says what to do. Events out of order, and answers that nothing waits for, change nothing.
    pub fn step(&mut self, gateway: &mut Gateway, event: Event<'_>, inputs: &mut Inputs<'_>) -> Step {
        match (self.state, event) {
            (State::Open, Event::Request(headers)) | (State::Waiting, Event::Wake(headers)) => {
                let (verdict, state) = decide(self.id, gateway, headers, inputs);
                self.state = state;
                Step::of(verdict)
            }
            // A second head for one exchange can't be told from an attack on the first one's decision.
            (State::Waiting | State::Decided { .. } | State::Closed, Event::Request(_)) => {
                self.leave(gateway, State::Decided { trace_response: None });
                Step::of(Verdict::Refuse(unreadable(UnreadableHead).written_as(gateway.policy().errors)))
            }
            (State::Decided { trace_response }, Event::Response(_)) => Step::of(Verdict::Continue(response_edits(trace_response))),
            (_, Event::Response(_)) => Step::of(Verdict::Continue(HeaderEdits::none())),
            (_, Event::Trailers(lines)) => {
                let mut edits = HeaderEdits::none();
                identity::guard_trailers(&gateway.policy().identity, lines, &mut edits);
                Step::of(Verdict::Continue(edits))
            }
            (_, Event::Closed) => {
                self.leave(gateway, State::Closed);
                Step::of(Verdict::Wait)
            }
            (_, Event::Reply(..) | Event::Wake(_)) => Step::of(Verdict::Wait),
        }
    }

    /// Waits no more, and goes over to `next`.
    fn leave(&mut self, gateway: &mut Gateway, next: State) {
        if std::mem::replace(&mut self.state, next) == State::Waiting {
            gateway.forget(self.id);
        }
    }
}

/// The stages, in the order in which data flows.
fn decide(id: ExchangeId, gateway: &mut Gateway, headers: Headers<'_>, inputs: &mut Inputs<'_>) -> (Verdict, State) {
    let Parts { policy, settler, ring, counts, replacement } = gateway.parts();
    let peer = &mut Remembered::new(&mut *inputs.peer);
    let Inputs { now, monotonic, .. } = *inputs;
    let inputs =
        &mut Inputs { now, monotonic, entropy: &mut *inputs.entropy, peer, store: &mut *inputs.store, signatures: &mut *inputs.signatures };

    let carried = trace::read(headers, &policy.trace.extract);
    let unknown = |decision| Identified { decision, caller: Caller::unknown(), passed: Vec::new() };
    let head = RequestHead::read(headers);
    let (identified, route) = match &head {
        Ok(head) => match route::find(head, &policy.routes) {
            Matched::Route(route) => match identity::decide(route, head, id, &policy.identity, ring, inputs, counts) {
                Some(identified) => (identified, Some(route)),
                None => return (Verdict::Wait, State::Waiting),
            },
            Matched::Default(decision) => (unknown(decision), None),
            Matched::Ambiguous(refusal) => (unknown(Decision::Refused(refusal)), None),
        },
        Err(error) => (unknown(Decision::Refused(unreadable(*error))), None),
    };
    ring.forget(id);
    let Identified { decision, caller, passed } = identified;
    let refused = matches!(decision, Decision::Refused(_));
    let mut edits = HeaderEdits::none();
    // A refused request is settled too, as nobody's, so that every refusal has a trace.
    let nobody = Caller::unknown();
    let circumstances = Circumstances {
        caller: if refused { &nobody } else { &caller },
        route: route.map(|route| route.name.as_str()),
        root: route.and_then(|route| route.root),
        refused,
        trusted_hops: policy.listener.trusted_hops,
    };
    let settled = settler.settle(&carried, circumstances, &policy.trace, inputs, &mut edits);
    let decision = match (decision, settled.outcome) {
        (Decision::Admitted { .. }, Outcome::Rejected) => Decision::Refused(Refusal::of(Reason::TraceContextRejected)),
        (decision, _) => decision,
    };
    counts.count_decision(&decision);
    counts.count_trace(&settled);
    match decision {
        Decision::Admitted { .. } => {
            if let Ok(head) = &head {
                let handover = Handover { policy: &policy.identity, caller: &caller, passed: &passed, replacement };
                handover.record(head, &mut *inputs.peer, &mut edits);
            }
            (Verdict::Continue(edits), State::Decided { trace_response: settled.sent.filter(|_| settled.trace_response) })
        }
        Decision::Refused(refusal) => (Verdict::Refuse(refusal.written_as(policy.errors)), State::Decided { trace_response: None }),
    }
}

/// `traceresponse`, as <https://www.w3.org/TR/trace-context-2/> drafts it: which span of which trace answered.
fn response_edits(trace_response: Option<TraceParent>) -> HeaderEdits {
    let mut edits = HeaderEdits::none();
    if let Some(sent) = trace_response {
        edits.replace("traceresponse", sent.encode().to_vec());
    }
    edits
}

const fn unreadable(_: UnreadableHead) -> Refusal {
    Refusal::of(Reason::RequestHeadersUnreadable)
}

#[cfg(test)]
mod tests;
