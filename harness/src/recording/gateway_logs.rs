// SPDX-License-Identifier: Apache-2.0
//! API Management's resource log category GatewayLogs, as exported to storage or Event Hubs.
//!
//! <https://learn.microsoft.com/azure/api-management/gateway-log-schema-reference>. Fields that replay has no use for are
//! left alone, whatever they hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::native::{check_header, check_method, check_target, timestamp};
use super::{Apim, LastError, Place, Recorded, Request, Response, located};
use crate::host::HeaderMap;
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

/// Headers by name; API Management joins repeated lines, some exports keep them as a list.
type LoggedHeaders = BTreeMap<String, LoggedValue>;

#[derive(Deserialize)]
#[serde(untagged)]
enum LoggedValue {
    One(String),
    Several(Vec<String>),
}

pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let GatewayLog { time, properties } = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    let time = timestamp(&time)?;
    let method = properties.method.clone().ok_or("properties.method: expected the request's method, found none")?;
    check_method(&method)?;
    let url = properties.url.as_deref().ok_or("properties.url: expected the request's URL, found none")?;
    let (scheme, authority, path) = split(url).ok_or("properties.url: expected a URL with scheme and host")?;
    check_target(&path)?;
    let headers = header_map(properties.request_headers.as_ref())?;
    let response_headers = header_map(properties.backend_response_headers.as_ref())?;
    let status = properties.backend_response_code.filter(|&code| code != 0).unwrap_or(200);
    Ok(Recorded {
        place,
        time,
        request: Request { method, scheme, authority, path: redactor.path(&path), headers },
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

fn header_map(logged: Option<&LoggedHeaders>) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::default();
    for (name, value) in logged.into_iter().flatten() {
        let lines = match value {
            LoggedValue::One(line) => std::slice::from_ref(line),
            LoggedValue::Several(lines) => lines,
        };
        for line in lines {
            check_header(name, line.as_bytes())?;
            map.add(name.as_bytes(), line.as_bytes());
        }
    }
    Ok(map)
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
