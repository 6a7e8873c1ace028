// SPDX-License-Identifier: Apache-2.0
//! What spans of a server and of a client tell alike of an HTTP request.

use super::Value;
use crate::head::RequestHead;

/// `http.request.method`, and `http.request.method_original` where the conventions don't know it.
pub(super) fn tell_method(method: &[u8], attribute: &mut impl FnMut(&str, Value<'_>)) {
    let known = known(method);
    attribute("http.request.method", Value::Text(known.unwrap_or("_OTHER")));
    if known.is_none() {
        attribute("http.request.method_original", Value::Bytes(method.get(..MAX_METHOD).unwrap_or(method)));
    }
}

/// `server.address`, and `server.port`: the authority's, or else the scheme's.
pub(super) fn tell_server(head: &RequestHead<'_>, attribute: &mut impl FnMut(&str, Value<'_>)) {
    // What stands before an `@` may be a password.
    let authority = if head.authority.contains(&b'@') { b"" } else { head.authority };
    // An IPv6 address stands in brackets.
    let after = authority.iter().rposition(|byte| *byte == b']').map_or(0, |place| place.saturating_add(1));
    let colon = authority.iter().rposition(|byte| *byte == b':').filter(|place| *place >= after);
    let (host, port) = colon.and_then(|place| authority.split_at_checked(place)).unwrap_or((authority, b""));
    if host.is_empty() {
        return;
    }
    attribute("server.address", Value::Bytes(host));
    let default = match scheme(head) {
        Some("https") => Some(443),
        Some(_) => Some(80),
        None => None,
    };
    // `host:` has the scheme's port too (RFC 3986 section 3.2.3).
    let port = match port.get(1..).unwrap_or_default() {
        b"" => default,
        digits => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok()),
    };
    if let Some(port) = port {
        attribute("server.port", Value::Integer(port.into()));
    }
}

/// The methods that the conventions know: RFC 9110's, PATCH and QUERY.
pub(super) fn known(method: &[u8]) -> Option<&'static str> {
    const KNOWN: [&str; 10] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
    KNOWN.into_iter().find(|known| known.as_bytes() == method)
}

/// `None` where the host doesn't say.
pub(super) fn scheme(head: &RequestHead<'_>) -> Option<&'static str> {
    let scheme = head.headers.values(":scheme").next()?;
    Some(if scheme.eq_ignore_ascii_case(b"https") { "https" } else { "http" })
}

const MAX_METHOD: usize = 32;
