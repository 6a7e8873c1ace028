// SPDX-License-Identifier: Apache-2.0
//! A rate-limit service for tests: Limitador's engine behind Envoy's protocol, as Limitador's own server has it, with faults on demand.
//!
//! It has one thread. In memory the engine looks and counts in two steps, and of calls on several threads it would now and then admit one too
//! many; here it is exact.

mod command;
mod engine;
mod garbage;
mod service;

use std::process::ExitCode;

use clap::Parser as _;
use command::Command;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rate-limit-service: {error}");
            ExitCode::from(2)
        }
    }
}
