// SPDX-License-Identifier: Apache-2.0
//! The command line: results go to standard output and nothing else does.

mod audit;
mod bench;
mod check;
mod digest;
mod envoy;
mod package;
mod plugin;
mod probe;
mod render;
mod replay;
mod schema;
mod test;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// An edge policy for Envoy and compatible gateways: replay recorded traffic through it, check policies, run real Envoy.
#[derive(Debug, Parser)]
#[command(name = "tracegate", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Replay),
    Check(check::Check),
    Render(render::Render),
    Schema(schema::Schema),
    Audit(audit::Audit),
    Digest(digest::Digest),
    Envoy(envoy::RunEnvoy),
    Probe(probe::RunProbe),
    Plugin(plugin::Plugin),
    Package(package::Package),
    Bench(bench::Bench),
    Test(test::Test),
}

/// What a command found; the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// 0: all is well.
    Clean,
    /// 1: there is something to look at.
    Finding,
    /// 2: the input can't be used.
    Unusable,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the command can't do its work; the process then ends with code 2.
    pub fn run(self) -> Result<Outcome> {
        match self.command {
            Command::Replay(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Render(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Audit(command) => command.run(),
            Command::Digest(command) => command.run(),
            Command::Envoy(command) => command.run(),
            Command::Probe(command) => command.run(),
            Command::Plugin(command) => command.run(),
            Command::Package(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Test(command) => command.run(),
        }
    }
}
