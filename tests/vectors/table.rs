// SPDX-License-Identifier: Apache-2.0
//! Tables of what a caller sends and what the upstream gets, under one policy each; run through the compiled module in the
//! native host and in real Envoy.
//!
//! Lines are written with `$T` for the trace-id, `$t` for its right half, `$time` and `$random` for its first 8 and other
//! 24 digits, `$S` for the span-id and `$osc1`, `$osc0` for Lightstep's carrier, sampled or not: in what is sent they stand
//! for the caller's ids, in what is expected for those that the upstream is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Options, Proxy, Reply, Request};
use tracegate_harness::module;
use tracegate_tests::{Edge, lines_of};

/// The caller's ids.
pub const CALLER: Ids = Ids { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };

/// Ids that a line names.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// 32 digits.
    pub trace: &'a str,
    /// 16 digits.
    pub span: &'a str,
}

/// Whose trace the upstream is in.
#[derive(Clone, Copy, Debug)]
pub enum Trace {
    /// The caller's.
    GoesOn,
    /// The caller's, of which only the right half is known.
    Half,
    /// The one with this id.
    Is(&'static str),
    /// One that begins here.
    Fresh,
}

/// Cases under one policy.
pub struct Table {
    policy: Value,
    cases: Vec<Case>,
}

struct Case {
    name: &'static str,
    trace: Trace,
    sent: Vec<String>,
    upstream: Vec<String>,
}

impl Table {
    /// No case yet, with a policy that reads and writes these formats.
    pub fn new(extract: &[&str], inject: &[&str]) -> Self {
        let propagation = json!({"extract": extract, "inject": inject});
        let policy = json!({
            "schema": 1, "service": {"name": "edge"}, "trace": {"propagation": propagation}, "default": {"action": "admit"}
        });
        Self { policy, cases: Vec::new() }
    }

    /// Lets only these baggage keys go on.
    pub fn allowing(mut self, keys: &[&str]) -> Self {
        self.policy["trace"]["propagation"]["baggage"] = json!({"allow": keys});
        self
    }

    /// What is sent, and every line that carries trace context or baggage to the upstream.
    pub fn case<S: AsRef<str>, U: AsRef<str>>(&mut self, name: &'static str, trace: Trace, sent: &[S], upstream: &[U]) {
        let sent = sent.iter().map(|line| CALLER.render(line.as_ref())).collect();
        let upstream = upstream.iter().map(|line| line.as_ref().to_owned()).collect();
        self.cases.push(Case { name, trace, sent, upstream });
    }

    /// The same for each of what is sent.
    pub fn all(&mut self, name: &'static str, trace: Trace, sent: &[&str], upstream: &[&str]) {
        sent.iter().for_each(|line| self.case(name, trace, &[line], upstream));
    }

    /// Runs every case through the module in the native host.
    pub fn run_in_native_host(&self) {
        let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
        let upstream = Always(Reply::now(Message::response(200, [("x", "")], b"")));
        let mut proxy = Proxy::start(&module, Options::new(&self.policy.to_string(), 7), upstream).unwrap();
        for case in &self.cases {
            let mut head: HeaderMap = [(":method", "GET"), (":path", "/"), (":authority", "api.example")].into_iter().collect();
            case.lines().for_each(|(name, value)| head.add(name.as_bytes(), value.trim_ascii().as_bytes()));
            let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
            let upstream = finished.upstream.unwrap_or_else(|| panic!("{}: not forwarded", case.name)).head;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            case.assert(upstream.iter().map(|line| (text(&line.name), text(&line.value))));
        }
        assert_eq!(proxy.failure(), None);
    }

    /// Runs every case through real Envoy, if there is one.
    pub fn run_in_envoy(&self) {
        let Some(edge) = Edge::start(&self.policy.to_string()) else { return };
        for case in &self.cases {
            let fields: Vec<(&str, &[u8])> = case.lines().map(|(name, value)| (name, value.as_bytes())).collect();
            case.assert(lines_of(&edge.get("/", &fields)).into_iter());
        }
        edge.assert_alive();
    }
}

impl Case {
    fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sent.iter().map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{}: {line}", self.name)))
    }

    fn assert(&self, upstream: impl Iterator<Item = (String, String)>) {
        let (name, sent) = (self.name, &self.sent);
        let mut found: Vec<(String, String)> = upstream.filter(|(name, _)| carries(name)).collect();
        found.sort_unstable();
        let (trace, span) = told(&found).unwrap_or_else(|| panic!("{name}: {sent:?}: no ids in {found:?}"));
        let known = match self.trace {
            Trace::GoesOn => Some(CALLER.trace.to_owned()),
            Trace::Half => Some(format!("{}{}", "0".repeat(16), &CALLER.trace[16..])),
            Trace::Is(id) => Some(id.to_owned()),
            Trace::Fresh => None,
        };
        match &known {
            Some(known) => assert!(known.ends_with(&trace), "{name}: {sent:?}: {found:?}"),
            None => assert!(!CALLER.trace.ends_with(&trace), "{name}: {sent:?}: {found:?}"),
        }
        assert_ne!(span, CALLER.span, "{name}: {sent:?}: the span is ours");
        let trace = known.unwrap_or_else(|| format!("{trace:0>32}"));
        let ids = Ids { trace: &trace, span: &span };
        let mut expected: Vec<(String, String)> = self
            .upstream
            .iter()
            .map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), ids.render(value))).expect("a line is `name: value`"))
            .collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{name}: {sent:?}");
    }
}

impl Ids<'_> {
    fn render(self, line: &str) -> String {
        let (time, random) = self.trace.split_at(8);
        let line = line.replace("$osc1", &self.lightstep(&[0x18, 1])).replace("$osc0", &self.lightstep(&[]));
        let line = line.replace("$time", time).replace("$random", random);
        line.replace("$T", self.trace).replace("$t", &self.trace[16..]).replace("$S", self.span)
    }

    /// `{2: {1: fixed64, 2: fixed64, 3: bool}}`, the last left out where it is false.
    fn lightstep(self, sampled: &[u8]) -> String {
        let fixed = |digits: &str| u64::from_str_radix(digits, 16).expect("ids are hexadecimal").to_le_bytes();
        let inner = [&[0x09][..], &fixed(&self.trace[16..]), &[0x11], &fixed(self.span), sampled].concat();
        STANDARD.encode([&[0x12, u8::try_from(inner.len()).expect("it is short")], inner.as_slice()].concat())
    }
}

/// The ids that these lines name: of the trace-id the right half, or all of it.
fn told(lines: &[(String, String)]) -> Option<(String, String)> {
    let value = |wanted: &str| lines.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let in_two = [("x-b3-traceid", "x-b3-spanid"), ("ot-tracer-traceid", "ot-tracer-spanid")];
    let in_two = in_two.into_iter().find_map(|(trace, span)| value(trace).zip(value(span)));
    lines.iter().find_map(|(name, value)| told_in_one(name, value)).or(in_two)
}

fn told_in_one(name: &str, value: &str) -> Option<(String, String)> {
    let fields = |separator: char| value.split(separator).map(str::to_owned).collect::<Vec<String>>();
    let fields = match name {
        "traceparent" => fields('-').split_off(1),
        "b3" => fields('-'),
        "uber-trace-id" => fields(':'),
        "request-id" => fields('.').iter().map(|field| field.replace('|', "")).collect(),
        "x-amzn-trace-id" => fields(';').iter().map(|pair| pair.replace("Root=1-", "").replace("Parent=", "").replace('-', "")).collect(),
        "x-ot-span-context" => {
            let message = STANDARD.decode(value).ok()?;
            let id = |at: usize| Some(format!("{:016x}", u64::from_le_bytes(*message.get(at..)?.first_chunk()?)));
            return Some((id(3)?, id(12)?));
        }
        _ => return None,
    };
    let [trace, span, ..] = fields.as_slice() else { return None };
    (trace.len() == 32 && span.len() == 16).then(|| (trace.clone(), span.clone()))
}

/// Whether a header is one of those that carry trace context or baggage.
fn carries(name: &str) -> bool {
    let names = ["traceparent", "tracestate", "b3", "uber-trace-id", "x-ot-span-context", "x-amzn-trace-id", "baggage"];
    let prefixes = ["x-b3-", "uberctx-", "ot-tracer-", "ot-baggage-", "request-id", "request-context", "correlation-context"];
    names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}
