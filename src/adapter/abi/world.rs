// SPDX-License-Identifier: Apache-2.0
//! What a root context and its streams share: the gateway, the exchanges that wait, and the calls that are under way. It carries out what the
//! core asks for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::types::{LogLevel, MapType};

use super::host::{self, Failed};
use super::inputs::with_inputs;
use crate::access_log::Property;
use crate::adapter::{lines, pairs};
use crate::decision::{ErrorFormat, Reason, Refusal};
use crate::edits::{HeaderEdit, HeaderEdits};
use crate::effect::{CallId, Effect, ExchangeId, Export, Fetch, RateLimitCall, Step, Verdict, Woken};
use crate::event::{CallFailed, Event, HostFailure, MAX_ANSWER, Reply};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::head::Headers;
use crate::inputs::Inputs;
use crate::uri::FetchUri;

/// The host runs a VM on one thread and one callback at a time: nothing below is borrowed across a call to the host that could call back.
pub(super) struct World {
    /// The root context.
    root: u32,
    /// Before the names of shared data.
    prefix: String,
    pub(super) gateway: RefCell<Gateway>,
    /// How refusals are written: known while the gateway is at work too.
    errors: ErrorFormat,
    /// The host's ids, by index in [`Gateway::histogram_names`]; `None` where the host has no metrics.
    histograms: Vec<Option<u32>>,
    /// Exchanges that wait or have waited; their streams take them back.
    paused: RefCell<BTreeMap<ExchangeId, Exchange>>,
    /// Calls by the host's token.
    calls: RefCell<BTreeMap<Token, Pending>>,
    /// What goes out from the root context, on the next tick: the SDK gives a call's answer to the context that made it, and a stream may be over by
    /// then.
    deferred: RefCell<Vec<Effect>>,
    /// Calls that the host refused at once. Their exchanges hear of it on the next tick: a stream can't be continued from within the callback that
    /// pauses it.
    refused: RefCell<Vec<CallId>>,
    /// Milliseconds between ticks.
    period: Cell<u32>,
    /// Requests refused while the gateway was at work, of which it hears right after.
    unheard: Cell<u32>,
}

pub(super) type SharedWorld = Rc<World>;

/// A call under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    call: CallId,
    /// The longest body of use.
    longest: usize,
    /// The stream that it goes down with.
    stream: Option<ExchangeId>,
}

/// The host's name for a call. Each kind counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Http(u32),
    Grpc(u32),
}

impl World {
    pub(super) fn new(root: u32, gateway: Gateway, histograms: Vec<Option<u32>>) -> Self {
        let root_id = host::property("plugin_root_id").unwrap_or_default();
        let prefix = format!("tracegate/1/{}/", String::from_utf8_lossy(&root_id));
        let errors = gateway.policy().errors;
        let (gateway, paused, calls) = (RefCell::new(gateway), RefCell::default(), RefCell::default());
        let (deferred, refused) = (RefCell::default(), RefCell::default());
        Self { root, prefix, gateway, errors, histograms, paused, calls, deferred, refused, period: Cell::new(0), unheard: Cell::new(0) }
    }

    /// Runs something on the gateway, and hands the host what is to be told or measured; `None` where the host has called back within a call.
    pub(super) fn with_gateway<T>(&self, run: impl FnOnce(&mut Gateway, &mut Inputs<'_>) -> T) -> Option<T> {
        let mut gateway = self.gateway.try_borrow_mut().ok()?;
        let done = with_inputs(&self.prefix, |inputs| {
            let done = run(&mut gateway, inputs);
            for _ in 0..self.unheard.take() {
                let _ = gateway.open(ExchangeId(self.root)).step(&mut gateway, Event::HostFailed(HostFailure::CalledBack), inputs);
            }
            done
        });
        let (lines, durations) = (gateway.drain_lines(), gateway.drain_durations());
        drop(gateway);
        for line in lines {
            host::log(LogLevel::Info, &line);
        }
        for (index, milliseconds) in durations {
            if let Some(Some(id)) = self.histograms.get(index) {
                host::record_metric(*id, milliseconds);
            }
        }
        Some(done)
    }

    /// What the gateway says; `None` where the host has called back within a call.
    pub(super) fn asks<T>(&self, ask: impl FnOnce(&Gateway) -> T) -> Option<T> {
        self.gateway.try_borrow().ok().map(|gateway| ask(&gateway))
    }

    /// Takes a step from within the exchange's own stream; `None` where the host has called back within a call.
    ///
    /// What an exchange waits for is asked for at once, in its stream; the rest from the root context.
    pub(super) fn step(&self, exchange: &mut Exchange, event: Event<'_>) -> Option<Verdict> {
        let Step { verdict, effects, properties } = self.with_gateway(|gateway, inputs| exchange.step(gateway, event, inputs))?;
        set(&properties);
        if effects.is_empty() {
            return Some(verdict);
        }
        for effect in effects {
            if matches!(&effect, Effect::CheckRateLimit(asked) if asked.awaited) {
                if let Err(call) = self.send(&effect, Some(exchange.id())) {
                    self.refused.borrow_mut().push(call);
                }
            } else {
                self.deferred.borrow_mut().push(effect);
            }
        }
        self.pace();
        Some(verdict)
    }

    /// The host can't do what was decided, or shows what can't be read. Gives what its client is told.
    pub(super) fn fail(&self, exchange: &mut Exchange, failure: HostFailure, what: &str) -> Refusal {
        host::log(LogLevel::Error, &format!("tracegate: request refused: {what}"));
        match self.step(exchange, Event::HostFailed(failure)) {
            Some(Verdict::Refuse(refusal)) => refusal,
            _ => self.fail_unheard(),
        }
    }

    /// The host has called back within a call. Gives what its client is told; the gateway hears of it when it is no more at work.
    pub(super) fn fail_unheard(&self) -> Refusal {
        self.unheard.set(self.unheard.get().saturating_add(1));
        host::log(LogLevel::Error, "tracegate: request refused: the host called back within a call");
        Refusal::of(Reason::HostFailure).written_as(self.errors)
    }

    /// A stream is over, and with it its calls.
    pub(super) fn end(&self, id: ExchangeId) {
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            calls.retain(|_, pending| pending.stream != Some(id));
        }
    }

    /// Keeps an exchange that waits, and has the next tick come soon.
    pub(super) fn pause(&self, exchange: Exchange) {
        self.paused.borrow_mut().insert(exchange.id(), exchange);
        self.pace();
    }

    /// Gives back an exchange that has waited, if it has.
    pub(super) fn take_back(&self, id: ExchangeId) -> Option<Exchange> {
        self.paused.try_borrow_mut().ok()?.remove(&id)
    }

    /// Ticks as often as the gateway needs it.
    pub(super) fn pace(&self) {
        let waits = !self.deferred.borrow().is_empty() || !self.refused.borrow().is_empty();
        let urgent = waits || self.with_gateway(|gateway, inputs| gateway.is_urgent(inputs.monotonic)).unwrap_or_default();
        let period = if urgent { URGENT_TICK_MILLISECONDS } else { TICK_MILLISECONDS };
        // A host without ticks loses metrics and published keys, nothing else.
        if period != self.period.replace(period) {
            let _ = host::set_tick_period(period);
        }
    }

    /// Has the next tick come soon where a batch is full. Looked at once for each exchange: the host isn't asked for the time.
    pub(super) fn hasten(&self) {
        if self.period.get() != URGENT_TICK_MILLISECONDS && self.asks(Gateway::has_batch) == Some(true) {
            self.pace();
        }
    }

    /// The gateway ends: what is left goes out, and no answer is heard.
    pub(super) fn end_all(&self) {
        let effects = self.with_gateway(Gateway::end).unwrap_or_default();
        self.perform(effects);
        let _ = self.with_gateway(|gateway, _| gateway.ended());
    }

    /// The host's clock has ticked.
    pub(super) fn tick(&self) {
        for call in self.refused.take() {
            self.answer(call, Err(CallFailed::Refused));
        }
        self.perform(self.deferred.take());
        if let Some(woken) = self.with_gateway(Gateway::tick) {
            self.follow(woken);
        }
        self.pace();
    }

    /// A call has an answer.
    pub(super) fn reply(&self, token: u32, lines: usize, size: usize) {
        let Some(Pending { call, longest, .. }) = self.calls.borrow_mut().remove(&Token::Http(token)) else { return };
        let map = host::header_map(MapType::HttpCallResponseHeaders).unwrap_or_default();
        let headers = pairs::read(&map).unwrap_or_default();
        let body = host::call_response_body(size.min(longest.saturating_add(1))).unwrap_or_default();
        // A host tells of a broken connection by an answer without a head.
        let answer = if lines == 0 { Err(CallFailed::Disconnected) } else { Ok(Reply { headers: Headers::new(&headers), body: &body }) };
        self.answer(call, answer);
        self.pace();
    }

    /// A gRPC call is over: with a message, or with a status other than OK.
    pub(super) fn grpc_reply(&self, token: u32, status: u32, size: usize) {
        let Some(Pending { call, longest, .. }) = self.calls.borrow_mut().remove(&Token::Grpc(token)) else { return };
        let body = host::grpc_message(size.min(longest.saturating_add(1))).unwrap_or_default();
        let answer = if status == 0 { Ok(Reply { headers: Headers::default(), body: &body }) } else { Err(CallFailed::Status(status)) };
        self.answer(call, answer);
        self.pace();
    }

    fn answer(&self, call: CallId, answer: Result<Reply<'_>, CallFailed>) {
        if let Some(woken) = self.with_gateway(|gateway, inputs| gateway.reply(call, answer, inputs)) {
            self.follow(woken);
        }
    }

    fn follow(&self, Woken { effects, wake, notes }: Woken) {
        for (about, note) in notes {
            let about = self.asks(|gateway| about.words(gateway.policy())).unwrap_or_default();
            host::log(LogLevel::Warn, &format!("tracegate: {about}: {note}"));
        }
        self.perform(effects);
        for id in wake {
            self.wake(id);
        }
    }

    /// Carries out what the core asks for. What the host refuses at once is answered like what fails later.
    fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            if let Err(call) = self.send(&effect, None) {
                // A failed call asks for no other at once, so this ends.
                self.answer(call, Err(CallFailed::Refused));
            }
        }
    }

    /// Makes a call.
    ///
    /// # Errors
    ///
    /// The call, where the host refuses it at once.
    fn send(&self, effect: &Effect, stream: Option<ExchangeId>) -> Result<(), CallId> {
        let (call, token, longest) = match effect {
            Effect::Fetch(fetch) => (fetch.call, send_fetch(fetch).map(Token::Http), fetch.max_body),
            Effect::CheckRateLimit(asked) => (asked.call, send_rate_limit(asked).map(Token::Grpc), MAX_ANSWER),
            Effect::Export(export) => (export.call, send_export(export).map(Token::Http), MAX_ANSWER),
        };
        self.calls.borrow_mut().insert(token.ok_or(call)?, Pending { call, longest, stream });
        Ok(())
    }

    /// Decides a request that has waited, from the root context.
    fn wake(&self, id: ExchangeId) {
        let exchange = self.take_back(id).filter(|_| host::set_effective_context(id.0).is_ok());
        let Some(mut exchange) = exchange else {
            let _ = self.with_gateway(|gateway, inputs| gateway.forget(id, inputs));
            return;
        };
        let map = host::header_map(MapType::HttpRequestHeaders).unwrap_or_default();
        let lines = pairs::read(&map).unwrap_or_default();
        let step = self.with_gateway(|gateway, inputs| exchange.step(gateway, Event::Wake(Headers::new(&lines)), inputs));
        self.paused.borrow_mut().insert(id, exchange);
        let verdict = step.map(|Step { verdict, effects, properties }| {
            set(&properties);
            // Another stream's callback may be at work.
            self.deferred.borrow_mut().extend(effects);
            verdict
        });
        match verdict {
            Some(Verdict::Continue(edits)) => {
                let edited = apply(MapType::HttpRequestHeaders, &edits).map_err(|error| (HostFailure::HeadNotEdited, error));
                let continued = edited.and_then(|()| host::continue_request().map_err(|error| (HostFailure::NotContinued, error)));
                if let Err((failure, error)) = continued {
                    self.fail_paused(id, failure, &error.to_string());
                }
            }
            Some(Verdict::Refuse(refusal)) => refuse(&refusal),
            Some(Verdict::Wait) => {}
            None => refuse(&self.fail_unheard()),
        }
        let _ = host::set_effective_context(self.root);
    }

    /// The host fails a request that has waited. Its stream takes it back when it is answered, if it hasn't by now.
    fn fail_paused(&self, id: ExchangeId, failure: HostFailure, what: &str) {
        let refusal = match self.take_back(id) {
            Some(mut exchange) => {
                let refusal = self.fail(&mut exchange, failure, what);
                self.paused.borrow_mut().insert(id, exchange);
                refusal
            }
            None => self.fail_unheard(),
        };
        refuse(&refusal);
    }
}

fn send_fetch(fetch: &Fetch) -> Option<u32> {
    let Fetch { cluster, uri, timeout, .. } = fetch;
    host::http_call(cluster, request("GET", uri, lines::of_fetch(fetch)), None, Duration::from_nanos(*timeout))
}

fn send_export(export: &Export) -> Option<u32> {
    let Export { cluster, uri, body, timeout, .. } = export;
    host::http_call(cluster, request("POST", uri, lines::of_export(export)), Some(body), Duration::from_nanos(*timeout))
}

/// A request's head.
fn request<'a>(method: &'a str, uri: &'a FetchUri, lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let pseudo = [(":method", method), (":scheme", uri.scheme), (":authority", uri.authority.as_str()), (":path", uri.path.as_str())];
    pseudo.into_iter().chain(lines).collect()
}

fn send_rate_limit(RateLimitCall { cluster, message, timeout, .. }: &RateLimitCall) -> Option<u32> {
    const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
    host::grpc_call(cluster, SERVICE, "ShouldRateLimit", message, Duration::from_nanos(*timeout))
}

/// Sets what the access log can tell. A host that keeps no properties has a log without them.
fn set(properties: &[Property]) {
    for Property { name, value } in properties {
        let _ = host::set_property(name, value.as_bytes());
    }
}

/// Makes the edits, in order.
pub(super) fn apply(map: MapType, edits: &HeaderEdits) -> Result<(), Failed> {
    edits.iter().try_for_each(|edit| match edit {
        HeaderEdit::Replace { name, value } => host::replace_header(map, name, value),
        HeaderEdit::Remove { name } => host::remove_header(map, name),
    })
}

/// Answers the client.
pub(super) fn refuse(refusal: &Refusal) {
    let headers: Vec<(&str, &str)> = refusal.headers().collect();
    let sent = host::send_local_response(refusal.status(), refusal.reason().as_str(), &headers, &refusal.body());
    if let Err(error) = sent {
        // The request stays paused, and the host's own time-out ends it: better than letting it pass.
        host::log(LogLevel::Error, &format!("tracegate: refused, but not told: {error}"));
    }
}

/// How often metrics reach the host, and keys are looked after.
const TICK_MILLISECONDS: u32 = 1000;
/// The same while somebody waits.
const URGENT_TICK_MILLISECONDS: u32 = 10;
