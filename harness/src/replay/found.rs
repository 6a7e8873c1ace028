// SPDX-License-Identifier: Apache-2.0
//! What `--find` tells of an exchange: who called what, in which trace, and where it failed.

use std::fmt;

use serde::Serialize;
use tracegate::trace::TraceId;

use super::failed::Failed;
use super::{Decided, Replayed, trace_id};
use crate::Redactor;
use crate::look::{Look, Style, printable};
use crate::recording::{Caller, Certificate, Recorded};

/// One exchange, as the record and the replay tell it.
#[derive(Debug, Serialize)]
pub(super) struct Found<'a> {
    time: String,
    pub(super) method: &'a str,
    pub(super) url: String,
    api: Option<&'a str>,
    caller: FoundCaller<'a>,
    ids: &'a [String],
    trace_id: Option<String>,
    /// Whose trace that is: the `caller`'s, or the `backend`'s.
    trace_from: Option<&'static str>,
    backend: Backend<'a>,
    /// What the client got.
    pub(super) status: Option<u16>,
    pub(super) failed: Option<&'static str>,
    error: Option<LastError<'a>>,
}

/// What API Management recorded as the reason.
#[derive(Debug, Serialize)]
struct LastError<'a> {
    source: Option<&'a str>,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct FoundCaller<'a> {
    address: Option<&'a str>,
    subscription: Option<&'a str>,
    user: Option<&'a str>,
    product: Option<&'a str>,
    certificate: Vec<&'a String>,
}

#[derive(Debug, Serialize)]
struct Backend<'a> {
    id: Option<&'a str>,
    url: Option<&'a str>,
    status: Option<u16>,
}

impl<'a> Found<'a> {
    pub(super) fn new(replayed: &'a Replayed, redactor: &Redactor) -> Self {
        let Recorded { time, request, response, caller, ids, apim, .. } = &*replayed.recorded;
        let Caller { address, subscription, user, product, certificate } = caller;
        let apim = apim.as_ref();
        let (trace_id, trace_from) = trace(replayed).unzip();
        Self {
            time: time.to_string(),
            method: &request.method,
            url: redactor.url(&format!("{}://{}{}", request.scheme, request.authority, request.path)),
            api: apim.and_then(|apim| apim.api.as_deref()),
            caller: FoundCaller {
                address: address.as_deref(),
                subscription: subscription.as_deref(),
                user: user.as_deref(),
                product: product.as_deref(),
                certificate: certificate.iter().flat_map(Certificate::names).collect(),
            },
            ids,
            trace_id: trace_id.map(|id| id.to_string()),
            trace_from,
            backend: Backend {
                id: apim.and_then(|apim| apim.backend_id.as_deref()),
                url: apim.and_then(|apim| apim.backend_url.as_deref()),
                status: apim.and_then(|apim| apim.backend_response_code).filter(|&code| code != 0),
            },
            status: apim.map_or(Some(response.status), |apim| apim.response_code),
            failed: Failed::of(&replayed.recorded).as_str(),
            error: apim
                .and_then(|apim| apim.last_error.as_ref())
                .map(|error| LastError { source: error.source.as_deref(), reason: error.reason.as_deref() }),
        }
    }

    /// Two or more lines for people; the first is headed by [`HEADING`].
    pub(super) fn write(&self, out: &mut impl fmt::Write, replayed: &Replayed, place: &str, look: Look) -> fmt::Result {
        let status = self.status.map_or_else(|| "?".to_owned(), |status| status.to_string());
        let failed = format!("{:<7}", self.failed.unwrap_or("-"));
        let failed = look.styled(if self.failed.is_some() { Style::Alarm } else { Style::Plain }, &failed);
        let time = self.shown_time(replayed);
        writeln!(out, "{time}  {status:>6}  {failed}  {} {}", self.method, printable(&self.url))?;
        let (mut used, width) = (0, look.width.unwrap_or(READABLE));
        for detail in self.details(replayed, place) {
            let length = detail.chars().count();
            let fits = used + 2 + length <= width;
            match used {
                0 => write!(out, "    {detail}")?,
                _ if fits => write!(out, "; {detail}")?,
                _ => write!(out, "\n    {detail}")?,
            }
            used = if used > 0 && fits { used + 2 + length } else { 4 + length };
        }
        writeln!(out)
    }

    /// The time for people, who need no more than milliseconds.
    pub(super) fn shown_time(&self, replayed: &Replayed) -> String {
        replayed.recorded.time.strftime("%F %T%.3f").to_string()
    }

    /// Whatever else is told, for people.
    pub(super) fn details(&self, replayed: &Replayed, place: &str) -> Vec<String> {
        let mut details = Vec::new();
        let mut add = |name: &str, values: Vec<String>| {
            if !values.is_empty() {
                details.push(format!("{name} {}", values.join(", ")));
            }
        };
        let named = |name: &str, value: Option<&str>| value.map(|value| format!("{name} {}", printable(value)));
        let FoundCaller { address, subscription, user, product, certificate } = &self.caller;
        let caller = [address.map(printable), named("subscription", *subscription), named("user", *user), named("product", *product)];
        let certificate = certificate.iter().map(|name| format!("certificate {}", printable(name)));
        let trace = self.trace_id.as_ref().zip(self.trace_from).map(|(id, from)| format!("{id} (the {from}'s)"));
        let backend = [
            self.backend.id.map(printable),
            self.backend.url.map(printable),
            self.backend.status.map(|status| format!("answered {status}")),
        ];
        let shown = |decided: &Decided| match decided.reason() {
            None => "would admit".to_owned(),
            Some(reason) => format!("would refuse ({})", printable(reason)),
        };
        let error = self.error.as_ref().map(|error| [error.source, error.reason].into_iter().flatten().map(printable).collect::<Vec<_>>());
        add("error", error.map(|error| error.join("/")).into_iter().collect());
        add("trace", trace.into_iter().chain(self.trace_id.is_none().then(|| "not recorded".to_owned())).collect());
        add("caller", caller.into_iter().flatten().chain(certificate).collect());
        add("API", self.api.map(printable).into_iter().collect());
        add("backend", backend.into_iter().flatten().collect());
        add("id", self.ids.iter().map(|id| printable(id)).collect());
        add("this edge", vec![shown(&replayed.decided)]);
        add("the other", replayed.against.iter().map(shown).collect());
        add("at", vec![place.to_owned()]);
        details
    }
}

/// The trace to look for: the caller's, else the one in which the backend was called. One that this replay began is nowhere
/// to be found.
fn trace(replayed: &Replayed) -> Option<(TraceId, &'static str)> {
    let recorded = &*replayed.recorded;
    let callers = trace_id(&recorded.request.headers).map(|id| (id, "caller"));
    let backends = || recorded.apim.as_ref().and_then(|apim| apim.trace_id).map(|id| (id, "backend"));
    callers.or_else(backends)
}

/// How wide lines of details are where nothing limits them.
const READABLE: usize = 100;

/// What stands over the first lines.
pub(super) const HEADING: &str = "time (UTC)               status  failed   request";
