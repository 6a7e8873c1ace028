// SPDX-License-Identifier: Apache-2.0
//! The `tracegate` command.

use std::process::ExitCode;

use clap::Parser as _;
use tracegate_harness::command::{Cli, Outcome};
use tracegate_harness::look::complain;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Finding) => ExitCode::from(1),
        Ok(Outcome::Unusable) => ExitCode::from(2),
        Err(error) => {
            complain(&format!("tracegate: {error}"));
            ExitCode::from(2)
        }
    }
}
