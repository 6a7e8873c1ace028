// SPDX-License-Identifier: Apache-2.0
//! What Envoy's HTTP connection manager makes of a request before any filter sees it, as far as the cases need it.

use tracegate_harness::host::{HeaderMap, Message, Part, Release};
use tracegate_harness::http::Request;

use super::observed::Seen;

/// The request as the first filter gets it, or the response to one that no filter gets.
///
/// # Errors
///
/// That response.
pub fn received(request: &Request, address: &str, release: Release) -> Result<Message, Seen> {
    let mut head = HeaderMap::new(Part::Request);
    let host = request.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"host")).map(|(_, value)| value.clone());
    head.add(b":authority", &host.unwrap_or_default());
    head.add(b":path", &normalized(&request.target, release).ok_or_else(rejected)?);
    head.add(b":method", request.method.as_bytes());
    head.add(b":scheme", b"http");
    let own: [(&[u8], &[u8]); 2] = [(b"x-forwarded-proto", b"http"), (b"x-envoy-external-address", b"127.0.0.1")];
    let own_value = |name: &[u8]| own.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    for (name, value) in &request.fields {
        let name = name.to_ascii_lowercase();
        match own_value(&name) {
            // What the client says is overwritten where it stands.
            Some(value) if head.first(&name).is_none() => head.add(&name, value),
            Some(_) => {}
            None if name == b"te" => head.set(b"te", b"trailers"),
            None if is_taken_off(&name) => {}
            None => head.add(&name, value.trim_ascii()),
        }
    }
    head.add(b"x-forwarded-for", address.as_bytes());
    for (name, value) in own {
        if head.first(name).is_none() {
            head.add(name, value);
        }
    }
    let trailers = (!request.trailers.is_empty()).then(|| HeaderMap::received(Part::RequestTrailers, request.trailers.clone()));
    Ok(Message { head, body: request.body.clone(), trailers })
}

/// The path as the settings of `envoy-config/envoy.yaml` have it (`normalize_path`, `merge_slashes`,
/// `path_with_escaped_slashes_action: REJECT_REQUEST`); `None` for one that is rejected.
fn normalized(target: &str, release: Release) -> Option<Vec<u8>> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let path = path.replace('\\', "/");
    if ["%2f", "%5c", "%00"].iter().any(|escape| path.to_ascii_lowercase().contains(escape)) {
        return None;
    }
    let mut segments: Vec<&str> = Vec::new();
    let all: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    for (index, segment) in all.iter().enumerate() {
        let is_last = index + 1 == all.len();
        let whole = segment.to_ascii_lowercase().replace("%2e", ".");
        // In 1.40 dots with parameters count as dots, escaped dots with parameters don't.
        let plain = if release >= Release::V1_40 { segment.split(';').next().unwrap_or_default() } else { segment };
        match if plain == "." || plain == ".." { plain } else { whole.as_str() } {
            "." if is_last => segments.push(""),
            "." => {}
            ".." => {
                segments.pop();
                if is_last {
                    segments.push("");
                }
            }
            _ => segments.push(segment),
        }
    }
    let mut normal = recoded(&format!("/{}", segments.join("/")));
    while normal.contains("//") {
        normal = normal.replace("//", "/");
    }
    Some((normal + query).into_bytes())
}

/// A path with unreserved characters as they are, and others that no path holds escaped.
fn recoded(path: &str) -> String {
    let mut recoded = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let escape = rest.get(..3).filter(|escape| escape.starts_with('%')).and_then(|escape| u8::from_str_radix(&escape[1..], 16).ok());
        let length = match escape {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                recoded.push(char::from(byte));
                3
            }
            _ if "\"<>^`{|}".contains(first) => {
                recoded += &format!("%{:02X}", u32::from(first));
                1
            }
            _ => {
                recoded.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    recoded
}

/// The response to a path that is rejected.
fn rejected() -> Seen {
    let fields = vec![(b"content-length".to_vec(), b"0".to_vec())];
    Seen { start: "400".to_owned(), fields, body: Vec::new(), trailers: Vec::new() }
}

/// What a client can't tell: what is about its connection, and what only Envoys tell each other.
fn is_taken_off(name: &[u8]) -> bool {
    let about_the_connection: [&[u8]; 6] =
        [b"host", b"connection", b"transfer-encoding", b"keep-alive", b"proxy-connection", b"x-forwarded-client-cert"];
    about_the_connection.contains(&name) || (name.starts_with(b"x-envoy-") && name != b"x-envoy-peer-metadata")
}
