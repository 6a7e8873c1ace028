// SPDX-License-Identifier: Apache-2.0
//! What is recorded, and who decides so.

use super::*;

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
