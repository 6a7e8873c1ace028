// SPDX-License-Identifier: Apache-2.0
//! Compiled modules, kept under `target/` from one run to the next: compiling ours takes a second, and one replay after the other needs it.
#![expect(unsafe_code, reason = "machine code that was kept can't be checked, only trusted like the programs beside it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, Module};

use super::engine::{Metering, wasm_error};
use crate::error::Result;
use crate::output::OutputFile;
use crate::workspace;

/// Compiles a module, or takes what an earlier run has compiled.
///
/// # Errors
///
/// When `wasm` is no module.
pub(super) fn compile(engine: &Engine, wasm: &[u8], metering: Metering) -> Result<Module> {
    let path = place(wasm, metering);
    if let Some(module) = load(engine, &path) {
        return Ok(module);
    }
    let module = Module::new(engine, wasm).map_err(|error| wasm_error("expected a WebAssembly module", &error))?;
    // A place where nothing can be kept costs the next run a second.
    let _ = keep(&module, &path);
    Ok(module)
}

fn place(wasm: &[u8], metering: Metering) -> PathBuf {
    let digest = hex::encode(Sha256::new().chain_update(format!("{metering:?}")).chain_update(wasm).finalize());
    workspace::target().join("compiled").join(format!("{digest}.cwasm"))
}

/// `None` where there is none, it isn't whole, or another version of the engine compiled it.
fn load(engine: &Engine, path: &Path) -> Option<Module> {
    let kept = fs::read(path).ok()?;
    let (digest, code) = kept.split_at_checked(32)?;
    if Sha256::digest(code).as_slice() != digest {
        return None;
    }
    // SAFETY: the file lies beside the programs that cargo builds, is whole, and was written by `keep`: whoever can write another one there can
    // replace this program too. The engine refuses what a version or configuration other than its own has compiled.
    unsafe { Module::deserialize(engine, code) }.ok()
}

fn keep(module: &Module, path: &Path) -> Result<()> {
    let code = module.serialize().map_err(|error| wasm_error("can't keep the module", &error))?;
    let Some(directory) = path.parent() else { return Ok(()) };
    let _ = fs::create_dir_all(directory);
    prune(directory);
    let mut file = OutputFile::create(path)?;
    let written = std::io::Write::write_all(&mut file, &Sha256::digest(&code)).and_then(|()| std::io::Write::write_all(&mut file, &code));
    written.map_err(|error| crate::error::Error::new(format!("can't write {}: {error}", path.display())))?;
    file.commit()
}

/// Leaves the newest ones.
fn prune(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> =
        entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(KEPT - 1) {
        let _ = fs::remove_file(path);
    }
}

/// How many are kept.
const KEPT: usize = 16;
