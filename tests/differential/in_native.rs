// SPDX-License-Identifier: Apache-2.0
//! Cases in the native host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracegate_harness::host::{
    Callout, Cluster, ExchangeId, Facts, FailurePolicy, HeaderMap, Message, Metering, Module, Options, Part, PluginOptions, Proxy, Release,
    Reply, Request, Timeouts, VmOptions, World,
};
use tracegate_harness::http::Field;
use tracegate_harness::module;

use super::case::Case;
use super::gateway::{self, Gateway, VM_ID};
use super::in_envoy::{RELOAD, ROOT_TIME, SERVICE_OVER_HTTP2, TIMEOUT};
use super::loopback::{Answer, Fate};
use super::observed::{Observed, Run, Seen};
use super::{ingress, service, upstream};

/// The modules of the list, compiled.
pub struct Modules {
    probe: Module,
    tracegate: Module,
}

impl Modules {
    /// Builds and compiles both.
    #[must_use]
    pub fn build() -> Self {
        let compile = |path| tracegate_harness::host::compile_file(path, Metering::Time).unwrap_or_else(|error| panic!("{error}"));
        Self { probe: compile(&module::build_probe().unwrap()), tracegate: compile(&module::build().unwrap()) }
    }

    const fn of(&self, module: gateway::Module) -> &Module {
        match module {
            gateway::Module::Probe => &self.probe,
            gateway::Module::Tracegate => &self.tracegate,
        }
    }
}

/// Runs the cases of a gateway, one after the other, in a host of their own. `address` is this machine's.
#[must_use]
pub fn run(modules: &Modules, gateway: &Gateway, cases: &[&Case], address: &str, release: Release) -> Run {
    let mut proxy =
        Proxy::start(modules.of(gateway.module), options(gateway, release), Behind::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut logged = Vec::new();
    proxy.advance(ROOT_TIME);
    logged.extend(take_log(&mut proxy));
    let callouts = std::mem::take(&mut proxy.world_mut().callouts);
    let roots = gateway.roots().map(|name| {
        let observed = Observed { log: lines(&logged, name), callouts: callouts.clone(), ..Observed::default() };
        (format!("root:{name}"), observed)
    });
    let mut run: Run = roots.collect();
    for case in cases {
        run.push((case.name.clone(), play(&mut proxy, case, address, release)));
    }
    run
}

fn play(proxy: &mut Proxy<'_, Behind>, case: &Case, address: &str, release: Release) -> Observed {
    proxy.advance(Duration::from_millis(case.after_ms));
    take_log(proxy);
    let streamed = case.chunked || !case.trailers.is_empty() || case.body.as_ref().is_some_and(|body| !body.is_empty());
    *proxy.world_mut() = Behind { upstream: upstream::answer(&case.upstream), streamed, ..Behind::default() };
    let (response, reads) = match ingress::received(&case.request(), address, release) {
        Err(response) => (Some(response), true),
        Ok(message) => {
            let gone_after = case.gone_after_ms.map(Duration::from_millis);
            let id = proxy.send(Request { message, gone_after, facts: facts() });
            proxy.run_until_idle();
            let finished = proxy.finish(id);
            (finished.response.map(|response| sent(response, &case.method)), case.gone_after_ms.is_none())
        }
    };
    let log = lines(&take_log(proxy), &case.name);
    let behind = std::mem::take(proxy.world_mut());
    Observed { log, upstream: behind.requests, callouts: behind.callouts, response: response.filter(|_| reads) }
}

/// What the tests' Envoy knows beside the messages.
fn facts() -> Arc<Facts> {
    let facts = Facts { virtual_host: "all".to_owned(), cluster: "upstream".to_owned(), ..Facts::default() };
    Arc::new(facts)
}

fn options(gateway: &Gateway, release: Release) -> Options {
    let plugins = gateway.plugins().into_iter().map(|plugin| PluginOptions {
        name: plugin.name,
        root_id: plugin.root_id,
        configuration: plugin.configuration.into_bytes(),
    });
    let reachable = ["upstream", "service", SERVICE_OVER_HTTP2, "dead"].map(|name| (name.to_owned(), Cluster::Reachable));
    let mut clusters = BTreeMap::from(reachable);
    clusters.insert("nowhere".to_owned(), Cluster::Empty);
    clusters.insert("limited".to_owned(), Cluster::Overloaded);
    clusters.insert("full".to_owned(), Cluster::Full);
    let vm = VmOptions {
        vm_id: VM_ID.to_owned(),
        configuration: gateway.vm_configuration.clone().into_bytes(),
        release,
        ..VmOptions::default()
    };
    Options {
        vm,
        plugins: plugins.collect(),
        failure_policy: match gateway.failure_policy {
            gateway::FailurePolicy::FailReload => FailurePolicy::Reload,
            gateway::FailurePolicy::FailClosed => FailurePolicy::Closed,
            gateway::FailurePolicy::FailOpen => FailurePolicy::Open,
        },
        clusters,
        // Any time but the first of all, which reads as none.
        clock: 1_800_000_000_000_000_000,
        timeouts: Timeouts { response: TIMEOUT, idle: TIMEOUT, reload: RELOAD },
    }
}

/// What lies behind the host: the case's upstream, and the service.
#[derive(Default)]
struct Behind {
    upstream: Answer,
    /// The client's request has a body.
    streamed: bool,
    requests: Vec<Seen>,
    callouts: Vec<Seen>,
}

impl World for Behind {
    fn upstream(&mut self, _: ExchangeId, request: &Message) -> Reply {
        let seen = asked(request, self.streamed || request.trailers.is_some());
        let method = seen.start.split(' ').next().unwrap_or_default().to_owned();
        self.requests.push(seen);
        reply(self.upstream.clone(), &method)
    }

    fn service(&mut self, callout: &Callout) -> Reply {
        // Envoy sends no trailers of a callout over HTTP/1.
        let mut request = Message { trailers: None, ..callout.request.clone() };
        if callout.cluster == SERVICE_OVER_HTTP2 {
            translate(&mut request.head);
        }
        let seen = asked(&request, !request.body.is_empty());
        let (method, path) = seen.start.split_once(' ').unwrap_or_default();
        match callout.cluster.as_str() {
            "upstream" => {
                let answer = reply(self.upstream.clone(), method);
                self.requests.push(seen);
                answer
            }
            "dead" => Reply::Refused,
            _ => {
                let answer = reply(service::answer(path), method);
                self.callouts.push(seen);
                answer
            }
        }
    }
}

/// Does to a head what the listener between this host and the service does.
fn translate(head: &mut HeaderMap) {
    head.remove(b"x-envoy-internal");
    head.remove(b"x-envoy-expected-rq-timeout-ms");
    head.add(b"x-forwarded-proto", b"http");
}

fn reply(answer: Answer, method: &str) -> Reply {
    match answer.fate {
        Fate::Never => Reply::Never,
        Fate::Closed => Reply::Reset(answer.delay),
        Fate::Cut => Reply::Broken(answer.delay),
        Fate::Sent => {
            let body = if method == "HEAD" { Vec::new() } else { answer.body };
            let mut message = Message::response(answer.status, answer.fields, &body);
            message.trailers = (!answer.trailers.is_empty()).then(|| HeaderMap::received(Part::ResponseTrailers, answer.trailers));
            Reply::After(answer.delay, message)
        }
    }
}

/// A request as it goes over the wire. `streamed` says that something may have followed its head.
fn asked(message: &Message, streamed: bool) -> Seen {
    let text = |name: &[u8]| String::from_utf8_lossy(message.head.first(name).unwrap_or_default()).into_owned();
    let mut fields: Vec<Field> = Vec::new();
    for line in message.head.iter() {
        match line.name.as_slice() {
            b":authority" => fields.push((b"host".to_vec(), line.value.clone())),
            name if name.starts_with(b":") => {}
            name => fields.push((name.to_vec(), line.value.trim_ascii().to_vec())),
        }
    }
    if message.head.first(b"content-length").is_none() {
        if streamed {
            fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
        } else if !BODILESS.contains(&text(b":method").as_str()) {
            fields.push((b"content-length".to_vec(), b"0".to_vec()));
        }
    }
    Seen { start: format!("{} {}", text(b":method"), text(b":path")), fields, body: message.body.clone(), trailers: trailers(message) }
}

/// Methods whose requests Envoy sends without a length where they have no body.
const BODILESS: &[&str] = &["GET", "HEAD", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

/// A response as it goes over the wire.
fn sent(message: Message, method: &str) -> Seen {
    let status = message.status();
    // Trailers go behind chunks only.
    let trailers = if message.head.first(b"content-length").is_some() { Vec::new() } else { trailers(&message) };
    let mut fields: Vec<Field> = Vec::new();
    for line in message.head.iter() {
        match line.name.as_slice() {
            name if name.starts_with(b":") => {}
            b"transfer-encoding" | b"connection" | b"keep-alive" => {}
            name => fields.push((name.to_vec(), line.value.trim_ascii().to_vec())),
        }
    }
    let bare = matches!(status, 100..=199 | 204 | 304);
    if message.head.first(b"content-length").is_none() && !bare {
        if message.body.is_empty() && trailers.is_empty() {
            let framing: [&[u8]; 2] = if method == "HEAD" { [b"transfer-encoding", b"chunked"] } else { [b"content-length", b"0"] };
            fields.push(framing.map(<[u8]>::to_vec).into());
        } else {
            fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
        }
    }
    fields.retain(|(name, _)| !super::observed::LEFT_OUT.iter().any(|left_out| name == left_out.as_bytes()));
    Seen { start: status.to_string(), fields, body: message.body, trailers }
}

fn trailers(message: &Message) -> Vec<Field> {
    message.trailers.iter().flat_map(HeaderMap::iter).map(|line| (line.name.clone(), line.value.clone())).collect()
}

fn take_log(proxy: &mut Proxy<'_, Behind>) -> Vec<String> {
    proxy.vm_mut().take_log().into_iter().map(|line| line.message).collect()
}

fn lines(log: &[String], case: &str) -> Vec<String> {
    let mark = format!("PROBE {case} ");
    log.iter().filter_map(|line| line.strip_prefix(&mark)).map(str::to_owned).collect()
}
