// SPDX-License-Identifier: Apache-2.0
//! Whose context is believed, and what passes of what isn't read.

use super::*;

#[test]
fn principals_are_treated_as_the_first_rule_that_matches_says() {
    let network = |text: &str| Some(Condition::Source(vec![text.parse().unwrap()]));
    let mesh = Condition::Peer(PeerMatch::UriSan(TextMatch::Prefix("spiffe://shop.example/".into())));
    let trust = trusting(&[
        ("mesh", Some(mesh), Treatment::Continue, true),
        ("noisy", network("198.51.100.0/24"), Treatment::Continue, false),
        ("partner", network("203.0.113.0/24"), Treatment::Link, false),
        ("banned", Some(Condition::Route(vec!["public".into()])), Treatment::Reject, false),
        ("internet", None, Treatment::Restart, false),
    ]);
    let mut edge = Edge::new(TracePolicy { trust, ..policy(Some("tgate")) });
    let not_sampled = PARENT.replace("-01", "-00");
    let carried = [
        ("traceparent", not_sampled.as_str()),
        ("tracestate", "a=1"),
        ("baggage", "k=v"),
        ("b3", "0"),
        ("uberctx-a", "b"),
        ("uberctx-", "c"),
        ("jaeger-debug-id", "1"),
        ("Jaeger-Baggage", "a=b"),
        ("x-datadog-trace-id", "7"),
        ("SENTRY-trace", "8"),
        ("x-request-id", "9"),
    ];
    let mut check = |peer: &[(PeerFact, &str)], route, outcome, goes_on: bool, flags: u8| {
        edge.peer = peer.iter().map(|(fact, value)| (*fact, (*value).to_owned())).collect();
        edge.route = route;
        let (settled, upstream) = edge.send(&carried, &mut counting);
        assert_eq!(settled.outcome, outcome, "{peer:?}");
        let sent = settled.sent.unwrap();
        assert_eq!((sent.trace_id().to_string() == TRACE, sent.flags().bits()), (goes_on, flags), "{peer:?}");
        let state = format!("tracestate: tgate={}{}", sent.parent_id(), if goes_on { ",a=1" } else { "" });
        // Of formats that aren't read nothing passes, whoever calls: a policy that tells callers apart vouches for what it reads.
        let kept = if goes_on { vec!["baggage: k=v".to_owned()] } else { Vec::new() };
        let expected = [kept, vec![format!("traceparent: {sent}"), state, "x-request-id: 9".to_owned()]].concat();
        if outcome != Outcome::Rejected {
            assert_eq!(shown(&upstream), expected, "{peer:?}");
        }
        settled
    };
    let source = |address: &'static str| [(PeerFact::SourceAddress, address)];
    let mesh = [(PeerFact::UriSan, "spiffe://shop.example/a"), (PeerFact::SourceAddress, "10.0.0.1:1")];
    assert_eq!(check(&mesh, None, Outcome::Continued, true, 0).rule, Some(0));
    assert_eq!(check(&source("198.51.100.7:1"), None, Outcome::Continued, true, 1).rule, Some(1), "its flag doesn't count");
    let linked = check(&source("203.0.113.9:1"), None, Outcome::Linked, false, 3);
    let link = linked.link.unwrap();
    assert_eq!((link.trace_id.to_string().as_str(), link.span_id.unwrap().to_string().as_str()), (TRACE, SPAN));
    check(&source("192.0.2.1:1"), Some("public"), Outcome::Rejected, false, 3);
    assert_eq!(check(&source("192.0.2.1:1"), None, Outcome::Restarted(RestartCause::Untrusted), false, 3).link, None);
    check(&[], None, Outcome::Restarted(RestartCause::Untrusted), false, 3);
    // Without context there is nothing to reject; with any carrier's header there is, read or not, valid or not.
    edge.peer.clear();
    edge.route = Some("public");
    for (lines, outcome) in [
        (vec![], Outcome::Restarted(RestartCause::Absent)),
        (vec![("baggage", "k=v"), ("x-request-id", "7")], Outcome::Restarted(RestartCause::Absent)),
        (vec![("traceparent", "x")], Outcome::Rejected),
        (vec![("tracestate", "a=1")], Outcome::Rejected),
        (vec![("b3", "0")], Outcome::Rejected),
        (vec![("request-id", "|a.")], Outcome::Rejected),
        (vec![("x-datadog-trace-id", "7")], Outcome::Rejected),
    ] {
        assert_eq!(edge.send(&lines, &mut counting).0.outcome, outcome, "{lines:?}");
    }
}

#[test]
fn a_context_that_somebody_else_sent_before_is_noticed_whatever_the_route() {
    let trust = trusting(&[
        (
            "orders",
            Some(Condition::All(vec![Condition::Route(vec!["orders".into()]), Condition::Source(vec!["10.0.0.0/8".parse().unwrap()])])),
            Treatment::Continue,
            true,
        ),
        ("rest", None, Treatment::Continue, true),
    ]);
    let mut edge = Edge::new(TracePolicy { trust, ..policy(None) });
    let mut foreign = |address: &str, route, seconds: i64| {
        edge.peer = vec![(PeerFact::SourceAddress, address.to_owned())];
        (edge.route, edge.now) = (route, seconds * 1_000_000_000);
        edge.send(&[("traceparent", PARENT)], &mut counting).0.indicators.foreign_pair
    };
    assert!(!foreign("10.0.0.1:1000", Some("orders"), 100));
    assert!(!foreign("10.0.0.1:2000", None, 101), "the same caller by another port on another route");
    assert!(foreign("10.0.0.2:1000", Some("orders"), 102));
    assert!(!foreign("10.0.0.2:1000", Some("orders"), 103));
    assert!(!foreign("10.0.0.1:1000", Some("orders"), 200), "long ago");
}

#[test]
fn without_trust_rules_what_is_not_read_passes_and_an_allow_list_holds_all_the_same() {
    let lines = [
        ("traceparent", PARENT),
        ("x-datadog-trace-id", "7"),
        ("b3", "garbage"),
        ("uberctx-a", "1"),
        ("jaeger-baggage", "a=1"),
        ("correlation-context", "a=1"),
    ];
    let passed = shown(&upstream(&lines, &policy(None), &mut counting).1);
    assert_eq!(passed.len(), lines.len(), "{passed:?}");
    let stripping = TracePolicy { baggage: BaggagePolicy { allow: Some([].into()) }, ..policy(None) };
    let mut none = |_: &mut [u8]| Err(EntropyUnavailable);
    for entropy in [&mut counting as &mut dyn Entropy, &mut none] {
        let names: Vec<String> = upstream(&lines, &stripping, entropy).1.into_keys().collect();
        assert_eq!(names, ["b3", "traceparent", "x-datadog-trace-id"]);
    }
    let jaeger = TracePolicy { extract: vec![Format::Jaeger], inject: vec![Format::Jaeger], ..stripping };
    let lines = [("uber-trace-id", "a:b:0:1"), ("uberctx-a", "1"), ("jaeger-debug-id", "1")];
    for entropy in [&mut counting as &mut dyn Entropy, &mut none] {
        let names: Vec<String> = upstream(&lines, &jaeger, entropy).1.into_keys().collect();
        assert!(!names.contains(&"uberctx-a".to_owned()) && names.contains(&"uber-trace-id".to_owned()), "{names:?}");
    }
}
