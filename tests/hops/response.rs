// SPDX-License-Identifier: Apache-2.0
//! What a caller is told: our trace and span where its principal's rule says so, a refusal where it may not have a trace.

use serde_json::json;
use tracegate_harness::http::Response;
use tracegate_tests::{Edge, echoed};

use super::chain::Chain;
use super::gateway::{signing, trusting_ours};
use super::service::Manner;

const CALLERS: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Principals by path.
fn start() -> Option<Edge> {
    let route = |name: &str| json!({"name": name, "match": {"path": {"prefix": format!("/{name}")}}});
    let rule =
        |name: &str, context: &str, told: bool| json!({"name": name, "when": {"route": [name]}, "context": context, "traceresponse": told});
    let trust = [
        rule("told", "continue", true),
        rule("told-anew", "restart", true),
        rule("untold", "continue", false),
        rule("closed", "reject", false),
        json!({"name": "rest", "context": "restart"}),
    ];
    let routes = ["told", "told-anew", "untold", "closed"].map(route);
    let policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "trace": {"trust": trust}, "routes": routes
    });
    Edge::start(&policy.to_string())
}

fn told(response: &Response) -> Vec<&[u8]> {
    response.fields.iter().filter(|(name, _)| name == b"traceresponse").map(|(_, value)| value.as_slice()).collect()
}

#[test]
fn only_the_principal_that_may_know_is_told_which_span_of_which_trace_answered() {
    let Some(edge) = start() else { return };
    for (path, expected, goes_on) in
        [("/told", true, true), ("/told-anew", true, false), ("/untold", false, true), ("/other", false, false), ("/closed", false, false)]
    {
        let fields = [("traceparent", CALLERS)];
        let response = edge.get(path, if path == "/closed" { &[] } else { &fields });
        let parents = echoed(&response, "traceparent");
        assert_eq!(parents[0].contains("0af7651916cd43dd8448eb211c80319c"), goes_on, "{path}: {parents:?}");
        assert!(parents[0].ends_with(if goes_on { "-00" } else { "-03" }), "{path}: {parents:?}");
        let parents: Vec<&[u8]> = parents.iter().map(String::as_bytes).collect();
        assert_eq!(told(&response), if expected { parents } else { vec![] }, "{path}: just what the upstream was told");
    }
    edge.assert_alive();
}

#[test]
fn a_principal_that_may_have_no_trace_is_refused_with_one_and_served_without() {
    let Some(edge) = start() else { return };
    let carriers: [(&str, &[u8]); 5] =
        [("traceparent", CALLERS), ("traceparent", b"malformed"), ("tracestate", b"a=1"), ("b3", b"0"), ("X-Amzn-Trace-Id", b"Root=1-0-0")];
    for carrier in carriers {
        let response = edge.get("/closed", &[carrier]);
        let found = (response.status, response.field("tracegate-reason"));
        assert_eq!(found, (400, Some(&b"TraceContextRejected"[..])), "{}", carrier.0);
        assert!(told(&response).is_empty(), "{}", carrier.0);
    }
    assert_eq!(edge.get("/closed", &[]).status, 200);
    assert_eq!(edge.get("/closed", &[("baggage", b"a=1")]).status, 200, "baggage names no trace");
    assert_eq!(edge.metric_when("tracegate.requests.refused.TraceContextRejected", |count| count == 5), 5);
    edge.assert_alive();
}

#[test]
fn a_service_behind_a_gateway_of_ours_is_told_and_strangers_are_not() {
    let mut outbound = trusting_ours(signing(1, None, "30s"));
    outbound["trace"]["trust"][0]["traceresponse"] = json!(true);
    let Some(chain) = Chain::start(&signing(1, None, "30s"), &outbound) else { return };
    let passage = chain.pass(Manner::Faithful, &[]);
    let reached = &passage.reached;
    assert_eq!(passage.told, Some(format!("00-{}-{}-{:02x}", reached.trace, reached.span, reached.flags)));
    assert_eq!(chain.pass(Manner::Silent, &[]).told, None);
}
