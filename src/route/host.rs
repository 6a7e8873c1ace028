// SPDX-License-Identifier: Apache-2.0
//! Host matches. Hosts compare in lower case, without the port (RFC 9110 section 4.2.3) and without the dot that may end a
//! fully qualified name (RFC 1034 section 3.1).

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
    /// Whether `host` matches.
    #[must_use]
    pub fn matches(&self, RequestHost(host): RequestHost<'_>) -> bool {
        match self {
            Self::Exact(Host(expected)) => host.eq_ignore_ascii_case(expected.as_bytes()),
            Self::Suffix(HostSuffix(suffix)) => {
                let tail = host.len().checked_sub(suffix.len()).and_then(|start| host.get(start..));
                host.len() > suffix.len() && tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix.as_bytes()))
            }
        }
    }
}

/// The host that a request names, without port and final dot; empty where it names none.
///
/// What could be read as another host further down is no host: user information, a port that is no number, several ports,
/// bytes that hosts don't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHost<'a>(&'a [u8]);

impl<'a> RequestHost<'a> {
    /// Reads an `:authority`.
    ///
    /// # Errors
    ///
    /// [`AmbiguousHost`], as said above.
    pub fn read(authority: &'a [u8]) -> Result<Self, AmbiguousHost> {
        let (host, port) = split_port(authority);
        let address = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
        let sound = match address {
            Some(address) => address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')),
            None => host.iter().all(|&byte| is_name_byte(byte)),
        };
        if !sound || !port.iter().all(u8::is_ascii_digit) {
            return Err(AmbiguousHost);
        }
        Ok(Self(host.strip_suffix(b".").unwrap_or(host)))
    }
}

/// An authority that two readers could take for different hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmbiguousHost;

impl fmt::Display for AmbiguousHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a host with one reading and perhaps a port")
    }
}

impl std::error::Error for AmbiguousHost {}

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
        let (host, _) = split_port(text.as_bytes());
        if host.len() != text.len() {
            return Err(InvalidHost::Port);
        }
        Ok(Self(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()))
    }
}

impl FromStr for HostSuffix {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        check(text)?;
        let text = text.strip_suffix('.').unwrap_or(text);
        if !text.starts_with('.') || text.len() < 2 {
            return Err(InvalidHost::SuffixWithoutDot);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

fn check(text: &str) -> Result<(), InvalidHost> {
    match text.bytes().find(|&byte| !is_name_byte(byte) && !matches!(byte, b':' | b'[' | b']')) {
        Some(found) => Err(InvalidHost::Byte { found }),
        None if text.is_empty() || text.len() > 255 => Err(InvalidHost::Length { found: text.len() }),
        None => Ok(()),
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Cuts `:port` off an authority, at the last colon that is in no bracket.
fn split_port(authority: &[u8]) -> (&[u8], &[u8]) {
    match authority.iter().rposition(|&byte| byte == b':' || byte == b']') {
        Some(at) if authority.get(at) == Some(&b':') => {
            authority.split_at_checked(at).map_or((authority, &[]), |(host, port)| (host, port.strip_prefix(b":").unwrap_or(port)))
        }
        _ => (authority, &[]),
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
    fn ports_and_the_final_dot_are_dropped() {
        for (authority, host) in [
            ("a.example", "a.example"),
            ("a.example:443", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:443", "a.example"),
            ("a:", "a"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("", ""),
        ] {
            assert_eq!(RequestHost::read(authority.as_bytes()), Ok(RequestHost(host.as_bytes())), "{authority}");
        }
    }

    #[test]
    fn ambiguous_authorities_are_refused() {
        for authority in
            ["u:p@a", "u@a", "a:80:80", "a:x", "a:-1", "a b", "%61", "a/b", "a\u{e9}", "[::1", "[::1]x", "[a]b]:1", "::1", "a,b", "a\t"]
        {
            assert_eq!(RequestHost::read(authority.as_bytes()), Err(AmbiguousHost), "{authority}");
        }
    }

    #[test]
    fn matches_by_whole_labels_in_any_case() {
        let exact = HostMatch::Exact("Api.Example.".parse().unwrap());
        let suffix = HostMatch::Suffix(".Example".parse().unwrap());
        for (host, by_exact, by_suffix) in [
            ("api.example", true, true),
            ("API.EXAMPLE.:1", true, true),
            ("a.b.example", false, true),
            ("evilexample", false, false),
            (".example", false, false),
            ("", false, false),
        ] {
            let host = RequestHost::read(host.as_bytes()).unwrap();
            assert_eq!((exact.matches(host), suffix.matches(host)), (by_exact, by_suffix), "{host:?}");
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
