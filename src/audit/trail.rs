// SPDX-License-Identifier: Apache-2.0
//! One gateway's records, in their order.

use std::collections::VecDeque;

use super::chain::{AuditKey, BEFORE_MAC};
use super::line::Line;
use super::record::Decided;
use super::{AuditPolicy, ChainPolicy};
use crate::export::Source;
use crate::inputs::Inputs;
use crate::instance::Instance;
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
    /// What hasn't left yet: where records are chained, it waits for the key and for the instance's name, where these are still to come.
    written: VecDeque<Written>,
    /// Some have left without a name.
    is_nameless: bool,
    /// Records that found no room since somebody last asked.
    dropped: u64,
    /// The gateway ends: what hasn't come won't.
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

/// A record without its instance and its MAC.
#[derive(Debug)]
struct Written {
    kind: Kind,
    /// In nanoseconds since 1970.
    time: i64,
    sequence: u64,
    /// What follows these.
    rest: Line,
    /// Of its message: the fields behind its body; `None` where it goes to no collector.
    message: Option<Vec<u8>>,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Genesis,
    Decision,
    Checkpoint,
    End,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Decision => "decision",
            Self::Checkpoint => "checkpoint",
            Self::End => "end",
        }
    }
}

impl Trail {
    /// Takes the key, or another one; `None` where it has still to come.
    pub(crate) fn provide(&mut self, key: Option<&SecretKey>) {
        self.key = key.and_then(AuditKey::new);
    }

    /// Puts a decision on record; gives the record's id, where its instance has a name.
    pub(crate) fn record(
        &mut self,
        decided: &Decided<'_>,
        policy: &AuditPolicy,
        source: Source<'_>,
        inputs: &Inputs<'_>,
    ) -> Option<String> {
        self.take_name(source);
        if self.sequence == 0 {
            self.write(Kind::Genesis, None, policy, source, inputs, |line| {
                line.text("service", &source.service.name);
                line.text("version", crate::VERSION);
            });
        }
        let id = source.instance.id().map(|instance| id_of(instance, self.sequence));
        self.decisions = self.decisions.saturating_add(1);
        self.write(Kind::Decision, Some(decided), policy, source, inputs, |line| decided.tell(line));
        id
    }

    /// Writes a checkpoint, if one is due.
    pub(crate) fn tick(&mut self, policy: &AuditPolicy, source: Source<'_>, inputs: &Inputs<'_>) {
        let Some(chain) = &policy.chain else { return };
        // The host's monotonic clock may be the wall's, and be set back.
        self.unchecked = self.unchecked.map(|since| since.min(inputs.monotonic));
        if self.unchecked.is_some_and(|since| inputs.monotonic.saturating_sub(since) >= chain.checkpoint_interval) {
            let decisions = self.decisions;
            self.write(Kind::Checkpoint, None, policy, source, inputs, |line| line.number("decisions", decisions));
            self.unchecked = None;
        }
    }

    /// Writes that the gateway ends, if it has put anything on record.
    pub(crate) fn end(&mut self, policy: &AuditPolicy, source: Source<'_>, inputs: &Inputs<'_>) {
        self.is_ending = true;
        self.take_name(source);
        if self.sequence > 0 {
            let decisions = self.decisions;
            self.write(Kind::End, None, policy, source, inputs, |line| line.number("decisions", decisions));
        }
    }

    /// How many records have found no room since somebody last asked.
    pub(crate) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }

    /// Whether nothing can leave: what `chain` chains waits for its key and for its instance's name, until the gateway ends.
    pub(crate) fn is_empty(&self, chain: Option<&ChainPolicy>, instance: &Instance) -> bool {
        let waits = chain.is_some() && (self.key.is_none() || instance.id().is_none()) && !self.is_ending;
        self.written.is_empty() || waits
    }

    /// The next record to leave, with its MAC where there is a key.
    pub(crate) fn next(&mut self, chain: Option<&ChainPolicy>, instance: &Instance) -> Option<Entry> {
        if self.is_empty(chain, instance) {
            return None;
        }
        let Written { kind, time, sequence, rest, message } = self.written.pop_front()?;
        let name = instance.id().unwrap_or(NAMELESS);
        let mut line = Line::new(kind.as_str());
        line.time("time", time);
        line.text("instance", name);
        line.number("sequence", sequence);
        if kind == Kind::Decision {
            line.text("id", &id_of(name, sequence));
        }
        line.append(&rest);
        // Without a name nobody could tell one chain from another's.
        let line = match self.key.as_ref().filter(|_| instance.id().is_some()) {
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
        self.is_nameless = instance.id().is_none();
        let message = message.map(|rest| message_of(&line, unsigned(time), &rest));
        Some(Entry { line, message })
    }

    /// Begins anew where records have left without a name and there is one now: they are nobody's.
    fn take_name(&mut self, source: Source<'_>) {
        if self.is_nameless && source.instance.id().is_some() {
            (self.sequence, self.decisions, self.unchecked, self.is_nameless) = (0, 0, None, false);
        }
    }

    fn write(
        &mut self,
        kind: Kind,
        decided: Option<&Decided<'_>>,
        policy: &AuditPolicy,
        source: Source<'_>,
        inputs: &Inputs<'_>,
        tell: impl FnOnce(&mut Line),
    ) {
        let sequence = self.sequence;
        self.sequence = sequence.saturating_add(1);
        self.unchecked = self.unchecked.or(Some(inputs.monotonic));
        // What doesn't come leaves a gap, by which it can be told, and fills no memory.
        if self.written.len() >= MAX_WRITTEN {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let mut rest = Line::within();
        tell(&mut rest);
        rest.text("policy", &hex::encode(source.fingerprint.to_bytes()));
        let message = policy.otlp.then(|| rest_of_message(kind, decided, unsigned(inputs.now)));
        self.written.push_back(Written { kind, time: inputs.now, sequence, rest, message });
    }
}

/// A decision's id.
fn id_of(instance: &str, sequence: u64) -> String {
    format!("{instance}/{sequence}")
}

/// A time in OTLP.
fn unsigned(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
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
fn rest_of_message(kind: Kind, decided: Option<&Decided<'_>>, time: u64) -> Vec<u8> {
    const ATTRIBUTES: u8 = 6;
    let mut message = Vec::with_capacity(256);
    put_attribute(&mut message, ATTRIBUTES, "tracegate.audit", Value::Text(kind.as_str()));
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

/// What stands for the instance of a gateway whose host gives no randomness.
pub const NAMELESS: &str = "unknown";
/// So many records wait at most for a key or a name.
const MAX_WRITTEN: usize = 1024;
