// SPDX-License-Identifier: Apache-2.0
//! The VM of a proxy: started, ticking, trapped and loaded anew.

use super::{Due, FailurePolicy, Options, Proxy, World, nanoseconds};
use crate::error::Result;
use crate::host::vm::DEAD;
use crate::host::{Module, Plugin, Vm};

/// A root's timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticking {
    root: u32,
    /// Which change of its period this timer follows.
    change: u64,
    period: u64,
    due: u64,
}

/// Starts a VM with all plugins.
pub(super) fn start(module: &Module, options: &Options, clock: i64) -> Result<(Vm, Vec<Plugin>)> {
    let mut vm = Vm::start(module, options.vm.clone())?;
    vm.set_clock(clock);
    vm.state().clusters.clone_from(&options.clusters);
    let plugins = options.plugins.iter().map(|plugin| vm.configure(plugin.clone())).collect::<Result<_>>()?;
    Ok((vm, plugins))
}

impl<W: World> Proxy<'_, W> {
    /// Keeps the first failure of a VM's life.
    pub(super) fn note<T>(&mut self, called: Result<T>) {
        if let Err(error) = called
            && !self.vm.failed_before()
            && self.failures.len() < MAX_FAILURES
        {
            self.failures.push(error.to_string());
        }
    }

    /// Whether requests pass by the plugins.
    pub(super) fn bypassed(&self) -> bool {
        self.vm.failure().is_some() && self.options.failure_policy == FailurePolicy::Open
    }

    /// Loads a module that trapped anew, when the time has come.
    pub(super) fn reload(&mut self) {
        if self.vm.failure().is_none() || self.options.failure_policy != FailurePolicy::Reload {
            return;
        }
        if self.now.saturating_sub(self.loaded_at) < nanoseconds(self.options.timeouts.reload) {
            return;
        }
        let clock = self.vm.state().now;
        self.loaded_at = self.now;
        let mut options = self.options.clone();
        // Other randomness than before, but the same in every run.
        options.vm.seed = options.vm.seed.wrapping_add(self.now);
        let Ok((vm, plugins)) = start(self.module, &options, clock) else { return };
        let mut old = std::mem::replace(&mut self.vm, vm);
        self.plugins = plugins;
        self.ticking.clear();
        self.due.retain(|_, due| !matches!(due, Due::Reply(..) | Due::Again(..)));
        self.held.clear();
        // Exchanges of before go on without their filters, which are dead.
        self.vm.state().contexts.exchanges = std::mem::take(&mut old.state().contexts.exchanges);
        self.live.values_mut().for_each(|live| live.filters.fill(DEAD));
        self.settle();
    }

    /// Takes over the periods that roots have set since.
    pub(super) fn follow_ticks(&mut self) {
        let now = self.now;
        let ticking = &mut self.ticking;
        for (&id, root) in &self.vm.state().contexts.roots {
            let known = ticking.iter().position(|timer| timer.root == id);
            if known.is_some_and(|at| ticking.get(at).is_some_and(|timer| timer.change == root.tick_changes)) {
                continue;
            }
            if let Some(at) = known {
                ticking.remove(at);
            }
            let period = u64::from(root.tick_period).saturating_mul(1_000_000);
            let due = if period == 0 { u64::MAX } else { now.saturating_add(period) };
            ticking.push(Ticking { root: id, change: root.tick_changes, period, due });
        }
    }

    /// When the next tick is due.
    pub(super) fn next_tick(&self) -> Option<u64> {
        self.ticking.iter().map(|timer| timer.due).filter(|due| *due != u64::MAX).min()
    }

    /// Runs the tick that is due first.
    pub(super) fn run_tick(&mut self) {
        let Some(timer) = self.ticking.iter_mut().min_by_key(|timer| timer.due) else { return };
        timer.due = timer.due.saturating_add(timer.period);
        let plugin = Plugin { root: timer.root };
        if self.vm.failure().is_some() || !self.vm.state().contexts.roots.contains_key(&plugin.root) {
            self.ticking.retain(|timer| timer.root != plugin.root);
            return;
        }
        let ticked = self.vm.tick(plugin);
        self.note(ticked);
        self.settle();
    }
}

const MAX_FAILURES: usize = 100;
