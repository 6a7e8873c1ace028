// SPDX-License-Identifier: Apache-2.0
//! The command line, and the process's life.

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::engine::Engine;
use crate::garbage::Garbage;
use crate::service::Service;

/// Answer Envoy's rate-limit service with Limitador's engine, for tests. Ready, it says `ready grpc=ADDRESS`; a signal ends it.
#[derive(Debug, Parser)]
#[command(name = "rate-limit-service", version)]
pub(crate) struct Command {
    /// Limits, in Limitador's format
    #[arg(long, value_name = "FILE")]
    limits: PathBuf,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Headers that answers bring along for the response
    #[arg(long, value_name = "WHICH", default_value = "none")]
    rate_limit_headers: RateLimitHeaders,
    /// Count in Redis
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// End when standard input does, too
    #[arg(long)]
    until_eof: bool,
    /// Print each request and what it is answered, as a line of JSON
    #[arg(long)]
    log: bool,
    #[command(flatten)]
    faults: Faults,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Faults")]
pub(crate) struct Faults {
    /// Count at once, and answer this much later: 50ms, 2s
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub(crate) delay: Duration,
    /// Count nothing, and answer with a gRPC status: 14, unavailable
    #[arg(long, value_name = "STATUS", value_parser = failure)]
    pub(crate) fail: Option<Code>,
    /// Count nothing, and answer with bytes that are no message
    #[arg(long, conflicts_with = "fail")]
    pub(crate) garbage: bool,
}

/// Limitador's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RateLimitHeaders {
    /// None
    None,
    /// X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset
    Draft03,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), Box<dyn Error>> {
        #[cfg(feature = "redis")]
        let engine = match &self.redis {
            Some(url) => Engine::in_redis(url).await?,
            None => Engine::in_memory(),
        };
        #[cfg(not(feature = "redis"))]
        let engine = Engine::in_memory();
        engine.read(&self.limits).await?;
        let service = Service::new(engine, self.rate_limit_headers, self.faults, self.log);

        let listener = TcpListener::bind(self.listen).await.map_err(|error| format!("can't listen on {}: {error}", self.listen))?;
        let address = listener.local_addr()?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let router = if self.faults.garbage {
            Server::builder().add_service(Garbage::new(service))
        } else {
            Server::builder().add_service(RateLimitServiceServer::new(service))
        };
        let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        say(format_args!("ready grpc={address}"));
        tokio::select! {
            ended = router.serve_with_incoming(incoming) => ended?,
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            () = end_of_input(), if self.until_eof => {}
        }
        Ok(())
    }
}

/// Prints a line at once. Nobody need read it.
pub(crate) fn say(line: impl std::fmt::Display) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Waits for standard input to end, whatever it holds.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(ended);
    });
    let _ = end.await;
}

fn duration(text: &str) -> Result<Duration, String> {
    let read = match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s').and_then(|number| number.parse().ok()).map(Duration::from_secs),
    };
    read.ok_or_else(|| "expected a duration such as 50ms or 2s".to_owned())
}

fn failure(text: &str) -> Result<Code, String> {
    let name = text.to_ascii_lowercase().replace(['-', '_'], "");
    let known =
        (1..=16).map(Code::from_i32).find(|code| name == i32::from(*code).to_string() || name == format!("{code:?}").to_lowercase());
    known.ok_or_else(|| "expected a gRPC status from 1 to 16, or its name".to_owned())
}
