// SPDX-License-Identifier: Apache-2.0
//! How many bytes a server span takes in OTLP: an estimate, before there are spans.
//!
//! What is counted is a `Span` of <https://github.com/open-telemetry/opentelemetry-proto> with what OpenTelemetry's conventions for HTTP ask
//! of a server, uncompressed, without the envelope that a batch shares.

use super::native::Fate;
use super::{Decided, Replayed};

/// What a server span says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span<'a> {
    method: &'a str,
    /// Without the query, which may hold anything.
    path: &'a str,
    scheme: &'a str,
    /// 0 where there was none.
    status: u32,
    route: Option<&'a str>,
    server: &'a str,
    client: Option<&'a str>,
    user_agent: Option<&'a [u8]>,
    has_parent: bool,
    has_link: bool,
}

impl<'a> Span<'a> {
    /// The span of an exchange. The record's operation stands in for the route.
    pub(super) fn of(replayed: &'a Replayed, fate: Fate) -> Self {
        let request = &replayed.recorded.request;
        Self {
            method: &request.method,
            path: request.path.split('?').next().unwrap_or_default(),
            scheme: &request.scheme,
            status: Decided::status(&replayed.decided),
            route: replayed.recorded.apim.as_ref().and_then(|apim| apim.operation.as_deref()),
            server: host(&request.authority),
            client: replayed.recorded.caller.address.as_deref(),
            user_agent: request.headers.first(b"user-agent"),
            has_parent: fate.continued,
            has_link: fate.linked,
        }
    }

    /// The bytes of it, as one of the spans of a batch.
    pub(super) fn size(&self) -> u64 {
        let &Self { method, path, scheme, status, route, server, client, user_agent, has_parent, has_link } = self;
        let status_text = status.to_string();
        let failed = status >= 500;
        let texts = [
            ("http.request.method", Some(method.len())),
            ("url.path", Some(path.len())),
            ("url.scheme", Some(scheme.len())),
            ("http.route", route.map(str::len)),
            ("server.address", Some(server.len())),
            ("client.address", client.map(str::len)),
            ("user_agent.original", user_agent.map(<[u8]>::len)),
            ("error.type", failed.then_some(status_text.len())),
        ];
        let texts = texts.into_iter().filter_map(|(key, length)| Some(attribute(key, delimited(length?))));
        let status_code = (status > 0).then(|| attribute("http.response.status_code", 1 + varint(u64::from(status))));
        let name = method.len() + route.map_or(0, |route| 1 + route.len());
        let times = 2 * FIXED64;
        let optional =
            [(has_parent, delimited(SPAN_ID)), (has_link, delimited(delimited(TRACE_ID) + delimited(SPAN_ID))), (failed, STATUS)];
        let optional: u64 = optional.into_iter().filter_map(|(is_there, size)| is_there.then_some(size)).sum();
        let fields = delimited(TRACE_ID) + delimited(SPAN_ID) + delimited(name) + KIND + times + optional;
        delimited(fields + texts.chain(status_code).sum::<u64>())
    }
}

/// An authority without its port.
fn host(authority: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host)
}

/// A `KeyValue` among a span's attributes, with a value of so many bytes.
fn attribute(key: &str, value: u64) -> u64 {
    delimited(delimited(key.len()) + delimited(value))
}

/// A field of a number up to 15 that has a length: tag, length and content.
fn delimited(content: impl TryInto<u64>) -> u64 {
    let content = content.try_into().unwrap_or(u64::MAX);
    content.saturating_add(1 + varint(content))
}

/// Seven bits a byte.
fn varint(number: u64) -> u64 {
    u64::from((u64::BITS - (number | 1).leading_zeros()).div_ceil(7))
}

const TRACE_ID: u64 = 16;
const SPAN_ID: u64 = 8;
/// Each field with its tag.
const FIXED64: u64 = 9;
const KIND: u64 = 2;
/// A status that says error, and nothing else.
const STATUS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in the field `attributes`, as protobuf encodes it, written by hand.
    const METHOD: &[u8] = b"\x4a\x1c\x0a\x13http.request.method\x12\x05\x0a\x03GET";
    const PATH: &[u8] = b"\x4a\x11\x0a\x08url.path\x12\x05\x0a\x03/a7";
    const SCHEME: &[u8] = b"\x4a\x15\x0a\x0aurl.scheme\x12\x07\x0a\x05https";
    const SERVER: &[u8] = b"\x4a\x1b\x0a\x0eserver.address\x12\x09\x0a\x07a.shop.";
    const IDS: &[u8] = b"\x0a\x100123456789abcdef\x12\x0801234567";
    const KIND_AND_TIMES: &[u8] = b"\x30\x02\x39\0\0\0\0\0\0\0\0\x41\0\0\0\0\0\0\0\0";

    fn least() -> Span<'static> {
        Span { method: "GET", path: "/a7", scheme: "https", status: 200, server: "a.shop.", ..Span::default() }
    }

    /// The size of a span of these fields among those of a batch.
    fn whole(fields: &[&[u8]], length_of_length: u64) -> u64 {
        fields.iter().map(|field| field.len() as u64).sum::<u64>() + 1 + length_of_length
    }

    #[test]
    fn a_span_is_as_long_as_its_bytes() {
        let status = b"\x4a\x20\x0a\x19http.response.status_code\x12\x03\x18\xc8\x01";
        let name = b"\x2a\x03GET";
        assert_eq!(least().size(), whole(&[IDS, name, KIND_AND_TIMES, METHOD, PATH, SCHEME, SERVER, status], 2));
        let closed = Span { status: 0, ..least() };
        assert_eq!(closed.size(), least().size() - status.len() as u64);
    }

    #[test]
    fn what_is_there_only_at_times_counts_only_then() {
        let status = b"\x4a\x20\x0a\x19http.response.status_code\x12\x03\x18\xf7\x03";
        let agent = "m".repeat(200);
        let span = Span {
            status: 503,
            route: Some("/{id}"),
            client: Some("::1"),
            user_agent: Some(agent.as_bytes()),
            has_parent: true,
            has_link: true,
            ..least()
        };
        let fields: [&[u8]; 16] = [
            IDS,
            b"\x22\x0876543210",
            b"\x2a\x09GET /{id}",
            KIND_AND_TIMES,
            METHOD,
            PATH,
            SCHEME,
            status,
            b"\x4a\x15\x0a\x0ahttp.route\x12\x07\x0a\x05/{id}",
            SERVER,
            b"\x4a\x17\x0a\x0eclient.address\x12\x05\x0a\x03::1",
            b"\x4a\xe3\x01\x0a\x13user_agent.original\x12\xcb\x01\x0a\xc8\x01",
            agent.as_bytes(),
            b"\x4a\x13\x0a\x0aerror.type\x12\x05\x0a\x03503",
            b"\x6a\x1c\x0a\x100123456789abcdef\x12\x0801234567",
            b"\x7a\x02\x18\x02",
        ];
        assert_eq!(span.size(), whole(&fields, 2));
    }

    #[test]
    fn an_address_has_no_port() {
        for (authority, expected) in
            [("a.example", "a.example"), ("a.example:8443", "a.example"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            assert_eq!(host(authority), expected);
        }
    }

    #[test]
    fn lengths_take_seven_bits_a_byte() {
        for (number, bytes) in [(0, 1), (1, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
            assert_eq!(varint(number), bytes, "{number}");
        }
    }
}
