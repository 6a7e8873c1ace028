// SPDX-License-Identifier: Apache-2.0
//! What is said to a face and what it answers, in the shapes that the face for browsers has.

use serde::{Deserialize, Serialize};
use tracegate::access_log::Property;
use tracegate::config;
use tracegate::event::HostFailure;
use tracegate::quota::Totals;
use tracegate::{CallFailed, Effect, Event, Export, Fetch, HeaderEdit, Headers, RateLimitCall, Reply, Verdict};

use super::bytes::Bytes;

/// Names and values.
pub type Lines = Vec<(Bytes, Bytes)>;

/// What is said to a face.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    /// What becomes of this policy?
    Compile { policy: String },
    /// A gateway starts with this policy.
    Start { gateway: u32, policy: String },
    /// An exchange is opened.
    Open { gateway: u32, exchange: u32 },
    /// Something happens to an exchange.
    Step { exchange: u32, event: Told },
    /// An exchange is given up.
    Drop { exchange: u32 },
    /// The host's clock ticks.
    Tick { gateway: u32 },
    /// A call is answered.
    Reply { gateway: u32, call: u64, answer: Answer },
    /// What has been counted and measured?
    Drain { gateway: u32 },
    /// The gateway ends.
    End { gateway: u32 },
}

/// An event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    Request(Lines),
    Wake(Lines),
    Trailers(Lines),
    Response(Lines),
    Cancelled(Lines),
    HostFailed(Failure),
    #[serde(rename_all = "camelCase")]
    Closed {
        request_bytes: u64,
        response_bytes: u64,
    },
}

/// What a host couldn't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    HeadNotEdited,
    NotContinued,
    TrailersUnreadable,
    TrailersWithoutHead,
    TrailersNotEdited,
}

/// A call's answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    Reply { headers: Lines, body: Bytes },
    Failed(Failed),
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Failed {
    Refused,
    TimedOut,
    Disconnected,
    Status(u32),
}

/// What a face answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Heard {
    /// To a policy.
    Compiled(Compiled),
    /// To the start: that it runs, or why not.
    Started { error: Option<String> },
    /// Nothing.
    Done,
    /// To an event.
    Step { verdict: Decided, calls: Vec<Call>, properties: Vec<(String, String)>, awaits: Awaits },
    /// To a tick or an answer.
    #[serde(rename_all = "camelCase")]
    Woken { calls: Vec<Call>, wake: Vec<u32>, is_urgent: bool },
    /// To the question what was counted.
    Drained(Drained),
    /// To the end.
    Ended { calls: Vec<Call> },
}

/// What became of a policy's compilation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    pub findings: Vec<Finding>,
    pub fingerprint: Option<String>,
    pub clusters: Vec<String>,
    pub variables: Vec<String>,
}

/// One thing to say about a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: String,
    pub line: usize,
    pub column: usize,
    pub path: String,
    pub message: String,
}

/// What has been counted and measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    pub counts: Vec<(String, u64)>,
    pub changes: Vec<(String, i64)>,
    pub samples: Vec<(String, u64)>,
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaits {
    pub response: bool,
    pub status: bool,
    pub cancellation: bool,
    pub close: bool,
    pub totals: bool,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decided {
    Continue(Vec<Edit>),
    Refuse { status: u16, reason: String, headers: Vec<(String, String)>, body: String },
    Wait,
}

/// An edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Edit {
    Replace { name: Bytes, value: Bytes },
    Remove(String),
}

/// A call, with the header lines that go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Call {
    #[serde(rename_all = "camelCase")]
    Fetch {
        call: u64,
        cluster: String,
        scheme: String,
        authority: String,
        path: String,
        headers: Vec<(String, String)>,
        timeout: u64,
        max_body: u64,
    },
    CheckRateLimit {
        call: u64,
        cluster: String,
        message: Bytes,
        awaited: bool,
        timeout: u64,
    },
    Export {
        call: u64,
        cluster: String,
        scheme: String,
        authority: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Bytes,
        timeout: u64,
    },
}

fn kept(headers: Headers<'_>) -> Lines {
    headers.iter().map(|line| (line.name.into(), line.value.into())).collect()
}

impl Told {
    /// `None` for what no face can tell: answers go to the gateway.
    pub(super) fn of(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Request(headers) => Self::Request(kept(*headers)),
            Event::Wake(headers) => Self::Wake(kept(*headers)),
            Event::Trailers(headers) => Self::Trailers(kept(*headers)),
            Event::Response(headers) => Self::Response(kept(*headers)),
            Event::Cancelled(headers) => Self::Cancelled(kept(*headers)),
            Event::HostFailed(failure) => Self::HostFailed(match failure {
                HostFailure::HeadNotEdited => Failure::HeadNotEdited,
                HostFailure::NotContinued => Failure::NotContinued,
                HostFailure::TrailersUnreadable => Failure::TrailersUnreadable,
                HostFailure::TrailersWithoutHead => Failure::TrailersWithoutHead,
                HostFailure::TrailersNotEdited => Failure::TrailersNotEdited,
                // These hosts can't.
                HostFailure::CalledBack => return None,
            }),
            Event::Closed(Totals { request_bytes, response_bytes }) => {
                Self::Closed { request_bytes: *request_bytes, response_bytes: *response_bytes }
            }
            Event::Reply(..) => return None,
        })
    }
}

impl From<&Result<Reply<'_>, CallFailed>> for Answer {
    fn from(answer: &Result<Reply<'_>, CallFailed>) -> Self {
        match answer {
            Ok(Reply { headers, body }) => Self::Reply { headers: kept(*headers), body: (*body).into() },
            Err(CallFailed::Refused) => Self::Failed(Failed::Refused),
            Err(CallFailed::TimedOut) => Self::Failed(Failed::TimedOut),
            Err(CallFailed::Disconnected) => Self::Failed(Failed::Disconnected),
            Err(CallFailed::Status(status)) => Self::Failed(Failed::Status(*status)),
        }
    }
}

impl From<&config::Finding> for Finding {
    fn from(finding: &config::Finding) -> Self {
        let severity = if finding.severity == config::Severity::Error { "error" } else { "warning" };
        let (config::Position { line, column }, path) = (finding.at, finding.path.clone());
        Self { severity: severity.to_owned(), line, column, path, message: finding.problem.to_string() }
    }
}

impl From<&Verdict> for Decided {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Continue(edits) => Self::Continue(edits.iter().map(Edit::from).collect()),
            Verdict::Refuse(refusal) => Self::Refuse {
                status: refusal.status(),
                reason: refusal.reason().as_str().to_owned(),
                headers: refusal.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                body: refusal.body(),
            },
            Verdict::Wait => Self::Wait,
        }
    }
}

impl From<&HeaderEdit> for Edit {
    fn from(edit: &HeaderEdit) -> Self {
        match edit {
            HeaderEdit::Replace { name, value } => Self::Replace { name: name.as_bytes().into(), value: value.as_slice().into() },
            HeaderEdit::Remove { name } => Self::Remove(name.to_string()),
        }
    }
}

pub(super) fn properties(properties: &[Property]) -> Vec<(String, String)> {
    properties.iter().map(|Property { name, value }| ((*name).to_owned(), value.clone())).collect()
}

impl From<&Effect> for Call {
    /// Header lines as the module sends them, which `harness/src/host` tells apart from the core's own.
    fn from(effect: &Effect) -> Self {
        let (authority, path) = match effect {
            Effect::Fetch(Fetch { uri, .. }) | Effect::Export(Export { uri, .. }) => (uri.authority.clone(), uri.path.clone()),
            Effect::CheckRateLimit(_) => Default::default(),
        };
        match effect {
            Effect::Fetch(Fetch { call, cluster, uri, accept, headers, timeout, max_body }) => Self::Fetch {
                call: call.serial,
                cluster: cluster.clone(),
                scheme: uri.scheme.to_owned(),
                authority,
                path,
                headers: [("accept", *accept), ("user-agent", concat!("tracegate/", env!("CARGO_PKG_VERSION")))]
                    .into_iter()
                    .chain(headers.iter().map(|(name, value)| (*name, value.as_str())))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                timeout: *timeout,
                max_body: u64::try_from(*max_body).expect("bodies are short"),
            },
            Effect::CheckRateLimit(RateLimitCall { call, cluster, message, awaited, timeout }) => Self::CheckRateLimit {
                call: call.serial,
                cluster: cluster.clone(),
                message: message.as_slice().into(),
                awaited: *awaited,
                timeout: *timeout,
            },
            Effect::Export(Export { call, cluster, uri, headers, body, timeout }) => Self::Export {
                call: call.serial,
                cluster: cluster.clone(),
                scheme: uri.scheme.to_owned(),
                authority,
                path,
                headers: [
                    ("content-type", "application/x-protobuf"),
                    ("user-agent", concat!("OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"))),
                ]
                .into_iter()
                .chain(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
                body: (&**body).into(),
                timeout: *timeout,
            },
        }
    }
}

pub(super) fn calls(effects: &[Effect]) -> Vec<Call> {
    effects.iter().map(Call::from).collect()
}
