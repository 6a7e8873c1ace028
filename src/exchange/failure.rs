// SPDX-License-Identifier: Apache-2.0
//! Requests that are refused after they were decided, or though nobody could decide them: their host fails.

use super::{Exchange, State};
use crate::access_log::Logged;
use crate::audit::Decided;
use crate::caller::Caller;
use crate::decision::{Decision, Reason, Refusal};
use crate::effect::{Step, Verdict};
use crate::event::HostFailure;
use crate::export::Source;
use crate::gateway::{Gateway, Parts};
use crate::inputs::Inputs;
use crate::trace::{SpanId, TraceParent};

/// A request that goes on, unless its host fails.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Why a rule in `mode: shadow` would have refused it.
    pub(super) shadow: Option<Reason>,
    /// What another record would tell of it, where there are records.
    pub(super) known: Option<Box<Known>>,
}

/// What is known of a request that goes on.
#[derive(Debug)]
pub(super) struct Known {
    /// The route, by its place.
    pub(super) route: Option<usize>,
    pub(super) caller: Caller,
    /// What the upstream is told.
    pub(super) sent: Option<TraceParent>,
    /// The server span's id, where the upstream's parent is a client span.
    pub(super) server: Option<SpanId>,
    /// The id of the record of its decision, if there is one.
    pub(super) record: Option<String>,
}

impl Exchange {
    /// A second head came. It can't be told from an attack on the first one's decision, which stands. Once the exchange is over nobody hears of it.
    pub(super) fn refuse_again(&mut self, gateway: &mut Gateway, inputs: &mut Inputs<'_>) -> Step {
        let refusal = Refusal::of(Reason::RequestHeadersUnreadable);
        let known = match &self.state {
            State::Decided { admitted: Some(admitted), .. } => admitted.known.as_deref(),
            _ => None,
        };
        if !matches!(self.state, State::Closed) {
            let _ = put_on_record(gateway, &refusal, None, known, inputs);
        }
        if matches!(self.state, State::Waiting(_)) {
            self.leave(gateway, State::refused(None, None), inputs);
        }
        Step::of(Verdict::Refuse(refusal.written_as(gateway.policy().errors)))
    }

    /// The host failed: nothing goes on, or no further. Who is refused is refused once, and nobody once the exchange is over.
    pub(super) fn fail(&mut self, gateway: &mut Gateway, failure: HostFailure, inputs: &mut Inputs<'_>) -> Step {
        let refusal = Refusal::of(Reason::HostFailure);
        let mut step = Step::of(Verdict::Refuse(refusal.clone().written_as(gateway.policy().errors)));
        if let State::Decided { trace_response, charges, draft, admitted, .. } = &mut self.state {
            let Some(Admitted { shadow, known }) = admitted.take() else { return step };
            *trace_response = None;
            if !failure.follows_head() {
                let Parts { policy, ledger, counts, .. } = gateway.parts();
                ledger.cancel(&policy.quota, &std::mem::take(charges), inputs);
                counts.take_back(shadow);
            }
            let record = put_on_record(gateway, &refusal, Some(failure), known.as_deref(), inputs);
            if let Some(draft) = draft {
                draft.fail(&refusal, failure.follows_head(), record.as_deref());
            }
        } else if matches!(self.state, State::Closed) {
            return step;
        } else {
            let _ = put_on_record(gateway, &refusal, Some(failure), None, inputs);
            self.leave(gateway, State::refused(None, None), inputs);
        }
        let (policy, decision, caller) = (gateway.policy(), Decision::Refused(refusal), &Caller::unknown());
        // The rest is told, or never will be.
        let logged = Logged { ids: None, decision: Some(&decision), caller, providers: &[], remaining: &[] };
        step.properties = logged.properties(&policy.export.access_log, None);
        step
    }
}

/// Counts a refusal that no rule asked for, and puts it on record, where there are records; gives the record's id.
fn put_on_record(
    gateway: &mut Gateway,
    refusal: &Refusal,
    failure: Option<HostFailure>,
    known: Option<&Known>,
    inputs: &mut Inputs<'_>,
) -> Option<String> {
    let Parts { policy, counts, trail, instance, digest_key, .. } = gateway.parts();
    let decision = &Decision::Refused(refusal.clone());
    counts.count_decision(decision);
    let audit = policy.audit.as_ref()?;
    instance.draw(&mut *inputs.entropy);
    let unknown = Caller::unknown();
    let decided = Decided {
        decision,
        route: known.and_then(|known| policy.routes.routes().get(known.route?)),
        rule: None,
        caller: known.map_or(&unknown, |known| &known.caller),
        providers: &policy.identity.providers,
        spans: &policy.export.spans,
        digest_key,
        sent: known.and_then(|known| known.sent),
        server: known.and_then(|known| known.server),
        failure,
        after: known.and_then(|known| known.record.as_deref()),
    };
    let record = trail.record(&decided, audit, Source { service: &policy.service, fingerprint: policy.fingerprint, instance }, inputs);
    gateway.put_on_record(inputs.monotonic);
    record
}
