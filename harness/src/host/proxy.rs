// SPDX-License-Identifier: Apache-2.0
//! A simulated proxy around a VM: the filter chain, the upstream, callouts and ticks, in virtual time.
//!
//! Nothing here waits: [`Proxy::advance`] moves the clock and does what is due on the way, [`Proxy::run_until_idle`] does
//! so until nobody waits for anything any more.

mod callouts;
mod chain;
mod end;
mod options;
mod respond;
mod vms;
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use options::{FailurePolicy, Options, Timeouts};
pub use world::{Always, ExchangeId, World};

use super::callout::{Callout, Outcome};
use super::facts::Facts;
use super::failure::Failure;
use super::filter_state::FilterState;
use super::grpc;
use super::headers::HeaderMap;
use super::message::{LocalResponse, Message};
use super::module::Module;
use super::state::{Direction, Exchange, Traffic};
use super::vm::{Plugin, Vm};
use crate::error::Result;
use vms::Ticking;

/// A request, and what the proxy knows beside it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The request with its pseudo-headers.
    pub message: Message,
    /// What the proxy knows beside it.
    pub facts: Arc<Facts>,
    /// When the client closes its connection, from now.
    pub gone_after: Option<Duration>,
}

/// What became of an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// The request as the upstream got it, if it got one whole.
    pub upstream: Option<Message>,
    /// The response as the client got it; `None` where its connection ended without one.
    pub response: Option<Message>,
    /// Why the client got that response, as in Envoy's access log.
    pub details: String,
    /// What filters have set on it, by name: what an access log can tell.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A simulated proxy. The first failure of its module is kept in [`Proxy::failure`].
#[derive(Debug)]
pub struct Proxy<'m, W> {
    module: &'m Module,
    options: Options,
    world: W,
    vm: Vm,
    plugins: Vec<Plugin>,
    failures: Vec<String>,
    /// Nanoseconds since the start; never goes back.
    now: u64,
    loaded_at: u64,
    due: BTreeMap<(u64, u64), Due>,
    serial: u64,
    /// Callouts whose answer is put off, by token.
    held: BTreeMap<u32, Callout>,
    ticking: Vec<Ticking>,
    next_exchange: u32,
    live: BTreeMap<u32, Live>,
    /// The exchange whose request a filter has at hand.
    deciding: Option<u32>,
    /// How many replies are being delivered within each other.
    nested: u32,
    finished: BTreeMap<u32, Finished>,
}

/// What happens at some time.
#[derive(Debug)]
enum Due {
    /// What came of a callout reaches the root that asked for it.
    Reply(u32, u32, Outcome),
    /// It does so once more, which a faulty host alone does.
    Again(u32, u32, Outcome),
    /// The upstream's response reaches the chain, or the news that there is none.
    Upstream(u32, std::result::Result<Message, Failure>),
    /// The client closes its connection.
    Gone(u32),
    /// Nothing has happened for too long.
    Idle(u32),
}

/// An exchange on its way.
#[derive(Debug)]
struct Live {
    /// It came with `x-forwarded-proto`, without which Envoy finds no route.
    has_scheme: bool,
    /// It is a HEAD, whatever filters make of it.
    is_head: bool,
    /// It is gRPC, whatever filters make of it.
    is_grpc: bool,
    /// The filters' contexts from the client to the upstream; 0 for one that has seen nothing yet.
    filters: Vec<u32>,
    request: Way,
    response: Way,
    /// The upstream got the request whole.
    reached_upstream: bool,
    /// The upstream's answer is put off.
    held: bool,
    /// The answer that a filter has asked for.
    prepared: Option<LocalResponse>,
    /// When it is given up, where that is scheduled.
    idle: Option<(u64, u64)>,
}

/// One message's way through the chain.
#[derive(Debug, Default)]
struct Way {
    /// The filter where it waits, by place in this direction, and with what.
    stopped: Option<(usize, Stop)>,
    /// Nothing follows the head.
    head_only: bool,
    /// What waits behind that filter.
    rest: VecDeque<Piece>,
    /// Body bytes that have left the chain.
    sent: Vec<u8>,
    /// The head has left the chain.
    begun: bool,
    /// All of it has left the chain, or nothing of it will any more.
    ended: bool,
}

/// How a filter stopped a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// At the head: everything waits.
    Head,
    /// At the body, which it holds back; whether its end has come.
    Body(bool),
    /// At the trailers.
    Trailers,
}

/// A part of a message after its head.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Body bytes, perhaps the last.
    Data(Vec<u8>, bool),
    /// The end of a message with trailers.
    Trailers(HeaderMap),
}

impl<'m, W: World> Proxy<'m, W> {
    /// Starts the VM and configures its plugins.
    ///
    /// # Errors
    ///
    /// When the module traps or refuses a configuration.
    pub fn start(module: &'m Module, options: Options, world: W) -> Result<Self> {
        let (vm, plugins) = vms::start(module, &options, options.clock)?;
        let mut proxy = Self {
            module,
            options,
            world,
            vm,
            plugins,
            failures: Vec::new(),
            now: 0,
            loaded_at: 0,
            due: BTreeMap::new(),
            serial: 0,
            held: BTreeMap::new(),
            ticking: Vec::new(),
            next_exchange: 0,
            live: BTreeMap::new(),
            deciding: None,
            nested: 0,
            finished: BTreeMap::new(),
        };
        proxy.settle();
        Ok(proxy)
    }

    /// Sends a request and does all that comes of it at once.
    pub fn send(&mut self, request: Request) -> ExchangeId {
        self.reload();
        self.next_exchange = self.next_exchange.wrapping_add(1);
        let id = self.next_exchange;
        let Request { message: Message { head, body, trailers }, facts, gone_after } = request;
        let has_scheme = head.first(FORWARDED_PROTO).is_some();
        let is_head = head.first(b":method") == Some(b"HEAD");
        let is_grpc = head.first(b"content-type").is_some_and(grpc::is_content_type);
        let begun = self.vm.state().now;
        let exchange = Exchange {
            facts,
            begun,
            request: Traffic { head, ..Traffic::default() },
            response: None,
            filter_state: FilterState::default(),
            details: None,
            code: None,
            flags: 0,
            has_upstream: false,
        };
        self.vm.state().contexts.exchanges.insert(id, exchange);
        let filters = vec![0; if self.bypassed() { 0 } else { self.plugins.len() }];
        self.live.insert(
            id,
            Live {
                has_scheme,
                is_head,
                is_grpc,
                filters,
                request: Way::default(),
                response: Way::default(),
                reached_upstream: false,
                held: false,
                prepared: None,
                idle: None,
            },
        );
        if let Some(after) = gone_after {
            self.schedule(after, Due::Gone(id));
        }
        self.deliver(id, Direction::Request, pieces(body, trailers));
        self.watch(id);
        ExchangeId(id)
    }

    /// Gives an exchange its time anew: what nobody ever moves again runs into the proxy's own timeout.
    fn watch(&mut self, id: u32) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if let Some(idle) = live.idle.take() {
            self.due.remove(&idle);
        }
        let idle = self.schedule(self.options.timeouts.idle, Due::Idle(id));
        if let Some(live) = self.live.get_mut(&id) {
            live.idle = Some(idle);
        }
    }

    /// Sends a request and waits for its end, or for a million steps.
    pub fn exchange(&mut self, request: Request) -> Finished {
        let id = self.send(request);
        for _ in 0..MAX_STEPS {
            if !self.live.contains_key(&id.0) || !self.step() {
                break;
            }
        }
        self.finish(id)
    }

    /// What became of an exchange. One that is not over yet ends here, as if its client had gone.
    pub fn finish(&mut self, id: ExchangeId) -> Finished {
        if self.live.contains_key(&id.0) {
            self.end(id.0);
        }
        self.finished.remove(&id.0).unwrap_or_default()
    }

    /// Whether an exchange is over.
    #[must_use]
    pub fn is_over(&self, id: ExchangeId) -> bool {
        !self.live.contains_key(&id.0)
    }

    /// Does what is due until nobody waits for anything but ticks, or after a million steps: a module may call out on and on.
    pub fn run_until_idle(&mut self) {
        for _ in 0..MAX_STEPS {
            if !self.step() {
                return;
            }
        }
    }

    /// Moves the clock, and does what is due on the way.
    pub fn advance(&mut self, duration: Duration) {
        let until = self.now.saturating_add(nanoseconds(duration));
        while self.next_due().is_some_and(|due| due <= until) {
            self.do_next();
        }
        self.set_now(until);
    }

    /// Why the module is dead, or was before it was loaded anew; the first time.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failures.first().map(String::as_str)
    }

    /// The VM.
    #[must_use]
    pub const fn vm(&self) -> &Vm {
        &self.vm
    }

    /// The VM, to be read and changed from outside.
    pub const fn vm_mut(&mut self) -> &mut Vm {
        &mut self.vm
    }

    /// What lies behind the proxy.
    pub const fn world_mut(&mut self) -> &mut W {
        &mut self.world
    }

    /// Runs every plugin's tick now, whenever it is due.
    pub fn tick(&mut self) {
        for plugin in self.plugins.clone() {
            let ticked = self.vm.tick(plugin);
            self.note(ticked);
            self.settle();
        }
    }

    /// Ends every plugin, as when the proxy shuts down.
    pub fn shut_down(&mut self) {
        for plugin in std::mem::take(&mut self.plugins) {
            let ended = self.vm.end(plugin);
            self.note(ended);
            self.settle();
        }
    }

    fn schedule(&mut self, after: Duration, due: Due) -> (u64, u64) {
        self.serial += 1;
        let at = (self.now.saturating_add(nanoseconds(after)), self.serial);
        self.due.insert(at, due);
        at
    }

    /// Does the next thing that somebody waits for, ticks before it included; `false` where there is none.
    fn step(&mut self) -> bool {
        if self.due.is_empty() {
            return false;
        }
        self.do_next();
        true
    }

    fn next_due(&self) -> Option<u64> {
        let event = self.due.first_key_value().map(|((due, _), _)| *due);
        let tick = self.next_tick();
        event.into_iter().chain(tick).min()
    }

    fn do_next(&mut self) {
        let Some(at) = self.next_due() else { return };
        self.set_now(at);
        if self.next_tick() == Some(at) {
            return self.run_tick();
        }
        match self.due.pop_first() {
            Some((_, Due::Reply(root, token, outcome))) => self.deliver_reply(root, token, outcome),
            Some((_, Due::Again(root, token, outcome))) => self.hand_over(root, token, outcome),
            Some((_, Due::Upstream(id, response))) => self.deliver_response(id, response),
            Some((_, Due::Idle(id))) => self.time_out(id),
            Some((_, Due::Gone(id))) => self.client_gone(id),
            None => {}
        }
    }

    fn set_now(&mut self, now: u64) {
        let passed = i64::try_from(now.saturating_sub(self.now)).unwrap_or(i64::MAX);
        self.now = self.now.max(now);
        let elapsed = self.now;
        let state = self.vm.state();
        state.elapsed = elapsed;
        state.now = state.now.saturating_add(passed);
    }
}

/// What follows a head, as HTTP/1 delivers it: bytes as they come, and the end by itself.
fn pieces(body: Vec<u8>, trailers: Option<HeaderMap>) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    if !body.is_empty() {
        pieces.push_back(Piece::Data(body, false));
    }
    match trailers {
        Some(trailers) => pieces.push_back(Piece::Trailers(trailers)),
        None if pieces.is_empty() => {}
        None => pieces.push_back(Piece::Data(Vec::new(), true)),
    }
    pieces
}

const MAX_STEPS: u32 = 1_000_000;
const FORWARDED_PROTO: &[u8] = b"x-forwarded-proto";

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
