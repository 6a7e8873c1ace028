// SPDX-License-Identifier: Apache-2.0
//! Path matches, on a form that all spellings of a path share.

use std::borrow::Cow;
use std::fmt;

/// A request's path without its query, in the form in which paths are compared: RFC 3986 section 6.2.2 and beyond. Escapes
/// are decoded (`%24metadata` is `$metadata` to a service that decodes, as most do), dot segments removed (section 5.2.4),
/// slashes merged.
///
/// Nothing is rewritten upstream. What could be read as another path further down is no path: `%2F`, `%5C` and `%00`, a
/// backslash, an escape without two hexadecimal digits, a control character, a fragment, dots with parameters (`..;x`), a
/// `..` behind an empty segment (`/a//../b` is `/a/b` by the standard and `/b` to those who merge slashes first), and
/// anything that doesn't begin with `/` (but for the `*` of OPTIONS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a>(Cow<'a, [u8]>);

impl<'a> NormalPath<'a> {
    /// Reads a `:path`.
    ///
    /// # Errors
    ///
    /// [`AmbiguousPath`], as said above.
    pub fn read(target: &'a [u8]) -> Result<Self, AmbiguousPath> {
        let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        if !path.starts_with(b"/") && path != b"*" {
            return Err(AmbiguousPath);
        }
        if path.iter().any(|&byte| matches!(byte, b'\\' | b'#' | 0..=b' ' | 0x7f)) {
            return Err(AmbiguousPath);
        }
        if !path.contains(&b'%') && !path.contains(&b';') && is_plain(path) {
            return Ok(Self(Cow::Borrowed(path)));
        }
        Ok(Self(Cow::Owned(without_dot_segments(&decoded(path)?)?)))
    }

    /// The path's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &[u8]> + Clone {
        segments(&self.0)
    }
}

/// What slashes lead to: `/a/` has an empty segment at its end, `*` has none.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    path.split(|&byte| byte == b'/').skip(1)
}

/// Whether there is neither an empty nor a dot segment to remove.
fn is_plain(path: &[u8]) -> bool {
    let inner = path.strip_suffix(b"/").unwrap_or(path);
    inner.split(|&byte| byte == b'/').skip(1).all(|segment| !matches!(segment, b"" | b"." | b".."))
}

/// Decodes every escape, once.
fn decoded(path: &[u8]) -> Result<Vec<u8>, AmbiguousPath> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let (digits, tail) = tail.split_first_chunk::<2>().ok_or(AmbiguousPath)?;
        rest = tail;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).map_err(|_| AmbiguousPath)?;
        match byte {
            [b'/' | b'\\' | 0] => return Err(AmbiguousPath),
            [byte] => decoded.push(byte),
        }
    }
    Ok(decoded)
}

fn without_dot_segments(path: &[u8]) -> Result<Vec<u8>, AmbiguousPath> {
    // Empty segments stay until the dots are gone, as section 5.2.4 counts them.
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut last: &[u8] = b"";
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        match segment {
            b"." => {}
            b".." => {
                if kept.pop() == Some(b"") {
                    return Err(AmbiguousPath);
                }
            }
            // Some services drop a segment's parameters before they look at its dots.
            [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(AmbiguousPath),
            segment => kept.push(segment),
        }
        last = segment;
    }
    let mut normal = Vec::with_capacity(path.len());
    for segment in kept.iter().filter(|segment| !segment.is_empty()) {
        normal.push(b'/');
        normal.extend_from_slice(segment);
    }
    if matches!(last, b"" | b"." | b"..") || normal.is_empty() {
        normal.push(b'/');
    }
    Ok(normal)
}

/// A path that two readers could take for different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmbiguousPath;

impl fmt::Display for AmbiguousPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "expected a path with one reading, found %2F, %5C, %00, a backslash, a control character, a fragment, a broken escape, '..;' or '..' behind an empty segment",
        )
    }
}

impl std::error::Error for AmbiguousPath {}

/// A match on the path in normal form. Queries never count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// This path.
    Exact(Vec<u8>),
    /// This path and every path below it, by whole segments: `/admin` matches `/admin`, `/admin/` and `/admin/users`,
    /// not `/administrator`. Held without a trailing slash; empty matches every path.
    Prefix(Vec<u8>),
    /// Segments of which those in braces stand for one non-empty segment each: `/orders/{id}`.
    Template(Vec<Segment>),
}

/// One segment of a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(Vec<u8>),
    /// Any one non-empty segment, called by this name.
    Parameter(String),
}

impl PathMatch {
    /// Matches `path` alone.
    ///
    /// # Errors
    ///
    /// [`InvalidPathMatch`] where `path` is not in normal form and so could never match.
    pub fn exact(path: &str) -> Result<Self, InvalidPathMatch> {
        normal(path).map(Self::Exact)
    }

    /// Matches `path` and all below it.
    ///
    /// # Errors
    ///
    /// [`InvalidPathMatch`] where `path` is not in normal form and so could never match.
    pub fn prefix(path: &str) -> Result<Self, InvalidPathMatch> {
        let mut path = normal(path)?;
        if path.last() == Some(&b'/') {
            path.pop();
        }
        Ok(Self::Prefix(path))
    }

    /// Matches by template.
    ///
    /// # Errors
    ///
    /// [`InvalidPathMatch`] where the literal parts are not in normal form, or a brace is not around a whole segment, or
    /// a parameter has no name or one that is taken.
    pub fn template(template: &str) -> Result<Self, InvalidPathMatch> {
        let mut segments = Vec::new();
        for segment in template.split('/').skip(1) {
            let segment = match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => Segment::Parameter(parameter_name(name, &segments)?),
                None if segment.contains(['{', '}']) => return Err(InvalidPathMatch::PartialSegment),
                None => Segment::Literal(decoded(segment.as_bytes()).map_err(|AmbiguousPath| InvalidPathMatch::NotAPath)?),
            };
            segments.push(segment);
        }
        normal(template)?;
        Ok(Self::Template(segments))
    }

    /// As the conventions want routes: a path, a template, or what a prefix stands for, `/admin/*`.
    #[must_use]
    pub fn template_text(&self) -> String {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Exact(path) => lossy(path),
            Self::Prefix(prefix) => format!("{}/*", lossy(prefix)),
            Self::Template(segments) => {
                let segment = |segment: &Segment| match segment {
                    Segment::Literal(text) => format!("/{}", lossy(text)),
                    Segment::Parameter(name) => format!("/{{{name}}}"),
                };
                segments.iter().map(segment).collect()
            }
        }
    }

    /// Whether `path` matches.
    #[must_use]
    pub fn matches(&self, path: &NormalPath<'_>) -> bool {
        match self {
            Self::Exact(expected) => path.as_bytes() == expected,
            // `/` is above everything, even above the `*` of OPTIONS.
            Self::Prefix(prefix) if prefix.is_empty() => true,
            Self::Prefix(prefix) => {
                path.as_bytes().strip_prefix(prefix.as_slice()).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
            }
            Self::Template(template) => {
                let mut segments = path.segments();
                template.iter().all(|expected| segments.next().is_some_and(|segment| expected.matches(segment)))
                    && segments.next().is_none()
            }
        }
    }
}

impl Segment {
    fn matches(&self, segment: &[u8]) -> bool {
        match self {
            Self::Literal(expected) => segment == expected,
            Self::Parameter(_) => !segment.is_empty(),
        }
    }
}

/// The form in which requests are compared; escapes may stand in a policy, dot and empty segments may not.
fn normal(path: &str) -> Result<Vec<u8>, InvalidPathMatch> {
    let normal = NormalPath::read(path.as_bytes()).map_err(|AmbiguousPath| InvalidPathMatch::NotAPath)?;
    match decoded(path.as_bytes()) {
        Ok(decoded) if decoded == normal.as_bytes() => Ok(decoded),
        _ => Err(InvalidPathMatch::NotNormal { normal: String::from_utf8_lossy(normal.as_bytes()).into_owned() }),
    }
}

fn parameter_name(name: &str, before: &[Segment]) -> Result<String, InvalidPathMatch> {
    let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !word {
        return Err(InvalidPathMatch::ParameterName);
    }
    if before.iter().any(|segment| matches!(segment, Segment::Parameter(taken) if taken == name)) {
        return Err(InvalidPathMatch::ParameterRepeated);
    }
    Ok(name.to_owned())
}

/// Why text is no path to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidPathMatch {
    /// It doesn't begin with `/`, or holds what requests are refused for.
    NotAPath,
    /// Requests are compared in normal form, which this is not.
    NotNormal {
        /// The form to write instead.
        normal: String,
    },
    /// A brace within a segment.
    PartialSegment,
    /// A parameter without a name of letters, digits, `_` and `-`.
    ParameterName,
    /// Two parameters of one name.
    ParameterRepeated,
}

impl fmt::Display for InvalidPathMatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPath => {
                formatter.write_str("expected a path that begins with '/' and has no query, fragment, backslash, %2F, %5C or %00")
            }
            Self::NotNormal { normal } => write!(formatter, "expected a path in normal form, which is {normal:?}"),
            Self::PartialSegment => formatter.write_str("expected braces around a whole segment, as in /orders/{id}"),
            Self::ParameterName => formatter.write_str("expected a parameter name of letters, digits, '_' and '-'"),
            Self::ParameterRepeated => formatter.write_str("expected parameter names that differ"),
        }
    }
}

impl std::error::Error for InvalidPathMatch {}

/// No bytes panic, no dot segment is left, and escaping every byte but slashes is another spelling of the same path.
#[cfg(any(test, fuzzing))]
pub fn fuzz_path(bytes: &[u8]) {
    let Ok(path) = NormalPath::read(bytes) else { return };
    assert!(path.as_bytes() == b"*" || path.segments().all(|segment| segment != b"." && segment != b".."));
    let target = bytes.split(|&byte| byte == b'?').next().unwrap_or_default();
    if target.contains(&b'%') || target == b"*" {
        return;
    }
    let escaped = target.iter().map(|&byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect::<String>();
    assert_eq!(NormalPath::read(escaped.as_bytes()).as_ref(), Ok(&path), "{escaped}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equivalent_spellings_share_one_form() {
        for (target, expected) in [
            ("/", "/"),
            ("*", "*"),
            ("/a/b?c=/d", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../../a", "/a"),
            ("/%61%2d%2E%7e", "/a-.~"),
            ("/a/%2e%2E/b", "/b"),
            ("/caf%c3%a9%3f", "/café?"),
            ("/%24metadata", "/$metadata"),
            ("/%2561", "/%61"),
            ("/a//b/../c", "/a/c"),
            ("/a;b=1/c", "/a;b=1/c"),
        ] {
            assert_eq!(
                NormalPath::read(target.as_bytes()).map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned()).as_deref(),
                Ok(expected),
                "{target}"
            );
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for target in [
            "",
            "a",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a\\b",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a#b",
            "/a b",
            "/a\u{7f}",
            "http://x/",
            "/admin//../x",
            "/x//./../admin",
            "//..",
            "/a/..;/b",
            "/a/%2e%2E;x/b",
            "/.;/a",
        ] {
            assert_eq!(NormalPath::read(target.as_bytes()), Err(AmbiguousPath), "{target}");
        }
    }

    #[test]
    fn matches() {
        let template = PathMatch::template("/orders/{id}/lines/{line_id}").unwrap();
        let exact = PathMatch::exact("/healthz").unwrap();
        let prefix = PathMatch::prefix("/admin/").unwrap();
        let root = PathMatch::prefix("/").unwrap();
        let by = |target: &str| {
            let path = NormalPath::read(target.as_bytes()).unwrap();
            [&template, &exact, &prefix, &root].map(|known| known.matches(&path))
        };
        for (target, expected) in [
            ("/orders/7/lines/1", [true, false, false, true]),
            ("/orders/7/lines/1/", [false, false, false, true]),
            ("/orders/7/lines/", [false, false, false, true]),
            ("/orders//lines/1", [false, false, false, true]),
            ("/healthz?x", [false, true, false, true]),
            ("*", [false, false, false, true]),
            ("/healthz/", [false, false, false, true]),
            ("/admin", [false, false, true, true]),
            ("/admin/", [false, false, true, true]),
            ("/admin/users", [false, false, true, true]),
            ("/administrator", [false, false, false, true]),
        ] {
            assert_eq!(by(target), expected, "{target}");
        }
    }

    #[test]
    fn a_policy_may_spell_paths_with_escapes() {
        for (made, target) in [
            (PathMatch::prefix("/caf%C3%A9"), "/caf%c3%a9/menu"),
            (PathMatch::prefix("/café"), "/caf%c3%a9"),
            (PathMatch::exact("/$metadata"), "/%24metadata"),
            (PathMatch::template("/%24/{id}"), "/$/7"),
        ] {
            assert!(made.unwrap().matches(&NormalPath::read(target.as_bytes()).unwrap()), "{target}");
        }
    }

    #[test]
    fn what_can_never_match_is_refused() {
        for (made, expected) in [
            (PathMatch::exact("healthz"), InvalidPathMatch::NotAPath),
            (PathMatch::exact("/a?b"), InvalidPathMatch::NotNormal { normal: "/a".into() }),
            (PathMatch::prefix("/a%2fb"), InvalidPathMatch::NotAPath),
            (PathMatch::prefix("/a/../b"), InvalidPathMatch::NotNormal { normal: "/b".into() }),
            (PathMatch::template("/a//{b}"), InvalidPathMatch::NotNormal { normal: "/a/{b}".into() }),
            (PathMatch::template("{*}"), InvalidPathMatch::NotAPath),
            (PathMatch::template("/a/x{b}"), InvalidPathMatch::PartialSegment),
            (PathMatch::template("/a/{b}/{b}"), InvalidPathMatch::ParameterRepeated),
            (PathMatch::template("/a/{b c}"), InvalidPathMatch::ParameterName),
            (PathMatch::template("/{}/b"), InvalidPathMatch::ParameterName),
            (PathMatch::template("/a/{b.c}"), InvalidPathMatch::ParameterName),
        ] {
            assert_eq!(made, Err(expected));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            fuzz_path(&bytes);
        }

        #[test]
        fn nearly_right_paths_too(target in "/([a./%]|%2[eE]|%6[0-9]|%[c-f]0){0,30}") {
            fuzz_path(target.as_bytes());
        }
    }
}
