// SPDX-License-Identifier: Apache-2.0
//! The browser face: policies are compiled and requests decided on a page, or in any other place that runs JavaScript. Whatever goes in or comes out is
//! a plain value, for which wasm-bindgen writes TypeScript's types.
#![expect(unreachable_pub, reason = "wasm-bindgen exports what is public")]

mod host;
mod plain;
mod values;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::{JsError, JsValue, wasm_bindgen};

use crate::adapter;
use crate::config::{Findings, Loaded};
use crate::event::{CallFailed, Reply};
use crate::head::{Header, Headers};
use crate::quota::Totals;
use crate::{CallId, ExchangeId, GatewayId, Inputs, Policy, Step, Woken};
use host::Host;
use values::{Answer, Awaits, ByteString, Compiled, Drained, Event, Failed, Told};

#[wasm_bindgen]
extern "C" {
    /// A policy in JSON.
    #[wasm_bindgen(typescript_type = "string")]
    pub type GivenPolicy;
    /// What a host lends, see `Host` in `host.d.ts`.
    #[wasm_bindgen(typescript_type = "Host | undefined")]
    pub type GivenHost;
    /// An [`Event`].
    #[wasm_bindgen(typescript_type = "Event")]
    pub type GivenEvent;
    /// An [`Answer`].
    #[wasm_bindgen(typescript_type = "Answer")]
    pub type GivenAnswer;
    /// A [`Compiled`].
    #[wasm_bindgen(typescript_type = "Compiled")]
    pub type TakenCompiled;
    /// A [`values::Step`].
    #[wasm_bindgen(typescript_type = "Step")]
    pub type TakenStep;
    /// A [`values::Woken`].
    #[wasm_bindgen(typescript_type = "Woken")]
    pub type TakenWoken;
    /// Several of [`values::Call`].
    #[wasm_bindgen(typescript_type = "Call[]")]
    pub type TakenCalls;
    /// A [`Drained`].
    #[wasm_bindgen(typescript_type = "Drained")]
    pub type TakenDrained;
    /// An [`Awaits`].
    #[wasm_bindgen(typescript_type = "Awaits")]
    pub type TakenAwaits;
}

/// Compiles a policy in JSON, and runs nothing.
///
/// # Errors
///
/// Where `document` is no text: what is wrong with a policy are findings.
#[wasm_bindgen]
pub fn compile(document: GivenPolicy) -> Result<TakenCompiled, JsError> {
    out(&match Policy::from_json(text(&document)?.as_bytes()) {
        Ok(Loaded { policy, warnings, .. }) => Compiled::of(&warnings, Some(&policy)),
        Err(findings) => Compiled::of(&findings, None),
    })
}

/// The version of the core.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    crate::VERSION.to_owned()
}

/// One configuration at work.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Gateway(Rc<Running>);

#[derive(Debug)]
struct Running {
    gateway: RefCell<crate::Gateway>,
    host: Host,
    /// Exchanges that were freed while the gateway was at work. It hears of their end before anything else.
    unheard: RefCell<Vec<Rc<RefCell<crate::Exchange>>>>,
}

impl Running {
    /// Runs something on the gateway, and hands the host what is to be told. A host that calls back within a call gets an error.
    fn with<T>(&self, run: impl FnOnce(&mut crate::Gateway, &mut Inputs<'_>) -> T) -> Result<T, JsError> {
        let mut gateway = self.gateway.try_borrow_mut().map_err(|_| JsError::new(CALLED_BACK))?;
        let done = self.host.with_inputs(|inputs| {
            for exchange in self.unheard.take() {
                // Nobody else has it any more, and an exchange's end asks for nothing.
                if let Ok(mut exchange) = exchange.try_borrow_mut() {
                    let _ = exchange.step(&mut gateway, FREED, inputs);
                }
            }
            run(&mut gateway, inputs)
        });
        let lines = gateway.drain_lines();
        drop(gateway);
        lines.iter().for_each(|line| self.host.log("info", line));
        Ok(done)
    }

    /// What the gateway says.
    fn asks<T>(&self, ask: impl FnOnce(&crate::Gateway) -> T) -> Result<T, JsError> {
        self.gateway.try_borrow().map(|gateway| ask(&gateway)).map_err(|_| JsError::new(CALLED_BACK))
    }

    fn follow(&self, Woken { effects, wake, notes }: Woken) -> Result<TakenWoken, JsError> {
        for (about, note) in notes {
            let about = self.asks(|gateway| about.words(gateway.policy()))?;
            self.host.log("warning", &format!("tracegate: {about}: {note}"));
        }
        out(&values::Woken { calls: values::calls(effects), wake: wake.into_iter().map(|ExchangeId(id)| id).collect() })
    }
}

#[wasm_bindgen]
impl Gateway {
    /// Runs a policy in JSON. `id` is unique among the gateways that share a host; what the host doesn't lend, the browser does.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the policy, one finding a line, or the secret that is missing.
    #[wasm_bindgen(constructor)]
    pub fn new(document: GivenPolicy, id: u32, host: GivenHost) -> Result<Self, JsError> {
        let loaded = Policy::from_json(text(&document)?.as_bytes()).map_err(|findings: Findings| JsError::new(&findings.to_string()))?;
        let (policy, host) = (loaded.policy, Host::new(host.into()));
        let message = adapter::lines::loaded(&policy);
        let mut gateway = crate::Gateway::new(GatewayId(id), policy);
        gateway.provide(&mut |variable: &str| host.environment(variable)).map_err(|error| JsError::new(&error.to_string()))?;
        host.log("info", &message);
        let running = Running { gateway: RefCell::new(gateway), host, unheard: RefCell::default() };
        running.with(crate::Gateway::prove)?;
        Ok(Self(Rc::new(running)))
    }

    /// The policy's fingerprint: 16 hexadecimal digits.
    ///
    /// # Errors
    ///
    /// Where the host calls back within a call; as of all that follow.
    pub fn fingerprint(&self) -> Result<String, JsError> {
        self.0.asks(|gateway| gateway.policy().fingerprint.to_string())
    }

    /// Opens an exchange. `id` is unique among the gateway's.
    ///
    /// # Errors
    ///
    /// As `fingerprint`.
    pub fn open(&self, id: u32) -> Result<Exchange, JsError> {
        let exchange = self.0.asks(|gateway| gateway.open(ExchangeId(id)))?;
        Ok(Exchange { running: Rc::clone(&self.0), exchange: Rc::new(RefCell::new(exchange)), closed: Cell::new(false) })
    }

    /// The host's clock has ticked. To be called every second, and soon where `isUrgent` says so.
    ///
    /// # Errors
    ///
    /// As `fingerprint`.
    pub fn tick(&self) -> Result<TakenWoken, JsError> {
        self.0.follow(self.0.with(crate::Gateway::tick)?)
    }

    /// A call has an answer, or failed. An answer that nothing waits for changes nothing.
    ///
    /// # Errors
    ///
    /// Also where `answer` is none.
    pub fn reply(&self, call: f64, answer: GivenAnswer) -> Result<TakenWoken, JsError> {
        let answer: Answer = taken(&answer, "an Answer")?;
        let call = CallId { gateway: self.0.asks(crate::Gateway::id)?, serial: values::serial(call) };
        let kept = match &answer {
            Answer::Reply { headers, .. } => lines(headers),
            Answer::Failed(_) => Vec::new(),
        };
        let answer = match &answer {
            Answer::Reply { body, .. } => Ok(Reply { headers: Headers::new(&kept), body: &body.0 }),
            Answer::Failed(Failed::Refused) => Err(CallFailed::Refused),
            Answer::Failed(Failed::TimedOut) => Err(CallFailed::TimedOut),
            Answer::Failed(Failed::Disconnected) => Err(CallFailed::Disconnected),
            Answer::Failed(Failed::Status(status)) => Err(CallFailed::Status(*status)),
        };
        self.0.follow(self.0.with(|gateway, inputs| gateway.reply(call, answer, inputs))?)
    }

    /// The gateway ends: what to ask for before it does. No answer is heard any more.
    ///
    /// # Errors
    ///
    /// As `fingerprint`.
    pub fn end(&self) -> Result<TakenCalls, JsError> {
        let effects = self.0.with(crate::Gateway::end)?;
        self.0.with(|gateway, _| gateway.ended())?;
        out(&values::calls(effects))
    }

    /// Whether the next tick should come within some 10 ms.
    ///
    /// # Errors
    ///
    /// As `fingerprint`.
    #[wasm_bindgen(js_name = isUrgent)]
    pub fn is_urgent(&self) -> Result<bool, JsError> {
        let monotonic = self.0.host.monotonic();
        self.0.asks(|gateway| gateway.is_urgent(monotonic))
    }

    /// What has been counted and measured since the last time.
    ///
    /// # Errors
    ///
    /// As `fingerprint`.
    pub fn drain(&self) -> Result<TakenDrained, JsError> {
        out(&self.0.with(|gateway, _| Drained::of(gateway))?)
    }
}

/// One request on its way through the edge. One that is freed before it is closed ends there.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Exchange {
    running: Rc<Running>,
    exchange: Rc<RefCell<crate::Exchange>>,
    /// Its end has been told.
    closed: Cell<bool>,
}

#[wasm_bindgen]
impl Exchange {
    /// Takes what happened and says what to do.
    ///
    /// # Errors
    ///
    /// Where `event` is none, or the host calls back within a call.
    pub fn step(&self, event: GivenEvent) -> Result<TakenStep, JsError> {
        let event: Event = taken(&event, "an Event")?;
        let kept = event.lines().map(|headers| lines(headers)).unwrap_or_default();
        let closes = matches!(event, Event::Closed { .. });
        let mut exchange = self.exchange.try_borrow_mut().map_err(|_| JsError::new(CALLED_BACK))?;
        let step = self.running.with(|gateway, inputs| exchange.step(gateway, event.told(Told(Headers::new(&kept))), inputs))?;
        // Only now: an end that the gateway couldn't be told is told when the exchange is freed.
        self.closed.set(self.closed.get() || closes);
        let Step { verdict, effects, properties } = step;
        out(&values::Step { verdict: verdict.into(), calls: values::calls(effects), properties: values::properties(properties) })
    }

    /// What is waited for.
    ///
    /// # Errors
    ///
    /// Where the host calls back within a call.
    pub fn awaits(&self) -> Result<TakenAwaits, JsError> {
        let exchange = self.exchange.try_borrow().map_err(|_| JsError::new(CALLED_BACK))?;
        let awaits = self.running.asks(|gateway| Awaits {
            response: exchange.awaits_response(gateway),
            status: exchange.reads_response(gateway),
            cancellation: exchange.awaits_cancellation(gateway),
            close: exchange.awaits_close(gateway),
            totals: exchange.reads_totals(gateway),
        })?;
        out(&awaits)
    }
}

impl Drop for Exchange {
    /// A host that gives an exchange up has told all that it knows of it.
    fn drop(&mut self) {
        let Self { running, exchange, closed } = self;
        if !closed.get() {
            running.unheard.borrow_mut().push(Rc::clone(exchange));
            // Where the gateway is at work it hears of it later.
            let _ = running.with(|_, _| ());
        }
    }
}

/// What an exchange is told that is freed before its end.
const FREED: crate::Event<'static> = crate::Event::Closed(Totals { request_bytes: 0, response_bytes: 0 });

fn lines(lines: &[(ByteString, ByteString)]) -> Vec<Header<'_>> {
    lines.iter().map(|(name, value)| Header { name: &name.0, value: &value.0 }).collect()
}

/// A policy of the page's.
fn text(document: &JsValue) -> Result<String, JsError> {
    plain::text(document).ok_or_else(|| JsError::new("expected a policy as a text in JSON, found something else"))
}

/// A value of the page's.
fn taken<T: DeserializeOwned>(value: &JsValue, expected: &str) -> Result<T, JsError> {
    let wrong = |what: String| JsError::new(&format!("expected {expected}: {what}"));
    serde_wasm_bindgen::from_value(plain::copied(value).map_err(wrong)?).map_err(|error| wrong(error.to_string()))
}

/// A plain value for the page.
fn out<T: From<JsValue>>(value: &impl Serialize) -> Result<T, JsError> {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(false);
    Ok(value.serialize(&serializer).map_err(|error| JsError::new(&error.to_string()))?.into())
}

const CALLED_BACK: &str = "the host called back within a call";
