// SPDX-License-Identifier: Apache-2.0
//! Envoy's own tracer, which overwrites what a filter has set.

use serde_json::{Value, json};
use tracegate::trace::TraceParent;
use tracegate_tests::echoed;

use super::gateway::{Answer, Gateway, manager, version};
use super::shipped::Shipped;

const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const WRITTEN: &[&str] = &["get_header_map_value 0 traceparent", "get_header_map_value 0 tracestate"];

#[test]
fn as_shipped_the_backend_sees_the_trace_that_the_module_wrote() {
    let Some(gateway) = Gateway::start(Shipped::Plain, |_| {}) else { return };
    assert_is_the_modules(&gateway);
}

/// Sampling nothing is no cure.
#[test]
fn envoys_own_tracer_overwrites_it_whatever_it_samples() {
    for percent in [100, 0] {
        let traced = Gateway::start(Shipped::Plain, |tree| trace(tree, &json!({"random_sampling": {"value": percent}})));
        let Some(gateway) = traced else { return };
        for lines in [&[][..], &[CALLERS]] {
            let Seen { written, member, parents, states } = seen(&gateway, lines);
            assert_eq!(member, parent_id(&written), "the module wrote both");
            assert_eq!(parents.len(), 1, "{parents:?}");
            assert_ne!(parent_id(&parents[0]), member, "{percent} %: the backend's parent is no span of ours");
            assert!(!states.concat().contains("tgate"), "{percent} %: {states:?}");
            assert_eq!(trace_id(&parents[0]) == trace_id(&written), !lines.is_empty(), "{percent} %: {parents:?} for {written}");
        }
        // What the module refuses, the tracer goes on in.
        let Seen { written, parents, .. } = seen(&gateway, &[CALLERS, CALLERS]);
        assert_eq!((trace_id(&written) == trace_id(CALLERS), trace_id(&parents[0])), (false, trace_id(CALLERS)));
    }
}

/// The cure where Envoy's own spans are wanted, from Envoy 1.38 on.
#[test]
fn a_tracer_that_propagates_no_context_leaves_it_alone() {
    if version() == "1.36.4" {
        return;
    }
    let traced = Gateway::start(Shipped::Plain, |tree| {
        trace(tree, &json!({"random_sampling": {"value": 100}, "no_context_propagation": true}));
    });
    let Some(gateway) = traced else { return };
    assert_is_the_modules(&gateway);
    assert!(gateway.count_when("http.edge.tracing.random_sampling", |count| count > 0) > 0, "it traces");
}

/// What came of a request's trace.
struct Seen {
    /// The `traceparent` that the module wrote.
    written: String,
    /// The value of the module's `tracestate` member.
    member: String,
    /// The backend's `traceparent`.
    parents: Vec<String>,
    /// The backend's `tracestate`.
    states: Vec<String>,
}

fn seen(gateway: &Gateway, lines: &[&str]) -> Seen {
    let fields: Vec<(&str, &[u8])> = lines.iter().map(|line| ("traceparent", line.as_bytes())).collect();
    let Answer { response, read } = gateway.ask(gateway.connect(), &fields, WRITTEN);
    let [Some(written), Some(state)] = read.as_slice() else { panic!("the module wrote nothing: {read:?}") };
    let member = state.split(',').find_map(|member| member.strip_prefix("tgate=")).expect("the policy names a member");
    let (parents, states) = (echoed(&response, "traceparent"), echoed(&response, "tracestate"));
    Seen { written: written.clone(), member: member.to_owned(), parents, states }
}

fn assert_is_the_modules(gateway: &Gateway) {
    for lines in [&[][..], &[CALLERS], &[CALLERS, CALLERS]] {
        let Seen { written, member, parents, states } = seen(gateway, lines);
        assert_eq!((parents, states), (vec![written.clone()], vec![format!("tgate={member}")]));
        assert_eq!(member, parent_id(&written));
        assert_eq!(trace_id(&written) == trace_id(CALLERS), lines.len() == 1, "{written}");
    }
}

fn parent_id(text: &str) -> String {
    text.parse::<TraceParent>().expect("it is well-formed").to_string()[36..52].to_owned()
}

fn trace_id(text: &str) -> String {
    text.parse::<TraceParent>().expect("it is well-formed").to_string()[3..35].to_owned()
}

/// Switches the tracer on, for a collector that nobody listens as.
fn trace(tree: &mut Value, settings: &Value) {
    let tracing = &mut manager(tree)["tracing"];
    *tracing = settings.clone();
    tracing["provider"] = json!({"name": "envoy.tracers.opentelemetry", "typed_config": {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "http_service": {"http_uri": {"uri": "http://collector/v1/traces", "cluster": "collector", "timeout": "1s"}},
    }});
    let clusters = tree["static_resources"]["clusters"].as_array_mut().expect("there are clusters");
    let mut collector = clusters[0].clone();
    collector["name"] = json!("collector");
    let endpoint = &mut collector["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"] = json!({"address": "127.0.0.1", "port_value": 1});
    clusters.push(collector);
}
