// SPDX-License-Identifier: Apache-2.0
//! Requests that are refused after they were decided, or though nobody could decide them: a second head comes, or their host fails.

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
    /// Nothing goes on, or no further: a second head came, which can't be told from an attack on the first one's decision, or the host failed. Who is
    /// refused is refused once, and nobody once the exchange is over.
    pub(super) fn refuse_late(&mut self, gateway: &mut Gateway, failure: Option<HostFailure>, inputs: &mut Inputs<'_>) -> Step {
        let reason = if failure.is_some() { Reason::HostFailure } else { Reason::RequestHeadersUnreadable };
        let refusal = Refusal::of(reason);
        let mut step = Step::of(Verdict::Refuse(refusal.clone().written_as(gateway.policy().errors)));
        // Where a second head comes the first one has gone on.
        let has_gone_on = failure.is_none_or(HostFailure::follows_head);
        match &mut self.state {
            State::Decided { trace_response, charges, draft, admitted, .. } => {
                let Some(Admitted { shadow, known }) = admitted.take() else { return step };
                *trace_response = None;
                if !has_gone_on {
                    let Parts { policy, ledger, counts, .. } = gateway.parts();
                    ledger.cancel(&policy.quota, &std::mem::take(charges), inputs);
                    counts.take_back(shadow);
                }
                let record = put_on_record(gateway, &refusal, failure, known.as_deref(), inputs);
                if let Some(draft) = draft {
                    draft.fail(&refusal, has_gone_on, record.as_deref());
                }
            }
            State::Open | State::Waiting(_) => {
                let _ = put_on_record(gateway, &refusal, failure, None, inputs);
                self.leave(gateway, State::refused(None, None), inputs);
            }
            State::Closed => return step,
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
