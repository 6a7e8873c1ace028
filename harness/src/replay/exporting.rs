// SPDX-License-Identifier: Apache-2.0
//! A policy whose spans leave at once, one exchange's after another, so that each can be told to which exchange it belongs. Gathered they are here, as
//! the policy says and at the recorded pace: a replay's own clock hardly moves.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tracegate::Policy;
use tracegate::config::Loaded;
use tracegate::export::BatchPolicy;

use super::volume::Volume;
use crate::error::{Context as _, Error, Result};

/// A policy whose spans leave at once.
#[derive(Debug)]
pub(super) struct Exporting {
    /// That policy.
    pub(super) loaded: Loaded,
    /// How the policy itself has them gathered, by the collectors' names, in the order in which they are served.
    pub(super) collectors: Vec<(String, BatchPolicy)>,
    /// The policy has no collector: that of an `export` with its defaults stands in.
    pub(super) is_stand_in: bool,
}

impl Exporting {
    /// # Errors
    ///
    /// Never: the document is canonical.
    pub(super) fn of(loaded: &Loaded) -> Result<Self> {
        let is_stand_in = loaded.policy.export.traces.is_empty();
        // Numbers elsewhere stay as they are written.
        let mut document: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&loaded.canonical).context(|| UNREAD)?;
        let mut export: Map<String, Value> =
            document.get("export").map_or_else(|| Ok(Map::new()), |raw| serde_json::from_str(raw.get())).context(|| UNREAD)?;
        // Records for the audit aren't spans: whose chain they are, and how it goes on, a replay can't know.
        document.remove("audit");
        export.remove("logs");
        if is_stand_in {
            export
                .insert("traces".to_owned(), json!({"otlp": {"otlp": {"cluster": CLUSTER, "uri": "http://otlp.invalid:4318/v1/traces"}}}));
        }
        let read = |document: &BTreeMap<_, _>| {
            let text = serde_json::to_string(document).context(|| UNREAD)?;
            Policy::from_json(text.as_bytes()).map_err(|findings| Error::new(format!("{UNREAD}: {findings}")))
        };
        let mut set = |export: &Map<String, Value>| {
            document.insert("export".to_owned(), serde_json::value::to_raw_value(export).context(|| UNREAD)?);
            read(&document)
        };
        let gathered = set(&export)?.policy.export.traces;
        for collector in export.get_mut("traces").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            for kind in collector.as_object_mut().into_iter().flat_map(Map::values_mut) {
                let batch = kind.as_object_mut().map(|kind| kind.entry("batch").or_insert_with(|| json!({})));
                if let Some(Value::Object(batch)) = batch {
                    batch.insert("max_export_batch_size".to_owned(), json!(1));
                }
            }
        }
        let collectors = gathered.into_iter().map(|collector| (collector.name, collector.batch)).collect();
        Ok(Self { loaded: set(&export)?, collectors, is_stand_in })
    }

    /// What leaves for each collector: nothing so far.
    pub(super) fn volumes(&self) -> Vec<Volume> {
        self.collectors.iter().map(|(_, batch)| Volume::new(*batch)).collect()
    }
}

/// Whether the spans of an exchange leave as soon as it is over.
pub(super) fn is_at_once(policy: &Policy) -> bool {
    let collectors = &policy.export.traces;
    !collectors.is_empty() && collectors.iter().all(|collector| collector.batch.max_export_batch_size == 1)
}

const CLUSTER: &str = "tracegate-replay-collector";
const UNREAD: &str = "the canonical policy can't be read";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_leave_at_once_and_are_gathered_as_the_policy_says() {
        let policy = |export: &str| {
            let text = format!(r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "admit"}}{export}}}"#);
            Exporting::of(&Policy::from_json(text.as_bytes()).unwrap()).unwrap()
        };
        let without = policy("");
        assert!(without.is_stand_in && is_at_once(&without.loaded.policy));
        let [(name, batch)] = without.collectors.as_slice() else { panic!("{:?}", without.collectors) };
        assert_eq!((name.as_str(), batch.max_export_batch_size, batch.schedule_delay), ("otlp", 512, 5_000_000_000));
        let with = policy(
            r#", "secrets": {"token": {"environment": {"name": "TOKEN"}}}, "export": {"spans": {"client": true}, "traces": {
                "b": {"otlp": {"cluster": "b", "uri": "http://b/v1/traces", "batch": {"max_export_batch_size": 7}}},
                "a": {"lightstep": {"cluster": "a", "access_token": {"secret": "token"}}}}}"#,
        );
        assert!(!with.is_stand_in && is_at_once(&with.loaded.policy) && with.loaded.policy.export.spans.client);
        let sizes: Vec<_> = with.collectors.iter().map(|(name, batch)| (name.as_str(), batch.max_export_batch_size)).collect();
        assert_eq!(sizes, [("a", 512), ("b", 7)]);
        let audited =
            policy(r#", "export": {"logs": {"a": {"otlp": {"cluster": "a", "uri": "http://a"}}}}, "audit": {"outputs": ["log", "otlp"]}"#);
        assert!(audited.loaded.policy.audit.is_none() && audited.loaded.policy.export.logs.is_empty(), "records are no spans");
    }
}
