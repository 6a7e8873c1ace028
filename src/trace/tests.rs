// SPDX-License-Identifier: Apache-2.0
//! What the upstream is told, by what the caller sent.

mod carriers;
mod principals;
mod recording;

use std::collections::BTreeMap;

use super::*;
use crate::caller::Caller;
use crate::condition::{Condition, PeerMatch};
use crate::edits::{HeaderEdit, HeaderEdits};
use crate::head::{Header, Headers};
use crate::inputs::{Entropy, EntropyUnavailable, Inputs, NoSignatures, NoStore, PeerFact};
use crate::matcher::TextMatch;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SPAN: &str = "b7ad6b7169203331";
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
    caller: Caller,
    peer: Vec<(PeerFact, String)>,
    now: i64,
}

impl Edge {
    fn new(policy: TracePolicy) -> Self {
        Self {
            policy,
            settler: Settler::new(),
            route: None,
            root: None,
            refused: false,
            caller: Caller::unknown(),
            peer: Vec::new(),
            now: 0,
        }
    }

    /// What became of the trace, and the upstream's headers after the edits, each with all its lines.
    fn send(&mut self, lines: &[(&str, &str)], entropy: &mut dyn Entropy) -> (Settled, BTreeMap<String, Vec<String>>) {
        let headers: Vec<Header<'_>> =
            lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let mut edits = HeaderEdits::none();
        let known = &self.peer;
        let mut peer = |fact: PeerFact| known.iter().find(|(one, _)| *one == fact).map(|(_, value)| value.as_bytes().to_vec());
        let (store, signatures) = (&mut NoStore, &mut NoSignatures);
        let mut inputs = Inputs { now: self.now, monotonic: self.now.unsigned_abs(), entropy, peer: &mut peer, store, signatures };
        let carried = read(Headers::new(&headers), &self.policy.extract);
        let circumstances =
            Circumstances { caller: &self.caller, route: self.route, root: self.root, refused: self.refused, trusted_hops: 0 };
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
