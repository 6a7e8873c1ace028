// SPDX-License-Identifier: Apache-2.0
//! HTTP callouts: what a module asks of a cluster, and what comes of it.

use std::time::Duration;

use super::headers::HeaderMap;
use super::message::Message;

/// A request of the module's own to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// Names the call in its VM.
    pub token: u32,
    /// The root context that gets the reply.
    pub(super) root: u32,
    /// The cluster.
    pub cluster: String,
    /// The request.
    pub request: Message,
    /// How long the module waits; `None` for ever.
    pub timeout: Option<Duration>,
}

/// What a cluster is, as far as a dispatch can tell at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// It takes requests.
    Reachable,
    /// It has no healthy endpoint.
    Empty,
    /// Its circuit breaker is open: what is sent to it fails later.
    Overloaded,
}

/// How an upstream or a service answers, from the time when the request has reached it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A response after a while.
    After(Duration, Message),
    /// The connection fails after a while, before a response.
    Reset(Duration),
    /// The connection fails after a while, in the middle of the response.
    Broken(Duration),
    /// Nobody listens.
    Refused,
    /// Nothing ever comes.
    Never,
}

impl Reply {
    /// A response at once.
    #[must_use]
    pub const fn now(response: Message) -> Self {
        Self::After(Duration::ZERO, response)
    }
}

/// The request of a callout, as `proxy_http_call` takes it; `None` where it lacks what a request needs.
pub(super) fn request(head: HeaderMap, body: &[u8], trailers: HeaderMap) -> Option<Message> {
    let complete = [b":path".as_slice(), b":method", b":authority"].iter().all(|name| head.first(name).is_some());
    if !complete {
        return None;
    }
    let mut head = head;
    if !body.is_empty() {
        head.set(b"content-length", body.len().to_string().as_bytes());
    }
    Some(Message { head, body: body.to_vec(), trailers: (!trailers.is_empty()).then_some(trailers) })
}
