// SPDX-License-Identifier: Apache-2.0
//! The core's values, as `wit/world.wit` has them.

use super::wit;
use crate::access_log::Property;
use crate::adapter::lines;
use crate::config::{Finding, Findings, Severity};
use crate::head::Header;
use crate::{Effect, Export, Fetch, HeaderEdit, RateLimitCall, Verdict};

pub(super) fn lines(lines: &[wit::Header]) -> Vec<Header<'_>> {
    lines.iter().map(|wit::Header { name, value }| Header { name, value }).collect()
}

pub(super) fn findings(findings: &Findings) -> Vec<wit::Finding> {
    let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let finding = |Finding { severity, at, path, problem }: &Finding| wit::Finding {
        severity: match severity {
            Severity::Error => wit::Severity::Error,
            Severity::Warning => wit::Severity::Warning,
        },
        at: wit::Position { line: number(at.line), column: number(at.column) },
        path: path.clone(),
        message: problem.to_string(),
    };
    findings.iter().map(finding).collect()
}

pub(super) fn verdict(verdict: Verdict) -> wit::Verdict {
    match verdict {
        Verdict::Continue(edits) => wit::Verdict::Continue(edits.iter().map(edit).collect()),
        Verdict::Refuse(refusal) => wit::Verdict::Refuse(wit::Refusal {
            status: refusal.status(),
            reason: refusal.reason().as_str().to_owned(),
            headers: owned(refusal.headers()),
            body: refusal.body(),
        }),
        Verdict::Wait => wit::Verdict::Wait,
    }
}

fn edit(edit: &HeaderEdit) -> wit::HeaderEdit {
    match edit {
        HeaderEdit::Replace { name, value } => {
            wit::HeaderEdit::Replace(wit::Header { name: name.as_bytes().to_vec(), value: value.clone() })
        }
        HeaderEdit::Remove { name } => wit::HeaderEdit::Remove(name.to_string()),
    }
}

pub(super) fn properties(properties: Vec<Property>) -> Vec<wit::Property> {
    properties.into_iter().map(|Property { name, value }| wit::Property { name: name.to_owned(), value }).collect()
}

pub(super) fn calls(effects: Vec<Effect>) -> Vec<wit::Call> {
    effects.into_iter().map(call).collect()
}

fn call(effect: Effect) -> wit::Call {
    match effect {
        Effect::Fetch(asked) => {
            let headers = owned(lines::of_fetch(&asked));
            let Fetch { call, cluster, uri, timeout, max_body, .. } = asked;
            wit::Call::Fetch(wit::Fetch {
                call: call.serial,
                cluster,
                scheme: uri.scheme.to_owned(),
                authority: uri.authority,
                path: uri.path,
                headers,
                timeout,
                max_body: u64::try_from(max_body).unwrap_or(u64::MAX),
            })
        }
        Effect::CheckRateLimit(RateLimitCall { call, cluster, message, awaited, timeout }) => {
            wit::Call::CheckRateLimit(wit::RateLimitCall { call: call.serial, cluster, message, awaited, timeout })
        }
        Effect::Export(asked) => {
            let headers = owned(lines::of_export(&asked));
            let Export { call, cluster, uri, body, timeout, .. } = asked;
            wit::Call::Export(wit::ExportCall {
                call: call.serial,
                cluster,
                scheme: uri.scheme.to_owned(),
                authority: uri.authority,
                path: uri.path,
                headers,
                body: body.to_vec(),
                timeout,
            })
        }
    }
}

fn owned<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
