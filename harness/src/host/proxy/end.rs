// SPDX-License-Identifier: Apache-2.0
//! Where messages leave the chain, and where exchanges end.

use std::time::Duration;

use super::callouts::FOR_EVER;
use super::{Due, ExchangeId, FORWARDED_PROTO, Failure, Finished, Live, Proxy, World, pieces};
use crate::host::callout::{Outcome, Reply};
use crate::host::memory::length;
use crate::host::message::{Message, status_of};
use crate::host::state::{Action, Direction, Exchange, LogPhase, Stream, Traffic};
use crate::host::vm::DEAD;

impl<W: World> Proxy<'_, W> {
    /// Does what callbacks have asked for, until nothing is left of it.
    pub(super) fn settle(&mut self) {
        while let Some(action) = self.vm.next_action() {
            match action {
                Action::ContinueRequest(context) => self.resume(context, Direction::Request),
                Action::ContinueResponse(context) => self.resume(context, Direction::Response),
                Action::Close(context) => self.close(context),
                Action::Respond(context, response) => self.respond(context, response),
                Action::CloseCall(root, token, close) => self.deliver_at_once(root, token, Outcome::Grpc(Err(close))),
                Action::Delete(root) => {
                    let deleted = self.vm.delete_root(root);
                    self.note(deleted);
                }
            }
        }
        self.call_out();
        self.follow_ticks();
    }

    /// A head has passed all filters.
    pub(super) fn head_left(&mut self, id: u32, direction: Direction) {
        let Some(way) = self.way(id, direction) else { return };
        way.begun = true;
        let head_only = way.head_only;
        if direction == Direction::Response
            && let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id)
        {
            exchange.code = exchange.response.as_ref().and_then(|response| status_of(&response.head));
        } else if direction == Direction::Request && !self.can_be_sent(id) {
            return;
        }
        if head_only {
            self.data_left(id, direction, &[], true);
        }
    }

    /// Whether a request can go on once the filters have changed its head; the client gets the answer where it can't.
    fn can_be_sent(&mut self, id: u32) -> bool {
        let had_scheme = self.live.get(&id).is_some_and(|live| live.has_scheme);
        let Some(traffic) = self.traffic(id, Direction::Request) else { return false };
        let head = &traffic.head;
        let finds_route =
            head.first(b":path").is_some_and(|path| path.starts_with(b"/")) && (!had_scheme || head.first(FORWARDED_PROTO).is_some());
        let flaw = head.flaw();
        match (finds_route, flaw) {
            (true, None) => return true,
            (false, _) => self.no_route(id),
            (true, Some(flaw)) => self.refuse_to_send(id, &flaw),
        }
        false
    }

    /// Bytes have passed all filters, perhaps the last.
    pub(super) fn data_left(&mut self, id: u32, direction: Direction, bytes: &[u8], end: bool) {
        let Some(way) = self.way(id, direction) else { return };
        way.sent.extend_from_slice(bytes);
        let ended = way.ended;
        way.ended |= end;
        if let Some(traffic) = self.traffic(id, direction) {
            traffic.sent += u64::from(length(bytes.len()));
        }
        if !end || ended {
            return;
        }
        match direction {
            Direction::Request => self.ask_upstream(id),
            Direction::Response => self.end(id),
        }
    }

    fn ask_upstream(&mut self, id: u32) {
        let Some(request) = self.take_sent(id, Direction::Request) else { return };
        let reply = self.world.upstream(ExchangeId(id), &request);
        // The head stays where on_log finds it.
        let Message { head, body, trailers } = request;
        if let Some(traffic) = self.traffic(id, Direction::Request) {
            (traffic.head, traffic.trailers) = (head, trailers);
        }
        if let Some(live) = self.live.get_mut(&id) {
            live.request.sent = body;
            live.reached_upstream = reply != Reply::Refused;
        }
        if let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id) {
            exchange.has_upstream = true;
        }
        let (after, response) = match reply {
            Reply::After(Duration::ZERO, response) => return self.deliver_response(id, Ok(response)),
            Reply::Held => {
                if let Some(live) = self.live.get_mut(&id) {
                    live.held = true;
                }
                return;
            }
            Reply::After(after, response) => (after, Ok(response)),
            Reply::Reset(after) | Reply::Broken(after) => (after, Err(Failure::Reset)),
            Reply::Refused => (Duration::ZERO, Err(Failure::Refused)),
            Reply::Never => (FOR_EVER, Err(Failure::TimedOut)),
        };
        let timeout = self.options.timeouts.response;
        if after > timeout {
            self.schedule(timeout, Due::Upstream(id, Err(Failure::TimedOut)));
        } else {
            self.schedule(after, Due::Upstream(id, response));
        }
    }

    /// The upstream answers a request that was [held](Reply::Held), at once. Others have no answer from here.
    pub fn answer_upstream(&mut self, id: ExchangeId, response: Message) {
        if self.live.get_mut(&id.0).is_some_and(|live| std::mem::take(&mut live.held)) {
            self.deliver_response(id.0, Ok(response));
        }
    }

    /// What has left the chain in this direction.
    fn take_sent(&mut self, id: u32, direction: Direction) -> Option<Message> {
        let body = std::mem::take(&mut self.way(id, direction)?.sent);
        let traffic = self.traffic(id, direction)?;
        let trailers = traffic.trailers.take().filter(|trailers| !trailers.is_empty());
        Some(Message { head: std::mem::take(&mut traffic.head), body, trailers })
    }

    /// The upstream's response reaches the chain, or the news that there is none.
    pub(super) fn deliver_response(&mut self, id: u32, response: Result<Message, Failure>) {
        if !self.live.contains_key(&id) {
            return;
        }
        self.watch(id);
        let Message { head, body, trailers } = match response {
            Ok(response) => response,
            Err(failure) => return self.respond_without_upstream(id, failure),
        };
        let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id) else { return };
        exchange.code = status_of(&head);
        exchange.response = Some(Traffic { head, ..Traffic::default() });
        exchange.details = Some("via_upstream".to_owned());
        self.deliver(id, Direction::Response, pieces(body, trailers));
    }

    /// Makes the context of a filter that sees its first request.
    pub(super) fn create(&mut self, id: u32, index: usize) -> Option<u32> {
        let root = self.plugins.get(index)?.root;
        let contexts = &mut self.vm.state().contexts;
        let context = contexts.mint();
        contexts.streams.insert(context, Stream { root, exchange: id, ..Stream::default() });
        if let Some(filter) = self.live.get_mut(&id).and_then(|live| live.filters.get_mut(index)) {
            *filter = context;
        }
        let created = self.vm.call(context, "proxy_on_context_create", |calls| &calls.context_create, (context, root));
        self.note(created);
        self.settle();
        Some(context)
    }

    /// Makes the contexts of filters that saw no request: they are told of its end all the same.
    fn create_missing(&mut self, id: u32) {
        let missing = |live: &Live| (0..live.filters.len()).filter(|index| live.filters.get(*index) == Some(&0)).collect();
        let missing: Vec<usize> = self.live.get(&id).map(missing).unwrap_or_default();
        for index in missing {
            self.create(id, index);
        }
    }

    /// Resets a stream: its client's connection ends.
    fn close(&mut self, context: u32) {
        let Some(id) = self.vm.state().contexts.streams.get(&context).map(|stream| stream.exchange) else { return };
        if let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id) {
            exchange.details.get_or_insert_with(|| "wasm_close_stream".to_owned());
        }
        self.end(id);
    }

    /// The client has closed its connection.
    pub(super) fn client_gone(&mut self, id: u32) {
        if let Some(exchange) = self.vm.state().contexts.exchanges.get_mut(&id) {
            exchange.details = Some("downstream_remote_disconnect".to_owned());
            exchange.flags |= DOWNSTREAM_CONNECTION_TERMINATION;
        }
        self.end(id);
    }

    /// Ends an exchange, whatever has become of it: `on_log` of each filter, then `on_done` and `on_delete` of each.
    pub(super) fn end(&mut self, id: u32) {
        self.create_missing(id);
        let Some(live) = self.live.remove(&id) else { return };
        if let Some(idle) = live.idle {
            self.due.remove(&idle);
        }
        let contexts: Vec<u32> = live.filters.iter().copied().filter(|context| ![0, DEAD].contains(context)).collect();
        for &context in &contexts {
            self.with_stream(context, |stream, _| stream.log = LogPhase::In);
            let logged = self.vm.call(context, "proxy_on_log", |calls| &calls.log, (context,));
            self.note(logged);
            self.settle();
            self.with_stream(context, |stream, _| stream.log = LogPhase::After);
        }
        for &context in &contexts {
            let done = self.vm.call(context, "proxy_on_done", |calls| &calls.done, (context,));
            self.note(done);
            self.settle();
            let deleted = self.vm.call(context, "proxy_on_delete", |calls| &calls.delete, (context,));
            self.note(deleted);
            self.settle();
            self.vm.state().contexts.streams.remove(&context);
        }
        let finished = self.vm.state().contexts.exchanges.remove(&id).map(|exchange| live.finish(exchange));
        self.finished.insert(id, finished.unwrap_or_default());
    }
}

impl Live {
    /// What became of it.
    fn finish(self, exchange: Exchange) -> Finished {
        let message = |traffic: Traffic, body| {
            let trailers = traffic.trailers.filter(|trailers| !trailers.is_empty());
            Message { head: traffic.head, body, trailers }
        };
        Finished {
            upstream: self.reached_upstream.then(|| message(exchange.request, self.request.sent)),
            response: exchange.response.filter(|_| self.response.ended).map(|response| message(response, self.response.sent)),
            details: exchange.details.unwrap_or_default(),
            properties: exchange.filter_state.into_values(),
        }
    }
}

/// Envoy's response flag for a client that has closed its connection.
const DOWNSTREAM_CONNECTION_TERMINATION: u64 = 0x4000;
