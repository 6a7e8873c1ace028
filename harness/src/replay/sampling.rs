// SPDX-License-Identifier: Apache-2.0
//! What the policy's setting for sampling records, and what others would: exchanges, and a day's spans and bytes.
//!
//! The policy's own row is what the module did: it counts what it records, and what it exports is measured. The other rows are what the core decides
//! and exports natively under another setting, about the same requests.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tracegate::config::Loaded;
use tracegate::metrics::Counter;
use tracegate::trace::{DecidedBy, SamplingPolicy, Threshold, TraceFlags, TraceParent};

use super::exporting::Exporting;
use super::native::{Native, Presented};
use super::period::Period;
use super::spans::Spans;
use super::volume::Volume;
use super::{Decided, Replayed, edge, exported, stand_in};
use crate::error::Result;
use crate::otlp::Request;

/// The policy's setting and alternatives, and what each records. Its size doesn't depend on the number of exchanges.
#[derive(Debug)]
pub(super) struct Sampling {
    own: Setting,
    alternatives: Vec<Setting>,
    /// What the core records under the policy's own setting.
    core: Spans,
    period: Period,
    /// What was counted before decides about what comes.
    counts: bool,
    /// The policy exports nothing: what leaves is what an `export` with its defaults would have.
    is_stand_in: bool,
}

/// A setting and what it records.
#[derive(Debug)]
struct Setting {
    probability: f64,
    policy: SamplingPolicy,
    core: Native,
    spans: Spans,
    /// What leaves, by collector.
    volumes: Vec<Volume>,
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
    pub(super) by: Spans,
    /// Each once, however many collectors take it.
    pub(super) spans: u64,
    /// To all collectors together.
    pub(super) bytes: u64,
    pub(super) spans_per_day: Option<u64>,
    pub(super) bytes_per_day: Option<u64>,
}

/// What a page or a reader of JSON is told.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// From the first request to the last.
    seconds: f64,
    /// Whether the core would record as many as the module did under the policy's own setting.
    core_agrees: bool,
    /// Whether the policy exports anything: otherwise spans and bytes are those of an `export` with its defaults.
    exported: bool,
    settings: Vec<Row>,
}

impl Setting {
    /// Takes what leaves of an exchange.
    fn add(&mut self, replayed: &Replayed, by: Option<DecidedBy>, requests: &[Request]) {
        self.spans.add(by, !requests.is_empty());
        for (volume, request) in self.volumes.iter_mut().zip(requests) {
            volume.add(replayed.recorded.time, request);
        }
    }
}

impl Sampling {
    /// `None` where the policy says nothing about sampling.
    ///
    /// # Errors
    ///
    /// Never: the policy's document is canonical.
    pub(super) fn new(loaded: &Loaded, seed: u64) -> Result<Option<Self>> {
        let Some(policy) = loaded.policy.trace.sampling else { return Ok(None) };
        let exporting = Exporting::of(loaded)?;
        let known = stand_in::knowing(&exporting.loaded.policy, seed);
        let setting = |probability, policy| {
            let (core, volumes) = (Native::new(&known, policy, seed), exporting.volumes());
            Setting { probability, policy, core, spans: Spans::default(), volumes }
        };
        let alternatives = ALTERNATIVES.iter().filter_map(|&(text, probability, is_bounded)| {
            let root: Threshold = text.parse().ok()?;
            Some((probability, SamplingPolicy { root, max_per_second: policy.max_per_second.filter(|_| is_bounded), ..policy }))
        });
        let others = alternatives.filter(|(_, other)| *other != policy);
        Ok(Some(Self {
            own: setting(probability(&loaded.canonical), policy),
            alternatives: others.map(|(probability, other)| setting(probability, other)).collect(),
            core: Spans::default(),
            period: Period::default(),
            counts: !loaded.policy.quota.quotas.is_empty(),
            is_stand_in: exporting.is_stand_in,
        }))
    }

    /// Counts the spans of one exchange.
    pub(super) fn add(&mut self, replayed: &Replayed) {
        self.period.add(replayed.recorded.time);
        let head = edge::head(replayed.request());
        let presented = Presented::new(&replayed.recorded, &head, replayed.published.as_deref());
        let decided = &replayed.decided;
        // What the core exports is a request of one resource and one scope, as the module's is.
        let read = |bodies: Vec<Vec<u8>>| exported::read(&bodies, &replayed.recorded, decided).unwrap_or_default();
        let (fate, bodies) = self.own.core.settle(&presented);
        let requests = read(bodies);
        self.core.add(fate.recorded(), !requests.is_empty());
        // Who decided is for the module to tell.
        let sent = sent(decided).map_or(fate.recorded(), |sampled| sampled.then_some(DecidedBy::Parent));
        self.own.add(replayed, sent, &replayed.exported);
        for setting in &mut self.alternatives {
            // What callers decide, and what is refused, is recorded or not whatever the setting: that saves a run.
            if fate.hangs_on_setting() || self.counts {
                let (other, bodies) = setting.core.settle(&presented);
                setting.add(replayed, other.recorded(), &read(bodies));
            } else {
                setting.add(replayed, fate.recorded(), &requests);
            }
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
        let row = |policy: bool, setting: &Setting| {
            let gone: Vec<_> = setting.volumes.iter().map(Volume::all).collect();
            let (spans, bytes) = (gone.first().map_or(0, |gone| gone.spans), gone.iter().map(|gone| gone.bytes).sum());
            Row {
                policy,
                probability: setting.probability,
                max_per_second: setting.policy.max_per_second,
                recorded: setting.spans.all(),
                by: setting.spans,
                spans,
                bytes,
                spans_per_day: self.period.per_day(spans),
                bytes_per_day: self.period.per_day(bytes),
            }
        };
        [row(true, &self.own)].into_iter().chain(self.alternatives.iter().map(|setting| row(false, setting))).collect()
    }

    pub(super) fn shown(&self) -> Shown {
        let exported = !self.is_stand_in;
        Shown { seconds: self.period.seconds(), core_agrees: self.core_agrees(), exported, settings: self.rows() }
    }

    /// What stands over the rows.
    pub(super) fn heading(&self) -> String {
        self.period.heading("sampling: requests recorded", "spans")
    }

    /// What is to be known of spans and bytes, where there is anything.
    pub(super) fn remark(&self) -> Option<&'static str> {
        self.is_stand_in.then_some(STAND_IN)
    }

    /// What is to be known of the alternatives, where there is anything.
    pub(super) fn doubt(&self) -> Option<String> {
        let (core, module) = (self.core.all(), self.own.spans.all());
        let doubt = || format!("{DOUBT}: {core} requests recorded by the policy's own setting, not {module}");
        (!self.core_agrees()).then(doubt)
    }

    fn core_agrees(&self) -> bool {
        self.core == self.own.spans
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
const STAND_IN: &str =
    "the policy exports nothing: spans and bytes are those that an `export` with its defaults would send to one collector";

#[cfg(test)]
mod tests {
    use tracegate::Policy;

    use super::*;

    #[test]
    fn a_module_that_decides_otherwise_than_the_core_casts_doubt() {
        let policy = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"sampling": {}}, "default": {"action": "admit"}}"#;
        let mut sampling = Sampling::new(&Policy::from_json(policy.as_bytes()).unwrap(), 0).unwrap().unwrap();
        assert_eq!(sampling.doubt(), None, "nothing was recorded by either");
        sampling.take(&BTreeMap::from([("tracegate.sampling.recorded.parent".to_owned(), 3)]));
        let doubt = sampling.doubt().unwrap();
        assert!(doubt.ends_with(": 0 requests recorded by the policy's own setting, not 3"), "{doubt}");
        assert_eq!(
            sampling.rows().iter().map(|row| row.recorded).collect::<Vec<_>>(),
            [3, 0, 0, 0, 0],
            "the module's counts are the policy's"
        );
    }
}
