// SPDX-License-Identifier: Apache-2.0
//! Reason codes.

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
    /// The token is bound to another client's certificate, or to none and must be (RFC 8705).
    TokenBindingInvalid,
    /// The token is genuine and lacks a claim that is required.
    TokenClaimNotFound,
    /// The token is genuine and a claim is not what is required.
    TokenClaimValueNotAllowed,
    /// A subscription's key is required and there is none.
    SubscriptionKeyNotFound,
    /// The key is nobody's, or that of a subscription that doesn't count, or not for this.
    SubscriptionKeyInvalid,
    /// There is more than one key, and they differ.
    SubscriptionKeyAmbiguous,
    /// A client certificate is required and there is none.
    ClientCertificateNotFound,
    /// The client certificate is nobody's of whom the policy knows.
    ClientCertificateNotAllowed,
    /// The caller is known, and none of those that may.
    CallerNotAllowed,
    /// The request is above a rate.
    RateLimitExceeded,
    /// The request is above a quota.
    QuotaExceeded,
    /// A limit's key can't be told, and the policy refuses what it can't count.
    QuotaKeyNotFound,
    /// A limit can't be counted: no room, or no service, and the policy refuses what isn't counted.
    QuotaUnavailable,
    /// The gateway's own credential, which replaces callers' tokens, can't be had.
    CredentialUnavailable,
    /// The host couldn't do what was decided, or handed over what can't be read.
    HostFailure,
}

impl Reason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 33] = [
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
        Self::TokenBindingInvalid,
        Self::TokenClaimNotFound,
        Self::TokenClaimValueNotAllowed,
        Self::SubscriptionKeyNotFound,
        Self::SubscriptionKeyInvalid,
        Self::SubscriptionKeyAmbiguous,
        Self::ClientCertificateNotFound,
        Self::ClientCertificateNotAllowed,
        Self::CallerNotAllowed,
        Self::RateLimitExceeded,
        Self::QuotaExceeded,
        Self::QuotaKeyNotFound,
        Self::QuotaUnavailable,
        Self::CredentialUnavailable,
        Self::HostFailure,
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
            Self::TokenBindingInvalid => "TokenBindingInvalid",
            Self::TokenClaimNotFound => "TokenClaimNotFound",
            Self::TokenClaimValueNotAllowed => "TokenClaimValueNotAllowed",
            Self::SubscriptionKeyNotFound => "SubscriptionKeyNotFound",
            Self::SubscriptionKeyInvalid => "SubscriptionKeyInvalid",
            Self::SubscriptionKeyAmbiguous => "SubscriptionKeyAmbiguous",
            Self::ClientCertificateNotFound => "ClientCertificateNotFound",
            Self::ClientCertificateNotAllowed => "ClientCertificateNotAllowed",
            Self::CallerNotAllowed => "CallerNotAllowed",
            Self::RateLimitExceeded => "RateLimitExceeded",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::QuotaKeyNotFound => "QuotaKeyNotFound",
            Self::QuotaUnavailable => "QuotaUnavailable",
            Self::CredentialUnavailable => "CredentialUnavailable",
            Self::HostFailure => "HostFailure",
        }
    }

    /// What the client is told, in ASCII without quotes and backslashes.
    pub(super) const fn message(self) -> &'static str {
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
            | Self::TokenLifetimeNotAllowed
            | Self::TokenBindingInvalid
            | Self::TokenClaimNotFound
            | Self::TokenClaimValueNotAllowed => "Invalid JWT.",
            Self::SubscriptionKeyNotFound => {
                "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."
            }
            Self::SubscriptionKeyInvalid | Self::SubscriptionKeyAmbiguous => {
                "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
            }
            Self::ClientCertificateNotFound | Self::ClientCertificateNotAllowed => "Invalid client certificate.",
            Self::CallerNotAllowed => "Forbidden",
            Self::RateLimitExceeded => "Rate limit is exceeded.",
            Self::QuotaExceeded => "Out of call volume quota.",
            Self::QuotaKeyNotFound => "The request lacks what its quota is counted by.",
            Self::QuotaUnavailable => "Quota could not be checked.",
            Self::CredentialUnavailable => "The request could not be authenticated to its service.",
            Self::HostFailure => "The request could not be processed.",
        }
    }

    /// The status that goes with it: 401 for who isn't known, 403 for who is and may not, 503 where it is no fault of the caller's.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::RequestHeadersUnreadable => 431,
            Self::RequestHostAmbiguous | Self::RequestPathAmbiguous | Self::TraceContextRejected => 400,
            Self::OperationNotFound => 404,
            Self::AccessDenied
            | Self::TokenClaimNotFound
            | Self::TokenClaimValueNotAllowed
            | Self::ClientCertificateNotFound
            | Self::ClientCertificateNotAllowed
            | Self::CallerNotAllowed
            | Self::QuotaExceeded
            | Self::QuotaKeyNotFound => 403,
            Self::RateLimitExceeded => 429,
            Self::TokenKeysUnavailable | Self::QuotaUnavailable | Self::CredentialUnavailable | Self::HostFailure => 503,
            Self::TokenNotPresent
            | Self::TokenAmbiguous
            | Self::JwtInvalid
            | Self::TokenAlgorithmNotAllowed
            | Self::TokenSignatureKeyNotFound
            | Self::TokenSignatureInvalid
            | Self::TokenIssuerNotAllowed
            | Self::TokenAudienceNotAllowed
            | Self::TokenExpired
            | Self::TokenNotYetValid
            | Self::TokenLifetimeNotAllowed
            | Self::TokenBindingInvalid
            | Self::SubscriptionKeyNotFound
            | Self::SubscriptionKeyInvalid
            | Self::SubscriptionKeyAmbiguous => 401,
        }
    }

    /// How near a caller came who was refused for it: nowhere, with no credential, with a wrong one, with a right one that isn't enough. What
    /// nobody can tell for want of keys might have been enough.
    pub(super) const fn nearness(self) -> u8 {
        match self {
            Self::AccessDenied => 0,
            Self::TokenNotPresent | Self::SubscriptionKeyNotFound | Self::ClientCertificateNotFound => 1,
            Self::TokenClaimNotFound | Self::TokenClaimValueNotAllowed | Self::ClientCertificateNotAllowed | Self::CallerNotAllowed => 3,
            Self::TokenKeysUnavailable => 4,
            _ => 2,
        }
    }

    /// The problem's type and its title (RFC 9457 section 4.2), where there is a registered one
    /// (<https://www.iana.org/assignments/http-problem-types>).
    pub(super) const fn problem(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::RateLimitExceeded | Self::QuotaExceeded => Some((
                "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "Request cannot be satisfied as assigned quota has been exceeded",
            )),
            Self::QuotaUnavailable => Some((
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
                "Request cannot be satisfied due to temporary server capacity constraints",
            )),
            _ => None,
        }
    }

    /// RFC 6750 section 3.1: the error's code, and what it says to a developer. Nothing of the token.
    pub(super) const fn challenge(self) -> Option<(&'static str, &'static str)> {
        let description = match self {
            Self::TokenAmbiguous => return Some(("invalid_request", "The request carries more than one token.")),
            Self::TokenClaimNotFound => return Some(("insufficient_scope", "The token lacks a required claim.")),
            Self::TokenClaimValueNotAllowed => return Some(("insufficient_scope", "A claim of the token is not sufficient.")),
            Self::JwtInvalid => "The token is malformed.",
            Self::TokenAlgorithmNotAllowed => "The token's algorithm is not allowed.",
            Self::TokenSignatureKeyNotFound => "The token's key was not found.",
            Self::TokenSignatureInvalid => "The token's signature is invalid.",
            Self::TokenIssuerNotAllowed => "The token's issuer is not allowed.",
            Self::TokenAudienceNotAllowed => "The token's audience is not allowed.",
            Self::TokenExpired => "The token has expired.",
            Self::TokenNotYetValid => "The token is not valid yet.",
            Self::TokenLifetimeNotAllowed => "The token's lifetime is not allowed.",
            Self::TokenBindingInvalid => "The token is not bound to the client's certificate.",
            _ => return None,
        };
        Some(("invalid_token", description))
    }
}
