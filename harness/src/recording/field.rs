// SPDX-License-Identifier: Apache-2.0
//! What the fields of every layout must be. Messages name the field and never show what may be a credential.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;

/// RFC 3339 section 5.6 with at most 9 digits after the point, in a year that nanoseconds since 1970 reach in 64 bits.
pub(super) fn timestamp(field: &str, text: &str) -> Result<Timestamp, String> {
    let read = || {
        let time: Timestamp = if has_shape(text.as_bytes()) { text.parse().ok()? } else { return None };
        i64::try_from(time.as_nanosecond()).is_ok().then_some(time)
    };
    read().ok_or_else(|| format!("{field}: expected an RFC 3339 date and time, found {}", shown(text, is_like_a_time(text))))
}

/// A time as the portal's exports have it, in RFC 3339: `2/25/2025, 9:19:25.391 AM` (the month first, as only those write who
/// write `AM`) or `2025-02-25 09:19:25.391`.
pub(super) fn portal_time(text: &str) -> Option<String> {
    // Newer browsers put a narrow space before `AM`.
    let text = &text.replace('\u{202f}', " ");
    let has_fraction = text.contains('.');
    let formats = match (text.ends_with('M'), has_fraction) {
        (true, true) => "%m/%d/%Y, %I:%M:%S.%f %p",
        (true, false) => "%m/%d/%Y, %I:%M:%S %p",
        (false, true) => "%Y-%m-%d %H:%M:%S.%f",
        (false, false) => "%Y-%m-%d %H:%M:%S",
    };
    let time = DateTime::strptime(formats, text).ok()?;
    Some(format!("{time}Z"))
}

/// So many milliseconds; `None` for what lasts less than nothing, or longer than a day.
pub(super) fn milliseconds(milliseconds: f64) -> Option<Duration> {
    let most = 86_400_000.0;
    (0.0..=most).contains(&milliseconds).then(|| Duration::from_secs_f64(milliseconds / 1000.0))
}

/// What stands in a wrong column may be a credential: only what is like what was expected is shown.
fn shown(text: &str, harmless: bool) -> String {
    if harmless { format!("{text:?}") } else { "other text".to_owned() }
}

fn is_like_an_address(text: &str) -> bool {
    text.len() <= 60 && text.chars().all(|letter| letter.is_ascii_hexdigit() || ".:[]".contains(letter))
}

fn is_like_a_time(text: &str) -> bool {
    let letters = text.chars().filter(|letter| !letter.is_ascii_digit() && !" -:/.,+".contains(*letter)).count();
    text.len() <= 40 && letters <= 4 && text.contains(['-', ':', '/'])
}

/// serde_json's message without the value that it found, which may be a credential; its place counts from where the
/// record begins.
pub(super) fn located(error: &serde_json::Error) -> String {
    let shown = unlocated(error);
    match (error.line(), error.column()) {
        (0 | 1, column) => format!("{shown} (column {column})"),
        (line, column) => format!("{shown} (line {line} of the record, column {column})"),
    }
}

/// serde_json's message without the value that it found and without its place.
pub(super) fn unlocated(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let words = message.rsplit_once(" at line ").map_or(message.as_str(), |(words, _)| words);
    match (words.split_once(": "), words.rsplit_once(", expected ")) {
        (Some((kind @ ("invalid type" | "invalid value"), found)), Some((_, expected))) => {
            let found = found.split([' ', ',', '`']).next().unwrap_or_default();
            format!("{kind}: expected {expected}, found {found}")
        }
        _ if words.starts_with("unknown field ") && !names_a_field(words) => {
            let expected = words.rsplit_once(", expected ").map_or("another", |(_, expected)| expected);
            format!("expected {expected}, found a field with another name")
        }
        _ if words.starts_with("unknown variant ") => {
            let expected = words.rsplit_once(", expected ").map_or("another word", |(_, expected)| expected);
            format!("expected {expected}, found another word")
        }
        _ => words.to_owned(),
    }
}

/// Whether a message about a field names it by what may be a name.
fn names_a_field(words: &str) -> bool {
    let name = words.split('`').nth(1).unwrap_or_default();
    name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
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
    let hours = zone.get(1..3).unwrap_or(b"00");
    matches(seconds, b"0000-00-00T00:00:00")
        && hours <= b"23".as_slice()
        && (matches(zone, b"Z") || matches(zone, b"+00:00") || matches(zone, b"-00:00"))
}

/// Where a request went to. Neither is shown: user information may hold a password.
pub(super) fn check_origin(scheme: &str, authority: &str) -> Result<(), String> {
    if !matches!(scheme, "http" | "https") {
        return Err("expected the scheme http or https".to_owned());
    }
    let sound = !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte));
    if sound { Ok(()) } else { Err("expected an authority of host and port".to_owned()) }
}

pub(super) fn check_status(status: u16) -> Result<(), String> {
    if (100..=599).contains(&status) { Ok(()) } else { Err(format!("response.status: expected one from 100 to 599, found {status}")) }
}

pub(super) fn check_method(method: &str) -> Result<(), String> {
    let harmless = method.len() <= 10 && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ');
    let sound = !method.is_empty() && method.bytes().all(is_token);
    if sound { Ok(()) } else { Err(format!("expected a method, found {}", shown(method, harmless))) }
}

pub(super) fn check_target(path: &str) -> Result<(), String> {
    let sound = (path.starts_with('/') || path == "*") && !path.bytes().any(|byte| byte.is_ascii_control());
    if sound { Ok(()) } else { Err("path: expected one that begins with '/' and has no control characters".to_owned()) }
}

/// The address of a peer, without its port.
pub(super) fn source_address(source: &str) -> Result<String, String> {
    source
        .parse::<std::net::SocketAddr>()
        .map(|source| source.ip().to_string())
        .map_err(|_| format!("request.source: expected an address with a port, found {}", shown(source, is_like_an_address(source))))
}

/// What no HTTP message can carry is no recording of one. The value isn't shown: it may be a credential.
pub(super) fn check_header(name: &str, value: &[u8]) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("expected a header name, found something else".to_owned());
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
