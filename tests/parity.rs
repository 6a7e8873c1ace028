// SPDX-License-Identifier: Apache-2.0
//! One policy, decided alike everywhere: every exchange of the sample recording through the native core, the module, the component and the browser's
//! face, with one clock and one source of randomness. Whatever else goes through the native core in a `World` goes through the others too.

#[path = "parity/everything.rs"]
mod everything;
#[path = "parity/host.rs"]
mod host;
#[path = "parity/lengths.rs"]
mod lengths;
#[path = "parity/native.rs"]
mod native;
#[path = "parity/on_page.rs"]
mod on_page;
#[path = "parity/waits.rs"]
mod waits;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate::event::{HostFailure, MAX_ANSWER};
use tracegate::{CallFailed, Reason, Verdict};
use tracegate_harness::component::{Component, wit};
use tracegate_harness::host::Message;
use tracegate_harness::recording::{InOrder, Recorded, Records, WINDOW};
use tracegate_harness::{Redactor, module, policy, tools, workspace};
use tracegate_tests::{faces, folder, present, stderr, stdout, tracegate};

use everything::Everything;
use host::Host;
use lengths::OtherLength;
use native::{Counts, Native, Outcome};
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
    let local = json!({"local": {"volatile": true}});
    document["quotas"] = json!({
        "per-caller": {"limit": {"rate": {"requests": 2, "window": "1h"}}, "key": ["source"], "key_absent": "refuse", "enforcement": local},
        "per-route": {"limit": {"rate": {"requests": 50, "window": "1h"}}, "key": ["route"], "enforcement": local},
    });
    for route in document["routes"].as_array_mut().expect("it has routes") {
        if route["name"] != "weather" {
            route["quotas"] = json!(["per-caller", "per-route"]);
        }
    }
    document.to_string()
}

/// What became of every exchange natively, and what was counted, after the module and the other faces were held to it.
fn agreed(policy: &str, exchanges: &[Recorded], host: Host) -> (Vec<Outcome>, Counts) {
    let mut native = Native::start(policy, host);
    let outcomes = exchanges.iter().map(|recorded| native.exchange(recorded)).collect();
    (outcomes, native.end())
}

fn refused(outcomes: &[Outcome], reason: Reason) -> usize {
    outcomes.iter().filter(|outcome| outcome.refused == Some(reason)).count()
}

#[test]
fn all_faces_decide_every_exchange_of_the_sample_alike() {
    let sample = sample();
    assert_eq!(sample.len(), 2400);
    let (outcomes, _) = agreed(&telling("sample-policy.yaml"), &sample, Host::Sound);
    let admitted = outcomes.iter().filter(|outcome| outcome.refused.is_none()).count();
    let limited = refused(&outcomes, Reason::RateLimitExceeded);
    assert!(admitted > 1000 && outcomes.len() - admitted > 100 && limited > 50, "{admitted} admitted, {limited} limited");
    let exports: usize = outcomes.iter().map(|outcome| outcome.exports).sum();
    assert!(exports > 100, "{exports} exports");
    assert!(outcomes.iter().all(|outcome| outcome.traced));
}

#[test]
fn all_faces_know_subscribers_alike() {
    let (outcomes, _) = agreed(&telling("subscriptions-policy.yaml"), &sample(), Host::Sound);
    let unknown = |reason: Reason| reason.as_str().starts_with("SubscriptionKey");
    assert!(outcomes.iter().filter(|outcome| outcome.refused.is_some_and(unknown)).count() > 500);
}

/// A host that fails, drops every reply or lies about versions makes no face decide otherwise than the core: none traps, and what can't be counted is
/// refused.
#[test]
fn all_faces_bear_bad_hosts_alike() {
    let (policy, sample) = (telling("sample-policy.yaml"), sample());
    let through = |host| agreed(&policy, &sample[..600], host);
    let (sound, counts) = through(Host::Sound);
    assert!(counts["tracegate.spans.acknowledged.spans"] > 300, "{counts:?}");
    assert_eq!(refused(&sound, Reason::QuotaUnavailable) + refused(&sound, Reason::QuotaKeyNotFound), 0);
    assert!(refused(&sound, Reason::RateLimitExceeded) > 0);
    let (dull, _) = through(Host::Dull);
    assert!(dull.iter().all(|outcome| !outcome.traced));
    let (ignorant, _) = through(Host::Ignorant);
    assert!(refused(&ignorant, Reason::QuotaKeyNotFound) > 100);
    for host in [Host::Forgetful, Host::Lying] {
        let (uncounted, _) = through(host);
        assert!(refused(&uncounted, Reason::QuotaUnavailable) > 100, "{host:?}");
        assert_eq!(refused(&uncounted, Reason::RateLimitExceeded), 0, "{host:?}");
    }
    let (silent, counts) = through(Host::Silent);
    assert!(silent.iter().map(|outcome| outcome.exports).sum::<usize>() > 0);
    assert_eq!(counts.get("tracegate.spans.acknowledged.spans"), None, "{counts:?}");
}

/// Requests that wait for keys and for a service, get them, don't, or end meanwhile.
#[test]
fn all_faces_wait_alike() {
    let mut waits = Waits::start();
    waits.cancelled();
    assert_eq!(reason(waits.request(|| Ok(with_status(503)), unasked)), Some(Reason::TokenKeysUnavailable));
    let keys = waits.keys();
    // `overall_code` of the service's answer: 1 for OK, 2 for OVER_LIMIT.
    assert_eq!(reason(waits.request(|| Ok(keys.clone()), || Ok(message(&[8, 1])))), None);
    assert_eq!(reason(waits.request(unasked, || Ok(message(&[8, 2])))), Some(Reason::QuotaExceeded));
    assert_eq!(reason(waits.request(unasked, || Ok(message(&[8, 1].repeat(MAX_ANSWER / 2 + 1))))), Some(Reason::QuotaUnavailable));
    assert_eq!(reason(waits.request(unasked, || Err(CallFailed::Status(14)))), Some(Reason::QuotaUnavailable));
    let counts = waits.end();
    assert_eq!(counts.get("tracegate.requests.refused.QuotaUnavailable"), Some(&2), "{counts:?}");
}

/// Ways to fail that hosts of components and pages have, and modules' hosts haven't.
#[test]
fn calls_fail_alike_in_whatever_way() {
    let mut waits = Waits::beyond_modules();
    assert_eq!(reason(waits.request(|| Err(CallFailed::TimedOut), unasked)), Some(Reason::TokenKeysUnavailable));
    let keys = waits.keys();
    for failed in [CallFailed::Refused, CallFailed::TimedOut, CallFailed::Disconnected] {
        assert_eq!(reason(waits.request(|| Ok(keys.clone()), || Err(failed))), Some(Reason::QuotaUnavailable), "{failed:?}");
    }
    assert!(reason(waits.host_fails()).is_some());
    let counts = waits.end();
    assert_eq!(counts.get("tracegate.requests.refused.QuotaUnavailable"), Some(&3), "{counts:?}");
}

/// Every fact of a peer, signatures that the host verifies or says nothing of, a route's metadata and trailers.
#[test]
fn all_faces_ask_for_everything_alike() {
    for (host, by) in [(Host::Sound, "by_host"), (Host::Unverifying, "by_module")] {
        let mut told = Everything::start(host);
        told.know(true);
        assert_eq!([(); 3].map(|()| reason(told.exchange("/orders/7"))), [None, None, Some(Reason::RateLimitExceeded)]);
        told.know(false);
        assert_eq!(reason(told.exchange("/orders/7")), Some(Reason::TokenBindingInvalid));
        assert_eq!(reason(told.exchange("/nowhere")), Some(Reason::OperationNotFound));
        assert!(told.tick() > 0, "spans leave");
        let counts = told.end();
        assert_eq!(counts.get("tracegate.traces.continued.none"), Some(&3), "{counts:?}");
        assert_eq!(counts.get(&format!("tracegate.tokens.verified.{by}")), Some(&1), "{counts:?}");
    }
}

/// A gateway without its secret starts on no face, and says which it is.
#[test]
fn a_missing_secret_is_told_alike() {
    let (record, mut host) = (faces::Record::default(), Everything::start(Host::Sound));
    let missing = host.without_its_secret(&record);
    assert!(missing.contains("CHAIN"), "{missing}");
}

/// What is wrong with a policy, what a host can't do, and exchanges that are given up: what modules learn in other ways.
#[test]
fn all_faces_are_told_everything_alike() {
    let mut told = Everything::beyond_modules();
    let [sound, unknown, malformed] = told.compile();
    assert_eq!(
        (sound.fingerprint.map(|text| text.len()), sound.clusters.as_slice()),
        (Some(16), ["limits".to_owned(), "otel".to_owned()].as_slice())
    );
    assert_eq!(sound.variables, ["CHAIN"]);
    assert!(sound.findings.iter().any(|finding| finding.severity == "warning"), "{:?}", sound.findings);
    let wrong = |compiled: &faces::Compiled| compiled.findings.iter().filter(|finding| finding.severity == "error").count();
    assert!(unknown.fingerprint.is_none() && wrong(&unknown) > 0, "{unknown:?}");
    assert_eq!((malformed.findings[0].line, malformed.findings[0].column), (2, 14), "columns count characters: {malformed:?}");
    told.know(true);
    for failure in [
        HostFailure::HeadNotEdited,
        HostFailure::NotContinued,
        HostFailure::TrailersUnreadable,
        HostFailure::TrailersWithoutHead,
        HostFailure::TrailersNotEdited,
    ] {
        assert!(reason(told.failing(failure)).is_some(), "{failure:?}");
    }
    told.give_up();
    let counts = told.end();
    assert_eq!(counts.get("tracegate.spans.unconfirmed.spans"), Some(&6), "of those that were given up too: {counts:?}");
}

fn reason(verdict: Verdict) -> Option<Reason> {
    match verdict {
        Verdict::Refuse(refusal) => Some(refusal.reason()),
        Verdict::Continue(_) => None,
        Verdict::Wait => panic!("it was decided"),
    }
}

fn unasked() -> waits::Said {
    panic!("nobody is asked")
}

fn with_status(status: u16) -> Message {
    Message::response::<&str, &str>(status, [], b"")
}

/// A unary gRPC call's answer, which has no head.
fn message(body: &[u8]) -> Message {
    Message { body: body.to_vec(), ..Message::default() }
}

/// What the component is lent and what it offers, and nothing of WASI.
#[test]
fn the_component_asks_for_our_interfaces_alone() {
    let (imports, exports) = interfaces(&module::build_component().expect("the component builds"));
    let ours = |name: &str| format!("tracegate:policy/{name}@{}", tracegate::VERSION);
    let lent = ["clocks", "logging", "peer", "random", "secrets", "signatures", "store"].map(ours);
    assert_eq!(imports, lent.into());
    assert_eq!(exports, [ours("policy")].into());
}

/// What cargo-component builds of the same sources is the same to a host: its interfaces, and what it decides.
#[test]
#[ignore = "builds cargo-component: cargo harness test --all"]
fn cargo_component_gives_the_same_component() {
    let plain = module::build_component().expect("the component builds");
    let other = module::build_by_cargo_component().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(interfaces(&plain), interfaces(&other));
    example_decides(&other);
}

fn interfaces(path: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let wasm = fs::read(path).expect("it has been built");
    let component = Component::compile(&wasm).unwrap_or_else(|error| panic!("{error}"));
    let (imports, exports) = component.interfaces();
    (imports.into_iter().collect(), exports.into_iter().collect())
}

/// Too many random bytes, too few or none are no randomness, as for every other face: nothing is minted, and nothing traps.
#[test]
fn the_component_takes_no_other_number_of_random_bytes() {
    let wasm = fs::read(module::build_component().expect("the component builds")).expect("it has been built");
    let component = Component::compile(&wasm).expect("it is a component");
    for answered in [|_| 0, |asked| asked - 1, |asked| asked + 1] {
        let mut edge = component.start(OtherLength::new(answered)).expect("it is for our world");
        let policy = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;
        let policy = edge.compile(policy).expect("no trap").expect("it is sound");
        let gateway = edge.run(policy, 1).expect("no trap").expect("it needs no secret");
        let exchange = edge.open(gateway, 1).expect("no trap");
        let line = |(name, value): (&str, &str)| wit::Header { name: name.into(), value: value.into() };
        let head = [(":method", "GET"), (":path", "/orders/7")].map(line).into();
        let step = edge.step(exchange, &wit::Event::Request(head)).expect("no trap");
        assert!(matches!(&step.verdict, wit::Verdict::Continue(edits) if edits.is_empty()), "{:?}", step.verdict);
    }
}

#[test]
fn the_example_decides() {
    example_decides(&module::build_component().expect("the component builds"));
}

/// The example for gateways in Rust embeds the component, which decides.
#[track_caller]
fn example_decides(component: &Path) {
    let scratch = TempDir::new().expect("there is room");
    let policy = scratch.path().join("policy.json");
    let orders = r#"{"schema": 1, "service": {"name": "edge"}, "routes": [{"name": "orders", "match": {"path": {"prefix": "/orders"}}}],
        "default": {"action": "refuse"}}"#;
    fs::write(&policy, orders).expect("there is room");
    let program = PathBuf::from(tracegate().get_program()).with_file_name("examples").join("gateway");
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.is_file(), "{} is missing: run `cargo harness test`, which builds it", program.display());
    let run = |path: &str| {
        let output = Command::new(&program).args([component, &policy]).arg(path).output().expect("the example runs");
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    let decide = |path: &str| stdout(&run(path));
    let (admitted, refused) = (decide("/orders/7"), decide("/nowhere"));
    assert!(admitted.starts_with("admitted\ntraceparent: 00-"), "{admitted}");
    assert!(refused.starts_with("refused: 404 OperationNotFound\n"), "{refused}");
    // What waits for a service that the example can't reach is woken and told so.
    let global = json!({"cluster": "limits", "domain": "shop", "on_unavailable": "refuse"});
    let all = json!({"limit": {"calendar": {"requests": 5, "period": "day"}}, "key": ["route"], "enforcement": {"global": global}});
    let limited = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "quotas": {"all": all}, "routes": [{"name": "all", "quotas": ["all"]}],
    });
    fs::write(&policy, limited.to_string()).expect("there is room");
    let waited = decide("/orders/7");
    assert!(waited.starts_with("refused: 503 QuotaUnavailable\n"), "{waited}");
    // The response is edited, and the span that was recorded leaves at the end.
    let told = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "quotas": {"all": {"limit": {"rate": {"requests": 5, "window": "1m"}}, "key": ["route"], "enforcement": {"local": {}}}},
        "routes": [{"name": "all", "quotas": ["all"]}],
        "export": {"traces": {"spans": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces"}}}},
    });
    fs::write(&policy, told.to_string()).expect("there is room");
    let output = run("/orders/7");
    let shown = stdout(&output);
    let (_, response) = shown.split_once("\nresponse\n").expect("it is edited");
    assert!(response.to_lowercase().starts_with("ratelimit"), "{response}");
    assert!(stderr(&output).ends_with("calls that leave at the end: 1\n"), "{}", stderr(&output));
}

fn node() -> Option<PathBuf> {
    present(tools::program("node", "nodejs"))
}

/// What a page can do, and what the face makes of hosts that fail, lie or call back.
#[test]
fn the_browsers_face_in_node_bears_any_host() {
    let Some(node) = node() else { return };
    let face = module::build_browser().expect("the browser's face builds");
    let output = Command::new(node).arg(folder("browser").join("face.mjs")).arg(face).output().expect("Node runs");
    assert!(output.status.success() && stdout(&output) == "ok\n", "{}", stderr(&output));
}

/// TypeScript's compiler takes a use of everything that comes and goes, and none of what doesn't.
#[test]
fn what_typescript_is_told_is_so() {
    let (Some(node), Some(compiler)) = (node(), present(tools::typescript())) else { return };
    let scratch = TempDir::new().expect("there is room");
    let face = module::build_browser().expect("the browser's face builds");
    for (from, name) in [(face, "tracegate.d.ts"), (folder("browser"), "usage.ts")] {
        fs::copy(from.join(name), scratch.path().join(name)).expect("there is room");
    }
    let mut command = Command::new(node);
    command.arg(compiler).args(["--noEmit", "--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"]);
    let output =
        command.args(["--lib", "es2022,esnext.disposable,dom", "usage.ts"]).current_dir(scratch.path()).output().expect("Node runs");
    assert!(output.status.success(), "{}", stdout(&output));
    let types = fs::read_to_string(scratch.path().join("tracegate.d.ts")).expect("it is there");
    // What follows is between the two files.
    assert!(!types.split("export type InitInput").next().is_some_and(|own| own.contains(": any")), "{types}");
}

/// A page decides with its own clock and randomness, and with those of the native core what the native core does.
#[test]
fn a_page_in_chromium_decides_alike() {
    let policy = telling("sample-policy.yaml");
    let mut native = Native::start(&policy, Host::Sound);
    for recorded in &sample()[..300] {
        let _ = native.exchange(recorded);
    }
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
