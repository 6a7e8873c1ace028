// SPDX-License-Identifier: Apache-2.0
//! Where things lie in the checkout that this harness was built from.

use std::path::{Path, PathBuf};

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
