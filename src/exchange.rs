// SPDX-License-Identifier: Apache-2.0
//! One request and its response: the stages, in order.

mod refused_late;

use std::net::IpAddr;

use crate::access_log::{Logged, Property};
use crate::audit::Decided;
use crate::caller::Caller;
use crate::condition::Facts;
use crate::config::Policy;
use crate::decision::{Decision, Reason, Refusal};
use crate::edits::HeaderEdits;
use crate::effect::{ExchangeId, Step, Verdict};
use crate::event::Event;
use crate::export::Source;
use crate::gateway::{Gateway, Parts};
use crate::head::{Headers, RequestHead, UnreadableHead};
use crate::identity::{self, Handover, Identified};
use crate::inputs::{Inputs, Remembered, UnknownPeer};
use crate::metrics::{Durations, Timed};
use crate::quota::{Admission, Asking, Charges, Field};
use crate::route::{self, Matched};
use crate::span::{Awaited, Draft, Observed, OptionalAttribute, Times, Wait};
use crate::trace::{self, Circumstances, Outcome, Settled, TraceParent};
use refused_late::{Admitted, Known};

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
        /// How long it takes, if that is asked for.
        timed: Option<Timed>,
        /// What is to be known should its host fail; `None` where it is refused.
        admitted: Option<Admitted>,
    },
    /// Nothing comes any more.
    Closed,
}

impl State {
    /// Decided, and nothing to tell the caller.
    fn refused(draft: Option<Box<Draft>>, timed: Option<Timed>) -> Self {
        Self::Decided { trace_response: None, charges: Charges::default(), draft, timed, admitted: None }
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
        matches!(&self.state, State::Decided { draft: Some(_), .. } | State::Decided { timed: Some(_), .. }) || self.reads_totals(gateway)
    }

    /// Whether [`Event::Cancelled`] is waited for, should the exchange end now: something is told of it.
    #[must_use]
    pub fn awaits_cancellation(&self, gateway: &Gateway) -> bool {
        let export = &gateway.policy().export;
        matches!(&self.state, State::Waiting(_)) && !(export.traces.is_empty() && export.access_log.is_empty())
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
                gateway.put_on_record(inputs.monotonic);
                self.state = state;
                step
            }
            (State::Waiting(waiting), Event::Wake(headers)) => {
                let times = waiting.woken(inputs.monotonic);
                let (step, state) = decide(self.id, gateway, headers, times, inputs);
                gateway.put_on_record(inputs.monotonic);
                self.state = state;
                step
            }
            (State::Waiting(waiting), Event::Cancelled(headers)) => {
                let (draft, properties) = cancelled(gateway, headers, &waiting.woken(inputs.monotonic), inputs).unwrap_or_default();
                self.leave(gateway, State::refused(draft, None), inputs);
                Step { properties, ..Step::of(Verdict::Wait) }
            }
            (State::Waiting(_) | State::Decided { .. } | State::Closed, Event::Request(_)) => self.refuse_late(gateway, None, inputs),
            (_, Event::HostFailed(failure)) => self.refuse_late(gateway, Some(failure), inputs),
            (State::Decided { trace_response, charges, draft, .. }, Event::Response(headers)) => {
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
                if let State::Decided { charges, draft, timed, .. } = std::mem::replace(&mut self.state, State::Closed) {
                    let Parts { policy, ledger, durations, .. } = gateway.parts();
                    if let Some(timed) = timed {
                        durations.end(timed, inputs.monotonic);
                    }
                    ledger.close(&policy.quota, &charges, totals, inputs);
                    if let Some(draft) = draft {
                        gateway.record(*draft, inputs);
                    }
                }
                gateway.forget(self.id, inputs);
                Step::of(Verdict::Wait)
            }
            (_, Event::Reply(..) | Event::Wake(_) | Event::Cancelled(_)) => Step::of(Verdict::Wait),
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
    let Parts { policy, settler, ring, ledger, counts, durations, trail, instance, digest_key, replacement, lacks_replacement, mut calls } =
        gateway.parts();
    let peer = &mut Remembered::new(&mut *inputs.peer);
    let Inputs { now, monotonic, .. } = *inputs;
    let inputs =
        &mut Inputs { now, monotonic, entropy: &mut *inputs.entropy, peer, store: &mut *inputs.store, signatures: &mut *inputs.signatures };

    let carried = trace::read(headers, &policy.trace.extract);
    let unknown = |decision| Identified { decision, rule: None, caller: Caller::unknown(), passed: Vec::new() };
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
    let Identified { decision, rule, caller, passed } = identified;
    // What the upstream expects isn't there yet: nothing goes on in its place.
    let lacks = lacks_replacement && caller.identities().any(|identity| identity.claims().is_some());
    let (decision, rule) = match decision {
        Decision::Admitted { .. } if lacks => (Decision::Refused(Refusal::of(Reason::CredentialUnavailable)), None),
        decision => (decision, rule),
    };
    // Who isn't let in is settled too, as nobody's, so that every refusal has a trace.
    let nobody = Caller::unknown();
    let settled_as = if matches!(decision, Decision::Refused(_)) { &nobody } else { &caller };
    let (mut effects, mut charges) = (Vec::new(), Charges::default());
    let (decision, rule) = match (decision, route) {
        (Decision::Admitted { shadow }, Some(route)) if !route.quotas.is_empty() => {
            // The peer is borrowed for the facts, and the rest of the world for counting.
            let facts = &mut Facts::new(headers, policy.listener.trusted_hops, &mut *inputs.peer, &caller);
            let providers = &policy.identity.providers;
            let asking = &mut Asking { id, policy: &policy.quota, limits: &route.quotas, route: &route.name, providers, facts };
            let (entropy, store, signatures) = (&mut *inputs.entropy, &mut *inputs.store, &mut *inputs.signatures);
            let counting = &mut Inputs { now, monotonic, entropy, peer: &mut UnknownPeer, store, signatures };
            match ledger.admit(asking, || calls.next(), counting, counts) {
                Admission::Admitted { charges: taken, shadow: above, effects: asked } => {
                    (charges, effects) = (taken, asked);
                    (Decision::Admitted { shadow: shadow.or(above) }, rule)
                }
                Admission::Refused { refusal, effects: asked } => {
                    effects = asked;
                    (Decision::Refused(refusal), None)
                }
                Admission::Wait(effects) => {
                    let waiting = Waiting::of(Awaited::RateLimitService, times, monotonic);
                    durations.call(&effects, monotonic);
                    return (Step { effects, ..Step::of(Verdict::Wait) }, State::Waiting(waiting));
                }
            }
        }
        (decision, _) => {
            ledger.dismiss(&policy.quota, id, inputs);
            (decision, rule)
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
    let (decision, rule) = match (decision, settled.outcome) {
        (Decision::Admitted { .. }, Outcome::Rejected) => {
            ledger.cancel(&policy.quota, &charges, inputs);
            // A trust rule's, which the trace's own records name.
            (Decision::Refused(Refusal::of(Reason::TraceContextRejected)), None)
        }
        (decision, _) => (decision, rule),
    };
    counts.count_decision(&decision);
    counts.count_trace(&settled);
    let records = may_be_recorded(&settled, policy);
    let remaining = if records || !policy.export.access_log.is_empty() { charges.remaining(&policy.quota) } else { Vec::new() };
    let server = if records && policy.export.spans.client { settler.mint_span(&mut *inputs.entropy) } else { None };
    let record = policy.audit.as_ref().and_then(|audit| {
        let (decision, caller, sent) = (&decision, &caller, settled.sent);
        let (providers, spans) = (&policy.identity.providers, &policy.export.spans);
        let decided = Decided { decision, route, rule, caller, providers, spans, digest_key, sent, server, failure: None, after: None };
        if !decided.is_audited(audit) {
            return None;
        }
        instance.draw(&mut *inputs.entropy);
        trail.record(&decided, audit, Source { service: &policy.service, fingerprint: policy.fingerprint, instance }, inputs)
    });
    let draft = settled.sent.filter(|_| records).map(|sent| {
        let observed = Observed {
            head: head.as_ref().ok(),
            route,
            caller: &caller,
            providers: &policy.identity.providers,
            decision: Some(&decision),
            settled: &settled,
            sent,
            server,
            remaining: &remaining,
            would_refuse: &charges.would_refuse(&policy.quota),
            record: record.as_deref(),
            source: source(headers, policy, &caller, inputs),
            times: &times,
        };
        Box::new(Draft::new(&observed, &policy.export.spans, digest_key))
    });
    durations.call(&effects, monotonic);
    let place = route.and_then(|route| policy.routes.routes().element_offset(route));
    let timed = Durations::begin(policy, place, times.began);
    let logged = Logged {
        ids: settled.sent.map(|sent| (sent.trace_id(), server.unwrap_or(sent.parent_id()))),
        decision: Some(&decision),
        caller: &caller,
        providers: &policy.identity.providers,
        remaining: &remaining,
    };
    let properties = logged.properties(&policy.export.access_log, digest_key);
    match decision {
        Decision::Admitted { shadow } => {
            if let Ok(head) = &head {
                let handover = Handover { policy: &policy.identity, caller: &caller, passed: &passed, replacement };
                handover.record(head, &mut *inputs.peer, &mut edits);
            }
            // The caller's call was answered by the server's span.
            let answered = settled.sent.map(|sent| server.map_or(sent, |server| sent.sent_by(server)));
            let trace_response = answered.filter(|_| settled.trace_response);
            let sent = settled.sent;
            let known = policy.audit.as_ref().map(|_| Box::new(Known { route: place, caller, sent, server, record }));
            let admitted = Some(Admitted { shadow, known });
            let state = State::Decided { trace_response, charges, draft, timed, admitted };
            (Step { verdict: Verdict::Continue(edits), effects, properties }, state)
        }
        Decision::Refused(refusal) => {
            (Step { verdict: Verdict::Refuse(refusal.written_as(policy.errors)), effects, properties }, State::refused(draft, timed))
        }
    }
}

/// What is told of a request that ended while it waited; nothing where its head can't be read. Who calls isn't proven again.
fn cancelled(
    gateway: &mut Gateway,
    headers: Headers<'_>,
    times: &Times,
    inputs: &mut Inputs<'_>,
) -> Option<(Option<Box<Draft>>, Vec<Property>)> {
    let Parts { policy, settler, counts, digest_key, .. } = gateway.parts();
    let head = RequestHead::read(headers).ok()?;
    let route = match route::find(&head, &policy.routes) {
        Matched::Route(route) => Some(route),
        Matched::Default(_) | Matched::Ambiguous(_) => None,
    };
    let caller = &Caller::unknown();
    let circumstances = Circumstances {
        caller,
        route: route.map(|route| route.name.as_str()),
        root: route.and_then(|route| route.root),
        refused: false,
        trusted_hops: policy.listener.trusted_hops,
    };
    let carried = trace::read(headers, &policy.trace.extract);
    let settled = settler.settle(&carried, circumstances, &policy.trace, inputs, &mut HeaderEdits::none());
    counts.count_trace(&settled);
    let logged = Logged {
        ids: settled.sent.map(|sent| (sent.trace_id(), sent.parent_id())),
        decision: None,
        caller,
        providers: &policy.identity.providers,
        remaining: &[],
    };
    let properties = logged.properties(&policy.export.access_log, digest_key);
    let Some(sent) = settled.sent.filter(|_| may_be_recorded(&settled, policy)) else { return Some((None, properties)) };
    let observed = Observed {
        head: Some(&head),
        route,
        caller,
        providers: &policy.identity.providers,
        decision: None,
        settled: &settled,
        sent,
        server: None,
        remaining: &[],
        would_refuse: &[],
        source: source(headers, policy, caller, inputs),
        record: None,
        times,
    };
    Some((Some(Box::new(Draft::new(&observed, &policy.export.spans, digest_key))), properties))
}

/// Whether spans are drafted: they are sampled, or an error may come of the request.
fn may_be_recorded(settled: &Settled, policy: &Policy) -> bool {
    let errors = || policy.trace.sampling.is_some_and(|sampling| sampling.record_errors);
    !policy.export.traces.is_empty() && (settled.sampling.sampled || errors())
}

/// Where a request comes from, if spans tell it.
fn source(headers: Headers<'_>, policy: &Policy, caller: &Caller, inputs: &mut Inputs<'_>) -> Option<IpAddr> {
    let asked = policy.export.spans.attributes.contains(&OptionalAttribute::ClientAddress);
    if asked { Facts::new(headers, policy.listener.trusted_hops, &mut *inputs.peer, caller).source() } else { None }
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
