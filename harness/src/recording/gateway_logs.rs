// SPDX-License-Identifier: Apache-2.0
//! API Management's resource log category GatewayLogs, as exported to storage or Event Hubs.
//!
//! <https://learn.microsoft.com/azure/api-management/gateway-log-schema-reference>. Fields that replay has no use for are
//! left alone, whatever they hold.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::field::{check_header, check_method, check_origin, check_target, timestamp};
use super::{Apim, LastError, Place, Recorded, Request, Response, located};
use crate::host::{HeaderMap, Part};
use crate::redact::Redactor;

#[derive(Deserialize)]
struct GatewayLog {
    time: String,
    properties: Properties,
}

/// The part of a record that is about the exchange.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Properties {
    method: Option<String>,
    url: Option<String>,
    api_id: Option<String>,
    backend_response_code: Option<u16>,
    last_error: Option<LoggedError>,
    request_headers: Option<LoggedHeaders>,
    backend_response_headers: Option<LoggedHeaders>,
}

#[derive(Deserialize)]
struct LoggedError {
    source: Option<String>,
    reason: Option<String>,
    message: Option<String>,
}

/// Headers by name, in order, repeated names kept apart: API Management joins lines of one name, some exports keep them as
/// a list, and a second `traceparent` is what a replay must not lose.
struct LoggedHeaders(Vec<(String, String)>);

impl<'de> Deserialize<'de> for LoggedHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LoggedHeadersVisitor)
    }
}

struct LoggedHeadersVisitor;

impl<'de> Visitor<'de> for LoggedHeadersVisitor {
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

pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let GatewayLog { time, properties } = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    let time = timestamp(&time)?;
    let method = properties.method.clone().ok_or("properties.method: expected the request's method, found none")?;
    check_method(&method)?;
    let url = properties.url.as_deref().ok_or("properties.url: expected the request's URL, found none")?;
    let (scheme, authority, path) = split(url).ok_or("properties.url: expected a URL with scheme and host")?;
    check_target(&path)?;
    check_origin(&scheme, &authority)?;
    let headers = header_map(Part::Request, properties.request_headers.as_ref())?;
    let response_headers = header_map(Part::Response, properties.backend_response_headers.as_ref())?;
    let status = properties.backend_response_code.filter(|&code| code != 0).unwrap_or(200);
    Ok(Recorded {
        place,
        size: bytes.len(),
        time,
        request: Request { method, scheme, authority, path: redactor.url(&path), headers },
        response: Response { status, headers: response_headers },
        apim: Some(properties.into()),
        expect: None,
    })
}

impl From<Properties> for Apim {
    fn from(properties: Properties) -> Self {
        let last_error = properties.last_error.map(|LoggedError { source, reason, message }| LastError { source, reason, message });
        Self { api: properties.api_id, backend_response_code: properties.backend_response_code, last_error }
    }
}

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

fn header_map(part: Part, logged: Option<&LoggedHeaders>) -> Result<HeaderMap, String> {
    let lines = logged.map(|LoggedHeaders(lines)| lines.as_slice()).unwrap_or_default();
    lines.iter().try_for_each(|(name, value)| check_header(name, value.as_bytes()))?;
    Ok(HeaderMap::received(part, lines.iter().map(|(name, value)| (name, value))))
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
