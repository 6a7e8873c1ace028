// SPDX-License-Identifier: Apache-2.0
//! The gateway's spans and those of a service behind it, which OpenTelemetry's own SDK instruments: one tree.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tracegate_harness::collector::Collector;
use tracegate_harness::http::Connection;
use tracegate_tests::collected::{self, Span};

use super::{ask, cluster, often, policy, spans_until, start_before};

/// A service with OpenTelemetry's SDK; it ends when dropped.
struct Service {
    process: Child,
    address: SocketAddr,
}

impl Service {
    fn start(collector: SocketAddr) -> Self {
        let mut command = Command::new(collected::program("otlp-service"));
        command.arg(format!("http://{collector}/v1/traces")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the service starts");
        let mut ready = String::new();
        BufReader::new(process.stdout.take().expect("its output is a pipe")).read_line(&mut ready).expect("it is ready");
        let address = ready.trim().strip_prefix("ready ").and_then(|address| address.parse().ok());
        Self { process, address: address.unwrap_or_else(|| panic!("no address: {ready}")) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The span of this kind of a trace's: `span` tells one by what only it has.
#[track_caller]
fn one<'a>(spans: &'a [Span], trace: &str, is_it: impl Fn(&Span) -> bool) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| span.trace_id == trace && is_it(span)).collect();
    let [span] = found.as_slice() else { panic!("{} such spans in trace {trace}: {spans:#?}", found.len()) };
    span
}

#[test]
fn the_spans_of_gateway_and_service_are_one_tree() {
    for client in [false, true] {
        let collector = Collector::start().unwrap();
        let service = Service::start(collector.address());
        let mut policy = policy(&often());
        policy["export"]["spans"] = json!({"client": client});
        let Some(envoy) = start_before(Some(service.address), &policy, 1, vec![cluster("otel", collector.address())]) else { return };
        let mut connection = Connection::open(envoy.listener()).unwrap();
        // One whose caller has a trace, one without, one whose caller's is malformed.
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert_eq!(ask(&mut connection, "/orders/1", &[("traceparent", format!("00-{trace}-{parent}-01").as_bytes())]).status, 200);
        assert_eq!(ask(&mut connection, "/orders/2", &[]).status, 200);
        assert_eq!(
            ask(&mut connection, "/orders/3", &[("traceparent", b"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]).status,
            200
        );
        let count = if client { 9 } else { 6 };
        let spans = spans_until(&collector, count);
        assert_eq!(spans.len(), count, "{spans:#?}");
        let mut roots = Vec::new();
        for path in ["/orders/1", "/orders/2", "/orders/3"] {
            let of_service = |span: &Span| span.resource["service.name"] == "orders";
            let orders: Vec<&Span> = spans.iter().filter(|span| of_service(span) && span.get("url.path") == path).collect();
            let [service] = orders.as_slice() else { panic!("{path}: {spans:#?}") };
            assert_eq!(service.resource["telemetry.sdk.name"], "opentelemetry", "the SDK's own");
            let server = one(&spans, &service.trace_id, |span| span.name == "GET /orders/{id}");
            assert_eq!((server.resource["service.name"].as_str(), server.get("url.path")), ("edge", path));
            let above = if client {
                let call = one(&spans, &service.trace_id, |span| span.attributes.contains_key("url.full"));
                assert_eq!((&call.parent, call.resource["service.name"].as_str()), (&server.span_id, "edge"), "client: {client}, {path}");
                call
            } else {
                server
            };
            assert_eq!(service.parent, above.span_id, "client: {client}, {path}");
            roots.push((server.trace_id.as_str(), server.parent.as_str()));
        }
        assert_eq!(roots[0], (trace, parent), "the caller's span is above the gateway's");
        assert!(roots[1..].iter().all(|(own, parent)| *own != trace && parent.is_empty()) && roots[1] != roots[2], "{roots:?}");
    }
}
