// SPDX-License-Identifier: Apache-2.0
//! The native layout: one exchange an object, every field known, unknown ones refused. Readers of other layouts produce
//! what it can say.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::gateway_logs::Properties;
use super::{Apim, Expect, Place, Recorded, Request, Response, located};
use crate::host::HeaderMap;
use crate::redact::Redactor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Native {
    time: String,
    request: NativeRequest,
    #[serde(default)]
    response: NativeResponse,
    /// As recorded: a whole GatewayLogs record, or its `properties`.
    apim: Option<Value>,
    expect: Option<NativeExpect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeRequest {
    method: String,
    #[serde(default = "https")]
    scheme: String,
    #[serde(default = "localhost")]
    authority: String,
    path: String,
    #[serde(default)]
    headers: Vec<(String, Bytes)>,
    #[serde(default = "loopback")]
    source: String,
    #[serde(rename = "tls")]
    _tls: Option<Tls>,
}

/// Kept to refuse what it doesn't have; who the peer is doesn't decide anything yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    #[serde(rename = "uri_san")]
    _uri_san: Option<String>,
    #[serde(rename = "dns_san")]
    _dns_san: Option<String>,
    #[serde(rename = "subject")]
    _subject: Option<String>,
    #[serde(rename = "sha256")]
    _sha256: Option<String>,
    #[serde(rename = "verified")]
    _verified: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeResponse {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, Bytes)>,
    #[serde(default, rename = "request_bytes")]
    _request_bytes: u64,
    #[serde(default, rename = "response_bytes")]
    _response_bytes: u64,
    #[serde(default, rename = "duration_ms")]
    _duration_ms: f64,
}

impl Default for NativeResponse {
    fn default() -> Self {
        Self { status: ok(), headers: Vec::new(), _request_bytes: 0, _response_bytes: 0, _duration_ms: 0.0 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeExpect {
    decision: Option<Decision>,
    status: Option<u16>,
    #[serde(default, deserialize_with = "present")]
    reason: Option<Option<String>>,
    #[serde(default)]
    upstream_headers: BTreeMap<String, Option<Vec<Bytes>>>,
    #[serde(default)]
    response_headers: BTreeMap<String, Option<Vec<Bytes>>>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Admitted,
    Refused,
}

/// A value: text, or any bytes as `{"base64": "…"}`.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Encoded {
            base64: String,
        }
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("text or {\"base64\": …}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().to_vec()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Bytes, A::Error> {
                let Encoded { base64 } = Encoded::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                BASE64_STANDARD.decode(base64).map(Bytes).map_err(|_| serde::de::Error::custom("expected padded base64"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let Native { time, request, response, apim, expect } = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    let NativeRequest { method, scheme, authority, path, headers, source, _tls: _ } = request;
    check_source(&source)?;
    check_method(&method)?;
    check_target(&path)?;
    check_origin(&scheme, &authority)?;
    check_status(response.status)?;
    Ok(Recorded {
        place,
        size: bytes.len(),
        time: timestamp(&time)?,
        request: Request { method, scheme, authority, path: redactor.url(&path), headers: header_map(headers)? },
        response: Response { status: response.status, headers: header_map(response.headers)? },
        apim: apim.map(self::apim).transpose()?,
        expect: expect.map(Into::into),
    })
}

fn apim(recorded: Value) -> Result<Apim, String> {
    let properties = recorded.get("properties").cloned().unwrap_or(recorded);
    Properties::deserialize(properties).map(Apim::from).map_err(|error| format!("apim: {}", located(&error)))
}

impl From<NativeExpect> for Expect {
    fn from(expect: NativeExpect) -> Self {
        let headers = |headers: BTreeMap<String, Option<Vec<Bytes>>>| {
            headers
                .into_iter()
                .map(|(name, lines)| (name.to_ascii_lowercase(), lines.map(|lines| lines.into_iter().map(|Bytes(line)| line).collect())))
                .collect()
        };
        Self {
            admitted: expect.decision.map(|decision| decision == Decision::Admitted),
            status: expect.status,
            reason: expect.reason,
            upstream_headers: headers(expect.upstream_headers),
            response_headers: headers(expect.response_headers),
        }
    }
}

/// RFC 3339 section 5.6 with at most 9 digits after the point, in a year that nanoseconds since 1970 reach in 64 bits.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, String> {
    let read = || {
        let time: Timestamp = if has_shape(text.as_bytes()) { text.parse().ok()? } else { return None };
        i64::try_from(time.as_nanosecond()).is_ok().then_some(time)
    };
    let shown: String = text.chars().take(40).collect();
    read().ok_or_else(|| format!("time: expected an RFC 3339 date and time, found {shown:?}"))
}

/// `date-time`, of which jiff reads a superset.
fn has_shape(text: &[u8]) -> bool {
    let Some((seconds, rest)) = text.split_at_checked(19) else { return false };
    let matches = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text
                .iter()
                .zip(shape)
                .all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte.eq_ignore_ascii_case(shape) })
    };
    let digits = rest.strip_prefix(b".").map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let zone = match rest {
        [b'.', ..] if digits == 0 => return false,
        [b'.', ..] => rest.get(digits + 1..).unwrap_or_default(),
        _ => rest,
    };
    matches(seconds, b"0000-00-00T00:00:00") && (matches(zone, b"Z") || matches(zone, b"+00:00") || matches(zone, b"-00:00"))
}

/// Where a request went to. Neither is shown: user information may hold a password.
pub(super) fn check_origin(scheme: &str, authority: &str) -> Result<(), String> {
    if !matches!(scheme, "http" | "https") {
        return Err("expected the scheme http or https".to_owned());
    }
    let sound = !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte));
    if sound { Ok(()) } else { Err("expected an authority of host and port".to_owned()) }
}

fn check_status(status: u16) -> Result<(), String> {
    if (100..=599).contains(&status) { Ok(()) } else { Err(format!("response.status: expected one from 100 to 599, found {status}")) }
}

pub(super) fn check_method(method: &str) -> Result<(), String> {
    if !method.is_empty() && method.bytes().all(is_token) { Ok(()) } else { Err(format!("expected a method, found {method:?}")) }
}

pub(super) fn check_target(path: &str) -> Result<(), String> {
    let sound = (path.starts_with('/') || path == "*") && !path.bytes().any(|byte| byte.is_ascii_control());
    if sound { Ok(()) } else { Err("path: expected one that begins with '/' and has no control characters".to_owned()) }
}

fn check_source(source: &str) -> Result<(), String> {
    source
        .parse::<std::net::SocketAddr>()
        .map(drop)
        .map_err(|_| format!("request.source: expected an address with a port, found {source:?}"))
}

fn header_map(lines: Vec<(String, Bytes)>) -> Result<HeaderMap, String> {
    for (name, Bytes(value)) in &lines {
        check_header(name, value)?;
    }
    Ok(lines.into_iter().map(|(name, Bytes(value))| (name, value)).collect())
}

/// What no HTTP message can carry is no recording of one. The value isn't shown: it may be a credential.
pub(super) fn check_header(name: &str, value: &[u8]) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("expected a header name, found {name:?}"));
    }
    if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        return Err(format!("header {name}: expected a value without CR, LF and NUL"));
    }
    Ok(())
}

/// RFC 9110 section 5.6.2
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn https() -> String {
    "https".to_owned()
}

fn localhost() -> String {
    "localhost".to_owned()
}

fn loopback() -> String {
    "127.0.0.1:1".to_owned()
}

const fn ok() -> u16 {
    200
}
