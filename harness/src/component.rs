// SPDX-License-Identifier: Apache-2.0
//! A host of the component face: what a gateway on wasmtime does with `wit/world.wit`.
//!
//! | | |
//! |---|---|
//! | [`Component`] | compiled once |
//! | [`Edge`] | one instance of it, with the gateways and exchanges in it |
//! | [`Lend`] | what the host lends: the same as it lends the core itself |
//!
//! What comes and goes are the types of [`wit`], which `bindgen!` makes of the interface.

mod imports;

use std::fmt;

use tracegate::Inputs;
use wasmtime::component::{Component as Compiled, HasSelf, Linker, ResourceAny};
use wasmtime::{Engine, Store};

use crate::error::{Error, Result};
use crate::host::{Limits, Metering, start_engine};

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({ world: "edge-policy", path: "../wit", additional_derives: [PartialEq, Clone] });
}

pub use bindings::exports::tracegate::policy::policy as wit;
pub use bindings::tracegate::policy::logging::Level;

/// What a host lends a component.
pub trait Lend: 'static {
    /// Clocks, randomness, and what it knows, keeps and verifies. Each import takes what it needs of it.
    fn inputs(&mut self) -> Inputs<'_>;

    /// As many random bytes as are asked for. Any other number counts as none.
    fn random(&mut self, length: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length.min(MAX_RANDOM)).ok()?];
        self.inputs().entropy.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The value of a variable that a policy names.
    fn environment(&mut self, variable: &str) -> Option<String>;

    /// Takes a line for the log.
    fn log(&mut self, level: Level, line: &str);
}

/// A compiled component.
pub struct Component {
    engine: Engine,
    compiled: Compiled,
}

impl Component {
    /// Compiles a component.
    ///
    /// # Errors
    ///
    /// When `wasm` is no component.
    pub fn compile(wasm: &[u8]) -> Result<Self> {
        let engine = start_engine(Metering::Time)?;
        let compiled = Compiled::new(&engine, wasm).map_err(|error| failed("expected a WebAssembly component", &error))?;
        Ok(Self { engine, compiled })
    }

    /// The names of the interfaces that it imports, and of those that it exports.
    #[must_use]
    pub fn interfaces(&self) -> (Vec<String>, Vec<String>) {
        let component = self.compiled.component_type();
        let imports = component.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        (imports, component.exports(&self.engine).map(|(name, _)| name.to_owned()).collect())
    }

    /// Starts an instance.
    ///
    /// # Errors
    ///
    /// When it isn't for the world `edge-policy`.
    pub fn start<L: Lend>(&self, lent: L) -> Result<Edge<L>> {
        let mut linker = Linker::new(&self.engine);
        bindings::EdgePolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |lent: &mut Lent<L>| lent)
            .map_err(|error| failed("can't link the component", &error))?;
        let mut store = Store::new(&self.engine, Lent(lent));
        allow(&mut store);
        let instance = bindings::EdgePolicy::instantiate(&mut store, &self.compiled, &linker)
            .map_err(|error| failed("can't instantiate the component", &error))?;
        Ok(Edge { store, instance })
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Component").finish_non_exhaustive()
    }
}

/// One instance of a component.
pub struct Edge<L: 'static> {
    store: Store<Lent<L>>,
    instance: bindings::EdgePolicy,
}

/// What the imports find.
struct Lent<L>(L);

/// A gateway in an instance.
#[derive(Clone, Copy, Debug)]
pub struct Gateway(ResourceAny);

/// An exchange in an instance.
#[derive(Clone, Copy, Debug)]
pub struct Exchange(ResourceAny);

/// A policy in an instance.
#[derive(Clone, Copy, Debug)]
pub struct Policy(ResourceAny);

/// A call into the component, which fails when it traps.
macro_rules! call {
    ($edge:ident, $what:literal, |$policy:ident, $store:ident| $call:expr) => {{
        allow(&mut $edge.store);
        let ($policy, $store) = ($edge.instance.tracegate_policy_policy(), &mut $edge.store);
        $call.map_err(|error| failed(concat!("the component trapped in ", $what), &error))
    }};
}

impl<L: Lend> Edge<L> {
    /// What the host lends, to be changed from outside.
    pub fn lent_mut(&mut self) -> &mut L {
        &mut self.store.data_mut().0
    }

    /// Compiles a policy in JSON, or says what is wrong with it.
    ///
    /// # Errors
    ///
    /// When the component traps; as all that follow.
    pub fn compile(&mut self, document: &str) -> Result<std::result::Result<Policy, Vec<wit::Finding>>> {
        call!(self, "compile", |policy, store| policy.call_compile(store, document)).map(|compiled| compiled.map(Policy))
    }

    /// What to know of a policy that is fit to run.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn warnings(&mut self, Policy(compiled): Policy) -> Result<Vec<wit::Finding>> {
        call!(self, "warnings", |policy, store| policy.compiled().call_warnings(store, compiled))
    }

    /// A policy's fingerprint.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn fingerprint(&mut self, Policy(compiled): Policy) -> Result<String> {
        call!(self, "fingerprint", |policy, store| policy.compiled().call_fingerprint(store, compiled))
    }

    /// The clusters that a policy calls.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn clusters(&mut self, Policy(compiled): Policy) -> Result<Vec<String>> {
        call!(self, "clusters", |policy, store| policy.compiled().call_clusters(store, compiled))
    }

    /// The variables that a policy names.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn variables(&mut self, Policy(compiled): Policy) -> Result<Vec<String>> {
        call!(self, "variables", |policy, store| policy.compiled().call_variables(store, compiled))
    }

    /// Runs a policy, or says which secret is missing.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn run(&mut self, Policy(compiled): Policy, id: u32) -> Result<std::result::Result<Gateway, String>> {
        call!(self, "start", |policy, store| policy.gateway().call_start(store, compiled, id)).map(|started| started.map(Gateway))
    }

    /// Opens an exchange.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn open(&mut self, Gateway(gateway): Gateway, id: u32) -> Result<Exchange> {
        call!(self, "open", |policy, store| policy.gateway().call_open(store, gateway, id)).map(Exchange)
    }

    /// The host's clock has ticked.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn tick(&mut self, Gateway(gateway): Gateway) -> Result<wit::Woken> {
        call!(self, "tick", |policy, store| policy.gateway().call_tick(store, gateway))
    }

    /// A call has an answer, or failed.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn reply(
        &mut self,
        Gateway(gateway): Gateway,
        call: u64,
        answer: &std::result::Result<wit::Reply, wit::CallFailed>,
    ) -> Result<wit::Woken> {
        let answer = answer.as_ref().map_err(|failed| *failed);
        call!(self, "reply", |policy, store| policy.gateway().call_reply(store, gateway, call, answer))
    }

    /// The gateway ends: what to ask for before it does.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn end(&mut self, Gateway(gateway): Gateway) -> Result<Vec<wit::Call>> {
        call!(self, "end", |policy, store| policy.gateway().call_end(store, gateway))
    }

    /// No answer is heard any more.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn ended(&mut self, Gateway(gateway): Gateway) -> Result<()> {
        call!(self, "ended", |policy, store| policy.gateway().call_ended(store, gateway))
    }

    /// Whether the next tick should come soon.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn is_urgent(&mut self, Gateway(gateway): Gateway) -> Result<bool> {
        call!(self, "is-urgent", |policy, store| policy.gateway().call_is_urgent(store, gateway))
    }

    /// What has been counted since the last time.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn drain_counts(&mut self, Gateway(gateway): Gateway) -> Result<Vec<wit::Count>> {
        call!(self, "drain-counts", |policy, store| policy.gateway().call_drain_counts(store, gateway))
    }

    /// What has changed by the last tick since the last time.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn drain_changes(&mut self, Gateway(gateway): Gateway) -> Result<Vec<wit::Change>> {
        call!(self, "drain-changes", |policy, store| policy.gateway().call_drain_changes(store, gateway))
    }

    /// How long things took since the last time.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn drain_samples(&mut self, Gateway(gateway): Gateway) -> Result<Vec<wit::Sample>> {
        call!(self, "drain-samples", |policy, store| policy.gateway().call_drain_samples(store, gateway))
    }

    /// Takes what happened and says what to do.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn step(&mut self, Exchange(exchange): Exchange, event: &wit::Event) -> Result<wit::Step> {
        call!(self, "step", |policy, store| policy.exchange().call_step(store, exchange, event))
    }

    /// What an exchange waits for.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn awaits(&mut self, Exchange(exchange): Exchange) -> Result<Awaits> {
        Ok(Awaits {
            response: call!(self, "awaits-response", |policy, store| policy.exchange().call_awaits_response(store, exchange))?,
            status: call!(self, "reads-response", |policy, store| policy.exchange().call_reads_response(store, exchange))?,
            cancellation: call!(self, "awaits-cancellation", |policy, store| policy.exchange().call_awaits_cancellation(store, exchange))?,
            close: call!(self, "awaits-close", |policy, store| policy.exchange().call_awaits_close(store, exchange))?,
            totals: call!(self, "reads-totals", |policy, store| policy.exchange().call_reads_totals(store, exchange))?,
        })
    }

    /// Gives an exchange up.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn drop_exchange(&mut self, Exchange(exchange): Exchange) -> Result<()> {
        self.drop_resource(exchange)
    }

    /// Gives a gateway up; its exchanges outlive it.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn drop_gateway(&mut self, Gateway(gateway): Gateway) -> Result<()> {
        self.drop_resource(gateway)
    }

    /// Gives a policy up; gateways that run it outlive it.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn drop_policy(&mut self, Policy(compiled): Policy) -> Result<()> {
        self.drop_resource(compiled)
    }

    fn drop_resource(&mut self, resource: ResourceAny) -> Result<()> {
        allow(&mut self.store);
        resource.resource_drop(&mut self.store).map_err(|error| failed("the component trapped where a resource was dropped", &error))
    }
}

impl<L> fmt::Debug for Edge<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Edge").finish_non_exhaustive()
    }
}

/// What an exchange waits for, see the questions of `exchange` in `wit/world.wit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awaits {
    /// `awaits-response`
    pub response: bool,
    /// `reads-response`
    pub status: bool,
    /// `awaits-cancellation`
    pub cancellation: bool,
    /// `awaits-close`
    pub close: bool,
    /// `reads-totals`
    pub totals: bool,
}

/// Lets the next call take as long as callbacks of modules may.
fn allow<L>(store: &mut Store<Lent<L>>) {
    // One more, since the epoch may be about to end.
    store.set_epoch_deadline(Limits::default().callback_seconds.saturating_add(1));
}

fn failed(what: &str, error: &wasmtime::Error) -> Error {
    Error::new(format!("{what}: {}", error.root_cause()))
}

/// More than a component draws at once.
const MAX_RANDOM: u32 = 65_536;
