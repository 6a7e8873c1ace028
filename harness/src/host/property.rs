// SPDX-License-Identifier: Apache-2.0
//! Properties: what a plugin can ask a proxy, by path, and how the answer is written down.
//!
//! Envoy's attributes (<https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes>): numbers,
//! durations and times as 8 bytes in little-endian order, truths as one byte, texts raw, maps as serialised pairs.

use super::facts::{Facts, Tls};
use super::headers::HeaderMap;
use super::pairs;
use super::state::{Exchange, LogPhase, State, Stream, Traffic};
use super::status::{Answer, Status};

/// The value at `path`, whose segments are separated by zero bytes, as the effective context sees it.
pub(super) fn read(state: &State, path: &[u8]) -> Answer<Vec<u8>> {
    if path.is_empty() {
        return Err(Status::SerializationFailure);
    }
    let mut segments = path.strip_suffix(&[0]).unwrap_or(path).split(|byte| *byte == 0);
    let first = segments.next().unwrap_or_default();
    let rest: Vec<&[u8]> = segments.collect();
    let found = plugin(state, first, &rest).or_else(|| {
        let (stream, exchange) = state.contexts.stream()?;
        View { stream, exchange, now: state.now }.value(first, &rest)
    });
    found.ok_or(Status::NotFound)?.encode()
}

/// What every context has.
fn plugin<'a>(state: &'a State, first: &[u8], rest: &[&[u8]]) -> Option<Value<'a>> {
    match first {
        b"xds" => node(rest),
        _ if !rest.is_empty() => None,
        b"plugin_name" => state.contexts.root().map(|root| Value::text(&root.name)),
        b"plugin_root_id" => state.contexts.root().map(|root| Value::text(&root.root_id)),
        b"plugin_vm_id" => Some(Value::text(&state.vm_id)),
        _ => None,
    }
}

/// The proxy's node, which has no name here.
fn node<'a>(path: &[&[u8]]) -> Option<Value<'a>> {
    match path {
        [b"node", b"id" | b"cluster"] | [b"node", b"locality", b"zone"] => Some(Value::text("")),
        [b"node", b"metadata"] => Some(Value::Pairs(None)),
        _ => None,
    }
}

/// A value before it is written down.
enum Value<'a> {
    Bytes(&'a [u8]),
    Text(String),
    Number(i64),
    Truth(bool),
    Pairs(Option<&'a HeaderMap>),
    /// It is there, but has no written form.
    Unwritable,
}

impl<'a> Value<'a> {
    const fn text(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }

    fn size(size: u64) -> Self {
        Self::Number(i64::try_from(size).unwrap_or(i64::MAX))
    }

    fn encode(self) -> Answer<Vec<u8>> {
        Ok(match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Text(text) => text.into_bytes(),
            Self::Number(number) => number.to_le_bytes().to_vec(),
            Self::Truth(truth) => vec![u8::from(truth)],
            Self::Pairs(None) => pairs::NONE.to_vec(),
            Self::Pairs(Some(map)) => {
                let mut buffer = vec![0; pairs::size(map)];
                pairs::write(map, &mut buffer);
                buffer
            }
            Self::Unwritable => return Err(Status::SerializationFailure),
        })
    }
}

/// An exchange, as one filter sees it now.
struct View<'a> {
    stream: &'a Stream,
    exchange: &'a Exchange,
    now: i64,
}

impl<'a> View<'a> {
    fn value(&self, first: &[u8], rest: &[&[u8]]) -> Option<Value<'a>> {
        let facts: &'a Facts = &self.exchange.facts;
        match (first, rest) {
            (b"request" | b"response" | b"connection" | b"source" | b"destination" | b"upstream" | b"xds", []) => Some(Value::Unwritable),
            (b"request", [name, rest @ ..]) => self.request(name, rest),
            (b"response", [name, rest @ ..]) => self.response(name, rest),
            (b"connection", [name]) => connection(facts, name),
            (b"source", [b"address"]) => Some(Value::Text(facts.source.to_string())),
            (b"source", [b"port"]) => Some(Value::Number(i64::from(facts.source.port()))),
            (b"destination", [b"address"]) => Some(Value::Text(facts.destination.to_string())),
            (b"destination", [b"port"]) => Some(Value::Number(i64::from(facts.destination.port()))),
            (b"upstream", [name]) => upstream(facts, self.exchange.has_upstream, name),
            (b"xds", [name, rest @ ..]) => xds(facts, self.exchange.has_upstream, name, rest),
            // Filters' own metadata, which no plugin can write.
            (b"filter_state", []) => Some(Value::Unwritable),
            (b"connection_id", []) => Some(Value::Number(1)),
            (b"metadata", []) => Some(Value::Bytes(&[])),
            (b"metadata", [b"filter_metadata"]) => Some(Value::Pairs(None)),
            (b"filter_state", [name]) => {
                let name = name.strip_prefix(b"wasm.")?;
                self.exchange.filter_state.get(name).map(Value::Bytes)
            }
            (name, []) => self.exchange.filter_state.get(name).map(Value::Bytes),
            _ => None,
        }
    }

    fn is_logging(&self) -> bool {
        self.stream.log == LogPhase::In
    }

    fn request(&self, name: &[u8], rest: &[&[u8]]) -> Option<Value<'a>> {
        let request = &self.exchange.request;
        let head = (self.is_logging() || self.stream.request.head).then_some(&request.head);
        if name == b"headers" {
            return match rest {
                [] => Some(Value::Pairs(head)),
                [header] => head?.first_joined(header),
                _ => None,
            };
        }
        if !rest.is_empty() {
            return None;
        }
        let header = |header: &'static [u8]| head.and_then(|head| head.first(header)).map(Value::Bytes);
        match name {
            b"path" => header(b":path"),
            b"url_path" => head?.first(b":path").map(|path| Value::Bytes(path.split(|byte| *byte == b'?').next().unwrap_or_default())),
            b"query" => {
                let path = head?.first(b":path")?;
                let query = path.iter().position(|byte| *byte == b'?').and_then(|at| path.get(at + 1..)).unwrap_or_default();
                Some(Value::Bytes(query.split(|byte| *byte == b'#').next().unwrap_or_default()))
            }
            b"host" => header(b":authority"),
            b"scheme" => header(b":scheme"),
            b"method" => header(b":method"),
            b"referer" => header(b"referer"),
            b"useragent" => header(b"user-agent"),
            b"id" => header(b"x-request-id"),
            b"protocol" => Some(Value::text(&self.exchange.facts.protocol)),
            b"time" => Some(Value::Number(self.exchange.begun)),
            b"duration" => self.is_logging().then(|| Value::Number(self.now.saturating_sub(self.exchange.begun))),
            b"size" => {
                let told =
                    head.and_then(|head| head.first(b"content-length")).and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
                let whole = self.exchange.facts.request_size.filter(|_| self.is_logging());
                Some(Value::size(whole.or(told).unwrap_or(request.received)))
            }
            b"total_size" => {
                let whole = self.exchange.facts.request_size.filter(|_| self.is_logging());
                Some(Value::size(whole.unwrap_or(request.received) + bytes(head)))
            }
            _ => None,
        }
    }

    fn response(&self, name: &[u8], rest: &[&[u8]]) -> Option<Value<'a>> {
        let response = self.exchange.response.as_ref();
        let head = response.filter(|_| self.is_logging() || self.stream.response.head).map(|response| &response.head);
        let trailers =
            response.filter(|_| self.is_logging() || self.stream.response.trailers).and_then(|response| response.trailers.as_ref());
        match (name, rest) {
            (b"headers", []) => Some(Value::Pairs(head)),
            (b"headers", [header]) => head?.first_joined(header),
            (b"trailers", []) => Some(Value::Pairs(trailers)),
            (b"trailers", [trailer]) => trailers?.first_joined(trailer),
            (b"code", []) => self.exchange.code.map(|code| Value::Number(i64::from(code))),
            (b"code_details", []) => self.exchange.details.as_deref().map(Value::text),
            (b"flags", []) => Some(Value::size(self.exchange.flags)),
            (b"grpc_status", []) => response.and_then(|response| grpc_status(response, self.exchange.code)).map(Value::Number),
            (b"size", []) => {
                let whole = self.exchange.facts.response_size.filter(|_| self.is_logging());
                Some(Value::size(whole.unwrap_or(response.map_or(0, |response| response.sent))))
            }
            (b"total_size", []) => {
                let sent = response.map_or(0, |response| response.sent);
                Some(Value::size(sent + bytes(head) + bytes(trailers)))
            }
            (b"backend_latency", []) => None,
            _ => None,
        }
    }
}

impl HeaderMap {
    /// A header as `request.headers` and `response.headers` give it: the values of all its lines, joined.
    fn first_joined(&self, name: &[u8]) -> Option<Value<'_>> {
        let mut values = self.values(name);
        let first = values.next()?;
        let rest: Vec<&[u8]> = values.collect();
        if rest.is_empty() {
            return Some(Value::Bytes(first));
        }
        let all: Vec<&[u8]> = std::iter::once(first).chain(rest).collect();
        Some(Value::Text(String::from_utf8_lossy(&all.join(&b","[..])).into_owned()))
    }
}

fn connection<'a>(facts: &'a Facts, name: &[u8]) -> Option<Value<'a>> {
    let none = Tls::default();
    let tls = facts.tls.as_ref();
    match name {
        b"id" => Some(Value::Number(1)),
        b"mtls" => Some(Value::Truth(tls.unwrap_or(&none).mutual)),
        b"requested_server_name" => Some(Value::text(tls.map_or("", |tls| tls.server_name.as_str()))),
        b"tls_version" => tls.map(|tls| Value::text(&tls.version)),
        b"uri_san_peer_certificate" => tls?.uri_san.as_deref().map(Value::text),
        b"dns_san_peer_certificate" => tls?.dns_san.as_deref().map(Value::text),
        b"subject_peer_certificate" => tls?.subject.as_deref().map(Value::text),
        b"sha256_peer_certificate_digest" => tls?.sha256.as_deref().map(Value::text),
        _ => None,
    }
}

fn upstream<'a>(facts: &'a Facts, is_chosen: bool, name: &[u8]) -> Option<Value<'a>> {
    match name {
        b"request_attempt_count" => Some(Value::Number(i64::from(is_chosen))),
        b"address" if is_chosen => Some(Value::Text(facts.upstream.to_string())),
        b"port" if is_chosen => Some(Value::Number(i64::from(facts.upstream.port()))),
        b"transport_failure_reason" if is_chosen => Some(Value::text("")),
        _ => None,
    }
}

/// What comes from Envoy's configuration. Messages are there, but empty: nothing but routes has metadata here.
fn xds<'a>(facts: &'a Facts, has_upstream: bool, name: &[u8], rest: &[&[u8]]) -> Option<Value<'a>> {
    const INBOUND: i64 = 0;
    let metadata = &facts.route_metadata;
    match (name, rest) {
        (b"route_name", []) => Some(Value::text(&facts.route)),
        (b"cluster_name", []) => Some(Value::text(&facts.cluster)),
        (b"virtual_host_name", []) => Some(Value::text(&facts.virtual_host)),
        (b"filter_chain_name", []) => Some(Value::text("")),
        (b"listener_direction", []) => Some(Value::Number(INBOUND)),
        (b"route_metadata" | b"cluster_metadata" | b"listener_metadata" | b"virtual_host_metadata", []) => Some(Value::Bytes(&[])),
        (b"upstream_host_metadata", []) if has_upstream => Some(Value::Unwritable),
        (b"route_metadata", [b"filter_metadata"]) if metadata.is_empty() => Some(Value::Pairs(None)),
        (b"cluster_metadata" | b"listener_metadata" | b"virtual_host_metadata", [b"filter_metadata"]) => Some(Value::Pairs(None)),
        (b"route_metadata", [b"filter_metadata", namespace, key]) => {
            let found = metadata.iter().find(|(known, name, _)| known.as_bytes() == *namespace && name.as_bytes() == *key);
            found.map(|(_, _, value)| Value::text(value))
        }
        _ => None,
    }
}

fn bytes(map: Option<&HeaderMap>) -> u64 {
    map.map_or(0, |map| u64::try_from(map.byte_size()).unwrap_or(u64::MAX))
}

/// The response's own gRPC status, else the one that its HTTP status stands for.
fn grpc_status(response: &Traffic, code: Option<u16>) -> Option<i64> {
    let told = |map: &HeaderMap| map.first(b"grpc-status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let told = response.trailers.as_ref().and_then(told).or_else(|| told(&response.head));
    told.or_else(|| code.map(|code| i64::from(super::grpc::status_of(i64::from(code)))))
}
