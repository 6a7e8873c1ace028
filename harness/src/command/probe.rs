// SPDX-License-Identifier: Apache-2.0
//! `tracegate probe`

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Outcome;
use crate::carrier::Carrier;
use crate::error::{Context, Error, Result};
use crate::look::Look;
use crate::output;
use crate::probe::Probe;
use crate::target::Target;
use crate::tls::Roots;

/// Send marked requests through a live gateway and say which trace headers survive.
#[derive(Debug, Args)]
#[command(after_help = "\
The backend must answer with the headers that reached it, as JSON: {\"headers\": [[name, value], …]}
(`cargo harness envoy` without --upstream) or {\"headers\": {name: value, …}} (httpbin's /anything).

There are 15 requests: one without trace headers, one for the headers of each tracing system, one
with all of them, one with a malformed traceparent and one with two. Ids are drawn at random.

Exit code: 0 where W3C Trace Context survives (the same trace, perhaps under a new span) and nothing
malformed reaches the backend; 1 where not; 2 where that can't be told. Other headers that are lost
are shown, and are no finding.

Examples:
  cargo harness probe http://127.0.0.1:8000/
  cargo harness probe http://gateway.example/echo --header 'Ocp-Apim-Subscription-Key: …'
  cargo harness probe http://127.0.0.1:8000/anything --method POST --format json")]
pub(super) struct RunProbe {
    /// Where to send requests: http[s]://HOST[:PORT]/PATH
    #[arg(value_name = "URL")]
    url: String,
    /// A header that goes with every request; may be given several times, and is never shown
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Authorities, as PEM, one of whom must vouch for a gateway that is reached by https, instead of the platform's
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The method; requests have no body
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// For people, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How many seconds a request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl RunProbe {
    pub(super) fn run(self) -> Result<Outcome> {
        let target: Target = self.url.parse()?;
        let headers = self.header.iter().map(|line| header(line)).collect::<Result<Vec<_>>>()?;
        let roots = Roots::for_target(&target, self.cacert.as_deref())?;
        let probe = Probe { target, roots, method: method(&self.method)?.to_owned(), headers, timeout: Duration::from_secs(self.timeout) };
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let report = probe.run(|requests| {
            bar.set_length(requests);
            bar.inc(1);
        });
        bar.finish_and_clear();
        let report = report?;
        let shown = match self.format {
            Format::Json => report.json().context(|| "can't write the results")?,
            Format::Text => {
                let mut shown = String::new();
                report.write(&mut shown, Look::of_stdout()).context(|| "can't write the results")?;
                shown
            }
        };
        output::print(&shown)?;
        Ok(if report.findings() == 0 { Outcome::Clean } else { Outcome::Finding })
    }
}

/// A method that may be answered with a body.
fn method(method: &str) -> Result<&str> {
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if is_method && !matches!(method, "HEAD" | "CONNECT") {
        return Ok(method);
    }
    Err(Error::new("expected --method to name a method in upper case other than HEAD and CONNECT, which have no answer to read"))
}

/// A header's name and value. Neither is shown: a value may be a credential, and so may be what is no header.
fn header(line: &str) -> Result<(String, String)> {
    let wrong = || Error::new("expected --header 'name: value', found another form");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_name || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(wrong());
    }
    if Carrier::named(name.as_bytes()).is_some() || OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
        return Err(Error::new(format!("expected --header to name one that the probe doesn't send by itself, found {name}")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// What the probe decides.
const OURS: [&str; 4] = ["connection", "content-length", "tracegate-probe", "transfer-encoding"];
