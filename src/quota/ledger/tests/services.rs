// SPDX-License-Identifier: Apache-2.0
//! A service that is asked about each request, and what becomes of requests while it isn't there.

use super::*;

fn exact(on_unavailable: &str) -> String {
    format!(
        r#"{{"limit": {{"calendar": {{"requests": 100, "period": "month", "time_zone": "Europe/Amsterdam"}}}}, "key": [{{"header": "x-key"}}],
            "key_absent": "refuse", "enforcement": {{"global": {{"cluster": "limits", "domain": "shop", "timeout": "20ms",
            "on_unavailable": {on_unavailable}, "breaker": {{"failures": 3, "retry_after": "5s"}}}}}}}}"#
    )
}

#[test]
fn machines_share_one_limit_to_the_request() {
    for tells in [false, true] {
        let mut world = World::new(&exact("\"refuse\""), 2, 2);
        world.service.tells = tells;
        let found: Vec<Verdict> = (0..150).map(|request| world.decide((request % 2, request / 2 % 2), GET)).collect();
        assert_eq!(found.iter().filter(|verdict| status(verdict) == 200).count(), 100);
        let refused = found.last().unwrap();
        assert_eq!(status(refused), 403);
        // September ends in Amsterdam on the 30th at 22:00 UTC: nine days and a bit later.
        let Verdict::Refuse(refusal) = refused else { panic!() };
        let text = r#"{ "statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 9.07:46:"#;
        assert!(refusal.body().starts_with(text), "{}", refusal.body());
        let seconds: u64 = header(refused, "retry-after").unwrap().parse().unwrap();
        assert!((805_590..=805_600).contains(&seconds), "{seconds}");
        assert_eq!(world.service.asked, 150, "each is asked about");
    }
}

#[test]
fn many_wait_at_once_and_each_is_answered_for_itself() {
    let mut world = World::new(&exact("\"refuse\""), 2, 1);
    world.service.limit = 30;
    let ids: Vec<u32> = (0..50)
        .map(|request| world.request((request % 2, 0), GET))
        .map(|(id, verdict)| {
            assert_eq!(verdict, None);
            id
        })
        .collect();
    world.pass(5 * MILLISECOND);
    assert_eq!(ids.iter().filter(|id| status(&world.decided[id]) == 200).count(), 30);
    assert_eq!(world.decided.len(), 50);
}

#[test]
fn a_service_that_is_down_is_what_the_policy_makes_of_it() {
    for (choice, expected) in
        [("\"admit\"", [200, 200, 200]), ("\"refuse\"", [503, 503, 503]), (r#"{"local": {"share": 0.02}}"#, [200, 200, 403])]
    {
        let mut world = World::new(&exact(choice), 1, 2);
        world.service.down = true;
        let found = [0, 1, 0].map(|vm| status(&world.decide((0, vm), GET)));
        assert_eq!(found, expected, "{choice}");
        let counts = world.counts();
        assert_eq!((counts["unavailable"], counts["failed"]), (3, 3), "{choice}");
    }
}

#[test]
fn a_service_that_is_down_is_asked_once_in_a_while() {
    let mut world = World::new(&exact("\"admit\""), 1, 1);
    world.service.down = true;
    for _ in 0..50 {
        assert_eq!(status(&world.decide((0, 0), GET)), 200);
    }
    assert_eq!(world.service.asked, 3, "it counts as down after three");
    world.pass(5 * SECOND);
    for _ in 0..50 {
        assert_eq!(status(&world.decide((0, 0), GET)), 200);
    }
    assert_eq!(world.service.asked, 4, "one tries again");
    world.service.down = false;
    world.pass(6 * SECOND);
    for _ in 0..10 {
        assert_eq!(status(&world.decide((0, 0), GET)), 200);
    }
    assert_eq!(world.service.asked, 14, "it answers again");
}

#[test]
fn a_slow_service_costs_a_request_its_timeout_and_no_more() {
    let mut world = World::new(&exact("\"admit\""), 1, 1);
    world.service.latency = SECOND;
    let (id, verdict) = world.request((0, 0), GET);
    assert_eq!(verdict, None);
    world.pass(19 * MILLISECOND);
    assert!(!world.decided.contains_key(&id));
    world.pass(11 * MILLISECOND);
    assert_eq!(world.decided.get(&id).map(status), Some(200));
    // The answer that comes after all changes nothing.
    world.pass(2 * SECOND);
    assert_eq!(world.decided.len(), 1);
}

#[test]
fn an_answer_that_says_nothing_is_none() {
    for garbage in [&b""[..], b"\x08\x00", b"\xff\xff\xff", b"not protobuf", &[8; 70_000]] {
        let mut world = World::new(&exact("\"refuse\""), 1, 1);
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(verdict, None);
        for (_, _, _, answer) in &mut world.calls {
            *answer = Some(garbage.to_vec());
        }
        world.pass(5 * MILLISECOND);
        assert_eq!(world.decided.get(&id).map(status), Some(503), "{}", garbage.escape_ascii());
        assert_eq!(world.counts()["failed"], 1);
    }
}

#[test]
fn over_the_limit_without_statuses_is_over_the_limit() {
    let mut world = World::new(&exact("\"refuse\""), 1, 1);
    world.service.limit = 0;
    let refused = world.decide((0, 0), GET);
    assert_eq!(status(&refused), 403);
    assert!(header(&refused, "ratelimit").unwrap().starts_with("\"q\";r=0;t="));
}

#[test]
fn who_leaves_while_waiting_is_no_fault_of_the_services() {
    let mut world = World::new(&exact("\"admit\""), 1, 1);
    for _ in 0..10 {
        let (id, verdict) = world.request((0, 0), GET);
        assert_eq!(verdict, None);
        let (mut exchange, _) = world.open.remove(&(0, 0, id)).unwrap();
        let _ = world.on((0, 0), |gateway, inputs| exchange.step(gateway, Event::Closed(Totals::default()), inputs));
        // Its stream is over, and the answer with it.
        world.calls.clear();
        world.pass(100 * MILLISECOND);
    }
    assert_eq!(world.counts().get("failed"), None);
    assert_eq!(status(&world.decide((0, 0), GET)), 200);
    assert_eq!(world.service.asked, 11, "it never counted as down");
}

#[test]
fn a_limit_in_shadow_makes_nobody_wait() {
    let quota = exact("\"refuse\"").replace("\"key_absent\"", "\"mode\": \"shadow\", \"key_absent\"");
    let mut world = World::new(&quota, 1, 1);
    world.service.limit = 3;
    for _ in 0..10 {
        assert_eq!(world.request((0, 0), GET).1.as_ref().map(status), Some(200));
        world.pass(2 * MILLISECOND);
    }
    assert_eq!(world.counts()["would_refuse"], 7);
}
