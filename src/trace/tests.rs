// SPDX-License-Identifier: Apache-2.0
//! What the upstream is told, by what the caller sent.

use std::collections::BTreeMap;

use super::*;
use crate::condition::{Condition, PeerMatch, TextMatch};
use crate::edits::{HeaderEdit, HeaderEdits};
use crate::head::{Header, Headers};
use crate::inputs::{Entropy, EntropyUnavailable, Inputs, PeerFact};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// What the test's entropy mints: block bytes count up, a trace-id takes 16 and a span-id 8.
const FRESH: &str = "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-03";
const CONTINUED: &str = "00-0af7651916cd43dd8448eb211c80319c-0102030405060708-01";

fn counting(bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
    for (byte, value) in bytes.iter_mut().zip((1..=u8::MAX).cycle()) {
        *byte = value;
    }
    Ok(())
}

fn policy(member: Option<&str>) -> TracePolicy {
    TracePolicy {
        extract: vec![Format::TraceContext],
        inject: vec![Format::TraceContext],
        baggage: BaggagePolicy::default(),
        member: member.map(|key| key.parse().unwrap()),
        max_tracestate_length: TRACESTATE_MAX_LENGTH,
        trust: TrustPolicy::default(),
        signed_hop: None,
        sampling: None,
    }
}

/// A request's way through one gateway, with what is known of its peer.
struct Edge {
    policy: TracePolicy,
    settler: Settler,
    route: Option<&'static str>,
    root: Option<Threshold>,
    refused: bool,
    peer: Vec<(PeerFact, String)>,
    now: i64,
}

impl Edge {
    fn new(policy: TracePolicy) -> Self {
        Self { policy, settler: Settler::new(), route: None, root: None, refused: false, peer: Vec::new(), now: 0 }
    }

    /// What became of the trace, and the upstream's headers after the edits, each with all its lines.
    fn send(&mut self, lines: &[(&str, &str)], entropy: &mut dyn Entropy) -> (Settled, BTreeMap<String, Vec<String>>) {
        let headers: Vec<Header<'_>> =
            lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let mut edits = HeaderEdits::none();
        let known = &self.peer;
        let mut peer = |fact: PeerFact| known.iter().find(|(one, _)| *one == fact).map(|(_, value)| value.as_bytes().to_vec());
        let mut inputs = Inputs { now: self.now, monotonic: self.now.unsigned_abs(), entropy, peer: &mut peer };
        let carried = read(Headers::new(&headers), &self.policy.extract);
        let circumstances = Circumstances { route: self.route, root: self.root, refused: self.refused, ..Circumstances::default() };
        let settled = self.settler.settle(&carried, circumstances, &self.policy, &mut inputs, &mut edits);
        let mut upstream: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in lines {
            upstream.entry(name.to_ascii_lowercase()).or_default().push((*value).to_owned());
        }
        for edit in edits.iter() {
            match edit {
                HeaderEdit::Replace { name, value } => upstream.insert(name.to_string(), vec![String::from_utf8(value.clone()).unwrap()]),
                HeaderEdit::Remove { name } => upstream.remove(name.as_ref()),
            };
        }
        (settled, upstream)
    }
}

fn upstream(lines: &[(&str, &str)], policy: &TracePolicy, entropy: &mut dyn Entropy) -> (Settled, BTreeMap<String, Vec<String>>) {
    Edge::new(policy.clone()).send(lines, entropy)
}

fn sent(lines: &[(&str, &str)], member: Option<&str>) -> (Vec<String>, Vec<String>) {
    let (_, mut upstream) = upstream(lines, &policy(member), &mut counting);
    (upstream.remove("traceparent").unwrap_or_default(), upstream.remove("tracestate").unwrap_or_default())
}

#[test]
fn a_valid_trace_goes_on_under_a_new_parent_id() {
    let one = |text: &str| vec![text.to_owned()];
    assert_eq!(sent(&[("traceparent", PARENT)], None), (one(CONTINUED), vec![]));
    assert_eq!(sent(&[("TraceParent", PARENT)], None), (one(CONTINUED), vec![]));
    assert_eq!(sent(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")], None), (one(CONTINUED), one("a=1,b=2")));
    // Lines become one, empty members and white space go.
    let several = [("traceparent", PARENT), ("tracestate", "a=1 ,,"), ("TRACESTATE", " b=2")];
    assert_eq!(sent(&several, None), (one(CONTINUED), one("a=1,b=2")));
    let with_empty = [("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "")];
    let (_, upstream) = upstream(&with_empty, &policy(None), &mut counting);
    assert_eq!(upstream["tracestate"], ["a=1"], "an empty second line goes too");
    assert_eq!(sent(&[("traceparent", PARENT), ("tracestate", "")], None), (one(CONTINUED), vec![]));
    // A later version comes out as 00, unknown flags as 0, the random flag as it came.
    let later = format!("cc-{TRACE}-b7ad6b7169203331-ff-more");
    assert_eq!(sent(&[("traceparent", &later)], None), (one(&format!("00-{TRACE}-0102030405060708-03")), vec![]));
}

#[test]
fn whatever_is_not_valid_is_dropped_and_a_fresh_trace_begins() {
    let malformed = "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01";
    let fresh = (vec![FRESH.to_owned()], vec![]);
    for (lines, cause) in [
        (vec![], RestartCause::Absent),
        (vec![("tracestate", "a=1")], RestartCause::Absent),
        (vec![("traceparent", "")], RestartCause::Malformed),
        (vec![("traceparent", malformed), ("tracestate", "a=1")], RestartCause::Malformed),
        (vec![("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1")], RestartCause::Several),
        (vec![("traceparent", PARENT), ("x", "y"), ("Traceparent", malformed)], RestartCause::Several),
    ] {
        assert_eq!(sent(&lines, None), fresh, "{lines:?}");
        let (settled, _) = upstream(&lines, &policy(None), &mut counting);
        assert_eq!(settled.outcome, Outcome::Restarted(cause), "{lines:?}");
    }
}

#[test]
fn a_malformed_tracestate_is_dropped_and_the_trace_goes_on() {
    for state in ["a", "a=1,B=2", "a=1,b=\u{e9}"] {
        let lines = [("traceparent", PARENT), ("tracestate", state)];
        assert_eq!(sent(&lines, None), (vec![CONTINUED.to_owned()], vec![]), "{state}");
        let (settled, _) = upstream(&lines, &policy(None), &mut counting);
        assert!(settled.outcome == Outcome::Continued && settled.state_dropped, "{state}");
    }
}

#[test]
fn our_member_names_our_span_and_goes_first() {
    let state = |lines: &[(&str, &str)]| sent(lines, Some("tgate")).1;
    assert_eq!(state(&[("traceparent", PARENT), ("tracestate", "a=1,tgate=old")]), ["tgate=0102030405060708,a=1"]);
    assert_eq!(state(&[("traceparent", PARENT), ("tracestate", "A=1")]), ["tgate=0102030405060708"]);
    assert_eq!(state(&[("tracestate", "a=1")]), ["tgate=1112131415161718"]);
}

#[test]
fn a_long_tracestate_is_cut_to_what_the_policy_allows() {
    let long = format!("a=1,{}", ["k=", &"v".repeat(256)].concat());
    let policy = TracePolicy { max_tracestate_length: 100, ..policy(Some("tgate")) };
    let (_, upstream) = upstream(&[("traceparent", PARENT), ("tracestate", &long)], &policy, &mut counting);
    assert_eq!(upstream["tracestate"], ["tgate=0102030405060708,a=1"]);
}

#[test]
fn without_randomness_a_valid_context_passes_as_it_came_and_nothing_malformed_does() {
    let mut none = |_: &mut [u8]| Err(EntropyUnavailable);
    let mut zeros = |bytes: &mut [u8]| {
        bytes.fill(0);
        Ok(())
    };
    let policy = policy(Some("tgate"));
    for entropy in [&mut none as &mut dyn Entropy, &mut zeros] {
        let mut passed = |lines: &[(&str, &str)]| {
            let (settled, upstream) = upstream(lines, &policy, &mut *entropy);
            assert_eq!((settled.outcome, settled.sent), (Outcome::Unminted, None));
            upstream.into_iter().map(|(name, lines)| format!("{name}: {}", lines.join(" | "))).collect::<Vec<_>>()
        };
        assert_eq!(
            passed(&[("traceparent", PARENT), ("tracestate", "a=1 ")]),
            [format!("traceparent: {PARENT}"), "tracestate: a=1 ".to_owned()]
        );
        assert_eq!(passed(&[("traceparent", PARENT), ("tracestate", "A=1")]), [format!("traceparent: {PARENT}")]);
        assert!(passed(&[("traceparent", "x"), ("tracestate", "a=1")]).is_empty());
        assert!(passed(&[("traceparent", PARENT), ("traceparent", PARENT)]).is_empty());
        assert!(passed(&[("tracestate", "a=1")]).is_empty());
        assert!(passed(&[]).is_empty());
    }
}

const SPAN: &str = "b7ad6b7169203331";

/// A policy that reads and writes these.
fn formats(extract: &[Format], inject: &[Format]) -> TracePolicy {
    TracePolicy { extract: extract.to_vec(), inject: inject.to_vec(), ..policy(None) }
}

fn trusting(rules: &[(&str, Option<Condition>, Treatment, bool)]) -> TrustPolicy {
    let rule = |&(name, ref when, context, honor_sampled): &(&str, Option<Condition>, Treatment, bool)| TrustRule {
        name: name.to_owned(),
        when: when.clone(),
        context,
        honor_sampled,
        trace_response: false,
    };
    TrustPolicy::new(rules.iter().map(rule).collect())
}

fn shown(upstream: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    upstream.iter().map(|(name, lines)| format!("{name}: {}", lines.join(" | "))).collect()
}

/// What every format is told of a trace that goes on under the span 0102030405060708.
fn told(format: Format, sampled: bool) -> Vec<String> {
    let (span, flag) = ("0102030405060708", u8::from(sampled));
    match format {
        Format::TraceContext => vec![format!("traceparent: 00-{TRACE}-{span}-0{flag}")],
        Format::B3 => vec![format!("b3: {TRACE}-{span}-{flag}")],
        Format::B3Multi => vec![format!("x-b3-sampled: {flag}"), format!("x-b3-spanid: {span}"), format!("x-b3-traceid: {TRACE}")],
        Format::Jaeger => vec![format!("uber-trace-id: {TRACE}:{span}:0:{flag}")],
        Format::OtTrace => {
            vec![
                format!("ot-tracer-sampled: {sampled}"),
                format!("ot-tracer-spanid: {span}"),
                format!("ot-tracer-traceid: {}", &TRACE[16..]),
            ]
        }
        Format::OtSpanContext => vec![format!(
            "x-ot-span-context: {}",
            if sampled { "EhQJnDGAHCHrSIQRCAcGBQQDAgEYAQ==" } else { "EhIJnDGAHCHrSIQRCAcGBQQDAgE=" }
        )],
        Format::XRay => vec![format!("x-amzn-trace-id: Root=1-{}-{};Parent={span};Sampled={flag}", &TRACE[..8], &TRACE[8..])],
        Format::RequestId => vec![format!("request-id: |{TRACE}.{span}.")],
    }
}

/// A valid carrier in every format, all of the same trace; sampled, where the format says so.
fn carrier(format: Format) -> Vec<(&'static str, String)> {
    match format {
        Format::TraceContext => vec![("traceparent", PARENT.to_owned())],
        Format::B3 => vec![("b3", format!("{TRACE}-{SPAN}-1"))],
        Format::B3Multi => vec![("x-b3-traceid", TRACE.to_owned()), ("x-b3-spanid", SPAN.to_owned()), ("x-b3-sampled", "1".to_owned())],
        Format::Jaeger => vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0:1"))],
        Format::OtTrace => {
            vec![("ot-tracer-traceid", TRACE.to_owned()), ("ot-tracer-spanid", SPAN.to_owned()), ("ot-tracer-sampled", "true".to_owned())]
        }
        Format::OtSpanContext => vec![("x-ot-span-context", "EhQJnDGAHCHrSIQRMTMgaXFrrbcYAQ==".to_owned())],
        Format::XRay => vec![("x-amzn-trace-id", format!("Root=1-{}-{};Parent={SPAN};Sampled=1", &TRACE[..8], &TRACE[8..]))],
        Format::RequestId => vec![("request-id", format!("|{TRACE}.{SPAN}."))],
    }
}

fn lent<'a>(lines: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    lines.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn every_format_goes_on_in_every_other_and_in_no_third() {
    for from in Format::ALL {
        for to in Format::ALL {
            let (settled, upstream) = upstream(&lent(&carrier(from)), &formats(&[from], &[to]), &mut counting);
            assert_eq!(settled.outcome, Outcome::Continued, "{from:?} to {to:?}");
            let mut expected = told(to, true);
            if from == Format::OtSpanContext {
                expected = expected
                    .into_iter()
                    .map(|line| line.replace(&TRACE[..16], &"0".repeat(16)).replace("Root=1-0af76519-16cd43dd", "Root=1-00000000-00000000"))
                    .collect();
            }
            assert_eq!(shown(&upstream), expected, "{from:?} to {to:?}");
        }
    }
    let all = formats(&[Format::TraceContext], &Format::ALL);
    let mut expected: Vec<String> = Format::ALL.into_iter().flat_map(|format| told(format, true)).collect();
    expected.sort();
    assert_eq!(shown(&upstream(&[("traceparent", PARENT)], &all, &mut counting).1), expected, "all at once");
}

#[test]
fn the_first_valid_carrier_wins_and_ids_are_never_mixed() {
    let other = "4bf92f3577b34da6a3ce929d0e0e4736";
    let b3 = format!("{other}-00f067aa0ba902b7-0");
    let lines = [("traceparent", PARENT), ("tracestate", "a=1"), ("b3", b3.as_str())];
    let goes_on = |extract: &[Format], lines: &[(&str, &str)]| {
        let (settled, upstream) = upstream(lines, &formats(extract, &[Format::TraceContext]), &mut counting);
        (settled.sent.unwrap().trace_id().to_string(), shown(&upstream), settled.indicators)
    };
    let (trace, sent, indicators) = goes_on(&[Format::TraceContext, Format::B3], &lines);
    assert_eq!((trace.as_str(), sent), (TRACE, vec![format!("traceparent: {CONTINUED}"), "tracestate: a=1".to_owned()]));
    assert_eq!(indicators, Indicators { conflicting: true, ..Indicators::default() });
    // The other order: the tracestate of another trace goes too.
    let (trace, sent, _) = goes_on(&[Format::B3, Format::TraceContext], &lines);
    assert_eq!((trace.as_str(), sent), (other, vec![format!("traceparent: 00-{other}-0102030405060708-00")]));
    // A malformed first one leaves the field to the second.
    let (trace, _, indicators) = goes_on(&[Format::TraceContext, Format::B3], &[("traceparent", "00-x"), ("b3", &b3)]);
    assert_eq!((trace.as_str(), indicators), (other, Indicators { malformed: true, ..Indicators::default() }));
    // 64 bits of the same trace are no conflict.
    let short = format!("{}-{SPAN}-1", &TRACE[16..]);
    assert_eq!(goes_on(&[Format::TraceContext, Format::B3], &[("traceparent", PARENT), ("b3", &short)]).2, Indicators::default());
    // What isn't read passes, where the caller is believed.
    assert_eq!(
        goes_on(&[Format::TraceContext], &lines).1,
        [format!("b3: {b3}"), format!("traceparent: {CONTINUED}"), "tracestate: a=1".to_owned()]
    );
}

#[test]
fn what_is_read_and_not_written_is_removed_with_everything_of_its_format() {
    let lines = [
        ("x-b3-traceid", TRACE),
        ("x-b3-spanid", SPAN),
        ("x-b3-parentspanid", SPAN),
        ("x-b3-flags", "1"),
        ("ot-baggage-k", "v"),
        ("OT-Baggage-K", "w"),
        ("uber-trace-id", "malformed"),
        ("uberctx-a", "b"),
        ("accept", "*/*"),
    ];
    let read = [Format::B3Multi, Format::OtTrace, Format::Jaeger];
    let (settled, upstream) = upstream(&lines, &formats(&read, &[Format::TraceContext]), &mut counting);
    assert_eq!(settled.outcome, Outcome::Continued);
    assert_eq!(shown(&upstream), ["accept: */*".to_owned(), format!("traceparent: {CONTINUED}")]);
    // Written, it is written anew, with debug as it came and nothing left over.
    let (_, upstream) = self::upstream(&lines, &formats(&read, &[Format::B3Multi]), &mut counting);
    let expected = ["accept: */*", "x-b3-flags: 1", "x-b3-spanid: 0102030405060708", &format!("x-b3-traceid: {TRACE}")];
    assert_eq!(shown(&upstream), expected);
}

#[test]
fn which_application_called_goes_on_with_a_request_id_and_without_baggage_too() {
    let id = format!("|{TRACE}.{SPAN}.");
    let lines = [("request-id", id.as_str()), ("request-context", "appId=cid-v1:7")];
    let (_, upstream) = upstream(&lines, &formats(&[Format::RequestId], &[Format::RequestId]), &mut counting);
    assert_eq!(shown(&upstream), ["request-context: appId=cid-v1:7".to_owned(), format!("request-id: |{TRACE}.0102030405060708.")]);
    let (_, upstream) = self::upstream(&lines, &formats(&[Format::RequestId], &[Format::TraceContext]), &mut counting);
    assert_eq!(upstream.into_keys().collect::<Vec<_>>(), ["traceparent"]);
}

#[test]
fn a_decision_without_a_trace_is_honored_in_a_fresh_one() {
    for (value, flags) in [("0", 2), ("1", 3), ("d", 3)] {
        let (settled, upstream) = upstream(&[("b3", value)], &formats(&[Format::B3], &[Format::B3]), &mut counting);
        assert_eq!(settled.outcome, Outcome::Restarted(RestartCause::Absent));
        assert_eq!(settled.sent.unwrap().flags().bits(), flags, "{value}");
        assert!(upstream["b3"][0].ends_with(value), "{upstream:?}");
    }
}

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
fn flag_threshold_and_decision_agree() {
    let half = SamplingPolicy { root: "0.5".parse().unwrap(), max_per_second: None, record_refused: true, record_errors: true };
    let sampling = TracePolicy { sampling: Some(half), ..policy(None) };
    // Randomness below and above one half.
    let (low, high) = ("0af7651916cd43dd8408eb211c80319c", "0af7651916cd43dd84c8eb211c80319c");
    let parent = |trace: &str, flags: &str| format!("00-{trace}-{SPAN}-{flags}");
    let ignoring = TracePolicy { trust: trusting(&[("all", None, Treatment::Continue, false)]), ..sampling.clone() };
    for (policy, trace, flags, state, sent_flags, sent_state) in [
        // The caller decides, and its threshold goes on where it says the same.
        (&sampling, high, "01", Some("ot=th:8,a=1"), "01", Some("ot=th:8,a=1")),
        (&sampling, low, "01", Some("ot=th:8,a=1"), "01", Some("a=1")),
        (&sampling, low, "00", Some("ot=th:8"), "00", Some("ot=th:8")),
        (&sampling, high, "00", Some("ot=th:8;rv:f0000000000000"), "00", Some("ot=rv:f0000000000000")),
        (&sampling, low, "01", Some("ot=th:8;rv:f0000000000000"), "01", Some("ot=th:8;rv:f0000000000000")),
        (&sampling, low, "01", None, "01", None),
        // The policy decides, by the trace's own randomness.
        (&ignoring, high, "00", None, "01", Some("ot=th:8")),
        (&ignoring, low, "01", Some("ot=th:0;p:1"), "00", Some("ot=p:1")),
        (&ignoring, low, "01", Some("a=1,ot=rv:80000000000000"), "01", Some("ot=th:8;rv:80000000000000,a=1")),
        (&ignoring, high, "01", Some("ot=th:c"), "01", Some("ot=th:8")),
    ] {
        let parent = parent(trace, flags);
        let lines: Vec<(&str, &str)> =
            std::iter::once(("traceparent", parent.as_str())).chain(state.map(|state| ("tracestate", state))).collect();
        let (settled, upstream) = upstream(&lines, policy, &mut counting);
        assert!(upstream["traceparent"][0].ends_with(sent_flags), "{lines:?} {upstream:?}");
        assert_eq!(upstream.get("tracestate").map(|lines| lines.join("|")).as_deref(), sent_state, "{lines:?}");
        assert_eq!(settled.sampling.sampled, sent_flags == "01");
    }
    // Fresh traces: those of the test's entropy draw 0a0b…, below one half.
    let (_, fresh) = upstream(&[], &sampling, &mut counting);
    assert!(fresh["traceparent"][0].ends_with("-02") && !fresh.contains_key("tracestate"), "{fresh:?}");
    let mut falling = |bytes: &mut [u8]| {
        bytes.fill(0xf0);
        Ok(())
    };
    let (_, fresh) = upstream(&[], &sampling, &mut falling);
    assert!(fresh["traceparent"][0].ends_with("-03"), "{fresh:?}");
    assert_eq!(fresh["tracestate"], ["ot=th:8"]);
    // Without a sampling policy nothing is said of probabilities but by the caller, and that only where it agrees with its flag.
    for (trace, state, expected) in
        [(high, "ot=th:8", Some("ot=th:8")), (low, "ot=th:8", None), (high, "ot=th:8;th:9,ot=p:1", Some("ot=th:9"))]
    {
        let (_, plain) = upstream(&[("traceparent", &parent(trace, "01")), ("tracestate", state)], &policy(None), &mut counting);
        assert_eq!(plain.get("tracestate").map(|lines| lines.join("|")).as_deref(), expected, "{state}");
    }
}

#[test]
fn routes_bounds_and_refusals_have_their_say_about_recording() {
    let sampling = SamplingPolicy { root: Threshold::ALWAYS, max_per_second: Some(2), record_refused: true, record_errors: true };
    let mut edge = Edge::new(TracePolicy { sampling: Some(sampling), ..policy(None) });
    let decided = |edge: &mut Edge, lines: &[(&str, &str)]| {
        let (settled, upstream) = edge.send(lines, &mut counting);
        let Decided { sampled, threshold, by } = settled.sampling;
        assert_eq!(settled.sent.unwrap().flags().contains(TraceFlags::SAMPLED), sampled, "the flag is the decision");
        assert_eq!(upstream.get("tracestate").is_some_and(|state| state[0].starts_with("ot=th:")), threshold.is_some());
        (sampled, by)
    };
    let fresh: [(&str, &str); 0] = [];
    edge.root = Some(Threshold::NEVER);
    assert_eq!(decided(&mut edge, &fresh), (false, DecidedBy::Probability), "the route's own word");
    edge.root = None;
    assert_eq!(decided(&mut edge, &fresh), (true, DecidedBy::Probability));
    edge.refused = true;
    assert_eq!(decided(&mut edge, &fresh), (true, DecidedBy::Refusal), "it takes no place from others");
    assert_eq!(decided(&mut edge, &[("traceparent", &PARENT.replace("-01", "-00"))]), (true, DecidedBy::Refusal));
    assert_eq!(decided(&mut edge, &[("traceparent", PARENT)]), (true, DecidedBy::Parent));
    edge.refused = false;
    assert_eq!(decided(&mut edge, &fresh), (true, DecidedBy::Probability));
    assert_eq!(decided(&mut edge, &fresh), (false, DecidedBy::Limit), "the third of this second");
    assert_eq!(decided(&mut edge, &[("traceparent", PARENT)]), (true, DecidedBy::Parent), "whom we honor isn't bounded");
    edge.now = 1_000_000_000;
    assert_eq!(decided(&mut edge, &[("b3", "0")]), (true, DecidedBy::Probability), "b3 isn't read here");
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

#[test]
fn half_a_trace_id_of_zeros_is_not_written_where_it_would_be_none() {
    let parent = "00-0af7651916cd43dd0000000000000000-b7ad6b7169203331-01";
    let (_, upstream) = upstream(
        &[("traceparent", parent), ("ot-tracer-traceid", "1")],
        &formats(&[Format::TraceContext], &[Format::OtTrace, Format::OtSpanContext, Format::B3]),
        &mut counting,
    );
    assert_eq!(shown(&upstream), ["b3: 0af7651916cd43dd0000000000000000-0102030405060708-1"]);
}
