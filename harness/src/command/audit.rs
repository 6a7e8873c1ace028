// SPDX-License-Identifier: Apache-2.0
//! `tracegate audit`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Outcome;
use crate::audit::Verification;
use crate::error::Result;
use crate::look::Look;
use crate::output;
use crate::recording::Files;
use crate::replay::Progress;

/// Verify audit records: whether they are as the gateway wrote them, and all there.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Verify),
}

/// Tell changes, gaps and restarts apart in logs that hold audit records.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads a gateway's log as it is, a container's JSON lines, or a collector's file of OTLP as JSON. Keys stand in environment variables, in base64.\n\nExit code: 0 where every record is genuine and none is missing, 1 where one isn't, 2 where nothing can be verified.\n\nExamples:\n  cargo harness audit verify envoy.log --key TRACEGATE_AUDIT_KEY\n  cargo harness audit verify envoy.log.1 envoy.log --key TRACEGATE_AUDIT_KEY --retired OLD_AUDIT_KEY@2026-11-30T10:00:00Z\n  cargo harness audit verify envoy.log --key TRACEGATE_AUDIT_KEY --against otel-logs.json\n  kubectl logs gateway | cargo harness audit verify - --key TRACEGATE_AUDIT_KEY --partial"
)]
struct Verify {
    /// Logs, in any order; - is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Environment variables that hold the keys in use
    #[arg(long = "key", required_unless_present = "retired", value_name = "VARIABLE")]
    keys: Vec<String>,
    /// Environment variables that hold keys which others have replaced, each until then, as 2026-11-30T10:00:00Z; without that, until another one takes over in a chain. What is chained with one later is a finding
    #[arg(long, value_name = "VARIABLE[@UNTIL]")]
    retired: Vec<String>,
    /// What another output has of the same records, such as a collector: what it has and the logs lack was taken out of them
    #[arg(long, value_name = "LOG")]
    against: Vec<PathBuf>,
    /// The logs were rotated: what came before them isn't missing
    #[arg(long)]
    partial: bool,
    /// For people, or one JSON document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Audit {
    pub(super) fn run(self) -> Result<Outcome> {
        let Command::Verify(verify) = self.command;
        verify.run()
    }
}

impl Verify {
    fn run(self) -> Result<Outcome> {
        let verification = Verification::new(&self.keys, &self.retired, self.partial)?;
        let files = Files([self.logs.as_slice(), &self.against].concat());
        let mut progress = Progress::over(&files, !self.quiet);
        let report = verification.run(&self.logs, &self.against, &mut progress);
        progress.bar.finish_and_clear();
        let report = report?;
        match self.format {
            Format::Text => output::print(&report.text(Look::of_stdout()))?,
            Format::Json => output::print(&format!("{:#}\n", report.json()))?,
        }
        Ok(if report.findings() == 0 { Outcome::Clean } else { Outcome::Finding })
    }
}
