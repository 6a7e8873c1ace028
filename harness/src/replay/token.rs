// SPDX-License-Identifier: Apache-2.0
//! The token of a replayed request: recorded, not recorded, or minted; and what of a decision hangs on that.

use tracegate::Reason;

use super::agreement::Undecidable;
use super::decided::Decided;
use super::key;
use crate::recording::Recorded;

/// The token of a replayed request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Token {
    /// The policy asks for none.
    #[default]
    NotAsked,
    /// As it was recorded.
    Recorded {
        /// Whether a replay has the keys that can prove it.
        provable: bool,
        /// It would have done where another credential didn't.
        instead: bool,
    },
    /// The record has none that can be read.
    NotRecorded {
        /// Whose it would be, by its place in the policy.
        provider: usize,
        /// Something else stands in its stead.
        masked: bool,
        /// It would have done where another credential didn't.
        instead: bool,
        /// Why none could be minted, where that was tried.
        unmintable: Option<Unmintable>,
    },
    /// The harness made it, with the fault that the record names, or sound.
    Minted(Option<Reason>),
}

/// Why no token can be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmintable {
    /// The policy holds the public keys alone.
    Keys,
    /// No token can be made up that meets its rules.
    Rules,
    /// Its rules ask for nothing that could be wrong in the recorded way.
    Fault,
}

impl Token {
    /// For a minted one the reason for which it is to be refused, or `sound`.
    #[must_use]
    pub const fn minted(self) -> Option<&'static str> {
        match self {
            Self::Minted(Some(fault)) => Some(fault.as_str()),
            Self::Minted(None) => Some("sound"),
            _ => None,
        }
    }

    /// Whether it has a fault that the record names.
    pub(super) const fn has_fault(self) -> bool {
        matches!(self, Self::Minted(Some(_)))
    }

    /// Why nobody can tell whether a decision is the recorded one, where it hangs on what a replay doesn't have. `agrees` is what a comparison
    /// would say.
    pub(super) fn doubt(self, recorded: &Recorded, decided: &Decided, agrees: bool) -> Option<Undecidable> {
        let found = decided.reason();
        let is_among = |reasons: &[Reason], found: Option<&str>| reasons.iter().any(|reason| found == Some(reason.as_str()));
        match self {
            Self::NotRecorded { masked, instead, .. } => {
                // Who writes down what to expect writes down whole requests.
                let tells = masked || (recorded.expect.is_none() && !agrees);
                let hangs = is_among(&ABOUT_TOKENS, found) || (instead && found.is_some_and(key::is_about_keys));
                (hangs && tells).then_some(Undecidable::TokenNotLogged)
            }
            Self::Recorded { provable: false, instead } => {
                // Where the policy admits without keys, nothing was proven either.
                let hangs = is_among(&ABOUT_KEYS, found)
                    || (!agrees && found.is_none() && is_among(&ABOUT_KEYS, recorded_reason(recorded)))
                    || (!agrees && instead && found.is_some_and(key::is_about_keys));
                hangs.then_some(Undecidable::KeysUnavailable)
            }
            _ => None,
        }
    }
}

/// Why the request was refused, as far as the record tells.
pub(super) fn recorded_reason(recorded: &Recorded) -> Option<&str> {
    let logged = || recorded.apim.as_ref()?.last_error.as_ref()?.reason.as_deref();
    match recorded.expect.as_ref().and_then(|expect| expect.reason.as_ref()) {
        Some(expected) => expected.as_deref(),
        None => logged(),
    }
}

/// Whether a refusal is about a token.
pub(super) fn is_about_tokens(reason: &str) -> bool {
    reason.starts_with("Token") || reason == Reason::JwtInvalid.as_str()
}

/// What a request is refused for that has no readable token.
const ABOUT_TOKENS: [Reason; 2] = [Reason::TokenNotPresent, Reason::JwtInvalid];
/// What hangs on the keys.
const ABOUT_KEYS: [Reason; 3] = [Reason::TokenKeysUnavailable, Reason::TokenSignatureKeyNotFound, Reason::TokenSignatureInvalid];
