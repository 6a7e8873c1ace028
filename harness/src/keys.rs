// SPDX-License-Identifier: Apache-2.0
//! The keys that a policy's secrets stand for, at a desk: the environment's, or stand-ins.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest, Sha512};
use tracegate::Policy;
use tracegate::secret::{MIN_KEY, SecretKey, SecretReference, SecretSource};

use crate::error::{Error, Result};

/// The environment variables that the policy names, with their values. A variable that isn't set gets a key of its own, so that a policy can
/// be tried without its secrets: what was signed with the true key doesn't verify then.
#[must_use]
pub fn environment(policy: &Policy, seed: u64) -> Vec<(String, String)> {
    policy.variables().into_iter().map(|name| (name.to_owned(), variable(name, seed))).collect()
}

/// A secret's text: the policy's own, the environment's, or a stand-in. What is fetched elsewhere is a stand-in here.
pub(crate) fn value(reference: &SecretReference, seed: u64) -> String {
    match &*reference.source {
        SecretSource::Environment { variable } => self::variable(variable, seed),
        SecretSource::Literal(value) => value.as_str().to_owned(),
        SecretSource::Http(_) | SecretSource::KeyVault(_) => stand_in(&reference.name, seed),
    }
}

/// The key that an environment variable holds, in base64.
///
/// # Errors
///
/// When it isn't set or holds none.
pub(crate) fn of_variable(variable: &str) -> Result<SecretKey> {
    let expected = |found: &str| {
        Error::new(format!("expected at least {MIN_KEY} bytes in base64 in the environment variable {variable}, found {found}"))
    };
    let text = std::env::var(variable).map_err(|_| expected("no such variable"))?;
    SecretKey::read(&text, MIN_KEY).map_err(expected)
}

/// The same of a variable that an argument names.
///
/// # Errors
///
/// The same. What could be a key itself, given in a name's place, is not shown.
pub(crate) fn of_argument(variable: &str) -> Result<SecretKey> {
    if std::env::var_os(variable).is_none() && !looks_like_a_name(variable) {
        return Err(Error::new(
            "expected the name of an environment variable such as TRACEGATE_KEY, found what is no such variable's, and could be a key",
        ));
    }
    of_variable(variable)
}

/// Whether it looks like `AUDIT_KEY` or `AUDITKEY`, as neither base64 nor digits of another kind do.
fn looks_like_a_name(text: &str) -> bool {
    let is_sound = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_sound && (text.contains('_') || !text.bytes().any(|byte| byte.is_ascii_digit()))
}

/// Whether a stand-in has to do for a secret.
pub(crate) fn is_missing(reference: &SecretReference) -> bool {
    reference.is_fetched() || reference.variable().is_some_and(|name| std::env::var_os(name).is_none())
}

/// The variables that the policy names and the environment hasn't.
#[must_use]
pub fn missing(policy: &Policy) -> Vec<&str> {
    policy.variables().into_iter().filter(|name| std::env::var_os(name).is_none()).collect()
}

fn variable(name: &str, seed: u64) -> String {
    std::env::var(name).unwrap_or_else(|_| stand_in(name, seed))
}

/// The secret that a variable's value stands for; `None` where it is none.
pub(crate) fn secret(value: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value.trim_ascii()).ok()
}

fn stand_in(name: &str, seed: u64) -> String {
    // As long as any algorithm asks.
    let digest = Sha512::new().chain_update(b"tracegate stand-in\0").chain_update(seed.to_be_bytes()).chain_update(name);
    BASE64_STANDARD.encode(digest.finalize())
}
