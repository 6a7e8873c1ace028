// SPDX-License-Identifier: Apache-2.0
//! The native layout: one exchange an object, every field known, unknown ones refused. Readers of other layouts produce
//! what it can say.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::field::{
    check_header, check_method, check_origin, check_status, check_target, located, milliseconds, source_address, timestamp,
};
use super::gateway_logs::quoted;
use super::logged::MAX_HEADERS;
use super::{Caller, Certificate, Durations, Expect, Place, Recorded, Request, Response, Sizes};
use crate::host::{HeaderMap, Part};
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
    source: Option<String>,
    tls: Option<Tls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    uri_san: Option<String>,
    dns_san: Option<String>,
    subject: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    verified: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NativeResponse {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, Bytes)>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    duration_ms: Option<f64>,
}

impl Default for NativeResponse {
    fn default() -> Self {
        Self { status: ok(), headers: Vec::new(), request_bytes: None, response_bytes: None, duration_ms: None }
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
    let NativeRequest { method, scheme, authority, path, headers, source, tls } = request;
    let address = source.as_deref().map(source_address).transpose()?;
    check_method(&method)?;
    check_target(&path)?;
    check_origin(&scheme, &authority)?;
    check_status(response.status)?;
    let quoted = apim.map(|apim| quoted(&apim).map_err(|error| format!("apim: {}", located(&error)))).transpose()?;
    let (caller, ids, quoted_sizes, quoted_durations, apim) = match quoted {
        Some(logged) => (logged.caller, logged.ids, logged.sizes, logged.durations, Some(logged.apim)),
        None => (Caller::default(), Vec::new(), Sizes::default(), Durations::default(), None),
    };
    let sizes =
        Sizes { request: response.request_bytes.or(quoted_sizes.request), response: response.response_bytes.or(quoted_sizes.response) };
    let total = response.duration_ms.and_then(milliseconds).or(quoted_durations.total);
    Ok(Recorded {
        place,
        size: bytes.len(),
        time: timestamp("time", &time)?,
        request: Request { method, scheme, authority, path: redactor.target(&path), headers: header_map(Part::Request, headers)? },
        response: Response { status: response.status, headers: header_map(Part::Response, response.headers)? },
        sizes,
        durations: Durations { total, ..quoted_durations },
        caller: Caller { address: address.or(caller.address), certificate: tls.map(Certificate::from), ..caller }.redacted(redactor),
        ids: ids.into_iter().map(|id| redactor.text(id)).collect(),
        apim: apim.map(|apim| apim.redacted(redactor)),
        expect: expect.map(|expect| expected(expect, redactor)).transpose()?,
    })
}

impl From<Tls> for Certificate {
    fn from(Tls { uri_san, dns_san, subject, sha256, verified }: Tls) -> Self {
        Self { uri_san, dns_san, subject, sha256, verified }
    }
}

fn expected(expect: NativeExpect, redactor: &Redactor) -> Result<Expect, String> {
    let expect = Expect::from(expect);
    let headers = expect.upstream_headers.iter().chain(&expect.response_headers);
    let lines: usize = headers.map(|(_, lines)| lines.as_ref().map_or(1, Vec::len)).sum();
    if lines > MAX_HEADERS {
        return Err(format!("expect: expected at most {MAX_HEADERS} header lines, found {lines}"));
    }
    Ok(Expect { reason: expect.reason.map(|reason| reason.map(|reason| redactor.text(reason))), ..expect })
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

fn header_map(part: Part, lines: Vec<(String, Bytes)>) -> Result<HeaderMap, String> {
    if lines.len() > MAX_HEADERS {
        return Err(format!("expected at most {MAX_HEADERS} header lines, found {}", lines.len()));
    }
    for (name, Bytes(value)) in &lines {
        check_header(name, value)?;
    }
    Ok(HeaderMap::received(part, lines.into_iter().map(|(name, Bytes(value))| (name, value))))
}

fn https() -> String {
    "https".to_owned()
}

fn localhost() -> String {
    "localhost".to_owned()
}

const fn ok() -> u16 {
    200
}
