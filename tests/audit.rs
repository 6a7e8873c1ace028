// SPDX-License-Identifier: Apache-2.0
//! Audit records of real Envoy, in its log and at a collector, and what `audit verify` makes of them: as they are, and as somebody else would have them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::cluster::Cluster;
use tracegate_harness::collector::Collector;
use tracegate_harness::envoy::{self, Envoy, Options, Plugin};
use tracegate_harness::http::Connection;
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
    let version = std::env::var("TRACEGATE_TEST_ENVOY").unwrap_or_else(|_| envoy::VERSION.to_owned());
    let plugin = Plugin::Wasm { module: module::build().expect("the module builds"), configuration: policy().to_string() };
    let clusters = vec![Cluster::at("otel", &collector.address().to_string()).expect("an address is one")];
    let options = Options { workers: 2, clusters, ..Options::new(binary(&version)?, plugin) };
    let mut tree = options.bootstrap().unwrap_or_else(|error| panic!("{error}"));
    let config = &mut manager(&mut tree)["http_filters"][0]["typed_config"]["config"];
    config["vm_config"]["environment_variables"] = json!({"key_values": {"AUDIT_KEY": KEY}});
    Some(Envoy::run(&options.binary, &tree, options.workers, options.cpu).unwrap_or_else(|error| panic!("{error}")))
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
