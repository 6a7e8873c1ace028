// SPDX-License-Identifier: Apache-2.0
//! One policy, decided alike everywhere: every exchange of the sample recording through the native core, the module, the component and the browser's
//! face, with one clock and one source of randomness. Whatever else goes through the native core in a `World` goes through the others too.

#[path = "parity/host.rs"]
mod host;
#[path = "parity/in_module.rs"]
mod in_module;
#[path = "parity/native.rs"]
mod native;
#[path = "parity/on_page.rs"]
mod on_page;
#[path = "parity/outcome.rs"]
mod outcome;
#[path = "parity/waits.rs"]
mod waits;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate::{CallFailed, Reason, Verdict};
use tracegate_harness::component::Component;
use tracegate_harness::recording::{InOrder, Recorded, Records, WINDOW};
use tracegate_harness::{Redactor, module, policy, workspace};
use tracegate_tests::{faces, folder, stderr, stdout, tracegate};

use host::Host;
use in_module::InModule;
use native::Native;
use outcome::Outcome;
use waits::Waits;

/// The sample's exchanges.
fn sample() -> Vec<Recorded> {
    let redactor = Redactor::new(0);
    let records = Records::open(0, &workspace::sample_recording(), &redactor, &ProgressBar::hidden());
    let records = records.unwrap_or_else(|unread| panic!("{}", unread.message));
    InOrder::new([records], WINDOW).map(|next| *next.unwrap_or_else(|unread| panic!("{}", unread.message)).recorded).collect()
}

/// A policy of the sample's that tells everything that can be told, and counts what the sample's callers do.
fn telling(name: &str) -> String {
    let loaded = policy::read(&folder("recordings").join(name)).unwrap_or_else(|error| panic!("{error}"));
    let mut document: Value = serde_json::from_str(&loaded.canonical).expect("it is JSON");
    document["secrets"] = json!({"chain": {"environment": {"name": "CHAIN"}}});
    document["audit"] = json!({
        "records": {"routes": ["payments"]}, "outputs": ["log", "otlp"], "chain": {"key": {"secret": "chain"}, "checkpoint_interval": "1m"},
    });
    document["export"] = json!({
        "traces": {"spans": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces", "batch": {"max_export_batch_size": 8}}}},
        "logs": {"records": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/logs"}}},
        "spans": {"client": true},
        "access_log_properties": ["trace_id", "span_id", "decision", "reason", "caller", "remaining"],
        "metrics": {"request_durations": true},
    });
    document["quotas"] = json!({
        "per-caller": {"limit": {"rate": {"requests": 2, "window": "1h"}}, "key": ["source"], "key_absent": "refuse", "enforcement": {"local": {"volatile": true}}},
    });
    for route in document["routes"].as_array_mut().expect("it has routes") {
        if route["name"] != "weather" {
            route["quotas"] = json!(["per-caller"]);
        }
    }
    document.to_string()
}

/// What became of every exchange natively, after the module and the other faces were held to it.
fn agreed(policy: &str, exchanges: &[Recorded], host: Host) -> Vec<Outcome> {
    let (mut native, mut module) = (Native::start(policy, host), InModule::start(policy, host));
    let outcomes: Vec<_> = exchanges
        .iter()
        .map(|recorded| {
            let expected = native.exchange(recorded);
            let found = module.exchange(recorded);
            assert_eq!(found, expected, "{host:?}: the module differs at line {}", recorded.place.line);
            expected
        })
        .collect();
    assert_eq!(module.end(), native.end(), "{host:?}: what the module logs and counts");
    outcomes
}

#[test]
fn all_faces_decide_every_exchange_of_the_sample_alike() {
    let sample = sample();
    assert_eq!(sample.len(), 2400);
    let outcomes = agreed(&telling("sample-policy.yaml"), &sample, Host::Sound);
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    let (admitted, refused, limited) =
        (count(|outcome| outcome.upstream.is_some()), count(|outcome| outcome.status >= 400), count(|outcome| outcome.status == 429));
    assert!(admitted > 1000 && refused > 100 && limited > 50, "{admitted} admitted, {refused} refused, {limited} limited");
    let exported: usize = outcomes.iter().map(|outcome| outcome.exported.len()).sum();
    assert!(exported > 100, "{exported} exports");
    assert!(outcomes.iter().all(|outcome| outcome.properties.contains_key(b"tracegate.trace_id".as_slice())));
}

#[test]
fn all_faces_know_subscribers_alike() {
    let outcomes = agreed(&telling("subscriptions-policy.yaml"), &sample(), Host::Sound);
    assert!(outcomes.iter().filter(|outcome| outcome.status == 401).count() > 500);
}

/// A host that fails makes no face decide otherwise than the module.
#[test]
fn all_faces_bear_bad_hosts_alike() {
    let (policy, sample) = (telling("sample-policy.yaml"), sample());
    for host in Host::BAD {
        let outcomes = agreed(&policy, &sample[..600], host);
        assert_eq!(outcomes.len(), 600);
    }
}

/// Requests that wait for keys and for a service, get them, don't, or end meanwhile: the component and the browser's face go all the way with the core.
#[test]
fn all_faces_wait_alike() {
    let reason = |verdict: Verdict| match verdict {
        Verdict::Refuse(refusal) => Some(refusal.reason()),
        Verdict::Continue(_) => None,
        Verdict::Wait => panic!("it was decided"),
    };
    let (mut waits, silent) = (Waits::start(), || Err(CallFailed::Refused));
    waits.cancelled();
    // `overall_code` of the service's answer: 1 for OK, 2 for OVER_LIMIT.
    let (ok, over) = (|| Ok(vec![8, 1]), || Ok(vec![8, 2]));
    assert_eq!(reason(waits.request(|| Err(CallFailed::TimedOut), silent)), Some(Reason::TokenKeysUnavailable));
    let keys = waits.keys();
    assert_eq!(reason(waits.request(|| keys.clone(), ok)), None);
    assert_eq!(reason(waits.request(silent, over)), Some(Reason::QuotaExceeded));
    assert_eq!(reason(waits.request(silent, || Err(CallFailed::Status(14)))), Some(Reason::QuotaUnavailable));
    assert_eq!(reason(waits.request(silent, || Err(CallFailed::Disconnected))), Some(Reason::QuotaUnavailable));
    assert!(reason(waits.host_fails()).is_some());
    let counts = waits.end();
    assert_eq!(counts.get("tracegate.requests.refused.QuotaUnavailable"), Some(&2), "{counts:?}");
}

/// Where versions are never what the host says, nothing can be counted: no face traps, and each refuses what it would have counted.
#[test]
fn a_host_that_lies_about_versions_counts_nothing() {
    let mut native = Native::start(&telling("sample-policy.yaml"), Host::Lying);
    let outcomes: Vec<_> = sample()[..300].iter().map(|recorded| native.exchange(recorded)).collect();
    let uncounted = outcomes.iter().filter(|outcome| outcome.reason == "QuotaUnavailable").count();
    assert!(uncounted > 100, "{uncounted}");
    assert!(outcomes.iter().all(|outcome| outcome.status != 429));
}

/// What the component is lent and what it offers, and nothing of WASI.
#[test]
fn the_component_asks_for_our_interfaces_alone() {
    let (imports, exports) = interfaces(module::build_component().expect("the component builds"));
    let ours = |name: &str| format!("tracegate:policy/{name}@{}", tracegate::VERSION);
    let lent = ["clocks", "logging", "peer", "random", "secrets", "signatures", "store"].map(ours);
    assert_eq!(imports, lent.into());
    assert_eq!(exports, [ours("policy")].into());
}

#[test]
#[ignore = "builds cargo-component: cargo harness test --all"]
fn cargo_component_gives_the_same_interfaces() {
    let plain = interfaces(module::build_component().expect("the component builds"));
    let other = interfaces(module::build_by_cargo_component().unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(plain, other);
}

fn interfaces(path: PathBuf) -> (BTreeSet<String>, BTreeSet<String>) {
    let wasm = fs::read(path).expect("it has been built");
    let component = Component::compile(&wasm).unwrap_or_else(|error| panic!("{error}"));
    let (imports, exports) = component.interfaces();
    (imports.into_iter().collect(), exports.into_iter().collect())
}

/// The example for gateways in Rust embeds the component that is built here.
#[test]
fn the_example_decides() {
    let scratch = TempDir::new().expect("there is room");
    let policy = scratch.path().join("policy.json");
    let orders = r#"{"schema": 1, "service": {"name": "edge"}, "routes": [{"name": "orders", "match": {"path": {"prefix": "/orders"}}}],
        "default": {"action": "refuse"}}"#;
    fs::write(&policy, orders).expect("there is room");
    let component = module::build_component().expect("the component builds");
    let program = PathBuf::from(tracegate().get_program()).with_file_name("examples").join("gateway");
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.is_file(), "{} is missing: run `cargo harness test`, which builds it", program.display());
    let decide = |path: &str| {
        let output = Command::new(&program).args([&component, &policy]).arg(path).output().expect("the example runs");
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let (admitted, refused) = (decide("/orders/7"), decide("/nowhere"));
    assert!(admitted.starts_with("admitted\ntraceparent: 00-"), "{admitted}");
    assert!(refused.starts_with("refused: 404 OperationNotFound\n"), "{refused}");
}

/// What a page can do, and what the face makes of hosts that fail, lie or call back.
#[test]
fn the_browsers_face_in_node_bears_any_host() {
    let Some(node) = faces::node() else { return };
    let face = module::build_browser().expect("the browser's face builds");
    let output = Command::new(node).arg(folder("browser").join("face.mjs")).arg(face).output().expect("Node runs");
    assert!(output.status.success() && stdout(&output) == "ok\n", "{}", stderr(&output));
}

/// What TypeScript is told is there, whole.
#[test]
fn types_are_generated_for_all_that_comes_and_goes() {
    let types =
        fs::read_to_string(module::build_browser().expect("the browser's face builds").join("tracegate.d.ts")).expect("it is there");
    for type_ in ["Answer", "Awaits", "Call", "Compiled", "Drained", "Edit", "Event", "Failed", "Finding", "Step", "Verdict", "Woken"] {
        let declared = [format!("export type {type_} = "), format!("export interface {type_} {{")];
        assert!(declared.iter().any(|declaration| types.contains(declaration)), "{type_} isn't declared in {types}");
    }
    for method in ["compile(document: string): Compiled;", "step(event: Event): Step;", "reply(call: number, answer: Answer): Woken;"] {
        assert!(types.contains(method), "{method} isn't declared in {types}");
    }
    assert!(types.contains("{ request: [string, string][] }") && types.contains("export interface Host {"), "{types}");
    // What follows is between the two files.
    assert!(!types.split("export type InitInput").next().is_some_and(|own| own.contains(": any")), "{types}");
}

/// A page decides with its own clock and randomness, and with those of the native core what the native core does.
#[test]
fn a_page_in_chromium_decides_alike() {
    let policy = telling("sample-policy.yaml");
    let mut native = Native::start(&policy, Host::Sound);
    sample()[..300].iter().for_each(|recorded| drop(native.exchange(recorded)));
    let said = native.said();
    let open = r#"{"schema": 1, "service": {"name": "page"}, "default": {"action": "admit"}}"#;
    let Some(mut told) = on_page::told(open, &said) else { return };
    assert_eq!(told["error"], Value::Null);
    assert_eq!((&told["findings"][0]["severity"], told["fingerprint"].as_str().map(str::len)), (&json!("warning"), Some(16)));
    let edits = told["verdict"]["continue"].as_array().expect("it is admitted");
    assert_eq!((edits.len(), &edits[0]["replace"]["name"]), (1, &json!("traceparent")), "{edits:?}");
    let answers: Vec<faces::Answered> = serde_json::from_value(told["answers"].take()).expect("they are answers");
    faces::compare(&said, &answers);
}
