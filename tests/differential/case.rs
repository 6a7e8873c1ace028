// SPDX-License-Identifier: Apache-2.0
//! Cases: what `cases.yaml` holds, and the request that each sends.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use tracegate_harness::http::{Field, Request};

use super::gateway::Gateway;

/// The whole list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// How hosts are set up, by name.
    pub gateways: BTreeMap<String, Gateway>,
    /// In the order in which they run.
    pub cases: Vec<Case>,
}

/// One request, and what is done with it on its way. Headers, trailers and bodies are percent-decoded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A name of its own, `[a-z0-9-]+`.
    pub name: String,
    /// The gateway it is sent to.
    #[serde(default = "probe")]
    pub gateway: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The request target, as sent.
    #[serde(default = "slash")]
    pub path: String,
    /// The `host` header.
    #[serde(default = "host")]
    pub host: String,
    /// Header lines behind those that every case has.
    #[serde(default, deserialize_with = "fields")]
    pub headers: Vec<Field>,
    /// The body: with its length unless chunked.
    #[serde(default, deserialize_with = "body")]
    pub body: Option<Vec<u8>>,
    /// Whether the body is sent in chunks (in one).
    #[serde(default)]
    pub chunked: bool,
    /// Lines behind a body, which is chunked then.
    #[serde(default, deserialize_with = "fields")]
    pub trailers: Vec<Field>,
    /// What the upstream answers.
    #[serde(default)]
    pub upstream: Upstream,
    /// How many lines `NAME-0: v`, `NAME-1: v`… follow the headers.
    pub repeat: Option<Repeat>,
    /// How long to wait before.
    #[serde(default)]
    pub after_ms: u64,
    /// When the client closes its connection, rather than wait for a response.
    pub gone_after_ms: Option<u64>,
    /// The probe's program: ops by phase.
    #[serde(default)]
    pub on: BTreeMap<String, Vec<String>>,
}

/// Lines of one name and a number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// What comes before the number.
    pub name: String,
    /// How many lines.
    pub count: u32,
}

/// What the upstream answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// The status.
    pub status: u16,
    /// Header lines, before those of the framing.
    #[serde(deserialize_with = "fields")]
    pub headers: Vec<Field>,
    /// The body.
    #[serde(deserialize_with = "body")]
    pub body: Option<Vec<u8>>,
    /// How long it takes.
    pub delay_ms: u64,
    /// Lines behind the body, which is chunked then.
    #[serde(deserialize_with = "fields")]
    pub trailers: Vec<Field>,
    /// It reads the request and never answers.
    pub never: bool,
    /// It reads the request and closes the connection.
    pub reset: bool,
}

impl Default for Upstream {
    fn default() -> Self {
        let body = Some(b"ok".to_vec());
        Self { status: 200, headers: Vec::new(), body, delay_ms: 0, trailers: Vec::new(), never: false, reset: false }
    }
}

impl List {
    /// Reads the list; it is wrong where a case has another's name, or a gateway that isn't there.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let list: Self = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("cases.yaml: {error}"));
        let mut names: Vec<&str> = list.cases.iter().map(|case| case.name.as_str()).collect();
        names.extend(list.gateways.values().flat_map(Gateway::roots));
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        for name in &names {
            assert!(is_name(name), "`{name}`: expected a name of a-z, 0-9 and `-`");
        }
        names.sort_unstable();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1], "two cases have one name");
        }
        for case in &list.cases {
            assert!(list.gateways.contains_key(&case.gateway), "{}: there is no gateway `{}`", case.name, case.gateway);
        }
        list
    }

    /// The cases of a gateway.
    #[must_use]
    pub fn cases_of(&self, gateway: &str) -> Vec<&Case> {
        self.cases.iter().filter(|case| case.gateway == gateway).collect()
    }
}

impl Case {
    /// The program as the probe reads it.
    #[must_use]
    pub fn program(&self) -> String {
        let phases: Vec<String> = self.on.iter().map(|(phase, ops)| format!("{phase}: {}", ops.join("; "))).collect();
        // A program of nothing has its callbacks logged all the same.
        if phases.is_empty() { "log:".to_owned() } else { phases.join(" | ") }
    }

    /// The request as it goes to the gateway: `host`, `x-case`, `x-program`, the case's own lines, then the framing.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut fields: Vec<Field> = vec![(b"host".to_vec(), self.host.clone().into_bytes())];
        fields.push((b"x-case".to_vec(), self.name.clone().into_bytes()));
        if !self.on.is_empty() {
            fields.push((b"x-program".to_vec(), self.program().into_bytes()));
        }
        fields.extend(self.headers.iter().cloned());
        if let Some(Repeat { name, count }) = &self.repeat {
            fields.extend((0..*count).map(|index| (format!("{name}-{index}").into_bytes(), b"v".to_vec())));
        }
        let body = self.body.clone().unwrap_or_default();
        if self.chunked || !self.trailers.is_empty() {
            fields.push((b"transfer-encoding".to_vec(), b"chunked".to_vec()));
        } else if self.body.is_some() {
            fields.push((b"content-length".to_vec(), body.len().to_string().into_bytes()));
        }
        Request { method: self.method.clone(), target: self.path.clone(), fields, body, trailers: self.trailers.clone() }
    }

    /// That request's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let request = self.request();
        let start = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        message(&start, &request.fields, &request.body, &request.trailers)
    }
}

/// A message's bytes; its framing is what its fields say.
#[must_use]
pub fn message(start: &str, fields: &[Field], body: &[u8], trailers: &[Field]) -> Vec<u8> {
    let head = head(start, fields);
    if !fields.iter().any(|(name, _)| name == b"transfer-encoding") {
        return [&head, body].concat();
    }
    let size = format!("{:x}\r\n", body.len());
    // A chunk of nothing would be the last.
    let chunk = if body.is_empty() { Vec::new() } else { [size.as_bytes(), body, b"\r\n"].concat() };
    [&head, chunk.as_slice(), &self::head("0\r\n", trailers)].concat()
}

/// A start line and header lines, or the end of chunks and trailers.
#[must_use]
pub fn head(start: &str, fields: &[Field]) -> Vec<u8> {
    let lines = fields.iter().flat_map(|(name, value)| [name, &b": "[..], value, b"\r\n"].concat());
    start.bytes().chain(lines).chain(*b"\r\n").collect()
}

/// Bytes from percent-encoded text; what is no escape stands for itself.
#[must_use]
pub fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = &after[if escaped.is_some() { 2 } else { 0 }..];
    }
    bytes
}

fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Field>, D::Error> {
    let pairs: Vec<(String, String)> = Vec::deserialize(deserializer)?;
    Ok(pairs.into_iter().map(|(name, value)| (decoded(&name), decoded(&value))).collect())
}

fn body<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(|text| decoded(&text)))
}

fn probe() -> String {
    "probe".to_owned()
}

fn get() -> String {
    "GET".to_owned()
}

fn slash() -> String {
    "/".to_owned()
}

fn host() -> String {
    "api.example".to_owned()
}
