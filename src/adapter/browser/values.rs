// SPDX-License-Identifier: Apache-2.0
//! The values that go in and come out, as plain JavaScript.

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tsify::Tsify;

use crate::access_log::Property;
use crate::adapter::lines;
use crate::config::{Findings, Severity};
use crate::head::Headers;
use crate::quota::Totals;
use crate::{Effect, Export, Fetch, Gateway, HeaderEdit, Policy, RateLimitCall};

/// Bytes as a text with a character for each: what JavaScript calls a `ByteString`, as header values are there.
#[derive(Debug)]
pub(super) struct ByteString(pub(super) Vec<u8>);

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.iter().copied().map(char::from).collect::<String>())
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.chars().map(u8::try_from).collect::<Result<_, _>>();
        bytes.map(Self).map_err(|_| D::Error::custom("expected a text of characters up to U+00FF, found another"))
    }
}

/// Bytes as an `Uint8Array`.
#[derive(Debug)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsBytes;

        impl Visitor<'_> for AsBytes {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an Uint8Array")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }

        deserializer.deserialize_byte_buf(AsBytes)
    }
}

/// Header lines: names in lower case and values, each character a byte.
pub(super) type Lines = Vec<(ByteString, ByteString)>;

/// Something that happened to one exchange, in the order in which it happened. Events out of order change nothing.
#[derive(Debug, Deserialize, Tsify)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Event {
    /// The request's header lines, pseudo-headers included.
    Request(#[tsify(type = "[string, string][]")] Lines),
    /// The exchange was named by `Woken.wake`: here is the request again, to be decided anew.
    Wake(#[tsify(type = "[string, string][]")] Lines),
    /// The request's trailers, if it has any.
    Trailers(#[tsify(type = "[string, string][]")] Lines),
    /// The response's header lines, of which `:status` alone is read.
    Response(#[tsify(type = "[string, string][]")] Lines),
    /// The request ends while it waits. Here it is for the last time, and `closed` follows.
    Cancelled(#[tsify(type = "[string, string][]")] Lines),
    /// The host can't do what was decided, or hands over what can't be read. The request is refused, whatever was decided before.
    HostFailed(HostFailure),
    /// The exchange is over; nothing comes after.
    Closed {
        /// How many bytes the request's body had.
        request_bytes: u64,
        /// How many bytes the response's body had.
        response_bytes: u64,
    },
}

/// An event's lines, lent.
pub(super) struct Told<'a>(pub(super) Headers<'a>);

impl Event {
    pub(super) const fn lines(&self) -> Option<&Lines> {
        match self {
            Self::Request(lines) | Self::Wake(lines) | Self::Trailers(lines) | Self::Response(lines) | Self::Cancelled(lines) => {
                Some(lines)
            }
            Self::HostFailed(_) | Self::Closed { .. } => None,
        }
    }

    /// As the core takes it.
    pub(super) const fn told<'a>(&self, Told(headers): Told<'a>) -> crate::Event<'a> {
        match self {
            Self::Request(_) => crate::Event::Request(headers),
            Self::Wake(_) => crate::Event::Wake(headers),
            Self::Trailers(_) => crate::Event::Trailers(headers),
            Self::Response(_) => crate::Event::Response(headers),
            Self::Cancelled(_) => crate::Event::Cancelled(headers),
            Self::HostFailed(failure) => crate::Event::HostFailed(failure.told()),
            Self::Closed { request_bytes, response_bytes } => {
                crate::Event::Closed(Totals { request_bytes: *request_bytes, response_bytes: *response_bytes })
            }
        }
    }
}

/// What a host couldn't do.
#[derive(Clone, Copy, Debug, Deserialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub(super) enum HostFailure {
    /// Make an edit to the request's head.
    HeadNotEdited,
    /// Let a request go on that had waited.
    NotContinued,
    /// Show the request's trailers.
    TrailersUnreadable,
    /// Show the head before the trailers.
    TrailersWithoutHead,
    /// Make an edit to the request's trailers.
    TrailersNotEdited,
}

impl HostFailure {
    const fn told(self) -> crate::event::HostFailure {
        match self {
            Self::HeadNotEdited => crate::event::HostFailure::HeadNotEdited,
            Self::NotContinued => crate::event::HostFailure::NotContinued,
            Self::TrailersUnreadable => crate::event::HostFailure::TrailersUnreadable,
            Self::TrailersWithoutHead => crate::event::HostFailure::TrailersWithoutHead,
            Self::TrailersNotEdited => crate::event::HostFailure::TrailersNotEdited,
        }
    }
}

/// A call's answer.
#[derive(Debug, Deserialize, Tsify)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Answer {
    /// What the service said.
    Reply {
        /// With `:status`; of a gRPC call none are read.
        #[tsify(type = "[string, string][]")]
        headers: Lines,
        /// The body; of a gRPC call the message.
        #[tsify(type = "Uint8Array")]
        body: Bytes,
    },
    /// It said nothing.
    Failed(Failed),
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, Deserialize, Tsify)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Failed {
    /// The host would not send it.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The connection failed or was reset.
    Disconnected,
    /// The service answered with this gRPC status, which isn't OK.
    Status(u32),
}

/// What became of a policy's compilation. It is fit to run where it has a fingerprint.
#[derive(Debug, Serialize, Tsify)]
pub(super) struct Compiled {
    /// Everything that is wrong with it, up to 100 findings, or what to know of it.
    findings: Vec<Finding>,
    /// 16 hexadecimal digits.
    fingerprint: Option<String>,
    /// The clusters that it calls.
    clusters: Vec<String>,
    /// The variables that it asks its host for.
    variables: Vec<String>,
}

/// One thing to say about a policy.
#[derive(Debug, Serialize, Tsify)]
pub(super) struct Finding {
    /// Whether the policy runs all the same.
    #[tsify(type = "\"error\" | \"warning\"")]
    severity: &'static str,
    /// In the text, from 1.
    line: usize,
    /// In the line, in characters, from 1.
    column: usize,
    /// Where in the document: `routes[2].match.path`; empty for the whole.
    path: String,
    /// What was expected and what was found.
    message: String,
}

impl Compiled {
    pub(super) fn of(findings: &Findings, policy: Option<&Policy>) -> Self {
        let finding = |finding: &crate::config::Finding| Finding {
            severity: match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            line: finding.at.line,
            column: finding.at.column,
            path: finding.path.clone(),
            message: finding.problem.to_string(),
        };
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Self {
            findings: findings.iter().map(finding).collect(),
            fingerprint: policy.map(|policy| policy.fingerprint.to_string()),
            clusters: policy.map(|policy| owned(policy.clusters())).unwrap_or_default(),
            variables: policy.map(|policy| owned(policy.variables())).unwrap_or_default(),
        }
    }
}

/// What one event came to.
#[derive(Debug, Serialize, Tsify)]
pub(super) struct Step {
    /// What to do with the exchange now.
    pub(super) verdict: Verdict,
    /// What to ask for, in this order.
    pub(super) calls: Vec<Call>,
    /// What the access log can tell: names and values.
    pub(super) properties: Vec<(String, String)>,
}

/// What to do with an exchange.
#[derive(Debug, Serialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    /// Make these edits, in order, to the head at hand, then let it pass.
    Continue(Vec<Edit>),
    /// Answer the client now; nothing reaches the upstream.
    Refuse {
        /// From 400 to 599.
        status: u16,
        /// The reason code.
        reason: String,
        /// Names, some of them several times, and values.
        headers: Vec<(String, String)>,
        /// In ASCII.
        body: String,
    },
    /// Nothing to do now. A request's head that is answered so is kept back until `Woken.wake` names the exchange.
    Wait,
}

/// One header change.
#[derive(Debug, Serialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub(super) enum Edit {
    /// All lines of this name become one with this value.
    Replace {
        /// In lower case.
        name: String,
        /// Each character a byte.
        #[tsify(type = "string")]
        value: ByteString,
    },
    /// All lines of this name go.
    Remove(String),
}

/// What the host is asked for. Each call is answered once, by `Gateway.reply`.
#[derive(Debug, Serialize, Tsify)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Call {
    /// A `GET` without a body.
    Fetch {
        /// Names the call in its answer.
        call: u64,
        /// The host's cluster that answers.
        cluster: String,
        /// `http` or `https`.
        scheme: String,
        /// Host and port.
        authority: String,
        /// With the query.
        path: String,
        /// Headers to send; their values may be secrets.
        headers: Vec<(String, String)>,
        /// How long to wait, in nanoseconds.
        timeout: u64,
        /// The longest body of use, in bytes.
        max_body: u64,
    },
    /// A unary gRPC call: `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`.
    CheckRateLimit {
        /// Names the call in its answer.
        call: u64,
        /// The host's cluster that answers.
        cluster: String,
        /// In protobuf.
        #[tsify(type = "Uint8Array")]
        message: Bytes,
        /// The exchange that asks waits for the answer.
        awaited: bool,
        /// How long to wait, in nanoseconds.
        timeout: u64,
    },
    /// A `POST` of spans or records in OTLP's protobuf.
    Export {
        /// Names the call in its answer.
        call: u64,
        /// The host's cluster that answers.
        cluster: String,
        /// `http` or `https`.
        scheme: String,
        /// Host and port.
        authority: String,
        /// With the query.
        path: String,
        /// Headers to send; their values may be secrets.
        headers: Vec<(String, String)>,
        /// What to send.
        #[tsify(type = "Uint8Array")]
        body: Bytes,
        /// How long to wait, in nanoseconds.
        timeout: u64,
    },
}

/// What a gateway's tick or reply came to.
#[derive(Debug, Serialize, Tsify)]
pub(super) struct Woken {
    /// What to ask for, in this order.
    pub(super) calls: Vec<Call>,
    /// The exchanges to step with `wake`, in this order, by the ids that they were opened with.
    pub(super) wake: Vec<u32>,
}

/// What has been counted and measured since the last time.
#[derive(Debug, Serialize, Tsify)]
pub(super) struct Drained {
    /// Counters, and by how much each has grown.
    counts: Vec<(String, u64)>,
    /// Gauges, and by how much each has changed.
    changes: Vec<(String, i64)>,
    /// Histograms, and what they are to take, in milliseconds.
    samples: Vec<(String, u64)>,
}

impl Drained {
    pub(super) fn of(gateway: &mut Gateway) -> Self {
        let names = gateway.counter_names();
        let counts = gateway.drain_counts().filter_map(|(index, by)| Some((names.get(index)?.clone(), by))).collect();
        let changes = gateway.gauge_names().into_iter().zip(gateway.drain_gauges()).filter(|(_, by)| *by != 0).collect();
        let names = gateway.histogram_names();
        let samples = gateway.drain_durations().into_iter().filter_map(|(index, sample)| Some((names.get(index)?.clone(), sample)));
        Self { counts, changes, samples: samples.collect() }
    }
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, Serialize, Tsify)]
pub(super) struct Awaits {
    /// The response's head is to be read or edited.
    pub(super) response: bool,
    /// `response` must tell `:status`.
    pub(super) status: bool,
    /// `cancelled`, should the exchange end now.
    pub(super) cancellation: bool,
    /// `closed`.
    pub(super) close: bool,
    /// `closed` must tell how many bytes there were.
    pub(super) totals: bool,
}

impl From<crate::Verdict> for Verdict {
    fn from(verdict: crate::Verdict) -> Self {
        match verdict {
            crate::Verdict::Continue(edits) => Self::Continue(edits.iter().map(Edit::from).collect()),
            crate::Verdict::Refuse(refusal) => Self::Refuse {
                status: refusal.status(),
                reason: refusal.reason().as_str().to_owned(),
                headers: owned(refusal.headers()),
                body: refusal.body(),
            },
            crate::Verdict::Wait => Self::Wait,
        }
    }
}

impl From<&HeaderEdit> for Edit {
    fn from(edit: &HeaderEdit) -> Self {
        match edit {
            HeaderEdit::Replace { name, value } => Self::Replace { name: name.to_string(), value: ByteString(value.clone()) },
            HeaderEdit::Remove { name } => Self::Remove(name.to_string()),
        }
    }
}

pub(super) fn properties(properties: Vec<Property>) -> Vec<(String, String)> {
    properties.into_iter().map(|Property { name, value }| (name.to_owned(), value)).collect()
}

pub(super) fn calls(effects: Vec<Effect>) -> Vec<Call> {
    effects.into_iter().map(Call::from).collect()
}

impl From<Effect> for Call {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Fetch(asked) => {
                let headers = owned(lines::of_fetch(&asked));
                let Fetch { call, cluster, uri, timeout, max_body, .. } = asked;
                let (scheme, max_body) = (uri.scheme.to_owned(), u64::try_from(max_body).unwrap_or(u64::MAX));
                Self::Fetch { call: call.serial, cluster, scheme, authority: uri.authority, path: uri.path, headers, timeout, max_body }
            }
            Effect::CheckRateLimit(RateLimitCall { call, cluster, message, awaited, timeout }) => {
                Self::CheckRateLimit { call: call.serial, cluster, message: Bytes(message), awaited, timeout }
            }
            Effect::Export(asked) => {
                let headers = owned(lines::of_export(&asked));
                let Export { call, cluster, uri, body, timeout, .. } = asked;
                let (scheme, body) = (uri.scheme.to_owned(), Bytes(body.to_vec()));
                Self::Export { call: call.serial, cluster, scheme, authority: uri.authority, path: uri.path, headers, body, timeout }
            }
        }
    }
}

fn owned<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A call by its number; one that is none names no call.
#[expect(clippy::as_conversions, reason = "a float's conversion stops at the bounds")]
pub(super) fn serial(number: f64) -> u64 {
    if number.fract() == 0.0 && number >= 0.0 { number as u64 } else { u64::MAX }
}
