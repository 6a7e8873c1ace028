// SPDX-License-Identifier: Apache-2.0
//! What the upstream is told about traces.

use std::collections::BTreeMap;

use tracegate::PeerFact;
use tracegate_tests::world::{World, answers, get, ms, secs};
use tracegate_tests::{OPEN, WITH_MEMBER};

use crate::{
    ADMITTED, CONTINUED, MALFORMED, MALFORMED_CARRIER, PARENT, POLICY, REJECTED, RESTARTED, SEVERAL, STATE_DROPPED, TRACE, UNMINTED,
    UNTRUSTED,
};

#[test]
fn a_callers_trace_goes_on_to_the_upstream_and_the_answer_comes_back() {
    let mut world = World::new(POLICY).with_upstream(answers(201).with("etag", "7").after(ms(5)));
    let order = world.send(get("/orders/7").with("traceparent", PARENT).with("tracestate", "a=1").with("accept", "*/*"));
    world.run_until_idle();
    assert_eq!((world.client(order).status(), world.client(order).one("etag")), (201, "7".to_owned()));
    assert_eq!(world.elapsed(), ms(5));
    let sent = world.upstream(order);
    assert_eq!(sent.names(), [":method", ":scheme", ":authority", ":path", "tracestate", "accept", "traceparent"]);
    assert_eq!((sent.trace().trace_id().to_string().as_str(), sent.trace().flags().bits()), (TRACE, 1));
    assert_ne!(sent.trace().parent_id().to_string(), "b7ad6b7169203331", "a new span");
    assert_eq!(sent.one("tracestate"), "a=1");
    assert_eq!(world.outcome(order).told(), ["request", "response", "closed"]);
    world.finish();
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 1), (CONTINUED, 1)]));
}

#[test]
fn without_a_valid_trace_a_fresh_one_begins() {
    let mut world = World::new(OPEN);
    let absent = world.send(get("/"));
    let malformed = world.send(get("/").with("traceparent", "00-1-2-3").with("tracestate", "a=1"));
    let several = world.send(get("/").with("traceparent", PARENT).with("x", "y").with("traceparent", PARENT));
    world.finish();
    for request in [absent, malformed, several] {
        let sent = world.upstream(request);
        assert_ne!(sent.trace().trace_id().to_string(), TRACE);
        assert_eq!(sent.trace().flags().bits(), 3, "sampled and random");
        assert!(sent.values("tracestate").is_empty());
    }
    assert_eq!(world.upstream(several).names()[4..], ["x", "traceparent"], "all lines became one");
    let expected = BTreeMap::from([(ADMITTED, 3), (RESTARTED, 1), (MALFORMED, 1), (SEVERAL, 1), (MALFORMED_CARRIER, 2)]);
    assert_eq!(world.counts(world.newest()), expected);
}

#[test]
fn our_tracestate_member_goes_first_and_the_others_lines_become_one() {
    let mut world = World::new(WITH_MEMBER);
    let with_parent = || get("/").with("traceparent", PARENT);
    let alone = world.send(with_parent());
    let several = world.send(with_parent().with("tracestate", "a=1,tgate=old").with("x", "y").with("tracestate", "b=2"));
    let dropped = world.send(with_parent().with("tracestate", "a=1,B=2"));
    world.finish();
    for (request, rest) in [(alone, ""), (several, ",a=1,b=2"), (dropped, "")] {
        let sent = world.upstream(request);
        assert_eq!(sent.one("tracestate"), format!("tgate={}{rest}", sent.trace().parent_id()));
    }
    assert_eq!(world.upstream(several).names()[4..], ["x", "traceparent", "tracestate"]);
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 3), (CONTINUED, 3), (STATE_DROPPED, 1)]));
}

#[test]
fn without_randomness_traces_go_unminted_and_are_minted_again_afterwards() {
    let mut world = World::new(WITH_MEMBER);
    world.fail_entropy_for(secs(10));
    let valid = || get("/").with("traceparent", PARENT).with("tracestate", "a=1 ");
    let broken = || get("/").with("traceparent", "x").with("tracestate", "a=1");
    let unminted = [valid(), broken(), get("/")].map(|request| world.send(request));
    world.advance(ms(9_999));
    let last = world.send(get("/"));
    world.advance(ms(1));
    let minted = [valid(), broken(), get("/")].map(|request| world.send(request));
    world.finish();

    assert_eq!(world.upstream(unminted[0]), &valid(), "a valid trace passes as it came");
    for request in [unminted[1], unminted[2], last] {
        assert_eq!(world.upstream(request), &get("/"), "nothing malformed passes and nothing is made up");
        assert_eq!(world.client(request).status(), 200, "no request fails for its trace");
    }
    for (request, same) in minted.into_iter().zip([true, false, false]) {
        let trace = world.upstream(request).trace();
        assert_eq!(trace.trace_id().to_string() == TRACE, same);
        assert!(world.upstream(request).one("tracestate").starts_with(&format!("tgate={}", trace.parent_id())));
    }
    let expected = BTreeMap::from([(ADMITTED, 7), (UNMINTED, 4), (CONTINUED, 1), (MALFORMED, 1), (RESTARTED, 1), (MALFORMED_CARRIER, 2)]);
    assert_eq!(world.counts(world.newest()), expected);
}

#[test]
fn randomness_in_hand_outlasts_a_short_failure_and_no_longer() {
    let mut world = World::new(OPEN);
    world.send(get("/"));
    world.run_until_idle();
    world.fail_entropy_for(secs(60));
    for _ in 0..300 {
        world.send(get("/"));
    }
    world.finish();
    // A block of 4096 bytes holds 170 times 24 and 16 more: enough for the next trace-id, not for its span.
    assert_eq!(world.counts(world.newest()), BTreeMap::from([(ADMITTED, 301), (RESTARTED, 170), (UNMINTED, 131)]));
}

#[test]
fn a_head_of_thousands_of_lines_is_read_to_its_end() {
    let long = |path| (0..5_000).fold(get(path), |head, line| head.with(&format!("x-{line}"), "v"));
    let mut world = World::new(WITH_MEMBER);
    let last = world.send(long("/").with("traceparent", PARENT));
    let smuggled = world.send(long("/").with("traceparent", PARENT).with("y", "z").with("traceparent", PARENT));
    let states = (0..2_000).fold(get("/").with("traceparent", PARENT), |head, _| head.with("tracestate", "a=1"));
    let states = world.send(states);
    world.finish();
    assert_eq!(world.upstream(last).trace().trace_id().to_string(), TRACE);
    assert_eq!(world.upstream(last).names().len(), 5_006);
    assert_ne!(world.upstream(smuggled).trace().trace_id().to_string(), TRACE);
    assert_eq!(world.upstream(smuggled).names()[5_004..], ["y", "traceparent", "tracestate"]);
    assert_eq!(world.upstream(states).one("tracestate"), format!("tgate={}", world.upstream(states).trace().parent_id()));
    let expected = BTreeMap::from([(ADMITTED, 3), (CONTINUED, 2), (STATE_DROPPED, 1), (SEVERAL, 1), (MALFORMED_CARRIER, 1)]);
    assert_eq!(world.counts(world.newest()), expected);
}

/// Our own network goes on and is told, a partner restarts, anybody else may send no context.
const TRUST: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "trace": {"trust": [
    {"name": "ours", "when": {"source": {"cidr": ["10.0.0.0/8"]}}, "context": "continue", "traceresponse": true},
    {"name": "partner", "when": {"source": {"cidr": ["203.0.113.0/24"]}}, "context": "restart"},
    {"name": "rest", "context": "reject", "traceresponse": true}]}}"#;

#[test]
fn whose_trace_goes_on_is_a_matter_of_who_calls() {
    let mut world = World::new(TRUST);
    let mut send = |address: &str, parent: Option<&str>| {
        world.know_of_peers(&[(PeerFact::SourceAddress, address)]);
        let request = parent.map_or_else(|| get("/"), |parent| get("/").with("traceparent", parent));
        let exchange = world.send(request);
        world.run_until_idle();
        exchange
    };
    let ours = send("10.1.2.3:4711", Some(PARENT));
    let partner = send("203.0.113.9:4711", Some(PARENT));
    let [stranger, without] = [send("198.51.100.7:4711", Some(PARENT)), send("198.51.100.7:4711", None)];
    world.finish();
    assert_eq!(world.upstream(ours).trace().trace_id().to_string(), TRACE);
    assert_eq!(world.client(ours).one("traceresponse"), world.upstream(ours).trace().to_string(), "the span that was called");
    assert_ne!(world.upstream(partner).trace().trace_id().to_string(), TRACE);
    assert!(world.client(partner).values("traceresponse").is_empty());
    assert_eq!((world.client(stranger).status(), world.client(stranger).one("tracegate-reason").as_str()), (400, "TraceContextRejected"));
    assert_eq!(world.outcome(stranger).upstream(), None);
    assert_eq!(world.client(without).one("traceresponse"), world.upstream(without).trace().to_string());
    let mut expected = BTreeMap::from([(ADMITTED, 3), (REJECTED, 1), (CONTINUED, 1), (UNTRUSTED, 1), (RESTARTED, 1)]);
    // All four present one context; the last to send it is told from those before.
    expected.insert("tracegate.indicators.spoofing.foreign_pair", 2);
    for (fate, rule) in [("continued", "ours"), ("restarted", "partner"), ("rejected", "rest"), ("restarted", "rest")] {
        expected.insert(Box::leak(format!("tracegate.principals.{fate}.{rule}").into_boxed_str()), 1);
    }
    assert_eq!(world.counts(world.newest()), expected);
}

/// Two gateways with one key and a service between them, in virtual time.
#[test]
fn a_signed_hop_is_known_again_until_it_expires() {
    const SIGNS: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "secrets": {"hop": {"environment": {"name": "HOP_1"}}},
        "trace": {"tracestate": {"member": "tgate"}, "signed_hop": {"active": {"id": "k1", "key": {"secret": "hop"}}, "expires_after": "30s"},
            "trust": [{"name": "ours", "when": {"signed_hop": "valid"}, "context": "continue"}, {"name": "rest", "context": "restart"}]}}"#;
    let mut world = World::new(SIGNS);
    let first = world.send(get("/").with("traceparent", PARENT));
    world.run_until_idle();
    let sent = world.upstream(first).clone();
    assert_ne!(sent.trace().trace_id().to_string(), TRACE, "the first caller bears no signature");
    // The service begins a span of its own, changes the flag and puts its member first.
    let child = |trace: &str| {
        let parent = format!("00-{trace}-00f067aa0ba902b7-00");
        get("/next").with("traceparent", parent).with("tracestate", format!("svc=1,{}", sent.one("tracestate")))
    };
    let trace = sent.trace().trace_id().to_string();
    let second = world.send(child(&trace));
    let stolen = world.send(child(TRACE));
    world.run_until_idle();
    assert_eq!(world.upstream(second).trace().trace_id().to_string(), trace);
    assert_eq!(world.upstream(second).trace().flags().bits(), 0, "the service's own decision");
    assert!(world.upstream(second).one("tracestate").ends_with(",svc=1"));
    assert_ne!(world.upstream(second).one("tracestate"), world.upstream(first).one("tracestate"), "signed anew");
    assert_ne!(world.upstream(stolen).trace().trace_id().to_string(), TRACE, "a signature is for its trace alone");
    world.advance(secs(31));
    let late = world.send(child(&trace));
    world.run_until_idle();
    assert_ne!(world.upstream(late).trace().trace_id().to_string(), trace, "expired");
}
