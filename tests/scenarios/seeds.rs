// SPDX-License-Identifier: Apache-2.0
//! Events in any order, failing randomness, jumping clocks: what holds for every seed.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::{CallFailed, CallId, ExchangeId, GatewayId};
use tracegate_tests::world::{Message, Outcome, OwnedEvent, World, get, ms};

use crate::{CONTINUED, NEW_POLICY, PARENT, POLICY, UNMINTED};

struct Chance(ChaCha8Rng);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).unwrap();
        choices[index].clone()
    }

    fn request(&mut self) -> Message {
        let request = match self.one_of(&["/orders", "/trial/1", "/admin", "/nowhere", "/%2f", ""]) {
            "" => Message::default(),
            path => get(path),
        };
        let request = match self.one_of(&["", PARENT, "x"]) {
            "" => request,
            parent => request.with("traceparent", parent),
        };
        (0..self.below(3)).fold(request, |request, _| request.with("tracestate", self.one_of(&["a=1", "b=2 ,", "A"])))
    }

    fn event(&mut self, call: CallId) -> OwnedEvent {
        match self.below(8) {
            0 => OwnedEvent::Request(self.request()),
            1 => OwnedEvent::Closed,
            2 => OwnedEvent::Response(Message::answer(500)),
            3..=5 => OwnedEvent::Wake,
            6 => OwnedEvent::Reply(call, Err(CallFailed::TimedOut)),
            _ => OwnedEvent::Reply(call, Ok(Message::answer(200).with_body("x"))),
        }
    }
}

fn course(seed: u64) -> World {
    let mut chance = Chance(ChaCha8Rng::seed_from_u64(seed));
    let mut upstreams = Chance(ChaCha8Rng::seed_from_u64(!seed));
    let upstream = move |_: &Message| (upstreams.below(4) > 0).then(|| (ms(upstreams.below(500)), Message::answer(200)));
    let mut world = World::new(POLICY).beyond_modules().with_seed(seed).with_upstream(upstream);
    let mut gateways = vec![world.newest()];
    let mut opened: Vec<ExchangeId> = vec![world.send(get("/orders"))];
    for _ in 0..100 {
        let (gateway, exchange, after) = (chance.one_of(&gateways), chance.one_of(&opened), ms(chance.below(1_500)));
        let call = CallId { gateway: chance.one_of(&[gateway, GatewayId(99)]), serial: chance.below(3) };
        match chance.below(16) {
            0..3 => opened.push(world.send_after(after, chance.request())),
            3 => opened.push(world.open(gateway)),
            4..9 => world.inject(exchange, after, chance.event(call)),
            9 => world.inject_reply(gateway, after, call, Err(CallFailed::Refused)),
            10 => world.fail_entropy_for(after),
            11 => world.wall_jumps_back(after * 10_000),
            12 => world.wall_jumps_forward(after * 10_000),
            13 if gateways.len() < 3 => gateways.push(world.configure(chance.one_of(&[POLICY, NEW_POLICY]))),
            14 => world.advance(after),
            _ => world.step(),
        }
    }
    world.finish();
    world
}

/// The world itself panics where one request reaches the upstream twice or after its end, or where a verdict has no head.
#[test]
fn whatever_the_order_each_head_is_decided_and_counted_once() {
    let mut unminted = 0;
    for seed in 0..200 {
        let world = course(seed);
        let gateways: BTreeSet<GatewayId> = world.outcomes().map(|(_, outcome)| outcome.gateway()).collect();
        for (exchange, outcome) in world.outcomes() {
            let heads = outcome.told().iter().filter(|&&told| told == "request").count();
            assert_eq!(outcome.decided(), heads, "seed {seed}, {exchange:?}");
            if !outcome.was_served() {
                assert_eq!(outcome.upstream(), None, "seed {seed}, {exchange:?}");
            }
            if outcome.upstream().is_none() {
                // The upstream is the only one to answer 200 here.
                assert_ne!(outcome.client().map(Message::status), Some(200), "seed {seed}, {exchange:?}");
            }
        }
        for gateway in gateways {
            let of_gateway = || world.outcomes().map(|(_, outcome)| outcome).filter(|outcome| outcome.gateway() == gateway);
            let counts = world.counts(gateway);
            let sum = |prefix: &str| counts.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| *count).sum::<u64>();
            let (admitted, refused) = (sum("tracegate.requests.admitted"), sum("tracegate.requests.refused"));
            let served = of_gateway().filter(|outcome| outcome.was_served()).count() as u64;
            // A second head is refused after one that went on; who is refused is refused once.
            let decided = |outcome: &Outcome| {
                let heads = outcome.told().iter().take_while(|&&told| told != "closed").filter(|&&told| told == "request").count();
                heads.min(if outcome.upstream().is_some() { 2 } else { 1 })
            };
            assert_eq!(admitted + refused, of_gateway().map(decided).sum::<usize>() as u64, "seed {seed}: {counts:?}");
            assert_eq!(admitted, of_gateway().filter(|outcome| outcome.upstream().is_some()).count() as u64, "seed {seed}: {counts:?}");
            assert_eq!(sum("tracegate.traces."), served, "seed {seed}: {counts:?}");
            assert!(sum("tracegate.requests.shadowed") <= admitted, "seed {seed}: {counts:?}");
            assert!(sum("tracegate.tracestates.dropped") <= sum(CONTINUED), "seed {seed}: {counts:?}");
            unminted += sum(UNMINTED);
        }
    }
    assert!(unminted > 20, "randomness failed for some: {unminted}");
}

#[test]
fn whatever_the_order_no_id_is_given_twice_and_nothing_malformed_is_sent() {
    for seed in 200..400 {
        let world = course(seed);
        let mut spans = BTreeSet::new();
        for (exchange, outcome) in world.outcomes() {
            let Some(request) = outcome.upstream() else { continue };
            if request.values("traceparent").is_empty() {
                assert!(request.values("tracestate").is_empty(), "seed {seed}, {exchange:?}");
                continue;
            }
            let trace = request.trace();
            let unminted = request.one("traceparent") == PARENT;
            assert!(unminted || spans.insert(trace.parent_id().to_bytes()), "seed {seed}, {exchange:?} shares its span");
            assert!(request.values("tracestate").iter().all(|state| !state.contains('A')), "seed {seed}, {exchange:?}");
        }
    }
}

#[test]
fn every_seed_gives_its_own_course_again() {
    for seed in 0..20 {
        assert_eq!(course(seed).journal(), course(seed).journal());
        assert_ne!(course(seed).journal(), course(seed + 1).journal());
    }
}
