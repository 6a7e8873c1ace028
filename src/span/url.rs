// SPDX-License-Identifier: Apache-2.0
//! What is told of a request's path.

use std::borrow::Cow;

use super::{DigestKey, SpanPolicy, UrlPath};
use crate::path::{NormalPath, PathMatch, Segment};
use crate::route::{PathAttribute, Route};

/// What stands in `url.path`. `target` is the request's `:path`.
pub(super) fn path<'a>(target: &'a [u8], route: Option<&'a Route>, policy: &SpanPolicy, key: Option<&DigestKey>) -> Cow<'a, [u8]> {
    let template = || Cow::Borrowed(route.and_then(|route| route.template.as_deref()).map_or(b"/".as_slice(), str::as_bytes));
    match (policy.url_path, route.filter(|route| route.attributes.iter().any(|attribute| attribute.digest))) {
        (UrlPath::Template, _) => template(),
        (UrlPath::Full, Some(route)) => Cow::Owned(digested(target, route, key)),
        // What one route hides, another one or none may have matched in another spelling.
        (UrlPath::Full, None) if policy.hides_parameters => template(),
        (UrlPath::Full, None) => without_parameters(target),
    }
}

/// The path without its query, and without what stands behind a semicolon in its segments: some services take credentials there. Nor what stands
/// behind an escaped percent sign: those who decode twice may find anything there.
fn without_parameters(target: &[u8]) -> Cow<'_, [u8]> {
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    // Escaped, a semicolon is one to those who decode first.
    if !path.contains(&b';') && !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    Cow::Owned(path.split(|byte| *byte == b'/').map(before_parameters_escaped).collect::<Vec<_>>().join(&b'/'))
}

/// Whether parameters of a segment begin with this byte, or what a service that decodes once more takes for a query.
const fn begins_parameters(byte: u8) -> bool {
    matches!(byte, b';' | b'?' | b'#')
}

/// What of a segment that isn't decoded stands before its parameters. What an escaped percent sign begins is whatever those take it for who decode
/// once more.
fn before_parameters_escaped(segment: &[u8]) -> &[u8] {
    let ends = |place: &usize| match segment.get(*place..).unwrap_or_default() {
        [b'%', rest @ ..] => escape(rest).is_none_or(|byte| byte == b'%' || begins_parameters(byte)),
        [byte, ..] => begins_parameters(*byte),
        [] => true,
    };
    let end = (0..segment.len()).find(ends).unwrap_or(segment.len());
    segment.get(..end).unwrap_or_default()
}

/// The same of a segment that is decoded once.
fn before_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|byte| *byte == b'%' || begins_parameters(*byte)).next().unwrap_or_default()
}

/// What a segment that is decoded once calls: the same for those who decode once and those who do so again, lest one id be told in two spellings.
pub(super) fn id(segment: &[u8]) -> Cow<'_, [u8]> {
    let mut id = Cow::Borrowed(segment);
    for _ in 0..MAX_DECODED {
        let Some(decoded) = decoded(&id) else { break };
        id = Cow::Owned(decoded);
    }
    let end = id.iter().position(|byte| begins_parameters(*byte)).unwrap_or(id.len());
    match id {
        Cow::Borrowed(id) => Cow::Borrowed(id.get(..end).unwrap_or_default()),
        Cow::Owned(mut id) => {
            id.truncate(end);
            Cow::Owned(id)
        }
    }
}

/// Decodes every escape, once; `None` where there is none.
fn decoded(segment: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(segment.len());
    let (mut rest, mut any) = (segment, false);
    while let [first, tail @ ..] = rest {
        let escaped = if *first == b'%' { escape(tail) } else { None };
        any |= escaped.is_some();
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    any.then_some(decoded)
}

/// The byte that two hexadecimal digits behind a percent sign stand for.
fn escape(digits: &[u8]) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice(digits.get(..2)?, &mut byte).ok()?;
    let [byte] = byte;
    Some(byte)
}

/// The path in normal form, with digests in the place of what the policy tells as such.
fn digested(target: &[u8], route: &Route, key: Option<&DigestKey>) -> Vec<u8> {
    let (Ok(path), Some(PathMatch::Template(template))) = (NormalPath::read(target), &route.path) else { return Vec::new() };
    let mut written = Vec::new();
    for (segment, expected) in path.segments().zip(template) {
        written.push(b'/');
        let hides = |name: &str| route.attributes.iter().any(|attribute| attribute.digest && attribute.name == *name);
        match (expected, key) {
            (Segment::Parameter(name), Some(key)) if hides(name) => {
                written.extend_from_slice(&key.digest(&id(segment)));
            }
            // Without a key there is nothing to tell it by.
            (Segment::Parameter(name), None) if hides(name) => written.extend_from_slice(format!("{{{name}}}").as_bytes()),
            _ => written.extend_from_slice(before_parameters(segment)),
        }
    }
    written
}

/// The path's parameters that the policy tells, by name: what is told of each, or what its digest is of.
pub(super) fn parameters_told(target: &[u8], route: &Route, mut tell: impl FnMut(&PathAttribute, &[u8])) {
    if route.attributes.is_empty() {
        return;
    }
    let (Ok(path), Some(PathMatch::Template(template))) = (NormalPath::read(target), &route.path) else { return };
    for (segment, expected) in path.segments().zip(template) {
        let Segment::Parameter(name) = expected else { continue };
        if let Some(attribute) = route.attributes.iter().find(|attribute| attribute.name == *name) {
            let told = if attribute.digest { id(segment) } else { Cow::Borrowed(before_parameters(segment)) };
            tell(attribute, &told);
        }
    }
}

/// How often ids are decoded beyond the once that the standard asks for.
const MAX_DECODED: usize = 4;
