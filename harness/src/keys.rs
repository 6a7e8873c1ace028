// SPDX-License-Identifier: Apache-2.0
//! The keys that a policy's secrets stand for, at a desk: the environment's, or stand-ins.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sha2::{Digest, Sha512};
use tracegate::Policy;

/// The environment variables that the policy names, with their values. A variable that isn't set gets a key of its own, so that a policy can
/// be tried without its secrets: what was signed with the true key doesn't verify then.
#[must_use]
pub fn environment(policy: &Policy, seed: u64) -> Vec<(String, String)> {
    let variable = |name: &str| (name.to_owned(), std::env::var(name).unwrap_or_else(|_| stand_in(name, seed)));
    policy.variables().into_iter().map(variable).collect()
}

/// The variables that the policy names and the environment hasn't.
#[must_use]
pub fn missing(policy: &Policy) -> Vec<&str> {
    policy.variables().into_iter().filter(|name| std::env::var_os(name).is_none()).collect()
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
