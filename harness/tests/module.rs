// SPDX-License-Identifier: Apache-2.0
//! The module file, and modules that are none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::fs;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::trace::TraceParent;
use tracegate_harness::host::{HeaderMap, LogLevel, Metering, Module, Outcome, Vm};
use tracegate_harness::module;

const OPEN: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;

fn shipped() -> Vec<u8> {
    fs::read(module::build().unwrap()).unwrap()
}

fn compile(wat: &str) -> Result<Module, String> {
    Module::compile(&wat::parse_str(wat).unwrap(), Metering::None).map_err(|error| error.to_string())
}

/// A module of ABI 0.2.1 with these parts.
fn with(parts: &str) -> String {
    format!("(module (func (export \"proxy_abi_version_0_2_1\")) {parts})")
}

#[test]
fn the_module_is_small_and_says_which_version_it_is() {
    let wasm = shipped();
    assert!(wasm.len() < 250_000, "{} bytes", wasm.len());
    assert_eq!(Module::compile(&wasm, Metering::None).unwrap().version(), Some(tracegate::VERSION));
    let section = format!("tracegate{{\"version\":\"{}\",\"schema\":1}}", tracegate::VERSION);
    assert!(wasm.windows(section.len()).any(|window| window == section.as_bytes()));
}

/// Cargo.toml has the version; WIT can't refer to it.
#[test]
fn the_wit_package_has_the_same_version() {
    let wit = fs::read_to_string(tracegate_harness::workspace::root().join("wit/world.wit")).unwrap();
    assert!(wit.contains(&format!("\npackage tracegate:policy@{};\n", tracegate::VERSION)));
}

#[test]
fn what_is_no_module_is_refused_by_name() {
    let refused = |wasm: &[u8]| Module::compile(wasm, Metering::None).unwrap_err().to_string();
    assert!(refused(b"not wasm").starts_with("expected a WebAssembly module"));
    assert!(refused(&shipped()[..1000]).starts_with("expected a WebAssembly module"));
    let other = compile("(module (func (export \"proxy_abi_version_0_1_0\")))").unwrap_err();
    assert_eq!(other, "expected a module for proxy-wasm ABI 0.2.1, found none of its mark `proxy_abi_version_0_2_1`");
    let import = compile("(module (import \"env\" \"proxy_teleport\" (func)) (func (export \"proxy_abi_version_0_2_1\")))").unwrap_err();
    assert!(import.starts_with("can't link the module") && import.contains("proxy_teleport"), "{import}");
    let signature = compile(&with("(func (export \"proxy_on_tick\") (param i64))")).unwrap();
    let signature = Vm::start(&signature, 0).unwrap_err().to_string();
    assert!(signature.starts_with("`proxy_on_tick` has another signature than in ABI 0.2.1"), "{signature}");
}

#[test]
fn a_trap_is_reported_with_its_callback() {
    let module = compile(&with("(func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) unreachable)")).unwrap();
    let mut vm = Vm::start(&module, 0).unwrap();
    let plugin = vm.configure("").unwrap();
    let error = vm.request(plugin, HeaderMap::default()).unwrap_err().to_string();
    assert!(error.starts_with("the module trapped in proxy_on_request_headers: wasm trap"), "{error}");
}

/// What the host has no implementation of says so, rather than pretend.
#[test]
fn unimplemented_host_functions_answer_12() {
    let parts = r#"
        (global $answer (mut i32) (i32.const 0))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
            (i32.eq (i32.const 12) (call $get_shared_data (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))"#;
    let import = r#"(import "env" "proxy_get_shared_data" (func $get_shared_data (param i32 i32 i32 i32 i32) (result i32)))"#;
    let module = compile(&format!("(module {import} (func (export \"proxy_abi_version_0_2_1\")) {parts})")).unwrap();
    Vm::start(&module, 0).unwrap().configure("").unwrap();
}

#[test]
fn a_refused_configuration_comes_with_what_was_logged() {
    let module = Module::compile(&shipped(), Metering::None).unwrap();
    for (configuration, expected) in [
        ("{\"schema\": 1}", "invalid policy: 1:1: expected a field `service`, found none"),
        ("", "expected the policy as JSON in a google.protobuf.StringValue"),
        ("\u{a}\u{7}\u{a}\u{5}route", "expected the policy as JSON in a google.protobuf.StringValue"),
    ] {
        let error = Vm::start(&module, 0).unwrap().configure(configuration).unwrap_err().to_string();
        assert!(error.contains(expected), "{configuration:?}: {error}");
    }
}

#[test]
fn a_loaded_policy_is_named_in_the_log_and_in_a_gauge() {
    let module = Module::compile(&shipped(), Metering::None).unwrap();
    let mut vm = Vm::start(&module, 0).unwrap();
    vm.configure(OPEN).unwrap();
    let policy = tracegate::Policy::from_json(OPEN.as_bytes()).unwrap().policy;
    let loaded = vm.log().iter().find(|line| line.level == LogLevel::Info).unwrap();
    assert_eq!(loaded.message, format!("tracegate {}: policy {} of edge loaded, 0 routes", tracegate::VERSION, policy.fingerprint));
    assert_eq!(vm.metrics()["tracegate.policy.fingerprint"], policy.fingerprint.gauge());
}

#[test]
fn one_vm_holds_several_plugins_and_counts_for_each() {
    let module = Module::compile(&shipped(), Metering::None).unwrap();
    let mut vm = Vm::start(&module, 0).unwrap();
    let open = vm.configure(OPEN).unwrap();
    let closed = vm.configure(&OPEN.replace("admit", "refuse")).unwrap();
    let head = || [(":method", "GET"), (":path", "/")].into_iter().collect::<HeaderMap>();
    let (first, second) = (vm.request(open, head()).unwrap(), vm.request(closed, head()).unwrap());
    assert!(matches!(vm.outcome(&first).unwrap(), Outcome::Forwarded(_)));
    let Outcome::Answered(response) = vm.outcome(&second).unwrap() else { panic!("expected an answer") };
    assert_eq!((response.status, response.details.as_slice()), (404, &b"OperationNotFound"[..]));
    vm.close(first).unwrap();
    vm.close(second).unwrap();
    let unreadable = vm.request(open, HeaderMap::default()).unwrap();
    assert!(matches!(vm.outcome(&unreadable).unwrap(), Outcome::Answered(response) if response.status == 431));
    vm.close(unreadable).unwrap();
    vm.tick(open).unwrap();
    assert_eq!((vm.metrics()["tracegate.requests.admitted.none"], vm.metrics()["tracegate.requests.refused.OperationNotFound"]), (1, 0));
    vm.tick(closed).unwrap();
    vm.tick(closed).unwrap();
    assert_eq!(vm.metrics()["tracegate.requests.refused.OperationNotFound"], 1);
    assert_eq!(vm.metrics()["tracegate.requests.refused.RequestHeadersUnreadable"], 1);
}

/// Names and values of any bytes at all, far beyond what HTTP admits: none traps the module, and whatever is forwarded
/// carries one valid traceparent.
#[test]
fn no_header_of_any_bytes_traps_the_module() {
    let module = Module::compile(&shipped(), Metering::None).unwrap();
    let mut vm = Vm::start(&module, 0).unwrap();
    let routes = OPEN.replace("\"default\"", "\"trace\": {\"tracestate\": {\"member\": \"tgate\"}}, \"routes\": [{\"name\": \"a\", \"match\": {\"path\": {\"prefix\": \"/a\"}}}], \"default\"");
    let plugins = [vm.configure(OPEN).unwrap(), vm.configure(&routes).unwrap()];
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut forwarded = 0;
    for _ in 0..20_000 {
        let head: HeaderMap = (0..random.next_u32() % 10).map(|_| random_line(&mut random)).collect();
        for plugin in plugins {
            let exchange = vm.request(plugin, head.clone()).unwrap();
            if let Outcome::Forwarded(upstream) = vm.outcome(&exchange).unwrap() {
                let parents: Vec<&[u8]> = upstream.values(b"traceparent").collect();
                assert!(matches!(parents.as_slice(), [parent] if TraceParent::try_from(*parent).is_ok()), "{head:?}");
                forwarded += 1;
            }
            vm.close(exchange).unwrap();
        }
    }
    assert!(forwarded > 10_000, "{forwarded} were forwarded: the heads are too hostile to test what comes after");
}

fn random_line(random: &mut ChaCha8Rng) -> (Vec<u8>, Vec<u8>) {
    let names: [&[u8]; 6] = [b":method", b":method", b":path", b":authority", b"traceparent", b"tracestate"];
    let values: [&[u8]; 5] = [b"GET", b"/a/../b%2e", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"a=1,b=2", b""];
    let below = |random: &mut ChaCha8Rng, limit: usize| usize::try_from(random.next_u32()).unwrap() % limit;
    let bytes =
        |random: &mut ChaCha8Rng, limit: usize| (0..below(random, limit)).map(|_| random.next_u32().to_le_bytes()[0]).collect::<Vec<u8>>();
    let name = names.get(below(random, 8)).map_or_else(|| bytes(random, 20), |name| name.to_vec());
    let mut value = values.get(below(random, 8)).map_or_else(|| bytes(random, 600), |value| value.to_vec());
    if random.next_u32().is_multiple_of(4) && !value.is_empty() {
        let at = below(random, value.len());
        value[at] = bytes(random, 3).first().copied().unwrap_or(b',');
    }
    (name, value)
}
