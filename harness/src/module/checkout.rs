// SPDX-License-Identifier: Apache-2.0
//! A checkout to build from. Where it lies, and where cargo keeps what it has fetched, leaves no trace in a module: two checkouts of one commit
//! give the same bytes with the same compiler.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::{BARE_TARGET, TARGET, add_target, run, strip};
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
        let built = self.compile("tracegate", TARGET, &["--features", "proxy-wasm"])?;
        strip(&fs::read(&built).context(|| format!("can't read {}", built.display()))?)
    }

    /// Compiles the component face, as it is before it is made a component.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub(super) fn build_component_core(&self) -> Result<Vec<u8>> {
        let built = self.compile("tracegate", BARE_TARGET, &["--features", "component"])?;
        fs::read(&built).context(|| format!("can't read {}", built.display()))
    }

    /// Compiles the browser's face, as it is before its JavaScript is written.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub(super) fn build_browser_core(&self) -> Result<PathBuf> {
        self.compile("tracegate", BARE_TARGET, &["--features", "browser"])
    }

    /// Compiles a package for a target, and returns where it lies.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub(super) fn compile(&self, package: &str, target: &str, options: &[&str]) -> Result<PathBuf> {
        add_target(target)?;
        // A build may fetch from a registry whose place wasn't there before: then it has to be done again without that place.
        let mut registries = None;
        while registries != Some(self.registries()?) {
            let known = self.registries()?;
            let mut command = self.cargo();
            command.args(["build", "--locked", "--package", package, "--lib", "--profile", "wasm", "--target", target]).args(options);
            command.env("CARGO_ENCODED_RUSTFLAGS", self.without_places(&known)?.join("\u{1f}".as_ref()));
            run(&mut command)?;
            registries = Some(known);
        }
        Ok(self.target.join(target).join("wasm").join(format!("{}.wasm", package.replace('-', "_"))))
    }

    /// Cargo in this checkout. A build from within `cargo test` or `cargo run` is a build of its own.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut command = workspace::cargo();
        // What a desk says of builds is about others.
        let inherited = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            INHERITED.iter().any(|known| name.starts_with(known))
        });
        for name in inherited {
            command.env_remove(name);
        }
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        if let Some(home) = &self.cargo_home {
            command.env("CARGO_HOME", home);
        }
        command
    }

    /// What keeps places out of messages of panics: each has a name that is the same everywhere.
    fn without_places(&self, registries: &[PathBuf]) -> Result<Vec<OsString>> {
        let library = self.sysroot()?.join("lib/rustlib/src/rust");
        let names = [(self.target.clone(), "/target"), (self.root.clone(), "/tracegate"), (library, "/rust")];
        let names = names.into_iter().chain(registries.iter().map(|registry| (registry.clone(), "/registry")));
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

    /// Where the sources of registries lie; fetched first where there are none at all.
    fn registries(&self) -> Result<Vec<PathBuf>> {
        let sources = self.cargo_home()?.join("registry/src");
        if !sources.is_dir() {
            run(self.cargo().args(["fetch", "--locked", "--target", TARGET]))?;
        }
        let listed = fs::read_dir(&sources).context(|| format!("can't list {}", sources.display()))?;
        let mut registries: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
        registries.sort();
        Ok(registries)
    }

    /// A digest of all that the core's faces and the tests' probe are made of and with, and of the compiler.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub(super) fn sources(&self) -> Result<String> {
        let mut digest = Sha256::new().chain_update(self.rustc(&["-vV"])?);
        let mut pending = SOURCES.map(|name| self.root.join(name)).to_vec();
        while let Some(path) = pending.pop() {
            let unread = || format!("can't read {}", path.display());
            if path.is_dir() {
                let listed = fs::read_dir(&path).context(unread)?.flatten();
                // What begins with a dot is an editor's.
                let named = listed.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
                let mut entries: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
                entries.sort();
                pending.extend(entries);
            } else {
                digest.update(path.as_os_str().as_encoded_bytes());
                digest.update(Sha256::digest(fs::read(&path).context(unread)?));
            }
        }
        Ok(hex::encode(digest.finalize()))
    }

    fn sysroot(&self) -> Result<PathBuf> {
        self.rustc(&["--print", "sysroot"]).map(PathBuf::from)
    }

    /// What the compiler of this checkout prints.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn rustc(&self, arguments: &[&str]) -> Result<String> {
        let printed = Command::new("rustc").current_dir(&self.root).args(arguments).output().context(|| "can't run rustc")?;
        Ok(String::from_utf8_lossy(&printed.stdout).trim().to_owned())
    }

    /// The commit that is checked out, and whether nothing has been changed since; `None` where this is no clone.
    #[must_use]
    pub fn revision(&self) -> Option<(String, bool)> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").current_dir(&self.root).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Some((git(&["rev-parse", "--verify", "HEAD"])?, git(&["status", "--porcelain"])?.is_empty()))
    }

    fn cargo_home(&self) -> Result<PathBuf> {
        let usual = || std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        self.cargo_home.clone().or_else(usual).ok_or_else(|| Error::new("can't tell where cargo's home is: set CARGO_HOME"))
    }
}

/// What the faces and the tests' probe are made of and with.
const SOURCES: [&str; 11] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "harness/src/module",
    "harness/src/module.rs",
    "harness/src/render/capabilities.rs",
    "src",
    "tests/browser/Cargo.toml",
    "tests/browser/src",
    "tests/probe",
    "wit",
];

/// Environment variables that change what is built: profiles, flags, targets, and programs in the compiler's place.
const INHERITED: [&str; 8] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CARGO_UNSTABLE_",
    "RUSTC",
    "RUSTFLAGS",
];
