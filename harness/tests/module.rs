// SPDX-License-Identifier: Apache-2.0
//! The module file, and modules that are none.

use std::fs;

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
