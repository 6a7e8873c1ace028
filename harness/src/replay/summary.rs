// SPDX-License-Identifier: Apache-2.0
//! What a replay's results were made with.

use std::fmt;

/// What the end of the results says besides the totals.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// Records that can't be read.
    pub malformed: u64,
    /// The policy's fingerprint.
    pub fingerprint: &'a str,
    /// The module's version.
    pub version: Option<&'a str>,
    /// The policy's fingerprint and the module's version of the edge that was compared with, if one was.
    pub against: Option<(&'a str, Option<&'a str>)>,
    /// How many exchanges were searched, if they were.
    pub searched: Option<u64>,
    /// The seed.
    pub seed: u64,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |version: Option<&str>| version.unwrap_or("of unknown version").to_owned();
        write!(formatter, "policy {}, module {}, ", self.fingerprint, version(self.version))?;
        if let Some((fingerprint, other)) = self.against {
            write!(formatter, "against policy {fingerprint}, module {}, ", version(other))?;
        }
        write!(formatter, "seed {}, {} malformed", self.seed, self.malformed)
    }
}
