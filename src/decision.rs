// SPDX-License-Identifier: Apache-2.0
//! What is decided about a request, and how a refusal reads.

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
    /// What the client is told to authenticate with.
    challenge: Option<String>,
}

impl Refusal {
    /// A refusal with `status`, from 400 to 599.
    #[must_use]
    pub const fn new(status: u16, reason: Reason) -> Self {
        Self { status, reason, challenge: None }
    }

    /// The same with a challenge to authenticate under `scheme` (RFC 6750 section 3), where the reason asks for one.
    pub(crate) fn challenged(self, scheme: &str) -> Self {
        let challenge = match self.reason.error() {
            // Section 3.1: who has not tried to authenticate isn't told of an error.
            _ if self.status != 401 => None,
            None => Some(scheme.to_owned()),
            Some((error, description)) => Some(format!("{scheme} error=\"{error}\", error_description=\"{description}\"")),
        };
        Self { challenge, ..self }
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

    /// The response's headers beside those that the host adds.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let challenge = self.challenge.as_deref().map(|challenge| ("www-authenticate", challenge));
        [("content-type", "application/json"), (REASON_HEADER, self.reason.as_str())].into_iter().chain(challenge)
    }

    /// The response's body in API Management's envelope, byte for byte: `{ "statusCode": 404, "message": "…" }`.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{{ \"statusCode\": {}, \"message\": \"{}\" }}", self.status, self.reason.message())
    }
}

/// Why a request is refused: API Management's name where it has one, else ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The host handed over a header map that is no request's: empty, or without `:method`.
    RequestHeadersUnreadable,
    /// Gateways and services could read the host in different ways.
    RequestHostAmbiguous,
    /// Gateways and services could read the path in different ways.
    RequestPathAmbiguous,
    /// No route matches and the policy's default refuses.
    OperationNotFound,
    /// A rule denies the route to everybody.
    AccessDenied,
    /// The caller may not send trace context, and did.
    TraceContextRejected,
    /// A token is required and there is none.
    TokenNotPresent,
    /// There is more than one token, or one that readers could take for different ones.
    TokenAmbiguous,
    /// What stands in a token's place is none, or asks for what isn't done (RFC 7515, RFC 7519, RFC 8725).
    JwtInvalid,
    /// The token is signed with an algorithm that its provider isn't allowed, `none` among them.
    TokenAlgorithmNotAllowed,
    /// The issuer has no such key.
    TokenSignatureKeyNotFound,
    /// The signature isn't the key's.
    TokenSignatureInvalid,
    /// The token is another issuer's.
    TokenIssuerNotAllowed,
    /// The token is for somebody else.
    TokenAudienceNotAllowed,
    /// The token counts no more.
    TokenExpired,
    /// The token doesn't count yet.
    TokenNotYetValid,
    /// The token counts for longer than is allowed, or for ever.
    TokenLifetimeNotAllowed,
    /// The issuer's keys can't be had.
    TokenKeysUnavailable,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 18] = [
        Self::RequestHeadersUnreadable,
        Self::RequestHostAmbiguous,
        Self::RequestPathAmbiguous,
        Self::OperationNotFound,
        Self::AccessDenied,
        Self::TraceContextRejected,
        Self::TokenNotPresent,
        Self::TokenAmbiguous,
        Self::JwtInvalid,
        Self::TokenAlgorithmNotAllowed,
        Self::TokenSignatureKeyNotFound,
        Self::TokenSignatureInvalid,
        Self::TokenIssuerNotAllowed,
        Self::TokenAudienceNotAllowed,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenLifetimeNotAllowed,
        Self::TokenKeysUnavailable,
    ];

    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestHeadersUnreadable => "RequestHeadersUnreadable",
            Self::RequestHostAmbiguous => "RequestHostAmbiguous",
            Self::RequestPathAmbiguous => "RequestPathAmbiguous",
            Self::OperationNotFound => "OperationNotFound",
            Self::AccessDenied => "AccessDenied",
            Self::TraceContextRejected => "TraceContextRejected",
            Self::TokenNotPresent => "TokenNotPresent",
            Self::TokenAmbiguous => "TokenAmbiguous",
            Self::JwtInvalid => "JwtInvalid",
            Self::TokenAlgorithmNotAllowed => "TokenAlgorithmNotAllowed",
            Self::TokenSignatureKeyNotFound => "TokenSignatureKeyNotFound",
            Self::TokenSignatureInvalid => "TokenSignatureInvalid",
            Self::TokenIssuerNotAllowed => "TokenIssuerNotAllowed",
            Self::TokenAudienceNotAllowed => "TokenAudienceNotAllowed",
            Self::TokenExpired => "TokenExpired",
            Self::TokenNotYetValid => "TokenNotYetValid",
            Self::TokenLifetimeNotAllowed => "TokenLifetimeNotAllowed",
            Self::TokenKeysUnavailable => "TokenKeysUnavailable",
        }
    }

    /// What the client is told, in ASCII without quotes and backslashes.
    const fn message(self) -> &'static str {
        match self {
            Self::RequestHeadersUnreadable => "Request headers could not be read.",
            Self::RequestHostAmbiguous => "Request host is ambiguous.",
            Self::RequestPathAmbiguous => "Request path is ambiguous.",
            Self::OperationNotFound => "Resource not found",
            Self::AccessDenied => "Access denied.",
            Self::TraceContextRejected => "Trace context is not accepted from this caller.",
            Self::TokenNotPresent => "JWT not present.",
            Self::TokenKeysUnavailable => "JWT could not be validated.",
            Self::TokenAmbiguous
            | Self::JwtInvalid
            | Self::TokenAlgorithmNotAllowed
            | Self::TokenSignatureKeyNotFound
            | Self::TokenSignatureInvalid
            | Self::TokenIssuerNotAllowed
            | Self::TokenAudienceNotAllowed
            | Self::TokenExpired
            | Self::TokenNotYetValid
            | Self::TokenLifetimeNotAllowed => "Invalid JWT.",
        }
    }

    /// RFC 6750 section 3.1: the error's code, and what it says to a developer. Nothing of the token.
    const fn error(self) -> Option<(&'static str, &'static str)> {
        let description = match self {
            Self::TokenAmbiguous => return Some(("invalid_request", "The request carries more than one token.")),
            Self::JwtInvalid => "The token is malformed.",
            Self::TokenAlgorithmNotAllowed => "The token's algorithm is not allowed.",
            Self::TokenSignatureKeyNotFound => "The token's key was not found.",
            Self::TokenSignatureInvalid => "The token's signature is invalid.",
            Self::TokenIssuerNotAllowed => "The token's issuer is not allowed.",
            Self::TokenAudienceNotAllowed => "The token's audience is not allowed.",
            Self::TokenExpired => "The token has expired.",
            Self::TokenNotYetValid => "The token is not valid yet.",
            Self::TokenLifetimeNotAllowed => "The token's lifetime is not allowed.",
            _ => return None,
        };
        Some(("invalid_token", description))
    }
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
            let refusal = Refusal::new(status, reason).challenged("Bearer");
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
