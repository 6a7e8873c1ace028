// SPDX-License-Identifier: Apache-2.0
//! Programs of others that some commands and tests take: found on PATH, else installed by Debian's package manager where it may, or fetched under
//! `target/tools`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha512};

use crate::error::{Context, Error, Result};
use crate::workspace;

/// Finds a program, or installs the package of Debian's that holds it, and others that it takes, parted by spaces.
///
/// # Errors
///
/// When it is neither here nor can be installed, with how to get it.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = find(name) {
        return Ok(path);
    }
    let missing = |why: &str| Error::new(format!("`{name}` is missing{why}: install it (on Debian: apt-get install {package})"));
    if find("apt-get").is_none() {
        return Err(missing(""));
    }
    eprintln!("installing {package} by apt-get");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install: Vec<&str> = ["install", "--yes", "--no-install-recommends"].into_iter().chain(package.split(' ')).collect();
    // Lists that are there may be old.
    let installed = apt(&install) || (apt(&["update"]) && apt(&install));
    find(name).filter(|_| installed).ok_or_else(|| missing(" and apt-get can't install it here"))
}

/// Where a program is on PATH, or where those of administrators are.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|candidate| candidate.is_file())
}

/// TypeScript's compiler, a script for Node.
///
/// # Errors
///
/// When it can't be fetched from npm.
pub fn typescript() -> Result<PathBuf> {
    Ok(TYPESCRIPT.install()?.join("lib/tsc.js"))
}

/// The last version that runs on Node alone.
const TYPESCRIPT: NpmPackage = NpmPackage {
    name: "typescript",
    version: "5.9.3",
    integrity: "jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==",
};

/// A package of npm's, of a version whose contents are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NpmPackage {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// The SHA-512 digest of its archive in base64, as npm calls it.
    pub(crate) integrity: &'static str,
}

impl NpmPackage {
    /// Where its files are: under `target/tools`, fetched by npm if need be.
    ///
    /// # Errors
    ///
    /// When npm is missing or fails, or fetches something else.
    pub(crate) fn install(&self) -> Result<PathBuf> {
        let Self { name, version, integrity } = self;
        let directory = workspace::tools().join(format!("{name}-{version}"));
        fs::create_dir_all(&directory).context(|| format!("can't create {}", directory.display()))?;
        let lock = File::create(directory.join("lock")).context(|| "can't create a lock file")?;
        lock.lock().context(|| "can't lock the tools")?;
        let files = directory.join("package");
        if files.is_dir() {
            return Ok(files);
        }
        let npm = program("npm", "npm")?;
        eprintln!("fetching {name} {version} from npm (once)");
        let scratch = tempfile::tempdir_in(&directory).context(|| "can't create a directory for the package")?;
        let mut command = Command::new(npm);
        command.args(["pack", "--silent", "--pack-destination", "."]).arg(format!("{name}@{version}")).current_dir(scratch.path());
        let packed = command.stdin(Stdio::null()).output().context(|| "can't run npm")?;
        if !packed.status.success() {
            let words = String::from_utf8_lossy(&packed.stderr).trim().lines().next_back().unwrap_or_default().to_owned();
            return Err(Error::new(format!("`npm pack {name}@{version}` failed: {words}")));
        }
        let archive = scratch.path().join(format!("{name}-{version}.tgz"));
        let bytes = fs::read(&archive).context(|| "npm fetched no archive")?;
        let found = BASE64_STANDARD.encode(Sha512::digest(&bytes));
        if found != *integrity {
            return Err(Error::new(format!(
                "{name} {version} from npm: expected an archive with the digest sha512-{integrity}, found sha512-{found}"
            )));
        }
        unpack(&bytes, scratch.path()).context(|| format!("can't unpack {name} {version}"))?;
        fs::rename(scratch.path().join("package"), &files).context(|| format!("can't write {}", files.display()))?;
        Ok(files)
    }
}

fn unpack(archive: &[u8], to: &Path) -> std::io::Result<()> {
    tar::Archive::new(GzDecoder::new(archive)).unpack(to)
}
