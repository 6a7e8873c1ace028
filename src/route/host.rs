// SPDX-License-Identifier: Apache-2.0
//! Host matches. Hosts compare in lower case, without the port (RFC 9110 section 4.2.3) and without the dot that may end a
//! fully qualified name (RFC 1034 section 3.1).

use std::fmt;
use std::net::Ipv6Addr;
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
    pub fn matches(&self, host: RequestHost<'_>) -> bool {
        match (self, host) {
            (Self::Exact(Host::Name(expected)), RequestHost::Name(name)) => name.eq_ignore_ascii_case(expected.as_bytes()),
            (Self::Exact(Host::Address(expected)), RequestHost::Address(address)) => address == *expected,
            (Self::Suffix(HostSuffix(suffix)), RequestHost::Name(name)) => {
                let tail = name.len().checked_sub(suffix.len()).and_then(|start| name.get(start..));
                name.len() > suffix.len() && tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix.as_bytes()))
            }
            (_, RequestHost::None | RequestHost::Name(_) | RequestHost::Address(_)) => false,
        }
    }
}

/// The host that a request names, without port and final dot.
///
/// What could be read as another host further down is no host: user information, a port that is no number, several ports,
/// bytes that hosts don't hold, empty labels, brackets around anything but an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestHost<'a> {
    /// It names none.
    None,
    /// A name, or an IPv4 address.
    Name(&'a [u8]),
    /// An IPv6 address, however it is spelled.
    Address(Ipv6Addr),
}

impl<'a> RequestHost<'a> {
    /// Reads an `:authority`.
    ///
    /// # Errors
    ///
    /// [`AmbiguousHost`], as said above.
    pub fn read(authority: &'a [u8]) -> Result<Self, AmbiguousHost> {
        if authority.is_empty() {
            return Ok(Self::None);
        }
        let (host, port) = split_port(authority);
        if !port.iter().all(u8::is_ascii_digit) {
            return Err(AmbiguousHost);
        }
        if let Some(address) = host.strip_prefix(b"[") {
            let address = address.strip_suffix(b"]").and_then(|address| std::str::from_utf8(address).ok()?.parse().ok());
            return address.map(Self::Address).ok_or(AmbiguousHost);
        }
        let name = host.strip_suffix(b".").unwrap_or(host);
        let sound = name.split(|&byte| byte == b'.').all(|label| !label.is_empty() && label.iter().all(|&byte| is_label_byte(byte)));
        if sound { Ok(Self::Name(name)) } else { Err(AmbiguousHost) }
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

/// A host to match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or IPv4 address, in lower case.
    Name(String),
    /// An IPv6 address.
    Address(Ipv6Addr),
}

/// The end of a host name, in lower case, with its leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSuffix(String);

impl HostSuffix {
    /// The name that hosts must lie below.
    pub(super) fn name(&self) -> &str {
        self.0.strip_prefix('.').unwrap_or(&self.0)
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let (host, _) = split_port(text.as_bytes());
        match RequestHost::read(text.as_bytes()) {
            _ if host.len() != text.len() => Err(InvalidHost::Port),
            _ if text.len() > MAX_LENGTH => Err(InvalidHost::NotAHost),
            Ok(RequestHost::Name(name)) => Ok(Self::Name(String::from_utf8_lossy(name).to_ascii_lowercase())),
            Ok(RequestHost::Address(address)) => Ok(Self::Address(address)),
            Ok(RequestHost::None) | Err(AmbiguousHost) => Err(InvalidHost::NotAHost),
        }
    }
}

impl FromStr for HostSuffix {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let name = text.strip_prefix('.').ok_or(InvalidHost::SuffixWithoutDot)?;
        match name.parse()? {
            Host::Name(name) => Ok(Self(format!(".{name}"))),
            Host::Address(_) => Err(InvalidHost::NotAHost),
        }
    }
}

const fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
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
    /// Neither a name, nor an IPv4 address, nor an IPv6 address in brackets.
    NotAHost,
    /// A port, which is never compared.
    Port,
    /// A suffix that doesn't begin with a dot.
    SuffixWithoutDot,
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotAHost => "expected a host name, an IPv4 address or an IPv6 address in brackets",
            Self::Port => "expected a host without a port, found one with a port",
            Self::SuffixWithoutDot => "expected a suffix such as \".example.com\", found no leading dot",
        })
    }
}

impl std::error::Error for InvalidHost {}

/// The longest name that DNS has, and more than any address.
pub const MAX_LENGTH: usize = 255;

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
            ("192.0.2.1:80", "192.0.2.1"),
        ] {
            assert_eq!(RequestHost::read(authority.as_bytes()), Ok(RequestHost::Name(host.as_bytes())), "{authority}");
        }
        for authority in ["[::1]", "[::1]:80", "[0:0::1]", "[::0.0.0.1]:"] {
            assert_eq!(RequestHost::read(authority.as_bytes()), Ok(RequestHost::Address(Ipv6Addr::LOCALHOST)), "{authority}");
        }
        assert_eq!(RequestHost::read(b""), Ok(RequestHost::None));
    }

    #[test]
    fn ambiguous_authorities_are_refused() {
        for authority in [
            "u:p@a",
            "u@a",
            "a:80:80",
            "a:x",
            "a:-1",
            "a b",
            "%61",
            "a/b",
            "a\u{e9}",
            "[::1",
            "[::1]x",
            "[a]b]:1",
            "::1",
            "a,b",
            "a\t",
            ".",
            ".a",
            "a..",
            "a..b",
            ":80",
            "[]",
            "[zz]",
            "[::1%251]",
        ] {
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
            ("", false, false),
            ("[::1]", false, false),
        ] {
            let host = RequestHost::read(host.as_bytes()).unwrap();
            assert_eq!((exact.matches(host), suffix.matches(host)), (by_exact, by_suffix), "{host:?}");
        }
    }

    #[test]
    fn what_can_never_match_is_refused() {
        assert_eq!("a:80".parse::<Host>(), Err(InvalidHost::Port));
        for text in ["", ".", "*.example", "a/b", "a]b", "[zz]", "a..b", "::1"] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
        for text in ["example", ".", "", "..x", ".a[b", ".[::1]", ".shop.example:443"] {
            assert!(text.parse::<HostSuffix>().is_err(), "{text}");
        }
        assert_eq!("[::1]".parse::<Host>(), Ok(Host::Address(Ipv6Addr::LOCALHOST)));
    }
}
