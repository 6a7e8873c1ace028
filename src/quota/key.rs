// SPDX-License-Identifier: Apache-2.0
//! Whose requests are counted together.

use std::fmt::Write as _;
use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use super::limit::KeyPart;
use super::rls::Descriptor;
use crate::caller::{Caller, Identity, Subject};
use crate::claim::put_part;
use crate::condition::Facts;
use crate::identity::Provider;

/// What is asked about a request to tell its key.
pub(super) struct Keyed<'a, 'f, 'i> {
    pub(super) facts: &'a mut Facts<'f, 'i>,
    /// The policy's route.
    pub(super) route: &'a str,
    /// The policy's providers: what is counted goes by their names, since their places change with the policy.
    pub(super) providers: &'a [Provider],
}

/// A request's key: its parts' values in the policy's order, each tagged by its kind and after its length, so that no two keys are alike, wherever
/// values are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

/// What a part of a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One value.
    One,
    /// Several, each after its length: no single value is taken for them.
    Several,
}

impl Key {
    /// The key of a request; `None` where one of its parts can't be told.
    pub(super) fn of(parts: &[KeyPart], keyed: &mut Keyed<'_, '_, '_>) -> Option<Self> {
        let mut bytes = Vec::with_capacity(CAPACITY);
        for part in parts {
            let start = bytes.len();
            bytes.extend_from_slice(&[0; HEAD]);
            let kind = put_value(part, keyed, &mut bytes)?;
            let length = bytes.len().saturating_sub(start).saturating_sub(HEAD);
            let [tag, rest @ ..] = bytes.get_mut(start..)?.first_chunk_mut::<HEAD>()?;
            *tag = kind.tag();
            *rest = u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes();
        }
        Some(Self(bytes))
    }

    /// All of it.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts' values.
    fn values(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let ([tag, length @ ..], values) = rest.split_first_chunk::<HEAD>()?;
            let (value, behind) = values.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            rest = behind;
            Some((if *tag == Kind::One.tag() { Kind::One } else { Kind::Several }, value))
        })
    }

    /// The key as a rate-limit service sees it: an entry for each part, under the name that [`entry_name`] gives it.
    ///
    /// What callers send may be a secret, and goes as a digest; so does what is too long or no text.
    pub(super) fn entries(&self, parts: &[KeyPart], descriptor: &mut Descriptor) {
        for (part, (kind, value)) in parts.iter().zip(self.values()) {
            let text = std::str::from_utf8(value)
                .ok()
                .filter(|_| kind == Kind::One)
                .filter(|text| text.len() <= MAX_PLAIN && !text.contains(char::is_control));
            let shown = match (part, text) {
                (KeyPart::Header(_) | KeyPart::Query(_) | KeyPart::Caller, _) | (_, None) => digest(kind, value),
                (_, Some(text)) => text.to_owned(),
            };
            descriptor.entries.push((entry_name(part), shown));
        }
    }
}

impl Kind {
    const fn tag(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Several => 2,
        }
    }
}

/// Bytes before a value: its kind's tag and its length.
const HEAD: usize = 9;
/// What most keys take.
const CAPACITY: usize = 192;

/// The name under which a part of a key travels to a rate-limit service: letters, digits and `_`.
#[must_use]
pub fn entry_name(part: &KeyPart) -> String {
    let named = |kind: &str, name: &str| {
        let letters = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
        format!("{kind}_{}", letters.collect::<String>())
    };
    match part {
        KeyPart::Subscription => "subscription".to_owned(),
        KeyPart::Product => "product".to_owned(),
        KeyPart::Caller => "caller".to_owned(),
        KeyPart::Claim { path, .. } => named("claim", path.as_str().trim_start_matches('/')),
        KeyPart::Source { .. } => "source".to_owned(),
        KeyPart::Header(name) => named("header", name),
        KeyPart::Query(name) => named("query", name),
        KeyPart::Route => "route".to_owned(),
        KeyPart::Method => "method".to_owned(),
        KeyPart::Literal(_) => "literal".to_owned(),
    }
}

/// The longest value, in bytes, that goes to a service as it is.
const MAX_PLAIN: usize = 256;

/// What stands for a value that may be a secret, or is none of a service's kind.
fn digest(kind: Kind, value: &[u8]) -> String {
    let digest = Sha256::new().chain_update("tracegate quota key\n").chain_update([kind.tag()]).chain_update(value).finalize();
    hex(digest.get(..16).unwrap_or_default())
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes what a part comes to; `None` where it can't be told.
fn put_value(part: &KeyPart, keyed: &mut Keyed<'_, '_, '_>, bytes: &mut Vec<u8>) -> Option<Kind> {
    let caller: &Caller = keyed.facts.caller();
    match part {
        KeyPart::Subscription => bytes.extend_from_slice(caller.identities().find_map(subscription)?.0.as_bytes()),
        KeyPart::Product => bytes.extend_from_slice(caller.identities().find_map(subscription)?.1?.as_bytes()),
        KeyPart::Caller => {
            let identity = caller.identities().next()?;
            put_part(bytes, keyed.providers.get(identity.provider)?.name.as_bytes());
            put_part(bytes, identity.telling());
        }
        KeyPart::Claim { provider, path } => {
            let asked = caller.identities().filter(|identity| provider.is_none_or(|provider| identity.provider == provider));
            let texts = asked.filter_map(Identity::claims).find_map(|claims| claims.texts(path))?;
            return put_all(texts.map(|text| text.into_owned().into_bytes()), bytes);
        }
        KeyPart::Source { ipv4_prefix, ipv6_prefix } => {
            bytes.extend_from_slice(network(keyed.facts.source()?, *ipv4_prefix, *ipv6_prefix).as_bytes());
        }
        KeyPart::Header(name) => return put_all(keyed.facts.header(name), bytes),
        KeyPart::Query(name) => {
            return put_all(keyed.facts.parameters(name), bytes);
        }
        KeyPart::Route => bytes.extend_from_slice(keyed.route.as_bytes()),
        KeyPart::Method => bytes.extend_from_slice(keyed.facts.method()),
        KeyPart::Literal(text) => bytes.extend_from_slice(text.as_bytes()),
    }
    Some(Kind::One)
}

/// The caller's subscription and its product.
pub(super) fn subscription(identity: &Identity) -> Option<(&str, Option<&str>)> {
    match &identity.subject {
        Subject::Subscription { id, product } => Some((id, product.as_deref())),
        Subject::Token(_) | Subject::Certificate { .. } => None,
    }
}

/// Writes one value, or several; `None` for none, and for one that is empty.
fn put_all(mut values: impl Iterator<Item: AsRef<[u8]>>, bytes: &mut Vec<u8>) -> Option<Kind> {
    let first = values.next()?;
    let Some(second) = values.next() else {
        bytes.extend_from_slice(first.as_ref());
        return (!first.as_ref().is_empty()).then_some(Kind::One);
    };
    [first, second].into_iter().chain(values).for_each(|value| put_part(bytes, value.as_ref()));
    Some(Kind::Several)
}

/// The network of an address, as CIDR writes it; of one address alone, the address.
fn network(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> String {
    match address {
        IpAddr::V4(address) => {
            let prefix = ipv4_prefix.min(32);
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            let base = std::net::Ipv4Addr::from_bits(address.to_bits() & mask);
            if prefix == 32 { base.to_string() } else { format!("{base}/{prefix}") }
        }
        IpAddr::V6(address) => {
            let prefix = ipv6_prefix.min(128);
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
            let base = std::net::Ipv6Addr::from_bits(address.to_bits() & mask);
            if prefix == 128 { base.to_string() } else { format!("{base}/{prefix}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ClaimPath;
    use crate::head::{Header, Headers};
    use crate::inputs::PeerFact;

    fn key(parts: &[KeyPart], lines: &[(&str, &str)]) -> Option<Key> {
        let lines: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let mut peer = |fact: PeerFact| (fact == PeerFact::SourceAddress).then(|| b"[2001:db8:1:2:3::4]:99".to_vec());
        let caller = Caller::unknown();
        let mut facts = Facts::new(Headers::new(&lines), 0, &mut peer, &caller);
        Key::of(parts, &mut Keyed { facts: &mut facts, route: "orders", providers: &[] })
    }

    fn entries(parts: &[KeyPart], lines: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut descriptor = Descriptor::default();
        key(parts, lines).unwrap().entries(parts, &mut descriptor);
        descriptor.entries
    }

    #[test]
    fn no_two_keys_are_alike() {
        let parts = [KeyPart::Header("a".into()), KeyPart::Header("b".into())];
        let bytes = |lines: &[(&str, &str)]| key(&parts, lines).unwrap().as_bytes().to_vec();
        let keys = [
            bytes(&[("a", "xy"), ("b", "z")]),
            bytes(&[("a", "x"), ("b", "yz")]),
            bytes(&[("a", "x"), ("a", "y"), ("b", "z")]),
            bytes(&[("a", "x,y"), ("b", "z")]),
            bytes(&[("a", "z"), ("b", "xy")]),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn what_cant_be_told_is_no_key() {
        for part in [
            KeyPart::Subscription,
            KeyPart::Product,
            KeyPart::Caller,
            KeyPart::Claim { provider: None, path: ClaimPath::name("tid") },
            KeyPart::Header("absent".into()),
            KeyPart::Query("absent".into()),
            KeyPart::Query("empty".into()),
        ] {
            assert_eq!(key(std::slice::from_ref(&part), &[(":path", "/?empty=&x=1")]), None, "{part:?}");
            assert_eq!(key(&[KeyPart::Route, part.clone()], &[]), None, "{part:?}");
        }
    }

    #[test]
    fn a_service_sees_no_secret_and_nothing_that_it_cant_read() {
        let parts = [
            KeyPart::Route,
            KeyPart::Method,
            KeyPart::Source { ipv4_prefix: 24, ipv6_prefix: 48 },
            KeyPart::Header("x-api-key".into()),
            KeyPart::Query("page[size]".into()),
            KeyPart::Literal("all".into()),
        ];
        let found = entries(&parts, &[(":method", "GET"), (":path", "/?page[size]=10"), ("x-api-key", "s3cret")]);
        let shown: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let [rest @ .., _, _, literal] = shown.as_slice() else { panic!("{shown:?}") };
        assert_eq!(rest, [("route", "orders"), ("method", "GET"), ("source", "2001:db8:1::/48")]);
        assert_eq!(*literal, ("literal", "all"));
        assert_eq!((shown[3].0, shown[3].1.len()), ("header_x_api_key", 32));
        assert_eq!((shown[4].0, shown[4].1.len()), ("query_page_size_", 32));
        assert!(shown.iter().all(|(_, value)| !value.contains("s3cret") && *value != "10"));
        let long = "x".repeat(257);
        for method in [long.as_str(), "a\nb", "a\0b"] {
            assert_eq!(entries(&[KeyPart::Method], &[(":method", method)])[0].1.len(), 32);
        }
    }

    #[test]
    fn addresses_count_by_their_networks() {
        let v4: IpAddr = "203.0.113.77".parse().unwrap();
        let v6: IpAddr = "2001:db8:1:2:3::4".parse().unwrap();
        for (address, v4_prefix, v6_prefix, expected) in [
            (v4, 32, 128, "203.0.113.77"),
            (v4, 24, 128, "203.0.113.0/24"),
            (v4, 0, 0, "0.0.0.0/0"),
            (v6, 32, 128, "2001:db8:1:2:3::4"),
            (v6, 32, 64, "2001:db8:1:2::/64"),
            (v6, 32, 0, "::/0"),
        ] {
            assert_eq!(network(address, v4_prefix, v6_prefix), expected);
        }
    }
}
