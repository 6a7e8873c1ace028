// SPDX-License-Identifier: Apache-2.0
//! Events that wait in the queue for their turn.

use tracegate::quota::Totals;
use tracegate::{CallFailed, CallId, Event, Headers, Reply};

use super::message::Message;
use super::service::OwnedReply;

/// An [`Event`] that owns what it brings.
#[derive(Clone, Debug)]
pub enum OwnedEvent {
    /// The request's head.
    Request(Message),
    /// The answer to a call.
    Reply(CallId, Result<OwnedReply, CallFailed>),
    /// What several exchanges wait for has arrived, or the time to wait is over: the request is decided anew.
    Wake,
    /// The response's head.
    Response(Message),
    /// The exchange is over.
    Closed,
}

impl OwnedEvent {
    /// Lends the event for the time of one step; `request` is the head that the exchange has got so far.
    pub(super) fn lend<T>(&self, request: Option<&Message>, step: impl FnOnce(Event<'_>) -> T) -> T {
        match self {
            Self::Request(head) => step(Event::Request(Headers::new(&head.lines()))),
            Self::Reply(call, answer) => lend_answer(answer, |answer| step(Event::Reply(*call, answer))),
            Self::Wake => step(Event::Wake(Headers::new(&request.map(Message::lines).unwrap_or_default()))),
            Self::Response(head) => step(Event::Response(Headers::new(&head.lines()))),
            Self::Closed => step(Event::Closed(Totals::default())),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "request",
            Self::Reply(..) => "reply",
            Self::Wake => "wake",
            Self::Response(_) => "response",
            Self::Closed => "closed",
        }
    }
}

/// Lends a call's answer for the time of one step.
pub(super) fn lend_answer<T>(answer: &Result<OwnedReply, CallFailed>, step: impl FnOnce(Result<Reply<'_>, CallFailed>) -> T) -> T {
    match answer {
        Ok(reply) => step(Ok(Reply { headers: Headers::new(&reply.lines()), body: reply.body_bytes() })),
        Err(failed) => step(Err(*failed)),
    }
}
