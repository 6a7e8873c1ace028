// SPDX-License-Identifier: Apache-2.0
//! `tracegate package`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use crate::error::{Error, Result};
use crate::look::complain;
use crate::module::Checkout;
use crate::package::{Artifact, Package as Packaged, package};
use crate::{output, workspace};

/// Build what is released: the module, optimised and described, its digest, bill of materials, schema, note and images.
#[derive(Debug, Args)]
#[command(after_help = "\
It takes Node.js and npm, which fetches Binaryen's wasm-opt.

Images are OCI layouts: `skopeo copy oci:DIRECTORY docker://REGISTRY/tracegate:VERSION` pushes one.

Examples:
  cargo harness package
  cargo harness package --tag vVERSION
  cargo harness replay --module dist/tracegate-VERSION.wasm")]
pub(super) struct Package {
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only if this is the version's tag, the change log calls it released, and what is checked out is a commit as it is
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl Package {
    pub(super) fn run(self) -> Result<Outcome> {
        let expected = format!("v{}", tracegate::VERSION);
        if let Some(tag) = self.tag.as_ref().filter(|tag| **tag != expected) {
            return Err(Error::new(format!("expected the tag {expected}, found {tag}")));
        }
        let out = self.out.unwrap_or_else(workspace::dist);
        let Packaged { artifacts, compiled_size, doubts } = package(&Checkout::own(), &out, self.tag.is_some())?;
        let mut shown = String::new();
        for Artifact { path, size, sha256 } in &artifacts {
            let size = size.map_or_else(|| "image".to_owned(), |size| size.to_string());
            let _ = writeln!(shown, "{sha256}  {size:>8}  {}", workspace::display(path));
        }
        output::print(&shown)?;
        let size = artifacts.first().and_then(|module| module.size).unwrap_or_default();
        eprintln!("the module had {compiled_size} bytes before it was optimised for size and described, {size} now");
        doubts.iter().for_each(|doubt| complain(doubt));
        Ok(Outcome::Clean)
    }
}
