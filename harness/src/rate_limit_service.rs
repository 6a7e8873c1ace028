// SPDX-License-Identifier: Apache-2.0
//! A rate-limit service by hand and for tests: Limitador's engine, of the workspace's package `tracegate-limitador`, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::{tools, workspace};

/// A running service. It ends with its owner.
#[derive(Debug)]
pub struct RateLimitService {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl RateLimitService {
    /// Starts one on a free port, with limits in Limitador's own format, and more `arguments` of the program's.
    ///
    /// # Errors
    ///
    /// When it can't be built or refuses the limits, with its words on standard error.
    pub fn start(limits: &Path, arguments: &[&str]) -> Result<Self> {
        Self::run(&build("service")?, limits, arguments)
    }

    /// Starts one that counts in Redis, at a URL such as `redis://127.0.0.1:6379`. To build it takes clang and some ten minutes.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_on_redis(limits: &Path, url: &str) -> Result<Self> {
        tools::program("clang", "clang libclang-dev")?;
        Self::run(&build("redis")?, limits, &["--redis", url])
    }

    fn run(program: &Path, limits: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--limits").arg(limits).args(["--listen", "127.0.0.1:0", "--until-eof"]).args(arguments);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.context(|| format!("can't run {}", program.display()))?;
        let output = child.stdout.take().ok_or_else(|| Error::new("the rate-limit service has no output"))?;
        let mut service = Self { child, output: BufReader::new(output), address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let line = service.line()?;
        let address = line.strip_prefix("ready grpc=").and_then(|address| address.trim().parse().ok());
        service.address = address.ok_or_else(|| Error::new("the rate-limit service didn't come up"))?;
        Ok(service)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next line that it prints, as it does with `--log`; empty once it is over.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context(|| "can't read from the rate-limit service")?;
        Ok(line)
    }
}

impl Drop for RateLimitService {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the program; without changes this takes well under a second.
///
/// # Errors
///
/// When cargo fails.
fn build(feature: &str) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command.args(["build", "--release", "--locked", "--package", "tracegate-limitador", "--features", feature]);
    let status = command.stdout(std::io::stderr()).status().context(|| "can't run cargo")?;
    if !status.success() {
        return Err(Error::new("the rate-limit service doesn't build"));
    }
    Ok(workspace::target().join("release").join(format!("rate-limit-service{}", std::env::consts::EXE_SUFFIX)))
}
