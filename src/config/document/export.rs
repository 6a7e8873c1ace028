// SPDX-License-Identifier: Apache-2.0
//! What leaves for collectors, as written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::access_log::AccessLogProperty;
use super::jwt::duration;
use super::spans::Spans;
use super::trace::SecretName;
use super::{Audit, Document, plain_names};
use crate::identity::FetchUri;

/// What leaves for collectors.
#[derive(Clone, Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Export {
    /// Where spans go, all of them to each: at most 4 collectors, by names of lower-case letters, digits, `-` and `_`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::collectors"))]
    pub(in crate::config) traces: BTreeMap<String, Collector>,
    /// Where records go that are made for the audit, all of them to each: likewise at most 4 collectors.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::log_collectors"))]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::config) logs: BTreeMap<String, LogCollector>,
    /// What is told in spans.
    pub(in crate::config) spans: Spans,
    /// What is measured beside what always is.
    #[serde(skip_serializing_if = "Metrics::is_default")]
    pub(in crate::config) metrics: Metrics,
    /// What the host's access log can tell of a decision, as properties `tracegate.<word>` of the exchange; nothing by default.
    #[cfg_attr(feature = "schema", schemars(extend("uniqueItems" = true)))]
    pub(in crate::config) access_log_properties: Vec<AccessLogProperty>,
}

/// Where spans go.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Collector {
    /// Whatever takes OTLP over HTTP: the OpenTelemetry collector, and most vendors.
    Otlp(Otlp),
    /// Lightstep's public satellites, or what answers in their place.
    Lightstep(Lightstep),
}

/// Where records go.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LogCollector {
    /// Whatever takes OTLP over HTTP.
    Otlp(Otlp),
}

/// A collector that takes OTLP over HTTP in protobuf.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Otlp {
    /// Required: the gateway's cluster that answers. TLS is the cluster's to configure.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) cluster: String,
    /// Required: where it takes them, such as `http://otel-collector:4318/v1/traces`, or `/v1/logs` there.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::uri"))]
    pub(in crate::config) uri: Leaf<FetchUri>,
    /// Headers that it asks for, by name; their values are secrets.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::secret_headers"))]
    pub(in crate::config) headers: BTreeMap<String, SecretName>,
    /// How they are gathered.
    #[cfg_attr(feature = "schema", schemars(default = "Batch::by_default"))]
    pub(in crate::config) batch: Batch,
}

/// Lightstep.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Lightstep {
    /// Required: the gateway's cluster that answers. TLS is the cluster's to configure.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) cluster: String,
    /// Required: the project's access token, which travels as `lightstep-access-token`.
    pub(in crate::config) access_token: SecretName,
    /// Where it takes traces. Default: `https://ingest.lightstep.com/v1/traces`.
    #[cfg_attr(feature = "schema", schemars(default = "lightstep", schema_with = "schema::uri"))]
    pub(in crate::config) uri: Leaf<FetchUri>,
    /// How spans are gathered.
    #[cfg_attr(feature = "schema", schemars(default = "Batch::by_default"))]
    pub(in crate::config) batch: Batch,
}

/// How spans or records are gathered, by the names and with the defaults of OpenTelemetry's batch processor.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Batch {
    /// After how long a batch leaves that isn't full, from `100ms` to `1m`. Default: `5s`.
    #[cfg_attr(feature = "schema", schemars(default = "default_delay", schema_with = "schema::duration"))]
    pub(in crate::config) schedule_delay: Leaf<Duration>,
    /// How many each worker keeps at most, those under way among them; what comes then is dropped, and counted. Default: 2048.
    #[cfg_attr(feature = "schema", schemars(default = "default_queue", range(min = 1, max = MAX_QUEUE)))]
    pub(in crate::config) max_queue_size: u32,
    /// How many leave together at most, no more than are kept; a request's two spans always do. Default: 512.
    #[cfg_attr(feature = "schema", schemars(default = "default_batch", range(min = 1, max = MAX_BATCH)))]
    pub(in crate::config) max_export_batch_size: u32,
    /// How long an answer is waited for, from `100ms` to `1m`. Default: `10s`.
    #[cfg_attr(feature = "schema", schemars(default = "default_timeout", schema_with = "schema::duration"))]
    pub(in crate::config) export_timeout: Leaf<Duration>,
}

/// What is measured beside what always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Metrics {
    /// How long requests take, by route: a histogram each. Default: `false`. About a microsecond for each request that isn't recorded anyway.
    pub(in crate::config) request_durations: bool,
}

impl Metrics {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Decode for Metrics {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let request_durations = fields.maybe("request_durations", findings, |place, findings| place.bool(findings));
        fields.finish(findings);
        Some(Self { request_durations: request_durations?.unwrap_or_default() })
    }
}

impl Collector {
    /// As the document calls it.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Otlp(_) => "otlp",
            Self::Lightstep(_) => "lightstep",
        }
    }

    const fn batch(&self) -> &Batch {
        match self {
            Self::Otlp(Otlp { batch, .. }) | Self::Lightstep(Lightstep { batch, .. }) => batch,
        }
    }

    /// Where it takes what it is sent.
    const fn uri(&self) -> &FetchUri {
        match self {
            Self::Otlp(Otlp { uri, .. }) | Self::Lightstep(Lightstep { uri, .. }) => &uri.value,
        }
    }

    /// The secrets that it names, and where.
    fn secrets(&self) -> Vec<(Vec<&str>, &str)> {
        match self {
            Self::Otlp(otlp) => otlp.secrets(),
            Self::Lightstep(lightstep) => vec![(vec!["lightstep", "access_token", "secret"], &lightstep.access_token.secret)],
        }
    }
}

impl Otlp {
    /// The secrets that it names, and where.
    fn secrets(&self) -> Vec<(Vec<&str>, &str)> {
        self.headers.iter().map(|(name, value)| (vec!["otlp", "headers", name, "secret"], value.secret.as_str())).collect()
    }
}

impl Export {
    /// Reports what doesn't go together with the rest of the document. `place` is this section's.
    pub(super) fn check_against(&self, document: &Document, place: &Place<'_>, findings: &mut Findings) {
        for (name, collector) in &self.traces {
            let batch = place.descend(&["traces", name, collector.kind(), "batch"]);
            collector.batch().check_against(&self.spans, &batch, findings);
            check_path(collector.uri(), &place.descend(&["traces", name, collector.kind(), "uri"]), findings);
        }
        for (name, LogCollector::Otlp(otlp)) in &self.logs {
            check_path(&otlp.uri.value, &place.descend(&["logs", name, "otlp", "uri"]), findings);
        }
        let mut known = |path: &[&str], secret: &str| {
            if !document.secrets.contains_key(secret) {
                let text = "expected a name in `secrets`, found another";
                place.descend(path).report::<()>(Problem::Invalid(text.to_owned()), findings);
            }
        };
        for (name, collector) in &self.traces {
            for (path, secret) in collector.secrets() {
                known(&[&["traces", name], path.as_slice()].concat(), secret);
            }
        }
        for (name, LogCollector::Otlp(otlp)) in &self.logs {
            for (path, secret) in otlp.secrets() {
                known(&[&["logs", name], path.as_slice()].concat(), secret);
            }
        }
        if let Some(key) = &self.spans.digest_key {
            known(&["spans", "digest_key", "secret"], &key.secret);
        }
        self.spans.check_against(document, &place.descend(&["spans"]), findings);
        if !self.logs.is_empty() && !document.audit.as_ref().is_some_and(Audit::has_otlp) {
            place.descend(&["logs"]).warn("nothing leaves for it: `audit.outputs` has no `otlp`", findings);
        }
    }
}

impl Decode for Export {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let traces = fields.maybe("traces", findings, collectors);
        let logs = fields.maybe("logs", findings, collectors);
        let spans = fields.maybe("spans", findings, Spans::decode);
        let metrics = fields.maybe("metrics", findings, Metrics::decode);
        let access_log = fields.maybe("access_log_properties", findings, |place, findings| {
            let items = place.list(findings)?;
            place.each_once(items, findings)
        });
        fields.finish(findings);
        Some(Self {
            traces: traces?.unwrap_or_default(),
            logs: logs?.unwrap_or_default(),
            spans: spans?.unwrap_or_default(),
            metrics: metrics?.unwrap_or_default(),
            access_log_properties: access_log?.unwrap_or_default(),
        })
    }
}

/// Warns of a place that takes nothing as a rule: OTLP/HTTP has a path for each signal.
fn check_path(uri: &FetchUri, place: &Place<'_>, findings: &mut Findings) {
    if uri.path == "/" {
        place
            .warn("there is no path: by HTTP, collectors take traces at /v1/traces and logs at /v1/logs, on port 4318 as a rule", findings);
    }
}

/// By names that metrics can hold.
fn collectors<T: Decode>(place: Place<'_>, findings: &mut Findings) -> Option<BTreeMap<String, T>> {
    let collectors: BTreeMap<String, T> = place.map(findings)?;
    plain_names(&place, &collectors, findings)?;
    if collectors.len() > MAX_COLLECTORS {
        let text = format!("expected at most {MAX_COLLECTORS} collectors, found {}", collectors.len());
        return place.report(Problem::Invalid(text), findings);
    }
    Some(collectors)
}

impl Decode for Collector {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["otlp", "lightstep"], findings)? {
            ("otlp", place) => Otlp::decode(place, findings).map(Self::Otlp),
            (_, place) => Lightstep::decode(place, findings).map(Self::Lightstep),
        }
    }
}

impl Decode for LogCollector {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let (_, place) = place.choice(&["otlp"], findings)?;
        Otlp::decode(place, findings).map(Self::Otlp)
    }
}

impl Decode for Otlp {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let cluster = fields.required("cluster", findings).and_then(|place| place.name(findings));
        let uri = fields.required("uri", findings).and_then(|place| Leaf::decode(place, findings));
        let headers = fields.maybe("headers", findings, headers);
        let batch = fields.maybe("batch", findings, Batch::decode);
        fields.finish(findings);
        let batch = batch?.or_else(Batch::by_default)?;
        Some(Self { cluster: cluster?, uri: uri?, headers: headers?.unwrap_or_default(), batch })
    }
}

/// Headers by name, none of which the request has anyway.
fn headers(place: Place<'_>, findings: &mut Findings) -> Option<BTreeMap<String, SecretName>> {
    let headers: BTreeMap<String, SecretName> = place.map(findings)?;
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let taken = |name: &str| matches!(name, "content-type" | "content-length" | "host" | "user-agent" | "connection" | "transfer-encoding");
    let wrong = headers.keys().find(|name| !name.bytes().all(lower) || taken(name) || name.len() > MAX_HEADER);
    match wrong {
        None => Some(headers),
        Some(_) => {
            let text = "expected header names in lower case, and none that a request by HTTP has anyway, found another";
            place.report(Problem::Invalid(text.to_owned()), findings)
        }
    }
}

impl Decode for Lightstep {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let cluster = fields.required("cluster", findings).and_then(|place| place.name(findings));
        let access_token = fields.required("access_token", findings).and_then(|place| SecretName::decode(place, findings));
        let uri = fields.maybe("uri", findings, Leaf::decode);
        let batch = fields.maybe("batch", findings, Batch::decode);
        fields.finish(findings);
        let uri = uri?.or_else(|| Leaf::of(LIGHTSTEP))?;
        Some(Self { cluster: cluster?, access_token: access_token?, uri, batch: batch?.or_else(Batch::by_default)? })
    }
}

impl Batch {
    /// Reports a bound that a request's two spans never fit into.
    fn check_against(&self, spans: &Spans, place: &Place<'_>, findings: &mut Findings) {
        if spans.client && self.max_queue_size < 2 {
            let text = "expected at least 2 beside `export.spans.client`: two spans of a request leave together, found 1";
            place.descend(&["max_queue_size"]).report::<()>(Problem::Invalid(text.to_owned()), findings);
        }
    }

    fn by_default() -> Option<Self> {
        Some(Self {
            schedule_delay: Leaf::of(DEFAULT_DELAY)?,
            max_queue_size: DEFAULT_QUEUE,
            max_export_batch_size: DEFAULT_BATCH,
            export_timeout: Leaf::of(DEFAULT_TIMEOUT)?,
        })
    }
}

impl Decode for Batch {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let time = |place: Place<'_>, findings: &mut Findings| duration(place, 100..=60_000, "from 100ms to 1m", findings);
        let delay = fields.maybe("schedule_delay", findings, time);
        let queue = fields.maybe("max_queue_size", findings, |place, findings| number(&place, MAX_QUEUE, findings));
        let batch = fields.maybe("max_export_batch_size", findings, |place, findings| number(&place, MAX_BATCH, findings));
        let timeout = fields.maybe("export_timeout", findings, time);
        let place = fields.place().clone();
        fields.finish(findings);
        let (queue, batch) = (queue?.unwrap_or(DEFAULT_QUEUE), batch?);
        let batch = match batch {
            Some(batch) if batch > queue => {
                return place.descend(&["max_export_batch_size"]).expected("no more than `max_queue_size`", findings);
            }
            batch => batch.unwrap_or(DEFAULT_BATCH.min(queue)),
        };
        let default = Self::by_default()?;
        Some(Self {
            schedule_delay: delay?.unwrap_or(default.schedule_delay),
            max_queue_size: queue,
            max_export_batch_size: batch,
            export_timeout: timeout?.unwrap_or(default.export_timeout),
        })
    }
}

fn number(place: &Place<'_>, most: u64, findings: &mut Findings) -> Option<u32> {
    u32::try_from(place.integer(1..=most, findings)?).ok()
}

#[cfg(feature = "schema")]
fn lightstep() -> &'static str {
    LIGHTSTEP
}

#[cfg(feature = "schema")]
fn default_delay() -> &'static str {
    DEFAULT_DELAY
}

#[cfg(feature = "schema")]
fn default_queue() -> u32 {
    DEFAULT_QUEUE
}

#[cfg(feature = "schema")]
fn default_batch() -> u32 {
    DEFAULT_BATCH
}

#[cfg(feature = "schema")]
fn default_timeout() -> &'static str {
    DEFAULT_TIMEOUT
}

const LIGHTSTEP: &str = "https://ingest.lightstep.com/v1/traces";
/// Each has its own queue, and metrics.
const MAX_COLLECTORS: usize = 4;
const MAX_HEADER: usize = 128;
const DEFAULT_DELAY: &str = "5s";
const DEFAULT_QUEUE: u32 = 2048;
const MAX_QUEUE: u64 = 65_536;
const DEFAULT_BATCH: u32 = 512;
const MAX_BATCH: u64 = 8192;
const DEFAULT_TIMEOUT: &str = "10s";
