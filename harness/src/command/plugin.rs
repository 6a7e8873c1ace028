// SPDX-License-Identifier: Apache-2.0
//! `tracegate plugin`

use clap::Args;

use super::Outcome;
use crate::error::{Context, Result};
use crate::{module, output, workspace};

/// Build the module: dist/tracegate.wasm. What is released, `package` builds.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cargo plugin")]
pub(super) struct Plugin {}

impl Plugin {
    pub(super) fn run(self) -> Result<Outcome> {
        let path = module::build()?;
        let size = std::fs::metadata(&path).context(|| "can't look at the module")?.len();
        output::print(&format!("{}  {}  {size} bytes\n", workspace::display(&path), tracegate::VERSION))?;
        Ok(Outcome::Clean)
    }
}
