// SPDX-License-Identifier: Apache-2.0
//! The keys that records are verified with, and for how long each counts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tracegate::audit::AuditKey;

use crate::error::{Error, Result};
use crate::keys;

/// The keys, by their ids.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<String, (AuditKey, Term)>);

/// For how long a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// It is in use.
    Current,
    /// In each chain, until another one takes over.
    UntilReplaced,
    /// Until then, by the chain's own time.
    Until(Timestamp),
}

/// A key that another one has replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retired<'a> {
    /// The environment variable that holds it.
    variable: &'a str,
    until: Option<Timestamp>,
}

impl Keys {
    /// Takes the keys from their environment variables: `VARIABLE` for one in use, and `VARIABLE` or `VARIABLE@UNTIL` for one that is retired.
    ///
    /// # Errors
    ///
    /// When one isn't set or holds no key, where what stands behind `@` is no time, or where a key is to count for two different times.
    pub(super) fn new(current: &[String], retired: &[String]) -> Result<Self> {
        let retired = retired.iter().map(|text| Retired::read(text)).collect::<Result<Vec<_>>>()?;
        let current = current.iter().map(|variable| (variable.as_str(), Term::Current));
        let retired = retired.iter().map(|Retired { variable, until }| (*variable, until.map_or(Term::UntilReplaced, Term::Until)));
        let mut keys = Self::default();
        for (variable, term) in current.chain(retired) {
            let key = AuditKey::new(&keys::of_argument(variable)?).ok_or_else(|| Error::new(format!("{variable} holds no key")))?;
            let id = key.id().to_owned();
            if keys.0.insert(id, (key, term)).is_some_and(|(_, known)| known != term) {
                return Err(Error::new(format!("expected each key in use or retired, and until one time; found that of {variable} twice")));
            }
        }
        Ok(keys)
    }

    /// The key of this id, and for how long it counts.
    pub(super) fn get(&self, id: &str) -> Option<(&AuditKey, Term)> {
        self.0.get(id).map(|(key, term)| (key, *term))
    }

    /// Their ids, and for how long they count: those in use first.
    pub(super) fn list(&self) -> Vec<(String, Term)> {
        let mut list: Vec<(String, Term)> = self.0.iter().map(|(id, (_, term))| (id.clone(), *term)).collect();
        list.sort_by_key(|(_, term)| *term != Term::Current);
        list
    }
}

impl<'a> Retired<'a> {
    /// Reads `VARIABLE`, or `VARIABLE@UNTIL` with an instant as RFC 3339 has it.
    ///
    /// # Errors
    ///
    /// Where there is no such instant. The text isn't shown: it may be a key, on either side.
    fn read(text: &'a str) -> Result<Self> {
        let Some((variable, until)) = text.split_once('@') else { return Ok(Self { variable: text, until: None }) };
        let wrong =
            |_| Error::new("--retired: expected an RFC 3339 date and time behind `@`, such as 2026-11-30T10:00:00Z, found something else");
        until.parse().map(|until| Self { variable, until: Some(until) }).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_key_may_have_an_end() {
        assert_eq!(Retired::read("OLD_KEY").unwrap(), Retired { variable: "OLD_KEY", until: None });
        let until: Timestamp = "2026-11-30T10:00:00Z".parse().unwrap();
        for text in ["OLD_KEY@2026-11-30T10:00:00Z", "OLD_KEY@2026-11-30T12:00:00+02:00"] {
            assert_eq!(Retired::read(text).unwrap(), Retired { variable: "OLD_KEY", until: Some(until) }, "{text}");
        }
        for text in ["OLD_KEY@", "OLD_KEY@yesterday", "OLD_KEY@2026-11-30", "OLD_KEY@2026-11-30T10:00:00"] {
            let error = Retired::read(text).unwrap_err().to_string();
            assert!(error.contains("expected an RFC 3339 date and time") && !error.contains("OLD_KEY"), "{text}: {error}");
        }
    }
}
