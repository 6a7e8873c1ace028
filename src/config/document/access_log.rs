// SPDX-License-Identifier: Apache-2.0
//! What the host's access log can tell, as written.

use serde::Serialize;

use super::super::decode::{Decode, Place};
use super::super::finding::Findings;

/// Something that the host's access log can tell of a decision. Each costs a call of the host, about 0.2 µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AccessLogProperty {
    /// The trace that the upstream is told, sampled or not.
    TraceId,
    /// The request's own span in it.
    SpanId,
    /// `admitted`, `refused`, or `cancelled` where the request ended while it waited.
    Decision,
    /// Why it was refused.
    Reason,
    /// The caller's provider, and the policy's name for the caller or its digest: never a token or a key.
    Caller,
    /// What limits leave, such as `per-subscription=99`.
    Remaining,
}

impl Decode for AccessLogProperty {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let words = [
            ("trace_id", Self::TraceId),
            ("span_id", Self::SpanId),
            ("decision", Self::Decision),
            ("reason", Self::Reason),
            ("caller", Self::Caller),
            ("remaining", Self::Remaining),
        ];
        place.word(&words, findings)
    }
}
