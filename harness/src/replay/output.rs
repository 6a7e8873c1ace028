// SPDX-License-Identifier: Apache-2.0
//! `--format json`: one object a line, fields always in the same order, credentials redacted.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::{Agreement, Decided, Replayed, Totals};
use crate::Redactor;
use crate::host::HeaderMap;

#[derive(Serialize)]
struct Line<'a> {
    recording: &'a str,
    index: u64,
    line: u64,
    decision: &'static str,
    status: u32,
    reason: Option<&'a str>,
    upstream_request: Option<UpstreamRequest>,
    response: Response,
    span: Option<Value>,
    agrees: Option<bool>,
    undecidable: Option<&'static str>,
    difference: Option<Difference<'a>>,
}

#[derive(Serialize)]
struct UpstreamRequest {
    method: String,
    path: String,
    authority: String,
    headers: Vec<(String, Value)>,
}

#[derive(Serialize)]
struct Response {
    status: u32,
    headers: Vec<(String, Value)>,
}

#[derive(Serialize)]
struct Difference<'a> {
    field: &'static str,
    expected: &'a Value,
    found: &'a Value,
    explained_by: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary<'a> {
    exchanges: u64,
    admitted: u64,
    refused: u64,
    agreed: u64,
    differed: u64,
    undecidable: u64,
    malformed: u64,
    policy_fingerprint: &'a str,
    module_version: Option<&'a str>,
    seed: u64,
}

/// Writes one exchange.
///
/// # Errors
///
/// When `out` can't be written.
pub fn write_exchange(out: &mut impl Write, recording: &str, replayed: &Replayed, redactor: &Redactor) -> io::Result<()> {
    let Replayed { recorded, decided, agreement, .. } = replayed;
    let (agrees, undecidable, difference) = match agreement {
        Agreement::Agrees => (Some(true), None, None),
        Agreement::Differs(difference) => (Some(false), None, Some(difference)),
        Agreement::Undecidable(undecidable) => (None, Some(undecidable.as_str()), None),
    };
    let line = Line {
        recording,
        index: recorded.place.index,
        line: recorded.place.line,
        decision: decided.name(),
        status: decided.status(),
        reason: decided.reason(),
        upstream_request: upstream_request(decided, redactor),
        response: Response { status: decided.status(), headers: headers(decided.response_headers(), redactor) },
        span: None,
        agrees,
        undecidable,
        difference: difference.map(|difference| Difference {
            field: difference.field,
            expected: &difference.expected,
            found: &difference.found,
            explained_by: None,
        }),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Writes the last line.
///
/// # Errors
///
/// When `out` can't be written.
pub fn write_summary(
    out: &mut impl Write,
    totals: &Totals,
    malformed: u64,
    policy_fingerprint: &str,
    module_version: Option<&str>,
    seed: u64,
) -> io::Result<()> {
    let &Totals { exchanges, admitted, refused, agreed, differed, undecidable, .. } = totals;
    let summary =
        Summary { exchanges, admitted, refused, agreed, differed, undecidable, malformed, policy_fingerprint, module_version, seed };
    serde_json::to_writer(&mut *out, &LastLine { summary })?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct LastLine<'a> {
    summary: Summary<'a>,
}

fn upstream_request(decided: &Decided, redactor: &Redactor) -> Option<UpstreamRequest> {
    let Decided::Admitted { upstream, .. } = decided else { return None };
    let pseudo = |name: &str| String::from_utf8_lossy(upstream.first(name.as_bytes()).unwrap_or_default()).into_owned();
    Some(UpstreamRequest {
        method: pseudo(":method"),
        path: redactor.url(&pseudo(":path")),
        authority: pseudo(":authority"),
        headers: headers(upstream, redactor),
    })
}

/// Lines but for pseudo-headers.
fn headers(map: &HeaderMap, redactor: &Redactor) -> Vec<(String, Value)> {
    let regular = map.iter().filter(|line| !line.name.starts_with(b":"));
    regular.map(|line| (String::from_utf8_lossy(&line.name).into_owned(), redactor.header(&line.name, &line.value))).collect()
}
