// SPDX-License-Identifier: Apache-2.0
//! One gateway's records, in their order.

use std::collections::VecDeque;

use super::chain::{AuditKey, BEFORE_MAC};
use super::line::Line;
use super::record::Decided;
use super::{AuditPolicy, ChainPolicy};
use crate::export::Source;
use crate::inputs::Inputs;
use crate::protobuf::{put_bytes, put_fixed32, put_fixed64, put_number, put_text};
use crate::secret::SecretKey;
use crate::span::{Value, put_attribute};

/// One gateway's records.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    key: Option<AuditKey>,
    /// How many records there are. The first is the genesis, written before the first decision.
    sequence: u64,
    /// Decisions among them.
    decisions: u64,
    /// The last record's MAC.
    previous: Option<String>,
    /// When the first record since the last checkpoint came, on the monotonic clock.
    unchecked: Option<u64>,
    /// What hasn't left yet: it waits for the key, where that is still to come.
    written: VecDeque<Written>,
    /// Records that found no room since somebody last asked.
    dropped: u64,
    /// The gateway ends: a key that hasn't come won't.
    is_ending: bool,
}

/// A record on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A line of JSON.
    pub(crate) line: String,
    /// The same as an `opentelemetry.proto.logs.v1.LogRecord`, where it goes to collectors.
    pub(crate) message: Option<Vec<u8>>,
}

/// A record without its MAC.
#[derive(Debug)]
struct Written {
    line: Line,
    /// Of its message: when it was written, and the fields behind its body; `None` where it goes to no collector.
    message: Option<(u64, Vec<u8>)>,
}

impl Trail {
    /// Takes the key, or another one; `None` where it has still to come.
    pub(crate) fn provide(&mut self, key: Option<&SecretKey>) {
        self.key = key.and_then(AuditKey::new);
    }

    /// Puts a decision on record; gives the record's id.
    pub(crate) fn record(&mut self, decided: &Decided<'_>, policy: &AuditPolicy, source: Source<'_>, inputs: &Inputs<'_>) -> String {
        if self.sequence == 0 {
            self.write("genesis", None, policy, source, inputs, |line| {
                line.text("service", &source.service.name);
                line.text("version", crate::VERSION);
            });
        }
        let id = format!("{}/{}", instance(source), self.sequence);
        self.decisions = self.decisions.saturating_add(1);
        self.write("decision", Some(decided), policy, source, inputs, |line| {
            line.text("id", &id);
            decided.tell(line);
        });
        id
    }

    /// Writes a checkpoint, if one is due.
    pub(crate) fn tick(&mut self, policy: &AuditPolicy, source: Source<'_>, inputs: &Inputs<'_>) {
        let Some(chain) = &policy.chain else { return };
        // The host's monotonic clock may be the wall's, and be set back.
        self.unchecked = self.unchecked.map(|since| since.min(inputs.monotonic));
        if self.unchecked.is_some_and(|since| inputs.monotonic.saturating_sub(since) >= chain.checkpoint_interval) {
            let decisions = self.decisions;
            self.write("checkpoint", None, policy, source, inputs, |line| line.number("decisions", decisions));
            self.unchecked = None;
        }
    }

    /// Writes that the gateway ends, if it has put anything on record.
    pub(crate) fn end(&mut self, policy: &AuditPolicy, source: Source<'_>, inputs: &Inputs<'_>) {
        self.is_ending = true;
        if self.sequence > 0 {
            let decisions = self.decisions;
            self.write("end", None, policy, source, inputs, |line| line.number("decisions", decisions));
        }
    }

    /// How many records have found no room since somebody last asked.
    pub(crate) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }

    /// Whether nothing can leave: what `chain` chains waits for its key, until the gateway ends.
    pub(crate) fn is_empty(&self, chain: Option<&ChainPolicy>) -> bool {
        self.written.is_empty() || chain.is_some() && self.key.is_none() && !self.is_ending
    }

    /// The next record to leave, with its MAC where there is a key.
    pub(crate) fn next(&mut self, chain: Option<&ChainPolicy>) -> Option<Entry> {
        if self.is_empty(chain) {
            return None;
        }
        let Written { mut line, message } = self.written.pop_front()?;
        let line = match &self.key {
            Some(key) => {
                if let Some(previous) = &self.previous {
                    line.text("previous", previous);
                }
                line.text("key", key.id());
                let mac = key.mac(line.as_str());
                let line = line.end(&format!("{BEFORE_MAC}{mac}\""));
                self.previous = Some(mac);
                line
            }
            None => line.end(""),
        };
        let message = message.map(|(time, rest)| message_of(&line, time, &rest));
        Some(Entry { line, message })
    }

    fn write(
        &mut self,
        kind: &'static str,
        decided: Option<&Decided<'_>>,
        policy: &AuditPolicy,
        source: Source<'_>,
        inputs: &Inputs<'_>,
        tell: impl FnOnce(&mut Line),
    ) {
        let mut line = Line::new(kind);
        line.time("time", inputs.now);
        line.text("instance", instance(source));
        line.number("sequence", self.sequence);
        tell(&mut line);
        line.text("policy", &hex::encode(source.fingerprint.to_bytes()));
        self.sequence = self.sequence.saturating_add(1);
        self.unchecked = self.unchecked.or(Some(inputs.monotonic));
        // A key that doesn't come leaves a gap, by which it can be told, and fills no memory.
        if self.written.len() >= MAX_WRITTEN {
            self.dropped = self.dropped.saturating_add(1);
        } else {
            let time = u64::try_from(inputs.now).unwrap_or(0);
            self.written.push_back(Written { line, message: policy.otlp.then(|| (time, rest_of_message(kind, decided, time))) });
        }
    }
}

fn instance(source: Source<'_>) -> &str {
    source.instance.id().unwrap_or("unknown")
}

/// A record in OTLP (<https://opentelemetry.io/docs/specs/otel/logs/data-model/>): its body is the line, so that it verifies wherever it is kept.
fn message_of(line: &str, time: u64, rest: &[u8]) -> Vec<u8> {
    const INFO: u32 = 9;
    let mut message = Vec::with_capacity(line.len().saturating_add(rest.len()).saturating_add(32));
    put_fixed64(&mut message, 1, time);
    put_number(&mut message, 2, INFO);
    put_text(&mut message, 3, "INFO");
    let mut body = Vec::with_capacity(line.len().saturating_add(4));
    put_text(&mut body, 1, line);
    put_bytes(&mut message, 5, &body);
    message.extend_from_slice(rest);
    message
}

/// The fields behind the body.
fn rest_of_message(kind: &str, decided: Option<&Decided<'_>>, time: u64) -> Vec<u8> {
    const ATTRIBUTES: u8 = 6;
    let mut message = Vec::with_capacity(256);
    put_attribute(&mut message, ATTRIBUTES, "tracegate.audit", Value::Text(kind));
    if let Some(decided) = decided {
        decided.put_attributes(&mut message, ATTRIBUTES);
        if let (Some(sent), Some(span_id)) = (decided.sent, decided.span_id()) {
            put_fixed32(&mut message, 8, sent.flags().bits().into());
            put_bytes(&mut message, 9, &sent.trace_id().to_bytes());
            put_bytes(&mut message, 10, &span_id.to_bytes());
        }
    }
    put_fixed64(&mut message, 11, time);
    put_text(&mut message, 12, "tracegate.audit");
    message
}

/// So many records wait for a key at most.
const MAX_WRITTEN: usize = 1024;
