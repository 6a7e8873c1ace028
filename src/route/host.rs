// SPDX-License-Identifier: Apache-2.0
//! Host matches. Hosts compare in lower case and without the port (RFC 9110 section 4.2.3).

use std::fmt;
use std::str::FromStr;

/// A match on the request's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// This host.
    Exact(Host),
    /// Any host that ends so, as `.shop.example` does for `api.shop.example`. The suffix begins with a dot, so that
    /// `evilshop.example` doesn't match.
    Suffix(HostSuffix),
}

impl HostMatch {
    /// Whether `host`, without a port, matches.
    #[must_use]
    pub fn matches(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(Host(expected)) => host.eq_ignore_ascii_case(expected.as_bytes()),
            Self::Suffix(HostSuffix(suffix)) => {
                let tail = host.len().checked_sub(suffix.len()).and_then(|start| host.get(start..));
                host.len() > suffix.len() && tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix.as_bytes()))
            }
        }
    }
}

/// A host name or address in lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

/// The end of a host name, in lower case, with its leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSuffix(String);

impl Host {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HostSuffix {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        check(text)?;
        if without_port(text.as_bytes()).len() != text.len() {
            return Err(InvalidHost::Port);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl FromStr for HostSuffix {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        check(text)?;
        if !text.starts_with('.') || text.len() < 2 {
            return Err(InvalidHost::SuffixWithoutDot);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn check(text: &str) -> Result<(), InvalidHost> {
    match text.bytes().find(|byte| !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' | b'[' | b']')) {
        Some(found) => Err(InvalidHost::Byte { found }),
        None if text.is_empty() || text.len() > 255 => Err(InvalidHost::Length { found: text.len() }),
        None => Ok(()),
    }
}

/// Cuts `:port` off an authority. An IPv6 address keeps its brackets.
pub(super) fn without_port(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|&byte| byte == b':' || byte == b']') {
        Some(colon) if authority.get(colon) == Some(&b':') => authority.get(..colon).unwrap_or(authority),
        _ => authority,
    }
}

/// Why text is no host to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHost {
    /// A byte that hosts don't hold.
    Byte {
        /// The byte.
        found: u8,
    },
    /// Not 1 to 255 bytes.
    Length {
        /// The length.
        found: usize,
    },
    /// A port, which is never compared.
    Port,
    /// A suffix that doesn't begin with a dot.
    SuffixWithoutDot,
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte { found } => write!(formatter, "expected a host name or address, found '{}' in it", found.escape_ascii()),
            Self::Length { found } => write!(formatter, "expected a host of 1 to 255 bytes, found {found}"),
            Self::Port => formatter.write_str("expected a host without a port, found one with a port"),
            Self::SuffixWithoutDot => formatter.write_str("expected a suffix such as \".example.com\", found no leading dot"),
        }
    }
}

impl std::error::Error for InvalidHost {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_dropped() {
        for (authority, host) in
            [("a.example", "a.example"), ("a.example:443", "a.example"), ("a:", "a"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("", "")]
        {
            assert_eq!(without_port(authority.as_bytes()), host.as_bytes());
        }
    }

    #[test]
    fn matches_by_whole_labels_in_any_case() {
        let exact = HostMatch::Exact("Api.Example".parse().unwrap());
        let suffix = HostMatch::Suffix(".Example".parse().unwrap());
        for (host, by_exact, by_suffix) in [
            ("api.example", true, true),
            ("API.EXAMPLE", true, true),
            ("a.b.example", false, true),
            ("evilexample", false, false),
            (".example", false, false),
            ("", false, false),
        ] {
            assert_eq!((exact.matches(host.as_bytes()), suffix.matches(host.as_bytes())), (by_exact, by_suffix), "{host}");
        }
    }

    #[test]
    fn what_can_never_match_is_refused() {
        assert_eq!("a:80".parse::<Host>(), Err(InvalidHost::Port));
        assert_eq!("".parse::<Host>(), Err(InvalidHost::Length { found: 0 }));
        assert_eq!("*.example".parse::<Host>(), Err(InvalidHost::Byte { found: b'*' }));
        assert_eq!("a/b".parse::<Host>(), Err(InvalidHost::Byte { found: b'/' }));
        assert_eq!("example".parse::<HostSuffix>(), Err(InvalidHost::SuffixWithoutDot));
        assert_eq!(".".parse::<HostSuffix>(), Err(InvalidHost::SuffixWithoutDot));
    }
}
