// SPDX-License-Identifier: Apache-2.0
//! Where requests come from: addresses and the networks that hold them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 or IPv6 network in CIDR notation (RFC 4632, RFC 4291 section 2.3). An address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// At most 32 or 128.
    length: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()) & mask_v4(self.length) == 0,
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()) & mask_v6(self.length) == 0,
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((address, length)) => (address, Some(length)),
        };
        let address = address.parse::<IpAddr>().map_err(|_| InvalidNetwork::Address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => longest,
            // No sign and no leading zeros: readers differ about them.
            Some(text) if text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9')) => {
                text.parse().ok().filter(|length| *length <= longest).ok_or(InvalidNetwork::Length { longest })?
            }
            Some(_) => return Err(InvalidNetwork::Length { longest }),
        };
        let base = match address {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask_v4(length))),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask_v6(length))),
        };
        if base != address {
            return Err(InvalidNetwork::HostBits { base, length });
        }
        if base.to_canonical() != base {
            return Err(InvalidNetwork::Mapped { base: base.to_canonical() });
        }
        Ok(Self { address, length })
    }
}

/// Reads the address that a host or a proxy names: with or without a port, an IPv6 address with a port in brackets.
#[must_use]
pub fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let (address, port) = match (text.strip_prefix('['), text.split_once(':')) {
        (Some(rest), _) => rest.split_once(']')?,
        // Only an IPv6 address has more than one.
        (None, Some((address, port))) if !port.contains(':') => (address, text.get(address.len()..)?),
        (None, _) => (text, ""),
    };
    let address = address.parse::<IpAddr>().ok().filter(|address| address.is_ipv6() || !text.starts_with('['))?;
    (port.is_empty() || is_port(port)).then(|| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(length))).unwrap_or(0)
}

fn mask_v6(length: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(length))).unwrap_or(0)
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidNetwork {
    /// What stands before the slash is no address.
    Address,
    /// What stands after it is no length.
    Length {
        /// The longest for this address.
        longest: u8,
    },
    /// The address has bits beyond the length: perhaps another network was meant.
    HostBits {
        /// The address without them.
        base: IpAddr,
        /// The length.
        length: u8,
    },
    /// An IPv4 network written as IPv6: it would match nothing, since addresses are compared as IPv4.
    Mapped {
        /// The same in IPv4.
        base: IpAddr,
    },
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => formatter.write_str("expected a network such as 203.0.113.0/24 or 2001:db8::/32"),
            Self::Length { longest } => write!(formatter, "expected a prefix length from 0 to {longest} after the slash"),
            Self::HostBits { base, length } => write!(formatter, "expected a network without host bits, which is {base}/{length}"),
            Self::Mapped { base } => write!(formatter, "expected an IPv4 network as such: {base}"),
        }
    }
}

impl std::error::Error for InvalidNetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            (
                "203.0.113.0/24",
                &["203.0.113.0", "203.0.113.255", "::ffff:203.0.113.7"][..],
                &["203.0.112.255", "203.0.114.0", "2001:db8::1"][..],
            ),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "::1"]),
            ("198.51.100.7", &["198.51.100.7"], &["198.51.100.6"]),
            ("128.0.0.0/1", &["128.0.0.1", "255.0.0.0"], &["127.255.255.255"]),
            ("2001:db8::/32", &["2001:db8::1", "2001:db8:ffff::"], &["2001:db9::", "203.0.113.7"]),
            ("::/0", &["::1", "2001:db8::1"], &["203.0.113.7", "::ffff:203.0.113.7"]),
            ("::1", &["::1"], &["::2", "0.0.0.1"]),
        ] {
            let read: Network = network.parse().unwrap();
            let holds = |address: &&str| read.contains(address.parse().unwrap());
            assert!(inside.iter().all(holds) && !outside.iter().any(holds), "{network}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for (text, expected) in [
            ("", "expected a network such as 203.0.113.0/24 or 2001:db8::/32"),
            ("shop.example", "expected a network such as 203.0.113.0/24 or 2001:db8::/32"),
            ("203.0.113/24", "expected a network such as 203.0.113.0/24 or 2001:db8::/32"),
            ("203.0.113.0/33", "expected a prefix length from 0 to 32 after the slash"),
            ("203.0.113.0/+8", "expected a prefix length from 0 to 32 after the slash"),
            ("203.0.113.0/08", "expected a prefix length from 0 to 32 after the slash"),
            ("2001:db8::/129", "expected a prefix length from 0 to 128 after the slash"),
            ("203.0.113.0/", "expected a prefix length from 0 to 32 after the slash"),
            ("203.0.113.7/24", "expected a network without host bits, which is 203.0.113.0/24"),
            ("2001:db8::1/32", "expected a network without host bits, which is 2001:db8::/32"),
            ("::ffff:203.0.113.0/120", "expected an IPv4 network as such: 203.0.113.0"),
        ] {
            assert_eq!(text.parse::<Network>().map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn addresses_are_read_as_hosts_and_proxies_write_them() {
        for (text, expected) in [
            ("127.0.0.1:46906", Some("127.0.0.1")),
            ("10.1.2.3", Some("10.1.2.3")),
            (" 10.1.2.3 ", Some("10.1.2.3")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("::ffff:10.1.2.3", Some("10.1.2.3")),
            ("[::ffff:10.1.2.3]:1", Some("10.1.2.3")),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("10.1.2.3:x", None),
            ("[::1]x", None),
            ("envoy://internal", None),
            ("010.1.2.3", None),
        ] {
            assert_eq!(address(text.as_bytes()).map(|address| address.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(address(b"\xff"), None);
    }
}
