// SPDX-License-Identifier: Apache-2.0
//! What is decided about a request, and how a refusal reads.

mod reason;

pub use reason::Reason;

use std::borrow::Cow;
use std::fmt::Write as _;

/// What was decided about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on to the upstream.
    Admitted {
        /// Why a rule in `mode: shadow` would have refused it.
        shadow: Option<Reason>,
    },
    /// It is answered here.
    Refused(Refusal),
}

/// A refused request's answer. A refusal is no error: it is what the policy asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    reason: Reason,
    /// What the client is told to authenticate with: any of these.
    challenges: Vec<String>,
    /// The limit that it is above, if it is above one.
    exceeded: Option<Box<Exceeded>>,
    format: ErrorFormat,
}

/// A limit that a request is above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// The policy's name for it.
    pub(crate) quota: String,
    /// What the client is told, in ASCII without quotes and backslashes.
    pub(crate) message: String,
    /// Headers that tell when to come back.
    pub(crate) fields: Vec<(Cow<'static, str>, String)>,
}

/// How refusals are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// In API Management's envelope, byte for byte: `{ "statusCode": 404, "message": "…" }`.
    #[default]
    Apim,
    /// As problem details (RFC 9457).
    ProblemJson,
}

impl Refusal {
    /// A refusal with `status`, from 400 to 599.
    #[must_use]
    pub const fn new(status: u16, reason: Reason) -> Self {
        Self { status, reason, challenges: Vec::new(), exceeded: None, format: ErrorFormat::Apim }
    }

    /// A refusal with the status that goes with the reason.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        Self::new(reason.status(), reason)
    }

    /// The same with a challenge to authenticate under `scheme`, where the reason asks for one (RFC 6750 section 3), or to do so with more
    /// `scopes`.
    pub(crate) fn challenged(mut self, scheme: &str, scopes: &[String]) -> Self {
        // Section 3.1: who has not tried to authenticate isn't told of an error.
        if self.reason == Reason::TokenNotPresent {
            self.challenges.push(scheme.to_owned());
        } else if let Some((error, description)) = self.reason.challenge() {
            let mut challenge = format!("{scheme} error=\"{error}\", error_description=\"{description}\"");
            if !scopes.is_empty() {
                let _ = write!(challenge, ", scope=\"{}\"", scopes.join(" "));
            }
            self.challenges.push(challenge);
        }
        self
    }

    /// The same with a challenge as API Management writes it, where the reason asks for one. `realm` and `header` hold neither quotes nor
    /// backslashes.
    pub(crate) fn challenged_for_key(mut self, realm: &str, header: &str) -> Self {
        if self.status == 401 {
            self.challenges.push(format!("AzureApiManagementKey realm=\"{realm}\",name=\"{header}\",type=\"header\""));
        }
        self
    }

    /// The same with the limit that it is above.
    pub(crate) fn exceeding(self, exceeded: Exceeded) -> Self {
        Self { exceeded: Some(Box::new(exceeded)), ..self }
    }

    /// Of two ways in that are both closed, how it reads: as the one that was nearer to opening; of two alike, the first.
    pub(crate) fn or(self, other: Self) -> Self {
        let (mut nearer, further) = if other.reason.nearness() > self.reason.nearness() { (other, self) } else { (self, other) };
        if nearer.status == 401 && further.status == 401 {
            // Either way of authenticating would do.
            let others = further.challenges.into_iter().filter(|challenge| !nearer.challenges.contains(challenge));
            let others: Vec<String> = others.collect();
            nearer.challenges.extend(others);
        }
        nearer
    }

    /// The same, written in this way.
    pub(crate) fn written_as(self, format: ErrorFormat) -> Self {
        Self { format, ..self }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Why, alike in the response, in metrics and in every record.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The limit that it is above, if it is above one.
    pub(crate) fn quota(&self) -> Option<&str> {
        self.exceeded.as_ref().map(|exceeded| exceeded.quota.as_str())
    }

    /// The response's headers beside those that the host adds; `www-authenticate` may come several times.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let content_type = match self.format {
            ErrorFormat::Apim => "application/json",
            ErrorFormat::ProblemJson => "application/problem+json",
        };
        let challenges = self.challenges.iter().map(|challenge| ("www-authenticate", challenge.as_str()));
        let fields = self.exceeded.iter().flat_map(|exceeded| &exceeded.fields).map(|(name, value)| (name.as_ref(), value.as_str()));
        [("content-type", content_type), (REASON_HEADER, self.reason.as_str())].into_iter().chain(challenges).chain(fields)
    }

    /// The response's body, in ASCII.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { status, reason, exceeded, .. } = self;
        let detail = exceeded.as_ref().map_or(reason.message(), |exceeded| exceeded.message.as_str());
        match self.format {
            ErrorFormat::Apim => format!("{{ \"statusCode\": {status}, \"message\": \"{detail}\" }}"),
            ErrorFormat::ProblemJson => {
                let code = reason.as_str();
                let (kind, title) = match reason.problem() {
                    Some((kind, title)) => (kind, Some(title)),
                    // Section 4.2.1: the title of a problem without a type of its own is the status's phrase.
                    None => ("about:blank", phrase(*status)),
                };
                let title = title.map(|title| format!("\"title\":\"{title}\",")).unwrap_or_default();
                let violated = exceeded.iter().map(|exceeded| format!(",\"violated-policies\":[\"{}\"]", exceeded.quota));
                let violated: String = violated.collect();
                format!("{{\"type\":\"{kind}\",{title}\"status\":{status},\"detail\":\"{detail}\",\"reason\":\"{code}\"{violated}}}")
            }
        }
    }
}

/// The phrases of the statuses that refusals commonly have (RFC 9110 section 15, RFC 6585).
const fn phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        410 => "Gone",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return None,
    })
}

/// The response header that carries the reason code.
pub const REASON_HEADER: &str = "tracegate-reason";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_api_management_writes_it() {
        let refusal = Refusal::new(404, Reason::OperationNotFound);
        assert_eq!(refusal.body(), r#"{ "statusCode": 404, "message": "Resource not found" }"#);
        assert!(refusal.headers().eq([("content-type", "application/json"), ("tracegate-reason", "OperationNotFound")]));
    }

    #[test]
    fn challenges_are_rfc_6750s() {
        let challenge = |status, reason| {
            let refusal = Refusal::new(status, reason).challenged("Bearer", &[]);
            refusal.headers().find(|(name, _)| *name == "www-authenticate").map(|(_, value)| value.to_owned())
        };
        assert_eq!(challenge(401, Reason::TokenNotPresent).as_deref(), Some("Bearer"));
        let expired = "Bearer error=\"invalid_token\", error_description=\"The token has expired.\"";
        assert_eq!(challenge(401, Reason::TokenExpired).as_deref(), Some(expired));
        assert!(challenge(401, Reason::TokenAmbiguous).is_some_and(|value| value.starts_with("Bearer error=\"invalid_request\", ")));
        assert_eq!(challenge(503, Reason::TokenKeysUnavailable), None);
    }

    #[test]
    fn every_body_is_json_and_says_its_status() {
        for reason in Reason::ALL {
            let body: serde_json::Value = serde_json::from_str(&Refusal::new(431, reason).body()).unwrap();
            assert_eq!(body["statusCode"], 431);
            assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
        }
    }
}
