// SPDX-License-Identifier: Apache-2.0
//! Whether the edge decided as the record has it.
//!
//! `expect` counts where a record has one. Else the gateway's own log does: a request was admitted when it reached a
//! backend and no policy failed it. Where the recorded refusal hangs on something that the log doesn't hold (a token, a
//! header, the other requests of a window), nobody can tell.

use serde_json::{Map, Value, json};

use super::{Decided, Key, Token};
use crate::Redactor;
use crate::host::HeaderMap;
use crate::recording::{Apim, Expect, LastError, Recorded};

/// How a decision compares with the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Agreement {
    /// They are the same.
    Agrees,
    /// They differ.
    Differs(Difference),
    /// The record lacks what it takes to tell.
    Undecidable(Undecidable),
}

/// The first difference, in the order decision, status, reason, upstream headers, response headers.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// `decision`, `status`, `reason`, `upstream_headers` or `response_headers`.
    pub field: &'static str,
    /// What the record, or the other edge, has.
    pub expected: Value,
    /// What the edge did.
    pub found: Value,
}

impl Difference {
    /// The header that differs, if it is one.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        let is_header = matches!(self.field, "upstream_headers" | "response_headers");
        self.found.as_object().filter(|_| is_header)?.keys().next().map(String::as_str)
    }
}

/// What the record lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Undecidable {
    /// It says nothing about the decision.
    NoRecord,
    /// A policy judged a header that was not logged.
    HeaderNotLogged,
    /// A policy judged a credential that was not logged.
    TokenNotLogged,
    /// The keys that prove a token are out of a replay's reach.
    KeysUnavailable,
    /// A policy counted requests, and a log need not hold them all.
    IncompleteLog,
    /// No policy failed the request, and yet no backend answered: cached, mocked, or cut off.
    BackendUnknown,
}

impl Undecidable {
    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::HeaderNotLogged => "header_not_logged",
            Self::TokenNotLogged => "token_not_logged",
            Self::KeysUnavailable => "keys_unavailable",
            Self::IncompleteLog => "incomplete_log",
            Self::BackendUnknown => "backend_unknown",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::NoRecord => "the record says nothing about the decision",
            Self::HeaderNotLogged => "the recorded refusal hangs on a header that the log doesn't hold",
            Self::TokenNotLogged => "the decision hangs on a credential that the log doesn't hold",
            Self::KeysUnavailable => "the decision hangs on an issuer's keys, which a replay doesn't have",
            Self::IncompleteLog => "the recorded refusal hangs on a count, and a log need not hold every request",
            Self::BackendUnknown => "no policy failed the request, yet no backend answered (cached, mocked or cut off)",
        }
    }
}

impl Agreement {
    /// Compares what was decided about a request that carried `token` and `key`. Credentials in what is shown of a difference are redacted.
    #[must_use]
    pub fn of(recorded: &Recorded, token: Token, key: Key, decided: &Decided, redactor: &Redactor) -> Self {
        let compared = match (&recorded.expect, &recorded.apim) {
            (Some(expect), _) => first_difference(expect, decided, redactor).map_or(Self::Agrees, Self::Differs),
            (None, Some(apim)) => with_log(recorded, apim, (token, key), decided),
            (None, None) => Self::Undecidable(Undecidable::NoRecord),
        };
        match compared {
            Self::Undecidable(_) => compared,
            _ => {
                let agrees = compared == Self::Agrees;
                let doubt = token.doubt(recorded, decided, agrees).or_else(|| key.doubt(recorded, decided, agrees));
                doubt.map_or(compared, Self::Undecidable)
            }
        }
    }
}

fn first_difference(expect: &Expect, decided: &Decided, redactor: &Redactor) -> Option<Difference> {
    let admitted = matches!(decided, Decided::Admitted { .. });
    if expect.admitted.is_some_and(|expected| expected != admitted) {
        return Some(decision(!admitted, decided));
    }
    if let Some(expected) = expect.status
        && u32::from(expected) != decided.status()
    {
        return Some(Difference { field: "status", expected: json!(expected), found: json!(decided.status()) });
    }
    if let Some(expected) = &expect.reason
        && expected.as_deref() != decided.reason()
    {
        return Some(Difference { field: "reason", expected: json!(expected), found: json!(decided.reason()) });
    }
    let none = HeaderMap::default();
    let upstream = decided.upstream().unwrap_or(&none);
    header_difference("upstream_headers", &expect.upstream_headers, upstream, redactor)
        .or_else(|| header_difference("response_headers", &expect.response_headers, &decided.response().headers, redactor))
}

/// A decision that isn't the `expected` one: to admit, or to refuse.
pub(super) fn decision(expected: bool, decided: &Decided) -> Difference {
    let expected = if expected { "admitted" } else { "refused" };
    Difference { field: "decision", expected: json!(expected), found: json!(decided.name()) }
}

fn header_difference(
    field: &'static str,
    expected: &[(String, Option<Vec<Vec<u8>>>)],
    found: &HeaderMap,
    redactor: &Redactor,
) -> Option<Difference> {
    expected.iter().find_map(|(name, expected)| {
        let lines: Vec<&[u8]> = found.values(name.as_bytes()).collect();
        let same = match expected {
            None => lines.is_empty(),
            Some(expected) => expected.iter().map(Vec::as_slice).eq(lines.iter().copied()),
        };
        let shown = |lines: Option<Vec<&[u8]>>| {
            let lines = lines.map_or(Value::Null, |lines| lines.into_iter().map(|line| redactor.header(name.as_bytes(), line)).collect());
            Value::Object(Map::from_iter([(name.clone(), lines)]))
        };
        let expected = expected.as_ref().map(|lines| lines.iter().map(Vec::as_slice).collect());
        (!same).then(|| Difference { field, expected: shown(expected), found: shown((!lines.is_empty()).then_some(lines)) })
    })
}

fn with_log(recorded: &Recorded, apim: &Apim, carried: (Token, Key), decided: &Decided) -> Agreement {
    let refusal = apim.last_error.as_ref().filter(|error| is_refusal(error));
    match (refusal, apim.backend_response_code.unwrap_or(0), decided) {
        (None, 0, _) if apim.errors_recorded => Agreement::Undecidable(Undecidable::BackendUnknown),
        (None, 0, _) => Agreement::Undecidable(Undecidable::NoRecord),
        (None, _, Decided::Admitted { .. }) => Agreement::Agrees,
        (None, _, Decided::Refused { .. }) => Agreement::Differs(decision(true, decided)),
        (Some(error), _, Decided::Admitted { .. }) => match not_logged(recorded, error, carried) {
            Some(undecidable) => Agreement::Undecidable(undecidable),
            None => Agreement::Differs(decision(false, decided)),
        },
        (Some(error), _, Decided::Refused { reason, .. }) => match &error.reason {
            Some(expected) if expected != reason => {
                Agreement::Differs(Difference { field: "reason", expected: json!(expected), found: json!(reason) })
            }
            _ => Agreement::Agrees,
        },
    }
}

/// Whether API Management refused the request, rather than failed to carry it.
fn is_refusal(error: &LastError) -> bool {
    !matches!(error.reason.as_deref(), Some("ClientConnectionFailure" | "BackendConnectionFailure" | "Timeout"))
}

/// What the recorded refusal judged, where the log doesn't hold it.
fn not_logged(recorded: &Recorded, error: &LastError, (token, key): (Token, Key)) -> Option<Undecidable> {
    let request = &recorded.request;
    match error.source.as_deref()? {
        // What it judged is there, made for it.
        "validate-jwt" | "validate-azure-ad-token" if token.has_fault() => None,
        "authorization" if key.is_known() => None,
        "authorization" | "validate-jwt" | "validate-azure-ad-token" | "validate-client-certificate" => {
            let logged = request.headers.iter().any(|line| crate::redact::is_credential_header(&line.name));
            (!logged).then_some(Undecidable::TokenNotLogged)
        }
        "check-header" => {
            let judged = error.message.as_deref().and_then(|message| message.strip_prefix("Header ")?.split(' ').next());
            let logged = judged.is_some_and(|name| request.headers.first(name.as_bytes()).is_some());
            (!logged).then_some(Undecidable::HeaderNotLogged)
        }
        "rate-limit" | "rate-limit-by-key" | "quota" | "quota-by-key" | "llm-token-limit" | "azure-openai-token-limit" => {
            Some(Undecidable::IncompleteLog)
        }
        _ => None,
    }
}
