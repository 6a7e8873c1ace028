// SPDX-License-Identifier: Apache-2.0
//! What the host holds for one VM: its contexts, what they asked for, and what is lent to them right now.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use wasmtime::{Memory, TypedFunc};

use super::callout::{Callout, Cluster, Kind, TOKEN_STEP};
use super::facts::Facts;
use super::faults::{Faults, Mangle};
use super::filter_state::FilterState;
use super::grpc::Close;
use super::headers::{HeaderMap, Part};
use super::limits::{MAX_KEPT, MAX_PENDING, MemoryLimit};
use super::log::{Log, LogLevel};
use super::message::{LocalResponse, Message};
use super::metrics::Metrics;
use super::release::Release;
use super::shared::SharedData;
use super::status::{Answer, Status};

/// The world of one VM.
pub(super) struct State {
    pub(super) memory: Option<Memory>,
    pub(super) allocate: Option<TypedFunc<u32, u32>>,
    pub(super) memory_limit: MemoryLimit,
    /// Nanoseconds since 1970.
    pub(super) now: i64,
    /// Nanoseconds since the start, which never go back.
    pub(super) elapsed: u64,
    pub(super) randomness: ChaCha8Rng,
    /// What comes before it.
    pub(super) lent_randomness: VecDeque<u8>,
    pub(super) vm_id: String,
    pub(super) configuration: Vec<u8>,
    /// Each variable as `name=value` with a zero byte behind it.
    pub(super) environment: Vec<Vec<u8>>,
    pub(super) shared: SharedData,
    pub(super) metrics: Metrics,
    pub(super) log: Log,
    pub(super) log_level: LogLevel,
    pub(super) contexts: Contexts,
    /// A local response was asked for in this callback: whatever it returns, its stream stops.
    pub(super) stop_iteration: bool,
    /// What to do once the callback has returned, in order.
    pub(super) actions: VecDeque<Action>,
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) callouts: Callouts,
    pub(super) faults: Option<Faults>,
    pub(super) release: Release,
    /// The module says that it is tracegate, which looks at metadata alone: to ask for a body is a failure.
    pub(super) metadata_only: bool,
    /// What else it asked for: it is dead.
    pub(super) overstepped: Option<wasmtime::Error>,
    /// Why the module gave no memory when it was asked for some: it is dead.
    pub(super) trapped: Option<wasmtime::Error>,
    /// How the next buffer that is handed over will be wrong.
    pub(super) mangle: Option<Mangle>,
    /// The number that the next place gets instead of the right one.
    pub(super) number: Option<u32>,
}

/// What a module asked to be done to a stream or a root, once it has returned.
pub(super) enum Action {
    /// Let the request go on.
    ContinueRequest(u32),
    /// Let the response go on.
    ContinueResponse(u32),
    /// Reset the stream.
    Close(u32),
    /// Answer the client.
    Respond(u32, LocalResponse),
    /// Tell a root that a gRPC call has failed while it was sent.
    CloseCall(u32, u32, Close),
    /// A root that put off its end is done.
    Delete(u32),
}

/// Callouts that have no reply yet.
#[derive(Default)]
pub(super) struct Callouts {
    /// How many tokens there have been of any kind.
    minted: u32,
    /// Asked for in this callback, to be sent once it has returned.
    pub(super) asked: Vec<Callout>,
    asked_bytes: usize,
    /// Whose root each token is.
    pub(super) pending: BTreeMap<u32, u32>,
}

impl Callouts {
    /// Whether the host can take a request of this size too.
    pub(super) fn has_room(&mut self, size: usize) -> bool {
        if self.asked.is_empty() {
            self.asked_bytes = 0;
        }
        self.asked_bytes = self.asked_bytes.saturating_add(size);
        self.pending.len() < MAX_PENDING && self.asked_bytes <= MAX_KEPT
    }

    /// A token that no pending call has.
    pub(super) fn mint(&mut self, kind: Kind, root: u32) -> u32 {
        loop {
            self.minted = self.minted.wrapping_add(1);
            let token = self.minted.wrapping_mul(TOKEN_STEP) | kind.bits();
            if token != 0 && !self.pending.contains_key(&token) {
                self.pending.insert(token, root);
                return token;
            }
        }
    }
}

/// The contexts of a VM by id.
#[derive(Default)]
pub(super) struct Contexts {
    next_id: u32,
    /// The context of the running callback; 0 outside of any.
    pub(super) current: u32,
    /// The context that the module chose to speak for; 0 for none.
    pub(super) chosen: u32,
    pub(super) roots: BTreeMap<u32, Root>,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) exchanges: BTreeMap<u32, Exchange>,
}

impl Contexts {
    /// An id that no context has.
    pub(super) fn mint(&mut self) -> u32 {
        loop {
            self.next_id = self.next_id.wrapping_add(1);
            if self.next_id != 0 && !self.exists(self.next_id) {
                return self.next_id;
            }
        }
    }

    pub(super) fn exists(&self, id: u32) -> bool {
        self.roots.contains_key(&id) || self.streams.contains_key(&id)
    }

    /// The context that host calls are about.
    pub(super) fn effective(&self) -> u32 {
        if self.chosen != 0 && self.exists(self.chosen) { self.chosen } else { self.current }
    }

    /// The root of the effective context.
    pub(super) fn root_id(&self) -> u32 {
        let effective = self.effective();
        self.streams.get(&effective).map_or(effective, |stream| stream.root)
    }

    /// The root of the effective context.
    pub(super) fn root(&self) -> Option<&Root> {
        self.roots.get(&self.root_id())
    }

    /// The effective context with its exchange, unless it is a root.
    pub(super) fn stream(&self) -> Option<(&Stream, &Exchange)> {
        let stream = self.streams.get(&self.effective())?;
        Some((stream, self.exchanges.get(&stream.exchange)?))
    }

    /// As [`stream`](Self::stream).
    pub(super) fn stream_mut(&mut self) -> Option<(&mut Stream, &mut Exchange)> {
        let effective = self.effective();
        let stream = self.streams.get_mut(&effective)?;
        let exchange = self.exchanges.get_mut(&stream.exchange)?;
        Some((stream, exchange))
    }
}

/// One plugin's configuration in a VM.
pub(super) struct Root {
    pub(super) name: String,
    pub(super) root_id: String,
    pub(super) configuration: Vec<u8>,
    /// Its configuration can be read.
    pub(super) configuring: bool,
    /// Milliseconds between ticks; 0 for none.
    pub(super) tick_period: u32,
    /// Counts the changes of the period, so that a timer of before is told from one of now.
    pub(super) tick_changes: u64,
    /// Its end is put off until it says `proxy_done`.
    pub(super) ending: bool,
    /// The callout's reply that is being delivered.
    pub(super) reply: Option<Message>,
    /// The gRPC call's message that is being delivered.
    pub(super) grpc_message: Option<Vec<u8>>,
    /// Why the last callout failed, and in what words.
    pub(super) status: (u32, Vec<u8>),
}

/// One filter's view of an exchange: what it may read and write right now.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) root: u32,
    pub(super) exchange: u32,
    pub(super) request: Side,
    pub(super) response: Side,
    /// What is being delivered is the end of its message.
    pub(super) end_of_stream: bool,
    /// Whether `on_log` has been reached.
    pub(super) log: LogPhase,
}

/// Where a stream is with regard to `on_log`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LogPhase {
    /// Before it.
    #[default]
    Before,
    /// In it: heads can be read again.
    In,
    /// Behind it: nothing can be read any more.
    After,
}

/// What a filter may read and write of a request or of a response.
#[derive(Default)]
pub(super) struct Side {
    pub(super) head: bool,
    pub(super) body: Body,
    /// Body bytes that the filter holds back.
    pub(super) held: Vec<u8>,
    pub(super) trailers: bool,
}

/// Which bytes a filter sees as the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Body {
    /// None.
    #[default]
    Hidden,
    /// Those that have just come.
    Chunk,
    /// All that it has held back.
    Held,
}

/// One exchange, as all filters share it.
pub(super) struct Exchange {
    pub(super) facts: Arc<Facts>,
    /// Nanoseconds since 1970.
    pub(super) begun: i64,
    pub(super) request: Traffic,
    pub(super) response: Option<Traffic>,
    /// What filters left for each other, by name.
    pub(super) filter_state: FilterState,
    /// Why the client got the response that it got.
    pub(super) details: Option<String>,
    /// The response's status before filters changed it; the one that was sent from then on.
    pub(super) code: Option<u16>,
    /// What went wrong, as Envoy's response flags.
    pub(super) flags: u64,
    /// An upstream was chosen.
    pub(super) has_upstream: bool,
}

/// A request or a response on its way.
#[derive(Default)]
pub(super) struct Traffic {
    pub(super) head: HeaderMap,
    /// Body bytes that have just come.
    pub(super) chunk: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    /// Body bytes that have come so far.
    pub(super) received: u64,
    /// Body bytes that have left the chain so far.
    pub(super) sent: u64,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

impl Stream {
    pub(super) const fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

impl Exchange {
    pub(super) fn traffic(&mut self, direction: Direction) -> Option<&mut Traffic> {
        match direction {
            Direction::Request => Some(&mut self.request),
            Direction::Response => self.response.as_mut(),
        }
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            memory: None,
            allocate: None,
            memory_limit: MemoryLimit::default(),
            now: 0,
            elapsed: 0,
            randomness: ChaCha8Rng::seed_from_u64(seed),
            lent_randomness: VecDeque::new(),
            vm_id: String::new(),
            configuration: Vec::new(),
            environment: Vec::new(),
            shared: SharedData::default(),
            metrics: Metrics::default(),
            log: Log::default(),
            log_level: LogLevel::Info,
            contexts: Contexts::default(),
            stop_iteration: false,
            actions: VecDeque::new(),
            clusters: BTreeMap::new(),
            callouts: Callouts::default(),
            faults: None,
            release: Release::default(),
            metadata_only: false,
            overstepped: None,
            trapped: None,
            mangle: None,
            number: None,
        }
    }

    /// The map of type `map` that the effective context may read.
    pub(super) fn map(&self, map: u32) -> Answer<&HeaderMap> {
        check_map(map)?;
        let reply = || self.contexts.root().and_then(|root| root.reply.as_ref());
        match map {
            HTTP_CALL_RESPONSE_HEADERS => return reply().map(|reply| &reply.head).ok_or(Status::BadArgument),
            HTTP_CALL_RESPONSE_TRAILERS => return reply().and_then(|reply| reply.trailers.as_ref()).ok_or(Status::BadArgument),
            _ => {}
        }
        let (stream, exchange) = self.contexts.stream().ok_or(Status::BadArgument)?;
        let (request, response) = (&exchange.request, exchange.response.as_ref());
        match stream.log {
            LogPhase::Before => match map {
                REQUEST_HEADERS => stream.request.head.then_some(&request.head),
                REQUEST_TRAILERS => request.trailers.as_ref().filter(|_| stream.request.trailers),
                RESPONSE_HEADERS => response.filter(|_| stream.response.head).map(|response| &response.head),
                RESPONSE_TRAILERS => response.filter(|_| stream.response.trailers).and_then(|response| response.trailers.as_ref()),
                _ => None,
            }
            .ok_or(Status::BadArgument),
            LogPhase::In => match map {
                REQUEST_HEADERS => Some(&request.head),
                RESPONSE_HEADERS => response.map(|response| &response.head),
                RESPONSE_TRAILERS => response.and_then(|response| response.trailers.as_ref()),
                _ => None,
            }
            .ok_or(Status::NotFound),
            LogPhase::After => Err(Status::BadArgument),
        }
    }

    /// The map of type `map` that the effective context may change.
    pub(super) fn map_mut(&mut self, map: u32) -> Answer<&mut HeaderMap> {
        check_map(map)?;
        let (stream, exchange) = self.contexts.stream_mut().ok_or(Status::BadArgument)?;
        let direction = match map {
            REQUEST_HEADERS | REQUEST_TRAILERS => Direction::Request,
            RESPONSE_HEADERS | RESPONSE_TRAILERS => Direction::Response,
            _ => return Err(Status::BadArgument),
        };
        let ended = stream.end_of_stream;
        let side = stream.side(direction);
        let traffic = exchange.traffic(direction).ok_or(Status::BadArgument)?;
        if matches!(map, REQUEST_HEADERS | RESPONSE_HEADERS) {
            return if side.head { Ok(&mut traffic.head) } else { Err(Status::BadArgument) };
        }
        if !side.trailers && ended && side.body != Body::Hidden {
            // At the end of a body, asking for trailers makes them.
            side.trailers = true;
            let part = if direction == Direction::Request { Part::RequestTrailers } else { Part::ResponseTrailers };
            traffic.trailers.get_or_insert_with(|| HeaderMap::new(part));
        }
        traffic.trailers.as_mut().filter(|_| side.trailers).ok_or(Status::BadArgument)
    }
}

/// Whether there is such a type of map.
pub(super) const fn check_map(map: u32) -> Answer {
    if map > MAX_MAP { Err(Status::BadArgument) } else { Ok(()) }
}

/// `proxy_map_type_t`
const REQUEST_HEADERS: u32 = 0;
const REQUEST_TRAILERS: u32 = 1;
const RESPONSE_HEADERS: u32 = 2;
const RESPONSE_TRAILERS: u32 = 3;
const HTTP_CALL_RESPONSE_HEADERS: u32 = 6;
const HTTP_CALL_RESPONSE_TRAILERS: u32 = 7;
const MAX_MAP: u32 = 7;
