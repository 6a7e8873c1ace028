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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    reason: Reason,
}

impl Refusal {
    /// A refusal with `status`, from 400 to 599.
    #[must_use]
    pub const fn new(status: u16, reason: Reason) -> Self {
        Self { status, reason }
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
    #[must_use]
    pub const fn headers(&self) -> [(&'static str, &'static str); 2] {
        [("content-type", "application/json"), (REASON_HEADER, self.reason.as_str())]
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
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 6] = [
        Self::RequestHeadersUnreadable,
        Self::RequestHostAmbiguous,
        Self::RequestPathAmbiguous,
        Self::OperationNotFound,
        Self::AccessDenied,
        Self::TraceContextRejected,
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
        }
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
        assert_eq!(refusal.headers(), [("content-type", "application/json"), ("tracegate-reason", "OperationNotFound")]);
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
