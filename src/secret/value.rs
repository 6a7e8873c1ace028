// SPDX-License-Identifier: Apache-2.0
//! A secret's text, and what it is read as. None of it is ever shown.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reference::{SecretForm, SecretReference, SecretSource};

/// A secret as it came, without white space around it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(String);

impl SecretValue {
    /// What this text is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim_ascii().to_owned())
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for SecretValue {
    /// Shows nothing of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretValue")
    }
}

/// A key for a MAC: at least [`MIN_KEY`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Vec<u8>);

impl SecretKey {
    /// Reads a key of at least so many bytes, which is written in base64 with padding.
    ///
    /// # Errors
    ///
    /// What was found instead.
    pub fn read(text: &str, least: usize) -> Result<Self, &'static str> {
        let key = STANDARD.decode(text.trim_ascii()).map_err(|_| "something else")?;
        if key.len() < least { Err("fewer") } else { Ok(Self(key)) }
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
    /// Reads one, and puts `scheme` before it where there is one.
    ///
    /// # Errors
    ///
    /// What was found instead.
    pub(crate) fn read(scheme: Option<&str>, text: &str) -> Result<Self, &'static str> {
        let text = text.trim_ascii();
        let sound = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match scheme {
            _ if !sound => Err("something else"),
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

/// A secret that a policy needs and that isn't there, or is none for its purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUnavailable {
    /// The policy's name for it.
    pub name: String,
    /// What was expected.
    pub expected: String,
    /// What was found, of which nothing is quoted.
    pub found: &'static str,
    /// Where it was looked for.
    place: String,
}

impl SecretUnavailable {
    /// What was found where `reference` says.
    pub(super) fn new(reference: &SecretReference, form: SecretForm, found: &'static str) -> Self {
        let place = match &*reference.source {
            SecretSource::Environment { variable } => format!("in the environment variable {variable}"),
            SecretSource::Literal(_) => "in `literal`".to_owned(),
            SecretSource::Http(_) | SecretSource::KeyVault(_) => "in the answer".to_owned(),
        };
        Self { name: reference.name.clone(), expected: form.to_string(), found, place }
    }
}

impl fmt::Display for SecretUnavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expected, found, place } = self;
        write!(formatter, "secrets.{name}: expected {expected} {place}, found {found}")
    }
}

impl std::error::Error for SecretUnavailable {}

/// Bytes of the shortest key: as many as SHA-256 gives (RFC 2104 section 3).
pub const MIN_KEY: usize = 32;
