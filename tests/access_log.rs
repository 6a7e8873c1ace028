// SPDX-License-Identifier: Apache-2.0
//! What the access log tells of decisions: as the module sets it, in the native host, and as real Envoy writes it down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate_harness::cluster::Cluster;
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::{self, Envoy, Plugin};
use tracegate_harness::host::{self, Always, HeaderMap, Message, Metering, Options, Proxy, Reply, Request};
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::module;
use tracegate_harness::server::Server;
use tracegate_tests::{binary, echoed, get, manager};

const KEY: &str = "contoso-key-1";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const ALL: [&str; 6] = ["trace_id", "span_id", "decision", "reason", "caller", "remaining"];

/// A policy that tells this much. Its subscription's name is what no log should be broken by.
fn policy(properties: &[&str]) -> Value {
    let subscription = json!({"id": "con toso\"\n}", "keys_sha256": [hex::encode(Sha256::digest(KEY))]});
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "trace": {"sampling": {"root": {"probability": 0}, "always_record": []}},
        "identity": {"providers": {"partners": {"subscription_keys": {"subscriptions": [subscription]}}}},
        "quotas": {"hourly": {"limit": {"fixed_window": {"requests": 3, "window": "30m"}}, "key": ["subscription"], "key_absent": "skip", "enforcement": {"local": {}}}},
        "routes": [
            {"name": "open", "match": {"path": {"prefix": "/open"}}},
            {"name": "orders", "match": {"path": {"prefix": "/orders"}}, "rules": [{"name": "who", "require": {"caller": {"provider": "partners"}}}],
                "quotas": ["hourly"]},
        ],
        "export": {"access_log_properties": properties},
    })
}

#[test]
fn what_is_asked_for_is_set_and_nothing_else() {
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let upstream = || Always(Reply::now(Message::response(200, [("x", "")], b"")));
    for asked in [&ALL[..], &["decision"], &[]] {
        let options = Options::new(&policy(asked).to_string(), 7);
        let mut proxy = Proxy::start(&module, options, upstream()).unwrap_or_else(|error| panic!("{error}"));
        for (path, lines, expected) in [
            ("/open", &[("traceparent", PARENT)][..], &[("decision", "admitted")][..]),
            ("/nowhere", &[], &[("decision", "refused"), ("reason", "OperationNotFound")]),
            ("/orders", &[], &[("decision", "refused"), ("reason", "SubscriptionKeyNotFound")]),
            (
                "/orders",
                &[("ocp-apim-subscription-key", KEY)],
                &[("decision", "admitted"), ("caller", "partners/con_toso__}"), ("remaining", "hourly=2")],
            ),
        ] {
            let mut head: HeaderMap = [(":method", "GET"), (":path", path), (":authority", "api.example")].into_iter().collect();
            lines.iter().for_each(|(name, value)| head.add(name.as_bytes(), value.as_bytes()));
            let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
            assert_eq!(proxy.failure(), None, "{path}");
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let mut found: BTreeMap<String, String> = finished.properties.iter().map(|(name, value)| (text(name), text(value))).collect();
            let ids = ["trace_id", "span_id"].map(|name| found.remove(&format!("tracegate.{name}")));
            let expected = expected.iter().filter(|(name, _)| asked.contains(name));
            let expected = expected.map(|(name, value)| (format!("tracegate.{name}"), (*value).to_owned())).collect();
            assert_eq!(found, expected, "{path} {asked:?}");
            assert_eq!(ids.iter().flatten().count(), if asked.contains(&"trace_id") { 2 } else { 0 }, "{path} {asked:?}");
            if let ([Some(trace_id), Some(span_id)], Some(upstream)) = (&ids, &finished.upstream) {
                let sent = text(upstream.head.first(b"traceparent").unwrap());
                assert_eq!(sent, format!("00-{trace_id}-{span_id}-{}", &sent[53..]), "{path}");
            }
        }
    }
}

/// Envoy with a policy, an echo behind it and the access log in this file; `None` where it can't be had.
struct Logged {
    envoy: Envoy,
    _echo: Echo,
}

impl Logged {
    fn start(policy: &Value, log: &Path, clusters: Vec<Cluster>) -> Option<Self> {
        let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
        let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy.to_string() };
        let echo = Echo::start().expect("there is a free port");
        let upstream = Some((echo.address().ip().to_string(), echo.address().port()));
        let options = envoy::Options { upstream, clusters, ..envoy::Options::new(binary(&version)?, plugin) };
        let mut tree = options.bootstrap().unwrap_or_else(|error| panic!("{error}"));
        manager(&mut tree)["access_log"][0]["typed_config"]["path"] = json!(log);
        let envoy = Envoy::run(&options.binary, &tree, 1, None).unwrap_or_else(|error| panic!("{error}"));
        Some(Self { envoy, _echo: echo })
    }

    fn get(&self, path: &str, fields: &[(&str, &[u8])]) -> Response {
        let mut connection = Connection::open(self.envoy.listener()).expect("Envoy listens");
        connection.send(&get(path, fields)).expect("Envoy takes a request");
        connection.read_response().expect("Envoy answers")
    }
}

/// The log's lines, once there are so many: Envoy flushes it every second.
#[track_caller]
fn lines(log: &Path, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
        }
        assert!(Instant::now() < deadline, "{count} lines in {text}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn told(line: &Value) -> [Option<&str>; 5] {
    ["status", "decision", "reason", "caller", "remaining"].map(|name| line[name].as_str())
}

#[test]
fn envoy_writes_down_what_was_decided() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let Some(edge) = Logged::start(&policy(&ALL), &log, Vec::new()) else { return };
    let admitted = edge.get("/open?access_token=s3cret", &[("traceparent", PARENT.as_bytes()), ("cookie", b"sid=s3cret")]);
    assert_eq!(admitted.status, 200);
    let sent = echoed(&admitted, "traceparent").remove(0);
    let hostile = edge.get("/nowhere\"},{%22", &[("traceparent", b"\"}\"{"), ("user-agent", b"\"},{\"")]);
    assert_eq!(hostile.status, 404);
    assert_eq!(edge.get("/orders", &[]).status, 401);
    for status in [200, 200, 200, 403] {
        assert_eq!(edge.get("/orders", &[("ocp-apim-subscription-key", KEY.as_bytes())]).status, status);
    }
    // Envoy refuses it before the module sees it.
    assert_eq!(edge.get("/open/%2f", &[]).status, 400);
    let lines = lines(&log, 8);
    let mut found: Vec<_> = lines.iter().map(told).collect();
    let status = |line: &Value| line["status"].as_u64();
    assert_eq!(lines.iter().map(status).collect::<Vec<_>>(), [200, 404, 401, 200, 200, 200, 403, 400].map(Some));
    found.iter_mut().for_each(|line| line[0] = None);
    let caller = Some("partners/con_toso__}");
    let expected = [
        [None, Some("admitted"), None, None, None],
        [None, Some("refused"), Some("OperationNotFound"), None, None],
        [None, Some("refused"), Some("SubscriptionKeyNotFound"), None, None],
        [None, Some("admitted"), None, caller, Some("hourly=2")],
        [None, Some("admitted"), None, caller, Some("hourly=1")],
        [None, Some("admitted"), None, caller, Some("hourly=0")],
        [None, Some("refused"), Some("QuotaExceeded"), caller, None],
        [None; 5],
    ];
    assert_eq!(found, expected);
    // Sampled or not, the trace is the one that the upstream was told.
    let ids = |line: &Value| format!("00-{}-{}-00", line["trace_id"].as_str().unwrap(), line["span_id"].as_str().unwrap());
    assert_eq!(ids(&lines[0]), sent);
    assert!(sent.starts_with(&PARENT[..36]) && !sent.contains("b7ad6b7169203331"), "{sent}");
    assert_eq!(lines[7]["trace_id"], Value::Null);
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("s3cret") && !text.contains(KEY), "{text}");
}

/// Who leaves while a rate-limit service is asked is in the log too, as long as the module may still say so.
#[test]
fn who_leaves_while_waiting_is_written_down() {
    // A service that takes what comes, and never answers.
    let limits = Server::start_on_streams(|mut stream| drop(std::io::copy(&mut stream, &mut std::io::sink()))).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let mut policy = policy(&["trace_id", "decision"]);
    policy["quotas"]["hourly"]["key"] = json!(["route"]);
    policy["quotas"]["hourly"].as_object_mut().unwrap().remove("key_absent");
    policy["quotas"]["hourly"]["enforcement"] =
        json!({"global": {"cluster": "limits", "domain": "edge", "timeout": "5s", "on_unavailable": "admit"}});
    policy["routes"][0]["quotas"] = json!(["hourly"]);
    let clusters = vec![Cluster::at("limits", &limits.address().to_string()).unwrap()];
    let Some(edge) = Logged::start(&policy, &log, clusters) else { return };
    let mut connection = Connection::open(edge.envoy.listener()).unwrap();
    connection.send(&get("/open", &[("traceparent", PARENT.as_bytes())])).unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(connection);
    let lines = lines(&log, 1);
    assert_eq!(lines[0]["details"], "downstream_remote_disconnect");
    assert_eq!((&lines[0]["decision"], &lines[0]["trace_id"]), (&json!("cancelled"), &json!("0af7651916cd43dd8448eb211c80319c")));
}
