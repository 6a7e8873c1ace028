// SPDX-License-Identifier: Apache-2.0
//! `--format json`: one object a line, fields always in the same order, credentials redacted.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::export::{self, Export};
use super::found::Found;
use super::limits::{self, Limits};
use super::report::Report;
use super::sampling::{self, Sampling};
use super::summary::Summary;
use super::survival::{Compared, Lost, Survivals};
use super::{Agreement, Decided, Minted, Replayed, Totals, Trust, WhatIfs, minted, what_if};
use crate::host::HeaderMap;
use crate::{Redactor, otlp};

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
    /// What left of it: the span for the client's request.
    span: Option<Value>,
    /// The span for the call to the upstream; absent where none is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_span: Option<Value>,
    agrees: Option<bool>,
    undecidable: Option<&'static str>,
    difference: Option<Difference<'a>>,
    /// What a minted token is to be refused for, or `sound`; absent where none was minted.
    #[serde(skip_serializing_if = "Option::is_none")]
    minted: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found<'a>>,
}

/// What the other edge decided.
#[derive(Serialize)]
struct Against<'a> {
    decision: &'static str,
    status: u32,
    reason: Option<&'a str>,
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
struct SummaryLine<'a> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<AgainstEdge<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    searched: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minted: Option<minted::Shown<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unknown_subscriptions: &'a BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<&'a Trust>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampling: Option<sampling::Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    export: Option<export::Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<limits::Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what_if: Option<Vec<what_if::Shown<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    survival: Option<Vec<Lost<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    survival_exchanges: Option<Compared<'a>>,
}

#[derive(Serialize)]
struct AgainstEdge<'a> {
    policy_fingerprint: &'a str,
    module_version: Option<&'a str>,
}

/// Writes one exchange; with what `--find` tells where it was `found`.
///
/// # Errors
///
/// When `out` can't be written.
pub fn write_exchange(out: &mut impl Write, recording: &str, replayed: &Replayed, redactor: &Redactor, found: bool) -> io::Result<()> {
    let Replayed { recorded, decided, agreement, against, .. } = replayed;
    let (agrees, undecidable, difference) = match agreement {
        Agreement::Agrees => (Some(true), None, None),
        Agreement::Differs(difference) => (Some(false), None, Some(difference)),
        Agreement::Undecidable(undecidable) => (None, Some(undecidable.as_str()), None),
    };
    let span = |kind| {
        let span = replayed.exported.first().and_then(|request| request.of_kind(kind));
        span.map(|span| otlp::json(span, &|text| redactor.text(text))).transpose().map_err(io::Error::other)
    };
    let line = Line {
        recording,
        index: recorded.place.index,
        line: recorded.place.line,
        decision: decided.name(),
        status: decided.status(),
        reason: decided.reason(),
        upstream_request: upstream_request(decided, redactor),
        response: Response { status: decided.status(), headers: headers(&decided.response().headers, redactor) },
        span: span(SERVER)?,
        client_span: span(CLIENT)?,
        agrees,
        undecidable,
        difference: difference.map(|difference| Difference {
            field: difference.field,
            expected: &difference.expected,
            found: &difference.found,
            explained_by: replayed.explained_by(),
        }),
        minted: replayed.token.minted(),
        against: against.as_ref().map(|other| Against { decision: other.name(), status: other.status(), reason: other.reason() }),
        found: found.then(|| Found::new(replayed, redactor)),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Writes the last line.
///
/// # Errors
///
/// When `out` can't be written.
pub(super) fn write_summary(out: &mut impl Write, report: &Report, summary: &Summary<'_>) -> io::Result<()> {
    let survivals = report.survivals().filter(|_| summary.searched.is_none());
    let &Totals { exchanges, admitted, refused, agreed, differed, undecidable, .. } = report.totals();
    let &Summary { malformed, fingerprint, version, against, searched, seed } = summary;
    let summary = SummaryLine {
        exchanges,
        admitted,
        refused,
        agreed,
        differed,
        undecidable,
        malformed,
        policy_fingerprint: fingerprint,
        module_version: version,
        seed,
        against: against.map(|(policy_fingerprint, module_version)| AgainstEdge { policy_fingerprint, module_version }),
        searched,
        minted: report.minted.as_ref().map(Minted::shown),
        unknown_subscriptions: &report.strangers,
        trust: report.trust.as_ref(),
        sampling: report.sampling.as_ref().map(Sampling::shown),
        export: report.export.as_ref().map(Export::shown),
        limits: report.limits.as_ref().map(Limits::shown),
        what_if: report.what_if.as_ref().map(WhatIfs::shown),
        survival: survivals.map(|survivals| survivals.lost().collect()),
        survival_exchanges: survivals.map(Survivals::compared),
    };
    serde_json::to_writer(&mut *out, &LastLine { summary })?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct LastLine<'a> {
    summary: SummaryLine<'a>,
}

fn upstream_request(decided: &Decided, redactor: &Redactor) -> Option<UpstreamRequest> {
    let upstream = decided.upstream()?;
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

// Kinds of spans.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
