// SPDX-License-Identifier: Apache-2.0
//! How exchanges end.

use std::collections::BTreeMap;

use tracegate::{CallFailed, CallId};
use tracegate_tests::world::{Message, OwnedEvent, World, answers, get, ms, never, secs};

use crate::{ADMITTED, DENIED, PARENT, POLICY, RESTARTED, UNREADABLE};

#[test]
fn a_client_that_goes_before_the_upstream_answers_gets_nothing_and_is_counted() {
    let mut world = World::new(POLICY).with_upstream(answers(200).after(ms(50)));
    let gone = world.send(get("/orders/1"));
    let patient = world.send(get("/orders/2"));
    world.hang_up(gone, ms(20));
    world.finish();
    assert_eq!(world.outcome(gone).told(), ["request", "closed"]);
    assert_eq!(world.outcome(gone).client(), None);
    assert_eq!(world.upstream(gone).one(":path"), "/orders/1");
    assert_eq!(world.client(patient).status(), 200);
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 2), (RESTARTED, 2)]));
}

#[test]
fn a_client_that_goes_before_its_head_is_read_is_neither_served_nor_counted() {
    let mut world = World::new(POLICY).beyond_modules();
    let gone = world.send_after(ms(10), get("/orders/1"));
    world.hang_up(gone, ms(5));
    world.finish();
    assert_eq!(world.outcome(gone).told(), ["closed", "request"]);
    assert!(!world.outcome(gone).was_served());
    assert_eq!((world.outcome(gone).upstream(), world.outcome(gone).client()), (None, None));
    assert!(world.counts(world.newest()).is_empty());
}

#[test]
fn an_upstream_that_never_answers_leaves_its_exchange_open_and_the_others_alone() {
    let mut world = World::new(POLICY).with_upstream(never());
    let hanging = world.send(get("/orders/1"));
    let denied = world.send_after(ms(1), get("/admin"));
    world.run_until_idle();
    assert_eq!(world.elapsed(), ms(1));
    world.advance(secs(3_600));
    assert_eq!(world.outcome(hanging).told(), ["request"]);
    assert_eq!(world.outcome(hanging).client(), None);
    assert_eq!(world.client(denied).status(), 403);
    world.hang_up(hanging, ms(0));
    world.finish();
    assert_eq!(world.outcome(hanging).told(), ["request", "closed"]);
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 1), (DENIED, 1), (RESTARTED, 2)]));
}

#[test]
fn nothing_that_comes_after_the_end_changes_anything() {
    let mut world = World::new(POLICY).beyond_modules();
    let order = world.send(get("/orders").with("traceparent", PARENT));
    world.finish();
    let before = (world.upstream(order).clone(), world.client(order).clone());
    let call = CallId { gateway: world.newest(), serial: 0 };
    for event in [
        OwnedEvent::Response(Message::answer(500)),
        OwnedEvent::Wake,
        OwnedEvent::Reply(call, Err(CallFailed::TimedOut)),
        OwnedEvent::Request(get("/orders")),
        OwnedEvent::Closed,
        OwnedEvent::Request(get("/orders")),
    ] {
        world.inject(order, ms(0), event);
    }
    let counted = world.counts(world.newest()).values().sum::<u64>();
    world.finish();
    let after = ["response", "wake", "reply", "request", "closed", "request"];
    assert_eq!(world.outcome(order).told()[3..], after);
    assert_eq!((world.upstream(order), world.client(order)), (&before.0, &before.1));
    assert_eq!(world.counts(world.newest()).values().sum::<u64>(), counted);
    let refused = world.journal().lines().filter(|line| line.ends_with("request: refuse 431 RequestHeadersUnreadable")).count();
    assert_eq!(refused, 2, "a head after the end is refused");
}

#[test]
fn a_second_head_is_refused_and_the_first_ones_decision_stands() {
    let mut world = World::new(POLICY).beyond_modules().with_upstream(answers(200).after(ms(50)));
    let order = world.send(get("/orders"));
    world.inject(order, ms(10), OwnedEvent::Request(get("/admin")));
    world.finish();
    assert_eq!(world.upstream(order).one(":path"), "/orders");
    assert_eq!(world.client(order).status(), 431);
    assert_eq!(world.outcome(order).told(), ["request", "request", "response", "closed"]);
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 1), (UNREADABLE, 1), (RESTARTED, 1)]));
}
