// SPDX-License-Identifier: Apache-2.0
//! What a record tells of a decision.

use super::AuditPolicy;
use super::line::Line;
use crate::caller::Caller;
use crate::decision::Decision;
use crate::event::HostFailure;
use crate::identity::Provider;
use crate::route::Route;
use crate::span::{DigestKey, SpanPolicy, Value, put_attribute, tell_caller};
use crate::trace::{SpanId, TraceFlags, TraceParent};

/// A decision, and on what it was made.
pub(crate) struct Decided<'a> {
    pub(crate) decision: &'a Decision,
    pub(crate) route: Option<&'a Route>,
    /// The rule that refused it, or the first in `mode: shadow` that would have.
    pub(crate) rule: Option<&'a str>,
    pub(crate) caller: &'a Caller,
    pub(crate) providers: &'a [Provider],
    /// What is told of callers is what spans tell of them.
    pub(crate) spans: &'a SpanPolicy,
    pub(crate) digest_key: Option<&'a DigestKey>,
    /// What the upstream is told; `None` where no id could be minted.
    pub(crate) sent: Option<TraceParent>,
    /// The server span's id, where the upstream's parent is a client span.
    pub(crate) server: Option<SpanId>,
    /// What the host couldn't do, where the request is refused for that.
    pub(crate) failure: Option<HostFailure>,
    /// The id of the record of what was decided of the same request before.
    pub(crate) after: Option<&'a str>,
}

impl Decided<'_> {
    /// Whether it is to be put on record.
    pub(crate) fn is_audited(&self, policy: &AuditPolicy) -> bool {
        match self.decision {
            Decision::Refused(_) => true,
            Decision::Admitted { shadow } => {
                policy.admitted || policy.shadowed && shadow.is_some() || self.route.is_some_and(|route| route.audited)
            }
        }
    }

    /// The span that tells of it, if there is one.
    pub(super) fn span_id(&self) -> Option<SpanId> {
        self.sent.map(|sent| self.server.unwrap_or(sent.parent_id()))
    }

    /// Tells it in a line.
    pub(super) fn tell(&self, line: &mut Line) {
        match self.decision {
            Decision::Admitted { shadow } => {
                line.text("decision", "admitted");
                if let Some(reason) = shadow {
                    line.text("shadow", reason.as_str());
                }
            }
            Decision::Refused(refusal) => {
                line.text("decision", "refused");
                line.text("reason", refusal.reason().as_str());
                line.number("status", refusal.status().into());
                if let Some(quota) = refusal.quota() {
                    line.text("quota", quota);
                }
            }
        }
        if let Some(failure) = self.failure {
            line.text("failure", failure.as_str());
        }
        if let Some(after) = self.after {
            line.text("after", after);
        }
        if let Some(route) = self.route {
            line.text("route", &route.name);
        }
        if let Some(rule) = self.rule {
            line.text("rule", rule);
        }
        let mut caller = Vec::new();
        tell_caller(self.caller, self.providers, self.spans, self.digest_key, |name, value| {
            let (name, value) = (name.strip_prefix("tracegate.caller.").unwrap_or(name), value.to_text());
            if caller.len() < MAX_MEMBERS {
                let value = value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or_default();
                caller.push((name.to_owned(), value.to_owned()));
            }
        });
        line.object("caller", &caller);
        if let (Some(sent), Some(span_id)) = (self.sent, self.span_id()) {
            line.text("trace_id", &hex::encode(sent.trace_id().to_bytes()));
            line.text("span_id", &hex::encode(span_id.to_bytes()));
            line.truth("sampled", sent.flags().contains(TraceFlags::SAMPLED));
        }
    }

    /// The attributes of its record in OTLP, of which all but the body is for searching.
    pub(super) fn put_attributes(&self, message: &mut Vec<u8>, number: u8) {
        let mut attribute = |key: &str, value: &str| put_attribute(message, number, key, Value::Text(value));
        match self.decision {
            Decision::Admitted { .. } => attribute("tracegate.decision", "admitted"),
            Decision::Refused(refusal) => {
                attribute("tracegate.decision", "refused");
                attribute("tracegate.reason", refusal.reason().as_str());
            }
        }
        if let Some(route) = self.route {
            attribute("tracegate.route", &route.name);
        }
    }
}

/// So much is told of a caller: a record's line stays shorter than what container runtimes keep in one piece, 16 KiB.
const MAX_MEMBERS: usize = 16;
/// Bytes of one value, each of which may take six in JSON.
const MAX_VALUE: usize = 128;
