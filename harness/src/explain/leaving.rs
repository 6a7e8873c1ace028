// SPDX-License-Identifier: Apache-2.0
//! What leaves the gateway, and where to: collectors, rate-limit services, the host's log and access log, metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracegate::config::Call;

use super::document::SecretName;
use super::quota::{Enforcement, KeyPart, Quota};
use super::spans::{SpanPolicy, Spans};
use super::words::{all, join, word};
use crate::Redactor;

/// The section `export` of a policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    traces: BTreeMap<String, Collector>,
    #[serde(default)]
    logs: BTreeMap<String, Collector>,
    pub(super) spans: SpanPolicy,
    #[serde(default)]
    metrics: Metrics,
    access_log_properties: Vec<String>,
}

/// Where spans or records go.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Collector {
    Otlp { cluster: String, uri: String, headers: BTreeMap<String, SecretName>, batch: Batch },
    Lightstep { cluster: String, access_token: SecretName, uri: String, batch: Batch },
}

/// How spans or records are gathered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    schedule_delay: String,
    max_queue_size: u64,
    max_export_batch_size: u64,
    export_timeout: String,
}

/// What is measured beside what always is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    request_durations: bool,
}

/// The section `audit`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    records: Records,
    outputs: Vec<String>,
    chain: Option<Chain>,
}

/// Which decisions are put on record beside refusals.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Records {
    decisions: Vec<String>,
    routes: Vec<String>,
}

/// How records are chained.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    key: SecretName,
    checkpoint_interval: String,
}

/// What leaves.
#[derive(Debug, Serialize)]
pub(super) struct Leaving {
    collectors: Vec<Destination>,
    /// `None` where no collector takes any.
    spans: Option<Spans>,
    /// `None` where nothing is put on record.
    audit: Option<Audit>,
    /// What records tell of who calls.
    #[serde(skip)]
    caller: Vec<String>,
    access_log_properties: Vec<String>,
    metrics: Metrics,
    rate_limit_services: Vec<Service>,
    responses: Responses,
    /// Clusters that keys and secrets are fetched by.
    fetches: Vec<String>,
}

/// What callers are told beside what became of their requests.
#[derive(Debug, Serialize)]
pub(super) struct Responses {
    pub(super) rate_limit_headers: Vec<String>,
    /// Principals who are told the trace.
    pub(super) traceresponse: Vec<String>,
}

/// A collector.
#[derive(Debug, Serialize)]
struct Destination {
    signal: &'static str,
    name: String,
    protocol: &'static str,
    cluster: String,
    /// Without what may be a credential in it.
    uri: String,
    headers: Vec<Header>,
    batch: Batch,
}

/// A header of a collector's, whose value is a secret.
#[derive(Debug, Serialize)]
struct Header {
    name: String,
    secret: String,
}

/// What a rate-limit service is sent for one quota.
#[derive(Debug, Serialize)]
struct Service {
    cluster: String,
    domain: String,
    quota: String,
    entries: Vec<Entry>,
}

/// A part of a key, as a service sees it.
#[derive(Debug, Serialize)]
struct Entry {
    key: KeyPart,
    /// A digest of it goes in its place.
    digest: bool,
}

impl Leaving {
    /// What a policy lets out. `tell` gives what its spans tell, `quotas` are all of its quotas, `fetches` what keys and secrets come from.
    pub(super) fn new(
        export: Export,
        tell: impl FnOnce(SpanPolicy) -> Spans,
        audit: Option<Audit>,
        quotas: &BTreeMap<String, Quota>,
        responses: Responses,
        fetches: &[Call<'_>],
    ) -> Self {
        let Export { traces, logs, spans, metrics, access_log_properties } = export;
        let (has_spans, spans) = (!traces.is_empty(), tell(spans));
        let has_records = audit.as_ref().is_some_and(|audit| audit.has("otlp"));
        let traces = traces.into_iter().map(|(name, collector)| Destination::new("traces", name, collector));
        let logs = logs.into_iter().map(|(name, collector)| Destination::new("logs", name, collector));
        let mut collectors: Vec<Destination> = traces.chain(logs).collect();
        let services: Vec<Service> = quotas.iter().filter_map(|(name, quota)| Service::new(name, quota)).collect();
        let mut fetches: Vec<String> = fetches.iter().map(|call| call.cluster.to_owned()).collect();
        fetches.dedup();
        collectors.retain(|collector| collector.signal == "traces" || has_records);
        Self {
            caller: spans.caller(),
            spans: has_spans.then_some(spans),
            collectors,
            audit,
            access_log_properties,
            metrics,
            rate_limit_services: services,
            responses,
            fetches,
        }
    }

    /// Where something leaves to, and what.
    pub(super) fn words(&self) -> Vec<(String, Vec<String>)> {
        let mut rows: Vec<(String, Vec<String>)> =
            self.collectors.iter().map(|collector| (collector.title(), collector.words(self.spans.as_ref()))).collect();
        if self.audit.as_ref().is_some_and(|audit| audit.has("log")) {
            rows.push(("gateway's log".to_owned(), vec!["audit records".to_owned()]));
        }
        for service in &self.rate_limit_services {
            rows.push((format!("rate-limit service {}", word(&service.cluster)), service.words()));
        }
        if !self.access_log_properties.is_empty() {
            rows.push(("access log".to_owned(), self.access_log()));
        }
        rows.push(("metrics".to_owned(), self.metrics()));
        rows.push(("caller".to_owned(), self.responses.words()));
        if !self.fetches.is_empty() {
            rows.push((
                "keys and secrets".to_owned(),
                vec![format!("fetched by {}: nothing of a request goes along", clusters(&self.fetches))],
            ));
        }
        rows
    }

    /// What a span tells, by attribute; empty where none leaves.
    pub(super) fn spans(&self) -> Vec<(String, Vec<String>)> {
        self.spans.as_ref().map(Spans::words).unwrap_or_default()
    }

    /// What an audit record tells; empty where there is none.
    pub(super) fn records(&self) -> Vec<(String, Vec<String>)> {
        let Some(audit) = &self.audit else { return Vec::new() };
        let chained = match &audit.chain {
            Some(Chain { key, checkpoint_interval }) => format!(
                "with the secret {}: a change, a gap and a restart can be told; a checkpoint follows within {}",
                word(&key.secret),
                word(checkpoint_interval)
            ),
            None => "not: a changed record can't be told from a genuine one".to_owned(),
        };
        let outcome = "when, on which route; why it was refused, with which status and by which rule or quota";
        let rows = [
            ("(of)", audit.decisions()),
            ("(whose)", vec!["the gateway's instance, and the policy's fingerprint".to_owned()]),
            ("the decision", vec![outcome.to_owned()]),
            ("the trace", vec!["trace id, span id, and whether it is recorded".to_owned()]),
            ("the caller", self.caller.clone()),
            ("(never)", vec!["paths, queries, headers, bodies, addresses and credentials".to_owned()]),
            ("(chained)", vec![chained]),
        ];
        rows.map(|(name, lines)| (name.to_owned(), lines)).into()
    }

    fn access_log(&self) -> Vec<String> {
        let properties = &self.access_log_properties;
        let mut lines = vec![format!("{}, where its format names them", all(properties))];
        let tells_caller = properties.iter().any(|property| property == "caller");
        lines.extend(tells_caller.then(|| "the caller is its provider, and the policy's name for it or a digest".to_owned()));
        lines
    }

    fn metrics(&self) -> Vec<String> {
        let mut lines = vec!["counts by names of the policy's and by reasons; nothing of a request".to_owned()];
        lines.extend(self.metrics.request_durations.then(|| "how long requests take, by route".to_owned()));
        lines
    }
}

impl Responses {
    fn words(&self) -> Vec<String> {
        let mut lines = vec!["why a request was refused".to_owned()];
        let headers: Vec<&str> = self
            .rate_limit_headers
            .iter()
            .map(|kind| match kind.as_str() {
                "ratelimit" => "RateLimit and RateLimit-Policy",
                "x_ratelimit" | "x_ratelimit_epoch" => "X-RateLimit-*",
                other => other,
            })
            .collect();
        lines.extend((!headers.is_empty()).then(|| format!("how limits stand that apply, in {}", headers.join(" and "))));
        lines.extend(
            (!self.traceresponse.is_empty())
                .then(|| format!("the trace's id and ours, in traceresponse, for callers of {}", all(&self.traceresponse))),
        );
        lines
    }
}

impl Audit {
    fn has(&self, output: &str) -> bool {
        self.outputs.iter().any(|known| known == output)
    }

    /// Which decisions are on record, a line for each kind.
    fn decisions(&self) -> Vec<String> {
        let Records { decisions, routes } = &self.records;
        let has = |decision: &str| decisions.iter().any(|known| known == decision);
        let mut lines = vec!["every refusal".to_owned()];
        if has("admitted") {
            lines.push("every request that goes on".to_owned());
            return lines;
        }
        lines.extend(has("shadowed").then(|| "every request that a rule or limit in shadow would have refused".to_owned()));
        lines.extend((!routes.is_empty()).then(|| format!("every request on {}", all(routes))));
        lines
    }
}

impl Destination {
    fn new(signal: &'static str, name: String, collector: Collector) -> Self {
        let (protocol, cluster, uri, headers, batch) = match collector {
            Collector::Otlp { cluster, uri, headers, batch } => {
                let headers = headers.into_iter().map(|(name, SecretName { secret })| Header { name, secret }).collect();
                ("otlp", cluster, uri, headers, batch)
            }
            Collector::Lightstep { cluster, access_token: SecretName { secret }, uri, batch } => {
                ("lightstep", cluster, uri, vec![Header { name: "lightstep-access-token".to_owned(), secret }], batch)
            }
        };
        Self { signal, name, protocol, cluster, uri: shown(&uri), headers, batch }
    }

    fn title(&self) -> String {
        format!("collector {}", word(&self.name))
    }

    fn words(&self, spans: Option<&Spans>) -> Vec<String> {
        let Self { signal, cluster, uri, headers, batch, .. } = self;
        let what = if *signal == "traces" { "spans" } else { "audit records" };
        let mut lines = vec![format!("{what}, by OTLP to {uri} at cluster {}", word(cluster))];
        let header = |Header { name, secret }: &Header| format!("{} is the secret {}", word(name), word(secret));
        if !headers.is_empty() {
            lines.push(format!("with headers: {}", join(&headers.iter().map(header).collect::<Vec<_>>(), "and")));
        }
        lines.push(format!("every {}, up to {} together", word(&batch.schedule_delay), batch.max_export_batch_size));
        lines.extend(spans.filter(|_| *signal == "traces").map(|spans| spans.sampled.words()).unwrap_or_default());
        lines
    }
}

impl Service {
    /// `None` for a quota that gateways count themselves.
    fn new(name: &str, quota: &Quota) -> Option<Self> {
        let Enforcement::Global(global) = &quota.enforcement else { return None };
        // What callers write may be a secret.
        let digest = |key: &KeyPart| matches!(key, KeyPart::Header(_) | KeyPart::Query(_) | KeyPart::Caller);
        let entries = quota.key.iter().map(|key| Entry { digest: digest(key), key: key.clone() }).collect();
        Some(Self { cluster: global.cluster.clone(), domain: global.domain.clone(), quota: name.to_owned(), entries })
    }

    fn words(&self) -> Vec<String> {
        let entry = |entry: &Entry| match (&entry.key, entry.digest) {
            (KeyPart::Subscription, _) => "the subscription's id".to_owned(),
            (KeyPart::Product, _) => "the product".to_owned(),
            (KeyPart::Caller, _) => "a digest of who calls".to_owned(),
            (KeyPart::Claim { path, .. }, _) => format!("claim {} as it is", word(path)),
            (KeyPart::Source { ipv4_prefix: 32, ipv6_prefix: 128 }, _) => "the source address".to_owned(),
            (KeyPart::Source { ipv4_prefix, ipv6_prefix }, _) => format!("the source network (IPv4 /{ipv4_prefix}, IPv6 /{ipv6_prefix})"),
            (KeyPart::Header(name), _) => format!("a digest of header {}", word(name)),
            (KeyPart::Query(name), _) => format!("a digest of parameter {}", word(name)),
            (KeyPart::Route, _) => "the route's name".to_owned(),
            (KeyPart::Method, _) => "the method".to_owned(),
            (KeyPart::Literal(text), _) => format!("the text {}", word(text)),
        };
        let entries: Vec<String> = self.entries.iter().map(entry).collect();
        let told = if entries.is_empty() { "nothing of a request".to_owned() } else { join(&entries, "and") };
        vec![format!("for quota {} in domain {}: {told}", word(&self.quota), word(&self.domain))]
    }
}

/// `clusters a and b`
fn clusters(names: &[String]) -> String {
    format!("{} {}", if names.len() == 1 { "cluster" } else { "clusters" }, all(names))
}

/// A URI without what may be a credential in it.
pub(super) fn shown(uri: &str) -> String {
    Redactor::new(0).url(uri)
}
