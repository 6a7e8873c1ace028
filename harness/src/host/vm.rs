// SPDX-License-Identifier: Apache-2.0
//! One instance of a module, and the calls into it.

use std::collections::BTreeMap;
use std::fmt;

use wasmtime::{Store, Trap, TypedFunc, WasmParams, WasmResults};

use super::calls::{Calls, find};
use super::engine::{Metering, wasm_error};
use super::faults::Faults;
use super::limits::{Limits, MemoryLimit};
use super::log::LogLine;
use super::memory::length;
use super::metrics::{Metrics, Stats};
use super::module::Module;
use super::release::Release;
use super::shared::SharedData;
use super::state::{Action, Root, State};
use crate::error::{Error, Result};

/// One instance of a module. After a trap it is dead, as in Envoy: every later call fails.
pub struct Vm {
    store: Store<State>,
    pub(super) calls: Calls,
    metering: Metering,
    limits: Limits,
    fuel_used: u64,
    failure: Option<String>,
    /// The last call found the module dead.
    called_dead: bool,
}

/// What a VM is given at its start.
#[derive(Clone, Debug, Default)]
pub struct VmOptions {
    /// Seeds its randomness.
    pub seed: u64,
    /// VMs of one id share data, where they are given the same `shared`.
    pub vm_id: String,
    /// What `proxy_on_vm_start` reads.
    pub configuration: Vec<u8>,
    /// The environment variables that it sees, by name.
    pub environment: Vec<(String, String)>,
    /// Its shared data.
    pub shared: SharedData,
    /// The metrics that it adds to.
    pub stats: Stats,
    /// What it may use.
    pub limits: Limits,
    /// What goes wrong.
    pub faults: Option<Faults>,
    /// Which Envoy it is like.
    pub release: Release,
}

/// What a plugin is given.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    /// Its name.
    pub name: String,
    /// Which of the module's root contexts it is.
    pub root_id: String,
    /// Its configuration.
    pub configuration: Vec<u8>,
}

impl PluginOptions {
    /// A plugin called `tracegate`, as in `envoy-config/envoy.yaml`, with this configuration.
    #[must_use]
    pub fn new(configuration: &str) -> Self {
        Self { name: "tracegate".to_owned(), root_id: "tracegate".to_owned(), configuration: configuration.as_bytes().to_vec() }
    }
}

/// Stands for a context whose VM has been replaced.
pub(super) const DEAD: u32 = u32::MAX;

/// One configuration in a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plugin {
    pub(super) root: u32,
}

impl Vm {
    /// Starts an instance, its clock at 0.
    ///
    /// # Errors
    ///
    /// When the module traps or has a callback with another signature than the ABI says.
    pub fn start(module: &Module, options: VmOptions) -> Result<Self> {
        let engine = module.instance.module().engine();
        let mut state = State::new(options.seed);
        state.vm_id = options.vm_id;
        state.configuration = options.configuration;
        state.environment = options.environment.iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect();
        state.shared = options.shared;
        state.metrics = Metrics::of(options.stats);
        state.faults = options.faults;
        state.release = options.release;
        state.metadata_only = module.version().is_some();
        state.memory_limit = MemoryLimit { bytes: options.limits.memory, refused: false };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory_limit);
        allow(&mut store, module.metering, &options.limits)?;
        let instance = module.instance.instantiate(&mut store).map_err(|error| wasm_error("can't instantiate the module", &error))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let malloc = find::<u32, u32>(&instance, &mut store, "malloc")?;
        let allocate = find::<u32, u32>(&instance, &mut store, "proxy_on_memory_allocate")?;
        store.data_mut().allocate = malloc.or(allocate);
        let calls = Calls::find(&instance, &mut store)?;
        let mut vm =
            Self { store, calls, metering: module.metering, limits: options.limits, fuel_used: 0, failure: None, called_dead: false };
        if vm.store.data().allocate.is_none() {
            return Err(Error::new("expected the module to export `malloc` or `proxy_on_memory_allocate`, found neither"));
        }
        if vm.calls.initialize.is_some() {
            vm.call(0, "_initialize", |calls| &calls.initialize, ())?;
            vm.call(0, "main", |calls| &calls.main, (0, 0))?;
        } else {
            vm.call(0, "_start", |calls| &calls.start, ())?;
        }
        Ok(vm)
    }

    /// Creates a root context and configures it.
    ///
    /// # Errors
    ///
    /// When the module refuses the configuration, with what it logged, or traps.
    pub fn configure(&mut self, options: PluginOptions) -> Result<Plugin> {
        let state = self.store.data_mut();
        let logged = state.log.lines().len();
        let root = state.contexts.mint();
        let size = length(options.configuration.len());
        let vm_size = length(state.configuration.len());
        state.contexts.roots.insert(root, Root::new(options));
        self.set_configuring(root, true);
        self.call(root, "proxy_on_context_create", |calls| &calls.context_create, (root, 0))?;
        self.set_configuring(root, false);
        let started = self.call(root, "proxy_on_vm_start", |calls| &calls.vm_start, (root, vm_size))?;
        let refused = |vm: &Self| {
            let lines = vm.store.data().log.lines().iter().skip(logged);
            let words: Vec<&str> = lines.map(|line| line.message.as_str()).collect();
            Error::new(format!("the module refused its configuration: {}", words.join("; ")))
        };
        if started == Some(0) {
            return Err(refused(self));
        }
        self.set_configuring(root, true);
        // What a library draws for itself while a policy is loaded doesn't shift what requests get: the core in the harness draws nothing then.
        let randomness = self.store.data().randomness.clone();
        let configured = self.call(root, "proxy_on_configure", |calls| &calls.configure, (root, size));
        self.store.data_mut().randomness = randomness;
        self.set_configuring(root, false);
        if configured? == Some(0) { Err(refused(self)) } else { Ok(Plugin { root }) }
    }

    /// Runs the plugin's tick.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn tick(&mut self, plugin: Plugin) -> Result<()> {
        self.call(plugin.root, "proxy_on_tick", |calls| &calls.tick, (plugin.root,)).map(drop)
    }

    /// Ends a plugin, unless it puts its end off until it says `proxy_done`.
    ///
    /// # Errors
    ///
    /// When the module traps.
    pub fn end(&mut self, plugin: Plugin) -> Result<()> {
        let root = plugin.root;
        if self.call(root, "proxy_on_done", |calls| &calls.done, (root,))? == Some(0) {
            if let Some(root) = self.store.data_mut().contexts.roots.get_mut(&root) {
                root.ending = true;
            }
            return Ok(());
        }
        self.delete_root(root)
    }

    pub(super) fn delete_root(&mut self, root: u32) -> Result<()> {
        let deleted = self.call(root, "proxy_on_delete", |calls| &calls.delete, (root,));
        let state = self.store.data_mut();
        state.contexts.roots.remove(&root);
        state.callouts.pending.retain(|_, owner| *owner != root);
        deleted.map(drop)
    }

    /// Sets the wall clock, in nanoseconds since 1970-01-01T00:00:00Z.
    pub fn set_clock(&mut self, now: i64) {
        self.store.data_mut().now = now;
    }

    /// The metrics by name, as last recorded.
    #[must_use]
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        self.store.data().metrics.by_name()
    }

    /// What the module has logged, the first 10,000 lines of it.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        self.store.data().log.lines()
    }

    /// What the module has logged since this was last asked.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.store.data_mut().log.take()
    }

    /// Why the module is dead, if it is.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// How much fuel has been used, in a module compiled with [`Metering::Fuel`].
    #[must_use]
    pub fn fuel_used(&self) -> Option<u64> {
        (self.metering == Metering::Fuel).then_some(self.fuel_used)
    }

    /// Bytes of the module's memory.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.store.data().memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Lends randomness, which comes before what the seed gives. Gives how many bytes were left of what was lent before.
    pub fn lend_randomness(&mut self, bytes: &[u8]) -> usize {
        let lent = &mut self.store.data_mut().lent_randomness;
        let left = lent.len();
        lent.clear();
        lent.extend(bytes);
        left
    }

    /// Lets things go wrong from now on.
    pub fn inject(&mut self, faults: Faults) {
        self.store.data_mut().faults = Some(faults);
    }

    /// The faults that were injected.
    #[must_use]
    pub fn faults(&self) -> Option<&Faults> {
        self.store.data().faults.as_ref()
    }

    /// Whether the call that has just failed found the module dead.
    pub(super) const fn failed_before(&self) -> bool {
        self.called_dead
    }

    pub(super) fn state(&mut self) -> &mut State {
        self.store.data_mut()
    }

    /// What a callback asked for, to be done now that it has returned.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.store.data_mut().actions.pop_front()
    }

    /// Calls the module in a context; `None` where it doesn't export the function.
    pub(super) fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        name: &str,
        select: impl FnOnce(&Calls) -> &Option<TypedFunc<P, R>>,
        parameters: P,
    ) -> Result<Option<R>> {
        if let Some(failure) = &self.failure {
            self.called_dead = true;
            return Err(Error::new(format!("the module is dead: {failure}")));
        }
        if context == DEAD {
            return Err(Error::new("the module that served this exchange is dead"));
        }
        let Some(function) = select(&self.calls) else { return Ok(None) };
        allow(&mut self.store, self.metering, &self.limits)?;
        let state = self.store.data_mut();
        state.contexts.current = context;
        state.contexts.chosen = 0;
        state.stop_iteration = false;
        let result = function.call(&mut self.store, parameters);
        self.store.data_mut().contexts.current = 0;
        if self.metering == Metering::Fuel {
            let left = self.store.get_fuel().unwrap_or(0);
            self.fuel_used += self.limits.callback_fuel.saturating_sub(left);
        }
        let state = self.store.data_mut();
        let (name, result) = match (state.trapped.take(), state.overstepped.take()) {
            (Some(error), _) => ("proxy_on_memory_allocate", Err(error)),
            (None, Some(error)) => (name, Err(error)),
            (None, None) => (name, result),
        };
        result.map(Some).map_err(|error| {
            let failure = self.describe(name, &error);
            self.failure = Some(failure.clone());
            Error::new(failure)
        })
    }

    /// Why a callback didn't return.
    fn describe(&self, name: &str, error: &wasmtime::Error) -> String {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => format!("the module ran for more than {} s in {name}", self.limits.callback_seconds),
            Some(Trap::OutOfFuel) => format!("the module used more than {} units of fuel in {name}", self.limits.callback_fuel),
            _ => {
                let limit = self.store.data().memory_limit;
                let refused = if limit.refused { format!(", after it was refused more than {limit}") } else { String::new() };
                format!("the module trapped in {name}: {}{refused}", error.root_cause())
            }
        }
    }

    fn set_configuring(&mut self, root: u32, configuring: bool) {
        if let Some(root) = self.store.data_mut().contexts.roots.get_mut(&root) {
            root.configuring = configuring;
        }
    }
}

impl fmt::Debug for Vm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Vm").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl Root {
    fn new(options: PluginOptions) -> Self {
        Self {
            name: options.name,
            root_id: options.root_id,
            configuration: options.configuration,
            configuring: false,
            tick_period: 0,
            tick_changes: 0,
            ending: false,
            reply: None,
            grpc_message: None,
            status: (0, Vec::new()),
        }
    }
}

/// Lets the next callback work as much as the limits say.
fn allow(store: &mut Store<State>, metering: Metering, limits: &Limits) -> Result<()> {
    // One more, since the epoch may be about to end.
    store.set_epoch_deadline(limits.callback_seconds.min(u64::from(u32::MAX)) + 1);
    if metering == Metering::Fuel {
        store.set_fuel(limits.callback_fuel).map_err(|error| wasm_error("can't meter the module", &error))?;
    }
    Ok(())
}
