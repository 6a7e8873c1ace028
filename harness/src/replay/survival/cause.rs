// SPDX-License-Identifier: Apache-2.0
//! Why a trace header likely didn't come through API Management.
//!
//! What its gateway does with trace headers is up to the diagnostic's `httpCorrelationProtocol`
//! (<https://learn.microsoft.com/rest/api/apimanagement/diagnostic/create-or-update>): `W3C` writes `traceparent`, `Legacy`
//! writes `Request-Id` and `Request-Context`, `None` writes nothing. Any other header goes on unless a `set-header` policy
//! has it otherwise. Which headers are logged is listed for each side by itself: one that no record of an API has at the
//! backend may be logged nowhere.

use crate::carrier::{Carried, Carrier, Fate};

/// A likely cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// Another header went in its stead.
    Legacy,
    /// It was removed, or isn't logged.
    Deleted,
    /// It belonged to the trace that didn't go on.
    FreshTrace,
    /// The gateway began a trace.
    OwnTrace,
    /// The gateway wrote its own id.
    OwnRequestId,
    /// A value was added to it.
    Appended,
    /// Members are missing.
    Cut,
    /// Another value was written.
    Rewritten,
    /// Nobody looked inside.
    Unread,
}

impl Cause {
    /// The likely cause of what became of a carrier, as far as the exchange itself tells.
    pub(super) fn of(carrier: Carrier, fate: Fate, sent: &Carried, arrived: &Carried) -> Self {
        let wrote = |other| arrived.get(other).is_some() && arrived.get(other) != sent.get(other);
        let parent = Fate::of(Carrier::TRACEPARENT, sent, arrived);
        match fate {
            Fate::Absent if carrier == Carrier::TRACESTATE && parent == Some(Fate::Restarted) => Self::FreshTrace,
            Fate::Absent if carrier.is_trace_context() && (wrote(Carrier::REQUEST_ID) || wrote(Carrier::REQUEST_CONTEXT)) => Self::Legacy,
            Fate::Absent => Self::Deleted,
            Fate::Restarted if carrier == Carrier::TRACEPARENT => Self::OwnTrace,
            Fate::Restarted if carrier == Carrier::REQUEST_ID => Self::OwnRequestId,
            Fate::Passed => Self::Unread,
            _ if sent.is_appended_to(carrier, arrived) => Self::Appended,
            _ if matches!(carrier, Carrier::TRACESTATE | Carrier::BAGGAGE) => Self::Cut,
            _ => Self::Rewritten,
        }
    }

    /// A word for it. `is_logged` says that some record of the API has the header at the backend.
    pub(super) const fn as_str(self, is_logged: bool) -> &'static str {
        match self {
            Self::Legacy => "legacy_correlation",
            Self::Deleted if is_logged => "deleted",
            Self::Deleted => "deleted_or_not_logged",
            Self::FreshTrace => "fresh_trace",
            Self::OwnTrace => "own_trace",
            Self::OwnRequestId => "own_request_id",
            Self::Appended => "appended",
            Self::Cut => "cut",
            Self::Rewritten => "rewritten",
            Self::Unread => "unread",
        }
    }

    /// What it is.
    pub(super) const fn explanation(self, is_logged: bool) -> &'static str {
        match self {
            Self::Legacy if is_logged => "httpCorrelationProtocol Legacy sends Request-Id in its stead; W3C sends it",
            Self::Legacy => "httpCorrelationProtocol Legacy sends Request-Id in its stead, or it isn't logged there",
            Self::Deleted if is_logged => "a set-header policy deletes it: other requests of this API have it there",
            Self::Deleted => "a set-header policy deletes it, or it isn't logged there: no request shows it",
            Self::FreshTrace => "it belongs to the trace that didn't go on",
            Self::OwnTrace => "a set-header policy, or the gateway's own tracing, begins another trace",
            Self::OwnRequestId => "httpCorrelationProtocol Legacy: the gateway writes a Request-Id of its own",
            Self::Appended => "a set-header policy appends a value, joined by a comma",
            Self::Cut => "something shortens or rewrites it: members are missing",
            Self::Rewritten => "a set-header policy writes another value",
            Self::Unread => "it came malformed and goes on unread: httpCorrelationProtocol Legacy or None",
        }
    }
}
