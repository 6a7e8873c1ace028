// SPDX-License-Identifier: Apache-2.0
//! `tracegate schema`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use tracegate::config;

use super::Outcome;
use crate::error::{Context, Result};
use crate::output::{self, OutputFile};

/// Print the JSON Schema of the policy document (draft 2020-12), for editors.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo harness schema\n  cargo harness schema --out policy.schema.json")]
pub(super) struct Schema {
    /// Write it to a file, whole or not at all
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Schema {
    pub(super) fn run(self) -> Result<Outcome> {
        let text = format!("{:#}\n", config::json_schema());
        match &self.out {
            None => output::print(&text)?,
            Some(path) => {
                let mut file = OutputFile::create(path)?;
                file.write_all(text.as_bytes()).context(|| format!("can't write {}", path.display()))?;
                file.commit()?;
            }
        }
        Ok(Outcome::Clean)
    }
}
