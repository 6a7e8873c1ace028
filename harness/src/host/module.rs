// SPDX-License-Identifier: Apache-2.0
//! A compiled module.

use std::fmt;

use wasmtime::{InstancePre, Linker};

use super::abi;
use super::compiled;
use super::engine::{self, Metering, wasm_error};
use super::state::State;
use crate::error::{Context, Error, Result};
use crate::module::Manifest;

/// A compiled module, fit to be instantiated any number of times.
pub struct Module {
    pub(super) instance: InstancePre<State>,
    pub(super) metering: Metering,
    manifest: Option<Manifest>,
}

impl Module {
    /// Compiles a module and links it to the host functions of ABI 0.2.1.
    ///
    /// # Errors
    ///
    /// When `wasm` is no whole module, is for another ABI version, or imports what that ABI doesn't have.
    pub fn compile(wasm: &[u8], metering: Metering) -> Result<Self> {
        let manifest = Manifest::read(wasm).map_err(Error::new)?;
        let engine = engine::start(metering)?;
        let module = compiled::compile(&engine, wasm, metering)?;
        check_abi(&module)?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker, &module)?;
        let instance = linker.instantiate_pre(&module).map_err(|error| wasm_error("can't link the module", &error))?;
        Ok(Self { instance, metering, manifest })
    }

    /// What the module says of itself; `None` where it isn't one of ours.
    #[must_use]
    pub const fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Its version, where it says of one.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.manifest.as_ref().map(|manifest| manifest.version.as_str())
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Module").field("manifest", &self.manifest).field("metering", &self.metering).finish_non_exhaustive()
    }
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

fn check_abi(module: &wasmtime::Module) -> Result<()> {
    if module.get_export(ABI_VERSION).is_some() {
        return Ok(());
    }
    let other = module.exports().find(|export| export.name().starts_with("proxy_abi_version_"));
    let found = other.map_or_else(|| "no mark of any".to_owned(), |other| format!("`{}`", other.name()));
    Err(Error::new(format!("expected a module for proxy-wasm ABI 0.2.1, marked `{ABI_VERSION}`; found {found}")))
}

const ABI_VERSION: &str = "proxy_abi_version_0_2_1";
