// SPDX-License-Identifier: Apache-2.0
//! Who is asked: the upstream that gets admitted requests, and the services that get the core's calls.

use std::time::Duration;

use tracegate::{CallFailed, CallId, ExchangeId, GatewayId};

use super::message::Message;

/// A call's reply, kept until its turn comes.
pub type OwnedReply = Message;

/// What a service does with a call: answers or fails after a while, or, with `None`, never answers.
pub type ServiceAnswer = Option<(Duration, Result<OwnedReply, CallFailed>)>;

/// Who asked for a call, and so who gets its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// One exchange, for itself.
    Exchange(ExchangeId),
    /// A gateway, for several exchanges.
    Gateway(GatewayId),
}

/// Takes the core's calls.
pub trait Service {
    /// What becomes of a call.
    fn answer(&mut self, call: CallId) -> ServiceAnswer;
}

impl<F: FnMut(CallId) -> ServiceAnswer> Service for F {
    fn answer(&mut self, call: CallId) -> ServiceAnswer {
        self(call)
    }
}

/// Takes admitted requests.
pub trait Upstream {
    /// The answer and how long it takes; `None` where none ever comes.
    fn answer(&mut self, request: &Message) -> Option<(Duration, Message)>;
}

impl<F: FnMut(&Message) -> Option<(Duration, Message)>> Upstream for F {
    fn answer(&mut self, request: &Message) -> Option<(Duration, Message)> {
        self(request)
    }
}

/// An upstream that gives every request the same answer.
#[derive(Clone, Debug)]
pub struct Answers {
    answer: Message,
    after: Duration,
}

/// An upstream that answers everything with this status, at once.
#[must_use]
pub fn answers(status: u16) -> Answers {
    Answers { answer: Message::answer(status), after: Duration::ZERO }
}

/// An upstream that never answers.
#[must_use]
pub fn never() -> impl Upstream {
    |_: &Message| None
}

impl Answers {
    /// How long it takes.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }

    /// Appends a line to the answer's head.
    #[must_use]
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Self { answer: self.answer.with(name, value), ..self }
    }
}

impl Upstream for Answers {
    fn answer(&mut self, _: &Message) -> Option<(Duration, Message)> {
        Some((self.after, self.answer.clone()))
    }
}
