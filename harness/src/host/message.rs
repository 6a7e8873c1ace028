// SPDX-License-Identifier: Apache-2.0
//! Whole HTTP messages, as clients, upstreams and services send them.

use super::grpc;
use super::headers::{HeaderMap, Part};

/// A request or a response with its pseudo-headers, its body and its trailers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The head.
    pub head: HeaderMap,
    /// The body, empty for none.
    pub body: Vec<u8>,
    /// The trailers, where there are any.
    pub trailers: Option<HeaderMap>,
}

impl Message {
    /// A request without a body.
    #[must_use]
    pub const fn request(head: HeaderMap) -> Self {
        Self { head, body: Vec::new(), trailers: None }
    }

    /// A response with a status, and header lines as they come over the wire.
    pub fn response<N: AsRef<[u8]>, V: AsRef<[u8]>>(status: u16, lines: impl IntoIterator<Item = (N, V)>, body: &[u8]) -> Self {
        let mut head = HeaderMap::received(Part::Response, lines);
        head.add(b":status", status.to_string().as_bytes());
        Self { head, body: body.to_vec(), trailers: None }
    }

    /// The response to a unary gRPC call: a message, and status OK behind it.
    #[must_use]
    pub fn grpc(message: &[u8]) -> Self {
        let trailers = HeaderMap::received(Part::ResponseTrailers, [("grpc-status", "0")]);
        let response = Self::response(200, [("content-type", grpc::CONTENT_TYPE)], &grpc::frame(message));
        Self { trailers: Some(trailers), ..response }
    }

    /// The response to a unary gRPC call that ends without a message.
    #[must_use]
    pub fn grpc_status(code: u32, words: &str) -> Self {
        let (code, words) = (code.to_string(), grpc::encode_message(words.as_bytes()));
        let lines = [("content-type", grpc::CONTENT_TYPE.as_bytes()), ("grpc-status", code.as_bytes()), ("grpc-message", &words)];
        Self::response(200, lines, b"")
    }

    /// A response's status; 0 where it has none that is a number.
    #[must_use]
    pub fn status(&self) -> u16 {
        status_of(&self.head).unwrap_or(0)
    }
}

/// The status of a response's head: of several in a line the first.
pub(super) fn status_of(head: &HeaderMap) -> Option<u16> {
    let status = head.first(b":status")?.split(|byte| *byte == b',').next()?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// A response that a plugin asked for in the upstream's stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalResponse {
    pub(super) status: u32,
    pub(super) details: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) grpc_status: i32,
}
