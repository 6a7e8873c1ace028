// SPDX-License-Identifier: Apache-2.0
//! Recorded traffic: read from any layout, redacted on load, put in time order.

mod by_request;
mod columns;
mod container;
mod csv;
mod cut;
mod decode;
mod field;
mod fields;
mod files;
mod flat;
mod frame;
mod gateway_logs;
mod insights;
mod layout;
mod logged;
mod lookahead;
mod native;
mod numbered;
mod order;
mod parts;
mod records;
mod row;
mod scanner;
mod skip;
mod source;
mod splitter;
mod stream;
mod table;
mod told;

use std::time::Duration;

use jiff::Timestamp;
use tracegate::trace::TraceId;

pub use files::Files;
pub use order::{InOrder, Ordered, WINDOW};
pub use records::Records;
pub use stream::in_order;

use crate::carrier::Carried;
use crate::host::HeaderMap;

/// One recorded exchange, whatever layout it was read from.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where it stands.
    pub place: Place,
    /// How long the record is, in bytes.
    pub size: usize,
    /// When the gateway received the request.
    pub time: Timestamp,
    /// The request.
    pub request: Request,
    /// The response.
    pub response: Response,
    /// How long both were.
    pub sizes: Sizes,
    /// How long it took.
    pub durations: Durations,
    /// Who called, as far as the record tells.
    pub caller: Caller,
    /// What the exchange is called elsewhere: correlation id, request id, Application Insights' operation.
    pub ids: Vec<String>,
    /// What API Management said about it.
    pub apim: Option<Apim>,
    /// What the recording's author expects.
    pub expect: Option<Expect>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, by its place among the arguments.
    pub file: usize,
    /// Counts the file's well-formed exchanges from 0.
    pub index: u64,
    /// The line on which the record begins, from 1.
    pub line: u64,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// Path and query, credentials in the query redacted.
    pub path: String,
    /// Header lines, without pseudo-headers; those that were logged.
    pub headers: HeaderMap,
}

/// A recorded response.
#[derive(Clone, Debug)]
pub struct Response {
    /// What the backend answered.
    pub status: u16,
    /// Header lines.
    pub headers: HeaderMap,
}

/// How many bytes an exchange had, as far as the record tells. API Management counts heads with bodies, and a refusal's bytes where it refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// From the client.
    pub request: Option<u64>,
    /// To the client.
    pub response: Option<u64>,
}

/// How long an exchange took, as far as the record tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// From the request's first byte to the response's last.
    pub total: Option<Duration>,
    /// Of it, what the backend took.
    pub backend: Option<Duration>,
}

/// Who sent a request. Ids name entities, they are no credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The network address, without a port; it may be an intermediary's.
    pub address: Option<String>,
    /// API Management's subscription.
    pub subscription: Option<String>,
    /// API Management's user.
    pub user: Option<String>,
    /// API Management's product.
    pub product: Option<String>,
    /// What a client certificate said.
    pub certificate: Option<Certificate>,
}

/// What a client certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The first URI among its alternative names.
    pub uri_san: Option<String>,
    /// The first DNS name among them.
    pub dns_san: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Whether the listener had verified it.
    pub verified: bool,
}

impl Certificate {
    /// Everything that it says.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        [&self.uri_san, &self.dns_san, &self.subject, &self.sha256].into_iter().flatten()
    }
}

/// What API Management recorded about an exchange.
#[derive(Clone, Debug, Default)]
pub struct Apim {
    /// The API's name.
    pub api: Option<String>,
    /// The operation's name.
    pub operation: Option<String>,
    /// What the client got.
    pub response_code: Option<u16>,
    /// What the backend answered; `None` or 0 where the request was not forwarded.
    pub backend_response_code: Option<u16>,
    /// The backend's name.
    pub backend_id: Option<String>,
    /// What was called there, credentials redacted.
    pub backend_url: Option<String>,
    /// The trace that the backend was called in, where that was logged.
    pub trace_id: Option<TraceId>,
    /// The trace headers that the backend was called with; `None` where no header of that request was logged.
    pub backend_request: Option<Carried>,
    /// The last error, if there was one.
    pub last_error: Option<LastError>,
    /// Whether a last error would have been recorded: where not, its absence says nothing.
    pub errors_recorded: bool,
    /// Whether a subscription would have been recorded: where not, its absence says nothing.
    pub subscriptions_recorded: bool,
}

/// API Management's `lastError`.
#[derive(Clone, Debug)]
pub struct LastError {
    /// The policy or stage that failed.
    pub source: Option<String>,
    /// The reason code.
    pub reason: Option<String>,
    /// The text for people, which names the header that `check-header` judged.
    pub message: Option<String>,
}

/// What a recording's author expects of an exchange; what is `None` is not compared.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Whether the request is admitted.
    pub admitted: Option<bool>,
    /// The client's status.
    pub status: Option<u16>,
    /// The reason code; `Some(None)` for none.
    pub reason: Option<Option<String>>,
    /// Headers at the upstream: name and lines; `None` for absent.
    pub upstream_headers: Vec<(String, Option<Vec<Vec<u8>>>)>,
    /// Headers at the client.
    pub response_headers: Vec<(String, Option<Vec<Vec<u8>>>)>,
}

/// A record or a file that can't be replayed: where and why.
#[derive(Debug)]
pub struct Unread {
    /// The file, by its place among the arguments.
    pub file: usize,
    /// The line on which it begins, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the whole file is lost, not one record.
    pub fatal: bool,
}
