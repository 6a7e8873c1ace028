// SPDX-License-Identifier: Apache-2.0
//! gRPC over HTTP (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), as Envoy answers it and calls it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::headers::{HeaderMap, Part};
use super::message::Message;

/// A unary gRPC call, as the module has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcCall {
    /// The service's full name.
    pub service: String,
    /// The method.
    pub method: String,
    /// The request's message.
    pub message: Vec<u8>,
}

/// How a call ends without a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Close {
    /// The gRPC status.
    pub(super) code: u32,
    /// What is said of it.
    pub(super) message: Vec<u8>,
}

impl Close {
    /// What Envoy says: the words, and in braces its own details.
    pub(super) fn new(code: u32, words: &[u8], details: &str) -> Self {
        let message = match (words, details.as_bytes()) {
            (b"", alone) | (alone, b"") => alone.to_vec(),
            (words, details) => [words, b"{", details, b"}"].concat(),
        };
        Self { code, message }
    }

    /// What Envoy says of a request that it answers itself with an HTTP status.
    pub(super) fn of_http(status: u16, words: &str, details: &str) -> Self {
        Self::new(status_of(i64::from(status)), &encode_message(words.as_bytes()), details)
    }

    /// What Envoy says of a response that isn't as it should be.
    fn of_response(code: u32) -> Self {
        Self::new(code, b"", FROM_UPSTREAM)
    }
}

/// The request of a call over HTTP.
pub(super) fn request(cluster: &str, call: &GrpcCall, metadata: &[(&[u8], &[u8])], timeout: Duration) -> Message {
    let mut head = HeaderMap::new(Part::Request);
    let path = format!("/{}/{}", call.service, call.method);
    head.examine(b":path", path.as_bytes());
    let timeout = encode_timeout(timeout);
    let own = [
        (":method", "POST"),
        (":path", &path),
        (":authority", cluster),
        ("te", "trailers"),
        ("grpc-timeout", &timeout),
        ("content-type", CONTENT_TYPE),
    ];
    for (name, value) in own {
        head.add(name.as_bytes(), value.as_bytes());
    }
    let is_binary = |name: &[u8]| name.to_ascii_lowercase().ends_with(b"-bin");
    for (name, value) in metadata.iter().filter(|(name, _)| !is_binary(name)) {
        head.add(name, value);
        head.examine(name, value);
    }
    for (name, value) in metadata.iter().filter(|(name, _)| is_binary(name)) {
        // Of several values Envoy sends the first.
        if head.first(name).is_none() {
            head.add(name, STANDARD.encode(value).as_bytes());
            head.examine(name, b"");
        }
    }
    Message { head, body: frame(&call.message), trailers: None }
}

/// What Envoy's gRPC client makes of a response: the last message, or why there is none.
pub(super) fn read(response: &Message) -> Result<Vec<u8>, Close> {
    let is_head_only = response.body.is_empty() && response.trailers.is_none();
    let status = response.status();
    if status != 200 && !(is_head_only && response.head.first(STATUS).is_some()) {
        return Err(Close::of_response(status_of(i64::from(status))));
    }
    let message = last_message(&response.body)?;
    let end = if is_head_only { Some(&response.head) } else { response.trailers.as_ref() };
    match end.map_or(UNKNOWN, code) {
        OK => message.map(<[u8]>::to_vec).ok_or(Close { code: INTERNAL, message: Vec::new() }),
        code => {
            let words = end.and_then(|end| end.first(MESSAGE)).unwrap_or_default();
            Err(Close::new(code, words, FROM_UPSTREAM))
        }
    }
}

/// The status that trailers tell.
fn code(trailers: &HeaderMap) -> u32 {
    let Some(told) = trailers.first(STATUS).filter(|told| !told.is_empty()) else { return UNKNOWN };
    let code = std::str::from_utf8(told).ok().and_then(|told| told.trim_ascii().parse().ok());
    code.filter(|code| *code <= LAST).unwrap_or(INVALID)
}

/// The last message of a body, as far as the body goes.
fn last_message(mut body: &[u8]) -> Result<Option<&[u8]>, Close> {
    let mut last = None;
    while let [flags, rest @ ..] = body {
        if flags & !COMPRESSED != 0 {
            return Err(Close::of_response(INTERNAL));
        }
        let Some((length, rest)) = rest.split_first_chunk() else { break };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((message, rest)) = rest.split_at_checked(length) else { break };
        if flags & COMPRESSED != 0 && !message.is_empty() {
            return Err(Close::of_response(INTERNAL));
        }
        (last, body) = (Some(message), rest);
    }
    Ok(last)
}

/// A message as it goes over HTTP.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

/// A timeout as the header `grpc-timeout` has it: at most eight digits and a unit.
fn encode_timeout(timeout: Duration) -> String {
    match timeout.as_millis() {
        milliseconds @ ..=99_999_999 => format!("{milliseconds}m"),
        _ => format!("{}S", timeout.as_secs()),
    }
}

/// The gRPC status that stands for an HTTP status.
pub(super) const fn status_of(http: i64) -> u32 {
    match http {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Whether a request's content type says that it is gRPC.
pub(super) fn is_content_type(value: &[u8]) -> bool {
    let rest = value.strip_prefix(CONTENT_TYPE.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// A message as the header `grpc-message` has it: percent-encoded.
pub(super) fn encode_message(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

pub(super) const CONTENT_TYPE: &str = "application/grpc";
const STATUS: &[u8] = b"grpc-status";
const MESSAGE: &[u8] = b"grpc-message";
/// Envoy's details of a response that an upstream gave.
const FROM_UPSTREAM: &str = "via_upstream";
/// The flag of a message that is compressed.
const COMPRESSED: u8 = 1;

/// Statuses.
const OK: u32 = 0;
const UNKNOWN: u32 = 2;
pub(super) const INTERNAL: u32 = 13;
pub(super) const UNAVAILABLE: u32 = 14;
/// The last that there is.
const LAST: u32 = 16;
/// Envoy's for one that there isn't: -1.
const INVALID: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8], trailers: &[(&str, &str)]) -> Result<Vec<u8>, (u32, String)> {
        let mut response = Message::response(200, [("content-type", CONTENT_TYPE)], body);
        response.trailers = (!trailers.is_empty()).then(|| HeaderMap::received(Part::ResponseTrailers, trailers.iter().copied()));
        read(&response).map_err(|close| (close.code, String::from_utf8_lossy(&close.message).into_owned()))
    }

    #[test]
    fn what_is_framed_is_read() {
        let read_again = |message: &[u8]| read(&Message::grpc(message));
        assert_eq!(read_again(b"").as_deref(), Ok(&b""[..]));
        assert_eq!(read_again(&[7; 70_000]).as_deref(), Ok(&[7; 70_000][..]));
        let closed = read(&Message::grpc_status(7, "50% no"));
        assert_eq!(closed, Err(Close::new(7, b"50%25 no", FROM_UPSTREAM)));
    }

    #[test]
    fn the_last_whole_message_counts_and_flags_are_checked_before_anything_else() {
        let ok = [("grpc-status", "0")];
        let two = [frame(b"one"), frame(b"two")].concat();
        assert_eq!(answer(&two, &ok), Ok(b"two".to_vec()));
        for cut in 0..5 {
            assert_eq!(answer(&two[..8 + cut], &ok), Ok(b"one".to_vec()), "{cut}");
        }
        assert_eq!(answer(&two[..7], &ok), Err((INTERNAL, String::new())));
        assert_eq!(answer(&[&two[..8], b"\x02"].concat(), &ok), Err((INTERNAL, "via_upstream".to_owned())));
    }

    #[test]
    fn timeouts_have_eight_digits_at_most() {
        let encoded = |milliseconds| encode_timeout(Duration::from_millis(milliseconds));
        assert_eq!([0, 99_999_999, 100_000_000, u64::from(u32::MAX)].map(encoded), ["0m", "99999999m", "100000S", "4294967S"]);
    }
}
