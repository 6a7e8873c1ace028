// SPDX-License-Identifier: Apache-2.0
//! Responses that no upstream gave: the plugin's, and the proxy's own.

use std::collections::VecDeque;

use super::{Failure, Piece, Proxy, World};
use crate::host::grpc;
use crate::host::headers::{HeaderMap, Part};
use crate::host::message::{LocalResponse, status_of};
use crate::host::state::{Direction, Traffic};

impl<W: World> Proxy<'_, W> {
    /// Answers the client for a plugin.
    pub(super) fn respond(&mut self, context: u32, response: LocalResponse) {
        let Some(id) = self.vm.state().contexts.streams.get(&context).map(|stream| stream.exchange) else { return };
        match self.live.get_mut(&id) {
            // While a filter has the request at hand, the answer waits for the callback's other wishes; the first one counts.
            Some(live) if self.deciding == Some(id) => {
                live.prepared.get_or_insert(response);
            }
            _ => self.answer(id, response),
        }
    }

    /// The proxy's own answer where there is no upstream to answer.
    pub(super) fn respond_without_upstream(&mut self, id: u32, failure: Failure) {
        self.flag(id, failure.flag());
        self.answer(id, own(u32::from(failure.status()), failure.words(self.options.vm.release).as_bytes(), failure.details().as_bytes()));
    }

    /// The proxy's own answer where nothing happens any more.
    pub(super) fn time_out(&mut self, id: u32) {
        self.flag(id, STREAM_IDLE_TIMEOUT);
        self.answer(id, own(504, b"stream timeout", b"stream_idle_timeout"));
    }

    /// The proxy's own answer where no route matches any more.
    pub(super) fn no_route(&mut self, id: u32) {
        self.flag(id, NO_ROUTE_FOUND);
        self.answer(id, own(404, b"", b"route_not_found"));
    }

    /// The proxy's own answer where the request can't be sent as the filters left it.
    pub(super) fn refuse_to_send(&mut self, id: u32, flaw: &str) {
        self.answer(id, own(503, flaw.as_bytes(), b"upstream_request_invalid"));
    }

    fn flag(&mut self, id: u32, flag: u64) {
        if let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id) {
            exchange.flags |= flag;
        }
    }

    /// The proxy's own answer for a stream whose plugin trapped.
    pub(super) fn fail_stream(&mut self, id: u32) {
        self.answer(id, own(503, b"", b"wasm_fail_stream"));
    }

    /// Answers the client: through the filters, unless the upstream's response is among them already.
    pub(super) fn answer(&mut self, id: u32, response: LocalResponse) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.request.ended = true;
        let (begun, is_head, is_grpc) = (live.response.begun, live.is_head, live.is_grpc);
        let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id) else { return };
        if begun {
            // What has been sent can't be taken back.
            exchange.details = Some(details(&response.details));
            return self.end(id);
        }
        let replaces = exchange.response.is_some();
        exchange.details = Some(details(&response.details));
        let (head, body) = local(is_head, is_grpc, response);
        exchange.code = status_of(&head);
        exchange.response = Some(Traffic { head, ..Traffic::default() });
        let pieces = if body.is_empty() { VecDeque::new() } else { VecDeque::from([Piece::Data(body, true)]) };
        if !replaces {
            return self.deliver(id, Direction::Response, pieces);
        }
        let Some(way) = self.way(id, Direction::Response) else { return };
        way.head_only = pieces.is_empty();
        self.head_left(id, Direction::Response);
        for piece in pieces {
            if let Piece::Data(body, end) = piece {
                self.data_left(id, Direction::Response, &body, end);
            }
        }
    }
}

fn own(status: u32, body: &[u8], details: &[u8]) -> LocalResponse {
    LocalResponse { status, details: details.to_vec(), headers: Vec::new(), body: body.to_vec(), grpc_status: -1 }
}

/// A local response's head and body, for the request that it answers.
fn local(is_head: bool, is_grpc: bool, response: LocalResponse) -> (HeaderMap, Vec<u8>) {
    let mut head = HeaderMap::new(Part::Response);
    head.add(b":status", response.status.to_string().as_bytes());
    for (name, value) in &response.headers {
        head.add(name, value);
    }
    if is_grpc {
        head.set(b":status", b"200");
        head.set(b"content-type", grpc::CONTENT_TYPE.as_bytes());
        if head.first(b"grpc-status").is_none() {
            let status = match i64::from(response.grpc_status) {
                known @ 0..=16 => known,
                _ => i64::from(grpc::status_of(i64::from(response.status))),
            };
            head.set(b"grpc-status", status.to_string().as_bytes());
        }
        if !response.body.is_empty() && !is_head {
            head.set(b"grpc-message", &grpc::encode_message(&response.body));
        }
        head.remove(b"content-length");
        return (head, Vec::new());
    }
    if response.body.is_empty() {
        head.remove(b"content-length");
        head.remove(b"content-type");
        return (head, Vec::new());
    }
    head.set(b"content-length", response.body.len().to_string().as_bytes());
    if head.first(b"content-type").is_none() {
        head.set(b"content-type", b"text/plain");
    }
    (head, if is_head { Vec::new() } else { response.body })
}

/// Envoy's response flags.
const NO_ROUTE_FOUND: u64 = 0x100;
const STREAM_IDLE_TIMEOUT: u64 = 0x10000;

/// Details as they stand in an access log: without white space.
fn details(details: &[u8]) -> String {
    String::from_utf8_lossy(details)
        .chars()
        .map(|character| if character.is_ascii_whitespace() || character == '\u{b}' { '_' } else { character })
        .collect()
}
