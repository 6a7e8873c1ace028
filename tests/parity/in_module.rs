// SPDX-License-Identifier: Apache-2.0
//! The module in the native host.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracegate::Policy;
use tracegate_harness::host::{
    Callout, Cluster, ExchangeId, Finished, Message, Metering, Module, Options, Proxy, Reply, Request, World, compile_file,
};
use tracegate_harness::recording::Recorded;
use tracegate_harness::{keys, module, replay};

use super::host::{Host, SEED};
use super::native::Counts;
use super::outcome::{self, Outcome};

/// The module in a proxy.
pub(crate) struct InModule {
    proxy: Proxy<'static, Backend>,
    host: Host,
    counters: Vec<String>,
}

/// What lies behind the proxy.
#[derive(Debug)]
struct Backend {
    response: Message,
    exported: Vec<Vec<u8>>,
    host: Host,
}

impl World for Backend {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        Reply::now(self.response.clone())
    }

    fn service(&mut self, callout: &Callout) -> Reply {
        self.exported.push(callout.request.body.clone());
        if self.host == Host::Silent { Reply::Never } else { Reply::now(Message::response::<&str, &str>(200, [], b"")) }
    }
}

impl InModule {
    pub(crate) fn start(policy: &str, host: Host) -> Self {
        static MODULE: OnceLock<Module> = OnceLock::new();
        let module = MODULE.get_or_init(|| {
            compile_file(&module::build().expect("the module builds"), Metering::Time).unwrap_or_else(|error| panic!("{error}"))
        });
        let mut options = Options::new(policy, SEED);
        let read = Policy::from_json(policy.as_bytes()).expect("it is one").policy;
        options.vm.environment = keys::environment(&read, SEED);
        options.clusters = read.clusters().into_iter().map(|name| (name.to_owned(), Cluster::Reachable)).collect();
        let gateway = tracegate::Gateway::new(tracegate::GatewayId(0), read);
        let backend = Backend { response: Message::default(), exported: Vec::new(), host };
        let mut proxy = Proxy::start(module, options, backend).unwrap_or_else(|error| panic!("{error}"));
        if let Some(faults) = host.faults() {
            proxy.vm_mut().inject(faults);
        }
        Self { proxy, host, counters: gateway.counter_names() }
    }

    /// A request as it was recorded, and its response.
    pub(crate) fn exchange(&mut self, recorded: &Recorded) -> Outcome {
        self.proxy.vm_mut().set_clock(replay::clock(recorded));
        let mut head = recorded.response.headers.clone();
        head.add(b":status", recorded.response.status.to_string().as_bytes());
        self.proxy.world_mut().response = Message { head, ..Message::default() };
        let request = Message::request(replay::head(&recorded.request));
        let request = Request { message: request, facts: Arc::new(replay::facts(recorded)), ..Request::default() };
        let Finished { upstream, response, details, properties } = self.proxy.exchange(request);
        self.proxy.tick();
        self.proxy.advance(Duration::from_micros(1));
        assert_eq!(self.proxy.failure(), None);
        let response = response.expect("every client is answered");
        let (status, refused) = (response.status(), upstream.is_none());
        // Of a refusal its host writes other lines too.
        let lines = outcome::lines(&response.head);
        let own = |(name, _): &(Vec<u8>, Vec<u8>)| !refused || !HOSTS_OWN.contains(&name.as_slice());
        Outcome {
            upstream: upstream.map(|message| outcome::lines(&message.head)),
            status,
            response: lines.into_iter().filter(own).collect(),
            body: if refused { response.body } else { Vec::new() },
            reason: if refused { details } else { String::new() },
            properties,
            exported: std::mem::take(&mut self.proxy.world_mut().exported),
        }
    }

    /// Ends the plugin: what it sends then, and what it has counted.
    pub(crate) fn end(mut self) -> (Vec<Vec<u8>>, Counts) {
        self.proxy.shut_down();
        assert_eq!(self.proxy.failure(), None, "{:?}", self.host);
        let metrics = self.proxy.vm().metrics();
        let counts = metrics.into_iter().filter(|(name, count)| *count > 0 && self.counters.contains(name)).collect();
        (std::mem::take(&mut self.proxy.world_mut().exported), counts)
    }
}

/// Header lines that a host writes of itself into an answer of a plugin's.
const HOSTS_OWN: [&[u8]; 2] = [b":status", b"content-length"];
