// SPDX-License-Identifier: Apache-2.0
//! `tracegate package`

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use crate::error::Result;
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
  cargo harness replay --module dist/tracegate-VERSION.wasm")]
pub(super) struct Package {
    /// The directory to write to
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Package {
    pub(super) fn run(self) -> Result<Outcome> {
        let out = self.out.unwrap_or_else(workspace::dist);
        let Packaged { artifacts, compiled_size, unreleased } = package(&Checkout::own(), &out)?;
        let mut shown = String::new();
        for Artifact { path, size, sha256 } in &artifacts {
            let size = size.map_or_else(|| "image".to_owned(), |size| size.to_string());
            let _ = writeln!(shown, "{sha256}  {size:>8}  {}", workspace::display(path));
        }
        output::print(&shown)?;
        let size = artifacts.first().and_then(|module| module.size).unwrap_or_default();
        eprintln!("the module had {compiled_size} bytes before it was optimised for size and described, {size} now");
        if unreleased {
            eprintln!("CHANGELOG.md calls {} unreleased", tracegate::VERSION);
        }
        Ok(Outcome::Clean)
    }
}
