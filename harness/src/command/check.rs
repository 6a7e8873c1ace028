// SPDX-License-Identifier: Apache-2.0
//! `tracegate check`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use tracegate::config::{Finding, Severity};

use super::Outcome;
use crate::error::Result;
use crate::policy::{self, PolicyError};

/// Check policies: everything wrong with them in one run, as FILE:LINE:COL: path: message.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cargo harness check policy.yaml\n  cargo harness check edge/*.json --format json")]
pub(super) struct Check {
    /// Policies: YAML where the name ends in .yaml or .yml, else JSON
    #[arg(required = true, value_name = "POLICY")]
    policies: Vec<PathBuf>,
    /// For people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Check {
    pub(super) fn run(self) -> Result<Outcome> {
        let mut outcome = Outcome::Clean;
        for path in &self.policies {
            let file = path.display().to_string();
            match policy::read(path) {
                Ok(loaded) => {
                    loaded.warnings.iter().for_each(|finding| self.show(&file, finding));
                    let (fingerprint, routes) = (loaded.policy.fingerprint, loaded.policy.routes.routes.len());
                    match self.format {
                        Format::Text => println!("{file}: valid, fingerprint {fingerprint}, {routes} routes"),
                        Format::Json => {
                            println!("{}", json!({"file": file, "valid": true, "fingerprint": fingerprint.to_string(), "routes": routes}))
                        }
                    }
                }
                Err(PolicyError::Invalid { findings, .. }) => {
                    outcome = Outcome::Unusable;
                    findings.iter().for_each(|finding| self.show(&file, finding));
                    if self.format == Format::Json {
                        println!("{}", json!({"file": file, "valid": false}));
                    }
                }
                Err(error @ PolicyError::Unreadable { .. }) => {
                    outcome = Outcome::Unusable;
                    eprintln!("{error}");
                }
            }
        }
        Ok(outcome)
    }

    fn show(&self, file: &str, finding: &Finding) {
        match self.format {
            Format::Text => println!("{file}:{finding}"),
            Format::Json => {
                let Finding { severity, at, path, problem } = finding;
                let severity = match severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                };
                let message = problem.to_string();
                println!(
                    "{}",
                    json!({"file": file, "line": at.line, "column": at.column, "path": path, "severity": severity, "message": message})
                );
            }
        }
    }
}
