// SPDX-License-Identifier: Apache-2.0
//! Cases in real Envoy.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracegate_harness::echo::Echo;
use tracegate_harness::envoy::{Envoy, Options, Plugin};
use tracegate_harness::http::Connection;
use tracegate_harness::{module, workspace};
use tracegate_tests::echoed;

use super::case::Case;
use super::gateway::{Gateway, Module, VM_ID};
use super::loopback::Loopback;
use super::observed::{Observed, Run, Seen};
use super::service;
use super::upstream::Upstream;

/// How long root programs are watched.
pub const ROOT_TIME: Duration = Duration::from_millis(300);
/// How long a case is watched at most once its client is done.
const LONGEST: Duration = Duration::from_secs(3);
/// How long nothing more is logged when a stream has ended.
const QUIET: Duration = Duration::from_millis(20);
/// How long nothing more is logged when a stream doesn't end, because its module is dead or puts it off.
const STILL: Duration = Duration::from_millis(700);
const POLL: Duration = Duration::from_millis(2);

/// The address of this machine that Envoy writes for a client on loopback.
#[must_use]
pub fn address(binary: &Path) -> String {
    let echo = Echo::start().unwrap();
    let upstream = Some((echo.address().ip().to_string(), echo.address().port()));
    let binary = binary.to_owned();
    let options = Options { upstream, ..Options::new(binary, Plugin::None) };
    let envoy = Envoy::start(&options).unwrap_or_else(|error| panic!("{error}"));
    let response = Connection::open(envoy.listener()).unwrap().ask("GET", "/").unwrap();
    echoed(&response, "x-forwarded-for").concat()
}

/// Runs the cases of a gateway, one after the other, in an Envoy of their own.
#[must_use]
pub fn run(binary: &Path, gateway: &Gateway, cases: &[&Case]) -> Run {
    let mut running = Running::start(binary, gateway);
    thread::sleep(ROOT_TIME);
    let callouts = running.service.take_seen();
    let roots = gateway.roots().map(|name| {
        // The main thread has instances of its own, and they make the root programs' calls too.
        let mut callouts = callouts.clone();
        callouts.dedup();
        let observed = Observed { log: running.log(name), callouts, ..Observed::default() };
        (format!("root:{name}"), observed)
    });
    let mut run: Run = roots.collect();
    for case in cases {
        run.push((case.name.clone(), running.play(gateway, case)));
        if running.envoy.has_ended() {
            let observed = Observed { log: vec![format!("Envoy has ended:\n{}", running.last_words())], ..Observed::default() };
            run.pop();
            run.push((case.name.clone(), observed));
            running = Running::start(binary, gateway);
        }
    }
    run
}

struct Running {
    envoy: Envoy,
    upstream: Upstream,
    service: Loopback,
    /// Where the current case's part of the log begins.
    log_begins: u64,
}

impl Running {
    fn start(binary: &Path, gateway: &Gateway) -> Self {
        let (upstream, service) = (Upstream::start().unwrap(), service::start().unwrap());
        let bootstrap = bootstrap(gateway, upstream.server.address(), service.address());
        let envoy = Envoy::run(binary, &bootstrap, 1, None).unwrap_or_else(|error| panic!("{error}"));
        Self { envoy, upstream, service, log_begins: 0 }
    }

    /// The end of Envoy's log.
    fn last_words(&self) -> String {
        let log = self.envoy.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    fn play(&mut self, gateway: &Gateway, case: &Case) -> Observed {
        thread::sleep(Duration::from_millis(case.after_ms));
        self.upstream.play(&case.upstream);
        self.log_begins = self.envoy.log_length();
        let mut connection = Connection::open(self.envoy.listener()).unwrap();
        // Envoy may answer and close before it has read all.
        let _ = connection.send(&case.bytes());
        let response = match case.gone_after_ms {
            None => connection.read_response_to(&case.method).ok(),
            Some(time) => {
                thread::sleep(Duration::from_millis(time));
                None
            }
        };
        drop(connection);
        if gateway.module == Module::Probe {
            self.settle(&case.name);
        }
        Observed {
            log: self.log(&case.name),
            upstream: self.upstream.server.take_seen(),
            callouts: self.service.take_seen(),
            response: response.as_ref().map(Seen::response),
        }
    }

    /// Waits until the case's stream has been deleted and its callouts have been answered.
    fn settle(&self, case: &str) {
        let start = Instant::now();
        let (mut lines, mut changed) = (0, start);
        while start.elapsed() < LONGEST {
            let log = self.log(case);
            if log.len() != lines {
                (lines, changed) = (log.len(), Instant::now());
            }
            let is_deleted = log.iter().any(|line| line == "delete");
            let quiet = if is_deleted { QUIET } else { STILL };
            if pending(&log) == 0 && changed.elapsed() >= quiet {
                return;
            }
            thread::sleep(POLL);
        }
    }

    /// What the worker logged for a case; the main thread has instances of its own.
    fn log(&self, case: &str) -> Vec<String> {
        let main = format!("[{}]", self.envoy.process_id());
        let mark = format!("PROBE {case} ");
        let log = self.envoy.log_since(self.log_begins);
        let of_worker = |line: &&str| line.split_once(']').is_some_and(|(_, rest)| !rest.starts_with(&main));
        log.lines().filter(of_worker).filter_map(|line| Some(line.split_once(&mark)?.1.to_owned())).collect()
    }
}

/// How many callouts of a case have not been answered.
fn pending(log: &[String]) -> usize {
    let made = log.iter().filter(|line| line.contains(" http_call 0 call") || line.contains(" grpc_call 0 call")).count();
    // An op's line has the op's name where a callback's has a number. A call that was refused has the number 0.
    let is_answer = |line: &&String| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_end = |line: &[&str]| {
            let [kind, call, argument, ..] = line else { return false };
            ["http_call_response", "grpc_receive", "grpc_close"].contains(kind) && *call != "0" && argument.parse::<u64>().is_ok()
        };
        let is_cancelled = matches!(words.as_slice(), [_, _, "grpc_cancel" | "grpc_close", "0"]);
        is_end(&words) || is_cancelled
    };
    made.saturating_sub(log.iter().filter(is_answer).count())
}

/// `envoy-config/envoy.yaml` with the gateway's plugins and clusters, and nothing in its messages that changes by itself.
fn bootstrap(gateway: &Gateway, upstream: SocketAddr, service: SocketAddr) -> Value {
    let shipped = std::fs::read_to_string(workspace::root().join("envoy-config/envoy.yaml")).unwrap();
    let mut bootstrap: Value = serde_saphyr::from_str(&shipped).unwrap();
    bootstrap["admin"]["address"]["socket_address"]["port_value"] = json!(0);
    let listener = &mut bootstrap["static_resources"]["listeners"][0];
    listener["address"]["socket_address"]["port_value"] = json!(0);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["generate_request_id"] = json!(false);
    manager["server_header_transformation"] = json!("PASS_THROUGH");
    manager["common_http_protocol_options"] = json!({"max_headers_count": MAX_HEADERS});
    manager["max_request_headers_kb"] = json!(8192);
    manager["http_protocol_options"] = json!({"enable_trailers": true});
    manager["stream_idle_timeout"] = json!(format!("{}s", TIMEOUT.as_secs()));
    let route = &mut manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"];
    route["timeout"] = json!(format!("{}s", TIMEOUT.as_secs()));
    let router = manager["http_filters"][1].clone();
    let mut filters = plugins(gateway, &manager["http_filters"][0]);
    filters.push(router);
    filters.last_mut().unwrap()["typed_config"]["suppress_envoy_headers"] = json!(true);
    manager["http_filters"] = Value::Array(filters);
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let limited = |name: &str, threshold: Value| {
        let mut cluster = cluster(name, Some(service));
        cluster["circuit_breakers"] = json!({"thresholds": [threshold]});
        cluster
    };
    bootstrap["static_resources"]["clusters"] = json!([
        cluster("upstream", Some(upstream)),
        cluster("service", Some(service)),
        // Nobody listens on port 1.
        cluster("dead", Some(nobody)),
        cluster("nowhere", None),
        limited("limited", json!({"max_requests": 0})),
        limited("full", json!({"max_requests": 0, "max_pending_requests": 0})),
        over_http2(SERVICE_OVER_HTTP2),
    ]);
    bootstrap["static_resources"]["listeners"].as_array_mut().unwrap().push(http2_listener());
    bootstrap["bootstrap_extensions"] = json!([{
        "name": "envoy.bootstrap.internal_listener",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"},
    }]);
    bootstrap
}

/// The service over HTTP/2, which it doesn't speak itself: the same Envoy translates, trailers included.
fn over_http2(name: &str) -> Value {
    let mut cluster = cluster(name, None);
    let endpoint =
        json!({"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": HTTP2_LISTENER, "endpoint_id": "1"}}}});
    cluster["load_assignment"]["endpoints"] = json!([{"lb_endpoints": [endpoint]}]);
    let options = &mut cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    options["explicit_http_config"] = json!({"http2_protocol_options": {}});
    cluster
}

/// A listener within Envoy that takes HTTP/2 and asks the service, over HTTP/1.1.
fn http2_listener() -> Value {
    let router = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router", "suppress_envoy_headers": true});
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "service", "timeout": "0s"}});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": HTTP2_LISTENER,
        "codec_type": "HTTP2",
        "generate_request_id": false,
        "skip_xff_append": true,
        "server_header_transformation": "PASS_THROUGH",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    });
    let filter = json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    json!({"name": HTTP2_LISTENER, "internal_listener": {}, "filter_chains": [{"filters": [filter]}]})
}

fn plugins(gateway: &Gateway, shipped: &Value) -> Vec<Value> {
    let module = match gateway.module {
        Module::Probe => module::build_probe(),
        Module::Tracegate => module::build(),
    };
    let module = module.unwrap_or_else(|error| panic!("{error}"));
    let text = |text: &str| json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text});
    let filter = |plugin: super::gateway::Plugin| {
        let mut filter = shipped.clone();
        filter["name"] = json!(plugin.name);
        let config = &mut filter["typed_config"]["config"];
        if gateway.module == Module::Probe {
            // The probe tries what ours never does.
            config.as_object_mut().unwrap().remove("capability_restriction_config");
        }
        config["name"] = json!(plugin.name);
        config["root_id"] = json!(plugin.root_id);
        config["configuration"] = text(&plugin.configuration);
        config["failure_policy"] = json!(gateway.failure_policy.name());
        config["reload_config"] = json!({"backoff": {"base_interval": format!("{}s", RELOAD.as_secs())}});
        config["vm_config"]["vm_id"] = json!(VM_ID);
        config["vm_config"]["code"]["local"]["filename"] = json!(module);
        config["vm_config"]["configuration"] = text(&gateway.vm_configuration);
        filter
    };
    gateway.plugins().into_iter().map(filter).collect()
}

fn cluster(name: &str, address: Option<SocketAddr>) -> Value {
    let endpoint = |address: SocketAddr| {
        let address = json!({"address": address.ip().to_string(), "port_value": address.port()});
        json!({"endpoint": {"address": {"socket_address": address}}})
    };
    let endpoints: Vec<Value> = address.map(endpoint).into_iter().collect();
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"max_headers_count": MAX_HEADERS, "max_response_headers_kb": 8192},
            "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
        }},
    })
}

/// The cluster that is the service over HTTP/2.
pub const SERVICE_OVER_HTTP2: &str = "service-http2";
/// The listener in between.
const HTTP2_LISTENER: &str = "http2";
/// Header lines that the gateways take.
pub const MAX_HEADERS: u32 = 3000;
/// How long gateways wait for an upstream, and for anything to happen in a stream.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// How long after a module was loaded it is loaded anew at the earliest; Envoy takes up to half as much more.
pub const RELOAD: Duration = Duration::from_secs(2);
