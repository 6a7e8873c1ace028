// SPDX-License-Identifier: Apache-2.0
//! Credentials, replaced by digests: one that repeats can be told to repeat, none can be told.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Replaces credential values by the first 32 bits of a keyed digest.
#[derive(Clone, Debug)]
pub struct Redactor {
    key: [u8; 32],
}

impl Redactor {
    /// The redactor of one replay: the same seed gives the same digests.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { key: Sha256::digest(format!("tracegate redaction{seed}")).into() }
    }

    /// Eight hexadecimal digits that stand for `secret`.
    #[must_use]
    pub fn digest(&self, secret: &[u8]) -> String {
        let digest: [u8; 32] = Sha256::new().chain_update(self.key).chain_update(secret).finalize().into();
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A header's value as JSON: a credential as `{"redacted": "1a2b3c4d"}`, text as text, other bytes as `{"base64": "…"}`.
    #[must_use]
    pub fn header(&self, name: &[u8], value: &[u8]) -> Value {
        if is_credential_header(name) { json!({"redacted": self.digest(value)}) } else { json_bytes(value) }
    }

    /// A path with the values of credential parameters in its query as `REDACTED-1a2b3c4d`.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        let Some((before, query)) = path.split_once('?') else { return path.to_owned() };
        let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
            Some((name, value)) if is_credential_parameter(name) && !value.starts_with("REDACTED-") => {
                format!("{name}=REDACTED-{}", self.digest(value.as_bytes()))
            }
            _ => parameter.to_owned(),
        });
        format!("{before}?{}", parameters.collect::<Vec<_>>().join("&"))
    }
}

/// Whether a header's value is a credential, by its name in lower case.
#[must_use]
pub(crate) fn is_credential_header(name: &[u8]) -> bool {
    CREDENTIAL_HEADERS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// Bytes as JSON: text where they are text, else `{"base64": "…"}`.
pub(crate) fn json_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

fn is_credential_parameter(name: &str) -> bool {
    let name = percent_decoded(name).to_ascii_lowercase();
    CREDENTIAL_PARAMETERS.contains(&name.as_str())
}

/// A parameter's name may be written with escapes, as `subscription%2Dkey`.
fn percent_decoded(name: &str) -> String {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let mut byte = [0];
        match tail.split_first_chunk::<2>() {
            Some((digits, after)) if *first == b'%' && hex::decode_to_slice(digits, &mut byte).is_ok() => {
                decoded.extend_from_slice(&byte);
                rest = after;
            }
            _ => decoded.push(*first),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const CREDENTIAL_HEADERS: &[&str] = &[
    "api-key",
    "authorization",
    "cookie",
    "ocp-apim-subscription-key",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-functions-key",
];

/// In lower case. Beside tokens and keys: the signatures that OpenTelemetry's `url.query` redacts.
const CREDENTIAL_PARAMETERS: &[&str] = &[
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "awsaccesskeyid",
    "client_assertion",
    "client_secret",
    "code",
    "id_token",
    "jwt",
    "key",
    "password",
    "refresh_token",
    "sig",
    "signature",
    "subscription-key",
    "subscription_key",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-functions-key",
    "x-goog-signature",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_queries_become_digests() {
        let redactor = Redactor::new(0);
        let redacted = redactor.path("/a?x=1&Subscription-Key=s3cret&y=&subscription%2Dkey=s3cret&sig=");
        let digest = redactor.digest(b"s3cret");
        assert_eq!(
            redacted,
            format!(
                "/a?x=1&Subscription-Key=REDACTED-{digest}&y=&subscription%2Dkey=REDACTED-{digest}&sig=REDACTED-{}",
                redactor.digest(b"")
            )
        );
        assert_eq!(redactor.path(&redacted), redacted, "redacting twice is redacting once");
        assert_eq!(redactor.path("/key=1"), "/key=1");
        assert_eq!(digest.len(), 8);
        assert_ne!(Redactor::new(1).digest(b"s3cret"), digest);
    }
}
