// SPDX-License-Identifier: Apache-2.0
//! gRPC over HTTP, as far as local responses need it
//! (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).

/// The gRPC status that stands for an HTTP status.
pub(super) const fn status_of(http: i64) -> i64 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// Whether a request's content type says that it is gRPC.
pub(super) fn is_content_type(value: &[u8]) -> bool {
    let rest = value.strip_prefix(b"application/grpc");
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
