// SPDX-License-Identifier: Apache-2.0
//! `--find`: which exchanges touched a path, an id or a caller.

use std::net::IpAddr;
use std::str::FromStr;

use tracegate::route::{NormalPath, PathMatch};

use super::against::is_carrier;
use crate::recording::{Caller, Recorded};
use crate::redact::is_credential_header;

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Query {
    /// `path=/files/42`: that path and all below it, at the gateway or at the backend, compared as a policy's `prefix`; with
    /// `{…}` for any one segment, as a policy's `template`.
    Path(PathMatch),
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
            Some(("path", path)) if path.contains('{') => PathMatch::template(path).map(Self::Path).map_err(|error| error.to_string()),
            Some(("path", path)) => PathMatch::prefix(path).map(Self::Path).map_err(|error| error.to_string()),
            Some(("id", id)) if id.bytes().all(is_of_id) => Ok(Self::Id(id.to_owned())),
            Some(("id", _)) => Err("expected an id of letters, digits, '-' and '_'".to_owned()),
            Some(("caller", caller)) => Ok(Self::Caller(caller.to_owned())),
            _ => Err("expected path=…, id=… or caller=…".to_owned()),
        }
    }
}

impl Query {
    /// Whether an exchange touched it.
    #[must_use]
    pub fn is_touched_by(&self, recorded: &Recorded) -> bool {
        match self {
            Self::Path(path) => {
                targets(recorded).any(|target| NormalPath::read(target.as_bytes()).is_ok_and(|target| path.matches(&target)))
            }
            Self::Id(id) => has_id(recorded, id),
            Self::Caller(caller) => is_caller(&recorded.caller, caller),
        }
    }
}

/// Path and query, as the gateway and as the backend was asked for them.
fn targets(recorded: &Recorded) -> impl Iterator<Item = &str> {
    let backend = recorded.apim.as_ref().and_then(|apim| apim.backend_url.as_deref());
    let target = |url: &'_ str| {
        let (_, rest) = url.split_once("://")?;
        rest.find('/').map(|start| url.len() - rest.len() + start)
    };
    let backend = backend.and_then(|url| url.get(target(url)?..));
    std::iter::once(recorded.request.path.as_str()).chain(backend)
}

fn has_id(recorded: &Recorded, id: &str) -> bool {
    let Recorded { request, response, ids, apim, .. } = recorded;
    let lines = request.headers.iter().chain(response.headers.iter()).filter(|line| !is_credential_header(&line.name));
    let mut in_lines = lines.map(|line| {
        let text = String::from_utf8_lossy(&line.value);
        // Carriers put ids together with '-'.
        holds(&text, id) || (is_carrier(&line.name) && text.split('-').any(|part| holds(part, id)))
    });
    let trace_id = apim.as_ref().and_then(|apim| apim.trace_id);
    ids.iter().any(|known| holds(known, id))
        || targets(recorded).any(|target| holds(target, id))
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
    let same_address = |address: &str| address.parse::<IpAddr>().is_ok_and(|address| name.parse() == Ok(address));
    let names = [address.as_deref(), subscription.as_deref(), user.as_deref(), product.as_deref()].into_iter().flatten();
    names.chain(certificate.iter().map(String::as_str)).any(|known| known.eq_ignore_ascii_case(name))
        || address.as_deref().is_some_and(same_address)
}
