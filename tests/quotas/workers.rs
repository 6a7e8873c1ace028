// SPDX-License-Identifier: Apache-2.0
//! One machine: with any number of workers exactly the limit is admitted.

use serde_json::json;

use super::{limit, metric, outcomes, policy, start, storm};

#[test]
fn with_two_and_with_four_workers_exactly_the_limit_is_admitted() {
    let kinds = [
        (json!({"fixed_window": {"requests": 1000, "window": "30m"}}), "403 QuotaExceeded"),
        (json!({"sliding_window": {"requests": 1000, "window": "30m"}}), "429 RateLimitExceeded"),
        // One each quarter of an hour flows back: none while this runs.
        (json!({"rate": {"requests": 96, "window": "24h", "burst": 1000}}), "429 RateLimitExceeded"),
    ];
    for workers in [2, 4] {
        for (kind, refused) in &kinds {
            let quota = limit(0, &json!({"limit": kind, "enforcement": {"local": {"volatile": true}}}));
            let Some(envoy) = start(&policy(&quota), workers, None) else { return };
            let found = storm(&[envoy.listener()], 8, 250, "alice");
            println!("{workers} workers, {kind}: {found:?}");
            assert_eq!(found, outcomes([("200", 1000), (refused, 1000)]), "{workers} workers");
            assert_eq!(metric(&envoy, "admitted", |count| count == 1000), 1000);
            assert_eq!(metric(&envoy, "refused", |count| count == 1000), 1000);
        }
    }
}

#[test]
fn a_limit_of_one_admits_one() {
    let Some(envoy) = start(&policy(&limit(1, &json!({}))), 2, None) else { return };
    assert_eq!(storm(&[envoy.listener()], 8, 10, "alice"), outcomes([("200", 1), ("403 QuotaExceeded", 79)]));
    assert_eq!(storm(&[envoy.listener()], 8, 10, "bob"), outcomes([("200", 1), ("403 QuotaExceeded", 79)]));
}
