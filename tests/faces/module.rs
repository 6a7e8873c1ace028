// SPDX-License-Identifier: Apache-2.0
//! The module in its host, told what the native core was told.
//!
//! A proxy goes its own way: once it has sent an answer, an exchange is over, and what the module asks for from within a stream may go out a tick
//! later. So what became of each exchange is compared, every call, every value that is kept, every line of the log and every metric; neither each
//! step, nor in which order the calls of a tick go out, nor how soon the next tick is asked for.

mod course;

use std::collections::BTreeMap;
use std::time::Duration;

use tracegate_harness::host::faults::{Fault, Faults};
use tracegate_harness::host::{
    Callout, Cluster, ExchangeId, Finished, HeaderMap, LogLevel, Message, Metering, Options, Part, Proxy, Reply, Request, SharedData,
    World, compile_file,
};
use tracegate_harness::{host, module};

use super::bytes::Bytes;
use super::said::{Answer, Call, Decided, Drained, Edit, Failed, Heard, Lines, Said, Told};
use super::turn::{Ask, Turn};
use course::Course;

pub(super) use course::courses;

/// The module of this checkout.
#[derive(Debug)]
pub(super) struct Module(host::Module);

impl Module {
    pub(super) fn build() -> Self {
        let module = module::build().expect("the module builds");
        Self(compile_file(&module, Metering::Time).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Holds it to a start that fails.
    #[track_caller]
    pub(super) fn refuses(&self, start: &Turn, error: &str) {
        let refused = Proxy::start(&self.0, options(start), Backend::default()).map(drop).expect_err("no face starts");
        assert!(refused.to_string().ends_with(error), "the module says {refused}, the native core {error}");
    }

    /// Holds it to a conversation that a module can have, and to what became of each exchange.
    #[track_caller]
    pub(super) fn agree(&self, conversation: &[Turn], courses: BTreeMap<u32, Course>) {
        let mut play = Play::start(&self.0, conversation, courses);
        for turn in conversation {
            play.say(turn);
        }
        play.compare();
    }
}

/// The module, and what was expected of it so far.
struct Play<'m> {
    proxy: Proxy<'m, Backend>,
    /// The host's names.
    exchanges: BTreeMap<u32, ExchangeId>,
    courses: BTreeMap<u32, Course>,
    /// What became of those that have ended.
    finished: BTreeMap<u32, Finished>,
    /// Calls that the native core has asked for and the module hasn't made yet.
    calls: Vec<Call>,
    /// The host's names of calls that have been made.
    tokens: BTreeMap<u64, u32>,
    /// Lines for the log: what was expected, and what came.
    lines: [Vec<(bool, String)>; 2],
    metrics: BTreeMap<String, u64>,
    /// The host's values, and what was last set by name.
    shared: SharedData,
    values: BTreeMap<String, Vec<u8>>,
    /// The module has handed its metrics over, on a tick or at its end, and nothing happened since.
    is_flushed: bool,
}

/// What lies behind the proxy: all that reaches it waits for its answer.
#[derive(Debug, Default)]
struct Backend {
    reached: BTreeMap<ExchangeId, Message>,
    asked: Vec<Callout>,
}

impl World for Backend {
    fn upstream(&mut self, exchange: ExchangeId, request: &Message) -> Reply {
        assert_eq!(self.reached.insert(exchange, request.clone()), None, "a request reaches the upstream twice");
        Reply::Held
    }

    fn service(&mut self, callout: &Callout) -> Reply {
        self.asked.push(callout.clone());
        Reply::Held
    }
}

impl<'m> Play<'m> {
    fn start(module: &'m host::Module, conversation: &[Turn], courses: BTreeMap<u32, Course>) -> Self {
        let options = options(&conversation[0]);
        let shared = options.vm.shared.clone();
        let mut proxy = Proxy::start(module, options, Backend::default()).unwrap_or_else(|error| panic!("{error}"));
        let random = conversation.iter().flat_map(|turn| &turn.asks).filter_map(|ask| match ask {
            Ask::Random { answer: Some(Bytes(bytes)), .. } => Some(bytes.as_slice()),
            _ => None,
        });
        proxy.vm_mut().lend_randomness(&random.collect::<Vec<_>>().concat());
        Self {
            proxy,
            exchanges: BTreeMap::new(),
            courses,
            finished: BTreeMap::new(),
            calls: Vec::new(),
            tokens: BTreeMap::new(),
            lines: Default::default(),
            metrics: BTreeMap::new(),
            shared,
            values: BTreeMap::new(),
            is_flushed: false,
        }
    }

    #[track_caller]
    fn say(&mut self, turn: &Turn) {
        if turn.is_timed() {
            self.proxy.vm_mut().set_clock(turn.now);
            self.proxy.vm_mut().inject(faults(&turn.asks));
        }
        match &turn.said {
            Said::Step { exchange, event } => self.step(*exchange, event),
            Said::Tick { .. } => self.proxy.tick(),
            Said::Reply { call, answer, .. } => {
                // What never went out is answered by nobody.
                let token = self.tokens.remove(call).unwrap_or_else(|| panic!("call {call} was not made"));
                self.proxy.answer_callout(token, reply(answer));
            }
            Said::End { .. } => self.proxy.shut_down(),
            Said::Compile { .. } | Said::Start { .. } | Said::Open { .. } | Said::Drop { .. } | Said::Drain { .. } => {}
        }
        assert_eq!(self.proxy.failure(), None, "the module fails in {:?}", turn.said);
        self.hear(turn);
        match &turn.said {
            Said::Tick { .. } | Said::End { .. } => self.is_flushed = true,
            // What a tick wakes is decided within it.
            Said::Step { event: Told::Wake(_), .. } => {}
            Said::Drain { .. } if self.is_flushed => self.compare_metrics(),
            _ => self.is_flushed = false,
        }
    }

    fn step(&mut self, exchange: u32, event: &Told) {
        let host = self.exchanges.get(&exchange).copied();
        match (event, host) {
            (Told::Request(head), _) => {
                let Course { facts, trailers, .. } = &self.courses[&exchange];
                let trailers = trailers.as_ref().map(|(lines, _)| map(Part::RequestTrailers, lines));
                let message = Message { head: map(Part::Request, head), trailers, ..Message::default() };
                let sent = self.proxy.send(Request { message, facts: facts.clone().into(), ..Request::default() });
                self.exchanges.insert(exchange, sent);
            }
            (Told::Response(head), Some(host)) if !self.proxy.is_over(host) => {
                self.proxy.answer_upstream(host, Message { head: map(Part::Response, head), ..Message::default() });
            }
            // Its client has gone: of an exchange that was answered the proxy itself tells that it is over.
            (Told::Closed { .. }, Some(host)) if !self.proxy.is_over(host) => {
                self.finished.insert(exchange, self.proxy.finish(host));
            }
            _ => {}
        }
    }

    /// Takes down what the native core said, and what the module did.
    #[track_caller]
    fn hear(&mut self, turn: &Turn) {
        let calls: &[Call] = match &turn.heard {
            Heard::Step { calls, .. } | Heard::Woken { calls, .. } | Heard::Ended { calls } => calls,
            Heard::Drained(Drained { counts, changes, samples }) => {
                for (name, by) in counts {
                    *self.metrics.entry(name.clone()).or_default() += by;
                }
                for (name, by) in changes {
                    let gauge = self.metrics.entry(name.clone()).or_default();
                    *gauge = gauge.wrapping_add_signed(*by);
                }
                // Of a histogram the host keeps the last sample.
                self.metrics.extend(samples.iter().cloned());
                &[]
            }
            Heard::Compiled(_) | Heard::Started { .. } | Heard::Done => &[],
        };
        self.calls.extend_from_slice(calls);
        for callout in std::mem::take(&mut self.proxy.world_mut().asked) {
            let at = self.calls.iter().position(|call| is_made_by(&callout, call));
            let at = at.unwrap_or_else(|| panic!("the module calls\n{callout:?}, the native core\n{:?}", self.calls));
            self.tokens.insert(serial(&self.calls.remove(at)), callout.token);
        }
        for ask in &turn.asks {
            if let Ask::Set { name, value: Bytes(value), answer: None, .. } = ask {
                self.values.insert(name.clone(), value.clone());
            }
        }
        let [expected, came] = &mut self.lines;
        expected.extend(turn.log.iter().cloned());
        came.extend(self.proxy.vm_mut().take_log().into_iter().map(|line| match line.level {
            LogLevel::Info => (false, line.message),
            LogLevel::Warn => (true, line.message),
            other => panic!("the module logs {other:?}: {}", line.message),
        }));
    }

    /// Holds everything that became of it against what was expected.
    #[track_caller]
    fn compare(mut self) {
        for (id, course) in self.courses.into_iter().filter(|(_, course)| course.request.is_some()) {
            let host = self.exchanges[&id];
            let found = self.finished.remove(&id).unwrap_or_else(|| self.proxy.finish(host));
            course.compare(id, self.proxy.world_mut().reached.remove(&host), found);
        }
        assert_eq!(self.calls, [], "calls that the module hasn't made");
        for (name, value) in self.values {
            let kept = self.shared.get(format!("tracegate/1/tracegate/{name}").as_bytes());
            assert_eq!(kept.map(|(kept, _)| kept), Some(value), "what the module keeps under {name}");
        }
        let [expected, came] = self.lines;
        assert_eq!(came, expected, "the module logs something else");
        assert_eq!(self.proxy.vm_mut().lend_randomness(&[]), 0, "bytes of randomness that the module didn't ask for");
    }

    #[track_caller]
    fn compare_metrics(&self) {
        let of_the_host = self.proxy.vm().metrics().into_iter().filter(|(name, _)| name != "tracegate.policy.fingerprint");
        let counted =
            |metrics: &mut dyn Iterator<Item = (String, u64)>| metrics.filter(|(_, value)| *value != 0).collect::<BTreeMap<_, _>>();
        let [came, expected] = [counted(&mut { of_the_host }), counted(&mut self.metrics.clone().into_iter())];
        assert_eq!(came, expected, "the module counts something else");
    }
}

/// A proxy that lends what the native core was lent at its start.
fn options(start: &Turn) -> Options {
    let Turn { said: Said::Start { policy, .. }, now, asks, .. } = start else { panic!("it begins with a start") };
    let known = asks.iter().filter_map(|ask| match ask {
        Ask::Environment { variable, answer: Some(answer) } => Some((variable.clone(), answer.clone())),
        _ => None,
    });
    let mut options = Options::new(policy, 0);
    options.clock = *now;
    options.vm.environment = known.collect();
    options.vm.faults = Some(faults(asks));
    let read = tracegate::Policy::from_json(policy.as_bytes()).expect("it is one").policy;
    options.clusters = read.clusters().into_iter().map(|name| (name.to_owned(), Cluster::Reachable)).collect();
    options
}

/// What the host fails to do, where it lent nothing.
fn faults(asks: &[Ask]) -> Faults {
    const NOT_FOUND: Fault = Fault::Status(1);
    const INTERNAL_FAILURE: Fault = Fault::Status(10);
    let is_failing = asks.iter().find_map(|ask| match ask {
        Ask::Random { answer: None, .. } => Some(("random_get", INTERNAL_FAILURE)),
        Ask::Peer { fact: "source-address", answer: None } => Some(("proxy_get_property", NOT_FOUND)),
        Ask::Set { answer: Some("unavailable"), .. } => Some(("proxy_set_shared_data", INTERNAL_FAILURE)),
        Ask::Verify { answer: None, .. } => Some(("proxy_call_foreign_function", NOT_FOUND)),
        // A version that it doesn't have.
        Ask::Set { answer: Some("conflict"), .. } => Some(("proxy_get_shared_data", Fault::Number(u32::MAX))),
        _ => None,
    });
    is_failing.map_or_else(|| Faults::new(0, 0), |(function, fault)| Faults::each(function, fault))
}

fn reply(answer: &Answer) -> Reply {
    Reply::now(match answer {
        Answer::Reply { headers, body: Bytes(body) } if headers.is_empty() => Message::grpc(body),
        Answer::Reply { headers, body: Bytes(body) } => Message { head: map(Part::Response, headers), body: body.clone(), trailers: None },
        Answer::Failed(Failed::Status(status)) => Message::grpc_status(*status, ""),
        Answer::Failed(_) => return Reply::Broken(Duration::ZERO),
    })
}

fn map(part: Part, lines: &Lines) -> HeaderMap {
    let mut map = HeaderMap::new(part);
    for (Bytes(name), Bytes(value)) in lines {
        map.add(name, value);
    }
    map
}

fn edit(map: &mut HeaderMap, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Replace { name: Bytes(name), value: Bytes(value) } => map.replace(name, value),
            Edit::Remove(name) => map.remove(name.as_bytes()),
        }
    }
}

const fn serial(call: &Call) -> u64 {
    match call {
        Call::Fetch { call, .. } | Call::CheckRateLimit { call, .. } | Call::Export { call, .. } => *call,
    }
}

/// Whether this is what the call asks for.
fn is_made_by(callout: &Callout, call: &Call) -> bool {
    let request = |method: &str, scheme: &str, authority: &str, path: &str, headers: &[(String, String)]| {
        let pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)];
        let lines = pseudo.into_iter().chain(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        lines.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect::<Vec<_>>()
    };
    let lines = callout.request.head.iter().filter(|line| !HOSTS_OWN.contains(&line.name.as_slice()));
    let lines: Vec<_> = lines.map(|line| (line.name.clone(), line.value.clone())).collect();
    let body = &callout.request.body;
    let (to, waits, is_asked) = match call {
        Call::Fetch { cluster, scheme, authority, path, headers, timeout, .. } => {
            (cluster, timeout, lines == request("GET", scheme, authority, path, headers) && body.is_empty())
        }
        Call::Export { cluster, scheme, authority, path, headers, body: Bytes(sent), timeout, .. } => {
            (cluster, timeout, lines == request("POST", scheme, authority, path, headers) && body == sent)
        }
        Call::CheckRateLimit { cluster, message: Bytes(sent), timeout, .. } => (
            cluster,
            timeout,
            callout.grpc.as_ref().is_some_and(|grpc| grpc.message == *sent && grpc.service == SERVICE && grpc.method == "ShouldRateLimit"),
        ),
    };
    callout.cluster == *to && callout.timeout == Some(Duration::from_millis(waits / 1_000_000)) && is_asked
}

const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
/// Header lines that the host writes into messages of itself.
const HOSTS_OWN: [&[u8]; 3] = [b"content-length", b"x-envoy-internal", b"x-envoy-expected-rq-timeout-ms"];

impl Course {
    /// Holds what became of the exchange in the module against it.
    #[track_caller]
    fn compare(self, id: u32, reached: Option<Message>, found: Finished) {
        let Self { request, trailers, verdict, response, properties, .. } = self;
        assert_eq!(found.properties, properties, "exchange {id}");
        match verdict {
            Some(Decided::Continue(edits)) => {
                let mut head = map(Part::Request, &request.expect("it was decided"));
                edit(&mut head, &edits);
                let reached = reached.unwrap_or_else(|| panic!("exchange {id} doesn't reach the upstream: {found:?}"));
                assert_eq!(self::lines(&reached.head), self::lines(&head), "exchange {id}: what reaches the upstream");
                let trailers = trailers.map(|(lines, edits)| {
                    let mut trailers = map(Part::RequestTrailers, &lines);
                    edit(&mut trailers, &edits);
                    self::lines(&trailers)
                });
                assert_eq!(
                    reached.trailers.as_ref().map(self::lines),
                    trailers.filter(|lines| !lines.is_empty()),
                    "exchange {id}: trailers"
                );
                let response = response.map(|(lines, edits)| {
                    let mut response = map(Part::Response, &lines);
                    edit(&mut response, &edits);
                    self::lines(&response)
                });
                assert_eq!(
                    found.response.as_ref().map(|response| self::lines(&response.head)),
                    response,
                    "exchange {id}: the client's answer"
                );
            }
            Some(Decided::Refuse { status, reason, headers, body }) => {
                assert_eq!(reached, None, "exchange {id} is refused");
                let answer = found.response.expect("who is refused is told so");
                assert_eq!((answer.status(), found.details), (status, reason), "exchange {id}");
                let mut expected = HeaderMap::new(Part::Response);
                headers.iter().for_each(|(name, value)| expected.add(name.as_bytes(), value.as_bytes()));
                edit(&mut expected, &response.map(|(_, edits)| edits).unwrap_or_default());
                let mut head = answer.head;
                [b":status".as_slice(), b"content-length"].into_iter().for_each(|name| head.remove(name));
                assert_eq!(self::lines(&head), self::lines(&expected), "exchange {id}: the refusal");
                assert_eq!(String::from_utf8_lossy(&answer.body), body, "exchange {id}: the refusal");
            }
            Some(Decided::Wait) | None => assert_eq!(reached, None, "exchange {id} waits"),
        }
    }
}

fn lines(map: &HeaderMap) -> Lines {
    map.iter().map(|line| (line.name.as_slice().into(), line.value.as_slice().into())).collect()
}
