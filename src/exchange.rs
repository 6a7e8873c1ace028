// SPDX-License-Identifier: Apache-2.0
//! One request and its response: the stages, in order.

use crate::decision::{Decision, Reason, Refusal};
use crate::edits::HeaderEdits;
use crate::effect::{ExchangeId, Step, Verdict};
use crate::event::Event;
use crate::gateway::Gateway;
use crate::head::{Headers, RequestHead, UnreadableHead};
use crate::inputs::Inputs;
use crate::{route, trace};

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
    /// The request is decided; its response may come.
    Decided,
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

    /// Takes what happened and says what to do. Events out of order, and answers that nothing waits for, change nothing.
    pub fn step(&mut self, gateway: &mut Gateway, event: Event<'_>, inputs: &mut Inputs<'_>) -> Step {
        match (self.state, event) {
            (State::Open, Event::Request(headers)) => {
                self.state = State::Decided;
                Step::of(decide(gateway, headers, inputs))
            }
            // A second head for one exchange can't be told from an attack on the first one's decision.
            (State::Decided | State::Closed, Event::Request(_)) => Step::of(Verdict::Refuse(unreadable(UnreadableHead))),
            (_, Event::Response(_)) => Step::of(Verdict::Continue(HeaderEdits::none())),
            (_, Event::Closed) => {
                self.state = State::Closed;
                Step::of(Verdict::Wait)
            }
            (_, Event::Reply(..) | Event::Wake | Event::Deadline) => Step::of(Verdict::Wait),
        }
    }
}

/// The stages, in the order in which data flows.
fn decide(gateway: &mut Gateway, headers: Headers<'_>, inputs: &mut Inputs<'_>) -> Verdict {
    let carried = trace::read(headers);
    let decision = match RequestHead::read(headers) {
        Ok(head) => route::decide(&head, &gateway.policy().routes),
        Err(error) => Decision::Refused(unreadable(error)),
    };
    let mut edits = HeaderEdits::none();
    // A refused request is settled too, so that every refusal has a trace.
    gateway.settle_trace(carried, inputs, &mut edits);
    gateway.counts.count_decision(&decision);
    match decision {
        Decision::Admitted { .. } => Verdict::Continue(edits),
        Decision::Refused(refusal) => Verdict::Refuse(refusal),
    }
}

const fn unreadable(_: UnreadableHead) -> Refusal {
    Refusal::new(431, Reason::RequestHeadersUnreadable)
}

#[cfg(test)]
mod tests;
