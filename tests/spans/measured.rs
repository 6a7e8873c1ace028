// SPDX-License-Identifier: Apache-2.0
//! What Prometheus reads of durations, and of what comes and goes.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tracegate_harness::collector::{Answer, Collector};
use tracegate_harness::http::Connection;

use super::{ask, often, policy, start};

#[test]
fn durations_are_histograms_by_route_and_cluster_in_the_conventional_buckets() {
    let collector = Collector::start().unwrap();
    collector.answer_always(Answer::Late(Duration::from_millis(30)));
    let mut policy = policy(&often());
    policy["export"]["metrics"] = json!({"request_durations": true});
    policy["trace"] = json!({"sampling": {"root": {"probability": 0}}});
    let Some(envoy) = start(&policy, 2, collector.address()) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    for path in ["/orders/1", "/orders/2", "/closed/1", "/nowhere"] {
        ask(&mut connection, path, &[]);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let expected = [
        // Whether they are recorded or not: refusals are, and so are the first two calls of the collector.
        r#"tracegate_request_duration_ms_count{tracegate_route="order"} 2"#,
        r#"tracegate_request_duration_ms_count{tracegate_route="closed"} 1"#,
        r#"tracegate_request_duration_ms_count{tracegate_route="unmatched"} 1"#,
        r#"tracegate_request_duration_ms_bucket{tracegate_route="order",le="5"} 2"#,
        r#"tracegate_request_duration_ms_bucket{tracegate_route="order",le="10000"} 2"#,
        r#"tracegate_callout_duration_ms_bucket{tracegate_cluster="otel",le="25"} 0"#,
        r#"tracegate_callout_duration_ms_bucket{tracegate_cluster="otel",le="10000"} 1"#,
        r#"tracegate_spans{tracegate_decision="acknowledged",tracegate_reason="otel"} 2"#,
        r#"tracegate_spans{tracegate_decision="queued",tracegate_reason="otel"} 0"#,
    ];
    loop {
        let response = envoy.ask_admin("GET", "/stats/prometheus").unwrap();
        let text = String::from_utf8(response.body).unwrap();
        let missing: Vec<_> = expected.iter().filter(|line| !text.contains(**line)).collect();
        if missing.is_empty() {
            assert_eq!(
                text.matches(r#"tracegate_request_duration_ms_bucket{tracegate_route="order","#).count(),
                15,
                "the conventions' and one for all"
            );
            break;
        }
        let ours: Vec<&str> =
            text.lines().filter(|line| line.contains("tracegate_") && (line.contains("duration") || line.contains("spans"))).collect();
        assert!(Instant::now() < deadline, "{missing:#?} {ours:#?}");
        thread::sleep(Duration::from_millis(100));
    }
}
