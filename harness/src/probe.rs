// SPDX-License-Identifier: Apache-2.0
//! Probing a live gateway: requests marked by ids of their own go through it to a backend that answers with what reached it,
//! which says whether trace headers survive.
//!
//! ```text
//! plan ─▶ send ─▶ answer ─▶ row ─▶ report
//! ```

mod answer;
mod cause;
mod plan;
mod report;
mod row;

use std::io;
use std::time::{Duration, Instant};

pub use report::Report;

use crate::carrier::{Carrier, Fate};
use crate::error::{Context, Error, Result};
use crate::http::{Connection, Response};
use crate::target::Target;
use crate::tls::Roots;
use answer::{Answer, Arrived};
use plan::{Kind, Marked};
use row::Row;

/// What is probed, and how.
#[derive(Debug)]
pub struct Probe {
    /// The gateway, and the path to ask for.
    pub target: Target,
    /// Whom the gateway must prove its name to, where it is reached by TLS.
    pub roots: Option<Roots>,
    /// The method.
    pub method: String,
    /// Header lines that go with every request: credentials, perhaps.
    pub headers: Vec<(String, String)>,
    /// How long a request may take.
    pub timeout: Duration,
}

impl Probe {
    /// Sends every request, one after the other; `advance` is told when one is answered, and how many there are.
    ///
    /// # Errors
    ///
    /// When the gateway can't be reached, or what answers can't be understood.
    pub fn run(&self, mut advance: impl FnMut(u64)) -> Result<Report> {
        let plan = plan::requests().context(|| "there is no randomness to mark requests with")?;
        let count = u64::try_from(plan.len()).unwrap_or(u64::MAX);
        let mut seen = Vec::with_capacity(plan.len());
        for marked in plan {
            let answer = self.send(&marked).context(|| format!("{} {}", self.method, self.target))?;
            seen.push((marked, answer));
            advance(count);
        }
        let Some((_, Answer::Echoed(bare))) = seen.first() else {
            return Err(Error::new("expected the first request to be answered by the backend"));
        };
        let mut rows: Vec<Row> = Vec::new();
        for (marked, answer) in &seen {
            match marked.kind {
                Kind::Bare => {}
                Kind::All => Row::together(&mut rows, marked, answer, bare),
                Kind::Alone | Kind::Malformed | Kind::Twice => Row::each(&mut rows, marked, answer, bare),
            }
        }
        let added = Carrier::ALL.iter().filter(|carrier| bare.carried.get(**carrier).is_some()).map(|carrier| carrier.name()).collect();
        Ok(Report { target: self.target.to_string(), method: self.method.clone(), requests: count, rows, added, unmarked: !bare.is_marked })
    }

    fn send(&self, marked: &Marked) -> Result<Answer> {
        let until = Instant::now() + self.timeout;
        let within = |error: io::Error, otherwise: &str| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::new(format!("expected an answer within {} s, found none", self.timeout.as_secs()))
            }
            _ => Error::new(format!("{otherwise}: {error}")),
        };
        let stream = self.target.open(until, self.roots.as_ref()).map_err(|error| within(error, "can't connect"))?;
        let exchange = || {
            let mut connection = Connection::over(stream)?;
            connection.limit(until, MAX_ANSWER)?;
            connection.send(&self.bytes(marked))?;
            connection.read_response()
        };
        let expected = format!("expected an answer in HTTP/1.1 of at most {MAX_ANSWER} bytes");
        let response = exchange().map_err(|error| within(error, &expected))?;
        self.understood(marked, &response)
    }

    fn understood(&self, marked: &Marked, response: &Response) -> Result<Answer> {
        match Arrived::read(&response.body, &marked.mark) {
            Ok(Some(arrived)) => Ok(Answer::Echoed(Box::new(arrived))),
            Ok(None) => Err(Error::new("expected the answer to this request, found one to another: something on the way caches")),
            // Whoever takes exception to a header says so by itself; to too many requests it would, too.
            Err(_) if marked.kind != Kind::Bare && REFUSALS.contains(&response.status) => Ok(Answer::Refused(response.status)),
            Err(found) => Err(Error::new(format!(
                "expected a backend that answers with the headers that reached it, as JSON {{\"headers\": [[name, value], …]}} (`cargo \
                 harness envoy` without --upstream) or {{\"headers\": {{name: value, …}}}} (httpbin's /anything), found status {} with \
                 {found}{}",
                response.status,
                if matches!(response.status, 401 | 403) { "; credentials go with --header" } else { "" }
            ))),
        }
    }

    /// The request. A body is never sent; where the method may have one it is empty.
    fn bytes(&self, marked: &Marked) -> Vec<u8> {
        let own_host = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target.path());
        if !own_host {
            text.push_str(&format!("host: {}\r\n", self.target.authority()));
        }
        let usual = [("accept", "application/json"), ("cache-control", "no-cache"), ("connection", "close"), (MARK, &marked.mark)];
        let empty = (self.method != "GET").then_some(("content-length", "0"));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let marks = marked.lines.iter().map(|(carrier, value)| (carrier.name(), value.as_str()));
        for (name, value) in usual.into_iter().chain(empty).chain(own).chain(marks) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// By which an answer is told from another's.
const MARK: &str = "tracegate-probe";
const MAX_ANSWER: usize = 1 << 20;
/// What a gateway answers to headers that it doesn't take.
const REFUSALS: [u16; 4] = [400, 403, 422, 431];
