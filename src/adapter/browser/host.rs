// SPDX-License-Identifier: Apache-2.0
//! What the host lends for one step: `Host` in `host.d.ts`, or what every browser has.

use js_sys::{Array, Date, Function, Reflect, Uint8Array, global};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::plain;
use crate::inputs::{Entropy, EntropyUnavailable, Expected, HostSignatures, Inputs, Peer, PeerFact, Store, StoreError, Stored};

#[wasm_bindgen(typescript_custom_section)]
const TYPE: &str = include_str!("host.d.ts");

/// An object of the page's with some of the methods of `Host`.
#[derive(Clone, Debug)]
pub(super) struct Host(JsValue);

impl Host {
    pub(super) const fn new(host: JsValue) -> Self {
        Self(host)
    }

    /// Lends it: each clock is read once, and a call goes out for each thing that is asked for.
    pub(super) fn with_inputs<T>(&self, run: impl FnOnce(&mut Inputs<'_>) -> T) -> T {
        let (mut entropy, mut peer, mut store, mut signatures) = (self.clone(), self.clone(), self.clone(), self.clone());
        let (now, monotonic) = (self.now(), self.monotonic());
        run(&mut Inputs { now, monotonic, entropy: &mut entropy, peer: &mut peer, store: &mut store, signatures: &mut signatures })
    }

    fn now(&self) -> i64 {
        let own = || i64::try_from(nanoseconds(Date::now())).unwrap_or(i64::MAX);
        self.call("now", &[]).and_then(|now| i64::try_from(now).ok()).unwrap_or_else(own)
    }

    pub(super) fn monotonic(&self) -> u64 {
        let own = || u64::try_from(nanoseconds(since_start().unwrap_or_else(Date::now))).unwrap_or(u64::MAX);
        self.call("monotonic", &[]).and_then(|now| u64::try_from(now).ok()).unwrap_or_else(own)
    }

    pub(super) fn environment(&self, variable: &str) -> Option<String> {
        plain::text(&self.call("environment", &[variable.into()])?)
    }

    pub(super) fn log(&self, level: &str, line: &str) {
        let _ = self.call("log", &[level.into(), line.into()]);
    }

    /// The method of this name, where the host has one.
    fn method(&self, name: &str) -> Option<Function> {
        Reflect::get(&self.0, &name.into()).ok()?.dyn_into().ok()
    }

    /// What the method answers; `None` where there is none, or it throws.
    fn call(&self, name: &str, arguments: &[JsValue]) -> Option<JsValue> {
        self.method(name)?.apply(&self.0, &arguments.iter().collect::<Array>()).ok()
    }
}

impl Entropy for Host {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        if self.method("random").is_none() {
            return getrandom::fill(bytes).map_err(|_| EntropyUnavailable);
        }
        let drawn = self.call("random", &[length(bytes).into()]).and_then(|drawn| plain::bytes(&drawn));
        let drawn = drawn.filter(|drawn| drawn.len() == bytes.len()).ok_or(EntropyUnavailable)?;
        bytes.copy_from_slice(&drawn);
        Ok(())
    }
}

impl Peer for Host {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        let name = match fact {
            PeerFact::SourceAddress => "source-address",
            PeerFact::UriSan => "uri-san",
            PeerFact::DnsSan => "dns-san",
            PeerFact::Subject => "subject",
            PeerFact::Sha256 => "sha256",
        };
        plain::bytes(&self.call("peer", &[name.into()])?)
    }

    fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        plain::bytes(&self.call("routeMetadata", &[key.into()])?)
    }
}

impl Store for Host {
    fn get(&mut self, name: &str) -> Option<Stored> {
        let stored = plain::copied(&self.call("get", &[name.into()])?).ok()?;
        let value = plain::bytes_of(Reflect::get(&stored, &"value".into()).ok()?)?;
        let version = number(&Reflect::get(&stored, &"version".into()).ok()?)?;
        Some(Stored { value, version })
    }

    fn set(&mut self, name: &str, value: &[u8], expected: Expected) -> Result<(), StoreError> {
        let expected = match expected {
            Expected::Any => "any".into(),
            Expected::Absent => "absent".into(),
            Expected::Version(version) => version.into(),
        };
        let answer = self.call("set", &[name.into(), Uint8Array::from(value).into(), expected]).ok_or(StoreError::Unavailable)?;
        match answer.as_string().as_deref() {
            None if answer.is_undefined() => Ok(()),
            Some("conflict") => Err(StoreError::Conflict),
            _ => Err(StoreError::Unavailable),
        }
    }
}

impl HostSignatures for Host {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let [key, signature, text] = [key, signature, text].map(|bytes| Uint8Array::from(bytes).into());
        self.call("verify", &[hash.into(), key, signature, text])?.as_bool()
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// A number from 0 to 2^32 - 1.
fn number(value: &JsValue) -> Option<u32> {
    let number = value.as_f64()?;
    u32::try_from(super::values::serial(number)).ok()
}

/// Milliseconds since the page was opened, where the place has such a clock.
fn since_start() -> Option<f64> {
    let performance = Reflect::get(&global(), &"performance".into()).ok()?;
    let now: Function = Reflect::get(&performance, &"now".into()).ok()?.dyn_into().ok()?;
    now.call0(&performance).ok()?.as_f64()
}

/// Of milliseconds.
fn nanoseconds(milliseconds: f64) -> u128 {
    std::time::Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default().as_nanos()
}
