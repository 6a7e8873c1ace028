// SPDX-License-Identifier: Apache-2.0
//! `tracegate check`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};
use tracegate::config::{Finding, Findings, Loaded, Severity};

use super::Outcome;
use crate::error::{Context as _, Result};
use crate::explain::Explanation;
use crate::look::Look;
use crate::output;
use crate::policy::{self, PolicyError};

/// Check policies: everything wrong with them in one run, as FILE:LINE:COL: path: message.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 where all are valid, 2 where one is not.\n\nExamples:\n  cargo harness check policy.yaml\n  cargo harness check edge/*.json --format json\n  cargo harness check policy.yaml --explain\n  cargo harness check policy.yaml --explain --format json"
)]
pub(super) struct Check {
    /// Policies: YAML (.yaml, .yml) or JSON (.json); otherwise JSON where the text begins with {
    #[arg(required = true, value_name = "POLICY")]
    policies: Vec<PathBuf>,
    /// For people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Also tell who can reach what: each route, who may send its requests, and what the upstream is told of them; what else leaves
    /// the gateway, and where secrets are; as JSON, one document for each valid policy and nothing else about it
    #[arg(long)]
    explain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Check {
    pub(super) fn run(self) -> Result<Outcome> {
        let mut outcome = Outcome::Clean;
        for (index, path) in self.policies.iter().enumerate() {
            let file = path.display().to_string();
            let mut shown = String::new();
            if index > 0 && self.explain && self.format == Format::Text {
                shown.push('\n');
            }
            match policy::read(path) {
                Ok(loaded) => {
                    if self.explain && self.format == Format::Json {
                        shown += &explained(&file, &loaded)?;
                    } else {
                        self.show(&mut shown, &file, &loaded.warnings);
                        shown += &self.valid(&file, &loaded);
                    }
                    if self.explain && self.format == Format::Text {
                        shown += &format!("\n{}", Explanation::new(&loaded)?.text(Look::of_stdout()));
                    }
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

    fn valid(&self, file: &str, Loaded { policy, .. }: &Loaded) -> String {
        let (fingerprint, routes) = (policy.fingerprint, policy.routes.routes().len());
        let gauge = fingerprint.gauge();
        match self.format {
            Format::Text => format!("{file}: valid, fingerprint {fingerprint} (as a gauge {gauge}), {routes} routes\n"),
            Format::Json => {
                let valid = json!({"file": file, "valid": true, "fingerprint": fingerprint.to_string(), "gauge": gauge, "routes": routes});
                format!("{valid}\n")
            }
        }
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

/// Who can reach what, with the warnings that have no line of their own there.
#[derive(Serialize)]
struct Explained<'a> {
    file: &'a str,
    #[serde(flatten)]
    explanation: Explanation,
    warnings: Vec<Value>,
}

fn explained(file: &str, loaded: &Loaded) -> Result<String> {
    let warnings = loaded.warnings.iter().map(|finding| json_finding(file, finding)).collect();
    let explained = Explained { file, explanation: Explanation::new(loaded)?, warnings };
    serde_json::to_string(&explained).map(|line| format!("{line}\n")).context(|| "can't write what was explained")
}

fn json_finding(file: &str, Finding { severity, at, path, problem }: &Finding) -> Value {
    let severity = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let message = problem.to_string();
    json!({"file": file, "line": at.line, "column": at.column, "path": path, "severity": severity, "message": message})
}
