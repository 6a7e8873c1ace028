// SPDX-License-Identifier: Apache-2.0
//! Replies and wakes: they find their way, and change nothing where nobody waits.

use std::collections::BTreeMap;

use tracegate::{CallFailed, CallId, ExchangeId, GatewayId, Woken};
use tracegate_tests::world::{Asker, Message, OwnedEvent, World, answers, get, ms, secs};

use crate::{NEW_POLICY, PARENT, POLICY};

fn call(gateway: GatewayId, serial: u64) -> CallId {
    CallId { gateway, serial }
}

/// Answers call 0 at once, fails call 1 after 20 ms and leaves the others alone.
fn world() -> World {
    let service = |call: CallId| match call.serial {
        0 => Some((ms(0), Ok(Message::answer(200).with_body("keys")))),
        1 => Some((ms(20), Err(CallFailed::Disconnected))),
        _ => None,
    };
    World::new(POLICY).with_upstream(answers(200).after(ms(50))).with_service(service)
}

#[test]
fn a_services_answer_reaches_the_exchange_that_asked_at_its_time() {
    let mut world = world();
    let [asking, other] = ["/orders/1", "/orders/2"].map(|path| world.send(get(path)));
    world.advance(ms(5));
    for serial in [1, 2, 0] {
        world.ask(Asker::Exchange(asking), call(world.newest(), serial));
    }
    world.advance(ms(0));
    assert_eq!(world.outcome(asking).told(), ["request", "reply"]);
    world.advance(ms(19));
    assert_eq!(world.outcome(asking).told(), ["request", "reply"]);
    world.advance(ms(1));
    assert_eq!(world.outcome(asking).told(), ["request", "reply", "reply"]);
    world.run_until_idle();
    assert_eq!(world.outcome(asking).told(), ["request", "reply", "reply", "response", "closed"]);
    assert_eq!(world.outcome(other).told(), ["request", "response", "closed"]);
}

#[test]
fn a_call_for_several_exchanges_is_answered_to_its_gateway() {
    let mut world = world().beyond_modules();
    let (old, new) = (world.newest(), world.configure(NEW_POLICY));
    let order = world.send(get("/orders"));
    world.ask(Asker::Gateway(old), call(old, 0));
    world.ask(Asker::Gateway(new), call(new, 1));
    world.run_until_idle();
    let replies: Vec<_> = world.journal().lines().filter(|line| line.contains("reply to")).collect();
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert!(replies[0].trim_start().starts_with(&format!("0 {old:?} reply to {:?}", call(old, 0))), "{replies:?}");
    assert!(replies[1].trim_start().starts_with(&format!("20000000 {new:?} reply to {:?}", call(new, 1))), "{replies:?}");
    assert_eq!(world.outcome(order).told(), ["request", "response", "closed"]);
}

#[test]
#[should_panic(expected = "was asked for twice")]
fn the_same_call_is_never_asked_for_twice() {
    let mut world = world();
    let order = world.send(get("/orders"));
    world.ask(Asker::Exchange(order), call(world.newest(), 2));
    world.ask(Asker::Gateway(world.newest()), call(world.newest(), 2));
}

#[test]
fn those_whom_a_gateway_wakes_are_stepped_in_its_order() {
    let mut world = world().beyond_modules();
    let [first, second, third] = ["/orders/1", "/orders/2", "/orders/3"].map(|path| world.send(get(path)));
    world.advance(ms(1));
    world.carry_out(world.newest(), Woken { wake: vec![third, first], ..Woken::default() });
    world.run_until_idle();
    let woken: Vec<_> = world.journal().lines().filter(|line| line.ends_with("wake: wait")).map(str::trim_start).collect();
    assert_eq!(woken, [third, first].map(|exchange| format!("1000000 {exchange:?} wake: wait")));
    assert_eq!(world.outcome(second).told(), ["request", "response", "closed"]);
}

#[test]
fn late_unknown_and_repeated_replies_and_wakes_change_nothing() {
    type Seen = (Vec<(Option<Message>, Option<Message>)>, Vec<BTreeMap<String, u64>>);
    let course = |disturbed: bool| -> (Seen, usize) {
        let mut world = world().beyond_modules();
        let old = world.newest();
        let mut sent = vec![world.send(get("/orders").with("traceparent", PARENT)), world.send_after(ms(30), get("/trial"))];
        let new = world.configure(NEW_POLICY);
        sent.extend([world.send(get("/orders")), world.send_after(ms(30), get("/nowhere"))]);
        if disturbed {
            let answers = [Ok(Message::answer(200).with_body("late")), Err(CallFailed::TimedOut), Err(CallFailed::Refused)];
            // Before the request, while the upstream works, and after the end.
            for (after, answer) in [0, 10, 40, 70, 500].into_iter().map(ms).zip(answers.into_iter().cycle()) {
                for call in [call(old, 0), call(new, 0), call(old, u64::MAX), call(GatewayId(77), 3)] {
                    for &exchange in sent.iter().chain([&ExchangeId(999)]) {
                        for event in [OwnedEvent::Reply(call, answer.clone()), OwnedEvent::Wake] {
                            world.inject(exchange, after, event);
                        }
                    }
                    for gateway in [old, new, GatewayId(77)] {
                        world.inject_reply(gateway, after, call, answer.clone());
                    }
                }
            }
        }
        world.advance(secs(3));
        let told = sent.iter().map(|&exchange| world.outcome(exchange).told().len()).sum();
        let seen =
            sent.iter().map(|&exchange| world.outcome(exchange)).map(|outcome| (outcome.upstream().cloned(), outcome.client().cloned()));
        let owned = |counts: BTreeMap<&str, u64>| counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        ((seen.collect(), [old, new].map(|gateway| owned(world.counts(gateway))).into()), told)
    };
    let ((calm, calm_told), (disturbed, disturbed_told)) = (course(false), course(true));
    assert_eq!(calm, disturbed);
    assert_eq!(calm_told, 4 * 3);
    assert_eq!(disturbed_told, calm_told + 4 * 5 * 4 * 2, "every event did arrive");
}
