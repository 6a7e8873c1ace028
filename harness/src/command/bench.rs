// SPDX-License-Identifier: Apache-2.0
//! `tracegate bench`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Outcome;
use crate::error::Result;
use crate::{bench, output};

/// Measure: every figure comes with its ratio to another one of the same run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo harness bench core\n  cargo harness bench faces\n  cargo harness bench host\n  cargo harness bench envoy --proxied\n  cargo harness bench envoy --only limit --rounds 10\n  cargo harness bench envoy --only 'whole job' --against dist/tracegate-0.1.0.wasm\n  cargo harness bench quotas --rate 1000"
)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The core's parsers and steps, natively: nanoseconds a step
    Core,
    /// One request through each face of the core, and the faces' sizes
    Faces,
    /// Whole exchanges through the module in the native host: exchanges a second, fuel an exchange
    Host {
        /// The module, instead of this checkout's: `dist/tracegate-VERSION.wasm` is the one that is released
        #[arg(long, value_name = "FILE")]
        module: Option<PathBuf>,
    },
    /// The module in real Envoy: CPU a request, over the router alone and over a plugin that does nothing
    Envoy {
        /// How often each variant is measured, interleaved
        #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rounds: u32,
        /// Requests a round
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..))]
        requests: u32,
        /// With an upstream behind Envoy; otherwise Envoy answers itself
        #[arg(long)]
        proxied: bool,
        /// Only variants whose names hold this, beside the router and the plugin that does nothing
        #[arg(long, value_name = "TEXT")]
        only: Vec<String>,
        /// Another module, such as the one that is released, at the whole job too
        #[arg(long, value_name = "FILE")]
        against: Vec<PathBuf>,
    },
    /// A limit across machines: how long requests take and how many wait, asked about each and in slices
    Quotas {
        /// Requests a second
        #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5000))]
        rate: u32,
        /// For how many seconds
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
        seconds: u32,
    },
}

impl Bench {
    pub(super) fn run(self) -> Result<Outcome> {
        let shown = match self.what {
            What::Core => bench::core(),
            What::Faces => bench::faces(),
            What::Host { module } => bench::host(module),
            What::Envoy { rounds, requests, proxied, only, against } => bench::envoy(rounds, requests, proxied, &only, &against),
            What::Quotas { rate, seconds } => bench::quotas(rate, seconds),
        }?;
        output::print(&shown)?;
        Ok(Outcome::Clean)
    }
}
