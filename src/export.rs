// SPDX-License-Identifier: Apache-2.0
//! What leaves for collectors, by OTLP over HTTP in protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>): in batches, from a queue with
//! bounds, and never in a request's way.
//!
//! Every span, and every record, that is to leave is accounted for, by collector:
//!
//! ```text
//! recorded = acknowledged + unconfirmed + dropped (by reason) + queued
//! ```
//!
//! Unconfirmed are those that were under way when the gateway ended: of the last flush no answer comes.

mod answer;
mod batch;
mod exporter;
mod http_date;

pub(crate) use exporter::{Exporter, Fate, Source, Tell};

use crate::access_log::AccessLogProperty;
use crate::identity::FetchUri;
use crate::secret::SecretReference;
use crate::span::SpanPolicy;

/// What the policy says of what leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPolicy {
    /// Where spans go, all of them to each.
    pub traces: Vec<Collector>,
    /// Where records go that are made for the audit, all of them to each.
    pub logs: Vec<Collector>,
    /// What is told in them.
    pub spans: SpanPolicy,
    /// How long requests take is measured, by route.
    pub request_durations: bool,
    /// What the host's access log can tell.
    pub access_log: Vec<AccessLogProperty>,
}

impl ExportPolicy {
    /// All collectors, those of spans first.
    pub fn collectors(&self) -> impl Iterator<Item = &Collector> {
        self.traces.iter().chain(&self.logs)
    }
}

/// Where spans or records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// The policy's name for it.
    pub name: String,
    /// The host's cluster that answers.
    pub cluster: String,
    /// Where it takes them.
    pub uri: FetchUri,
    /// Headers that it asks for: names in lower case, and where their values are.
    pub headers: Vec<(String, SecretReference)>,
    /// How they are gathered.
    pub batch: BatchPolicy,
}

/// How spans or records are gathered, by the names of OpenTelemetry's batch processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPolicy {
    /// After how long a batch leaves that isn't full, in nanoseconds.
    pub schedule_delay: u64,
    /// How many spans are kept at most, those under way among them.
    pub max_queue_size: u32,
    /// How many leave together at most.
    pub max_export_batch_size: u32,
    /// How long an answer is waited for, in nanoseconds.
    pub export_timeout: u64,
}

#[cfg(test)]
mod tests;
