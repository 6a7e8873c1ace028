// SPDX-License-Identifier: Apache-2.0
//! Tokens that are bound to their caller's certificate: RFC 8705 section 3.1. A stolen one is of no use without the certificate's private key.

use super::base64url;
use crate::claim::ClaimSet;
use crate::decision::Reason;

/// Whether a token is its caller's, as its claim `cnf` has it (RFC 7800). `certificate` is the SHA-256 digest of the caller's, in lower-case
/// hexadecimal digits; it is asked for where it is needed. How the certificate was verified makes no difference (section 6.2): who completed the
/// handshake has the key.
///
/// # Errors
///
/// [`Reason::TokenBindingInvalid`] where it is not, where it is bound in a way that we can't verify, or where it must be bound and isn't.
pub(super) fn check(claims: &ClaimSet, required: bool, certificate: impl FnOnce() -> Option<String>) -> Result<(), Reason> {
    if !claims.has("cnf") {
        return if required { Err(Reason::TokenBindingInvalid) } else { Ok(()) };
    }
    let thumbprint =
        claims.member("cnf", "x5t#S256").and_then(|text| base64url::decode(text.as_bytes())).ok_or(Reason::TokenBindingInvalid)?;
    let mut own = [0; 32];
    let digits = certificate().ok_or(Reason::TokenBindingInvalid)?;
    hex::decode_to_slice(digits, &mut own).map_err(|_| Reason::TokenBindingInvalid)?;
    if thumbprint == own { Ok(()) } else { Err(Reason::TokenBindingInvalid) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_bound_token_is_its_certificates_alone() {
        let bound = r#"{"cnf": {"x5t#S256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s"}}"#;
        let (own, other) = (Some("ab".repeat(32)), Some("ac".repeat(32)));
        for (claims, required, certificate, expected) in [
            (bound, false, &own, true),
            (bound, true, &own, true),
            (bound, false, &other, false),
            (bound, false, &None, false),
            ("{}", false, &None, true),
            ("{}", true, &own, false),
            (r#"{"cnf": null}"#, false, &own, false),
            (r#"{"cnf": {}}"#, false, &own, false),
            (r#"{"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}"#, false, &own, false),
            (r#"{"cnf": {"x5t#S256": 7}}"#, false, &own, false),
            (r#"{"cnf": {"x5t#S256": "q6ur"}}"#, false, &own, false),
            (r#"{"cnf": {"x5t#S256": ""}}"#, false, &None, false),
            (r#"{"cnf": {"x5t#S256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="}}"#, false, &own, false),
        ] {
            let claims = ClaimSet::new(json::parse(claims.as_bytes()).unwrap());
            assert_eq!(check(&claims, required, || certificate.clone()).is_ok(), expected, "{claims:?} {required} {certificate:?}");
        }
    }
}
