// SPDX-License-Identifier: Apache-2.0
//! A whole edge in virtual time: clients, gateways of several configurations, an upstream and services around the native
//! core. Time passes only where a scenario says so, and the same seed gives the same course, byte for byte.
//!
//! The shape is that of quinn-proto's `Pair`: [`World::step`] performs the next thing that is due,
//! [`World::run_until_idle`] goes on until nothing but ticks is due.

mod agenda;
mod course;
mod event;
mod host;
mod message;
mod outcome;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracegate::{CallFailed, CallId, ExchangeId, GatewayId, PeerFact};

pub use event::OwnedEvent;
pub use host::{ms, secs};
pub use message::{Message, get};
pub use outcome::Outcome;
pub use service::{Answers, Asker, OwnedReply, Service, ServiceAnswer, Upstream, answers, never};

use crate::faces::{Record, Recorded};
use agenda::{Agenda, Due};
use host::Host;

/// One VM with all that is around it.
pub struct World {
    host: Host,
    agenda: Agenda,
    gateways: BTreeMap<GatewayId, Running>,
    newest: GatewayId,
    exchanges: BTreeMap<ExchangeId, Outcome>,
    upstream: Box<dyn Upstream>,
    service: Box<dyn Service>,
    asked: BTreeSet<CallId>,
    journal: String,
    /// What has been said to the core: whatever a world has been through, the other faces go through it too.
    record: Record,
    /// Gateways and exchanges share their ids, as contexts do in proxy-wasm.
    next_id: u32,
}

/// A gateway and what it has handed over on its ticks.
struct Running {
    core: Recorded,
    counts: BTreeMap<String, u64>,
}

impl World {
    /// A world whose gateway runs `policy`, whose upstream answers 200 at once and whose services never answer.
    #[must_use]
    pub fn new(policy: &str) -> Self {
        let mut world = Self {
            host: Host::new(0),
            agenda: Agenda::default(),
            gateways: BTreeMap::new(),
            newest: GatewayId(0),
            exchanges: BTreeMap::new(),
            upstream: Box::new(answers(200)),
            service: Box::new(|_: CallId| None),
            asked: BTreeSet::new(),
            journal: String::new(),
            record: Record::default(),
            next_id: 1,
        };
        world.configure(policy);
        world
    }

    /// Draws randomness from this seed, not from 0.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.host = Host::new(seed);
        self
    }

    /// What happens here may be more than a proxy can tell a module, see [`Record::go_beyond_modules`].
    #[must_use]
    pub fn beyond_modules(self) -> Self {
        self.record.go_beyond_modules();
        self
    }

    /// Sends admitted requests to this upstream.
    #[must_use]
    pub fn with_upstream(mut self, upstream: impl Upstream + 'static) -> Self {
        self.upstream = Box::new(upstream);
        self
    }

    /// Sends the core's calls to this service.
    #[must_use]
    pub fn with_service(mut self, service: impl Service + 'static) -> Self {
        self.service = Box::new(service);
        self
    }

    /// Adds a gateway with a new configuration, which gets the requests from now on; the old ones keep theirs.
    pub fn configure(&mut self, policy: &str) -> GatewayId {
        let id = GatewayId(self.new_id());
        let started = Recorded::start(id, policy, &mut host::secret, &mut self.host.inputs(), &self.record);
        let core = started.unwrap_or_else(|error| panic!("{error}"));
        self.gateways.insert(id, Running { core, counts: BTreeMap::new() });
        self.newest = id;
        self.put_after(TICK_PERIOD, Due::Tick(id));
        id
    }

    /// The gateway that gets new requests.
    #[must_use]
    pub const fn newest(&self) -> GatewayId {
        self.newest
    }

    /// Opens an exchange at the newest gateway; its request's head is due now.
    pub fn send(&mut self, request: Message) -> ExchangeId {
        self.send_after(Duration::ZERO, request)
    }

    /// Opens an exchange at the newest gateway now; its request's head takes a while.
    pub fn send_after(&mut self, after: Duration, request: Message) -> ExchangeId {
        let exchange = self.open(self.newest);
        self.inject(exchange, after, OwnedEvent::Request(request));
        exchange
    }

    /// Opens an exchange without a request.
    pub fn open(&mut self, gateway: GatewayId) -> ExchangeId {
        let id = ExchangeId(self.new_id());
        let core = self.gateways[&gateway].core.open(id);
        self.exchanges.insert(id, Outcome::new(gateway, core));
        id
    }

    /// The client goes after a while, whether it has an answer or not.
    pub fn hang_up(&mut self, exchange: ExchangeId, after: Duration) {
        self.inject(exchange, after, OwnedEvent::Closed);
    }

    /// Brings an event to an exchange after a while, in whatever state that is. An exchange that was never opened gets none.
    pub fn inject(&mut self, exchange: ExchangeId, after: Duration, event: OwnedEvent) {
        self.put_after(after, Due::Event(exchange, event));
    }

    /// Brings a reply to a gateway after a while, whether it asked or not.
    pub fn inject_reply(&mut self, gateway: GatewayId, after: Duration, call: CallId, answer: Result<OwnedReply, CallFailed>) {
        self.put_after(after, Due::GatewayReply(gateway, call, answer));
    }

    /// From now on this is what the host knows of whoever sends a request.
    pub fn know_of_peers(&mut self, facts: &[(PeerFact, &str)]) {
        self.host.know_of_peers(facts);
    }

    /// The host gives no randomness for a while.
    pub fn fail_entropy_for(&mut self, duration: Duration) {
        self.host.fail_entropy_for(duration);
    }

    /// Sets the wall clock forward.
    pub fn wall_jumps_forward(&mut self, by: Duration) {
        self.host.jump_wall(host::nanoseconds(by).cast_signed());
    }

    /// Sets the wall clock back.
    pub fn wall_jumps_back(&mut self, by: Duration) {
        self.host.jump_wall(-host::nanoseconds(by).cast_signed());
    }

    /// How long the world has run.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.host.monotonic())
    }

    /// Everything that became of an exchange.
    #[must_use]
    pub fn outcome(&self, exchange: ExchangeId) -> &Outcome {
        self.exchanges.get(&exchange).unwrap_or_else(|| panic!("{exchange:?} was never opened"))
    }

    /// All exchanges, in the order in which they were opened.
    pub fn outcomes(&self) -> impl Iterator<Item = (ExchangeId, &Outcome)> {
        self.exchanges.iter().map(|(id, outcome)| (*id, outcome))
    }

    /// What the client of an exchange was answered.
    #[must_use]
    pub fn client(&self, exchange: ExchangeId) -> &Message {
        self.outcome(exchange).client().unwrap_or_else(|| panic!("the client of {exchange:?} has no answer"))
    }

    /// What reached the upstream of an exchange.
    #[must_use]
    pub fn upstream(&self, exchange: ExchangeId) -> &Message {
        self.outcome(exchange).upstream().unwrap_or_else(|| panic!("nothing of {exchange:?} reached the upstream"))
    }

    /// What a gateway has handed over on its ticks, summed, by the metric's name.
    #[must_use]
    pub fn counts(&self, gateway: GatewayId) -> BTreeMap<&str, u64> {
        self.gateways[&gateway].counts.iter().map(|(name, count)| (name.as_str(), *count)).collect()
    }

    /// Every step with its time, everything that upstream and clients saw, and every count, a line each.
    #[must_use]
    pub fn journal(&self) -> &str {
        &self.journal
    }

    fn new_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn put_after(&mut self, after: Duration, due: Due) {
        self.agenda.put(self.host.after(after), due);
    }
}

impl Drop for World {
    /// Every gateway ends, and what it has counted is handed over: before the record is held against the other faces.
    fn drop(&mut self) {
        for gateway in self.gateways.values_mut().filter(|_| !std::thread::panicking()) {
            gateway.core.end(&mut self.host.inputs());
            gateway.core.drain();
        }
    }
}

/// How often each gateway's counts are handed over: the face's period.
pub const TICK_PERIOD: Duration = Duration::from_secs(1);
