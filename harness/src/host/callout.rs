// SPDX-License-Identifier: Apache-2.0
//! Callouts, HTTP's and gRPC's: what a module asks of a cluster, and what comes of it.

use std::time::Duration;

use super::grpc::{Close, GrpcCall};
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
    /// What the request stands for, where it is a unary gRPC call.
    pub grpc: Option<GrpcCall>,
}

/// What a callout's token is of: its last two bits say so, as in Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `proxy_http_call`
    Http = 0,
    /// `proxy_grpc_call`
    Grpc = 1,
    /// `proxy_grpc_stream`
    GrpcStream = 2,
}

/// What comes of a callout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A response: none where the connection broke.
    Http(Option<Message>),
    /// A unary gRPC call's message, or why there is none.
    Grpc(Result<Vec<u8>, Close>),
}

impl Kind {
    /// The last bits of its tokens.
    pub(super) const fn bits(self) -> u32 {
        self as u32
    }

    /// What a token is of.
    pub(super) fn of(token: u32) -> Option<Self> {
        [Self::Http, Self::Grpc, Self::GrpcStream].into_iter().find(|kind| kind.bits() == token % TOKEN_STEP)
    }
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
    /// Its circuit breaker is open, and nothing may wait for a connection either.
    Full,
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
    /// Nothing until the proxy is told what: by [`Proxy::answer_callout`](super::Proxy::answer_callout) or
    /// [`Proxy::answer_upstream`](super::Proxy::answer_upstream). No time runs out meanwhile.
    Held,
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

/// From one token of a kind to the next.
pub(super) const TOKEN_STEP: u32 = 4;
