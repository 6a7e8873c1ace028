// SPDX-License-Identifier: Apache-2.0
//! Callouts on their way: to the services that plugins call, and back to the roots that called.

use std::time::Duration;

use super::{Due, Failure, Proxy, World};
use crate::error::Result;
use crate::host::callout::{Callout, Cluster, Outcome, Reply};
use crate::host::failure::reply;
use crate::host::faults::{Fault, Faults};
use crate::host::grpc::{self, Close};
use crate::host::headers::HeaderMap;
use crate::host::memory::length;
use crate::host::message::Message;

impl<W: World> Proxy<'_, W> {
    /// Sends what callbacks have asked for.
    pub(super) fn call_out(&mut self) {
        for callout in std::mem::take(&mut self.vm.state().callouts.asked) {
            match self.outcome_at_once(&callout) {
                Some(outcome) => self.deliver_at_once(callout.root, callout.token, outcome),
                None => self.ask(callout),
            }
        }
    }

    /// Says that a callout has failed while it was sent, as Envoy does once the callback has returned.
    pub(super) fn deliver_at_once(&mut self, root: u32, token: u32, outcome: Outcome) {
        if self.nested < MAX_NESTED {
            self.deliver_reply(root, token, outcome);
        } else {
            self.schedule(LEAST, Due::Reply(root, token, outcome));
        }
    }

    /// What comes of a callout that fails while it is sent.
    fn outcome_at_once(&self, callout: &Callout) -> Option<Outcome> {
        if self.options.clusters.get(&callout.cluster) == Some(&Cluster::Overloaded) {
            return Some(self.failed(callout, Failure::Overloaded));
        }
        let head = &callout.request.head;
        let connects = head.first(b":method") == Some(b"CONNECT") && head.first(b":protocol").is_none();
        let connects = connects.then(|| "missing required header: :protocol".to_owned());
        connects.or_else(|| head.flaw()).map(|flaw| Outcome::Http(Some(reply(503, &flaw, None))))
    }

    /// Asks a service.
    fn ask(&mut self, mut callout: Callout) {
        let reply = self.reply_to(&mut callout);
        if reply == Reply::Held {
            self.held.insert(callout.token, callout);
            return;
        }
        let (mut after, mut outcome) = self.outcome_of(&callout, reply);
        if let Some(timeout) = callout.timeout.filter(|timeout| *timeout < after) {
            (after, outcome) = (timeout, self.failed(&callout, Failure::TimedOut));
        }
        match self.vm.state().faults.as_mut().and_then(Faults::of_reply) {
            Some(Fault::ReplyLost) => return,
            Some(Fault::ReplyLate(late)) => after = after.saturating_add(late),
            Some(Fault::ReplyTwice) => {
                self.schedule(after, Due::Again(callout.root, callout.token, outcome.clone()));
            }
            Some(_) | None => {}
        }
        if after < FOR_EVER {
            // Time passes with every call, or a module that calls out on and on would stop it.
            self.schedule(after.max(LEAST), Due::Reply(callout.root, callout.token, outcome));
        }
    }

    /// Answers a callout that was [held](Reply::Held), at once, however long the reply takes; but not with what is no answer. Others' tokens are
    /// nobody's.
    pub fn answer_callout(&mut self, token: u32, reply: Reply) {
        if matches!(reply, Reply::Never | Reply::Held) {
            return;
        }
        let Some(callout) = self.held.remove(&token) else { return };
        let (_, outcome) = self.outcome_of(&callout, reply);
        self.deliver_reply(callout.root, token, outcome);
    }

    /// What the world says to a callout, with what Envoy adds to it.
    fn reply_to(&mut self, callout: &mut Callout) -> Reply {
        let head = &mut callout.request.head;
        head.add(b"x-envoy-internal", b"true");
        if let Some(timeout) = callout.timeout {
            head.add(b"x-envoy-expected-rq-timeout-ms", timeout.as_millis().to_string().as_bytes());
        }
        match &callout.grpc {
            Some(call) => self.world.grpc(callout, call),
            None => self.world.service(callout),
        }
    }

    /// What comes of a callout and when.
    fn outcome_of(&self, callout: &Callout, reply: Reply) -> (Duration, Outcome) {
        let is_grpc = callout.grpc.is_some();
        match reply {
            Reply::After(after, response) if is_grpc => (after, Outcome::Grpc(grpc::read(&response))),
            Reply::After(after, mut response) => {
                response.head.add(b"x-envoy-upstream-service-time", after.as_millis().to_string().as_bytes());
                (after, Outcome::Http(Some(response)))
            }
            Reply::Reset(after) => (after, self.failed(callout, Failure::Reset)),
            Reply::Broken(after) if is_grpc => (after, Outcome::Grpc(Err(Close::new(grpc::INTERNAL, b"", BROKEN_RESPONSE)))),
            Reply::Broken(after) => (after, Outcome::Http(None)),
            Reply::Refused => (Duration::ZERO, self.failed(callout, Failure::Refused)),
            Reply::Never | Reply::Held => (FOR_EVER, self.failed(callout, Failure::TimedOut)),
        }
    }

    /// What comes of a callout without a response.
    fn failed(&self, callout: &Callout, failure: Failure) -> Outcome {
        let release = self.options.vm.release;
        match callout.grpc {
            Some(_) => Outcome::Grpc(Err(failure.close(release))),
            None => Outcome::Http(Some(failure.response(release))),
        }
    }

    /// What came of a callout reaches the root that asked for it, whatever became of its stream, unless it was cancelled.
    pub(super) fn deliver_reply(&mut self, root: u32, token: u32, outcome: Outcome) {
        if self.vm.state().callouts.pending.contains_key(&token) {
            self.hand_over(root, token, outcome);
        }
    }

    /// Shows a root what came of a callout.
    pub(super) fn hand_over(&mut self, root: u32, token: u32, outcome: Outcome) {
        self.nested += 1;
        let called = match outcome {
            Outcome::Http(response) => self.hand_over_response(root, token, response),
            Outcome::Grpc(ended) => self.hand_over_message(root, token, ended),
        };
        self.note(called);
        self.settle();
        self.nested -= 1;
    }

    fn hand_over_response(&mut self, root: u32, token: u32, message: Option<Message>) -> Result<()> {
        let Some(owner) = self.vm.state().contexts.roots.get_mut(&root) else { return Ok(()) };
        let sizes = message
            .as_ref()
            .map_or([0; 3], |message| [message.head.len(), message.body.len(), message.trailers.as_ref().map_or(0, HeaderMap::len)]);
        let [headers, body, trailers] = sizes.map(length);
        if message.is_none() {
            owner.status = (BROKEN_CONNECTION, b"reset".to_vec());
        }
        owner.reply = message;
        let called =
            self.vm.call(root, "proxy_on_http_call_response", |calls| &calls.http_call_response, (root, token, headers, body, trailers));
        self.forget_reply(root, token);
        called.map(drop)
    }

    fn hand_over_message(&mut self, root: u32, token: u32, ended: std::result::Result<Vec<u8>, Close>) -> Result<()> {
        let Some(owner) = self.vm.state().contexts.roots.get_mut(&root) else { return Ok(()) };
        let called = match ended {
            Ok(message) => {
                let size = length(message.len());
                owner.grpc_message = Some(message);
                self.vm.call(root, "proxy_on_grpc_receive", |calls| &calls.grpc_receive, (root, token, size))
            }
            Err(Close { code, message }) => {
                owner.status = (code, message);
                self.vm.call(root, "proxy_on_grpc_close", |calls| &calls.grpc_close, (root, token, code))
            }
        };
        self.forget_reply(root, token);
        called.map(drop)
    }

    /// Takes back what a root was shown, and the call is over: nothing that was asked for happens before.
    fn forget_reply(&mut self, root: u32, token: u32) {
        let state = self.vm.state();
        state.callouts.pending.remove(&token);
        if let Some(owner) = state.contexts.roots.get_mut(&root) {
            owner.reply = None;
            owner.grpc_message = None;
            owner.status.1.clear();
        }
    }
}

/// `proxy_status_t` for a callout whose connection broke.
const BROKEN_CONNECTION: u32 = 11;
/// Envoy's details of a response that ends too early.
const BROKEN_RESPONSE: &str = "upstream_reset_after_response_started{protocol_error}";
/// Replies within replies, before one has to wait.
const MAX_NESTED: u32 = 16;
/// How long the fastest service takes.
const LEAST: Duration = Duration::from_micros(1);
/// Longer than any clock runs.
pub(super) const FOR_EVER: Duration = Duration::MAX;
