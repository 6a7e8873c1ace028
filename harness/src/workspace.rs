// SPDX-License-Identifier: Apache-2.0
//! Where things lie in the checkout that this harness was built from.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout's top level.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// Where cargo builds: `CARGO_TARGET_DIR`, else `target`.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |set| root().join(set))
}

/// Cargo in this checkout. What cargo itself has told this program of its package is kept from it: build scripts of others (ring's) look at that, and
/// would have their crates, and all that depend on them, built again each time that one build starts within `cargo run` and the next doesn't.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_A_PACKAGE.iter().any(|start| name.starts_with(start))) {
            command.env_remove(name);
        }
    }
    command.current_dir(root());
    command
}

/// How the names begin of what cargo tells a program of its package.
const OF_A_PACKAGE: [&str; 5] = ["CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_PACKAGE"];

/// Where finished modules lie.
#[must_use]
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// Where downloaded tools lie.
#[must_use]
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The recording that replays where none is named.
#[must_use]
pub fn sample_recording() -> PathBuf {
    root().join("tests/recordings/sample.ndjson")
}

/// The policy that goes with it.
#[must_use]
pub fn sample_policy() -> PathBuf {
    root().join("tests/recordings/sample-policy.yaml")
}

/// `path` as a person would type it: relative to here where it lies below.
#[must_use]
pub fn display(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_told_nothing_of_the_package_that_runs_it() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "this runs within cargo");
        let command = cargo();
        let removed = |name: &str| command.get_envs().any(|(known, value)| known == name && value.is_none());
        assert!(["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION_MAJOR"].into_iter().all(removed));
        assert!(!removed("PATH"));
    }
}
