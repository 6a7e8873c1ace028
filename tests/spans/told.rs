// SPDX-License-Identifier: Apache-2.0
//! What spans say.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tracegate_harness::collector::Collector;
use tracegate_harness::http::Connection;
use tracegate_harness::server::Server;
use tracegate_tests::get;

use super::{ask, cluster, fates, ledger_until, often, policy, spans_until, start, start_before};

#[test]
fn every_request_is_told_once_by_all_workers() {
    let collector = Collector::start().unwrap();
    let Some(envoy) = start(&policy(&often()), 2, collector.address()) else { return };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut connections: Vec<Connection> = (0..8).map(|_| Connection::open(envoy.listener()).unwrap()).collect();
    for round in 0..10 {
        for (number, connection) in connections.iter_mut().enumerate() {
            let id = round * 8 + number;
            let (path, status) = match id % 3 {
                0 => (format!("/orders/{id}?access_token=s3cret-7f3a9"), 200),
                1 => (format!("/closed/{id}"), 403),
                _ => ("/nowhere".to_owned(), 404),
            };
            let headers: &[(&str, &[u8])] =
                if id == 0 { &[("traceparent", parent.as_bytes())] } else { &[("cookie", b"sid=s3cret-7f3a9")] };
            assert_eq!(ask(connection, &path, headers).status, status);
        }
    }
    let spans = spans_until(&collector, 80);
    assert_eq!(spans.len(), 80, "each once");
    let ids: BTreeSet<_> = spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
    assert_eq!(ids.len(), 80);
    let instances: BTreeSet<_> = spans.iter().map(|span| &span.resource["service.instance.id"]).collect();
    assert_eq!(instances.len(), 2, "each worker is an instance of its own");
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (orders, closed, nowhere) = (of("GET /orders/{id}"), of("GET /closed/*"), of("GET"));
    assert_eq!((orders.len(), closed.len(), nowhere.len()), (27, 27, 26));
    for span in &orders {
        let told = ["http.route", "http.response.status_code", "tracegate.decision", "url.scheme"].map(|key| span.get(key));
        assert_eq!(told, ["/orders/{id}", "200", "admitted", "http"]);
        assert_eq!(span.get("url.path"), format!("/orders/{}", span.get("tracegate.path.id")));
        let backend: u64 = span.get("tracegate.backend_us").parse().unwrap();
        assert!(span.nanoseconds >= backend * 1000, "{span:?}");
    }
    assert!(closed.iter().all(|span| span.get("tracegate.reason") == "AccessDenied" && span.get("http.response.status_code") == "403"));
    assert!(nowhere.iter().all(|span| span.get("tracegate.reason") == "OperationNotFound"));
    let first = orders.iter().find(|span| span.get("tracegate.path.id") == "0").unwrap();
    assert_eq!((first.trace_id.as_str(), first.parent.as_str()), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"));
    assert_eq!(first.resource["deployment.environment.name"], "test");
    for request in collector.requests() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v1/traces"));
        let field = |name: &str| {
            request.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value.clone())
        };
        assert_eq!(field("content-type").as_deref(), Some(&b"application/x-protobuf"[..]));
        assert!(field("user-agent").unwrap().starts_with(b"OTel-OTLP-Exporter-"));
        assert_eq!(field("host").as_deref(), Some(&b"otel.internal:4318"[..]));
        assert!(!request.body.windows(6).any(|window| window == b"s3cret"));
    }
    let found = ledger_until(&envoy, Duration::from_secs(10), |ledger| ledger.get("acknowledged") == Some(&80));
    assert_eq!(found, fates([("recorded", 80), ("acknowledged", 80)]));
}

/// The upstream's parent is the gateway's span of the call to it, and that one's the span of the gateway.
#[test]
fn with_a_client_span_the_upstream_is_its_child() {
    let collector = Collector::start().unwrap();
    let mut policy = policy(&often());
    policy["export"]["spans"] = json!({"client": true});
    let Some(envoy) = start(&policy, 1, collector.address()) else { return };
    ask(&mut Connection::open(envoy.listener()).unwrap(), "/orders/7", &[]);
    let spans = spans_until(&collector, 2);
    let (server, client) = (&spans[0], &spans[1]);
    assert_eq!((&client.trace_id, &client.parent, server.parent.as_str()), (&server.trace_id, &server.span_id, ""));
    assert_eq!((client.name.as_str(), client.get("http.response.status_code")), ("GET", "200"));
    let found = ledger_until(&envoy, Duration::from_secs(10), |ledger| ledger.get("acknowledged") == Some(&2));
    assert_eq!(found, fates([("recorded", 2), ("acknowledged", 2)]));
}

/// Who leaves while a rate-limit service is asked has a span all the same.
#[test]
fn who_leaves_while_waiting_is_told() {
    let collector = Collector::start().unwrap();
    // A service that takes what comes, and never answers.
    let asked = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&asked);
    let service = Server::start_on_streams(move |mut stream| {
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).is_ok_and(|length| length > 0) {
            heard.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    let mut policy = policy(&often());
    policy["quotas"] = json!({"all": {
        "limit": {"fixed_window": {"requests": 9, "window": "1m"}}, "key": ["route"],
        "enforcement": {"global": {"cluster": "limits", "domain": "edge", "timeout": "5s", "on_unavailable": "admit"}},
    }});
    policy["routes"][0]["quotas"] = json!(["all"]);
    let clusters = vec![cluster("otel", collector.address()), cluster("limits", service.address())];
    let Some(envoy) = start_before(None, &policy, 1, clusters) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    connection.send(&get("/orders/7?access_token=s3cret", &[("traceparent", parent.as_bytes())])).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !asked.load(Ordering::Relaxed) {
        assert!(Instant::now() < deadline, "the service is asked");
        thread::sleep(Duration::from_millis(5));
    }
    drop(connection);
    let spans = spans_until(&collector, 1);
    let told = ["tracegate.decision", "error.type", "tracegate.route", "url.path"].map(|key| spans[0].get(key));
    assert_eq!(told, ["cancelled", "cancelled", "order", "/orders/7"]);
    assert_eq!((spans[0].trace_id.as_str(), spans[0].name.as_str()), ("0af7651916cd43dd8448eb211c80319c", "GET /orders/{id}"));
    assert!(spans[0].get("tracegate.callouts_us").parse::<u64>().is_ok_and(|waited| waited > 0 && waited < 5_000_000));
    let found = ledger_until(&envoy, Duration::from_secs(10), |ledger| ledger.get("acknowledged") == Some(&1));
    assert_eq!(found, fates([("recorded", 1), ("acknowledged", 1)]));
}

/// What is left when Envoy ends goes out, over the connection that is there: Envoy opens no other any more.
#[test]
fn the_last_spans_leave_when_envoy_ends() {
    let collector = Collector::start().unwrap();
    let mut policy = policy(&json!({"schedule_delay": "1m", "max_export_batch_size": 5}));
    policy["export"]["spans"] = json!({"attributes": []});
    let Some(envoy) = start(&policy, 1, collector.address()) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    (0..8).for_each(|id| drop(ask(&mut connection, &format!("/orders/{id}"), &[])));
    assert_eq!(spans_until(&collector, 5).len(), 5, "a whole batch");
    drop(connection);
    drop(envoy);
    assert_eq!(spans_until(&collector, 8).len(), 8);
}
