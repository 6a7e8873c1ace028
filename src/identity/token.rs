// SPDX-License-Identifier: Apache-2.0
//! Compact JSON Web Signatures (RFC 7515 section 7.1) that hold claims (RFC 7519), read strictly: RFC 8725 section 3.

use super::algorithm::Algorithm;
use super::base64url;
use super::claims::Claims;
use super::jwk::MAX_KEY_ID;
use super::members::Members;
use crate::json::{self, Value};

/// A token that has been read and proves nothing yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What its header says it is signed with; `None` for a name that we don't know, `none` among them.
    pub(super) algorithm: Option<Algorithm>,
    /// Which key its header names.
    pub(super) key_id: Option<String>,
    /// What it claims.
    pub(super) claims: Claims,
    /// What is signed.
    pub(super) signed: &'a [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
}

/// Text that is no token, or one that asks for what we don't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidToken;

/// Header parameters that change what a signature means (RFC 7515 section 4.1.11, RFC 7797, RFC 7516): a reader that passes them over believes
/// what was never signed.
const NOT_UNDERSTOOD: [&str; 4] = ["crit", "b64", "zip", "enc"];

impl<'a> Token<'a> {
    /// Reads a token. Keys that its header brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, InvalidToken> {
        let mut segments = text.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) = (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(InvalidToken);
        };
        let signed = text.get(..header.len().saturating_add(1).saturating_add(payload.len())).ok_or(InvalidToken)?;
        let decode = |segment: &[u8]| base64url::decode(segment).filter(|bytes| !bytes.is_empty()).ok_or(InvalidToken);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);

        let header = json::parse(&header).map_err(|_| InvalidToken)?;
        let header = Members::read(&header).ok_or(InvalidToken)?;
        if NOT_UNDERSTOOD.iter().any(|name| header.get(name).is_some()) {
            return Err(InvalidToken);
        }
        let Some(Value::String(algorithm)) = header.get("alg").map(|node| &node.value) else { return Err(InvalidToken) };
        let key_id = match header.get("kid").map(|node| &node.value) {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KEY_ID => Some(id.clone()),
            Some(_) => return Err(InvalidToken),
        };

        let payload = json::parse(&payload).map_err(|_| InvalidToken)?;
        let claims = Claims::read(payload).ok_or(InvalidToken)?;
        Ok(Self { algorithm: algorithm.parse().ok(), key_id, claims, signed, signature })
    }
}

/// No bytes panic, and what is well-formed has one spelling: whatever a lenient reader would take for the same bytes, written anew, is the same
/// text.
#[cfg(any(test, fuzzing))]
pub fn accepted_has_one_spelling(bytes: &[u8]) {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use base64::alphabet::URL_SAFE;
    use base64::engine::DecodePaddingMode::Indifferent;
    use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
    use serde_json::value::RawValue;

    let Ok(token) = Token::read(bytes) else { return };
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(Indifferent);
    let lenient = GeneralPurpose::new(&URL_SAFE, config);
    let segments: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'.').filter_map(|segment| lenient.decode(segment).ok()).collect();
    let written: Vec<String> = segments.iter().map(|segment| URL_SAFE_NO_PAD.encode(segment)).collect();
    assert_eq!((segments.len(), written.join(".").as_bytes()), (3, bytes));
    assert_eq!(segments.last(), Some(&token.signature));
    assert_eq!(bytes.strip_prefix(token.signed).map(|rest| rest.iter().filter(|byte| **byte == b'.').count()), Some(1));
    for object in segments.iter().take(2) {
        assert!(serde_json::from_slice::<BTreeMap<String, &RawValue>>(object).is_ok(), "expected an object");
    }
}

#[cfg(test)]
mod tests;
