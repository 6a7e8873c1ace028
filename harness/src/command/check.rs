// SPDX-License-Identifier: Apache-2.0
//! `tracegate check`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tracegate::config::{Finding, Findings, Severity};

use super::Outcome;
use crate::error::Result;
use crate::output;
use crate::policy::{self, PolicyError};

/// Check policies: everything wrong with them in one run, as FILE:LINE:COL: path: message.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 where all are valid, 2 where one is not.\n\nExamples:\n  cargo harness check policy.yaml\n  cargo harness check edge/*.json --format json"
)]
pub(super) struct Check {
    /// Policies: YAML (.yaml, .yml) or JSON (.json); otherwise JSON where the text begins with {
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
            let mut shown = String::new();
            match policy::read(path) {
                Ok(loaded) => {
                    self.show(&mut shown, &file, &loaded.warnings);
                    let (fingerprint, routes) = (loaded.policy.fingerprint, loaded.policy.routes.routes().len());
                    let gauge = fingerprint.gauge();
                    shown += &match self.format {
                        Format::Text => format!("{file}: valid, fingerprint {fingerprint} (as a gauge {gauge}), {routes} routes\n"),
                        Format::Json => {
                            let valid = json!({"file": file, "valid": true, "fingerprint": fingerprint.to_string(), "gauge": gauge, "routes": routes});
                            format!("{valid}\n")
                        }
                    };
                }
                Err(PolicyError::Invalid { findings, .. }) => {
                    outcome = Outcome::Unusable;
                    self.show(&mut shown, &file, &findings);
                    if self.format == Format::Json {
                        shown += &format!("{}\n", json!({"file": file, "valid": false, "left_out": findings.left_out()}));
                    }
                }
                Err(error @ PolicyError::Unreadable { .. }) => {
                    outcome = Outcome::Unusable;
                    eprintln!("{error}");
                }
            }
            output::print(&shown)?;
        }
        Ok(outcome)
    }

    fn show(&self, shown: &mut String, file: &str, findings: &Findings) {
        for finding in findings.iter() {
            *shown += &match self.format {
                Format::Text => format!("{file}:{finding}\n"),
                Format::Json => format!("{}\n", json_finding(file, finding)),
            };
        }
        if findings.left_out() > 0 && self.format == Format::Text {
            *shown += &format!("{file}: … and {} more\n", findings.left_out());
        }
    }
}

fn json_finding(file: &str, Finding { severity, at, path, problem }: &Finding) -> Value {
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let message = problem.to_string();
    json!({"file": file, "line": at.line, "column": at.column, "path": path, "severity": severity, "message": message})
}
