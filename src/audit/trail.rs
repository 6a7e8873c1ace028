// SPDX-License-Identifier: Apache-2.0
//! One gateway's records, in their order.

use super::chain::{AuditKey, BEFORE_MAC};
use super::line::Line;
use super::record::Decided;
use super::{AuditPolicy, ChainPolicy};
use crate::export::Source;
use crate::inputs::Inputs;
use crate::protobuf::{put_bytes, put_fixed32, put_fixed64, put_number, put_text};
use crate::secret::{SecretKey, SecretUnavailable, Secrets};
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
    /// What hasn't left yet.
    entries: Vec<Entry>,
}

/// A record on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// A line of JSON.
    pub(crate) line: String,
    /// The same as an `opentelemetry.proto.logs.v1.LogRecord`, where it goes to collectors.
    pub(crate) message: Option<Vec<u8>>,
}

impl Trail {
    /// Fetches the key.
    ///
    /// # Errors
    ///
    /// [`SecretUnavailable`] where the host doesn't have it.
    pub(crate) fn provide(&mut self, chain: &ChainPolicy, secrets: &mut dyn Secrets) -> Result<(), SecretUnavailable> {
        self.key = AuditKey::new(&SecretKey::fetch(&chain.key, secrets)?);
        Ok(())
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
        if self.unchecked.is_some_and(|since| inputs.monotonic.saturating_sub(since) >= chain.checkpoint_interval) {
            let decisions = self.decisions;
            self.write("checkpoint", None, policy, source, inputs, |line| line.number("decisions", decisions));
            self.unchecked = None;
        }
    }

    /// Writes that the gateway ends, if it has put anything on record.
    pub(crate) fn end(&mut self, policy: &AuditPolicy, source: Source<'_>, inputs: &Inputs<'_>) {
        if self.sequence > 0 {
            let decisions = self.decisions;
            self.write("end", None, policy, source, inputs, |line| line.number("decisions", decisions));
        }
    }

    /// Whether all of it has left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What hasn't left yet.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
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
        if let Some(previous) = &self.previous {
            line.text("previous", previous);
        }
        tell(&mut line);
        line.text("policy", &hex::encode(source.fingerprint.to_bytes()));
        let line = match &self.key {
            Some(key) => {
                line.text("key", key.id());
                let mac = key.mac(line.as_str());
                let line = line.end(&format!("{BEFORE_MAC}{mac}\""));
                self.previous = Some(mac);
                line
            }
            None => line.end(""),
        };
        self.sequence = self.sequence.saturating_add(1);
        self.unchecked = self.unchecked.or(Some(inputs.monotonic));
        let message = policy.otlp.then(|| message(kind, &line, decided, inputs.now));
        self.entries.push(Entry { line, message });
    }
}

fn instance(source: Source<'_>) -> &str {
    source.instance.id().unwrap_or("unknown")
}

/// A record in OTLP (<https://opentelemetry.io/docs/specs/otel/logs/data-model/>): its body is the line, so that it verifies wherever it is kept.
fn message(kind: &str, line: &str, decided: Option<&Decided<'_>>, now: i64) -> Vec<u8> {
    const INFO: u32 = 9;
    let time = u64::try_from(now).unwrap_or(0);
    let mut message = Vec::with_capacity(line.len().saturating_add(256));
    put_fixed64(&mut message, 1, time);
    put_number(&mut message, 2, INFO);
    put_text(&mut message, 3, "INFO");
    let mut body = Vec::with_capacity(line.len().saturating_add(4));
    put_text(&mut body, 1, line);
    put_bytes(&mut message, 5, &body);
    put_attribute(&mut message, ATTRIBUTES, "tracegate.audit", Value::Text(kind.as_bytes()));
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

/// The field of a `LogRecord`.
const ATTRIBUTES: u8 = 6;
