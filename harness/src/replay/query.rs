// SPDX-License-Identifier: Apache-2.0
//! `--find`: which exchanges touched a path, an id or a caller.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use tracegate::path::{NormalPath, PathMatch, Segment};

use super::against::is_carrier;
use crate::Redactor;
use crate::host::Line;
use crate::recording::{Caller, Certificate, Recorded};
use crate::redact::percent_decoded;

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Query {
    /// `path=/files/42`: that path and all below it, at the gateway or at the backend, by whole segments, of which those in
    /// braces stand for any one. Compared as a policy's paths are; a path with two readings, as it was written.
    Path(Vec<Segment>),
    /// `id=…`: a whole id in any case, wherever it stands: trace, span, correlation or request id, a segment or parameter
    /// of the URL, a word in a header that is no credential.
    Id(String),
    /// `caller=…`: an address, subscription, user or product, or what a client certificate says, as a whole and in any case.
    Caller(String),
}

impl FromStr for Query {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((_, "")) => Err("expected something behind the '='".to_owned()),
            Some(("path", path)) => segments(path).map(Self::Path),
            Some(("id", id)) if id.bytes().all(is_of_id) => Ok(Self::Id(id.to_owned())),
            Some(("id", _)) => Err("expected an id of letters, digits, '-' and '_'".to_owned()),
            Some(("caller", caller)) => Ok(Self::Caller(caller.to_owned())),
            _ => Err("expected path=…, id=… or caller=…".to_owned()),
        }
    }
}

/// A path's segments, without a last one that is empty.
fn segments(path: &str) -> Result<Vec<Segment>, String> {
    match PathMatch::template(path).map_err(|error| error.to_string())? {
        PathMatch::Template(mut segments) => {
            segments.pop_if(|last| matches!(last, Segment::Literal(text) if text.is_empty()));
            Ok(segments)
        }
        PathMatch::Exact(_) | PathMatch::Prefix(_) => Err("expected a path".to_owned()),
    }
}

impl Query {
    /// Whether an exchange touched it.
    #[must_use]
    pub fn is_touched_by(&self, recorded: &Recorded, redactor: &Redactor) -> bool {
        match self {
            Self::Path(path) => targets(recorded).any(|target| is_at_or_below(target, path)),
            Self::Id(id) => has_id(recorded, id, redactor),
            Self::Caller(caller) => is_caller(&recorded.caller, caller),
        }
    }
}

/// Path and query, as the gateway and as the backend was asked for them.
fn targets(recorded: &Recorded) -> impl Iterator<Item = &str> {
    let backend = recorded.apim.as_ref().and_then(|apim| apim.backend_url.as_deref());
    let target = |url: &'_ str| {
        let scheme =
            url.find("://").filter(|&end| url.bytes().take(end).all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)));
        let authority = scheme.map_or(0, |end| end + "://".len());
        let end = url.get(authority..)?.find(['/', '?', '#']).map(|length| authority + length)?;
        url.get(end..)?.starts_with('/').then_some(end)
    };
    let backend = backend.and_then(|url| url.get(target(url)?..));
    std::iter::once(recorded.request.path.as_str()).chain(backend)
}

fn is_at_or_below(target: &str, path: &[Segment]) -> bool {
    let as_written = target.split('?').next().unwrap_or_default().as_bytes();
    let normal = NormalPath::read(target.as_bytes());
    let found = normal.as_ref().map_or(as_written, NormalPath::as_bytes);
    let mut found = found.split(|&byte| byte == b'/').skip(1);
    path.iter().all(|expected| match (expected, found.next()) {
        (Segment::Literal(expected), Some(segment)) => expected == segment,
        (Segment::Parameter(_), Some(segment)) => !segment.is_empty(),
        (_, None) => false,
    })
}

fn has_id(recorded: &Recorded, id: &str, redactor: &Redactor) -> bool {
    let Recorded { request, response, ids, apim, .. } = recorded;
    // What nobody is shown, nobody finds.
    let shown = |line: &Line| redactor.header(&line.name, &line.value).as_str().map(str::to_owned).unwrap_or_default();
    let mut in_lines = request.headers.iter().chain(response.headers.iter()).map(|line| {
        let text = shown(line);
        // Carriers put ids together with what may be part of others.
        holds(&text, id) || (is_carrier(&line.name) && text.split(['-', '_']).any(|part| holds(part, id)))
    });
    let backend = apim.as_ref().and_then(|apim| apim.backend_url.as_deref());
    let trace_id = apim.as_ref().and_then(|apim| apim.trace_id);
    ids.iter().any(|known| holds(known, id))
        || [redactor.url(&request.path).as_str()].into_iter().chain(backend).any(|url| holds(url, id) || holds(&percent_decoded(url), id))
        || trace_id.is_some_and(|trace_id| trace_id.to_string().eq_ignore_ascii_case(id))
        || in_lines.any(|found| found)
}

/// Whether a text has an id as a word of its own.
fn holds(text: &str, id: &str) -> bool {
    text.split(|letter: char| !u8::try_from(letter).is_ok_and(is_of_id)).any(|word| word.eq_ignore_ascii_case(id))
}

const fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn is_caller(caller: &Caller, name: &str) -> bool {
    let Caller { address, subscription, user, product, certificate } = caller;
    let names = [address, subscription, user, product].into_iter().flatten().chain(certificate.iter().flat_map(Certificate::names));
    let named = names.map(|known| known.trim()).any(|known| known.eq_ignore_ascii_case(name.trim()));
    named || address.as_deref().and_then(address_of).is_some_and(|address| address_of(name) == Some(address))
}

/// The address in a text, which may have a port or brackets; an IPv4 address in IPv6 is that IPv4 address.
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}
