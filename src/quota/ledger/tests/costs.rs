// SPDX-License-Identifier: Apache-2.0
//! What requests cost, where that turns out later.

use super::*;

fn end(world: &mut World, id: u32, status: &str, totals: Totals) {
    let (mut exchange, _) = world.open.remove(&(0, 0, id)).unwrap();
    let line = [Header { name: b":status", value: status.as_bytes() }];
    let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::Response(Headers::new(&line)), inputs));
    let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::Closed(totals), inputs));
}

#[test]
fn a_response_that_is_free_gives_its_cost_back() {
    let quota = r#"{"limit": {"fixed_window": {"requests": 3, "window": "30m"}}, "key": ["route"],
        "cost": {"response": {"not_status": [429, "5xx"]}}, "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    for (answer, expected) in [("429", 200), ("503", 200), ("200", 200), ("200", 200), ("200", 200), ("200", 403)] {
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(status(&verdict.unwrap()), expected, "{answer}");
        end(&mut world, id, answer, Totals::default());
    }
}

#[test]
fn a_cost_is_taken_ahead_so_that_no_more_are_admitted_at_once() {
    let quota = r#"{"limit": {"fixed_window": {"requests": 3, "window": "30m"}}, "key": ["route"],
        "cost": {"response": {"status": ["2xx"]}}, "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    let found: Vec<u16> = (0..5).map(|_| status(&world.request((0, 0), GET).1.unwrap())).collect();
    assert_eq!(found, [200, 200, 200, 403, 403]);
    end(&mut world, 0, "404", Totals::default());
    assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 200);
    // A response that never comes costs what it was thought to.
    let (mut exchange, _) = world.open.remove(&(0, 0, 1)).unwrap();
    let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::Closed(Totals::default()), inputs));
    assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 403);
}

#[test]
fn a_request_that_its_host_doesnt_let_go_on_gives_its_cost_back() {
    let quota = r#"{"limit": {"fixed_window": {"requests": 2, "window": "30m"}}, "key": ["route"], "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    for (failure, expected) in [
        (HostFailure::HeadNotEdited, 200),
        (HostFailure::NotContinued, 200),
        (HostFailure::TrailersUnreadable, 200),
        (HostFailure::TrailersNotEdited, 200),
        (HostFailure::HeadNotEdited, 403),
    ] {
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(status(&verdict.unwrap()), expected, "{failure:?}");
        let (mut exchange, _) = world.open.remove(&(0, 0, id)).unwrap();
        let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::HostFailed(failure), inputs));
        let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::Closed(Totals::default()), inputs));
    }
}

#[test]
fn bytes_are_counted_when_they_are_known() {
    let quota = r#"{"limit": {"fixed_window": {"bytes": 1000, "window": "30m"}}, "key": ["route"], "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    for (request_bytes, response_bytes, expected) in [(100, 300, 200), (0, 599, 200), (0, 5000, 200), (0, 0, 403)] {
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(status(verdict.as_ref().unwrap()), expected);
        if let Some(Verdict::Refuse(refusal)) = &verdict {
            assert!(refusal.body().contains("Out of bandwidth quota. Quota will be replenished in 00:"), "{}", refusal.body());
            assert!(header(verdict.as_ref().unwrap(), "ratelimit-policy").unwrap().contains("q=1000;qu=\"content-bytes\";w=1800"));
        }
        end(&mut world, id, "200", Totals { request_bytes, response_bytes });
    }
}

#[test]
fn bytes_taken_ahead_are_given_back_where_they_werent_needed() {
    let quota = r#"{"limit": {"fixed_window": {"bytes": 1000, "window": "30m"}}, "key": ["route"], "cost": {"reserve_bytes": 400},
        "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    let found: Vec<u16> = (0..3).map(|_| status(&world.request((0, 0), GET).1.unwrap())).collect();
    assert_eq!(found, [200, 200, 403], "800 are taken");
    end(&mut world, 0, "200", Totals { request_bytes: 0, response_bytes: 10 });
    assert_eq!(status(&world.request((0, 0), GET).1.unwrap()), 200, "410 were taken");
}

#[test]
fn what_a_condition_excepts_costs_nothing_and_is_held_to_the_limit() {
    let quota = r#"{"limit": {"fixed_window": {"requests": 1, "window": "30m"}}, "key": ["route"],
        "cost": {"when": {"method": ["POST"]}}, "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    const POST: &[(&str, &str)] = &[(":method", "POST"), (":path", "/")];
    assert_eq!([GET, GET, POST, POST, GET].map(|lines| status(&world.request((0, 0), lines).1.unwrap())), [200, 200, 200, 403, 403]);
}

#[test]
fn who_is_refused_by_one_limit_is_charged_by_none() {
    let text = br#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "quotas": {
        "wide": {"limit": {"fixed_window": {"requests": 3, "window": "30m"}}, "key": ["route"], "enforcement": {"local": {}}},
        "narrow": {"limit": {"fixed_window": {"requests": 1, "window": "30m"}}, "key": [{"header": "x-key"}], "key_absent": "skip",
            "enforcement": {"local": {}}}},
        "routes": [{"name": "all", "quotas": ["wide", "narrow"]}]}"#;
    let mut world = World::new(
        r#"{"limit": {"fixed_window": {"requests": 1, "window": "30m"}}, "key": ["route"], "enforcement": {"local": {}}}"#,
        1,
        1,
    );
    world.machines[0].vms = vec![Gateway::new(GatewayId(0), Policy::from_json(text).unwrap().policy)];
    const BOB: &[(&str, &str)] = &[(":method", "GET"), (":path", "/"), ("x-key", "bob")];
    const CAROL: &[(&str, &str)] = &[(":method", "GET"), (":path", "/"), ("x-key", "carol")];
    let asked = [GET, GET, GET, GET, BOB, CAROL, BOB];
    assert_eq!(asked.map(|lines| status(&world.request((0, 0), lines).1.unwrap())), [200, 403, 403, 403, 200, 200, 403]);
}

#[test]
fn bytes_that_a_condition_excepts_cost_nothing_later_either() {
    let quota = r#"{"limit": {"fixed_window": {"bytes": 1000, "window": "30m"}}, "key": ["route"], "cost": {"when": {"method": ["POST"]}},
        "enforcement": {"local": {}}}"#;
    let mut world = World::new(quota, 1, 1);
    for _ in 0..3 {
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(status(&verdict.unwrap()), 200);
        end(&mut world, id, "200", Totals { request_bytes: 5000, response_bytes: 5000 });
    }
}
