// SPDX-License-Identifier: Apache-2.0
//! How long things take, for the host's histograms: requests by route, if the policy asks for it, and calls by cluster.

use std::collections::BTreeMap;

use crate::config::Policy;
use crate::effect::{CallId, Effect};

/// What has been measured and not been told yet.
#[derive(Debug)]
pub(crate) struct Durations {
    /// By index in [`names`](Self::names), in milliseconds.
    samples: Vec<(usize, u64)>,
    /// The clusters that are called, in order, and where their histograms begin.
    clusters: Vec<String>,
    first_cluster: usize,
    /// Calls under way: which cluster's, and since when on the monotonic clock.
    under_way: BTreeMap<CallId, (usize, u64)>,
}

/// A request whose duration is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    /// Its histogram.
    index: usize,
    /// When it came, on the monotonic clock.
    began: u64,
}

impl Durations {
    pub(crate) fn new(policy: &Policy) -> Self {
        let clusters = policy.clusters().into_iter().map(str::to_owned).collect();
        let first_cluster = if policy.export.request_durations { policy.routes.routes().len().saturating_add(1) } else { 0 };
        Self { samples: Vec::new(), clusters, first_cluster, under_way: BTreeMap::new() }
    }

    /// The histograms' names, by index. The unit is a millisecond.
    pub(crate) fn names(policy: &Policy) -> Vec<String> {
        let request = |route: &str| format!("tracegate.request_duration_ms.{}", plain(route));
        let mut names: Vec<String> = Vec::new();
        if policy.export.request_durations {
            names.extend(policy.routes.routes().iter().map(|route| request(&route.name)));
            names.push(request("unmatched"));
        }
        names.extend(policy.clusters().into_iter().map(|cluster| format!("tracegate.callout_duration_ms.{}", plain(cluster))));
        names
    }

    /// A request has come that is this route's, by its place, or nobody's. `None` where nobody asks how long it takes.
    pub(crate) fn begin(policy: &Policy, route: Option<usize>, began: u64) -> Option<Timed> {
        let unmatched = policy.routes.routes().len();
        policy.export.request_durations.then(|| Timed { index: route.unwrap_or(unmatched), began })
    }

    /// A request is over.
    pub(crate) fn end(&mut self, Timed { index, began }: Timed, monotonic: u64) {
        self.add(index, monotonic.saturating_sub(began));
    }

    /// Calls are asked for.
    pub(crate) fn call(&mut self, effects: &[Effect], monotonic: u64) {
        for effect in effects {
            let cluster = self.clusters.iter().position(|cluster| cluster == effect.cluster());
            if let Some(cluster) = cluster.filter(|_| self.under_way.len() < MAX_UNDER_WAY) {
                self.under_way.insert(effect.call(), (cluster, monotonic));
            }
        }
    }

    /// A call has an answer, or failed.
    pub(crate) fn answer(&mut self, call: CallId, monotonic: u64) {
        if let Some((cluster, since)) = self.under_way.remove(&call) {
            self.add(self.first_cluster.saturating_add(cluster), monotonic.saturating_sub(since));
        }
    }

    /// Forgets calls whose answers were lost.
    pub(crate) fn tick(&mut self, monotonic: u64) {
        // The host's clock may have been set back.
        self.under_way.retain(|_, (_, since)| *since <= monotonic && monotonic.saturating_sub(*since) <= LONGEST);
    }

    /// What hasn't been told yet.
    pub(crate) fn take(&mut self) -> Vec<(usize, u64)> {
        std::mem::take(&mut self.samples)
    }

    fn add(&mut self, index: usize, nanoseconds: u64) {
        // Who hosts us takes them after each step: this bound is for one that doesn't.
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push((index, nanoseconds / 1_000_000));
        }
    }
}

/// A name as metrics can hold it.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') { letter } else { '_' }).collect()
}

const MAX_UNDER_WAY: usize = 4096;
const MAX_SAMPLES: usize = 4096;
/// No call takes longer, in nanoseconds.
const LONGEST: u64 = 300_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Fetch, GatewayId};

    const SECOND: u64 = 1_000_000_000;

    fn policy(export: &str) -> Policy {
        let policy = format!(
            r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "admit"}},
            "routes": [{{"name": "one"}}, {{"name": "a.b c"}}], "export": {{"metrics": {{{export}}},
            "traces": {{"a": {{"otlp": {{"cluster": "otel.b", "uri": "http://a"}}}}, "b": {{"otlp": {{"cluster": "logs", "uri": "http://a"}}}}}}}}}}"#
        );
        Policy::from_json(policy.as_bytes()).unwrap().policy
    }

    fn call(serial: u64, cluster: &str) -> Effect {
        let uri = "http://a/b".parse().unwrap();
        let call = CallId { gateway: GatewayId(1), serial };
        Effect::Fetch(Fetch { call, cluster: cluster.into(), uri, accept: "", headers: vec![], timeout: 1, max_body: 1 })
    }

    #[test]
    fn requests_are_timed_by_route_if_asked_and_calls_by_cluster() {
        let asked = policy("\"request_durations\": true");
        let requests = ["one", "a_b_c", "unmatched"].map(|route| format!("tracegate.request_duration_ms.{route}"));
        let callouts = ["logs", "otel_b"].map(|cluster| format!("tracegate.callout_duration_ms.{cluster}"));
        assert_eq!(Durations::names(&asked), [requests.as_slice(), &callouts].concat());
        let mut durations = Durations::new(&asked);
        durations.end(Durations::begin(&asked, Some(1), SECOND).unwrap(), SECOND + 7_999_999);
        durations.end(Durations::begin(&asked, None, SECOND).unwrap(), 0);
        durations.call(&[call(1, "otel.b"), call(2, "logs"), call(3, "other")], SECOND);
        durations.answer(CallId { gateway: GatewayId(1), serial: 1 }, 3 * SECOND);
        durations.answer(CallId { gateway: GatewayId(1), serial: 3 }, 3 * SECOND);
        assert_eq!(durations.take(), [(1, 7), (2, 0), (4, 2000)]);
        durations.tick(301 * SECOND);
        durations.answer(CallId { gateway: GatewayId(1), serial: 2 }, 302 * SECOND);
        assert_eq!(durations.take(), [(3, 301_000)], "not yet forgotten");

        let unasked = policy("");
        assert_eq!(Durations::names(&unasked), callouts);
        assert!(Durations::begin(&unasked, Some(1), 0).is_none());
        let mut durations = Durations::new(&unasked);
        durations.call(&[call(1, "logs")], 0);
        durations.tick(301 * SECOND);
        durations.answer(CallId { gateway: GatewayId(1), serial: 1 }, 301 * SECOND);
        assert_eq!(durations.take(), [], "an answer that never came");
    }

    #[test]
    fn what_nobody_takes_and_what_nobody_answers_has_bounds() {
        let mut durations = Durations::new(&policy(""));
        for serial in 0..10_000 {
            durations.call(&[call(serial, "logs")], 0);
        }
        assert_eq!(durations.under_way.len(), MAX_UNDER_WAY);
        for _ in 0..10_000 {
            durations.add(0, 1);
        }
        assert_eq!(durations.take().len(), MAX_SAMPLES);
    }
}
