// SPDX-License-Identifier: Apache-2.0
//! What W3C Trace Context asks for, on every hop.

use super::chain::{Chain, Passage};
use super::gateway::{signing, trusting_ours};
use super::service::{Manner, SERVICES};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS: &str = "b7ad6b7169203331";

fn start() -> Option<Chain> {
    Chain::start(&signing(1, None, "30s"), &trusting_ours(signing(1, None, "30s")))
}

#[test]
fn one_trace_goes_through_both_gateways_with_a_new_span_on_every_hop() {
    let Some(chain) = start() else { return };
    for (flags, sent) in [(0, "00"), (1, "01"), (2, "02"), (3, "03"), (1, "fd")] {
        for (manner, own) in [(Manner::Faithful, ""), (Manner::WithMember, "svc=1,")] {
            let parent = format!("00-{TRACE}-{CALLERS}-{sent}");
            let passage = chain.pass(manner, &[("traceparent", &parent), ("tracestate", "a=1,tgate=forged"), ("tracestate", "b=2")]);
            let Passage { got, reached, .. } = &passage;
            assert_eq!((got.trace.as_str(), reached.trace.as_str()), (TRACE, TRACE), "{passage:?}");
            assert_eq!((got.flags, reached.flags), (flags, flags), "{passage:?}");
            let mut spans = vec![CALLERS, &got.span, SERVICES, &reached.span];
            spans.sort_unstable();
            spans.dedup();
            assert_eq!(spans.len(), 4, "{passage:?}");
            assert_eq!(got.assert_signed(1), "a=1,b=2", "the order stays");
            assert_eq!(reached.assert_signed(1), format!("{own}a=1,b=2"), "who wrote last stands first");
        }
    }
}

#[test]
fn a_trace_that_begins_at_the_first_gateway_goes_on_through_the_second() {
    let Some(chain) = start() else { return };
    let parents = ["", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"];
    for parent in parents {
        let lines = [("traceparent", parent), ("tracestate", "a=1")];
        let passage = chain.pass(Manner::Faithful, &lines[usize::from(parent.is_empty())..]);
        assert_ne!(passage.got.trace, TRACE, "{passage:?}");
        assert_eq!((&passage.got.trace, passage.got.flags), (&passage.reached.trace, 3), "{passage:?}");
        assert_eq!((passage.got.assert_signed(1), passage.reached.assert_signed(1)), ("", ""), "{passage:?}");
        assert_eq!(passage.reached.flags, 3, "{passage:?}");
    }
}

#[test]
fn the_services_decision_about_recording_goes_on() {
    let Some(chain) = start() else { return };
    let parent = format!("00-{TRACE}-{CALLERS}-01");
    let passage = chain.pass(Manner::Unsampled, &[("traceparent", &parent)]);
    assert_eq!((passage.got.flags, passage.reached.flags, passage.reached.trace.as_str()), (1, 0, TRACE), "{passage:?}");
}

#[test]
fn what_the_service_breaks_or_leaves_out_begins_anew_at_the_second_gateway() {
    let Some(chain) = start() else { return };
    let parent = format!("00-{TRACE}-{CALLERS}-00");
    for manner in [Manner::UpperCase, Manner::Twice, Manner::BrokenState, Manner::OtherTrace, Manner::Stateless, Manner::Silent] {
        let passage = chain.pass(manner, &[("traceparent", &parent), ("tracestate", "a=1")]);
        assert_eq!(passage.got.trace, TRACE, "{manner:?}: the first gateway has no part in it");
        let ours = passage.called.iter().any(|(_, value)| value.contains(&passage.reached.trace));
        assert!(!ours && passage.reached.trace != TRACE, "{manner:?}: {passage:?}");
        assert_eq!((passage.reached.assert_signed(1), passage.reached.flags), ("", 3), "{manner:?}: {passage:?}");
    }
}
