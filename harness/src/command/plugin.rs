// SPDX-License-Identifier: Apache-2.0
//! `tracegate plugin`

use clap::{Args, ValueEnum};

use super::Outcome;
use crate::error::{Context, Result};
use crate::{module, output, workspace};

/// Build the module: dist/tracegate.wasm; or another face of the same core. What is released, `package` builds.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo plugin\n  cargo plugin --face component")]
pub(super) struct Plugin {
    /// For which hosts
    #[arg(long, value_enum, default_value_t = Face::ProxyWasm)]
    face: Face,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Face {
    /// Envoy and what it is in: dist/tracegate.wasm
    ProxyWasm,
    /// Hosts of the component model, by wit/world.wit: dist/tracegate.component.wasm
    Component,
    /// Pages, and whatever else runs JavaScript: dist/browser
    Browser,
}

impl Plugin {
    pub(super) fn run(self) -> Result<Outcome> {
        let path = match self.face {
            Face::ProxyWasm => module::build(),
            Face::Component => module::build_component(),
            Face::Browser => module::build_browser().map(|directory| directory.join("tracegate_bg.wasm")),
        }?;
        let size = std::fs::metadata(&path).context(|| "can't look at what was built")?.len();
        output::print(&format!("{}  {}  {size} bytes\n", workspace::display(&path), tracegate::VERSION))?;
        Ok(Outcome::Clean)
    }
}
