// SPDX-License-Identifier: Apache-2.0
//! One request's spans: `opentelemetry.proto.trace.v1.Span`, written once and in place.

use std::net::IpAddr;

use super::attribute::{Value, put_attribute};
use super::http::{known, scheme, tell_method, tell_server};
use super::{DigestKey, OptionalAttribute, SpanPolicy, subject, url};
use crate::caller::Caller;
use crate::decision::{Decision, Reason, Refusal};
use crate::head::RequestHead;
use crate::identity::Provider;
use crate::protobuf::{put_bytes, put_fixed32, put_fixed64, put_integer, put_length, put_number, put_text, size_of_integer};
use crate::route::Route;
use crate::trace::{Context, Settled, SpanId, Threshold, TraceParent};

/// What was seen of a request until it was decided.
pub(crate) struct Observed<'a> {
    /// `None` for a head that can't be read.
    pub(crate) head: Option<&'a RequestHead<'a>>,
    pub(crate) route: Option<&'a Route>,
    pub(crate) caller: &'a Caller,
    pub(crate) providers: &'a [Provider],
    /// `None` where it ended while it waited.
    pub(crate) decision: Option<&'a Decision>,
    pub(crate) settled: &'a Settled,
    /// What the upstream is told.
    pub(crate) sent: TraceParent,
    /// The server span's id, where the upstream's parent is a client span.
    pub(crate) server: Option<SpanId>,
    /// Limits that apply: their names, and what they leave.
    pub(crate) remaining: &'a [(&'a str, u64)],
    /// Limits in `mode: shadow` that would have refused it.
    pub(crate) would_refuse: &'a [&'a str],
    /// Where it comes from, if that is asked for.
    pub(crate) source: Option<IpAddr>,
    /// The id of the audit's record of it, if there is one.
    pub(crate) record: Option<&'a str>,
    pub(crate) times: &'a Times,
}

/// When what happened.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// When the request came: wall-clock nanoseconds since 1970.
    pub(crate) began_at: i64,
    /// The same on the monotonic clock, on which all that follows is.
    pub(crate) began: u64,
    /// What it waited for.
    pub(crate) waits: Vec<Wait>,
    /// When it was decided.
    pub(crate) decided: u64,
}

/// Something that a request waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) awaited: Awaited,
    pub(crate) since: u64,
    pub(crate) until: u64,
}

/// What requests wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// Keys of a provider.
    Keys,
    /// A rate-limit service.
    RateLimitService,
}

/// Spans of an exchange that isn't over.
#[derive(Debug)]
pub(crate) struct Draft {
    server: Vec<u8>,
    client: Option<Vec<u8>>,
    times: Times,
    /// Recorded whatever comes; otherwise only where it ends in an error.
    sampled: bool,
    /// `admitted`, `refused` or [`CANCELLED`].
    decision: &'static str,
    /// Why a rule in `mode: shadow` would have refused it.
    shadow: Option<&'static str>,
    /// What the client reads, where that isn't the upstream's.
    status: Option<u16>,
    /// Why no response of the upstream comes: the reason of a refusal, or [`CANCELLED`].
    ended: Option<&'static str>,
    /// The host failed when the client had read the head of a response.
    broken: bool,
    /// When the head of the upstream's response came, and its status.
    answered: Option<(u64, Option<u16>)>,
    /// It names a record of the audit.
    has_record: bool,
}

/// Spans that are over, each a whole message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) server: Vec<u8>,
    pub(crate) client: Option<Vec<u8>>,
}

impl Draft {
    /// Writes down what is known when a request is decided.
    pub(crate) fn new(observed: &Observed<'_>, policy: &SpanPolicy, key: Option<&DigestKey>) -> Self {
        let Observed { head, route, decision, settled, sent, server, times, .. } = *observed;
        let own = server.unwrap_or(sent.parent_id());
        let method = head.map_or(b"".as_slice(), |head| head.method);
        let mut span = Vec::with_capacity(CAPACITY);
        put_bytes(&mut span, TRACE_ID, &sent.trace_id().to_bytes());
        put_bytes(&mut span, SPAN_ID, &own.to_bytes());
        put_state(&mut span, settled);
        if let Some(parent) = settled.parent {
            put_bytes(&mut span, PARENT_SPAN_ID, &parent.to_bytes());
        }
        put_name(&mut span, method, route.and_then(|route| route.template.as_deref()));
        put_number(&mut span, KIND, KIND_SERVER);
        put_fixed64(&mut span, START_TIME, nanoseconds(times.began_at));
        observed.tell(&mut span, policy, key);
        let callouts: u64 = times.waits.iter().map(|wait| put_wait(&mut span, *wait, times)).sum();
        if callouts > 0 {
            put_attribute(&mut span, ATTRIBUTES, "tracegate.callouts_us", Value::Integer(callouts));
        }
        if let Some(link) = settled.link {
            put_link(&mut span, &link);
        }
        let remote = if settled.parent.is_some() { IS_REMOTE } else { 0 };
        put_fixed32(&mut span, FLAGS, u32::from(sent.flags().bits()) | HAS_IS_REMOTE | remote);
        let refused = match decision {
            Some(Decision::Refused(refusal)) => Some(refusal),
            Some(Decision::Admitted { .. }) | None => None,
        };
        let (decision, shadow, ended) = match decision {
            Some(Decision::Admitted { shadow }) => (ADMITTED, shadow.map(Reason::as_str), None),
            Some(Decision::Refused(refusal)) => (REFUSED, None, Some(refusal.reason().as_str())),
            None => (CANCELLED, None, Some(CANCELLED)),
        };
        let client = server.filter(|_| ended.is_none()).zip(head).map(|(server, head)| observed.client(head, server, policy, key));
        Self {
            server: span,
            client,
            times: times.clone(),
            sampled: settled.sampling.sampled,
            decision,
            shadow,
            status: refused.map(|refusal| refusal.status()),
            ended,
            broken: false,
            answered: None,
            has_record: observed.record.is_some(),
        }
    }

    /// Whether the response's head is still to come.
    pub(crate) const fn awaits_response(&self) -> bool {
        self.answered.is_none() && self.ended.is_none()
    }

    /// The response's head has come.
    pub(crate) fn respond(&mut self, status: Option<u16>, monotonic: u64) {
        if self.answered.is_none() && self.ended.is_none() {
            self.answered = Some((monotonic, status));
        }
    }

    /// It is refused after all. `has_gone_on`: the upstream has had its head. `record` is the audit's of that, if there is one.
    pub(crate) fn fail(&mut self, refusal: &Refusal, has_gone_on: bool, record: Option<&str>) {
        (self.decision, self.shadow, self.ended) = (REFUSED, None, Some(refusal.reason().as_str()));
        // Who has read the head of a response reads no other.
        self.broken = self.answered.is_some();
        if !self.broken {
            self.status = Some(refusal.status());
        }
        if !has_gone_on {
            self.client = None;
        }
        if let Some(record) = record.filter(|_| !self.has_record) {
            put_attribute(&mut self.server, ATTRIBUTES, AUDIT_ID, Value::Text(record));
            self.has_record = true;
        }
    }

    /// The exchange is over. `None` where its spans aren't recorded: `errors` says whether those are that end in an error and aren't sampled.
    pub(crate) fn finish(self, errors: bool, monotonic: u64) -> Option<Finished> {
        let Self { mut server, client, times, sampled, decision, shadow, ended, broken, answered, .. } = self;
        let upstream = answered.and_then(|(_, status)| status);
        let status = self.status.or(upstream);
        let failed = broken || status.is_none_or(|status| status >= 500);
        if !(sampled || errors && failed) {
            return None;
        }
        put_fixed64(&mut server, END_TIME, times.at(monotonic));
        put_attribute(&mut server, ATTRIBUTES, "tracegate.decision", Value::Text(decision));
        if let Some(reason) = ended.filter(|_| decision == REFUSED) {
            put_attribute(&mut server, ATTRIBUTES, "tracegate.reason", Value::Text(reason));
        }
        if let Some(reason) = shadow {
            put_attribute(&mut server, ATTRIBUTES, "tracegate.shadow", Value::Text(reason));
        }
        if let Some((answered, _)) = answered {
            let backend = answered.saturating_sub(times.decided) / 1000;
            put_attribute(&mut server, ATTRIBUTES, "tracegate.backend_us", Value::Integer(backend));
        }
        put_outcome(&mut server, status, failed, ended);
        let client = client.map(|mut client| {
            put_fixed64(&mut client, END_TIME, times.at(monotonic));
            // What the upstream refuses is the client's fault, and so an error of the client's span.
            put_outcome(&mut client, upstream, upstream.is_none_or(|status| status >= 400), None);
            client
        });
        Some(Finished { server, client })
    }
}

impl Observed<'_> {
    /// Tells what there is to tell of a request and its decision.
    fn tell(&self, span: &mut Vec<u8>, policy: &SpanPolicy, key: Option<&DigestKey>) {
        let mut attribute = |key: &str, value: Value<'_>| put_attribute(span, ATTRIBUTES, key, value);
        if let Some(head) = self.head {
            self.tell_head(head, policy, key, &mut attribute);
        }
        if let Some(address) = self.source {
            attribute("client.address", Value::Text(&address.to_string()));
        }
        if let Some(route) = self.route {
            attribute("tracegate.route", Value::Text(&route.name));
        }
        for (quota, remaining) in self.remaining {
            attribute(&["tracegate.quota.", quota, ".remaining"].concat(), Value::Integer(*remaining));
        }
        if !self.would_refuse.is_empty() {
            attribute("tracegate.quota.would_refuse", Value::Text(&self.would_refuse.join(",")));
        }
        if let Some(record) = self.record {
            attribute(AUDIT_ID, Value::Text(record));
        }
        subject::tell(self.caller, self.providers, policy, key, attribute);
    }

    fn tell_head(&self, head: &RequestHead<'_>, policy: &SpanPolicy, key: Option<&DigestKey>, attribute: &mut impl FnMut(&str, Value<'_>)) {
        tell_method(head.method, attribute);
        if let Some(scheme) = scheme(head) {
            attribute("url.scheme", Value::Text(scheme));
        }
        attribute("url.path", Value::Bytes(&url::path(head.path, self.route, policy, key)));
        if let Some(template) = self.route.and_then(|route| route.template.as_deref()) {
            attribute("http.route", Value::Text(template));
        }
        for asked in &policy.attributes {
            match asked {
                OptionalAttribute::ServerAddress => tell_server(head, attribute),
                OptionalAttribute::UserAgent => {
                    if let Some(agent) = head.headers.values("user-agent").next() {
                        attribute("user_agent.original", Value::Bytes(agent));
                    }
                }
                // Told apart: the host is asked for it.
                OptionalAttribute::ClientAddress => {}
            }
        }
        if let Some(name) = &policy.request_id_header
            && let Some(id) = head.headers.values(name).next().filter(|id| is_id(id))
        {
            attribute("tracegate.request_id", Value::Bytes(id));
        }
        let Some(route) = self.route else { return };
        url::parameters_told(head.path, route, |told, segment| {
            let name = format!("tracegate.path.{}", told.name);
            match (told.digest, key) {
                (false, _) => attribute(&name, Value::Bytes(segment)),
                (true, Some(key)) => attribute(&name, Value::Bytes(&key.digest(segment))),
                // Without a key there is nothing to tell it by.
                (true, None) => {}
            }
        });
    }

    /// The span of the call to the upstream: a child of the server's.
    fn client(&self, head: &RequestHead<'_>, server: SpanId, policy: &SpanPolicy, key: Option<&DigestKey>) -> Vec<u8> {
        let Self { sent, times, route, .. } = *self;
        let mut span = Vec::with_capacity(CAPACITY);
        put_bytes(&mut span, TRACE_ID, &sent.trace_id().to_bytes());
        put_bytes(&mut span, SPAN_ID, &sent.parent_id().to_bytes());
        put_bytes(&mut span, PARENT_SPAN_ID, &server.to_bytes());
        put_name(&mut span, head.method, None);
        put_number(&mut span, KIND, KIND_CLIENT);
        put_fixed64(&mut span, START_TIME, times.at(times.decided));
        let mut attribute = |key: &str, value: Value<'_>| put_attribute(&mut span, ATTRIBUTES, key, value);
        tell_method(head.method, &mut attribute);
        tell_server(head, &mut attribute);
        let scheme = if scheme(head) == Some("https") { "https://" } else { "http://" };
        let path = url::path(head.path, route, policy, key);
        if !head.authority.contains(&b'@') {
            attribute("url.full", Value::Bytes(&[scheme.as_bytes(), head.authority, &path].concat()));
        }
        put_fixed32(&mut span, FLAGS, u32::from(sent.flags().bits()) | HAS_IS_REMOTE);
        span
    }
}

impl Times {
    /// A time of the monotonic clock, in wall-clock nanoseconds: a span's length is what passed, whatever the wall's clock did meanwhile.
    fn at(&self, monotonic: u64) -> u64 {
        nanoseconds(self.began_at).saturating_add(monotonic.saturating_sub(self.began))
    }
}

/// Writes a span's name: the method and the route's template; never a path.
fn put_name(span: &mut Vec<u8>, method: &[u8], template: Option<&str>) {
    let method = known(method).unwrap_or("HTTP");
    let length = method.len().saturating_add(template.map_or(0, |template| template.len().saturating_add(1)));
    put_length(span, NAME, length);
    span.extend_from_slice(method.as_bytes());
    if let Some(template) = template {
        span.push(b' ');
        span.extend_from_slice(template.as_bytes());
    }
}

/// Writes a wait as an event; gives its length in microseconds.
fn put_wait(span: &mut Vec<u8>, Wait { awaited, since, until }: Wait, times: &Times) -> u64 {
    let microseconds = until.saturating_sub(since) / 1000;
    let mut event = Vec::with_capacity(96);
    put_fixed64(&mut event, 1, times.at(since));
    put_text(&mut event, 2, "tracegate.callout");
    let awaited = match awaited {
        Awaited::Keys => "keys",
        Awaited::RateLimitService => "rate_limit_service",
    };
    put_attribute(&mut event, 3, "tracegate.awaited", Value::Text(awaited));
    put_attribute(&mut event, 3, "tracegate.duration_us", Value::Integer(microseconds));
    put_bytes(span, EVENTS, &event);
    microseconds
}

/// Writes a link to the caller's context, which doesn't go on.
fn put_link(span: &mut Vec<u8>, link: &Context) {
    let Some(span_id) = link.span_id else { return };
    let mut message = Vec::with_capacity(40);
    put_bytes(&mut message, 1, &link.trace_id.to_bytes());
    put_bytes(&mut message, 2, &span_id.to_bytes());
    let sampled = u32::from(link.sampling.sampled() == Some(true));
    put_fixed32(&mut message, 6, sampled | HAS_IS_REMOTE | IS_REMOTE);
    put_bytes(span, LINKS, &message);
}

/// Writes what of `tracestate` says how much the span stands for: OpenTelemetry's member, without parts that nobody here knows.
fn put_state(span: &mut Vec<u8>, settled: &Settled) {
    let threshold = settled.sampling.threshold.and_then(Threshold::encode).map(|digits| format!("th:{digits}"));
    let randomness = settled.randomness.map(|randomness| format!("rv:{}", randomness.encode()));
    let parts: Vec<String> = threshold.into_iter().chain(randomness).collect();
    if !parts.is_empty() {
        put_text(span, TRACE_STATE, &format!("ot={}", parts.join(";")));
    }
}

/// Writes what a response came to; `ended` says why none of the upstream's came.
fn put_outcome(span: &mut Vec<u8>, status: Option<u16>, failed: bool, ended: Option<&str>) {
    const STATUS_CODE: u8 = 3;
    const ERROR: u64 = 2;
    if let Some(status) = status {
        put_attribute(span, ATTRIBUTES, "http.response.status_code", Value::Integer(status.into()));
    }
    if !failed {
        return;
    }
    match (ended, status) {
        (Some(why), _) => put_attribute(span, ATTRIBUTES, "error.type", Value::Text(why)),
        (None, Some(status)) => put_attribute(span, ATTRIBUTES, "error.type", Value::Text(&status.to_string())),
        (None, None) => put_attribute(span, ATTRIBUTES, "error.type", Value::Text("no_response")),
    }
    put_length(span, STATUS, size_of_integer(ERROR));
    put_integer(span, STATUS_CODE, ERROR);
}

/// Whether a value looks like an id, and not like a URL or what else headers hold.
fn is_id(value: &[u8]) -> bool {
    let sound = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'|');
    value.len() <= MAX_REQUEST_ID && value.iter().all(sound)
}

/// OTLP's times are unsigned.
fn nanoseconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

// Fields of a `Span`.
const TRACE_ID: u8 = 1;
const SPAN_ID: u8 = 2;
const TRACE_STATE: u8 = 3;
const PARENT_SPAN_ID: u8 = 4;
const NAME: u8 = 5;
const KIND: u8 = 6;
const START_TIME: u8 = 7;
const END_TIME: u8 = 8;
const ATTRIBUTES: u8 = 9;
const EVENTS: u8 = 11;
const LINKS: u8 = 13;
const STATUS: u8 = 15;
const FLAGS: u8 = 16;

const KIND_SERVER: u32 = 2;
const KIND_CLIENT: u32 = 3;
/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`: whether the parent is remote is known.
const HAS_IS_REMOTE: u32 = 0x100;
/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`
const IS_REMOTE: u32 = 0x200;

/// What became of a request that ended while it waited: its client left, or the host answered in our place.
const CANCELLED: &str = "cancelled";
const ADMITTED: &str = "admitted";
const REFUSED: &str = "refused";
/// Names the audit's record.
const AUDIT_ID: &str = "tracegate.audit.id";
/// What most spans take.
const CAPACITY: usize = 512;
const MAX_REQUEST_ID: usize = 64;
