// SPDX-License-Identifier: Apache-2.0
//! The module file, and modules that are none.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::fs;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::trace::TraceParent;
use tracegate_harness::host::{
    Always, Cluster, Finished, HeaderMap, Limits, LogLevel, Message, Metering, Module, Options, PluginOptions, Proxy, Reply, Request, Vm,
    VmOptions,
};
use tracegate_harness::module;

const OPEN: &str = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}}"#;

fn shipped() -> Vec<u8> {
    fs::read(module::build().unwrap()).unwrap()
}

/// An upstream that answers 200.
fn upstream() -> Always {
    Always(Reply::now(Message::response(200, [("x", "1")], b"")))
}

fn get(path: &str) -> Request {
    request([(":method", "GET"), (":path", path)].into_iter().collect())
}

fn request(head: HeaderMap) -> Request {
    Request { message: Message::request(head), ..Request::default() }
}

fn compile(wat: &str) -> Result<Module, String> {
    Module::compile(&wat::parse_str(wat).unwrap(), Metering::Time).map_err(|error| error.to_string())
}

/// A module of ABI 0.2.1 with these parts.
fn with(parts: &str) -> String {
    format!("(module (func (export \"proxy_abi_version_0_2_1\")) {ALLOCATOR} {parts})")
}

const ALLOCATOR: &str = "(func (export \"malloc\") (param i32) (result i32) (i32.const 64))";

#[test]
fn the_module_is_small_and_says_which_version_it_is() {
    let wasm = shipped();
    assert!(wasm.len() < 1_750_000, "{} bytes", wasm.len());
    assert_eq!(Module::compile(&wasm, Metering::Time).unwrap().version(), Some(tracegate::VERSION));
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
    let refused = |wasm: &[u8]| Module::compile(wasm, Metering::Time).unwrap_err().to_string();
    assert!(refused(b"not wasm").starts_with("expected a WebAssembly module"));
    assert!(refused(&shipped()[..1000]).starts_with("expected a WebAssembly module"));
    let other = compile("(module (func (export \"proxy_abi_version_0_1_0\")))").unwrap_err();
    assert_eq!(other, "expected a module for proxy-wasm ABI 0.2.1, marked `proxy_abi_version_0_2_1`; found `proxy_abi_version_0_1_0`");
    let nothing = compile("(module)").unwrap_err();
    assert!(nothing.ends_with("found no mark of any"), "{nothing}");
    let import = compile("(module (import \"env\" \"proxy_teleport\" (func)) (func (export \"proxy_abi_version_0_2_1\")))").unwrap_err();
    assert!(import.starts_with("can't link the module") && import.contains("proxy_teleport"), "{import}");
    let signature = compile(&with("(func (export \"proxy_on_tick\") (param i64))")).unwrap();
    let signature = Vm::start(&signature, VmOptions::default()).unwrap_err().to_string();
    assert!(signature.starts_with("`proxy_on_tick` has another signature than in ABI 0.2.1"), "{signature}");
}

/// A proxy around a module with these parts, and what becomes of a request.
fn first_request(parts: &str, metering: Metering, limits: Limits) -> (String, Option<u16>) {
    let module = Module::compile(&wat::parse_str(with(parts)).unwrap(), metering).unwrap();
    let mut options = Options::new("", 0);
    options.vm.limits = limits;
    let mut proxy = Proxy::start(&module, options, upstream()).unwrap();
    let response = proxy.exchange(get("/")).response;
    // The harness goes on: the next request is answered too.
    assert!(proxy.exchange(get("/")).response.is_some());
    (proxy.failure().unwrap_or_default().to_owned(), response.map(|response| response.status()))
}

#[test]
fn a_module_that_traps_loops_or_eats_memory_is_ended_and_named() {
    let on_request = |body: &str| format!("(func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32) {body})");
    let seconds = Limits { callback_seconds: 0, ..Limits::default() };
    let fuel = Limits { callback_fuel: 100_000, ..Limits::default() };
    let memory = Limits { memory: 1 << 20, ..Limits::default() };
    for (body, metering, limits, expected) in [
        ("unreachable", Metering::Time, Limits::default(), "the module trapped in proxy_on_request_headers: wasm trap"),
        ("(loop br 0) unreachable", Metering::Time, seconds, "the module ran for more than 0 s in proxy_on_request_headers"),
        ("(loop br 0) unreachable", Metering::Fuel, fuel, "the module used more than 100000 units of fuel in proxy_on_request_headers"),
        (
            "(call 0 (i32.const 0) (i32.const 0) (i32.const 0))",
            Metering::Time,
            Limits::default(),
            "the module trapped in proxy_on_request_headers",
        ),
    ] {
        let body = body.replace("call 0", "call $again");
        let parts = on_request(&body).replacen("(func ", "(func $again ", 1);
        let (failure, status) = first_request(&parts, metering, limits);
        assert!(failure.starts_with(expected), "{body}: {failure}");
        assert_eq!(status, Some(503), "{body}");
    }
    let grows = on_request("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable");
    let (failure, status) = first_request(&format!("(memory (export \"memory\") 1) {grows}"), Metering::Time, memory);
    assert!(failure.ends_with(", after it was refused more than 1 MiB of memory"), "{failure}");
    assert_eq!(status, Some(503));
}

#[test]
fn a_module_that_fails_at_its_start_starts_nothing() {
    let start = |parts: &str| {
        let module = compile(&with(parts)).unwrap();
        Proxy::start(&module, Options::new("", 0), upstream()).map(drop).unwrap_err().to_string()
    };
    let nothing = compile("(module (func (export \"proxy_abi_version_0_2_1\")))").unwrap();
    let error = Proxy::start(&nothing, Options::new("", 0), upstream()).map(drop).unwrap_err().to_string();
    assert_eq!(error, "expected the module to export `malloc` or `proxy_on_memory_allocate`, found neither");
    let error = start("(func (export \"_initialize\") unreachable)");
    assert!(error.starts_with("the module trapped in _initialize: wasm trap"), "{error}");
    let error = start("(func (export \"proxy_on_configure\") (param i32 i32) (result i32) unreachable)");
    assert!(error.starts_with("the module trapped in proxy_on_configure: wasm trap"), "{error}");
    let error = start("(func (export \"proxy_on_vm_start\") (param i32 i32) (result i32) (i32.const 0))");
    assert!(error.starts_with("the module refused its configuration"), "{error}");
}

/// What the host has no implementation of says so, rather than pretend.
/// The host ends a module that says it is tracegate, and asks for more than metadata.
#[test]
fn a_module_that_asks_for_a_body_is_ended_and_named() {
    const IMPORTS: &str = r#"(import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_buffer_status" (func $status (param i32 i32 i32) (result i32)))
        (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32))) (memory (export "memory") 1)"#;
    let five = |buffer: u32| format!("(i32.const {buffer}) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 12)");
    let get = |buffer: u32| (format!("(call $get {})", five(buffer)), format!("proxy_get_buffer_bytes of buffer {buffer}"));
    let body = "(call $status (i32.const 0) (i32.const 8) (i32.const 12))".to_owned();
    let mut calls: Vec<(String, String)> = [0, 1, 2, 3, 8].map(get).into();
    calls.push((body, "proxy_get_buffer_status of buffer 0".to_owned()));
    calls.push((format!("(call $set {})", five(1)), "proxy_set_buffer_bytes of buffer 1".to_owned()));
    let own = [4, 5, 6, 7].map(|buffer| (get(buffer).0, String::new()));
    let says = format!(r#"(@custom "tracegate" "{{\"version\":\"{}\",\"schema\":1}}")"#, tracegate::VERSION);
    for (call, expected) in calls.into_iter().chain(own) {
        let callback =
            format!(r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (drop {call}) (i32.const 0))"#);
        for (section, ends) in [(says.as_str(), !expected.is_empty()), ("", false)] {
            let text = format!("(module {IMPORTS} (func (export \"proxy_abi_version_0_2_1\")) {ALLOCATOR} {callback} {section})");
            let module = compile(&text).unwrap();
            let mut proxy = Proxy::start(&module, Options::new("", 0), upstream()).unwrap();
            let status = proxy.exchange(self::get("/")).response.map(|response| response.status());
            let failure = proxy.failure().unwrap_or_default();
            let ended =
                format!("the module trapped in proxy_on_request_headers: expected metadata alone to be asked for, found {expected}");
            assert_eq!((failure, status), if ends { (ended.as_str(), Some(503)) } else { ("", Some(200)) }, "{call} {section}");
        }
    }
}

#[test]
fn unimplemented_host_functions_answer_12() {
    let parts = r#"
        (global $answer (mut i32) (i32.const 0))
        (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
            (i32.eq (i32.const 12) (call $resolve (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))"#;
    let import = r#"(import "env" "proxy_resolve_shared_queue" (func $resolve (param i32 i32 i32 i32 i32) (result i32)))"#;
    let module = compile(&format!("(module {import} (func (export \"proxy_abi_version_0_2_1\")) {ALLOCATOR} {parts})")).unwrap();
    Vm::start(&module, VmOptions::default()).unwrap().configure(PluginOptions::new("")).unwrap();
}

#[test]
fn a_refused_configuration_comes_with_what_was_logged() {
    let module = Module::compile(&shipped(), Metering::Time).unwrap();
    for (configuration, expected) in [
        ("{\"schema\": 1}", "invalid policy: 1:1: expected a field `service`, found none"),
        ("", "expected the policy as JSON in a google.protobuf.StringValue"),
        ("\u{a}\u{7}\u{a}\u{5}route", "expected the policy as JSON in a google.protobuf.StringValue"),
    ] {
        let error = Vm::start(&module, VmOptions::default()).unwrap().configure(PluginOptions::new(configuration)).unwrap_err().to_string();
        assert!(error.contains(expected), "{configuration:?}: {error}");
    }
}

#[test]
fn a_loaded_policy_is_named_in_the_log_and_in_a_gauge() {
    let module = Module::compile(&shipped(), Metering::Time).unwrap();
    let mut vm = Vm::start(&module, VmOptions::default()).unwrap();
    vm.configure(PluginOptions::new(OPEN)).unwrap();
    let policy = tracegate::Policy::from_json(OPEN.as_bytes()).unwrap().policy;
    let loaded = vm.log().iter().find(|line| line.level == LogLevel::Info).unwrap();
    assert_eq!(loaded.message, format!("tracegate {}: policy {} of edge loaded, 0 routes", tracegate::VERSION, policy.fingerprint));
    assert_eq!(vm.metrics()["tracegate.policy.fingerprint"], policy.fingerprint.gauge());
}

#[test]
fn every_request_is_counted_once() {
    let module = Module::compile(&shipped(), Metering::Time).unwrap();
    for (policy, admitted, refused) in [(OPEN.to_owned(), 1, 0), (OPEN.replace("admit", "refuse"), 0, 1)] {
        let mut proxy = Proxy::start(&module, Options::new(&policy, 0), upstream()).unwrap();
        let Finished { response, details, .. } = proxy.exchange(get("/"));
        let found = (response.unwrap().status(), details.as_str());
        assert_eq!(found, if admitted == 1 { (200, "via_upstream") } else { (404, "OperationNotFound") });
        let unreadable = proxy.exchange(request(HeaderMap::default()));
        assert_eq!(unreadable.response.unwrap().status(), 431);
        proxy.tick();
        proxy.tick();
        let metrics = proxy.vm().metrics();
        let counted = ["admitted.none", "refused.OperationNotFound", "refused.RequestHeadersUnreadable"]
            .map(|name| metrics[format!("tracegate.requests.{name}").as_str()]);
        assert_eq!(counted, [admitted, refused, 1]);
    }
}

/// Two policies in one VM, one filter behind the other: each decides and counts for its own.
#[test]
fn one_vm_holds_several_plugins() {
    let module = Module::compile(&shipped(), Metering::Time).unwrap();
    let mut options = Options::new(OPEN, 0);
    let routes = r#"{"schema": 1, "service": {"name": "inner"}, "default": {"action": "refuse", "status": 410},
        "routes": [{"name": "a", "match": {"path": {"prefix": "/a"}}}]}"#;
    options.plugins.push(PluginOptions {
        name: "inner".to_owned(),
        root_id: "inner".to_owned(),
        configuration: routes.as_bytes().to_vec(),
    });
    let mut proxy = Proxy::start(&module, options, upstream()).unwrap();
    assert_eq!(proxy.exchange(get("/a")).response.unwrap().status(), 200);
    assert_eq!(proxy.exchange(get("/b")).response.unwrap().status(), 410);
    proxy.tick();
    let metrics = proxy.vm().metrics();
    assert_eq!((metrics["tracegate.requests.admitted.none"], metrics["tracegate.requests.refused.OperationNotFound"]), (3, 1));
}

/// Names and values of any bytes at all, far beyond what HTTP admits: none traps the module, and whatever is forwarded
/// carries one valid traceparent.
#[test]
fn no_header_of_any_bytes_traps_the_module() {
    let module = Module::compile(&shipped(), Metering::Time).unwrap();
    let routes = OPEN.replace(
        "\"default\"",
        "\"trace\": {\"tracestate\": {\"member\": \"tgate\"}}, \"routes\": [{\"name\": \"a\", \"match\": {\"path\": {\"prefix\": \"/a\"}}}], \"default\"",
    );
    let mut proxies = [OPEN, &routes].map(|policy| Proxy::start(&module, Options::new(policy, 0), upstream()).unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut forwarded = 0;
    for _ in 0..20_000 {
        // Most heads have what it takes to be forwarded.
        let usual = [(&b":method"[..], &b"GET"[..]), (b":path", b"/a/1")].map(|(name, value)| (name.to_vec(), value.to_vec()));
        let usual = usual.into_iter().filter(|_| !random.next_u32().is_multiple_of(8)).collect::<Vec<_>>();
        let lines = (0..random.next_u32() % 10).map(|_| random_line(&mut random)).collect::<Vec<_>>();
        let head: HeaderMap = usual.into_iter().chain(lines).collect();
        for proxy in &mut proxies {
            if let Some(upstream) = proxy.exchange(request(head.clone())).upstream {
                let parents: Vec<&[u8]> = upstream.head.values(b"traceparent").collect();
                assert!(matches!(parents.as_slice(), [parent] if TraceParent::try_from(*parent).is_ok()), "{head:?}");
                forwarded += 1;
            }
            assert_eq!(proxy.failure(), None, "{head:?}");
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

/// A root that puts its end off ends when it says so, and not before.
#[test]
fn a_plugin_may_put_its_end_off() {
    let probe = Module::compile(&fs::read(module::build_probe().unwrap()).unwrap(), Metering::Time).unwrap();
    let program = "case end | configure: set_tick_period_milliseconds 10; done | tick: done | done: return 0";
    let mut proxy = Proxy::start(&probe, Options::new(program, 0), upstream()).unwrap();
    proxy.shut_down();
    let lines = |proxy: &mut Proxy<'_, Always>| proxy.vm_mut().take_log().into_iter().map(|line| line.message).collect::<Vec<_>>();
    let before = lines(&mut proxy);
    assert!(before.ends_with(&["PROBE end done".to_owned()]), "{before:?}");
    assert!(before.contains(&"PROBE end configure 2 done 1".to_owned()), "nothing is to be ended yet: {before:?}");
    proxy.advance(Duration::from_millis(50));
    assert_eq!(lines(&mut proxy), ["PROBE end tick", "PROBE end tick 1 done 0", "PROBE end delete"]);
}

/// Calls itself back for ever, at no cost of time: through a service, and through a cluster that fails at once.
#[test]
fn a_module_that_calls_out_on_and_on_is_left_behind() {
    let probe = Module::compile(&fs::read(module::build_probe().unwrap()).unwrap(), Metering::Time).unwrap();
    for cluster in ["service", "limited"] {
        let call = format!("http_call {cluster} :method=GET,:path=/,:authority=a ~ ~ 1000");
        let program = format!("request_headers: {call}; return 1 | http_call_response: {call}");
        let mut options = Options::new("", 0);
        options.timeouts.idle = Duration::from_millis(20);
        options.clusters.insert("service".to_owned(), Cluster::Reachable);
        options.clusters.insert("limited".to_owned(), Cluster::Overloaded);
        let mut proxy = Proxy::start(&probe, options, upstream()).unwrap();
        let head = [(":method", "GET"), (":path", "/"), (":authority", "a"), ("x-case", "on"), ("x-program", program.as_str())];
        let finished = proxy.exchange(request(head.into_iter().collect()));
        assert_eq!((finished.response.unwrap().status(), finished.details.as_str()), (504, "stream_idle_timeout"), "{cluster}");
        assert_eq!(proxy.failure(), None, "{cluster}");
    }
}

/// What a module leaves with the host is bounded.
#[test]
fn a_module_that_leaves_more_and_more_with_the_host_is_refused() {
    let parts = r#"
        (memory (export "memory") 200)
        (global $refused (mut i32) (i32.const 0))
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 64))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (loop
                (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
                (global.set $refused (call $set (i32.const 0) (i32.const 4) (i32.const 16) (i32.const 10000000) (i32.const 0)))
                (br_if 0 (i32.lt_u (i32.load (i32.const 0)) (i32.const 40))))
            (if (i32.ne (global.get $refused) (i32.const 10)) (then unreachable))
            (i32.const 0))"#;
    let import = r#"(import "env" "proxy_set_shared_data" (func $set (param i32 i32 i32 i32 i32) (result i32)))"#;
    let module = compile(&format!("(module {import} (func (export \"proxy_abi_version_0_2_1\")) {parts})")).unwrap();
    let mut proxy = Proxy::start(&module, Options::new("", 0), upstream()).unwrap();
    assert_eq!(proxy.exchange(get("/")).response.unwrap().status(), 200);
    assert_eq!(proxy.failure(), None);
}

/// The module is asked for memory in the middle of a host call: where it traps there, it is dead as anywhere else.
#[test]
fn a_trap_while_memory_is_asked_for_is_a_trap() {
    let parts = r#"
        (memory (export "memory") 1)
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) unreachable)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $pairs (i32.const 0) (i32.const 0) (i32.const 4))) (i32.const 0))"#;
    let import = r#"(import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))"#;
    let module = compile(&format!("(module {import} (func (export \"proxy_abi_version_0_2_1\")) {parts})")).unwrap();
    let mut proxy = Proxy::start(&module, Options::new("", 0), upstream()).unwrap();
    assert_eq!(proxy.exchange(get("/")).response.unwrap().status(), 503);
    assert!(proxy.failure().unwrap().starts_with("the module trapped in proxy_on_memory_allocate"), "{:?}", proxy.failure());
}

/// A write of a gigabyte through overlapping vectors is refused, not collected.
#[test]
fn a_write_beyond_all_bounds_is_refused() {
    let parts = r#"
        (memory (export "memory") 200)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (local $at i32)
            (loop
                (i32.store (local.get $at) (i32.const 65536))
                (i32.store offset=4 (local.get $at) (i32.const 12000000))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if 0 (i32.lt_u (local.get $at) (i32.const 8192))))
            (if (i32.ne (i32.const 28) (call $write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 16384))) (then unreachable))
            (i32.const 0))"#;
    let import = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;
    let module = compile(&format!("(module {import} (func (export \"proxy_abi_version_0_2_1\")) {ALLOCATOR} {parts})")).unwrap();
    let mut proxy = Proxy::start(&module, Options::new("", 0), upstream()).unwrap();
    assert_eq!((proxy.exchange(get("/")).response.unwrap().status(), proxy.failure()), (200, None));
}

/// A trap while other exchanges wait: they end with 503, what was called out for them is forgotten, and the module that is
/// loaded anew serves the next.
#[test]
fn exchanges_that_wait_survive_a_reload() {
    let probe = Module::compile(&fs::read(module::build_probe().unwrap()).unwrap(), Metering::Time).unwrap();
    let slow = Always(Reply::After(Duration::from_secs(5), Message::response(200, [("x", "1")], b"")));
    let mut options = Options::new("", 0);
    options.clusters.insert("service".to_owned(), Cluster::Reachable);
    let mut proxy = Proxy::start(&probe, options, slow).unwrap();
    let program = |name: &str, program: &str| {
        request([(":method", "GET"), (":path", "/"), (":authority", "a"), ("x-case", name), ("x-program", program)].into_iter().collect())
    };
    let waits = proxy.send(program("waits", "log: get_property request.path"));
    let calls = proxy.send(program("calls", "request_headers: http_call service :method=GET,:path=/,:authority=a ~ ~ 60000; return 1"));
    proxy.advance(Duration::from_millis(500));
    let traps = proxy.send(program("traps", "request_headers: trap"));
    assert_eq!(proxy.finish(traps).response.unwrap().status(), 503);
    proxy.advance(Duration::from_secs(2));
    let next = proxy.send(program("next", "response_headers: get_header_map_value 2 :status"));
    proxy.run_until_idle();
    assert_eq!(proxy.finish(next).response.unwrap().status(), 200);
    assert_eq!((proxy.finish(waits).response.unwrap().status(), proxy.finish(calls).response.unwrap().status()), (503, 503));
    assert!(proxy.vm().log().iter().all(|line| line.message.starts_with("PROBE next ")), "{:?}", proxy.vm().log());
}
