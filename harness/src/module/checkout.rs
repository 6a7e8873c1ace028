// SPDX-License-Identifier: Apache-2.0
//! A checkout to build from. Where it lies, and where cargo keeps what it has fetched, leaves no trace in a module: two checkouts of one commit
//! give the same bytes with the same compiler.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TARGET, add_target, run, strip};
use crate::error::{Context, Error, Result};
use crate::workspace;

/// A checkout to build from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    root: PathBuf,
    target: PathBuf,
    /// Where cargo keeps what it has fetched, where that isn't where it always does.
    cargo_home: Option<PathBuf>,
}

impl Checkout {
    /// The one that this harness was built from.
    #[must_use]
    pub fn own() -> Self {
        Self { root: workspace::root().to_owned(), target: workspace::target(), cargo_home: None }
    }

    /// Another one, with a cargo home of its own.
    #[must_use]
    pub fn at(root: PathBuf, cargo_home: PathBuf) -> Self {
        Self { target: root.join("target"), root, cargo_home: Some(cargo_home) }
    }

    /// Its top level.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Compiles the module, and takes off what it has no use for.
    ///
    /// # Errors
    ///
    /// When cargo or rustup fail, with their words.
    pub fn build(&self) -> Result<Vec<u8>> {
        let built = self.compile("tracegate", &["--features", "proxy-wasm"])?;
        strip(&fs::read(&built).context(|| format!("can't read {}", built.display()))?)
    }

    /// Compiles a package for [`TARGET`], and returns where it lies.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub(super) fn compile(&self, package: &str, options: &[&str]) -> Result<PathBuf> {
        add_target(TARGET)?;
        let flags = self.without_places()?;
        let mut command = self.cargo();
        command.args(["build", "--locked", "--package", package, "--lib", "--profile", "wasm", "--target", TARGET]).args(options);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}".as_ref()));
        run(&mut command)?;
        Ok(self.target.join(TARGET).join("wasm").join(format!("{}.wasm", package.replace('-', "_"))))
    }

    /// Cargo in this checkout. A build from within `cargo test` or `cargo run` is a build of its own.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        for inherited in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            command.env_remove(inherited);
        }
        if let Some(home) = &self.cargo_home {
            command.env("CARGO_HOME", home);
        }
        command
    }

    /// What keeps places out of messages of panics: each has a name that is the same everywhere.
    fn without_places(&self) -> Result<Vec<OsString>> {
        let sources = self.cargo_home()?.join("registry/src");
        if !sources.is_dir() {
            run(self.cargo().args(["fetch", "--locked", "--target", TARGET]))?;
        }
        let registries = fs::read_dir(&sources).context(|| format!("can't list {}", sources.display()))?;
        let mut registries: Vec<PathBuf> = registries.flatten().map(|entry| entry.path()).collect();
        registries.sort();
        let library = sysroot()?.join("lib/rustlib/src/rust");
        let names = [(self.target.clone(), "/target"), (self.root.clone(), "/tracegate"), (library, "/rust")];
        let names = names.into_iter().chain(registries.into_iter().map(|registry| (registry, "/registry")));
        // Of several that fit, rustc takes the last.
        let flag = |(place, name): (PathBuf, &str)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(place);
            flag.push("=");
            flag.push(name);
            flag
        };
        Ok(names.map(flag).collect())
    }

    fn cargo_home(&self) -> Result<PathBuf> {
        let usual = || std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        self.cargo_home.clone().or_else(usual).ok_or_else(|| Error::new("can't tell where cargo's home is: set CARGO_HOME"))
    }
}

fn sysroot() -> Result<PathBuf> {
    let printed = Command::new("rustc").args(["--print", "sysroot"]).output().context(|| "can't run rustc")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim()))
}
