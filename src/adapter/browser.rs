// SPDX-License-Identifier: Apache-2.0
//! The browser face: policies are checked and requests decided on a page, with the browser's clock and randomness.
//!
//! wasm-bindgen gives every type here a TypeScript declaration.

use wasm_bindgen::prelude::{JsError, wasm_bindgen};

use crate::config::Findings;
use crate::head::{Header, Headers};
use crate::inputs::EntropyUnavailable;
use crate::{
    CallFailed, Effect, Event, ExchangeId, Gateway, GatewayId, HeaderEdit, Inputs, NoSignatures, NoStore, Policy, Step, UnknownPeer,
    Verdict,
};

/// A policy at work on a page.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Edge {
    gateway: Gateway,
    next: u32,
}

/// A header line: a name, and a value as bytes. In a decision, a line without a value is one to remove.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct HeaderLine {
    name: String,
    value: Option<Vec<u8>>,
}

/// What was decided about a request.
#[wasm_bindgen]
#[derive(Debug)]
pub struct PageDecision(Verdict);

#[wasm_bindgen]
impl Edge {
    /// Loads a policy in JSON; throws everything that is wrong with it, one finding a line.
    ///
    /// # Errors
    ///
    /// An `Error` with the findings as its message.
    #[wasm_bindgen(constructor)]
    pub fn new(policy: &str) -> Result<Self, JsError> {
        let loaded = Policy::from_json(policy.as_bytes()).map_err(|findings: Findings| JsError::new(&findings.to_string()))?;
        Ok(Self { gateway: Gateway::new(GatewayId(0), loaded.policy), next: 0 })
    }

    /// The policy's fingerprint: 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.gateway.policy().fingerprint.to_string()
    }

    /// Decides a request by its header lines, pseudo-headers included. `now` is `Date.now()`, in milliseconds.
    pub fn request(&mut self, lines: Vec<HeaderLine>, now: f64) -> PageDecision {
        let lines: Vec<Header<'_>> =
            lines.iter().map(|line| Header { name: line.name.as_bytes(), value: line.value.as_deref().unwrap_or_default() }).collect();
        let now = std::time::Duration::try_from_secs_f64(now / 1000.0).unwrap_or_default().as_nanos();
        let (wall, monotonic) = (i64::try_from(now).unwrap_or(i64::MAX), u64::try_from(now).unwrap_or(u64::MAX));
        let mut entropy = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| EntropyUnavailable);
        let (peer, store, signatures) = (&mut UnknownPeer, &mut NoStore, &mut NoSignatures);
        let mut inputs = Inputs { now: wall, monotonic, entropy: &mut entropy, peer, store, signatures };
        // A page fetches no keys: a policy whose issuer publishes them decides as it does while the issuer is down.
        for effect in self.gateway.tick(&mut inputs).effects {
            self.refuse(&effect, &mut inputs);
        }
        let mut exchange = self.gateway.open(ExchangeId(self.next));
        self.next = self.next.wrapping_add(1);
        let headers = Headers::new(&lines);
        let Step { mut verdict, effects, .. } = exchange.step(&mut self.gateway, Event::Request(headers), &mut inputs);
        for effect in effects {
            self.refuse(&effect, &mut inputs);
        }
        if verdict == Verdict::Wait {
            // Nothing ever comes: as long as anybody waits.
            inputs.monotonic = u64::MAX;
            verdict = exchange.step(&mut self.gateway, Event::Wake(headers), &mut inputs).verdict;
        }
        // A page keeps no records and measures nothing.
        drop((self.gateway.drain_lines(), self.gateway.drain_durations()));
        PageDecision(verdict)
    }
}

impl Edge {
    /// A page calls no services.
    fn refuse(&mut self, effect: &Effect, inputs: &mut Inputs<'_>) {
        let _ = self.gateway.reply(effect.call(), Err(CallFailed::Refused), inputs);
    }
}

#[wasm_bindgen]
impl HeaderLine {
    /// A line with this name, in lower case, and this value.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(name: String, value: Vec<u8>) -> Self {
        Self { name, value: Some(value) }
    }

    /// The name.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// The value; `undefined` where the line is to be removed.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn value(&self) -> Option<Vec<u8>> {
        self.value.clone()
    }
}

#[wasm_bindgen]
impl PageDecision {
    /// The refusal's status; `undefined` for an admitted request.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.0 {
            Verdict::Refuse(refusal) => Some(refusal.status()),
            Verdict::Continue(_) | Verdict::Wait => None,
        }
    }

    /// The refusal's reason code; `undefined` for an admitted request.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match &self.0 {
            Verdict::Refuse(refusal) => Some(refusal.reason().as_str().to_owned()),
            Verdict::Continue(_) | Verdict::Wait => None,
        }
    }

    /// The header lines to replace or remove before the request goes on.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn edits(&self) -> Vec<HeaderLine> {
        match &self.0 {
            Verdict::Continue(edits) => edits.iter().map(HeaderLine::from).collect(),
            Verdict::Refuse(_) | Verdict::Wait => Vec::new(),
        }
    }
}

impl From<&HeaderEdit> for HeaderLine {
    fn from(edit: &HeaderEdit) -> Self {
        match edit {
            HeaderEdit::Replace { name, value } => Self { name: name.to_string(), value: Some(value.clone()) },
            HeaderEdit::Remove { name } => Self { name: name.to_string(), value: None },
        }
    }
}
