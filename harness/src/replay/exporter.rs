// SPDX-License-Identifier: Apache-2.0
//! Sends what left of exchanges on to a collector, by OTLP over HTTP in protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>): spans with the
//! times at which they were recorded, so that yesterday's traffic can be looked at today.

use std::fmt;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::spans::human;
use crate::error::{Context as _, Error, Result};
use crate::http::{Connection, Response};
use crate::look::printable;
use crate::otlp::{Batch, Request, read_answer};
use crate::redact::percent_decoded;
use crate::target::Target;
use crate::tls::{Roots, Stream};

/// A collector that spans are sent to. Any failure is the last: what has been taken before is told with it.
pub struct Exporter {
    target: Target,
    /// Whom the collector must prove its name to, where it is reached by TLS.
    roots: Option<Roots>,
    /// Names and values, which may be secrets.
    headers: Vec<(String, String)>,
    /// `None` where the collector has closed it.
    connection: Option<Connection<Stream>>,
    batch: Batch,
    sent: Sent,
}

/// What a collector has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    spans: u64,
    batches: u64,
    bytes: u64,
    url: String,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exporter").field("target", &self.target).field("sent", &self.sent).finish_non_exhaustive()
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spans, batches, bytes, url } = self;
        if *spans == 0 {
            return write!(formatter, "exported nothing to {url}: the policy records none of what is shown");
        }
        write!(formatter, "exported {spans} spans in {batches} batches ({}) to {url}", human(*bytes))
    }
}

impl Exporter {
    /// Connects to the collector at a URL; one without a path is asked for `/v1/traces`. By `https` it must prove its name to an authority in the file
    /// `cacert`, or else to the platform's.
    ///
    /// # Errors
    ///
    /// When the URL is none, nobody listens there, or somebody who isn't believed.
    pub fn connect(url: &str, cacert: Option<&Path>, headers: Vec<(String, String)>) -> Result<Self> {
        let target: Target = url.parse().context(|| "--export")?;
        let target = if target.path() == "/" { target.with_path("/v1/traces") } else { target };
        let roots = Roots::for_target(&target, cacert)?;
        let sent = Sent { url: target.to_string(), ..Sent::default() };
        let mut exporter = Self { target, roots, headers, connection: None, batch: Batch::default(), sent };
        exporter.connection = Some(exporter.open().context(|| format!("{}: can't connect", exporter.sent.url))?);
        Ok(exporter)
    }

    fn open(&self) -> io::Result<Connection<Stream>> {
        Connection::over(self.target.open(Instant::now() + TIMEOUT, self.roots.as_ref())?)
    }

    /// Takes an exchange's spans, and sends a batch once it is full.
    ///
    /// # Errors
    ///
    /// When the collector doesn't take it.
    pub fn add(&mut self, request: &Request) -> Result<()> {
        self.batch.add(request);
        if self.batch.count() >= MAX_BATCH { self.send() } else { Ok(()) }
    }

    /// Sends what is left, and tells what has been taken.
    ///
    /// # Errors
    ///
    /// When the collector doesn't take it.
    pub fn finish(mut self) -> Result<Sent> {
        if self.batch.count() > 0 {
            self.send()?;
        }
        Ok(self.sent)
    }

    fn send(&mut self) -> Result<()> {
        let batch = self.batch.take();
        let (count, body) = (batch.count(), batch.body());
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let response = self.post(&body).map_err(|error| self.failed(count, &error.to_string()))?;
            match response.status {
                200..=299 => {
                    let Ok(answer) = read_answer(&response.body) else {
                        return Err(self.failed(count, "found an answer that is none of OTLP: is it a collector's URL?"));
                    };
                    if answer.rejected > 0 {
                        let Sent { spans, batches, .. } = &mut self.sent;
                        (*spans, *batches) = (*spans + count.saturating_sub(answer.rejected), *batches + 1);
                        let found = format!("found {} of them rejected: {}", answer.rejected, self.told(&answer.message));
                        return Err(self.failed(count, &found));
                    }
                    self.sent.spans += count;
                    self.sent.batches += 1;
                    self.sent.bytes += body.len() as u64;
                    return Ok(());
                }
                429 | 502..=504 if attempt < MAX_ATTEMPTS => {
                    thread::sleep(retry_after(&response).unwrap_or(wait).min(MAX_WAIT));
                    wait *= 2;
                }
                status @ (429 | 502..=504) => return Err(self.failed(count, &format!("found status {status}, {attempt} times"))),
                status => return Err(self.failed(count, &format!("found status {status}{}", hint(status)))),
            }
        }
        Ok(())
    }

    /// Sends a request; anew where the collector has closed a connection that was kept.
    fn post(&mut self, body: &[u8]) -> io::Result<Response> {
        if let Some(connection) = &mut self.connection
            && let Ok(response) = exchange(connection, &self.target, &self.headers, body)
        {
            return Ok(self.keep(response));
        }
        self.connection = None;
        let opened = self.open()?;
        let connection = self.connection.insert(opened);
        let response = exchange(connection, &self.target, &self.headers, body)?;
        Ok(self.keep(response))
    }

    fn keep(&mut self, response: Response) -> Response {
        if response.field("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
            self.connection = None;
        }
        response
    }

    /// What a collector says, in short; nothing of it where it repeats a header's value.
    fn told(&self, message: &str) -> String {
        let mut words = self.headers.iter().flat_map(|(_, value)| value.split(' ')).filter(|word| word.len() >= MIN_WORD);
        if words.any(|word| message.contains(word)) {
            return "what it says of them has a header's value in it, and is withheld".to_owned();
        }
        printable(message).chars().take(MAX_MESSAGE).collect()
    }

    fn failed(&self, count: u64, found: &str) -> Error {
        let Sent { spans, batches, url, .. } = &self.sent;
        Error::new(format!(
            "{url}: expected a batch of {count} spans to be taken, {found}; {spans} spans in {batches} batches have been taken"
        ))
    }
}

fn exchange(connection: &mut Connection<Stream>, target: &Target, headers: &[(String, String)], body: &[u8]) -> io::Result<Response> {
    let mut head = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", target.path(), target.authority());
    head += &format!(
        "content-type: application/x-protobuf\r\ncontent-length: {}\r\nuser-agent: tracegate/{}\r\n",
        body.len(),
        tracegate::VERSION
    );
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    connection.limit(Instant::now() + TIMEOUT, MAX_ANSWER)?;
    connection.send(&[head.as_bytes(), b"\r\n", body].concat())?;
    connection.read_response()
}

/// What a collector asks to wait, in seconds. Dates are for those who come again later.
fn retry_after(response: &Response) -> Option<Duration> {
    std::str::from_utf8(response.field("retry-after")?).ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": credentials go into OTEL_EXPORTER_OTLP_HEADERS",
        404 | 405 => ": is it the URL at which it takes traces?",
        _ => "",
    }
}

/// The headers that the environment asks for: `OTEL_EXPORTER_OTLP_TRACES_HEADERS`, or else `OTEL_EXPORTER_OTLP_HEADERS`, as `name=value,name=value` with
/// values percent-encoded (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
///
/// # Errors
///
/// When it is none, or names what a request has anyway. Values are never shown.
pub fn headers(variable: impl Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>> {
    let found = HEADERS.into_iter().find_map(|name| Some((name, variable(name)?)));
    let Some((name, text)) = found else { return Ok(Vec::new()) };
    let header = |(place, pair): (usize, &str)| {
        let wrong = |expected: &str| Error::new(format!("{name}: header {place}: expected {expected}, found something else"));
        let (header, value) = pair.split_once('=').ok_or_else(|| wrong("NAME=VALUE"))?;
        let (header, value) = (header.trim().to_ascii_lowercase(), percent_decoded(value.trim()));
        let is_name = !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !is_name || TAKEN.contains(&header.as_str()) {
            return Err(wrong("a header's name, and none that the request has anyway"));
        }
        if !value.bytes().all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7f) {
            return Err(wrong("a header's value"));
        }
        Ok((header, value))
    };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    (1..).zip(pairs).map(header).collect()
}

const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TAKEN: [&str; 6] = ["host", "content-type", "content-length", "user-agent", "connection", "transfer-encoding"];
/// As many as OpenTelemetry's batch processors send together.
const MAX_BATCH: u64 = 512;
/// How long a connection and an answer are waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 1 << 20;
/// How often a batch is sent that may be sent again.
const MAX_ATTEMPTS: u32 = 5;
/// After the first failure; then twice as long each time, or as the collector says.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Of what a collector says of what it rejects.
const MAX_MESSAGE: usize = 200;
/// Bytes of the shortest word of a header's value that is looked for there.
const MIN_WORD: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_the_environments_and_values_are_not_shown() {
        let of = |text: &'static str| headers(|name| (name == HEADERS[1]).then(|| text.to_owned()));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(of("").unwrap(), []);
        assert_eq!(of("Authorization=Bearer%20a=b, x-tenant = t,").unwrap(), [pair("authorization", "Bearer a=b"), pair("x-tenant", "t")]);
        let both = headers(|name| Some(if name == HEADERS[0] { "a=traces" } else { "a=all" }.to_owned())).unwrap();
        assert_eq!(both, [pair("a", "traces")]);
        for (text, place) in
            [("s3cret", 1), ("a=b,s3cret", 2), ("a=s3cret%0d%0ax: y", 1), ("host=s3cret", 1), ("a b=s3cret", 1), ("=s3cret", 1)]
        {
            let error = of(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("OTEL_EXPORTER_OTLP_HEADERS: header {place}: expected ")) && !error.contains("s3cret"),
                "{error}"
            );
        }
    }
}
