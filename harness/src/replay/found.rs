// SPDX-License-Identifier: Apache-2.0
//! What `--find` tells of an exchange: who called what, in which trace, and where it failed.

use std::fmt;

use serde::Serialize;
use tracegate::trace::TraceId;

use super::failed::Failed;
use super::{Replayed, trace_id};
use crate::look::{Look, Style};
use crate::recording::{Caller, Recorded};

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
    /// Whose trace that is: the `caller`'s, the `backend`'s as it was recorded, or the one that this `replay` began.
    trace_from: Option<&'static str>,
    backend: Backend<'a>,
    /// What the client got.
    pub(super) status: Option<u16>,
    pub(super) failed: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct FoundCaller<'a> {
    address: Option<&'a str>,
    subscription: Option<&'a str>,
    user: Option<&'a str>,
    product: Option<&'a str>,
    certificate: &'a [String],
}

#[derive(Debug, Serialize)]
struct Backend<'a> {
    id: Option<&'a str>,
    url: Option<&'a str>,
    status: Option<u16>,
}

impl<'a> Found<'a> {
    pub(super) fn new(replayed: &'a Replayed) -> Self {
        let Recorded { time, request, response, caller, ids, apim, .. } = &*replayed.recorded;
        let Caller { address, subscription, user, product, certificate } = caller;
        let apim = apim.as_ref();
        let (trace_id, trace_from) = trace(replayed).unzip();
        Self {
            time: time.to_string(),
            method: &request.method,
            url: format!("{}://{}{}", request.scheme, request.authority, request.path),
            api: apim.and_then(|apim| apim.api.as_deref()),
            caller: FoundCaller {
                address: address.as_deref(),
                subscription: subscription.as_deref(),
                user: user.as_deref(),
                product: product.as_deref(),
                certificate,
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
        }
    }

    /// Two or more lines for people; the first is headed by [`HEADING`].
    pub(super) fn write(&self, out: &mut impl fmt::Write, replayed: &Replayed, place: &str, look: Look) -> fmt::Result {
        let status = self.status.map_or_else(|| "?".to_owned(), |status| status.to_string());
        let failed = format!("{:<7}", self.failed.unwrap_or("-"));
        let failed = look.styled(if self.failed.is_some() { Style::Alarm } else { Style::Plain }, &failed);
        let time = self.shown_time(replayed);
        writeln!(out, "{time}  {status:>6}  {failed}  {} {}", self.method, self.url.escape_debug())?;
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
        let escaped = |text: &str| text.escape_debug().to_string();
        let named = |name: &str, value: Option<&str>| value.map(|value| format!("{name} {}", escaped(value)));
        let FoundCaller { address, subscription, user, product, certificate } = &self.caller;
        let caller = [
            address.map(escaped),
            named("subscription", *subscription),
            named("user", *user),
            named("product", *product),
            named("certificate", certificate.first().map(String::as_str)),
        ];
        let trace = self.trace_id.as_ref().zip(self.trace_from).map(|(id, from)| match from {
            "replay" => format!("{id} (begun by this replay)"),
            from => format!("{id} (the {from}'s)"),
        });
        let backend =
            [self.backend.id.map(escaped), self.backend.url.map(escaped), self.backend.status.map(|status| format!("answered {status}"))];
        let decided = &replayed.decided;
        let edge = decided.reason().map_or_else(|| decided.name().to_owned(), |reason| format!("{} ({reason})", decided.name()));
        add("trace", trace.into_iter().collect());
        add("caller", caller.into_iter().flatten().collect());
        add("API", self.api.map(escaped).into_iter().collect());
        add("backend", backend.into_iter().flatten().collect());
        add("id", self.ids.iter().map(|id| escaped(id)).collect());
        add("edge", vec![edge]);
        add("at", vec![place.to_owned()]);
        details
    }
}

/// The trace to look for: the caller's, else the one in which the backend was called, else the one that the edge would
/// begin.
fn trace(replayed: &Replayed) -> Option<(TraceId, &'static str)> {
    let recorded = &*replayed.recorded;
    let callers = trace_id(&recorded.request.headers).map(|id| (id, "caller"));
    let backends = || recorded.apim.as_ref().and_then(|apim| apim.trace_id).map(|id| (id, "backend"));
    let edges = || trace_id(replayed.decided.upstream()?).map(|id| (id, "replay"));
    callers.or_else(backends).or_else(edges)
}

/// How wide lines of details are where nothing limits them.
const READABLE: usize = 100;

/// What stands over the first lines.
pub(super) const HEADING: &str = "time (UTC)               status  failed   request";
