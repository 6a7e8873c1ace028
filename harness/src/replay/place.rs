// SPDX-License-Identifier: Apache-2.0
//! Where a recorded request carries its token, or its subscription's key: whether it can be read there, and another one put in its stead.

use tracegate::head::RequestHead;
use tracegate::identity::{Carried, SubscriptionKeys, TokenPlace};

use crate::recording::Request;
use crate::redact::percent_decoded;

/// What a record holds of a token or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing.
    Nothing,
    /// What whoever logged it put in its stead.
    Mask,
    /// It, or what was sent for it.
    Whole,
}

/// What a record holds of a token in these places.
pub(super) fn held(head: &RequestHead<'_>, places: &[TokenPlace]) -> Held {
    let mut held = Held::Nothing;
    for place in places {
        match place.look(head) {
            Carried::Nothing => {}
            Carried::Token(text) if is_mask(&text) => held = Held::Mask,
            Carried::Token(_) | Carried::Several => return Held::Whole,
        }
    }
    held
}

/// What a record holds of a subscription's key.
pub(super) fn held_key(request: &Request, keys: &SubscriptionKeys) -> Held {
    let mut held = Held::Nothing;
    for key in sent_keys(request, keys) {
        if !is_mask(&key) {
            return Held::Whole;
        }
        held = Held::Mask;
    }
    held
}

/// The keys that a request carries, as they are read.
pub(super) fn sent_keys(request: &Request, keys: &SubscriptionKeys) -> Vec<Vec<u8>> {
    let in_header = request.headers.values(keys.header.as_bytes()).map(<[u8]>::to_vec);
    let in_query = parameters(&request.path).filter(|(name, _)| decoded(name).eq_ignore_ascii_case(&keys.query));
    in_header.chain(in_query.map(|(_, value)| decoded(value).into_bytes())).collect()
}

/// Puts a subscription's key, or none, in the stead of whatever a request carries for one.
pub(super) fn put_key(request: &mut Request, keys: &SubscriptionKeys, key: Option<&str>) {
    request.headers.remove(keys.header.as_bytes());
    clear_parameter(request, |name| name.eq_ignore_ascii_case(&keys.query));
    if let Some(key) = key {
        request.headers.add(keys.header.as_bytes(), key.as_bytes());
    }
}

/// The parameters of a target's query, as they are written: names and values.
pub(super) fn parameters(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = path.split_once('?').map(|(_, query)| query);
    query.into_iter().flat_map(|query| query.split('&')).map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

/// What a parameter's name or value means.
pub(super) fn decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

fn clear_parameter(request: &mut Request, is: impl Fn(&str) -> bool) {
    let Some((path, query)) = request.path.split_once('?') else { return };
    let is_other = |parameter: &&str| !is(&decoded(parameter.split('=').next().unwrap_or_default()));
    let others: Vec<&str> = query.split('&').filter(is_other).collect();
    request.path = if others.is_empty() { path.to_owned() } else { format!("{path}?{}", others.join("&")) };
}

/// Whether a value stands for a token or a key that whoever logged it kept back, or cut off.
fn is_mask(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let is_segment =
        |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if text.chars().all(|letter| FILLERS.contains(&letter)) {
        return true;
    }
    // A whole JSON Web Token may hold any word.
    let is_whole = text.split('.').count() == 3 && text.split('.').all(is_segment);
    !is_whole && (WORDS.iter().any(|word| text.contains(word)) || text.ends_with(['…', '*', '•']))
}

/// Takes away what stands in a place; credentials of another scheme stay.
pub(super) fn clear(request: &mut Request, place: &TokenPlace) {
    match place {
        TokenPlace::Authorization { scheme } => {
            let found = request.headers.first(b"authorization").and_then(|value| value.get(..scheme.len()));
            if found.is_some_and(|found| found.eq_ignore_ascii_case(scheme.as_bytes())) {
                request.headers.remove(b"authorization");
            }
        }
        TokenPlace::Header(name) => request.headers.remove(name.as_bytes()),
        TokenPlace::Query(name) => clear_parameter(request, |found| found == name),
        TokenPlace::Cookie(name) => {
            let is_other = |pair: &String| pair.split('=').next() != Some(name);
            let others: Vec<String> = cookies(request).into_iter().filter(is_other).collect();
            set_cookies(request, &others);
        }
    }
}

/// Puts a token into a place, beside what stands there; `Authorization` has room for one.
pub(super) fn put(request: &mut Request, place: &TokenPlace, token: &str) {
    match place {
        TokenPlace::Authorization { scheme } => request.headers.replace(b"authorization", format!("{scheme} {token}").as_bytes()),
        TokenPlace::Header(name) => request.headers.add(name.as_bytes(), token.as_bytes()),
        TokenPlace::Query(name) => {
            request.path.push(if request.path.contains('?') { '&' } else { '?' });
            for byte in name.bytes() {
                match byte {
                    b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => request.path.push(char::from(byte)),
                    _ => request.path.push_str(&format!("%{byte:02X}")),
                }
            }
            request.path.push('=');
            request.path.push_str(token);
        }
        TokenPlace::Cookie(name) => {
            let mut pairs = cookies(request);
            pairs.push(format!("{name}={token}"));
            set_cookies(request, &pairs);
        }
    }
}

fn cookies(request: &Request) -> Vec<String> {
    let lines = request.headers.values(b"cookie").map(|line| String::from_utf8_lossy(line).into_owned());
    let pairs = |line: String| line.split(';').map(|pair| pair.trim().to_owned()).collect::<Vec<_>>();
    lines.flat_map(pairs).filter(|pair| !pair.is_empty()).collect()
}

/// In one line, as HTTP/1.1 has it (RFC 9113 section 8.2.3).
fn set_cookies(request: &mut Request, pairs: &[String]) {
    request.headers.remove(b"cookie");
    if !pairs.is_empty() {
        request.headers.add(b"cookie", pairs.join("; ").as_bytes());
    }
}

/// What masks are made of, in lower case.
const FILLERS: [char; 8] = ['*', '•', '…', '.', '-', '_', '#', 'x'];
/// What a mask says.
const WORDS: [&str; 9] = ["redacted", "masked", "hidden", "removed", "filtered", "secret", "***", "•••", "..."];

#[cfg(test)]
mod tests {
    use tracegate::{Header, Headers};

    use super::*;
    use crate::host::{HeaderMap, Part};

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        let text = str::to_owned;
        let headers = HeaderMap::received(Part::Request, headers.iter().copied());
        Request { method: text("GET"), scheme: text("https"), authority: text("api.example"), path: text(path), headers }
    }

    fn held_in(request: &Request, places: &[TokenPlace]) -> Held {
        let lines: Vec<Header<'_>> = request.headers.iter().map(|line| Header { name: &line.name, value: &line.value }).collect();
        let head = RequestHead { method: b"GET", authority: b"", path: request.path.as_bytes(), headers: Headers::new(&lines) };
        held(&head, places)
    }

    #[test]
    fn a_mask_is_no_token() {
        let bearer = [TokenPlace::Authorization { scheme: "Bearer".to_owned() }];
        for (value, expected) in [
            ("Bearer eyJh.eyJp.c2ln", Held::Whole),
            ("Bearer eyJh.bWFza2Vk-masked-hidden.c2ln", Held::Whole),
            ("Bearer nonsense", Held::Whole),
            ("Bearer ", Held::Mask),
            ("Bearer ***", Held::Mask),
            ("Bearer XXXX", Held::Mask),
            ("Bearer [REDACTED]", Held::Mask),
            ("Bearer REDACTED-1a2b3c4d", Held::Mask),
            ("Bearer eyJh...", Held::Mask),
            ("Bearer eyJh.eyJp.***", Held::Mask),
            ("Basic ***", Held::Nothing),
        ] {
            assert_eq!(held_in(&request("/", &[("authorization", value)]), &bearer), expected, "{value}");
        }
        assert_eq!(held_in(&request("/", &[]), &bearer), Held::Nothing);
    }

    #[test]
    fn what_is_put_is_found_and_what_is_cleared_is_gone() {
        let text = str::to_owned;
        for (place, path, headers, cleared) in [
            (TokenPlace::Authorization { scheme: text("Bearer") }, "/a?b=1", &[("authorization", "Bearer ***")][..], "/a?b=1 "),
            (TokenPlace::Header(text("x-jwt")), "/a", &[("x-jwt", "***"), ("accept", "*/*")], "/a accept=*/*"),
            (TokenPlace::Query(text("t&ken")), "/a?b=1&t%26ken=***&c", &[], "/a?b=1&c "),
            (TokenPlace::Query(text("a b")), "/a?a+b=***", &[], "/a "),
            (TokenPlace::Query(text("jwt")), "/a", &[], "/a "),
            (TokenPlace::Cookie(text("s")), "/a", &[("cookie", "theme=dark; s=***"), ("cookie", "ss=1")], "/a cookie=theme=dark; ss=1"),
            (TokenPlace::Cookie(text("s")), "/a", &[("cookie", "s=***")], "/a "),
        ] {
            let mut request = request(path, headers);
            clear(&mut request, &place);
            let lines = request.headers.iter().map(|line| format!("{}={}", line.name.escape_ascii(), line.value.escape_ascii()));
            assert_eq!(format!("{} {}", request.path, lines.collect::<Vec<_>>().join(" ")), cleared, "{place:?}");
            assert_eq!(held_in(&request, std::slice::from_ref(&place)), Held::Nothing, "{place:?}");
            put(&mut request, &place, "a.b.c");
            let lines: Vec<Header<'_>> = request.headers.iter().map(|line| Header { name: &line.name, value: &line.value }).collect();
            let head = RequestHead { method: b"GET", authority: b"", path: request.path.as_bytes(), headers: Headers::new(&lines) };
            assert_eq!(place.look(&head), Carried::Token(b"a.b.c".into()), "{place:?}: {}", request.path);
        }
    }
}
