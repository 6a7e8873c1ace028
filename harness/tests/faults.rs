// SPDX-License-Identifier: Apache-2.0
//! The module in a host that fails, lies and stays silent: whatever goes wrong, it traps nowhere, and what it could not
//! put right goes nowhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::json;
use tracegate::identity::Algorithm;
use tracegate::trace::TraceParent;
use tracegate_harness::host::faults::{EXCLUDED, Fault, FaultKind, Faults, Injected, Mangle};
use tracegate_harness::host::{
    Always, Callout, Cluster, ExchangeId, Finished, GrpcCall, HeaderMap, Message, Metering, Module, Options, Part, Proxy, Reply, Request,
    World,
};
use tracegate_harness::issuer::Issuer;
use tracegate_harness::module;

const POLICY: &str = r#"{"schema": 1, "service": {"name": "edge"}, "trace": {"tracestate": {"member": "tgate"}},
    "routes": [{"name": "a", "match": {"path": {"prefix": "/a"}}}, {"name": "b", "match": {"path": {"prefix": "/b"}},
    "rules": [{"name": "no", "require": "deny"}]}], "default": {"action": "refuse"}}"#;
const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const MALFORMED: &str = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";

fn upstream() -> Always {
    Always(Reply::now(Message::response(200, [("x", "1")], b"")))
}

fn request(random: &mut ChaCha8Rng) -> Request {
    let path = ["/a/1", "/b/1", "/c", "/a/%2f"][usize::try_from(random.next_u32() % 4).unwrap()];
    let mut head: HeaderMap = [(":method", "GET"), (":path", path), (":authority", "api.example")].into_iter().collect();
    match random.next_u32() % 4 {
        0 => head.add(b"traceparent", CALLERS.as_bytes()),
        1 => head.add(b"traceparent", MALFORMED.as_bytes()),
        2 => {
            head.add(b"traceparent", CALLERS.as_bytes());
            head.add(b"tracestate", b"a=1,b=2");
        }
        _ => {}
    }
    Request { message: Message::request(head), ..Request::default() }
}

/// Runs some exchanges with faults by `seed`; what became of each, and what had been injected by then.
fn run(module: &Module, seed: u64, per_mille: u32) -> (Vec<(Finished, usize)>, Vec<Injected>) {
    let mut options = Options::new(POLICY, seed);
    options.timeouts.idle = Duration::from_secs(2);
    // A host that starts is a host that configured the plugin: faults begin behind that.
    let mut proxy = Proxy::start(module, options, upstream()).unwrap();
    proxy.vm_mut().inject(Faults::new(seed, per_mille));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut finished = Vec::new();
    for _ in 0..40 {
        let exchange = proxy.exchange(request(&mut random));
        assert_eq!(proxy.failure(), None, "seed {seed}, after {:?}", proxy.vm().faults().unwrap().injected().last());
        finished.push((exchange, proxy.vm().faults().unwrap().injected().len()));
        proxy.advance(Duration::from_millis(u64::from(random.next_u32() % 1500)));
        assert_eq!(proxy.failure(), None, "seed {seed}, at a tick");
    }
    (finished, proxy.vm().faults().unwrap().injected().to_vec())
}

#[test]
fn no_fault_traps_the_module() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let mut functions = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let mut checked = 0;
    for per_mille in [20, 200, 1000] {
        for seed in 0..150 {
            let (finished, injected) = run(&module, seed, per_mille);
            functions.extend(injected.iter().map(|injected| injected.function));
            kinds.extend(injected.iter().map(|injected| std::mem::discriminant(&injected.fault)).map(|kind| format!("{kind:?}")));
            let mut before = 0;
            for (exchange, until) in finished {
                checked += u32::from(assert_sound(&exchange, &injected[before..until], seed));
                before = until;
            }
        }
    }
    // Faults came everywhere that the module calls while it serves.
    let expected = [
        "proxy_get_current_time_nanoseconds",
        "proxy_get_header_map_pairs",
        "proxy_increment_metric",
        "proxy_log",
        "proxy_remove_header_map_value",
        "proxy_replace_header_map_value",
        "proxy_send_local_response",
        "random_get",
    ];
    for function in expected {
        assert!(functions.contains(function), "no fault came to {function}: {functions:?}");
    }
    assert!(kinds.len() >= 4, "{kinds:?}");
    assert!(checked > 1000, "only {checked} exchanges went on in a host that told the truth");
}

/// What reached the upstream is right, unless the host claimed to have done what it didn't do, or handed over another head.
/// Tells whether there was something to be checked.
fn assert_sound(exchange: &Finished, injected: &[Injected], seed: u64) -> bool {
    let Some(upstream) = &exchange.upstream else { return false };
    let lied = injected.iter().any(|injected| matches!(injected.fault, Fault::Silent | Fault::Buffer(_)));
    if lied {
        return false;
    }
    let failed = |function| injected.iter().any(|injected| injected.function == function && matches!(injected.fault, Fault::Status(1..)));
    assert!(!failed("proxy_replace_header_map_value"), "seed {seed}: half edited, it went on: {injected:?}");
    assert!(!failed("proxy_get_header_map_pairs"), "seed {seed}: unread, it went on: {injected:?}");
    let parents: Vec<&[u8]> = upstream.head.values(b"traceparent").collect();
    assert!(parents.len() == 1 || !injected.is_empty(), "seed {seed}: {} traceparents", parents.len());
    assert!(
        parents.iter().all(|parent| TraceParent::try_from(*parent).is_ok()),
        "seed {seed}: {} with {injected:?} in {exchange:?}",
        parents.iter().map(|parent| String::from_utf8_lossy(parent)).collect::<Vec<_>>().join(" ")
    );
    true
}

#[test]
fn the_same_seed_gives_the_same_faults_and_outcomes() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let (first, again) = (run(&module, 7, 200), run(&module, 7, 200));
    assert_eq!(first, again);
    assert_ne!(first.1, run(&module, 8, 200).1);
}

/// A policy is loaded under faults, or it is refused; neither traps.
#[test]
fn a_faulty_start_is_refused_and_no_trap() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let (mut started, mut refused) = (0, 0);
    for seed in 0..400 {
        let mut options = Options::new(POLICY, seed);
        options.vm.faults = Some(Faults::new(seed, 100));
        match Proxy::start(&module, options, upstream()) {
            Ok(_) => started += 1,
            Err(error) => {
                assert!(error.to_string().starts_with("the module refused its configuration"), "seed {seed}: {error}");
                refused += 1;
            }
        }
    }
    assert!(started > 50 && refused > 5, "{started} started, {refused} refused");
}

#[test]
fn what_is_excluded_is_never_injected_and_has_a_reason() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    for seed in 0..50 {
        for injected in run(&module, seed, 1000).1 {
            let kind = match injected.fault {
                Fault::Buffer(Mangle::Long) => FaultKind::SizeBeyondBuffer,
                Fault::Status(_) | Fault::Silent | Fault::Number(_) => FaultKind::Failure,
                Fault::ReplyTwice => FaultKind::ReplyTwice,
                _ => continue,
            };
            let excluded =
                EXCLUDED.iter().any(|known| known.fault == kind && (known.function == "*" || known.function == injected.function));
            assert!(!excluded, "{injected:?}");
        }
    }
    assert!(EXCLUDED.iter().all(|known| known.reason.len() > 20 || known.reason.starts_with("as ")));
}

/// An issuer's keys, after 10 ms, and an upstream that answers at once.
struct Publishing(String);

impl World for Publishing {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(Message::response(200, [("x", "1")], b""))
    }

    fn service(&mut self, _: &Callout) -> Reply {
        Reply::After(Duration::from_millis(10), Message::response(200, [("y", "1")], self.0.as_bytes()))
    }
}

/// Whatever the host does, a token that isn't proven reaches no upstream, and nothing traps. (The tokens' algorithm is one that no host verifies:
/// one that lies about signatures once it has been believed could let anything pass.)
#[test]
fn no_fault_lets_a_forged_token_pass() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let mut issuer = Issuer::new(1).unwrap();
    let claims = json!({"iss": "https://id.shop.example/", "aud": "orders-api", "exp": 4_102_444_800_u64});
    let good = issuer.mint(Algorithm::EdDsa, &claims).unwrap();
    let forged = Issuer::new(2).unwrap().mint(Algorithm::EdDsa, &claims).unwrap();
    let jwks = json!({"uri": "https://id.shop.example/jwks.json", "cluster": "idp", "unknown_kid_interval": "1s"});
    let jwt = json!({"issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["EdDSA"], "keys": {"jwks": jwks}});
    let policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"}, "identity": {"providers": {"customers": {"jwt": jwt}}},
        "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "customers"}}}]}],
    });
    let mut functions = BTreeSet::new();
    let (mut admitted, mut waited) = (0, 0);
    for per_mille in [20, 100, 300] {
        for seed in 0..100 {
            let mut options = Options::new(&policy.to_string(), seed);
            options.timeouts.idle = Duration::from_secs(2);
            options.clock = 1_800_000_000_000_000_000;
            options.clusters.insert("idp".to_owned(), Cluster::Reachable);
            let mut proxy = Proxy::start(&module, options, Publishing(issuer.key_set().to_string())).unwrap();
            proxy.vm_mut().inject(Faults::new(seed, per_mille));
            for round in 0..10 {
                for (token, genuine) in [(&good, true), (&forged, false)] {
                    let authorization = format!("Bearer {token}");
                    let head = [(":method", "GET"), (":path", "/"), (":authority", "a"), ("authorization", &authorization)];
                    let head: HeaderMap = head.into_iter().collect();
                    let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
                    assert_eq!(proxy.failure(), None, "seed {seed}, after {:?}", proxy.vm().faults().unwrap().injected().last());
                    assert!(
                        genuine || finished.upstream.is_none(),
                        "seed {seed}, round {round}: {:?}",
                        proxy.vm().faults().unwrap().injected()
                    );
                    admitted += u32::from(finished.upstream.is_some());
                    waited += u32::from(finished.details == "stream_idle_timeout");
                }
                proxy.advance(Duration::from_millis(700));
                assert_eq!(proxy.failure(), None, "seed {seed}, at a tick");
            }
            functions.extend(proxy.vm().faults().unwrap().injected().iter().map(|injected| injected.function));
        }
    }
    for function in
        ["proxy_get_shared_data", "proxy_set_shared_data", "proxy_set_tick_period_milliseconds", "proxy_continue_stream", "reply"]
    {
        assert!(functions.contains(function), "no fault came to {function}: {functions:?}");
    }
    println!("{admitted} admitted, {waited} never answered");
    assert!(admitted > 500, "only {admitted} genuine tokens passed");
}

/// Whatever the host does, unless it claims to have done what it didn't do or hands over another head, nothing that a client says of itself reaches
/// the upstream.
#[test]
fn no_fault_lets_an_identity_header_pass() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "identity": {
            "providers": {"keys": {"subscription_keys": {"subscriptions": [{"id": "contoso", "keys_sha256": [digest]}]}}},
            "caller_to_headers": [{"caller": "subscription", "header": "x-subscription"}],
        },
        "routes": [{"name": "keys", "match": {"path": {"prefix": "/keys"}}, "rules": [{"name": "who", "require": {"caller": {"provider": "keys"}}}]}],
    });
    let (mut checked, mut failed) = (0, 0);
    for per_mille in [20, 100, 300] {
        for seed in 0..100 {
            let mut options = Options::new(&policy.to_string(), seed);
            options.timeouts.idle = Duration::from_secs(2);
            let mut proxy = Proxy::start(&module, options, upstream()).unwrap();
            proxy.vm_mut().inject(Faults::new(seed, per_mille));
            let mut before = 0;
            for round in 0..20 {
                let path = ["/keys", "/open"][round % 2];
                let head = [
                    (":method", "GET"),
                    (":path", path),
                    (":authority", "a"),
                    ("ocp-apim-subscription-key", "test"),
                    ("x-subscription", "admin"),
                    ("x_subscription", "admin"),
                    ("x-forwarded-client-cert", "admin"),
                ];
                let finished = proxy.exchange(Request { message: Message::request(head.into_iter().collect()), ..Request::default() });
                assert_eq!(proxy.failure(), None, "seed {seed}, after {:?}", proxy.vm().faults().unwrap().injected().last());
                let injected = &proxy.vm().faults().unwrap().injected()[before..];
                let lied = injected.iter().any(|injected| matches!(injected.fault, Fault::Silent | Fault::Buffer(_)));
                failed += u32::from(injected.iter().any(|injected| injected.function == "proxy_remove_header_map_value"));
                if let Some(upstream) = finished.upstream.filter(|_| !lied) {
                    let told = upstream.head.iter().any(|line| line.value == b"admin" || line.value == b"test");
                    assert!(!told, "seed {seed}, round {round}: {injected:?} {:?}", upstream.head);
                    checked += 1;
                }
                before = proxy.vm().faults().unwrap().injected().len();
            }
        }
    }
    assert!(checked > 1000 && failed > 100, "only {checked} went on, {failed} with a removal that failed");
}

/// Answers callouts after 10 ms, and requests at once.
struct Service;

impl World for Service {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(Message::response(200, [("x", "1")], b""))
    }

    fn service(&mut self, _: &Callout) -> Reply {
        Reply::After(Duration::from_millis(10), Message::response(200, [("y", "1")], b"yes"))
    }

    fn grpc(&mut self, _: &Callout, _: &GrpcCall) -> Reply {
        Reply::After(Duration::from_millis(10), Message::grpc(b"yes"))
    }
}

/// A reply may be lost, late, or come twice: its exchange goes on once, or runs into the proxy's own timeout.
#[test]
fn replies_go_astray() {
    let probe = Module::compile(&fs::read(module::build_probe().unwrap()).unwrap(), Metering::Time).unwrap();
    go_astray(&probe, "http_call service :method=GET,:path=/,:authority=s ~ ~ 100000", "http_call_response", "1 3 ");
    go_astray(&probe, "grpc_call service s m ~ ask 100000", "grpc_receive", "1 3");
}

fn go_astray(probe: &Module, call: &str, callback: &str, arguments: &str) {
    let program = format!("request_headers: {call}; return 1 | {callback}: continue_stream 0");
    let logged = format!("PROBE astray {callback} {arguments}");
    let (mut astray, mut answered, mut timed_out) = (BTreeSet::new(), 0, 0);
    for seed in 0..60 {
        let mut options = Options::new("", seed);
        options.clusters.insert("service".to_owned(), Cluster::Reachable);
        let mut proxy = Proxy::start(probe, options, Service).unwrap();
        proxy.vm_mut().inject(Faults::of_replies(seed, 700));
        let head = [(":method", "GET"), (":path", "/"), (":authority", "a"), ("x-case", "astray"), ("x-program", &program)];
        let head = HeaderMap::received(Part::Request, head);
        let finished = proxy.exchange(Request { message: Message::request(head), ..Request::default() });
        proxy.run_until_idle();
        assert_eq!(proxy.failure(), None, "seed {seed}");
        let replies = proxy.vm().log().iter().filter(|line| line.message.starts_with(&logged)).count();
        let fault = proxy.vm().faults().unwrap().injected().first().map(|injected| injected.fault);
        let status = finished.response.unwrap().status();
        match fault {
            Some(Fault::ReplyLost) => assert_eq!((status, finished.details.as_str()), (504, "stream_idle_timeout"), "seed {seed}"),
            // Late, but before the proxy gives up.
            Some(Fault::ReplyLate(_)) | None => assert_eq!(status, 200, "seed {seed}"),
            Some(Fault::ReplyTwice) => assert_eq!((status, finished.upstream.is_some()), (200, true), "seed {seed}"),
            other => panic!("seed {seed}: {other:?}"),
        }
        assert!(replies <= 2, "seed {seed}: the probe took a reply {replies} times");
        if status == 200 {
            answered += 1
        } else {
            timed_out += 1
        }
        astray.insert(fault.map(|fault| std::mem::discriminant(&fault)).map(|kind| format!("{kind:?}")));
    }
    assert_eq!(astray.len(), 4, "lost, late, twice and in order");
    assert!(answered > 10 && timed_out > 5, "{answered} answered, {timed_out} timed out");
}

/// A clock that jumps either way changes no decision.
#[test]
fn a_clock_that_jumps_changes_no_decision() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let decisions = |clock: &dyn Fn(u64) -> i64| {
        let mut proxy = Proxy::start(&module, Options::new(POLICY, 1), upstream()).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let statuses: Vec<u16> = (0..200)
            .map(|index| {
                proxy.vm_mut().set_clock(clock(index));
                proxy.exchange(request(&mut random)).response.unwrap().status()
            })
            .collect();
        assert_eq!(proxy.failure(), None);
        statuses
    };
    let steady = decisions(&|index| 1_800_000_000_000_000_000 + i64::try_from(index).unwrap());
    assert_eq!(steady, decisions(&|index| if index % 2 == 0 { 0 } else { i64::MAX }));
    assert_eq!(steady, decisions(&|index| -i64::try_from(index).unwrap() * 1_000_000_000_000));
}

/// Randomness that fails for a while: valid traces pass as they came, nothing malformed does.
#[test]
fn randomness_that_fails_mints_nothing() {
    let module = Module::compile(&fs::read(module::build().unwrap()).unwrap(), Metering::Time).unwrap();
    let mut proxy = Proxy::start(&module, Options::new(&POLICY.replace("\"refuse\"", "\"admit\""), 1), upstream()).unwrap();
    proxy.vm_mut().inject(Faults::only("random_get", 5, 1000));
    for (sent, expected) in [(Some(CALLERS), Some(CALLERS)), (Some(MALFORMED), None), (None, None)] {
        let mut head: HeaderMap = [(":method", "GET"), (":path", "/a"), (":authority", "api.example")].into_iter().collect();
        sent.iter().for_each(|sent| head.add(b"traceparent", sent.as_bytes()));
        let upstream = proxy.exchange(Request { message: Message::request(head), ..Request::default() }).upstream.unwrap();
        assert_eq!(upstream.head.first(b"traceparent"), expected.map(str::as_bytes), "{sent:?}");
    }
    assert_eq!(proxy.failure(), None);
}
