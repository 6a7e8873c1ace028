// SPDX-License-Identifier: Apache-2.0
//! A thousand exchanges at once, in an order that the seed decides.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::{ExchangeId, GatewayId};
use tracegate_tests::world::{Message, World, get, ms};

use crate::{
    ADMITTED, AMBIGUOUS_PATH, CONTINUED, DENIED, MALFORMED, MALFORMED_CARRIER, NEW_POLICY, NOT_FOUND, PARENT, POLICY, RESTARTED, SEVERAL,
    SHADOWED, STATE_DROPPED, TRACE,
};

/// A kind of request and what must become of it.
struct Kind {
    request: fn() -> Message,
    /// Under the old policy and under the new one.
    status: [u16; 2],
    counted: [&'static [&'static str]; 2],
}

const KINDS: [Kind; 6] = [
    Kind { request: || get("/orders").with("traceparent", PARENT), status: [200; 2], counted: [&[ADMITTED, CONTINUED]; 2] },
    Kind { request: || get("/trial"), status: [200, 403], counted: [&[ADMITTED, SHADOWED, RESTARTED], &[DENIED, RESTARTED]] },
    Kind { request: || get("/admin").with("traceparent", "x"), status: [403; 2], counted: [&[DENIED, MALFORMED, MALFORMED_CARRIER]; 2] },
    Kind {
        request: || get("/nowhere").with("traceparent", PARENT).with("traceparent", PARENT),
        status: [404, 410],
        counted: [&[NOT_FOUND, SEVERAL, MALFORMED_CARRIER]; 2],
    },
    Kind {
        request: || get("/%2f").with("traceparent", PARENT).with("tracestate", "A"),
        status: [400; 2],
        counted: [&[AMBIGUOUS_PATH, CONTINUED, STATE_DROPPED]; 2],
    },
    Kind { request: || get("/orders"), status: [200; 2], counted: [&[ADMITTED, RESTARTED]; 2] },
];

struct Thousand {
    world: World,
    gateways: [GatewayId; 2],
    sent: Vec<(ExchangeId, &'static Kind, usize)>,
}

/// 1,000 requests under an old policy and a new one.
fn thousand(seed: u64) -> Thousand {
    run(World::new(POLICY).beyond_modules(), seed, 400)
}

/// 1,000 requests within two seconds, answered within two more; every tenth client doesn't wait for long. The policy changes with request `changes`.
fn run(world: World, seed: u64, changes: usize) -> Thousand {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut delays = ChaCha8Rng::seed_from_u64(seed ^ 1);
    let upstream = move |_: &Message| Some((ms(delays.next_u64() % 2_000), Message::answer(200)));
    let mut world = world.with_seed(seed).with_upstream(upstream);
    let old = world.newest();
    let mut sent = Vec::new();
    for index in 0..1_000 {
        if index == changes {
            world.configure(NEW_POLICY);
        }
        let kind = &KINDS[usize::try_from(random.next_u64() % 6).unwrap()];
        let (arrives, stays) = (random.next_u64() % 2_000, random.next_u64() % 200);
        let exchange = world.send_after(ms(arrives), (kind.request)());
        if index % 10 == 0 {
            world.hang_up(exchange, ms(arrives + stays));
        }
        sent.push((exchange, kind, usize::from(index >= changes)));
        if random.next_u64().is_multiple_of(8) {
            world.step();
        }
    }
    world.finish();
    let new = world.newest();
    Thousand { world, gateways: [old, new], sent }
}

#[test]
fn every_one_of_a_thousand_gets_its_own_answer_and_its_own_ids() {
    let Thousand { world, sent, .. } = thousand(1);
    let (mut spans, mut fresh, mut gone) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (exchange, kind, policy) in sent {
        let outcome = world.outcome(exchange);
        assert_eq!((outcome.decided(), outcome.is_closed()), (1, true), "{exchange:?}");
        match outcome.client() {
            Some(answer) => assert_eq!(answer.status(), kind.status[policy], "{exchange:?}"),
            None => gone += 1,
        }
        assert_eq!(outcome.upstream().is_some(), kind.status[policy] == 200, "{exchange:?}");
        let Some(request) = outcome.upstream() else { continue };
        let trace = request.trace();
        assert!(spans.insert(trace.parent_id().to_bytes()), "{exchange:?} shares its span");
        if kind.counted[policy].contains(&CONTINUED) {
            assert_eq!(trace.trace_id().to_string(), TRACE);
        } else {
            assert!(fresh.insert(trace.trace_id().to_bytes()), "{exchange:?} shares its trace");
        }
        let states = request.values("tracestate");
        let ours = format!("tgate={}", trace.parent_id());
        assert_eq!(states, [&[], std::slice::from_ref(&ours)][policy], "{exchange:?}");
    }
    assert!(spans.len() > 300 && fresh.len() > 150 && (1..=100).contains(&gone), "{} {} {gone}", spans.len(), fresh.len());
}

/// Of one policy a module hears too: it decides all of them alike, while they pass each other.
#[test]
fn a_thousand_under_one_policy_are_answered() {
    let Thousand { world, sent, .. } = run(World::new(POLICY), 5, usize::MAX);
    assert!(sent.iter().all(|(exchange, ..)| world.outcome(*exchange).is_closed()));
}

#[test]
fn every_counter_of_a_thousand_adds_up() {
    let Thousand { world, gateways, sent } = thousand(2);
    for (policy, gateway) in gateways.into_iter().enumerate() {
        let mut expected = BTreeMap::new();
        for name in sent.iter().filter(|(.., through)| *through == policy).flat_map(|(_, kind, _)| kind.counted[policy]) {
            *expected.entry(*name).or_insert(0) += 1;
        }
        assert_eq!(world.counts(gateway), expected);
    }
}

#[test]
fn the_same_seed_gives_the_same_course_byte_for_byte() {
    let [first, again, other] = [3, 3, 4].map(|seed| thousand(seed).world.journal().to_owned());
    assert!(first.lines().count() > 4_000);
    assert!(first == again, "the courses differ");
    assert!(first != other, "the seed decides nothing");
}
