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

/// The path without its query, and without what stands behind a semicolon in its segments: some services take credentials there.
fn without_parameters(target: &[u8]) -> Cow<'_, [u8]> {
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    // Escaped, a semicolon is one to those who decode first.
    if !path.contains(&b';') && !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let segments = path.split(|byte| *byte == b'/').map(told);
    Cow::Owned(segments.collect::<Vec<_>>().join(&b'/'))
}

/// What is told of a segment: all but its parameters.
pub(super) fn told(segment: &[u8]) -> &[u8] {
    segment.get(..parameters(segment)).unwrap_or_default()
}

/// Where a segment's parameters begin, or what a service that decodes once more takes for a query.
fn parameters(segment: &[u8]) -> usize {
    let plain = segment.iter().position(|byte| matches!(byte, b';' | b'?' | b'#'));
    let is_escaped = |window: &[u8]| [&b"%3b"[..], b"%3f", b"%23"].iter().any(|escape| window.eq_ignore_ascii_case(escape));
    let escaped = segment.windows(3).position(is_escaped);
    [plain, escaped].into_iter().flatten().min().unwrap_or(segment.len())
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
                written.extend_from_slice(&key.digest(told(segment)));
            }
            // Without a key there is nothing to tell it by.
            (Segment::Parameter(name), None) if hides(name) => written.extend_from_slice(format!("{{{name}}}").as_bytes()),
            _ => written.extend_from_slice(told(segment)),
        }
    }
    written
}

/// The path's parameters that the policy tells, by name.
pub(super) fn parameters_told(target: &[u8], route: &Route, mut tell: impl FnMut(&PathAttribute, &[u8])) {
    if route.attributes.is_empty() {
        return;
    }
    let (Ok(path), Some(PathMatch::Template(template))) = (NormalPath::read(target), &route.path) else { return };
    for (segment, expected) in path.segments().zip(template) {
        let Segment::Parameter(name) = expected else { continue };
        if let Some(attribute) = route.attributes.iter().find(|attribute| attribute.name == *name) {
            tell(attribute, told(segment));
        }
    }
}
