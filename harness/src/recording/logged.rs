// SPDX-License-Identifier: Apache-2.0
//! What any log of API Management says about an exchange, whatever it calls it, and the record that comes of it.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tracegate::trace::{TraceId, TraceParent};

use super::field::{check_header, check_method, check_origin, check_target, timestamp};
use super::{Apim, Caller, Certificate, Durations, LastError, Place, Recorded, Request, Response, Sizes};
use crate::carrier::Carried;
use crate::host::{HeaderMap, Part};
use crate::redact::Redactor;

/// What a log says about an exchange.
pub(super) struct Logged {
    pub(super) time: Option<String>,
    pub(super) method: Option<String>,
    pub(super) url: Option<String>,
    pub(super) request_headers: LoggedHeaders,
    pub(super) response_headers: LoggedHeaders,
    pub(super) sizes: Sizes,
    pub(super) durations: Durations,
    pub(super) caller: Caller,
    pub(super) ids: Vec<String>,
    pub(super) apim: Apim,
}

/// What a layout calls its fields.
pub(super) struct Names {
    pub(super) time: &'static str,
    pub(super) method: &'static str,
    pub(super) url: &'static str,
}

impl Apim {
    /// Without credentials that ended up in it.
    pub(super) fn redacted(self, redactor: &Redactor) -> Self {
        let text = |text: Option<String>| text.map(|text| redactor.text(text));
        let last_error =
            self.last_error.map(|error| LastError { source: text(error.source), reason: text(error.reason), message: text(error.message) });
        let (api, operation) = (text(self.api), text(self.operation));
        Self { api, operation, backend_id: text(self.backend_id), backend_url: text(self.backend_url), last_error, ..self }
    }
}

impl Caller {
    /// Likewise.
    pub(super) fn redacted(self, redactor: &Redactor) -> Self {
        let text = |text: Option<String>| text.map(|text| redactor.text(text));
        Self {
            address: text(self.address),
            subscription: text(self.subscription),
            user: text(self.user),
            product: text(self.product),
            certificate: self.certificate.map(|Certificate { uri_san, dns_san, subject, sha256, verified }| Certificate {
                uri_san: text(uri_san),
                dns_san: text(dns_san),
                subject: text(subject),
                sha256: text(sha256),
                verified,
            }),
        }
    }
}

impl Logged {
    /// Checks and redacts. `names` are for messages.
    pub(super) fn recorded(self, names: &Names, place: Place, size: usize, redactor: &Redactor) -> Result<Recorded, String> {
        let within = |field: &'static str| move |message: String| format!("{field}: {message}");
        let time = self.time.ok_or_else(|| format!("{}: expected an RFC 3339 date and time, found none", names.time))?;
        let time = timestamp(names.time, &time)?;
        let method = self.method.ok_or_else(|| format!("{}: expected the request's method, found none", names.method))?;
        check_method(&method).map_err(within(names.method))?;
        let url = self.url.ok_or_else(|| format!("{}: expected the request's URL, found none", names.url))?;
        let (scheme, authority, path) = split(&url).ok_or_else(|| format!("{}: expected a URL with scheme and host", names.url))?;
        check_target(&path).map_err(within(names.url))?;
        check_origin(&scheme, &authority).map_err(within(names.url))?;
        let status = self.apim.backend_response_code.filter(|&code| code != 0).unwrap_or(200);
        Ok(Recorded {
            place,
            size,
            time,
            request: Request {
                method,
                scheme,
                authority,
                path: redactor.target(&path),
                headers: self.request_headers.into_map(Part::Request)?,
            },
            response: Response { status, headers: self.response_headers.into_map(Part::Response)? },
            sizes: self.sizes,
            durations: self.durations,
            caller: self.caller.redacted(redactor),
            ids: self.ids.into_iter().map(|id| redactor.text(id)).collect(),
            apim: Some(self.apim.redacted(redactor)),
            expect: None,
        })
    }
}

/// Headers by name, in order, repeated names kept apart: API Management joins lines of one name, some exports keep them as
/// a list, and a second `traceparent` is what a replay must not lose.
#[derive(Default)]
pub(super) struct LoggedHeaders(Vec<(String, String)>);

impl LoggedHeaders {
    /// The headers among `pairs`, which are named `prefix` and the header's name.
    pub(super) fn prefixed(prefix: &str, pairs: &Self) -> Self {
        let header = |(name, value): &(String, String)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone()));
        Self(pairs.0.iter().filter_map(header).collect())
    }

    /// The trace of the only `traceparent`, if it is valid.
    pub(super) fn trace_id(&self) -> Option<TraceId> {
        let mut lines = self.0.iter().filter(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
        let (_, line) = lines.next().filter(|_| lines.next().is_none())?;
        TraceParent::try_from(line.as_bytes()).ok().map(|parent| parent.trace_id())
    }

    /// The trace headers among them; `None` where there is no header at all.
    pub(super) fn carried(&self) -> Option<Carried> {
        (!self.0.is_empty()).then(|| Carried::of(self.0.iter().map(|(name, value)| (name, value))))
    }

    /// The first value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn into_map(self, part: Part) -> Result<HeaderMap, String> {
        self.0.iter().try_for_each(|(name, value)| check_header(name, value.as_bytes()))?;
        Ok(HeaderMap::received(part, self.0))
    }
}

impl<'de> Deserialize<'de> for LoggedHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;
        impl<'de> Visitor<'de> for Lines {
            type Value = LoggedHeaders;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("header values by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LoggedHeaders, A::Error> {
                let mut lines = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let values = match value {
                        Value::Array(values) => values,
                        value => vec![value],
                    };
                    if lines.len() + values.len() > MAX_HEADERS {
                        return Err(A::Error::custom(format_args!("expected at most {MAX_HEADERS} header lines, found more")));
                    }
                    for value in values {
                        match value {
                            Value::Null => {}
                            Value::String(value) => lines.push((name.clone(), value)),
                            Value::Number(_) | Value::Bool(_) => lines.push((name.clone(), value.to_string())),
                            Value::Array(_) | Value::Object(_) => {
                                return Err(A::Error::custom("expected a header's value to be text or a list of texts"));
                            }
                        }
                    }
                }
                Ok(LoggedHeaders(lines))
            }
        }
        deserializer.deserialize_map(Lines)
    }
}

/// No gateway takes as many; each takes more memory than its text may.
pub(super) const MAX_HEADERS: usize = 10_000;

/// Scheme, authority, and path with query. A user name or password in a URL goes; so does a fragment, which is never sent.
fn split(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split('#').next().unwrap_or(rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = authority.rsplit('@').next().unwrap_or(authority);
    if scheme.is_empty() || host.is_empty() {
        return None;
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some((scheme.to_ascii_lowercase(), host.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_without_rewriting_them() {
        let parts = |url| split(url).map(|(scheme, authority, path)| format!("{scheme} {authority} {path}"));
        for (url, expected) in [
            ("https://a.example/b/../c%2f?d=e#f", Some("https a.example /b/../c%2f?d=e")),
            ("HTTP://A.example:8080", Some("http A.example:8080 /")),
            ("https://user:pass@a.example/x", Some("https a.example /x")),
            ("https://a.example?x=1", Some("https a.example /?x=1")),
            ("https://[::1]:443/", Some("https [::1]:443 /")),
            ("/relative", None),
            ("https:///x", None),
        ] {
            assert_eq!(parts(url).as_deref(), expected, "{url}");
        }
    }
}
