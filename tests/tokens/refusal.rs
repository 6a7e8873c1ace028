// SPDX-License-Identifier: Apache-2.0
//! What a refused caller reads: RFC 6750 section 3 in `WWW-Authenticate`, API Management's envelope in the body.

/// A refusal by its reason code.
pub struct Refusal {
    code: &'static str,
    pub status: u16,
    /// Behind the scheme.
    challenge: &'static str,
    message: &'static str,
}

/// Section 3.1 gives the codes; who has sent no token is told no error. All are answered with 401: to authenticate is what the client has to do.
const REFUSALS: [Refusal; 11] = [
    Refusal { code: "TokenNotPresent", status: 401, challenge: "", message: "JWT not present." },
    Refusal {
        code: "TokenAmbiguous",
        status: 401,
        challenge: " error=\"invalid_request\", error_description=\"The request carries more than one token.\"",
        message: INVALID,
    },
    invalid("JwtInvalid", " error=\"invalid_token\", error_description=\"The token is malformed.\""),
    invalid("TokenAlgorithmNotAllowed", " error=\"invalid_token\", error_description=\"The token's algorithm is not allowed.\""),
    invalid("TokenSignatureKeyNotFound", " error=\"invalid_token\", error_description=\"The token's key was not found.\""),
    invalid("TokenSignatureInvalid", " error=\"invalid_token\", error_description=\"The token's signature is invalid.\""),
    invalid("TokenIssuerNotAllowed", " error=\"invalid_token\", error_description=\"The token's issuer is not allowed.\""),
    invalid("TokenAudienceNotAllowed", " error=\"invalid_token\", error_description=\"The token's audience is not allowed.\""),
    invalid("TokenExpired", " error=\"invalid_token\", error_description=\"The token has expired.\""),
    invalid("TokenNotYetValid", " error=\"invalid_token\", error_description=\"The token is not valid yet.\""),
    invalid("TokenLifetimeNotAllowed", " error=\"invalid_token\", error_description=\"The token's lifetime is not allowed.\""),
];

const INVALID: &str = "Invalid JWT.";

const fn invalid(code: &'static str, challenge: &'static str) -> Refusal {
    Refusal { code, status: 401, challenge, message: INVALID }
}

impl Refusal {
    /// The refusal of this code.
    pub fn of(code: &str) -> &'static Self {
        REFUSALS.iter().find(|refusal| refusal.code == code).unwrap_or_else(|| panic!("expected a reason code, found {code}"))
    }

    /// Every code.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        REFUSALS.iter().map(|refusal| refusal.code)
    }

    /// `WWW-Authenticate`.
    pub fn challenge(&self, scheme: &str) -> String {
        format!("{scheme}{}", self.challenge)
    }

    /// The body.
    pub fn body(&self) -> String {
        format!("{{ \"statusCode\": {}, \"message\": \"{}\" }}", self.status, self.message)
    }
}
