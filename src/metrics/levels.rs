// SPDX-License-Identifier: Apache-2.0
//! How much there is of what comes and goes, for the host's gauges. The gateway's workers share them: each adds by how much its own have changed.

use crate::config::Policy;
use crate::export::Collector;
use crate::identity::{Keys, Provider};
use crate::quota::Enforcement;

/// How much there is, by index in [`names`](Self::names).
#[derive(Debug)]
pub(crate) struct Levels {
    now: Vec<u32>,
    /// What the host was last told.
    told: Vec<u32>,
}

impl Levels {
    pub(crate) fn new(policy: &Policy) -> Self {
        let count = Self::names(policy).len();
        Self { now: vec![0; count], told: vec![0; count] }
    }

    /// The gauges' names: what waits for collectors, in their order; workers that have a provider's published keys; workers for which a quota's service
    /// counts as down; and tokens that are known to be genuine.
    pub(crate) fn names(policy: &Policy) -> Vec<String> {
        let queued = |signal: &'static str| move |collector: &Collector| format!("tracegate.{signal}.queued.{}", collector.name);
        let spans = policy.export.traces.iter().map(queued("spans"));
        let logs = policy.export.logs.iter().map(queued("logs"));
        let keys = policy.identity.providers.iter().filter(|provider| is_published(provider));
        let keys = keys.map(|provider| format!("tracegate.keys.usable.{}", provider.name));
        let down = policy.quota.quotas.iter().filter(|quota| matches!(quota.enforcement, Enforcement::Global(_)));
        let down = down.map(|quota| format!("tracegate.quotas.service_down.{}", quota.name));
        let tokens = policy.identity.providers.iter().any(|provider| provider.token().is_some());
        let tokens = tokens.then(|| "tracegate.tokens.remembered.all".to_owned());
        spans.chain(logs).chain(keys).chain(down).chain(tokens).collect()
    }

    /// This is how much there is now, in the order of the names.
    pub(crate) fn set(&mut self, levels: impl Iterator<Item = u32>) {
        self.now.iter_mut().zip(levels).for_each(|(now, level)| *now = level);
    }

    /// Nothing is left: the worker ends.
    pub(crate) fn clear(&mut self) {
        self.now.fill(0);
    }

    /// By how much each has changed since the last time.
    pub(crate) fn drain(&mut self) -> Vec<i64> {
        let change = |(now, told): (&u32, &mut u32)| i64::from(*now).saturating_sub(std::mem::replace(told, *now).into());
        self.now.iter().zip(&mut self.told).map(change).collect()
    }
}

/// Whether the provider's keys are its issuer's to publish.
pub(crate) fn is_published(provider: &Provider) -> bool {
    provider.token().is_some_and(|provider| matches!(provider.keys, Keys::Published(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_told_of_changes_and_of_the_end() {
        let policy = br#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "secrets": {"k": {"environment": {"name": "K"}}},
            "identity": {"providers": {
                "idp": {"jwt": {"issuer": "https://idp", "audiences": ["a"], "algorithms": ["ES256"], "keys": {"jwks": {"uri": "https://idp/keys", "cluster": "idp"}}}},
                "fixed": {"jwt": {"issuer": "https://a", "audiences": ["a"], "algorithms": ["HS256"], "keys": {"secrets": [{"key": {"secret": "k"}}]}}}}},
            "quotas": {
                "far": {"limit": {"fixed_window": {"requests": 1, "window": "1s"}}, "key": ["source"], "key_absent": "skip",
                    "enforcement": {"global": {"cluster": "limits", "domain": "d", "timeout": "20ms", "mode": "exact", "on_unavailable": "admit"}}},
                "near": {"limit": {"rate": {"requests": 1, "window": "1s"}}, "key": ["source"], "key_absent": "skip", "enforcement": {"local": {}}}},
            "export": {"traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://a"}}}, "logs": {"otel": {"otlp": {"cluster": "otel", "uri": "http://a"}}}}}"#;
        let policy = crate::Policy::from_json(policy).unwrap_or_else(|findings| panic!("{findings:?}")).policy;
        let names = ["spans.queued.otel", "logs.queued.otel", "keys.usable.idp", "quotas.service_down.far", "tokens.remembered.all"];
        assert_eq!(Levels::names(&policy), names.map(|name| format!("tracegate.{name}")));
        let mut levels = Levels::new(&policy);
        levels.set([3, 0, 1, 0, 7].into_iter());
        assert_eq!(levels.drain(), [3, 0, 1, 0, 7]);
        levels.set([1, 0, 1, 1, 9].into_iter());
        assert_eq!(levels.drain(), [-2, 0, 0, 1, 2]);
        assert_eq!(levels.drain(), [0; 5]);
        levels.clear();
        assert_eq!(levels.drain(), [-1, 0, -1, -1, -9]);
    }
}
