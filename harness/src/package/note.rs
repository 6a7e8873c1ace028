// SPDX-License-Identifier: Apache-2.0
//! The release note: this version's part of the change log.

use crate::error::{Error, Result};

/// The part of `changelog` that is about `version`, without its heading, and whether it is said to be unreleased.
///
/// # Errors
///
/// When there is no such part, or nothing in it.
pub(super) fn cut<'c>(changelog: &'c str, version: &str) -> Result<(&'c str, bool)> {
    let sections = changelog.split("\n## ").skip(1);
    let (heading, text) = sections
        .filter_map(|section| section.split_once('\n'))
        .find(|(heading, _)| heading.split([',', ' ']).next() == Some(version))
        .ok_or_else(|| Error::new(format!("CHANGELOG.md: expected a section `## {version}`, found none")))?;
    match text.trim() {
        "" => Err(Error::new(format!("CHANGELOG.md: expected something to say of {version}, found nothing"))),
        text => Ok((text, heading.contains("unreleased"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str =
        "# Changelog\n\nWords.\n\n## 1.10.0, unreleased\n\n- New.\n  More.\n\n## 1.1.0, 2026-10-01\n\n- Old.\n\n## 1.0.0\n\n";

    #[test]
    fn a_version_has_its_own_part() {
        assert_eq!(cut(CHANGELOG, "1.10.0").unwrap(), ("- New.\n  More.", true));
        assert_eq!(cut(CHANGELOG, "1.1.0").unwrap(), ("- Old.", false));
        assert_eq!(cut(CHANGELOG, "1.1").unwrap_err().to_string(), "CHANGELOG.md: expected a section `## 1.1`, found none");
        assert_eq!(cut(CHANGELOG, "1.0.0").unwrap_err().to_string(), "CHANGELOG.md: expected something to say of 1.0.0, found nothing");
    }
}
