// SPDX-License-Identifier: Apache-2.0
//! What is released of a version: the module, optimised and described, and everything that goes with it. The same bytes from any checkout of the
//! same commit, with the same compiler.

mod dependency;
mod note;
mod oci;
mod optimise;
mod sbom;
mod section;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tracegate::config;

use crate::error::{Context, Error, Result};
use crate::module::Checkout;
use crate::output::OutputFile;
use oci::Variant;

/// Something that is released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The file or, for an image, its layout's directory.
    pub path: PathBuf,
    /// Its size in bytes; none for an image.
    pub size: Option<usize>,
    /// SHA-256 of the file, or of the image's manifest.
    pub sha256: String,
}

/// What was released, and what to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The module first.
    pub artifacts: Vec<Artifact>,
    /// How many bytes the module had before it was optimised.
    pub compiled_size: usize,
    /// What speaks against releasing it.
    pub doubts: Vec<String>,
}

/// Builds everything that is released of `checkout` and writes it to `out`; for a `release` only where nothing speaks against it.
///
/// # Errors
///
/// When something can't be built, found, written or released. What is in `out` then may be of different runs.
pub fn package(checkout: &Checkout, out: &Path, release: bool) -> Result<Package> {
    let changelog = checkout.root().join("CHANGELOG.md");
    let changelog = fs::read_to_string(&changelog).context(|| format!("can't read {}", changelog.display()))?;
    let (changes, unreleased) = note::cut(&changelog, tracegate::VERSION)?;
    let mut doubts = Vec::new();
    if unreleased {
        doubts.push(format!("CHANGELOG.md calls {} unreleased", tracegate::VERSION));
    }
    // What was changed is no commit's.
    let revision = checkout.revision();
    if !matches!(revision, Some((_, true))) {
        doubts.push("what is checked out is no commit as it is".to_owned());
    }
    if release && !doubts.is_empty() {
        return Err(Error::new(format!("{} can't be released: {}", tracegate::VERSION, doubts.join(", "))));
    }
    let revision = revision.and_then(|(commit, is_clean)| is_clean.then_some(commit));
    let compiled = checkout.build()?;
    let (dependencies, own) = dependency::dependencies(checkout)?;
    let wasm = section::describe(optimise::optimise(&compiled)?, &dependencies, own)?;
    let digest: [u8; 32] = Sha256::digest(&wasm).into();
    let compiler = checkout.rustc(&["--version"])?.trim_start_matches("rustc ").to_owned();
    let bill = sbom::sbom(&dependencies, own, &digest, &[("rustc", &compiler), ("binaryen", optimise::VERSION)]);

    fs::create_dir_all(out).context(|| format!("can't create {}", out.display()))?;
    let name = |suffix: &str| format!("tracegate-{}{suffix}", tracegate::VERSION);
    let digits = hex::encode(digest);
    let mut artifacts = vec![write(out, &name(".wasm"), &wasm)?];
    artifacts.push(write(out, &name(".wasm.sha256"), format!("{digits}  {}\n", name(".wasm")).as_bytes())?);
    artifacts.push(write(out, &name(".cdx.json"), format!("{bill:#}\n").as_bytes())?);
    artifacts.push(write(out, &name(".schema.json"), format!("{:#}\n", config::json_schema()).as_bytes())?);
    let mut images = Vec::new();
    for variant in Variant::ALL {
        let path = out.join(name(&format!("-{}", variant.name())));
        images.push(Artifact { sha256: replace(&path, |path| variant.write(&wasm, revision.as_deref(), path))?, path, size: None });
    }
    let note = release_note(changes, &artifacts, &images, &compiler);
    artifacts.push(write(out, &name(".md"), note.as_bytes())?);
    artifacts.extend(images);
    Ok(Package { artifacts, compiled_size: compiled.len(), doubts })
}

fn write(out: &Path, name: &str, bytes: &[u8]) -> Result<Artifact> {
    let path = out.join(name);
    let mut file = OutputFile::create(&path)?;
    file.write_all(bytes).context(|| format!("can't write {}", path.display()))?;
    file.commit()?;
    Ok(Artifact { path, size: Some(bytes.len()), sha256: hex::encode(Sha256::digest(bytes)) })
}

/// Puts a directory that `fill` writes in the place of what is there, whole.
fn replace<T>(path: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let failed = || format!("can't write {}", path.display());
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    let scratch = tempfile::tempdir_in(parent).context(failed)?;
    let made = scratch.path().join("made");
    fs::create_dir(&made).context(failed)?;
    let filled = fill(&made)?;
    if path.exists() {
        fs::rename(path, scratch.path().join("old")).context(failed)?;
    }
    fs::rename(&made, path).context(failed)?;
    Ok(filled)
}

/// This version's changes, and how to tell that what one has is what was released.
fn release_note(changes: &str, files: &[Artifact], images: &[Artifact], compiler: &str) -> String {
    let row = |artifact: &Artifact| {
        let name = artifact.path.file_name().unwrap_or_default().to_string_lossy();
        format!("| `{name}` | `{}` |\n", artifact.sha256)
    };
    let files: String = files.iter().map(row).collect();
    let images: String = images.iter().map(row).collect();
    format!(
        "# tracegate {version}\n\n{changes}\n\n## Digests\n\n| file | SHA-256 |\n|---|---|\n{files}\n| image layout | SHA-256 of its manifest |\n|---|---|\n\
         {images}\nBuilt with rustc {compiler}; `cargo harness package` on the same commit, with the same compiler, gives the same bytes.\n",
        version = tracegate::VERSION
    )
}

const DESCRIPTION: &str = "An edge policy for Envoy and compatible gateways, decided on metadata only";
const LICENSE: &str = env!("CARGO_PKG_LICENSE");
const SOURCE: &str = env!("CARGO_PKG_REPOSITORY");
