// SPDX-License-Identifier: Apache-2.0
//! A native proxy-wasm host: it runs the very module that ships, with Envoy's semantics, on a clock and randomness of the
//! caller's choice.
//!
//! A [`Module`] is compiled once; a [`Vm`] is one instance of it; a [`Plugin`] is one configuration in a VM (a root
//! context); an [`Exchange`] is one request through a plugin. Host functions that no shipped module needs yet answer
//! `Unimplemented`, as ABI 0.2.1 has it, rather than pretend.

mod abi;
mod headers;
mod pairs;
mod state;

use std::collections::BTreeMap;
use std::fmt;

use wasmtime::{Config, Engine, InstancePre, Linker, Store, TypedFunc};

pub use headers::{HeaderMap, Line};
pub use state::{LocalResponse, LogLevel, LogLine};

use crate::error::{Context, Error, Result};
use state::{State, Stream};

/// A compiled module, fit to be instantiated any number of times.
pub struct Module {
    instance: InstancePre<State>,
    fuelled: bool,
    version: Option<String>,
}

/// How a module is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metering {
    /// As fast as it gets.
    None,
    /// Counts the instructions executed, which costs speed.
    Fuel,
}

impl Module {
    /// Compiles a module and links it to the host functions of ABI 0.2.1.
    ///
    /// # Errors
    ///
    /// When `wasm` is no module, is for another ABI version, or imports what that ABI doesn't have.
    pub fn compile(wasm: &[u8], metering: Metering) -> Result<Self> {
        let fuelled = metering == Metering::Fuel;
        let mut config = Config::new();
        config.consume_fuel(fuelled);
        let engine = Engine::new(&config).map_err(|error| wasm_error("can't start the engine", &error))?;
        let module = wasmtime::Module::new(&engine, wasm).map_err(|error| wasm_error("expected a WebAssembly module", &error))?;
        if module.get_export(ABI_VERSION).is_none() {
            return Err(Error::new(format!("expected a module for proxy-wasm ABI 0.2.1, found none of its mark `{ABI_VERSION}`")));
        }
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker, &module)?;
        let instance = linker.instantiate_pre(&module).map_err(|error| wasm_error("can't link the module", &error))?;
        Ok(Self { instance, fuelled, version: version(wasm) })
    }

    /// What the module's own section says about its version.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Module").field("version", &self.version).field("fuelled", &self.fuelled).finish_non_exhaustive()
    }
}

/// The `version` in the custom section `tracegate`.
fn version(wasm: &[u8]) -> Option<String> {
    let module = walrus::ModuleConfig::new().parse(wasm).ok()?;
    let (_, section) = module.customs.iter().find(|(_, section)| section.name() == "tracegate")?;
    let described: serde_json::Value = serde_json::from_slice(&section.data(&walrus::IdsToIndices::default())).ok()?;
    described.get("version")?.as_str().map(str::to_owned)
}

/// One instance of a module. After a trap it is dead, as in Envoy: every later call fails.
pub struct Vm {
    store: Store<State>,
    calls: Calls,
    next_context: u32,
}

impl Vm {
    /// Starts an instance with randomness from `seed` and the clock at 0.
    ///
    /// # Errors
    ///
    /// When the module traps or refuses to start.
    pub fn start(module: &Module, seed: u64) -> Result<Self> {
        let engine = module.instance.module().engine();
        let mut store = Store::new(engine, State::new(seed));
        if module.fuelled {
            store.set_fuel(u64::MAX).map_err(|error| wasm_error("can't meter the module", &error))?;
        }
        let instance = module.instance.instantiate(&mut store).map_err(|error| wasm_error("can't instantiate the module", &error))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        store.data_mut().allocate = instance.get_typed_func(&mut store, "proxy_on_memory_allocate").ok();
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
            initialize.call(&mut store, ()).map_err(|error| wasm_error("the module trapped in _initialize", &error))?;
        }
        let calls = Calls::find(&instance, &mut store)?;
        Ok(Self { store, calls, next_context: 1 })
    }

    /// Creates a root context and configures it.
    ///
    /// # Errors
    ///
    /// When the module refuses the configuration, with what it logged, or traps.
    pub fn configure(&mut self, configuration: &str) -> Result<Plugin> {
        let root = self.new_context(0)?;
        let state = self.store.data_mut();
        state.configuration = configuration.as_bytes().to_vec();
        state.log.clear();
        let size = length(configuration.len());
        let started = match &self.calls.vm_start {
            Some(start) => start.call(&mut self.store, (root, 0)).map_err(|error| trap("proxy_on_vm_start", &error))?,
            None => 1,
        };
        let configured = match &self.calls.configure {
            Some(configure) => configure.call(&mut self.store, (root, size)).map_err(|error| trap("proxy_on_configure", &error))?,
            None => 1,
        };
        if started == 0 || configured == 0 {
            let words: Vec<&str> = self.store.data().log.iter().map(|line| line.message.as_str()).collect();
            return Err(Error::new(format!("the module refused its configuration: {}", words.join("; "))));
        }
        Ok(Plugin { root })
    }

    /// Sets the wall clock, in nanoseconds since 1970-01-01T00:00:00Z.
    pub fn set_clock(&mut self, now: i64) {
        self.store.data_mut().now = now;
    }

    /// Runs the plugin's tick.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn tick(&mut self, plugin: Plugin) -> Result<()> {
        match &self.calls.tick {
            Some(tick) => tick.call(&mut self.store, plugin.root).map_err(|error| trap("proxy_on_tick", &error)),
            None => Ok(()),
        }
    }

    /// Sends a request's head through the plugin.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn request(&mut self, plugin: Plugin, head: HeaderMap) -> Result<Exchange> {
        let id = self.new_context(plugin.root)?;
        let size = length(head.len());
        self.store.data_mut().streams.insert(id, Stream { request: head, local_response: None });
        self.store.data_mut().effective = id;
        let action = match &self.calls.request_headers {
            Some(request) => request.call(&mut self.store, (id, size, 1)).map_err(|error| trap("proxy_on_request_headers", &error))?,
            None => CONTINUE,
        };
        Ok(Exchange { id, paused: action != CONTINUE })
    }

    /// What became of the exchange's request so far.
    ///
    /// # Errors
    ///
    /// For an exchange that another VM opened.
    pub fn outcome(&mut self, exchange: &Exchange) -> Result<Outcome> {
        let stream = self.store.data_mut().streams.get_mut(&exchange.id).ok_or_else(|| Error::new("no such exchange in this VM"))?;
        if let Some(response) = stream.local_response.take() {
            return Ok(Outcome::Answered(response));
        }
        if exchange.paused {
            return Ok(Outcome::Paused);
        }
        Ok(Outcome::Forwarded(std::mem::take(&mut stream.request)))
    }

    /// Ends an exchange: `on_done`, `on_log`, `on_delete`, in Envoy's order.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn close(&mut self, exchange: Exchange) -> Result<()> {
        let Exchange { id, .. } = exchange;
        self.store.data_mut().effective = id;
        if let Some(done) = &self.calls.done {
            done.call(&mut self.store, id).map_err(|error| trap("proxy_on_done", &error))?;
        }
        if let Some(log) = &self.calls.log {
            log.call(&mut self.store, id).map_err(|error| trap("proxy_on_log", &error))?;
        }
        if let Some(delete) = &self.calls.delete {
            delete.call(&mut self.store, id).map_err(|error| trap("proxy_on_delete", &error))?;
        }
        self.store.data_mut().streams.remove(&id);
        Ok(())
    }

    /// The metrics by name, as last recorded.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<&str, u64> {
        self.store.data().metrics.iter().map(|metric| (metric.name.as_str(), metric.value)).collect()
    }

    /// What the module logged since it was last configured.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.store.data().log
    }

    /// How much fuel has been used, in a module compiled with [`Metering::Fuel`].
    #[must_use]
    pub fn fuel_used(&self) -> Option<u64> {
        self.store.get_fuel().ok().map(|left| u64::MAX - left)
    }

    fn new_context(&mut self, parent: u32) -> Result<u32> {
        let id = self.next_context;
        self.next_context = self.next_context.wrapping_add(1).max(1);
        self.store.data_mut().effective = id;
        if let Some(create) = &self.calls.context_create {
            create.call(&mut self.store, (id, parent)).map_err(|error| trap("proxy_on_context_create", &error))?;
        }
        Ok(id)
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Vm").field("next_context", &self.next_context).finish_non_exhaustive()
    }
}

/// One configuration in a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plugin {
    root: u32,
}

/// One request through a plugin. [`Vm::close`] ends it.
#[derive(Debug)]
pub struct Exchange {
    id: u32,
    paused: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on to the upstream with these headers.
    Forwarded(HeaderMap),
    /// The plugin answered it.
    Answered(LocalResponse),
    /// It waits.
    Paused,
}

/// The callbacks that the module exports; a host calls no others.
struct Calls {
    context_create: Option<TypedFunc<(u32, u32), ()>>,
    vm_start: Option<TypedFunc<(u32, u32), u32>>,
    configure: Option<TypedFunc<(u32, u32), u32>>,
    tick: Option<TypedFunc<u32, ()>>,
    request_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    done: Option<TypedFunc<u32, u32>>,
    log: Option<TypedFunc<u32, ()>>,
    delete: Option<TypedFunc<u32, ()>>,
}

impl Calls {
    fn find(instance: &wasmtime::Instance, store: &mut Store<State>) -> Result<Self> {
        Ok(Self {
            context_create: find(instance, store, "proxy_on_context_create")?,
            vm_start: find(instance, store, "proxy_on_vm_start")?,
            configure: find(instance, store, "proxy_on_configure")?,
            tick: find(instance, store, "proxy_on_tick")?,
            request_headers: find(instance, store, "proxy_on_request_headers")?,
            done: find(instance, store, "proxy_on_done")?,
            log: find(instance, store, "proxy_on_log")?,
            delete: find(instance, store, "proxy_on_delete")?,
        })
    }
}

/// An export with its signature; `None` where there is none, an error where it has another.
fn find<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(
    instance: &wasmtime::Instance,
    store: &mut Store<State>,
    name: &str,
) -> Result<Option<TypedFunc<P, R>>> {
    let Some(function) = instance.get_func(&mut *store, name) else { return Ok(None) };
    let typed =
        function.typed(&*store).map_err(|error| wasm_error(&format!("`{name}` has another signature than in ABI 0.2.1"), &error))?;
    Ok(Some(typed))
}

fn trap(callback: &str, error: &wasmtime::Error) -> Error {
    wasm_error(&format!("the module trapped in {callback}"), error)
}

fn wasm_error(what: &str, error: &wasmtime::Error) -> Error {
    Error::new(format!("{what}: {}", error.root_cause()))
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Reads and compiles a module from a file.
///
/// # Errors
///
/// As [`Module::compile`], and when the file can't be read.
pub fn compile_file(path: &std::path::Path, metering: Metering) -> Result<Module> {
    let wasm = std::fs::read(path).context(|| format!("can't read {}", path.display()))?;
    Module::compile(&wasm, metering).context(|| path.display().to_string())
}

const ABI_VERSION: &str = "proxy_abi_version_0_2_1";
/// `proxy_action_t`
const CONTINUE: u32 = 0;
