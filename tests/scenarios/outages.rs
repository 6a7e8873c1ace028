// SPDX-License-Identifier: Apache-2.0
//! Whole exchanges while what the gateway calls is down.

use serde_json::json;
use tracegate::CallId;
use tracegate_tests::world::{Message, World, answers, get, ms, secs};

/// For ten minutes nobody takes spans: no request fails or waits for it, and every span is accounted for.
#[test]
fn a_collector_that_is_down_for_ten_minutes_costs_no_request_anything() {
    let batch = json!({"max_queue_size": 100, "max_export_batch_size": 10, "schedule_delay": "1s"});
    let policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "export": {"traces": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces", "batch": batch}}}},
    });
    // What a cluster without a healthy host answers.
    let down = |_: CallId| Some((ms(0), Ok(Message::answer(503))));
    let mut world = World::new(&policy.to_string()).with_upstream(answers(200)).with_service(down);
    let gateway = world.newest();
    for _ in 0..600 {
        let exchange = world.send(get("/orders/7"));
        world.advance(ms(0));
        assert_eq!(world.outcome(exchange).told(), ["request", "response", "closed"], "it is over within the moment in which it came");
        assert_eq!(world.client(exchange).status(), 200);
        world.advance(secs(1));
    }
    let counts = world.counts(gateway);
    let of = |fate: &str| counts.get(format!("tracegate.spans.{fate}.otel").as_str()).copied().unwrap_or(0);
    assert_eq!((of("recorded"), of("acknowledged")), (600, 0));
    assert!(of("dropped_queue_full") > 100 && of("dropped_expired") > 0, "{counts:?}");
    let queued = of("recorded") - of("dropped_queue_full") - of("dropped_expired");
    assert!((90..=100).contains(&queued), "the queue is full, or one batch below: {queued}");
}
