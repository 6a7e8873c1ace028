// SPDX-License-Identifier: Apache-2.0
//! What a token claims (RFC 7519 section 4.1), and what a provider asks of it.

use super::entra::EntraTenants;
use super::members::Members;
use crate::claim::ClaimSet;
use crate::decision::Reason;
use crate::json::{Node, Value};

/// The registered claims that decide whether a token is for us, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// All of them.
    pub(super) all: ClaimSet,
    issuer: Option<String>,
    audiences: Vec<String>,
    /// Seconds since 1970, as are the others.
    expires: Option<i64>,
    not_before: Option<i64>,
    issued: Option<i64>,
}

impl Claims {
    /// `None` for anything but an object whose members stand once, and where a claim has another type than it must.
    pub(super) fn read(node: Node) -> Option<Self> {
        let members = Members::read(&node)?;
        let date = |name| members.get(name).map_or(Some(None), |node| seconds(node).map(Some));
        let issuer = match members.get("iss").map(|node| &node.value) {
            None => None,
            Some(Value::String(issuer)) => Some(issuer.clone()),
            Some(_) => return None,
        };
        let audiences = members.get("aud").map_or(Some(Vec::new()), audiences)?;
        let (expires, not_before, issued) = (date("exp")?, date("nbf")?, date("iat")?);
        Some(Self { all: ClaimSet::new(node), issuer, audiences, expires, not_before, issued })
    }
}

/// One text, or a list of texts (RFC 7519 section 4.1.3).
fn audiences(node: &Node) -> Option<Vec<String>> {
    let text = |node: &Node| match &node.value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    match &node.value {
        Value::Sequence(items) => items.iter().map(text).collect(),
        _ => text(node).map(|text| vec![text]),
    }
}

/// A NumericDate (RFC 7519 section 2), its fraction cut off; beyond what 64 bits hold, their end.
fn seconds(node: &Node) -> Option<i64> {
    match &node.value {
        Value::Integer(seconds) => Some(*seconds),
        Value::Number(text) => whole(text),
        _ => None,
    }
}

/// The whole part of a JSON number that is no 64-bit integer.
fn whole(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let far = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent).parse().unwrap_or(far);
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = before.bytes().chain(after.bytes()).chain(std::iter::repeat(b'0'));
    // More places than these are more than 64 bits hold, and zeros don't get there.
    let point = i64::try_from(before.len()).ok()?.saturating_add(exponent);
    let places = usize::try_from(point.max(0)).unwrap_or(usize::MAX);
    let nothing = before.bytes().chain(after.bytes()).all(|digit| digit == b'0');
    let mut whole = 0_i64;
    for digit in digits.take(if nothing { 0 } else { places }) {
        whole = whole.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0')));
        if whole == i64::MAX {
            break;
        }
    }
    Some(if negative { whole.saturating_neg() } else { whole })
}

/// What a provider asks of the claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// Who issues them.
    pub issuer: IssuerRule,
    /// Any of these is in `aud`, exactly.
    pub audiences: Vec<String>,
    /// How many seconds our clock and the issuer's may differ.
    pub clock_skew: i64,
    /// How many seconds there may be between `iat` and `exp`; any number where there is none.
    pub max_lifetime: Option<i64>,
}

/// Who issues tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRule {
    /// `iss` is this, exactly.
    Exact(String),
    /// `iss` and `tid` are those of a tenant of Entra ID.
    Entra(EntraTenants),
}

impl IssuerRule {
    fn is(&self, claims: &Claims) -> bool {
        let Some(issuer) = &claims.issuer else { return false };
        match self {
            Self::Exact(own) => issuer == own,
            Self::Entra(tenants) => tenants.issued(issuer, &claims.all),
        }
    }

    /// Whether a key signs for the issuer of these claims, by what the key set says.
    pub(super) fn may_sign(&self, key_issuer: Option<&str>, claims: &Claims) -> bool {
        match (self, key_issuer) {
            (Self::Entra(tenants), Some(issuer)) => tenants.may_sign(issuer, &claims.all),
            (Self::Entra(_) | Self::Exact(_), _) => true,
        }
    }
}

/// When a token counts: seconds since 1970, with the skew that is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: i64,
    /// It counts no more from here on.
    until: i64,
}

impl Validity {
    /// `Ok` while a token counts; `now` is in nanoseconds.
    pub(super) fn check(self, now: i64) -> Result<(), Reason> {
        let now = now.div_euclid(1_000_000_000);
        if now >= self.until {
            Err(Reason::TokenExpired)
        } else if now < self.from {
            Err(Reason::TokenNotYetValid)
        } else {
            Ok(())
        }
    }
}

impl ClaimRules {
    /// When the claims count, if they do `now`, in nanoseconds.
    ///
    /// # Errors
    ///
    /// The first rule that they break.
    pub(super) fn check(&self, claims: &Claims, now: i64) -> Result<Validity, Reason> {
        if !self.issuer.is(claims) {
            return Err(Reason::TokenIssuerNotAllowed);
        }
        // A token that never expires is a password.
        let expires = claims.expires.ok_or(Reason::TokenLifetimeNotAllowed)?;
        let from = claims.not_before.into_iter().chain(claims.issued).max().unwrap_or(i64::MIN);
        let validity = Validity { from: from.saturating_sub(self.clock_skew), until: expires.saturating_add(self.clock_skew) };
        validity.check(now)?;
        if !claims.audiences.iter().any(|audience| self.audiences.contains(audience)) {
            return Err(Reason::TokenAudienceNotAllowed);
        }
        if let Some(max) = self.max_lifetime {
            let issued = claims.issued.ok_or(Reason::TokenLifetimeNotAllowed)?;
            if expires.saturating_sub(issued) > max {
                return Err(Reason::TokenLifetimeNotAllowed);
            }
        }
        Ok(validity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn claims(text: &str) -> Option<Claims> {
        Claims::read(json::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn dates_are_numbers_of_any_size() {
        for (text, expected) in [
            ("1700000000", Some(1_700_000_000)),
            ("1700000000.9", Some(1_700_000_000)),
            ("1.7e9", Some(1_700_000_000)),
            ("17e+8", Some(1_700_000_000)),
            ("-1.5", Some(-1)),
            ("0.5e1", Some(5)),
            ("5e-1", Some(0)),
            ("123e-2", Some(1)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(-i64::MAX)),
            ("1e999999999999999999999", Some(i64::MAX)),
            ("1e-999999999999999999999", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("\"1700000000\"", None),
            ("true", None),
            ("null", None),
            ("[1700000000]", None),
        ] {
            assert_eq!(claims(&format!("{{\"exp\":{text}}}")).map(|claims| claims.expires), expected.map(Some), "{text}");
        }
    }

    #[test]
    fn rules_are_checked_to_the_second() {
        let rules = |clock_skew, max_lifetime| ClaimRules {
            issuer: IssuerRule::Exact("https://id.shop.example/".into()),
            audiences: vec!["orders-api".into(), "stock-api".into()],
            clock_skew,
            max_lifetime,
        };
        let (strict, lenient, short) = (rules(0, None), rules(30, None), rules(0, Some(600)));
        let now = 1_000_000_999_999_999_i64;
        let with = |more: &str| format!(r#"{{"iss":"https://id.shop.example/","aud":"orders-api"{more}}}"#);
        for (rules, text, expected) in [
            (&strict, with(r#","exp":1000001"#), Ok(())),
            (&strict, with(r#","exp":1000000"#), Err(Reason::TokenExpired)),
            (&lenient, with(r#","exp":999971"#), Ok(())),
            (&lenient, with(r#","exp":999970"#), Err(Reason::TokenExpired)),
            (&strict, with(r#","exp":1000001,"nbf":1000000"#), Ok(())),
            (&strict, with(r#","exp":1000009,"nbf":1000001"#), Err(Reason::TokenNotYetValid)),
            (&strict, with(r#","exp":1000009,"iat":1000001"#), Err(Reason::TokenNotYetValid)),
            (&lenient, with(r#","exp":1000099,"nbf":1000030"#), Ok(())),
            (&lenient, with(r#","exp":1000099,"nbf":1000031"#), Err(Reason::TokenNotYetValid)),
            (&lenient, with(r#","exp":9223372036854775807,"nbf":-9223372036854775808"#), Ok(())),
            (&strict, with(""), Err(Reason::TokenLifetimeNotAllowed)),
            (&short, with(r#","exp":1000600,"iat":1000000"#), Ok(())),
            (&short, with(r#","exp":1000601,"iat":1000000"#), Err(Reason::TokenLifetimeNotAllowed)),
            (&short, with(r#","exp":1000100"#), Err(Reason::TokenLifetimeNotAllowed)),
            (&short, with(r#","exp":9223372036854775807,"iat":-9223372036854775808"#), Err(Reason::TokenLifetimeNotAllowed)),
            (&strict, r#"{"iss":"https://id.shop.example","aud":"orders-api","exp":1000001}"#.into(), Err(Reason::TokenIssuerNotAllowed)),
            (&strict, r#"{"aud":"orders-api","exp":1000001}"#.into(), Err(Reason::TokenIssuerNotAllowed)),
            (&strict, r#"{"iss":"https://id.shop.example/","exp":1000001}"#.into(), Err(Reason::TokenAudienceNotAllowed)),
            (&strict, r#"{"iss":"https://id.shop.example/","aud":[],"exp":1000001}"#.into(), Err(Reason::TokenAudienceNotAllowed)),
            (
                &strict,
                r#"{"iss":"https://id.shop.example/","aud":"Orders-API","exp":1000001}"#.into(),
                Err(Reason::TokenAudienceNotAllowed),
            ),
            (&strict, r#"{"iss":"https://id.shop.example/","aud":["x","stock-api"],"exp":1000001}"#.into(), Ok(())),
        ] {
            assert_eq!(rules.check(&claims(&text).unwrap(), now).map(drop), expected, "{text}");
        }
    }

    #[test]
    fn claims_of_other_types_are_no_claims() {
        for text in
            [r#"{"iss":7}"#, r#"{"iss":null}"#, r#"{"aud":{}}"#, r#"{"aud":["a",1]}"#, r#"{"aud":null}"#, r#"{"nbf":"1"}"#, r#"{"iat":{}}"#]
        {
            assert_eq!(claims(text), None, "{text}");
        }
    }
}
