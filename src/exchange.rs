// SPDX-License-Identifier: Apache-2.0
//! One request and its response: the stages, in order.

use crate::caller::Caller;
use crate::condition::Facts;
use crate::decision::{Decision, Reason, Refusal};
use crate::edits::HeaderEdits;
use crate::effect::{ExchangeId, Step, Verdict};
use crate::event::Event;
use crate::gateway::{Gateway, Parts};
use crate::head::{Headers, RequestHead, UnreadableHead};
use crate::identity::{self, Handover, Identified};
use crate::inputs::{Inputs, Remembered, UnknownPeer};
use crate::quota::{Admission, Asking, Charges, Field};
use crate::route::{self, Matched};
use crate::span::{Awaited, Draft, Observed, OptionalAttribute, Times, Wait};
use crate::trace::{self, Circumstances, Outcome, TraceParent};

/// One request on its way through the edge.
#[derive(Debug)]
pub struct Exchange {
    id: ExchangeId,
    state: State,
}

/// Each state holds what exists in it.
#[derive(Debug)]
enum State {
    /// The request's head has not been seen.
    Open,
    /// The request waits for what the gateway fetches. Of the request nothing is kept here: it is read again.
    Waiting(Waiting),
    /// The request is decided; its response may come.
    Decided {
        /// What the response tells the caller of our trace, if it does.
        trace_response: Option<TraceParent>,
        /// What it was charged, and what its response tells of it.
        charges: Charges,
        /// What is recorded of it, if anything is.
        draft: Option<Box<Draft>>,
    },
    /// Nothing comes any more.
    Closed,
}

impl State {
    /// Decided, and nothing to tell the caller.
    fn refused(draft: Option<Box<Draft>>) -> Self {
        Self::Decided { trace_response: None, charges: Charges::default(), draft }
    }
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

    /// Whether the response's head is to be read or edited: a host need not be asked for it otherwise.
    #[must_use]
    pub fn awaits_response(&self, gateway: &Gateway) -> bool {
        let State::Decided { trace_response, charges, .. } = &self.state else { return false };
        trace_response.is_some() || !charges.fields.is_empty() || self.reads_response(gateway)
    }

    /// Whether the response's `:status` must be handed over to [`step`](Self::step), and its head not only edited: what the request costs, or what is
    /// recorded of it, depends on it.
    #[must_use]
    pub fn reads_response(&self, gateway: &Gateway) -> bool {
        let State::Decided { charges, draft, .. } = &self.state else { return false };
        draft.as_ref().is_some_and(|draft| draft.awaits_response()) || charges.reads_status(&gateway.policy().quota)
    }

    /// Whether [`Event::Closed`] is waited for: something is recorded of it, or it is charged then. Otherwise it may be left out.
    #[must_use]
    pub fn awaits_close(&self, gateway: &Gateway) -> bool {
        matches!(&self.state, State::Decided { draft: Some(_), .. }) || self.reads_totals(gateway)
    }

    /// Whether [`Event::Closed`] must tell how many bytes there were: what the request costs depends on it.
    #[must_use]
    pub fn reads_totals(&self, gateway: &Gateway) -> bool {
        matches!(&self.state, State::Decided { charges, .. } if charges.reads_bytes(&gateway.policy().quota))
    }

    /// Takes what happened and says what to do. Events out of order, and answers that nothing waits for, change nothing.
    pub fn step(&mut self, gateway: &mut Gateway, event: Event<'_>, inputs: &mut Inputs<'_>) -> Step {
        match (&mut self.state, event) {
            (State::Open, Event::Request(headers)) => {
                let times = Times { began_at: inputs.now, began: inputs.monotonic, waits: Vec::new(), decided: inputs.monotonic };
                let (step, state) = decide(self.id, gateway, headers, times, inputs);
                self.state = state;
                step
            }
            (State::Waiting(waiting), Event::Wake(headers)) => {
                let times = waiting.woken(inputs.monotonic);
                let (step, state) = decide(self.id, gateway, headers, times, inputs);
                self.state = state;
                step
            }
            // A second head for one exchange can't be told from an attack on the first one's decision.
            (State::Waiting(_) | State::Decided { .. } | State::Closed, Event::Request(_)) => {
                self.leave(gateway, State::refused(None), inputs);
                Step::of(Verdict::Refuse(unreadable(UnreadableHead).written_as(gateway.policy().errors)))
            }
            (State::Decided { trace_response, charges, draft }, Event::Response(headers)) => {
                let Parts { policy, ledger, .. } = gateway.parts();
                let status = status(headers);
                if let Some(status) = status {
                    ledger.respond(&policy.quota, charges, status, inputs);
                }
                if let Some(draft) = draft {
                    draft.respond(status, inputs.monotonic);
                }
                Step::of(Verdict::Continue(response_edits(*trace_response, &charges.fields)))
            }
            (_, Event::Response(_)) => Step::of(Verdict::Continue(HeaderEdits::none())),
            (_, Event::Trailers(lines)) => {
                let mut edits = HeaderEdits::none();
                identity::guard_trailers(&gateway.policy().identity, lines, &mut edits);
                Step::of(Verdict::Continue(edits))
            }
            (_, Event::Closed(totals)) => {
                if let State::Decided { charges, draft, .. } = std::mem::replace(&mut self.state, State::Closed) {
                    let Parts { policy, ledger, .. } = gateway.parts();
                    ledger.close(&policy.quota, &charges, totals, inputs);
                    if let Some(draft) = draft {
                        gateway.record(*draft, inputs);
                    }
                }
                gateway.forget(self.id, inputs);
                Step::of(Verdict::Wait)
            }
            (_, Event::Reply(..) | Event::Wake(_)) => Step::of(Verdict::Wait),
        }
    }

    /// Waits no more, and goes over to `next`.
    fn leave(&mut self, gateway: &mut Gateway, next: State, inputs: &mut Inputs<'_>) {
        if matches!(std::mem::replace(&mut self.state, next), State::Waiting(_)) {
            gateway.forget(self.id, inputs);
        }
    }
}

/// The stages, in the order in which data flows. Limits are asked before the trace is settled: whether a request is refused says whether its trace is
/// recorded.
fn decide(id: ExchangeId, gateway: &mut Gateway, headers: Headers<'_>, times: Times, inputs: &mut Inputs<'_>) -> (Step, State) {
    let Parts { policy, settler, ring, ledger, counts, digest_key, replacement, lacks_replacement, mut calls } = gateway.parts();
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
                None => return (Step::of(Verdict::Wait), State::Waiting(Waiting::of(Awaited::Keys, times, monotonic))),
            },
            Matched::Default(decision) => (unknown(decision), None),
            Matched::Ambiguous(refusal) => (unknown(Decision::Refused(refusal)), None),
        },
        Err(error) => (unknown(Decision::Refused(unreadable(*error))), None),
    };
    ring.forget(id);
    let Identified { decision, caller, passed } = identified;
    // What the upstream expects isn't there yet: nothing goes on in its place.
    let lacks = lacks_replacement && caller.identities().any(|identity| identity.claims().is_some());
    let decision = match decision {
        Decision::Admitted { .. } if lacks => Decision::Refused(Refusal::of(Reason::CredentialUnavailable)),
        decision => decision,
    };
    // Who isn't let in is settled too, as nobody's, so that every refusal has a trace.
    let nobody = Caller::unknown();
    let settled_as = if matches!(decision, Decision::Refused(_)) { &nobody } else { &caller };
    let (mut effects, mut charges) = (Vec::new(), Charges::default());
    let decision = match (decision, route) {
        (Decision::Admitted { shadow }, Some(route)) if !route.quotas.is_empty() => {
            // The peer is borrowed for the facts, and the rest of the world for counting.
            let facts = &mut Facts::new(headers, policy.listener.trusted_hops, &mut *inputs.peer, &caller);
            let asking = &mut Asking { id, policy: &policy.quota, limits: &route.quotas, route: &route.name, facts };
            let (entropy, store, signatures) = (&mut *inputs.entropy, &mut *inputs.store, &mut *inputs.signatures);
            let counting = &mut Inputs { now, monotonic, entropy, peer: &mut UnknownPeer, store, signatures };
            match ledger.admit(asking, || calls.next(), counting, counts) {
                Admission::Admitted { charges: taken, shadow: above, effects: asked } => {
                    (charges, effects) = (taken, asked);
                    Decision::Admitted { shadow: shadow.or(above) }
                }
                Admission::Refused { refusal, effects: asked } => {
                    effects = asked;
                    Decision::Refused(refusal)
                }
                Admission::Wait(effects) => {
                    let waiting = Waiting::of(Awaited::RateLimitService, times, monotonic);
                    return (Step { verdict: Verdict::Wait, effects }, State::Waiting(waiting));
                }
            }
        }
        (decision, _) => {
            ledger.dismiss(&policy.quota, id, inputs);
            decision
        }
    };
    let mut edits = HeaderEdits::none();
    let circumstances = Circumstances {
        caller: settled_as,
        route: route.map(|route| route.name.as_str()),
        root: route.and_then(|route| route.root),
        refused: matches!(decision, Decision::Refused(_)),
        trusted_hops: policy.listener.trusted_hops,
    };
    let settled = settler.settle(&carried, circumstances, &policy.trace, inputs, &mut edits);
    let decision = match (decision, settled.outcome) {
        (Decision::Admitted { .. }, Outcome::Rejected) => {
            ledger.cancel(&policy.quota, &charges, inputs);
            Decision::Refused(Refusal::of(Reason::TraceContextRejected))
        }
        (decision, _) => decision,
    };
    counts.count_decision(&decision);
    counts.count_trace(&settled);
    let records = !policy.export.traces.is_empty()
        && (settled.sampling.sampled || policy.trace.sampling.is_some_and(|sampling| sampling.record_errors));
    let server = if records && policy.export.spans.client { settler.mint_span(&mut *inputs.entropy) } else { None };
    let draft = settled.sent.filter(|_| records).map(|sent| {
        let asks_source = policy.export.spans.attributes.contains(&OptionalAttribute::ClientAddress);
        let source =
            if asks_source { Facts::new(headers, policy.listener.trusted_hops, &mut *inputs.peer, &caller).source() } else { None };
        let observed = Observed {
            head: head.as_ref().ok(),
            route,
            caller: &caller,
            providers: &policy.identity.providers,
            decision: &decision,
            settled: &settled,
            sent,
            server,
            remaining: &charges.remaining(&policy.quota),
            would_refuse: &charges.would_refuse(&policy.quota),
            source,
            times: &times,
        };
        Box::new(Draft::new(&observed, &policy.export.spans, digest_key))
    });
    match decision {
        Decision::Admitted { .. } => {
            if let Ok(head) = &head {
                let handover = Handover { policy: &policy.identity, caller: &caller, passed: &passed, replacement };
                handover.record(head, &mut *inputs.peer, &mut edits);
            }
            // The caller's call was answered by the server's span.
            let answered = settled.sent.map(|sent| server.map_or(sent, |server| sent.sent_by(server)));
            let trace_response = answered.filter(|_| settled.trace_response);
            (Step { verdict: Verdict::Continue(edits), effects }, State::Decided { trace_response, charges, draft })
        }
        Decision::Refused(refusal) => {
            (Step { verdict: Verdict::Refuse(refusal.written_as(policy.errors)), effects }, State::refused(draft))
        }
    }
}

/// An exchange that waits.
#[derive(Debug)]
struct Waiting {
    times: Times,
    awaited: Awaited,
    since: u64,
}

impl Waiting {
    const fn of(awaited: Awaited, times: Times, since: u64) -> Self {
        Self { times, awaited, since }
    }

    /// It waits no more, or for something else. It is told what was waited for first, as far as there is room.
    fn woken(&mut self, monotonic: u64) -> Times {
        let mut times = Times { decided: monotonic, ..self.times.clone() };
        // The same wait may go on.
        let same = |last: &&mut Wait| last.awaited == self.awaited && last.until == self.since;
        if let Some(last) = times.waits.last_mut().filter(same) {
            last.until = monotonic;
        } else if times.waits.len() < MAX_WAITS {
            times.waits.push(Wait { awaited: self.awaited, since: self.since, until: monotonic });
        }
        times
    }
}

/// How many waits of an exchange are told.
const MAX_WAITS: usize = 8;

/// A response's status; `None` where it has none that is one number.
fn status(headers: Headers<'_>) -> Option<u16> {
    std::str::from_utf8(headers.values(":status").next()?).ok()?.parse().ok()
}

/// What the caller is told: `traceresponse`, as <https://www.w3.org/TR/trace-context-2/> drafts it, which span of which trace answered; and how limits
/// stand.
fn response_edits(trace_response: Option<TraceParent>, fields: &[Field]) -> HeaderEdits {
    let mut edits = HeaderEdits::none();
    if let Some(sent) = trace_response {
        edits.replace("traceresponse", sent.encode().to_vec());
    }
    for (name, value) in fields {
        edits.replace(name.clone(), value.clone().into_bytes());
    }
    edits
}

const fn unreadable(_: UnreadableHead) -> Refusal {
    Refusal::of(Reason::RequestHeadersUnreadable)
}

#[cfg(test)]
mod tests;
