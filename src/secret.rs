// SPDX-License-Identifier: Apache-2.0
//! Secrets by reference: a policy names them, the host holds them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretReference {
    /// The policy's name for it.
    pub name: String,
    /// The environment variable that holds it.
    pub variable: String,
}

/// The host's secrets.
pub trait Secrets {
    /// The value of an environment variable; `None` where there is none.
    fn environment(&mut self, variable: &str) -> Option<String>;
}

impl<F: FnMut(&str) -> Option<String>> Secrets for F {
    fn environment(&mut self, variable: &str) -> Option<String> {
        self(variable)
    }
}

/// A key for a MAC: at least [`MIN_KEY`] bytes.
#[derive(Clone)]
pub struct SecretKey(Vec<u8>);

impl SecretKey {
    /// Fetches a key, which is written in base64 with padding.
    ///
    /// # Errors
    ///
    /// [`SecretUnavailable`] where the host has none, or what it has is no key.
    pub fn fetch(reference: &SecretReference, secrets: &mut dyn Secrets) -> Result<Self, SecretUnavailable> {
        let unavailable = |found| SecretUnavailable { reference: reference.clone(), expected: KEY, found };
        let text = secrets.environment(&reference.variable).ok_or(unavailable("no such variable"))?;
        let key = STANDARD.decode(text.trim_ascii()).map_err(|_| unavailable("something else"))?;
        if key.len() < MIN_KEY { Err(unavailable("fewer")) } else { Ok(Self(key)) }
    }

    /// The key itself.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    /// Shows nothing of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey")
    }
}

/// A credential that stands in a header: printable ASCII.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Fetches one, and puts `scheme` before it where there is one.
    ///
    /// # Errors
    ///
    /// [`SecretUnavailable`] where the host has none, or what it has can't stand in a header.
    pub(crate) fn fetch(scheme: Option<&str>, reference: &SecretReference, secrets: &mut dyn Secrets) -> Result<Self, SecretUnavailable> {
        let unavailable = |found| SecretUnavailable { reference: reference.clone(), expected: "printable ASCII", found };
        let text = secrets.environment(&reference.variable).ok_or(unavailable("no such variable"))?;
        let text = text.trim_ascii();
        let sound = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match scheme {
            _ if !sound => Err(unavailable("something else")),
            Some(scheme) => Ok(Self(format!("{scheme} {text}"))),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The header's value.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for SecretText {
    /// Shows nothing of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText")
    }
}

/// A secret that a policy needs and the host doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUnavailable {
    reference: SecretReference,
    expected: &'static str,
    found: &'static str,
}

impl SecretUnavailable {
    /// What is there is no key for its purpose.
    pub(crate) fn unfit(reference: &SecretReference) -> Self {
        Self { reference: reference.clone(), expected: KEY, found: "something else" }
    }
}

impl fmt::Display for SecretUnavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reference: SecretReference { name, variable }, expected, found } = self;
        write!(formatter, "secrets.{name}: expected {expected} in the environment variable {variable}, found {found}")
    }
}

impl std::error::Error for SecretUnavailable {}

/// Bytes of the shortest key: as many as SHA-256 gives (RFC 2104 section 3).
pub const MIN_KEY: usize = 32;
const KEY: &str = "at least 32 bytes in base64";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_fetched_and_never_shown() {
        let reference = SecretReference { name: "hop-key".into(), variable: "HOP_KEY".into() };
        let fetch = |value: Option<&str>| {
            let mut secrets = |variable: &str| value.filter(|_| variable == "HOP_KEY").map(str::to_owned);
            SecretKey::fetch(&reference, &mut secrets)
        };
        let key = fetch(Some("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=\n")).unwrap();
        assert_eq!(key.as_bytes(), b"secretsecretsecretsecretsecret12");
        assert_eq!(format!("{key:?}"), "SecretKey");
        for (value, found) in [(None, "no such variable"), (Some("hunter2!"), "something else"), (Some("aHVudGVyMg=="), "fewer")] {
            let error = fetch(value).unwrap_err().to_string();
            let expected = "secrets.hop-key: expected at least 32 bytes in base64 in the environment variable HOP_KEY, found ";
            assert_eq!(error, format!("{expected}{found}"));
        }
    }
}
