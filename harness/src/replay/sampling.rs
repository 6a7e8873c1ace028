// SPDX-License-Identifier: Apache-2.0
//! What the policy's setting for sampling records, and what others would: spans, and an estimate of spans and bytes a day.
//!
//! The policy's own row is what the module did: it counts what it records. Errors and bytes go by the sampled flag that it sent on. The other
//! rows are what the core decides natively under another setting, about the same requests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tracegate::config::Loaded;
use tracegate::metrics::Counter;
use tracegate::trace::{DecidedBy, SamplingPolicy, Threshold, TraceFlags, TraceParent};

use super::native::{Native, Presented};
use super::span_size::Span;
use super::spans::Spans;
use super::{Decided, Replayed, edge, stand_in};

/// The policy's setting and alternatives, and what each records. Its size doesn't depend on the number of exchanges.
#[derive(Debug)]
pub(super) struct Sampling {
    own: Setting,
    alternatives: Vec<Setting>,
    /// What the core records under the policy's own setting.
    core: Spans,
    times: Option<(Timestamp, Timestamp)>,
    /// What was counted before decides about what comes.
    counts: bool,
}

/// A setting and what it records.
#[derive(Debug)]
struct Setting {
    probability: f64,
    policy: SamplingPolicy,
    core: Native,
    spans: Spans,
}

/// A setting, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// Whether it is the policy's.
    pub(super) policy: bool,
    pub(super) probability: f64,
    pub(super) max_per_second: Option<u32>,
    pub(super) recorded: u64,
    #[serde(flatten)]
    pub(super) spans: Spans,
    pub(super) spans_per_day: Option<u64>,
    #[serde(rename = "estimated_bytes_per_day")]
    pub(super) bytes_per_day: Option<u64>,
}

/// What a page or a reader of JSON is told.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// From the first request to the last.
    seconds: f64,
    /// Whether the core would record as many as the module did under the policy's own setting.
    core_agrees: bool,
    settings: Vec<Row>,
}

impl Sampling {
    /// `None` where the policy says nothing about sampling.
    pub(super) fn new(loaded: &Loaded, seed: u64) -> Option<Self> {
        let policy = loaded.policy.trace.sampling?;
        let known = stand_in::knowing(&loaded.policy, seed);
        let setting =
            |probability, policy| Setting { probability, policy, core: Native::new(&known, policy, seed), spans: Spans::default() };
        let alternatives = ALTERNATIVES.iter().filter_map(|&(text, probability, is_bounded)| {
            let root: Threshold = text.parse().ok()?;
            Some((probability, SamplingPolicy { root, max_per_second: policy.max_per_second.filter(|_| is_bounded), ..policy }))
        });
        let others = alternatives.filter(|(_, other)| *other != policy);
        Some(Self {
            own: setting(probability(&loaded.canonical), policy),
            alternatives: others.map(|(probability, other)| setting(probability, other)).collect(),
            core: Spans::default(),
            times: None,
            counts: !loaded.policy.quota.quotas.is_empty(),
        })
    }

    /// Counts the spans of one exchange.
    pub(super) fn add(&mut self, replayed: &Replayed) {
        let time = replayed.recorded.time;
        self.times = Some(self.times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        let head = edge::head(replayed.request());
        let presented = Presented::new(&replayed.recorded, &head, replayed.published.as_deref());
        let decided = &replayed.decided;
        let failed = decided.status() >= 500;
        let fate = self.own.core.settle(&presented);
        let size = Span::of(replayed, fate).size();
        self.core.add(fate.recorded(), failed && self.own.policy.record_errors, size);
        // Who decided is for the module to tell.
        let sent = sent(decided).map_or(fate.recorded(), |sampled| sampled.then_some(DecidedBy::Parent));
        self.own.spans.add(sent, failed && self.own.policy.record_errors, size);
        for Setting { policy, core, spans, .. } in &mut self.alternatives {
            // What callers decide, and what is refused, is recorded or not whatever the setting: that saves a run.
            let other = if fate.hangs_on_setting() || self.counts { core.settle(&presented) } else { fate };
            spans.add(other.recorded(), failed && policy.record_errors, size);
        }
    }

    /// Takes what the module has counted.
    pub(super) fn take(&mut self, metrics: &BTreeMap<String, u64>) {
        let count = |by| metrics.get(&Counter::Recorded(by).name()).copied().unwrap_or(0);
        let (by_parent, by_probability, refused) = (count(DecidedBy::Parent), count(DecidedBy::Probability), count(DecidedBy::Refusal));
        self.own.spans = Spans { by_parent, by_probability, refused, ..self.own.spans };
    }

    /// The policy's setting, then the alternatives.
    pub(super) fn rows(&self) -> Vec<Row> {
        let nanoseconds = self.nanoseconds();
        let row = |policy: bool, setting: &Setting| Row {
            policy,
            probability: setting.probability,
            max_per_second: setting.policy.max_per_second,
            recorded: setting.spans.all(),
            spans_per_day: per_day(setting.spans.all(), nanoseconds),
            bytes_per_day: per_day(setting.spans.bytes, nanoseconds),
            spans: setting.spans,
        };
        [row(true, &self.own)].into_iter().chain(self.alternatives.iter().map(|setting| row(false, setting))).collect()
    }

    pub(super) fn shown(&self) -> Shown {
        Shown { seconds: self.nanoseconds() as f64 / 1e9, core_agrees: self.core_agrees(), settings: self.rows() }
    }

    /// What stands over the rows.
    pub(super) fn heading(&self) -> String {
        let nanoseconds = self.nanoseconds();
        let (seconds, minutes) = (nanoseconds / SECOND, nanoseconds / MINUTE);
        let of = match nanoseconds {
            0 => return "sampling: spans recorded; no time passes in this recording, so nothing can be said of a day".to_owned(),
            1..MINUTE => format!("{seconds} seconds of recording, which say little of one"),
            MINUTE..HOUR => format!("{minutes} minutes of recording, which say little of one"),
            HOUR.. => format!("{}.{} hours of recording", (minutes + 3) / 60, (minutes + 3) % 60 / 6),
        };
        format!("sampling: spans recorded, and estimated for a day from {of}")
    }

    /// What is to be known of the alternatives, where there is anything.
    pub(super) fn doubt(&self) -> Option<String> {
        let (core, module) = (self.core.all(), self.own.spans.all());
        let doubt = || format!("{DOUBT}: {core} spans by the policy's own setting, not {module}");
        (!self.core_agrees()).then(doubt)
    }

    fn core_agrees(&self) -> bool {
        self.core == self.own.spans
    }

    fn nanoseconds(&self) -> u128 {
        let passed = self.times.map_or(0, |(first, last)| last.as_nanosecond() - first.as_nanosecond());
        u128::try_from(passed).unwrap_or(0)
    }
}

impl Row {
    /// As people would say it.
    pub(super) fn name(&self) -> String {
        let Self { policy, probability, max_per_second, .. } = self;
        let most = max_per_second.map_or_else(|| "no bound".to_owned(), |most| format!("{most}/s"));
        format!("probability {probability}, {most}{}", if *policy { " (the policy)" } else { "" })
    }
}

/// Whether the module told the upstream that a span is recorded; `None` where nothing reached it, or is told in another format.
fn sent(decided: &Decided) -> Option<bool> {
    let sent = decided.upstream()?.first(b"traceparent")?;
    TraceParent::try_from(sent).ok().map(|sent| sent.flags().contains(TraceFlags::SAMPLED))
}

fn per_day(count: u64, nanoseconds: u128) -> Option<u64> {
    u64::try_from((u128::from(count) * 24 * HOUR + nanoseconds / 2).checked_div(nanoseconds)?).ok()
}

/// The policy's own probability, as it is written.
fn probability(canonical: &str) -> f64 {
    let document: Value = serde_json::from_str(canonical).unwrap_or_default();
    document.pointer("/trace/sampling/root/probability").and_then(Value::as_f64).unwrap_or(1.0)
}

/// Probabilities, and whether the policy's bound stays.
const ALTERNATIVES: &[(&str, f64, bool)] =
    &[("1", 1.0, false), ("0.1", 0.1, true), ("0.01", 0.01, true), ("0.001", 0.001, true), ("0", 0.0, true)];
/// The module is of another version, or its host gave it other randomness.
const DOUBT: &str = "alternatives are as this harness's own core decides, which is otherwise than the module does";
const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;

#[cfg(test)]
mod tests {
    use tracegate::Policy;

    use super::*;

    #[test]
    fn a_module_that_decides_otherwise_than_the_core_casts_doubt() {
        let policy = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"sampling": {}}, "default": {"action": "admit"}}"#;
        let mut sampling = Sampling::new(&Policy::from_json(policy.as_bytes()).unwrap(), 0).unwrap();
        assert_eq!(sampling.doubt(), None, "nothing was recorded by either");
        sampling.take(&BTreeMap::from([("tracegate.sampling.recorded.parent".to_owned(), 3)]));
        let doubt = sampling.doubt().unwrap();
        assert!(doubt.ends_with(": 0 spans by the policy's own setting, not 3"), "{doubt}");
        assert_eq!(
            sampling.rows().iter().map(|row| row.recorded).collect::<Vec<_>>(),
            [3, 0, 0, 0, 0],
            "the module's counts are the policy's"
        );
    }

    #[test]
    fn what_is_recorded_is_scaled_to_a_day() {
        for (count, nanoseconds, expected) in
            [(5, 0, None), (5, HOUR, Some(120)), (2, 48 * HOUR, Some(1)), (1, 7 * 24 * HOUR, Some(0)), (u64::MAX, 1, None)]
        {
            assert_eq!(per_day(count, nanoseconds), expected, "{count} in {nanoseconds} ns");
        }
    }
}
