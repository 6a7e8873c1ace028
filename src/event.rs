// SPDX-License-Identifier: Apache-2.0
//! What the world tells an exchange.

use crate::effect::CallId;
use crate::head::Headers;
use crate::quota::Totals;

/// Something that happened to one exchange, in the order in which it happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The request's header lines, pseudo-headers included. An unreadable map is refused, see
    /// [`RequestHead::read`](crate::head::RequestHead::read).
    Request(Headers<'a>),
    /// The answer to a call that this exchange asked for. Late and unknown answers change nothing.
    Reply(CallId, Result<Reply<'a>, CallFailed>),
    /// What the gateway fetched for several exchanges has arrived or failed, or the time that this exchange agreed to wait for is
    /// over: here is the request again, to be decided anew.
    Wake(Headers<'a>),
    /// The request's trailers, if it has any.
    Trailers(Headers<'a>),
    /// The response's header lines, of which `:status` alone is read.
    Response(Headers<'a>),
    /// The request ends while it waits: its client left, or the host answered in our place. Here it is for the last time, and
    /// [`Closed`](Self::Closed) follows. A host that can't show it any more leaves this out.
    Cancelled(Headers<'a>),
    /// The host can't do what was decided, or hands over what can't be read. The request is refused, whatever was decided before.
    HostFailed(HostFailure),
    /// The exchange is over; nothing comes after. What it carried is as far as the host knows it.
    Closed(Totals),
}

/// A call's answer, lent for the time of one step.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The response's header lines, with `:status`.
    pub headers: Headers<'a>,
    /// The response's body.
    pub body: &'a [u8],
}

/// Bytes of the longest body of a rate-limit service's or a collector's answer that is read; what is longer tells nothing.
pub const MAX_ANSWER: usize = 65_536;

/// Why a call has no answer. Calls that the host refuses at once fail in the same way as calls that fail later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailed {
    /// The host would not send it: unknown cluster, open circuit breaker, bad argument.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The connection failed or was reset.
    Disconnected,
    /// The service answered with a gRPC status other than OK.
    Status(u32),
}

/// What a host couldn't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFailure {
    /// Make an edit to the request's head: half edited, it could carry what was to be removed.
    HeadNotEdited,
    /// Let a request go on that had waited.
    NotContinued,
    /// Show the request's trailers.
    TrailersUnreadable,
    /// Show the head before the trailers.
    TrailersWithoutHead,
    /// Make an edit to the request's trailers.
    TrailersNotEdited,
    /// Take an answer before it calls again: nothing could be decided.
    CalledBack,
}

impl HostFailure {
    /// As records call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HeadNotEdited => "head_not_edited",
            Self::NotContinued => "not_continued",
            Self::TrailersUnreadable => "trailers_unreadable",
            Self::TrailersWithoutHead => "trailers_without_head",
            Self::TrailersNotEdited => "trailers_not_edited",
            Self::CalledBack => "called_back",
        }
    }

    /// Whether the request's head had gone on by then, if it was admitted.
    pub(crate) const fn follows_head(self) -> bool {
        matches!(self, Self::TrailersUnreadable | Self::TrailersWithoutHead | Self::TrailersNotEdited)
    }
}
