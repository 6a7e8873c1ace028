// SPDX-License-Identifier: Apache-2.0
//! The module made smaller, by Binaryen's `wasm-opt`: the same version everywhere, since other versions give other bytes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::error::{Context, Error, Result};
use crate::tools::{self, NpmPackage};

/// The version of Binaryen.
pub(super) const VERSION: &str = BINARYEN.version;

/// The module, optimised for size.
///
/// # Errors
///
/// When Node.js or Binaryen can't be had, or refuse the module.
pub(super) fn optimise(wasm: &[u8]) -> Result<Vec<u8>> {
    let program = BINARYEN.install()?.join("bin/wasm-opt");
    let node = tools::program("node", "nodejs")?;
    let scratch = tempfile::tempdir().context(|| "can't create a directory for wasm-opt")?;
    let (before, after) = (scratch.path().join("before.wasm"), scratch.path().join("after.wasm"));
    fs::write(&before, wasm).context(|| "can't write for wasm-opt")?;
    let mut command = Command::new(node);
    command.arg(program).arg("-Os").args(FEATURES).arg(&before).arg("-o").arg(&after);
    // Half a minute without a word; it is drawn on terminals alone.
    let spinner = ProgressBar::new_spinner().with_message("optimising the module for size");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let output = command.stdin(Stdio::null()).output().context(|| "can't run node");
    spinner.finish_and_clear();
    let output = output?;
    if !output.status.success() {
        return Err(Error::new(format!("wasm-opt failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    fs::read(&after).context(|| "wasm-opt wrote nothing")
}

/// What rustc compiles for: <https://doc.rust-lang.org/rustc/platform-support/wasm32-unknown-unknown.html#enabled-webassembly-features>
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

const BINARYEN: NpmPackage = NpmPackage {
    name: "binaryen",
    version: "132.0.0",
    integrity: "4Usg7yEvwO3FMso3Oov6qkOOHSod1IEv+boKkh77kTljM+eNBouqCTbqWswGzbG+vDNO/b/v2C4gfEh1WgB9Lg==",
};
