// SPDX-License-Identifier: Apache-2.0
//! A queue in virtual time: what it sends, when it tries again, and that every span is accounted for.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::Policy;
use crate::effect::{CallId, Export, GatewayId};
use crate::event::{CallFailed, Reply};
use crate::head::{Header, Headers};
use crate::inputs::{Inputs, NoSignatures, NoStore, UnknownPeer};
use crate::instance::Instance;
use crate::protobuf::{Fields, put_bytes, put_text};
use crate::secret::SecretText;

/// An exporter, its clock, and what it told.
struct World {
    exporter: Exporter,
    collector: Collector,
    policy: Policy,
    instance: Instance,
    monotonic: u64,
    calls: u64,
    told: Told,
    under_way: VecDeque<Export>,
}

#[derive(Default)]
struct Told {
    counts: BTreeMap<&'static str, u64>,
    notes: Vec<String>,
}

impl Tell for Told {
    fn count(&mut self, fate: Fate, spans: u64) {
        *self.counts.entry(fate.as_str()).or_default() += spans;
    }

    fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

/// What a collector says.
#[derive(Clone, Copy, Debug)]
enum Says {
    Taken,
    Rejected(u8),
    RejectedFor(&'static str),
    Status(u16, Option<&'static str>),
    Html,
    Fails(CallFailed),
}

const SECOND: u64 = 1_000_000_000;

impl World {
    fn new(queue: u32, batch: u32) -> Self {
        let policy =
            br#"{"schema": 1, "service": {"name": "edge", "namespace": "shop", "attributes": {"deployment.environment.name": "test"}},
            "default": {"action": "admit"}}"#;
        let batch =
            BatchPolicy { schedule_delay: 5 * SECOND, max_queue_size: queue, max_export_batch_size: batch, export_timeout: 10 * SECOND };
        Self {
            exporter: Exporter::new(batch),
            collector: Collector {
                name: "otel".into(),
                cluster: "otel".into(),
                uri: "http://otel:4318/v1/traces".parse().unwrap(),
                headers: vec![],
                batch,
            },
            policy: Policy::from_json(policy).unwrap().policy,
            instance: Instance::default(),
            monotonic: 0,
            calls: 0,
            told: Told::default(),
            under_way: VecDeque::new(),
        }
    }

    fn with<T>(
        &mut self,
        run: impl FnOnce(&mut Exporter, &Collector, Source<'_>, &mut dyn FnMut() -> CallId, &mut Inputs<'_>, &mut Told) -> T,
    ) -> T {
        let Self { exporter, collector, policy, instance, monotonic, calls, told, .. } = self;
        instance.draw(&mut |bytes: &mut [u8]| {
            bytes.fill(0x80);
            Ok(())
        });
        let mut entropy = |bytes: &mut [u8]| {
            bytes.fill(0x80);
            Ok(())
        };
        let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
        let inputs =
            &mut Inputs { now: i64::try_from(*monotonic).unwrap(), monotonic: *monotonic, entropy: &mut entropy, peer, store, signatures };
        let source = Source { service: &policy.service, fingerprint: policy.fingerprint, instance };
        let mut call = || {
            *calls += 1;
            CallId { gateway: GatewayId(1), serial: *calls }
        };
        run(exporter, collector, source, &mut call, inputs, told)
    }

    fn record(&mut self, spans: usize) {
        for _ in 0..spans {
            self.with(|exporter, _, source, _, inputs, told| {
                exporter.record(std::iter::once(&[0x2a; 100][..]), source, inputs.monotonic, told)
            });
        }
    }

    fn tick(&mut self) -> usize {
        let exports = self.with(|exporter, collector, source, call, inputs, told| exporter.tick(collector, source, call, inputs, told));
        let sent = exports.len();
        self.under_way.extend(exports);
        sent
    }

    /// The first that is under way is answered.
    fn answer(&mut self, says: Says) {
        let Some(Export { call, .. }) = self.under_way.pop_front() else { return };
        let status = match says {
            Says::Status(status, _) => status.to_string(),
            _ => "200".to_owned(),
        };
        let mut lines = vec![Header { name: b":status", value: status.as_bytes() }];
        let mut body = Vec::new();
        match says {
            Says::Taken | Says::Fails(_) => {}
            Says::Rejected(count) => body = vec![0x0a, 2, 8, count & 0x7f],
            Says::RejectedFor(why) => {
                let mut partial = vec![8, 1];
                put_text(&mut partial, 2, why);
                put_bytes(&mut body, 1, &partial);
            }
            Says::Status(_, after) => lines.extend(after.map(|value| Header { name: b"retry-after", value: value.as_bytes() })),
            Says::Html => body = b"<html>".to_vec(),
        }
        let answer = match says {
            Says::Fails(failed) => Err(failed),
            _ => Ok(Reply { headers: Headers::new(&lines), body: &body }),
        };
        self.with(|exporter, _, _, _, inputs, told| assert!(exporter.reply(call, answer, inputs, told)));
    }

    fn end(&mut self) -> usize {
        let exports = self.with(|exporter, collector, source, call, inputs, _| exporter.end(collector, source, call, inputs));
        let sent = exports.len();
        self.under_way.extend(exports);
        sent
    }

    fn ended(&mut self) {
        self.under_way.clear();
        self.with(|exporter, _, _, _, _, told| exporter.ended(told));
    }

    fn count(&self, fate: &str) -> u64 {
        self.told.counts.get(fate).copied().unwrap_or(0)
    }

    /// Every span is somewhere.
    #[track_caller]
    fn assert_accounted(&self) {
        assert_eq!(self.exporter.queued(), self.exporter.counted());
        let fates: u64 = self.told.counts.iter().filter(|(fate, _)| **fate != "recorded").map(|(_, count)| count).sum();
        assert_eq!(self.count("recorded"), fates + u64::from(self.exporter.queued()), "{:?}", self.told.counts);
    }
}

#[test]
fn batches_leave_when_full_or_old() {
    let mut world = World::new(2048, 512);
    world.record(511);
    assert_eq!((world.tick(), world.exporter.has_batch()), (0, false));
    world.record(1);
    assert!(world.exporter.has_batch(), "as much as leaves together");
    assert_eq!(world.tick(), 1);
    world.record(3);
    world.monotonic += 5 * SECOND - 1;
    assert_eq!(world.tick(), 0);
    world.monotonic += 1;
    assert_eq!(world.tick(), 1, "as old as the policy lets it be");
    assert_eq!(world.exporter.queued(), 515);
    world.answer(Says::Taken);
    world.answer(Says::Rejected(2));
    assert_eq!((world.count("acknowledged"), world.count("dropped_rejected"), world.exporter.queued()), (513, 2, 0));
    world.assert_accounted();
}

/// A collector that repeats a token in its complaint doesn't get that into the gateway's log, not even where its words are cut.
#[test]
fn a_header_that_a_collector_repeats_is_not_logged() {
    let cut: &str = Box::leak(format!("{}hunter2-hunter2", "-".repeat(192)).into_boxed_str());
    for (why, told) in [("no room", true), ("no such token: hunter2-hunter2", false), (cut, false), ("Basic, please", true)] {
        let mut world = World::new(100, 10);
        world.exporter.set_header("authorization", SecretText::read(Some("Bearer"), "hunter2-hunter2").unwrap());
        world.record(10);
        assert_eq!(world.tick(), 1);
        // It was replaced meanwhile.
        world.exporter.set_header("authorization", SecretText::read(Some("Bearer"), "correct-horse").unwrap());
        world.answer(Says::RejectedFor(why));
        let notes = world.told.notes.join("\n");
        assert_eq!((notes.contains(why), notes.contains("hunter2"), notes.contains("withheld")), (told, false, !told), "{notes}");
        assert!(notes.starts_with("1 of 10 rejected: "), "{notes}");
    }
}

#[test]
fn a_full_queue_drops_what_comes_and_says_so() {
    let mut world = World::new(100, 50);
    world.record(130);
    assert_eq!((world.count("dropped_queue_full"), world.exporter.queued()), (30, 100));
    assert_eq!(world.tick(), 2);
    world.record(1);
    assert_eq!(world.count("dropped_queue_full"), 31, "what is under way is in the queue");
    world.answer(Says::Taken);
    world.record(50);
    assert_eq!(world.count("dropped_queue_full"), 31);
    world.assert_accounted();
}

/// Ten minutes of it: one batch tries at a time, seldom, and all that came first gets through when the collector is back.
#[test]
fn a_collector_that_is_down_for_ten_minutes() {
    let mut world = World::new(2048, 512);
    let (mut tries, mut gaps, mut last) = (0_u32, Vec::new(), 0);
    for second in 0..600_u64 {
        world.monotonic = second * SECOND;
        world.record(10);
        if world.tick() > 0 {
            gaps.push(second - last);
            last = second;
            tries += 1;
            assert_eq!(world.under_way.len(), 1, "one at a time once it fails");
            world.answer(Says::Fails(CallFailed::Disconnected));
        }
        world.assert_accounted();
    }
    assert!((14..30).contains(&tries), "{tries} tries, {gaps:?} seconds apart");
    assert!(gaps.iter().skip(8).all(|gap| (30..=61).contains(gap)), "{gaps:?}");
    assert_eq!(world.told.notes, ["not exported for now: found a connection that failed"], "said once");
    assert!(world.count("dropped_expired") > 0 && world.count("dropped_queue_full") > 0, "{:?}", world.told.counts);
    let kept = world.exporter.queued();
    for second in 600..700 {
        world.monotonic = second * SECOND;
        world.tick();
        while !world.under_way.is_empty() {
            world.answer(Says::Taken);
        }
    }
    assert_eq!((world.count("acknowledged"), world.exporter.queued()), (kept.into(), 0));
    world.assert_accounted();
}

#[test]
fn a_collector_that_asks_for_time_gets_it() {
    // A clock that is behind asks for no time at all: half a second, and as much again by chance.
    for (after, wait) in [("7", 7), ("Thu, 01 Jan 1970 00:00:09 GMT", 9)] {
        let mut world = World::new(100, 10);
        world.record(10);
        assert_eq!(world.tick(), 1);
        world.answer(Says::Status(503, Some(after)));
        world.monotonic = wait * SECOND - 1;
        assert_eq!(world.tick(), 0, "{after}");
        world.monotonic += 1;
        assert_eq!(world.tick(), 1, "{after}");
        world.answer(Says::Taken);
        assert_eq!(world.count("acknowledged"), 10);
    }
}

/// Of batches that fail together the longest pause counts, and they have failed once.
#[test]
fn what_fails_together_fails_once_and_takes_back_no_time() {
    for (first, wait) in [(Says::Status(429, Some("60")), 60), (Says::Fails(CallFailed::Disconnected), 1)] {
        let mut world = World::new(100, 10);
        world.record(40);
        assert_eq!(world.tick(), 4);
        world.answer(first);
        (0..3).for_each(|_| world.answer(Says::Fails(CallFailed::Disconnected)));
        if wait > 1 {
            world.monotonic = wait * SECOND - 1;
            assert_eq!(world.tick(), 0);
        }
        world.monotonic = wait * SECOND;
        assert_eq!(world.tick(), 1);
        world.assert_accounted();
    }
}

/// In Envoy the monotonic clock is the wall's.
#[test]
fn a_clock_that_is_set_back_or_forward_delays_nothing_and_loses_nothing() {
    const DAY: u64 = 86_400 * SECOND;
    let mut world = World::new(100, 10);
    world.monotonic = 10 * DAY;
    world.record(10);
    assert_eq!(world.tick(), 1);
    world.answer(Says::Status(503, Some("30")));
    world.record(3);
    // Back by a day, while one batch waits and another one fills.
    world.monotonic -= DAY;
    assert_eq!(world.tick(), 0);
    world.monotonic += 300 * SECOND;
    assert_eq!(world.tick(), 1, "no longer than a collector may ask for");
    world.answer(Says::Taken);
    assert_eq!(world.tick(), 1, "what fills is as old as it is");
    // Back again, while an answer is waited for that never comes.
    world.monotonic -= DAY;
    assert_eq!(world.tick(), 0);
    world.monotonic += 12 * SECOND;
    world.tick();
    // Forward by a day, after which the first failure isn't the last.
    world.under_way.clear();
    world.monotonic += DAY;
    assert_eq!(world.tick(), 1);
    world.answer(Says::Fails(CallFailed::Disconnected));
    assert_eq!((world.count("dropped_expired"), world.exporter.queued()), (0, 3));
    world.monotonic += 60 * SECOND;
    assert_eq!(world.tick(), 1);
    world.answer(Says::Taken);
    assert_eq!((world.count("acknowledged"), world.exporter.queued()), (13, 0));
    world.assert_accounted();
}

#[test]
fn an_operator_reads_of_each_kind_of_trouble_until_it_is_over() {
    let mut world = World::new(100, 10);
    let says = [
        Says::Status(503, None),
        Says::Fails(CallFailed::Disconnected),
        Says::Status(400, None),
        Says::Html,
        Says::Rejected(1),
        Says::Taken,
        Says::Status(400, None),
    ];
    for says in says {
        if world.exporter.queued() == 0 {
            world.record(10);
        }
        world.monotonic += 300 * SECOND;
        assert_eq!(world.tick(), 1, "{says:?}");
        world.answer(says);
    }
    let kinds: Vec<&str> = world.told.notes.iter().map(|note| note.split(':').next().unwrap()).collect();
    assert_eq!(kinds, ["not exported for now", "10 refused", "1 of 10 rejected", "10 refused"], "{:?}", world.told.notes);
}

#[test]
fn what_may_not_be_sent_again_is_not() {
    for says in [Says::Status(400, None), Says::Status(401, None), Says::Html, Says::Status(500, None)] {
        let mut world = World::new(100, 10);
        world.record(10);
        world.tick();
        world.answer(says);
        assert_eq!((world.count("dropped_refused"), world.exporter.queued()), (10, 0), "{says:?}");
        world.monotonic += 60 * SECOND;
        assert_eq!(world.tick(), 0, "{says:?}");
        assert_eq!(world.told.notes.len(), 1);
    }
}

/// The host tells of no answer: a call that hangs is given up, and what comes after that changes nothing.
#[test]
fn a_call_without_an_answer_is_given_up() {
    let mut world = World::new(100, 10);
    world.record(10);
    world.tick();
    let call = world.under_way[0].call;
    world.monotonic += 12 * SECOND;
    world.tick();
    assert_eq!(world.told.notes, ["not exported for now: found no answer in time"]);
    let late = world.with(|exporter, _, _, _, inputs, told| exporter.reply(call, Err(CallFailed::TimedOut), inputs, told));
    assert!(!late);
    world.assert_accounted();
}

#[test]
fn what_is_left_when_the_gateway_ends_goes_out_unconfirmed() {
    let mut world = World::new(100, 10);
    world.record(25);
    assert_eq!(world.tick(), 2);
    assert_eq!(world.end(), 1, "the batch that was open");
    world.ended();
    assert_eq!((world.count("unconfirmed"), world.exporter.queued()), (25, 0));
    world.assert_accounted();

    // A host that takes no calls any more says so.
    let mut world = World::new(100, 10);
    world.record(5);
    assert_eq!(world.end(), 1);
    world.answer(Says::Fails(CallFailed::Refused));
    world.ended();
    assert_eq!((world.count("dropped_shutdown"), world.count("unconfirmed")), (5, 0));
    world.assert_accounted();
}

/// Bodies as they are sent: one resource, one scope, and the spans as they were given.
#[test]
fn a_batch_holds_its_resource_and_its_spans() {
    let mut world = World::new(100, 3);
    world.record(3);
    world.tick();
    let body = world.under_way[0].body.clone();
    let field = |message: &[u8], number: u32| -> Vec<Vec<u8>> {
        let (mut fields, mut found) = (Fields::new(message), Vec::new());
        while let Some(field) = fields.next().unwrap() {
            if field.number == number {
                found.push(field.bytes().unwrap().to_vec());
            }
        }
        found
    };
    let resource_spans = field(&body, 1);
    let scope_spans = field(&resource_spans[0], 2);
    assert_eq!((resource_spans.len(), scope_spans.len()), (1, 1));
    assert_eq!(field(&scope_spans[0], 2), vec![vec![0x2a; 100]; 3]);
    let attributes = field(&field(&resource_spans[0], 1)[0], 1);
    let names: Vec<String> = attributes.iter().map(|attribute| String::from_utf8(field(attribute, 1).remove(0)).unwrap()).collect();
    let expected = [
        "service.name",
        "service.namespace",
        "service.instance.id",
        "telemetry.sdk.name",
        "telemetry.sdk.language",
        "telemetry.sdk.version",
        "tracegate.policy.fingerprint",
        "deployment.environment.name",
    ];
    assert_eq!(names, expected);
    let instance = &field(&field(&attributes[2], 2)[0], 1)[0];
    assert_eq!(String::from_utf8_lossy(instance), "80808080-8080-4080-8080-808080808080", "a random UUID");
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        Just(Says::Taken),
        any::<u8>().prop_map(Says::Rejected),
        prop::sample::select(vec![400, 429, 500, 502, 503, 504, 200]).prop_map(|status| Says::Status(status, None)),
        prop::sample::select(vec!["0", "1", "3600", "x"]).prop_map(|after| Says::Status(429, Some(after))),
        Just(Says::Html),
        prop::sample::select(vec![CallFailed::Refused, CallFailed::TimedOut, CallFailed::Disconnected]).prop_map(Says::Fails),
    ]
}

proptest! {
    /// Whatever happens in whatever order, every span is accounted for, and the queue keeps its bounds.
    #[test]
    fn the_ledger_holds(
        queue in 1_u32..60,
        batch in 1_u32..20,
        events in prop::collection::vec((0..4_u8, 0..30_usize, says(), 0..20_000_u64), 1..200),
    ) {
        let mut world = World::new(queue, batch.min(queue));
        for (event, spans, says, milliseconds) in events {
            match event {
                0 => world.record(spans),
                1 => world.answer(says),
                2 => { world.tick(); }
                _ => world.monotonic += milliseconds * 1_000_000,
            }
            // A call that was given up in the meantime is answered too, which changes nothing: it is left out here.
            let live: Vec<CallId> = world.exporter.calls().collect();
            world.under_way.retain(|export| live.contains(&export.call));
            world.assert_accounted();
            prop_assert!(world.exporter.queued() <= queue);
        }
        world.end();
        world.ended();
        prop_assert_eq!(world.exporter.queued(), 0);
        prop_assert_eq!(world.exporter.bytes(), 0);
        world.assert_accounted();
    }
}
