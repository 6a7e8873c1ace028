// SPDX-License-Identifier: Apache-2.0
//! Why a trace header likely didn't come through a gateway, whichever it is.

use super::answer::Arrived;
use super::{Carrier, Fate};
use crate::carrier::Carried;

/// The likely cause of what became of a carrier, beside what reaches the backend of a request that has no trace header.
pub(super) fn of(carrier: Carrier, fate: Fate, sent: &Carried, arrived: &Arrived, bare: &Arrived) -> Option<&'static str> {
    let parent = Fate::of(Carrier::TRACEPARENT, sent, &arrived.carried);
    let is_legacy = bare.carried.get(Carrier::REQUEST_ID).is_some() && bare.carried.get(Carrier::TRACEPARENT).is_none();
    Some(match fate {
        Fate::Kept | Fate::Continued | Fate::Dropped => return None,
        Fate::Absent if carrier == Carrier::TRACESTATE && parent == Some(Fate::Restarted) => "it belongs to the trace that didn't go on",
        Fate::Absent if !arrived.is_marked => "the gateway hands on only headers that it knows: the probe's own mark is gone too",
        Fate::Absent if carrier.is_trace_context() && is_legacy => {
            "API Management's httpCorrelationProtocol Legacy: Request-Id is sent in its stead"
        }
        Fate::Absent => "a policy removes it (API Management: set-header; Envoy: request_headers_to_remove)",
        Fate::Restarted if bare.carried.get(carrier).is_some() => "the gateway writes its own for every request: its tracer, or a policy",
        Fate::Restarted => "the gateway doesn't trust the caller, or a policy or tracer writes another",
        Fate::Passed => "nobody on the way reads it (API Management: httpCorrelationProtocol Legacy or None)",
        Fate::Altered if sent.is_appended_to(carrier, &arrived.carried) => "a policy or a proxy adds a value, joined by a comma",
        Fate::Altered if matches!(carrier, Carrier::TRACESTATE | Carrier::BAGGAGE) => {
            "something shortens or rewrites it: members are missing"
        }
        Fate::Altered => "a policy writes another value",
    })
}
