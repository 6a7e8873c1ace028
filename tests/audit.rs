// SPDX-License-Identifier: Apache-2.0
//! Audit records of real Envoy, in its log and at a collector, and what `audit verify` makes of them: as they are, and as somebody else would have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate::audit::AuditKey;
use tracegate::identity::Algorithm;
use tracegate::secret::{MIN_KEY, SecretKey};
use tracegate_harness::cluster::Cluster;
use tracegate_harness::collector::Collector;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::host::faults::Faults;
use tracegate_harness::host::{
    self, Always, Callout, ExchangeId, HeaderMap, Message, Metering, Module, Options as NativeOptions, Part, Proxy, Reply, Request, World,
};
use tracegate_harness::http::Connection;
use tracegate_harness::issuer::Issuer;
use tracegate_harness::module;
use tracegate_tests::collected::{self, Record};
use tracegate_tests::{binary, get, manager, stderr, stdout, tracegate};

const KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";
const OTHER_KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTM=";

fn policy() -> Value {
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "secrets": {"audit-key": {"environment": {"name": "AUDIT_KEY"}}},
        "routes": [
            {"name": "order", "match": {"path": {"template": "/orders/{id}"}}},
            {"name": "staff", "match": {"path": {"prefix": "/staff"}}},
            {"name": "closed", "match": {"path": {"prefix": "/closed"}}, "rules": [{"name": "nobody", "require": "deny"}]},
        ],
        "export": {"logs": {"otel": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/logs", "batch": {"schedule_delay": "100ms"}}}}},
        "audit": {
            "records": {"routes": ["staff"]}, "outputs": ["log", "otlp"], "chain": {"key": {"secret": "audit-key"}, "checkpoint_interval": "1s"},
        },
    })
}

/// Envoy with two workers; `None` where it can't be had.
fn start(collector: &Collector) -> Option<Envoy> {
    start_changed(collector, |_| {})
}

/// The same with what `change` makes of its configuration.
fn start_changed(collector: &Collector, change: impl FnOnce(&mut Value)) -> Option<Envoy> {
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy().to_string() };
    let clusters = vec![Cluster::at("otel", &collector.address().to_string()).expect("an address is one")];
    let options = Options { workers: 2, clusters, ..Options::new(binary(&version)?, plugin) };
    let mut tree = options.bootstrap().unwrap_or_else(|error| panic!("{error}"));
    let config = &mut manager(&mut tree)["http_filters"][0]["typed_config"]["config"];
    config["vm_config"]["environment_variables"] = json!({"key_values": {"AUDIT_KEY": KEY}});
    change(&mut tree);
    Some(Envoy::run(&options.binary, &tree, options.workers, options.cpu).unwrap_or_else(|error| panic!("{error}")))
}

/// The module in a native host with a collector of logs that never answers.
fn native(module: &Module, seed: u64) -> Proxy<'_, Always> {
    let mut policy = policy();
    policy["identity"] = json!({
        "providers": {"keys": {"subscription_keys": {"subscriptions": [{"id": "contoso", "keys_sha256": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]}]}}},
        "caller_to_headers": [{"caller": "subscription", "header": "x-subscription"}],
    });
    let mut options = NativeOptions::new(&policy.to_string(), seed);
    options.vm.environment = vec![("AUDIT_KEY".to_owned(), KEY.to_owned())];
    options.timeouts.idle = Duration::from_secs(2);
    let upstream = Always(Reply::now(Message::response(200, [("x", "")], b"")));
    Proxy::start(module, options, upstream).unwrap_or_else(|error| panic!("{error}"))
}

/// The lines of a native host's log that are records.
fn native_records<W: World>(proxy: &mut Proxy<'_, W>) -> Vec<String> {
    let log = proxy.vm_mut().take_log().into_iter().map(|line| line.message);
    log.filter(|line| line.starts_with("{\"audit\":")).collect()
}

/// `audit verify` with these arguments, the key in the environment.
fn verify(key: &str, arguments: &[&str], paths: &[&Path]) -> (Option<i32>, String) {
    let mut command = tracegate();
    command.args(["audit", "verify", "--key", "AUDIT_KEY"]).args(arguments).args(paths).env("AUDIT_KEY", key);
    let output = command.output().expect("the command runs");
    (output.status.code(), format!("{}{}", stdout(&output), stderr(&output)))
}

fn records_until(collector: &Collector, count: usize) -> Vec<Record> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let records = collected::records(collector);
        if records.len() >= count {
            return records;
        }
        assert!(Instant::now() < deadline, "{} of {count} records", records.len());
        thread::sleep(Duration::from_millis(100));
    }
}

/// Logs of the same records: the gateway's, and what a collector keeps.
struct Logs {
    folder: TempDir,
    /// Envoy's lines.
    log: Vec<String>,
}

impl Logs {
    /// A log of these lines.
    fn with(&self, name: &str, lines: &[String]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).expect("there is room");
        path
    }

    /// The places of records in the log, in order.
    fn records(&self) -> Vec<usize> {
        let is_record = |(place, line): (usize, &String)| line.contains("{\"audit\":\"").then_some(place);
        self.log.iter().enumerate().filter_map(is_record).collect()
    }
}

#[test]
fn what_envoy_puts_on_record_verifies_and_what_is_changed_does_not() {
    let collector = Collector::start().unwrap();
    let Some(mut envoy) = start(&collector) else { return };
    let mut connections: Vec<Connection> = (0..8).map(|_| Connection::open(envoy.listener()).unwrap()).collect();
    let secret = "s3cret-7f3a9";
    for round in 0..3 {
        for connection in &mut connections {
            for (path, status) in [("/orders/7", 200), ("/staff/keys", 200), ("/closed", 403), ("/nowhere", 404)] {
                connection.send(&get(&format!("{path}?key={secret}{round}"), &[("cookie", secret.as_bytes())])).unwrap();
                assert_eq!(connection.read_response().unwrap().status, status, "{path}");
            }
        }
    }
    // 72 decisions; with the two geneses and their checkpoints 76 records.
    let collected = records_until(&collector, 76);
    drop(connections);
    envoy.end();
    let logs = Logs { folder: TempDir::new().unwrap(), log: envoy.log().lines().map(str::to_owned).collect() };
    assert!(!envoy.log().contains(secret) && collected.iter().all(|record| !record.body.contains(secret)));

    // What stands in the log came to the collector too: the ends alone may find no connection any more.
    let lines: Vec<&str> = logs.records().into_iter().map(|place| logs.log[place].split_once('{').unwrap().1).collect();
    let bodies: BTreeSet<&str> = collected.iter().map(|record| record.body.strip_prefix('{').unwrap()).collect();
    assert!(bodies.iter().all(|body| lines.contains(body)), "the same lines");
    let decisions: Vec<Value> = collected
        .iter()
        .map(|record| serde_json::from_str(&record.body).unwrap())
        .filter(|record: &Value| record["audit"] == "decision")
        .collect();
    assert_eq!(decisions.len(), 72);
    let of = |route: &str, reason: &str| decisions.iter().filter(|record| record["route"] == *route && record["reason"] == *reason).count();
    assert_eq!((of("closed", "AccessDenied"), decisions.iter().filter(|record| record["route"] == "staff").count()), (24, 24));
    for record in collected.iter().filter(|record| record.attributes["tracegate.audit"] == "decision") {
        let read: Value = serde_json::from_str(&record.body).unwrap();
        assert_eq!(read["trace_id"], record.trace_id);
        assert_eq!(read["instance"], record.resource["service.instance.id"]);
        assert_eq!(read["decision"], record.attributes["tracegate.decision"]);
    }

    let envoys = logs.with("envoy.log", &logs.log);
    let (code, text) = verify(KEY, &[], &[&envoys]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("whole, ended").count(), 2, "{text}");
    let otlp: Vec<String> = collected.iter().map(|record| json!({"body": {"stringValue": record.body}}).to_string()).collect();
    let otlp = logs.with("otlp.json", &otlp);
    assert_eq!(verify(KEY, &["--against"], &[&otlp, &envoys]).0, Some(0), "the same records twice");
    let (code, text) = verify(OTHER_KEY, &[], &[&envoys]);
    assert!(code == Some(1) && text.contains("none of those given"), "{text}");
    verify_changed(&logs, &otlp);
}

fn verify_changed(logs: &Logs, otlp: &Path) {
    let places = logs.records();
    let has = |place: &&usize, what: &str| logs.log[**place].contains(what);
    let closed = *places.iter().find(|place| has(place, "\"AccessDenied\"")).unwrap();
    let last = *places.iter().rfind(|place| has(place, "\"decision\":\"refused\"")).unwrap();
    type Change = fn(&mut Vec<String>, usize);
    let changes: [(&str, Change, usize, &str); 5] = [
        ("another reason", |log, at| log[at] = log[at].replace("AccessDenied", "TokenExpired"), closed, "is changed"),
        ("more behind the MAC", |log, at| log[at] = log[at].replace("\"}", "\",\"reason\":\"x\"}"), closed, "is changed"),
        ("no MAC", |log, at| log[at] = format!("{}}}", log[at].split_once(",\"mac\"").unwrap().0), closed, "has no MAC"),
        ("cut", |log, at| drop(log[at].split_off(260)), closed, "is missing"),
        ("taken out", |log, at| drop(log.remove(at)), closed, "is missing"),
    ];
    for (name, change, at, expected) in changes {
        let mut log = logs.log.clone();
        change(&mut log, at);
        let (code, text) = verify(KEY, &["--partial"], &[&logs.with("changed.log", &log)]);
        assert!(code == Some(1) && text.contains(expected), "{name}: {text}");
        assert!(expected != "is changed" || !text.contains("missing"), "{name}: what is changed is there: {text}");
    }
    // What anybody can write into a log, as by a header that an access log tells, takes nothing from what is genuine.
    let mut log = logs.log.clone();
    log.insert(closed, r#"{"audit":"decision","time":"","instance":"x","sequence":0}"#.to_owned());
    log.insert(closed, r#"[info] agent: {"audit":""#.to_owned());
    let (code, text) = verify(KEY, &[], &[&logs.with("foreign.log", &log)]);
    assert!(code == Some(0) && text.contains("no key given has chained") && text.contains("no record: cut, or changed"), "{text}");
    // A log that was cut at its end looks like a gateway that runs, until another output has more.
    let cut = logs.with("cut.log", &logs.log[..last]);
    let (code, text) = verify(KEY, &[], &[&cut]);
    assert!(code == Some(0) && text.contains("open"), "{text}");
    let (code, text) = verify(KEY, &["--against"], &[otlp, &cut]);
    assert!(code == Some(1) && text.contains("another output has"), "{text}");
    // So does one that was rotated, at its begin.
    let rotated = logs.with("rotated.log", &logs.log[places[10]..]);
    let (code, text) = verify(KEY, &[], &[&rotated]);
    assert!(code == Some(1) && text.contains("missing"), "{text}");
    assert_eq!(verify(KEY, &["--partial"], &[&rotated]).0, Some(0));
    let (code, text) = verify(KEY, &[], &[&logs.with("empty.log", &["nothing".to_owned()])]);
    assert!(code == Some(2) && text.contains("there are no audit records"), "{text}");
    let (code, text) = verify("c2hvcnQ=", &[], &[&cut]);
    assert!(code == Some(2) && text.contains("AUDIT_KEY") && !text.contains("c2hvcnQ="), "{text}");
}

/// A gateway that is killed leaves no end, and its successor is another instance: a restart, and no gap.
#[test]
fn a_restart_is_told_from_a_gap() {
    let collector = Collector::start().unwrap();
    let mut log = Vec::new();
    for _ in 0..2 {
        let Some(envoy) = start(&collector) else { return };
        let mut connection = Connection::open(envoy.listener()).unwrap();
        for _ in 0..3 {
            connection.send(&get("/closed", &[])).unwrap();
            assert_eq!(connection.read_response().unwrap().status, 403);
        }
        log.push(envoy.log());
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("envoy.log");
    fs::write(&path, log.concat()).unwrap();
    let (code, text) = verify(KEY, &["--format", "json"], &[&path]);
    assert_eq!(code, Some(0), "{text}");
    let read: Value = serde_json::from_str(&text).unwrap();
    let instances = read["instances"].as_array().unwrap();
    let told: Vec<_> = instances.iter().map(|instance| (&instance["decisions"], &instance["ended"], &instance["findings"])).collect();
    assert_eq!(told, [(&json!(3), &json!(false), &json!([])); 2], "{text}");
}

/// Whatever the host can't do, who isn't let on is on record, and counted as often; the chain is whole.
#[test]
fn what_a_host_fails_is_on_record() {
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let folder = TempDir::new().unwrap();
    for (function, expected) in [
        ("proxy_get_header_map_pairs", &["RequestHeadersUnreadable -", "HostFailure trailers_unreadable"][..]),
        ("proxy_replace_header_map_value", &["HostFailure head_not_edited"]),
        ("proxy_remove_header_map_value", &["HostFailure trailers_not_edited"]),
    ] {
        let mut proxy = native(&module, 7);
        proxy.vm_mut().inject(Faults::only(function, 7, 400));
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..50 {
            let head: HeaderMap = [(":method", "POST"), (":path", "/staff/keys"), (":authority", "a")].into_iter().collect();
            let trailers = HeaderMap::received(Part::RequestTrailers, [("x-subscription", "admin"), ("x-sum", "7")]);
            let message = Message { body: b"body".to_vec(), trailers: Some(trailers), ..Message::request(head) };
            let finished = proxy.exchange(Request { message, ..Request::default() });
            let response = finished.response.expect("it is answered");
            match response.head.first(b"tracegate-reason") {
                Some(reason) => {
                    let reason = String::from_utf8_lossy(reason).into_owned();
                    assert_eq!(finished.details, reason);
                    *refused.entry(reason).or_default() += 1;
                }
                None => assert_eq!(response.status(), 200),
            }
        }
        proxy.vm_mut().inject(Faults::only("none", 7, 0));
        proxy.tick();
        proxy.tick();
        let lines = native_records(&mut proxy);
        let records: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |record: &Value| format!("{} {}", record["reason"].as_str().unwrap(), record["failure"].as_str().unwrap_or("-"));
        let of_refusals: Vec<&Value> = records.iter().filter(|record| record["decision"] == "refused").collect();
        let kinds: BTreeSet<String> = of_refusals.iter().copied().map(told).collect();
        assert_eq!(kinds, expected.iter().map(|kind| (*kind).to_owned()).collect(), "{function}");
        for (reason, count) in refused {
            let recorded = of_refusals.iter().filter(|record| record["reason"] == reason.as_str()).count();
            let counted = proxy.vm().metrics()[format!("tracegate.requests.refused.{reason}").as_str()];
            assert_eq!((recorded.try_into(), counted), (Ok(count), count), "{function} {reason}");
        }
        // Of what was admitted before there is another record, which is named.
        for record in of_refusals.iter().filter(|record| !record["failure"].is_null()) {
            let before = records.iter().find(|before| before["id"] == record["after"]).expect("it is named");
            assert_eq!((&before["decision"], &before["trace_id"]), (&json!("admitted"), &record["trace_id"]));
        }
        let log = folder.path().join(function);
        fs::write(&log, lines.join("\n")).unwrap();
        let (code, text) = verify(KEY, &[], &[&log]);
        assert_eq!(code, Some(0), "{function}: {text}");
    }
}

/// An issuer's keys, after 10 ms, and an upstream that answers at once.
struct Publishing(String);

impl World for Publishing {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(Message::response(200, [("x", "")], b""))
    }

    fn service(&mut self, _: &Callout) -> Reply {
        Reply::After(Duration::from_millis(10), Message::response(200, [("y", "")], self.0.as_bytes()))
    }
}

/// A request that has waited for keys, and that the host can't let go on then.
#[test]
fn who_has_waited_and_cannot_go_on_is_on_record() {
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let mut issuer = Issuer::new(1).unwrap();
    let token = issuer.mint(Algorithm::EdDsa, &json!({"iss": "https://id/", "aud": "a", "exp": 4_102_444_800_u64})).unwrap();
    let keys = json!({"jwks": {"uri": "https://id/jwks.json", "cluster": "idp"}});
    let mut policy = policy();
    policy["identity"] =
        json!({"providers": {"customers": {"jwt": {"issuer": "https://id/", "audiences": ["a"], "algorithms": ["EdDSA"], "keys": keys}}}});
    policy["routes"][1]["rules"] = json!([{"name": "who", "require": {"caller": {"provider": "customers"}}}]);
    for (function, failure) in [("proxy_continue_stream", "not_continued"), ("proxy_replace_header_map_value", "head_not_edited")] {
        let mut options = NativeOptions::new(&policy.to_string(), 7);
        options.vm.environment = vec![("AUDIT_KEY".to_owned(), KEY.to_owned())];
        options.clock = 1_800_000_000_000_000_000;
        options.clusters.insert("idp".to_owned(), host::Cluster::Reachable);
        let mut proxy = Proxy::start(&module, options, Publishing(issuer.key_set().to_string())).unwrap();
        proxy.vm_mut().inject(Faults::only(function, 7, 1000));
        let authorization = format!("Bearer {token}");
        let head = [(":method", "GET"), (":path", "/staff/keys"), (":authority", "a"), ("authorization", &authorization)];
        let finished = proxy.exchange(Request { message: Message::request(head.into_iter().collect()), ..Request::default() });
        assert_eq!((finished.upstream, finished.details.as_str()), (None, "HostFailure"), "{function}");
        let records = native_records(&mut proxy);
        let records: Vec<Value> = records.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [_, admitted, refused] = records.as_slice() else { panic!("{records:?}") };
        let told = (&refused["decision"], &refused["failure"], &refused["route"], &refused["after"], &refused["caller"]);
        assert_eq!(told, (&json!("refused"), &json!(failure), &json!("staff"), &admitted["id"], &admitted["caller"]), "{function}");
        proxy.advance(Duration::from_secs(3));
        let metrics = proxy.vm().metrics();
        assert_eq!((metrics["tracegate.requests.admitted.none"], metrics["tracegate.requests.refused.HostFailure"]), (0, 1), "{function}");
    }
}

/// A host without randomness: records wait for it, and what never had a name is nobody's.
#[test]
fn without_randomness_nothing_is_chained() {
    let module = host::compile_file(&module::build().unwrap(), Metering::Time).unwrap();
    let folder = TempDir::new().unwrap();
    let refused = |proxy: &mut Proxy<'_, Always>| {
        let head: HeaderMap = [(":method", "GET"), (":path", "/nowhere"), (":authority", "a")].into_iter().collect();
        let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
        assert_eq!(finished.response.expect("it is answered").status(), 404);
    };
    let mut proxies: Vec<Proxy<'_, Always>> = (0..3).map(|seed| native(&module, seed)).collect();
    for proxy in &mut proxies {
        proxy.vm_mut().inject(Faults::only("random_get", 7, 1000));
        refused(proxy);
        proxy.tick();
        assert!(native_records(proxy).is_empty());
    }
    proxies[0].vm_mut().inject(Faults::only("none", 7, 0));
    refused(&mut proxies[0]);
    let log = |proxy: &mut Proxy<'_, Always>| {
        proxy.shut_down();
        native_records(proxy)
    };
    let [late, never, neither] = [0, 1, 2].map(|place| log(&mut proxies[place]));
    assert!(late.len() == 4 && never.len() == 3 && neither.len() == 3, "{late:?} {never:?} {neither:?}");
    let file = |name: &str, lines: &[&[String]]| {
        let path = folder.path().join(name);
        fs::write(&path, lines.concat().join("\n")).unwrap();
        path
    };
    let (code, text) = verify(KEY, &[], &[&file("late.log", &[&late])]);
    assert!(code == Some(0) && text.contains("whole, ended"), "{text}");
    let (code, text) = verify(KEY, &[], &[&file("never.log", &[&never, &neither])]);
    assert!(code == Some(1) && text.contains("the first of 6 records of gateways without randomness"), "{text}");
    // Anybody can write such lines.
    let (code, text) = verify(KEY, &[], &[&file("both.log", &[&late, &never])]);
    assert!(code == Some(0) && text.contains("Not verified") && text.contains("the first of 3 records of gateways"), "{text}");
}

/// In real Envoy, behind a filter that takes from heads what makes them heads.
#[test]
fn a_head_that_cannot_be_read_is_on_record_in_envoy() {
    let lua = json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": "function envoy_on_request(handle) handle:headers():remove(\":method\") end"},
        },
    });
    let collector = Collector::start().unwrap();
    let behind = |tree: &mut Value| manager(tree)["http_filters"].as_array_mut().expect("there are filters").insert(0, lua);
    let Some(mut envoy) = start_changed(&collector, behind) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    connection.send(&get("/orders/7", &[])).unwrap();
    let response = connection.read_response().unwrap();
    assert_eq!((response.status, response.field("tracegate-reason")), (431, Some(&b"RequestHeadersUnreadable"[..])));
    drop(connection);
    envoy.end();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("envoy.log");
    fs::write(&path, envoy.log()).unwrap();
    assert!(envoy.log().contains(r#""decision":"refused","reason":"RequestHeadersUnreadable","status":431"#), "{}", envoy.log());
    let (code, text) = verify(KEY, &[], &[&path]);
    assert!(code == Some(0) && text.contains("whole, ended"), "{text}");
}

/// One instance's records: a key each, and the minute in which it was written.
fn rotated(records: &[(&str, u8)]) -> String {
    let mut previous: Option<String> = None;
    let mut lines = Vec::new();
    for (sequence, (text, minute)) in records.iter().enumerate() {
        let key = AuditKey::new(&SecretKey::read(text, MIN_KEY).unwrap()).unwrap();
        let kind = if sequence == 0 { "genesis" } else { "decision" };
        let previous_told = previous.map(|mac| format!(",\"previous\":\"{mac}\"")).unwrap_or_default();
        let line = format!(
            "{{\"audit\":\"{kind}\",\"time\":\"2026-11-30T10:{minute:02}:00.000000Z\",\"instance\":\"i\",\"sequence\":{sequence}{previous_told},\"key\":\"{}\"",
            key.id()
        );
        let mac = key.mac(&line);
        lines.push(format!("{line},\"mac\":\"{mac}\"}}\n"));
        previous = Some(mac);
    }
    lines.concat()
}

/// What a key has chained counts for as long as the key does: a leaked one that was replaced is worth nothing for what came after.
#[test]
fn what_a_retired_key_chains_later_is_told() {
    const THIRD_KEY: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTQ=";
    let (a, b, c) = (OTHER_KEY, KEY, THIRD_KEY);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("rotated.log");
    let replaced = "which another one had replaced";
    let (retired, until) = (["--key", "B", "--retired", "A"], ["--key", "B", "--retired", "A@2026-11-30T10:01:30Z"]);
    for (name, records, arguments, expected, told) in [
        ("rotated", &[(a, 0), (a, 1), (b, 2), (b, 3)][..], &retired[..], 0, "whole, open"),
        ("by the old one alone", &[(a, 0), (a, 1)], &retired, 0, "open: running, or killed; by a retired key"),
        ("the old one again", &[(a, 0), (b, 1), (a, 2)], &retired, 1, replaced),
        ("the old one after the new one", &[(b, 0), (a, 1)], &retired, 1, replaced),
        ("within its time", &[(a, 0), (a, 1), (b, 2)], &until, 0, "whole, open"),
        ("alone, after its time", &[(a, 0), (a, 2)], &until, 1, "at 2026-11-30T10:02:00Z: it counts until 2026-11-30T10:01:30Z"),
        ("set back", &[(a, 0), (b, 2), (a, 1)], &until, 1, "at 2026-11-30T10:02:00Z: it counts until"),
        ("rolled back", &[(b, 0), (a, 1), (b, 2)], &until, 0, "whole, open"),
        ("both in use", &[(a, 0), (b, 1), (a, 2)], &["--key", "A", "--key", "B"], 0, "whole, open"),
        ("of two old ones the older", &[(a, 0), (c, 1), (a, 2)], &["--key", "B", "--retired", "A", "--retired", "C"], 1, replaced),
        ("of two old ones, each once", &[(a, 0), (c, 1), (b, 2)], &["--key", "B", "--retired", "A", "--retired", "C"], 0, "whole, open"),
        ("retired and in use", &[(a, 0)], &["--key", "A", "--retired", "A"], 2, "found that of A twice"),
        ("until nobody knows when", &[(a, 0)], &["--key", "B", "--retired", "A@noon"], 2, "expected an RFC 3339 date and time"),
    ] {
        fs::write(&path, rotated(records)).unwrap();
        let mut command = tracegate();
        command.args(["audit", "verify"]).args(arguments).arg(&path).envs([("A", a), ("B", b), ("C", c)]);
        let output = command.output().unwrap();
        let text = format!("{}{}", stdout(&output), stderr(&output));
        assert!(output.status.code() == Some(expected) && text.contains(told), "{name}: {text}");
        assert!(![a, b, c].iter().any(|key| text.contains(key)), "{name}: {text}");
    }
}
