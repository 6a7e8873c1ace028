// SPDX-License-Identifier: Apache-2.0
//! A service that is asked for slices ahead of need.

use super::*;

fn lease(max_slice: u64, duration: &str, requests: u64) -> String {
    format!(
        r#"{{"limit": {{"fixed_window": {{"requests": {requests}, "window": "60s"}}}}, "key": [{{"header": "x-key"}}],
            "key_absent": "refuse", "enforcement": {{"global": {{"cluster": "limits", "domain": "shop", "timeout": "50ms",
            "mode": {{"lease": {{"max_slice": {max_slice}, "duration": "{duration}"}}}}, "on_unavailable": "refuse"}}}}}}"#
    )
}

/// So many requests a second for so long, spread over all VMs: how many were admitted, how many refused, and how many waited.
fn load(world: &mut World, per_second: i64, seconds: i64) -> (u64, u64, u64) {
    let (mut admitted, mut refused, mut waited) = (0, 0, Vec::new());
    let (machines, vms) = (world.machines.len(), world.machines[0].vms.len());
    for request in 0..usize::try_from(per_second * seconds).unwrap() {
        let (id, verdict) = world.request((request % machines, request / machines % vms), GET);
        match verdict.as_ref().map(status) {
            None => waited.push(id),
            Some(200) => admitted += 1,
            Some(_) => refused += 1,
        }
        world.pass(SECOND / per_second);
    }
    world.pass(100 * MILLISECOND);
    for id in &waited {
        match status(&world.decided[id]) {
            200 => admitted += 1,
            _ => refused += 1,
        }
    }
    (admitted, refused, u64::try_from(waited.len()).unwrap())
}

#[test]
fn never_more_than_the_limit_is_admitted_and_next_to_nobody_waits() {
    for (tells, burns) in [(false, false), (true, false), (true, true)] {
        let mut world = World::new(&lease(500, "10s", 5000), 2, 2);
        (world.service.limit, world.service.tells, world.service.burns) = (5000, tells, burns);
        let (admitted, refused, waited) = load(&mut world, 500, 20);
        assert_eq!(admitted + refused, 10_000);
        assert!(admitted <= 5000, "{admitted}");
        // What is stranded is at most a slice for each machine.
        assert!(admitted >= 5000 - 2 * 500, "{admitted} {tells} {burns}");
        assert!(waited * 100 <= admitted, "{waited} of {admitted} waited, {tells} {burns}");
        assert!(world.service.asked < 200, "{} questions", world.service.asked);
    }
}

#[test]
fn the_whole_limit_is_admitted_where_nobody_keeps_a_slice() {
    let mut world = World::new(&lease(100, "10s", 1000), 2, 2);
    world.service.limit = 1000;
    let (admitted, refused, _) = load(&mut world, 100, 30);
    assert_eq!((admitted, refused), (1000, 2000), "Limitador takes a question whole or not at all, so the rest is found by smaller ones");
}

#[test]
fn a_slice_counts_in_its_own_window_and_in_no_other() {
    let mut world = World::new(&lease(1000, "10m", 100), 1, 1);
    world.service.limit = 100;
    let (admitted, ..) = load(&mut world, 10, 5);
    assert_eq!(admitted, 50);
    let left = 60 * SECOND - world.now % (60 * SECOND);
    world.pass(left + MILLISECOND);
    let (admitted, refused, _) = load(&mut world, 50, 4);
    assert_eq!((admitted, refused), (100, 100), "what was left of the window before is lost");
}

#[test]
fn a_slice_that_isnt_spent_in_time_is_lost() {
    let mut world = World::new(&lease(1000, "1s", 1000), 1, 1);
    world.service.limit = 1000;
    let _ = load(&mut world, 100, 3);
    let before = world.service.asked;
    world.pass(5 * SECOND);
    let (id, verdict) = world.request((0, 0), GET);
    assert_eq!(verdict, None, "there is none left to spend");
    world.pass(5 * MILLISECOND);
    assert_eq!(status(&world.decided[&id]), 200);
    assert!(world.service.asked > before);
}

#[test]
fn a_clock_that_jumps_back_gives_nothing_twice() {
    let mut world = World::new(&lease(100, "10s", 50), 1, 2);
    world.service.limit = 50;
    let (first, ..) = load(&mut world, 100, 1);
    world.now -= 5 * SECOND;
    let (second, ..) = load(&mut world, 100, 2);
    assert_eq!(first + second, 50);
}

#[test]
fn one_asks_for_all() {
    let mut world = World::new(&lease(100, "10s", 1000), 1, 4);
    world.service.limit = 1000;
    let waiting: Vec<u32> =
        (0..40).map(|request| world.request((0, request % 4), GET)).filter_map(|(id, verdict)| verdict.is_none().then_some(id)).collect();
    assert_eq!((waiting.len(), world.service.asked), (40, 1));
    world.pass(100 * MILLISECOND);
    assert!(waiting.iter().all(|id| status(&world.decided[id]) == 200), "before their time is over");
    assert!(world.service.asked <= 20, "{} questions for 40 requests", world.service.asked);
}

#[test]
fn a_service_that_is_down_makes_nobody_wait_once_that_is_known() {
    let mut world = World::new(&lease(100, "1s", 1000), 1, 1);
    world.service.limit = 1000;
    let _ = load(&mut world, 100, 3);
    world.service.down = true;
    world.pass(3 * SECOND);
    let (_, refused, waited) = load(&mut world, 100, 3);
    assert!(refused >= 295, "{refused}");
    assert!(waited <= 10, "{waited}");
    world.service.down = false;
    world.pass(6 * SECOND);
    let (admitted, _, waited) = load(&mut world, 100, 3);
    assert!(admitted >= 295 && waited <= 10, "{admitted} {waited}");
}

#[test]
fn who_leaves_takes_the_question_along_and_another_asks() {
    let mut world = World::new(&lease(100, "10s", 1000), 1, 1);
    let (id, verdict) = world.request((0, 0), GET);
    assert_eq!(verdict, None);
    let (mut exchange, _) = world.open.remove(&(0, 0, id)).unwrap();
    let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::Closed(Totals::default()), inputs));
    world.calls.clear();
    let (id, verdict) = world.request((0, 0), GET);
    assert_eq!((verdict, world.service.asked), (None, 2), "at once");
    world.pass(3 * MILLISECOND);
    assert_eq!(status(&world.decided[&id]), 200);
    assert_eq!(world.counts().get("failed"), None);
}

#[test]
fn bytes_are_spent_of_slices_when_they_are_known() {
    let quota = lease(1000, "10s", 1).replace("\"requests\": 1", "\"bytes\": 10000");
    let mut world = World::new(&quota, 1, 1);
    world.service.limit = 10_000;
    let mut admitted = 0;
    for _ in 0..40 {
        let (id, verdict) = world.request((0, 0), GET);
        world.pass(5 * MILLISECOND);
        let verdict = verdict.unwrap_or_else(|| world.decided.remove(&id).unwrap());
        let (mut exchange, _) = world.open.remove(&(0, 0, id)).unwrap();
        let _ = world.on((0, 0), |gateway, inputs| {
            exchange.step(gateway, Event::Closed(Totals { request_bytes: 100, response_bytes: 900 }), inputs)
        });
        admitted += u32::from(status(&verdict) == 200);
        world.pass(50 * MILLISECOND);
    }
    assert!((9..=11).contains(&admitted), "{admitted} times 1000 bytes of 10,000");
}

#[test]
fn who_has_spent_more_than_is_left_is_refused_and_the_service_left_alone() {
    for choice in ["\"refuse\"", "\"admit\""] {
        let quota = lease(1000, "10s", 1).replace("\"requests\": 1", "\"bytes\": 10000").replace("\"refuse\"}", &format!("{choice}}}"));
        let quota = quota.replace("\"on_unavailable\": \"refuse\"", &format!("\"on_unavailable\": {choice}"));
        let mut world = World::new(&quota, 1, 1);
        world.service.limit = 10_000;
        let (id, _) = world.request((0, 0), GET);
        world.pass(5 * MILLISECOND);
        let (mut exchange, _) = world.open.remove(&(0, 0, id)).unwrap();
        let _ = world.on((0, 0), |gateway, inputs| {
            exchange.step(gateway, Event::Closed(Totals { request_bytes: 0, response_bytes: 50_000_000 }), inputs)
        });
        let before = world.service.asked;
        for _ in 0..20 {
            let verdict = world.decide((0, 0), GET);
            assert_eq!(status(&verdict), 403, "{choice}");
        }
        assert!(world.service.asked <= before + 2, "{} questions", world.service.asked - before);
    }
}

#[test]
fn a_limit_that_has_been_raised_is_found_out_within_a_lease() {
    let mut world = World::new(&lease(100, "1s", 100), 1, 1);
    world.service.limit = 10;
    let (admitted, ..) = load(&mut world, 50, 1);
    assert_eq!(admitted, 10);
    world.service.limit = 100;
    let (more, ..) = load(&mut world, 50, 5);
    assert_eq!(admitted + more, 100);
}

#[test]
fn a_key_without_a_place_is_asked_about_each_time() {
    let quota = lease(100, "10s", 3).replace("\"on_unavailable\"", "\"slots\": 1, \"on_unavailable\"");
    let mut world = World::new(&quota, 1, 1);
    world.service.limit = 3;
    for key in 0..8 {
        let key: &'static str = Box::leak(format!("k{key}").into_boxed_str());
        let lines: &'static [(&str, &str)] = Box::leak(Box::new([(":method", "GET"), (":path", "/"), ("x-key", key)]));
        assert_eq!(status(&world.decide((0, 0), lines)), 200);
    }
    let found: Vec<u16> = (0..5).map(|_| status(&world.decide((0, 0), GET))).collect();
    assert_eq!(found, [200, 200, 200, 403, 403]);
}

#[test]
fn who_comes_seldom_loses_nothing() {
    let mut world = World::new(&lease(50, "1s", 200), 1, 1);
    world.service.limit = 200;
    for _ in 0..20 {
        assert_eq!(status(&world.decide((0, 0), GET)), 200);
        world.pass(2200 * MILLISECOND);
    }
    assert_eq!(world.service.counters.values().sum::<u64>(), 20, "one for each request");
}

#[test]
fn what_is_asked_ahead_is_at_most_what_was_spent() {
    // Three in a row, then a pause that outlasts the lease.
    let mut world = World::new(&lease(50, "1s", 1000), 1, 1);
    world.service.limit = 1000;
    for _ in 0..10 {
        for _ in 0..3 {
            assert_eq!(status(&world.decide((0, 0), GET)), 200);
            world.pass(20 * MILLISECOND);
        }
        world.pass(1500 * MILLISECOND);
    }
    let taken: u64 = world.service.counters.values().sum();
    assert!(taken <= 90, "{taken} for 30 requests");
}
