// SPDX-License-Identifier: Apache-2.0
//! The component face: `wit/world.wit`, for hosts of the component model. A component is never entered while it runs, so
//! no cell below is borrowed twice.
#![expect(unsafe_code, reason = "wit-bindgen generates exports and imports, which are unsafe by nature")]

mod inputs;
mod values;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::adapter::lines;
use crate::config::{Findings, Loaded};
use crate::event::{CallFailed, Event, HostFailure, Reply};
use crate::head::Headers;
use crate::inputs::Inputs;
use crate::quota::Totals;
use crate::{CallId, ExchangeId, GatewayId, Policy, Step, Woken};
use bindings::exports::tracegate::policy::policy as wit;
use bindings::tracegate::policy::logging::{self, Level};
use bindings::tracegate::policy::{clocks, secrets};
use inputs::with_inputs;

#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ world: "edge-policy", path: "wit" });
    use super::Component;
    export!(Component with_types_in self);
}

struct Component;

impl wit::Guest for Component {
    type Compiled = Compiled;
    type Gateway = Gateway;
    type Exchange = Exchange;

    fn compile(document: String) -> Result<wit::Compiled, Vec<wit::Finding>> {
        let Loaded { policy, warnings, .. } =
            Policy::from_json(document.as_bytes()).map_err(|findings: Findings| values::findings(&findings))?;
        Ok(wit::Compiled::new(Compiled { policy, warnings }))
    }
}

struct Compiled {
    policy: Policy,
    warnings: Findings,
}

impl wit::GuestCompiled for Compiled {
    fn warnings(&self) -> Vec<wit::Finding> {
        values::findings(&self.warnings)
    }

    fn fingerprint(&self) -> String {
        self.policy.fingerprint.to_string()
    }

    fn clusters(&self) -> Vec<String> {
        self.policy.clusters().into_iter().map(str::to_owned).collect()
    }

    fn variables(&self) -> Vec<String> {
        self.policy.variables().into_iter().map(str::to_owned).collect()
    }
}

struct Gateway(Rc<RefCell<crate::Gateway>>);

impl Gateway {
    /// Runs something on the gateway, and hands the host what is to be told.
    fn with<T>(&self, run: impl FnOnce(&mut crate::Gateway, &mut Inputs<'_>) -> T) -> T {
        with(&self.0, run)
    }

    fn follow(&self, Woken { effects, wake, notes }: Woken) -> wit::Woken {
        for (about, note) in notes {
            let about = about.words(self.0.borrow().policy());
            logging::log(Level::Warning, &format!("tracegate: {about}: {note}"));
        }
        wit::Woken { calls: values::calls(effects), wake: wake.into_iter().map(|ExchangeId(id)| id).collect() }
    }
}

fn with<T>(gateway: &RefCell<crate::Gateway>, run: impl FnOnce(&mut crate::Gateway, &mut Inputs<'_>) -> T) -> T {
    let mut gateway = gateway.borrow_mut();
    let done = with_inputs(|inputs| run(&mut gateway, inputs));
    for line in gateway.drain_lines() {
        logging::log(Level::Info, &line);
    }
    done
}

impl wit::GuestGateway for Gateway {
    fn start(policy: wit::CompiledBorrow<'_>, id: u32) -> Result<wit::Gateway, String> {
        let policy = policy.get::<Compiled>().policy.clone();
        let loaded = lines::loaded(&policy);
        let mut gateway = crate::Gateway::new(GatewayId(id), policy);
        gateway.provide(&mut |variable: &str| secrets::environment(variable)).map_err(|error| error.to_string())?;
        logging::log(Level::Info, &loaded);
        let gateway = Self(Rc::new(RefCell::new(gateway)));
        gateway.with(crate::Gateway::prove);
        Ok(wit::Gateway::new(gateway))
    }

    fn open(&self, id: u32) -> wit::Exchange {
        let exchange = RefCell::new(self.0.borrow().open(ExchangeId(id)));
        wit::Exchange::new(Exchange { gateway: Rc::clone(&self.0), exchange, closed: Cell::new(false) })
    }

    fn tick(&self) -> wit::Woken {
        self.follow(self.with(crate::Gateway::tick))
    }

    fn reply(&self, call: u64, answer: Result<wit::Reply, wit::CallFailed>) -> wit::Woken {
        let call = CallId { gateway: self.0.borrow().id(), serial: call };
        let lines = answer.as_ref().map(|reply| values::lines(&reply.headers)).unwrap_or_default();
        let answer = match &answer {
            Ok(reply) => Ok(Reply { headers: Headers::new(&lines), body: &reply.body }),
            Err(wit::CallFailed::Refused) => Err(CallFailed::Refused),
            Err(wit::CallFailed::TimedOut) => Err(CallFailed::TimedOut),
            Err(wit::CallFailed::Disconnected) => Err(CallFailed::Disconnected),
            Err(wit::CallFailed::Status(status)) => Err(CallFailed::Status(*status)),
        };
        self.follow(self.with(|gateway, inputs| gateway.reply(call, answer, inputs)))
    }

    fn end(&self) -> Vec<wit::Call> {
        values::calls(self.with(crate::Gateway::end))
    }

    fn ended(&self) {
        self.0.borrow_mut().ended();
    }

    fn is_urgent(&self) -> bool {
        self.0.borrow().is_urgent(clocks::monotonic())
    }

    fn drain_counts(&self) -> Vec<wit::Count> {
        let mut gateway = self.0.borrow_mut();
        let names = gateway.counter_names();
        gateway.drain_counts().filter_map(|(index, by)| Some(wit::Count { name: names.get(index)?.clone(), by })).collect()
    }

    fn drain_changes(&self) -> Vec<wit::Change> {
        let mut gateway = self.0.borrow_mut();
        let changes = gateway.gauge_names().into_iter().zip(gateway.drain_gauges());
        changes.filter(|(_, by)| *by != 0).map(|(name, by)| wit::Change { name, by }).collect()
    }

    fn drain_samples(&self) -> Vec<wit::Sample> {
        let mut gateway = self.0.borrow_mut();
        let (samples, names) = (gateway.drain_durations(), gateway.histogram_names());
        let sample = |(index, milliseconds): (usize, u64)| Some(wit::Sample { name: names.get(index)?.clone(), milliseconds });
        samples.into_iter().filter_map(sample).collect()
    }

    fn fingerprint(&self) -> String {
        self.0.borrow().policy().fingerprint.to_string()
    }
}

struct Exchange {
    gateway: Rc<RefCell<crate::Gateway>>,
    exchange: RefCell<crate::Exchange>,
    /// Its end has been told.
    closed: Cell<bool>,
}

impl wit::GuestExchange for Exchange {
    fn step(&self, event: wit::Event) -> wit::Step {
        let lines = match &event {
            wit::Event::Request(lines)
            | wit::Event::Wake(lines)
            | wit::Event::Trailers(lines)
            | wit::Event::Response(lines)
            | wit::Event::Cancelled(lines) => values::lines(lines),
            wit::Event::HostFailed(_) | wit::Event::Closed(_) => Vec::new(),
        };
        let headers = Headers::new(&lines);
        self.closed.set(self.closed.get() || matches!(event, wit::Event::Closed(_)));
        let event = match &event {
            wit::Event::Request(_) => Event::Request(headers),
            wit::Event::Wake(_) => Event::Wake(headers),
            wit::Event::Trailers(_) => Event::Trailers(headers),
            wit::Event::Response(_) => Event::Response(headers),
            wit::Event::Cancelled(_) => Event::Cancelled(headers),
            wit::Event::HostFailed(failure) => Event::HostFailed(host_failure(*failure)),
            wit::Event::Closed(wit::Totals { request_bytes, response_bytes }) => {
                Event::Closed(Totals { request_bytes: *request_bytes, response_bytes: *response_bytes })
            }
        };
        let Step { verdict, effects, properties } =
            with(&self.gateway, |gateway, inputs| self.exchange.borrow_mut().step(gateway, event, inputs));
        wit::Step { verdict: values::verdict(verdict), calls: values::calls(effects), properties: values::properties(properties) }
    }

    fn awaits_response(&self) -> bool {
        self.exchange.borrow().awaits_response(&self.gateway.borrow())
    }

    fn reads_response(&self) -> bool {
        self.exchange.borrow().reads_response(&self.gateway.borrow())
    }

    fn awaits_cancellation(&self) -> bool {
        self.exchange.borrow().awaits_cancellation(&self.gateway.borrow())
    }

    fn awaits_close(&self) -> bool {
        self.exchange.borrow().awaits_close(&self.gateway.borrow())
    }

    fn reads_totals(&self) -> bool {
        self.exchange.borrow().reads_totals(&self.gateway.borrow())
    }
}

impl Drop for Exchange {
    /// A host that gives an exchange up has told all that it knows of it.
    fn drop(&mut self) {
        let Self { gateway, exchange, closed } = self;
        if closed.get() {
            return;
        }
        let _ = with(gateway, |gateway, inputs| exchange.get_mut().step(gateway, Event::Closed(Totals::default()), inputs));
    }
}

const fn host_failure(failure: wit::HostFailure) -> HostFailure {
    match failure {
        wit::HostFailure::HeadNotEdited => HostFailure::HeadNotEdited,
        wit::HostFailure::NotContinued => HostFailure::NotContinued,
        wit::HostFailure::TrailersUnreadable => HostFailure::TrailersUnreadable,
        wit::HostFailure::TrailersWithoutHead => HostFailure::TrailersWithoutHead,
        wit::HostFailure::TrailersNotEdited => HostFailure::TrailersNotEdited,
    }
}
