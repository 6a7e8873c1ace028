// SPDX-License-Identifier: Apache-2.0
//! One stream context: one [`Exchange`].

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, MapType};

use super::host;
use super::inputs::totals;
use super::world::{SharedWorld, apply, refuse};
use crate::adapter::pairs;
use crate::decision::{Reason, Refusal};
use crate::effect::{ExchangeId, Verdict};
use crate::event::{Event, HostFailure};
use crate::exchange::Exchange;
use crate::head::{Header, Headers};
use crate::quota::Totals;

pub(super) struct Stream {
    id: ExchangeId,
    /// `None` in a root context without a policy, which hosts don't let serve.
    world: Option<SharedWorld>,
    /// `None` before the request's head, and while the world keeps it.
    exchange: Option<Exchange>,
    /// It has waited for something.
    has_waited: bool,
}

impl Stream {
    pub(super) const fn new(world: Option<SharedWorld>, id: ExchangeId) -> Self {
        Self { id, world, exchange: None, has_waited: false }
    }
}

impl Context for Stream {
    /// The answer to what the exchange waits for.
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        if let Some(world) = &self.world {
            world.grpc_reply(token, status, size);
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(world) = &self.world else {
            // Nor is there an audit, which a policy asks for.
            host::log(LogLevel::Error, "tracegate: request refused: no policy is loaded");
            return answered(&Refusal::of(Reason::HostFailure));
        };
        let opened = self.exchange.take().or_else(|| world.take_back(self.id));
        let opened = opened.or_else(|| world.gateway.try_borrow().ok().map(|gateway| gateway.open(self.id)));
        let Some(mut exchange) = opened else { return answered(&world.fail_unheard()) };
        // A map that can't be read reads as an empty one, which the core refuses.
        let map = host::header_map(MapType::HttpRequestHeaders).unwrap_or_default();
        let lines = pairs::read(&map).unwrap_or_default();
        let verdict = world.step(&mut exchange, Event::Request(Headers::new(&lines)));
        let action = match verdict {
            Some(Verdict::Continue(edits)) => match apply(MapType::HttpRequestHeaders, &edits) {
                Ok(()) => Action::Continue,
                // Let pass half edited, a request could carry what was to be removed.
                Err(error) => answered(&world.fail(&mut exchange, HostFailure::HeadNotEdited, &error.to_string())),
            },
            Some(Verdict::Refuse(refusal)) => answered(&refusal),
            Some(Verdict::Wait) => {
                self.has_waited = true;
                world.pause(exchange);
                return Action::Pause;
            }
            None => answered(&world.fail_unheard()),
        };
        self.exchange = Some(exchange);
        action
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        let Some(world) = &self.world else { return Action::Continue };
        let Some(exchange) = self.exchange.take().or_else(|| world.take_back(self.id)) else {
            let Some(exchange) = world.asks(|gateway| gateway.open(self.id)) else { return answered(&world.fail_unheard()) };
            let exchange = self.exchange.insert(exchange);
            return answered(&world.fail(exchange, HostFailure::TrailersWithoutHead, "trailers came before a head"));
        };
        let exchange = self.exchange.insert(exchange);
        let map = host::header_map(MapType::HttpRequestTrailers).unwrap_or_default();
        let lines = pairs::read(&map).unwrap_or_default();
        if lines.is_empty() && count > 0 {
            return answered(&world.fail(exchange, HostFailure::TrailersUnreadable, "trailers can't be read"));
        }
        match world.step(exchange, Event::Trailers(Headers::new(&lines))) {
            Some(Verdict::Continue(edits)) => match apply(MapType::HttpRequestTrailers, &edits) {
                Ok(()) => Action::Continue,
                Err(error) => answered(&world.fail(exchange, HostFailure::TrailersNotEdited, &error.to_string())),
            },
            _ => answered(&world.fail_unheard()),
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let Some(world) = &self.world else { return Action::Continue };
        let Some(exchange) = self.exchange.take().or_else(|| world.take_back(self.id)) else { return Action::Continue };
        let exchange = self.exchange.insert(exchange);
        let Some((awaits, reads)) = world.asks(|gateway| (exchange.awaits_response(gateway), exchange.reads_response(gateway))) else {
            return Action::Continue;
        };
        // Nothing else of a response is ever looked at.
        let status = if reads { host::header_value(MapType::HttpResponseHeaders, STATUS).unwrap_or_default() } else { Vec::new() };
        let lines = [Header { name: STATUS.as_bytes(), value: &status }];
        if awaits
            && let Some(Verdict::Continue(edits)) = world.step(exchange, Event::Response(Headers::new(&lines)))
            && let Err(error) = apply(MapType::HttpResponseHeaders, &edits)
        {
            host::log(LogLevel::Error, &format!("tracegate: response not edited: {error}"));
        }
        Action::Continue
    }

    /// The stream is over, and the host knows how long its bodies were.
    fn on_log(&mut self) {
        let Some(world) = &self.world else { return };
        let Some(mut exchange) = self.exchange.take().or_else(|| world.take_back(self.id)) else { return };
        if world.asks(|gateway| exchange.awaits_cancellation(gateway)) == Some(true) {
            let map = host::header_map(MapType::HttpRequestHeaders).unwrap_or_default();
            let lines = pairs::read(&map).unwrap_or_default();
            let _ = world.step(&mut exchange, Event::Cancelled(Headers::new(&lines)));
        }
        match world.asks(|gateway| (exchange.awaits_close(gateway), exchange.reads_totals(gateway))) {
            Some((true, reads)) => {
                let totals = if reads { totals() } else { Totals::default() };
                let _ = world.step(&mut exchange, Event::Closed(totals));
            }
            _ => self.exchange = Some(exchange),
        }
        // A refusal may have filled a batch of records, though no span tells of it.
        world.hasten();
    }
}

impl Drop for Stream {
    /// A client that has gone waits no more, and what its stream asked for is lost.
    fn drop(&mut self) {
        let Some(world) = self.world.as_ref().filter(|_| self.has_waited) else { return };
        world.end(self.id);
        if let Some(mut exchange) = self.exchange.take().or_else(|| world.take_back(self.id)) {
            let _ = world.step(&mut exchange, Event::Closed(Totals::default()));
        }
    }
}

/// A response's status, among its headers.
const STATUS: &str = ":status";

/// Answers the client; nothing goes on.
fn answered(refusal: &Refusal) -> Action {
    refuse(refusal);
    Action::Pause
}
