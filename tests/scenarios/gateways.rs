// SPDX-License-Identifier: Apache-2.0
//! Several configurations in one VM.

use std::collections::BTreeMap;

use tracegate_tests::world::{World, answers, get, ms, secs};

use crate::{ADMITTED, CONTINUED, DENIED, NEW_POLICY, NOT_FOUND, PARENT, POLICY, RESTARTED, SHADOWED};

#[test]
fn an_exchange_opened_under_the_old_configuration_finishes_under_it() {
    let mut world = World::new(POLICY).beyond_modules().with_upstream(answers(200).after(secs(3)));
    let (old, trial) = (world.newest(), get("/trial").with("traceparent", PARENT));
    let early = world.send(trial.clone());
    world.advance(secs(1));
    let slow = world.send_after(secs(2), trial.clone());
    let new = world.configure(NEW_POLICY);
    let late = world.send(trial.clone());
    world.finish();
    for request in [early, slow] {
        assert_eq!(world.outcome(request).gateway(), old);
        assert_eq!(world.client(request).status(), 200, "the old policy only tries its rule");
        assert!(world.upstream(request).values("tracestate").is_empty());
    }
    assert_eq!((world.outcome(late).gateway(), world.client(late).status()), (new, 403));
    assert_eq!(world.counts(old), BTreeMap::from([(ADMITTED, 2), (SHADOWED, 2), (CONTINUED, 2)]));
    assert_eq!(world.counts(new), BTreeMap::from([(DENIED, 1), (CONTINUED, 1)]));
}

#[test]
fn interleaved_exchanges_of_two_gateways_do_not_mix() {
    let mut world = World::new(POLICY).beyond_modules().with_upstream(answers(200).after(ms(50)));
    let old = world.newest();
    let through_old: Vec<_> = (0..20).map(|index| world.send_after(ms(10 * index), get("/nowhere"))).collect();
    let new = world.configure(NEW_POLICY);
    let through_new: Vec<_> = (0..10).map(|index| world.send_after(ms(20 * index), get("/nowhere"))).collect();
    let order = world.send_after(ms(55), get("/orders"));
    world.finish();
    assert!(through_old.iter().all(|&request| world.client(request).status() == 404));
    assert!(through_new.iter().all(|&request| world.client(request).status() == 410));
    assert_eq!(world.upstream(order).one("tracestate"), format!("tgate={}", world.upstream(order).trace().parent_id()));
    assert_eq!(world.counts(old), BTreeMap::from([(NOT_FOUND, 20), (RESTARTED, 20)]));
    assert_eq!(world.counts(new), BTreeMap::from([(ADMITTED, 1), (NOT_FOUND, 10), (RESTARTED, 11)]));
}

#[test]
fn each_gateway_hands_its_counts_over_on_its_own_tick_and_once() {
    let mut world = World::new(POLICY).beyond_modules();
    let old = world.newest();
    world.advance(ms(500));
    let new = world.configure(POLICY);
    world.send(get("/orders"));
    world.advance(ms(999));
    assert!(world.counts(old).is_empty() && world.counts(new).is_empty());
    world.advance(ms(1));
    assert_eq!(world.counts(new), BTreeMap::from([(ADMITTED, 1), (RESTARTED, 1)]));
    world.advance(secs(60));
    assert_eq!(world.counts(new), BTreeMap::from([(ADMITTED, 1), (RESTARTED, 1)]));
    assert!(world.counts(old).is_empty());
}
