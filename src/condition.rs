// SPDX-License-Identifier: Apache-2.0
//! Typed matchers: what a rule asks before it applies, and the facts that it asks about.

use std::net::IpAddr;

use crate::head::Headers;
use crate::inputs::{Peer, PeerFact};
use crate::network::{self, Network};

/// What must be so for a rule to apply. A certificate that isn't shown is known not to match; a source that can't be told is unknown, and so is
/// whatever hangs on it, `not` included: a rule applies only where its condition is known to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of these.
    All(Vec<Self>),
    /// Any of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// The peer's verified certificate.
    Peer(PeerMatch),
    /// The source address lies in any of these.
    Source(Vec<Network>),
    /// The request matched any of these routes, by name.
    Route(Vec<String>),
    /// The trace context bears a gateway's valid signature.
    SignedHop,
}

/// What must be so of the peer's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMatch {
    /// Its first URI subject alternative name.
    UriSan(TextMatch),
    /// Its first DNS subject alternative name, in any case.
    DnsSan(TextMatch),
    /// Its whole subject, as RFC 4514 writes it.
    Subject(String),
    /// The SHA-256 digest of all of it, in 64 lower-case hexadecimal digits.
    Sha256(String),
}

/// What must be so of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// It is this.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
}

impl Condition {
    /// Whether it is known to be so.
    pub(crate) fn holds(&self, facts: &mut Facts<'_, '_>) -> bool {
        self.known(facts) == Some(true)
    }

    /// Whether it is so, as far as that is known (Kleene's logic).
    fn known(&self, facts: &mut Facts<'_, '_>) -> Option<bool> {
        match self {
            Self::All(conditions) => decided_by(false, conditions, facts),
            Self::Any(conditions) => decided_by(true, conditions, facts),
            Self::Not(condition) => condition.known(facts).map(|known| !known),
            Self::Peer(wanted) => Some(facts.get(wanted.fact()).is_some_and(|found| wanted.matches(found))),
            Self::Source(networks) => facts.source().map(|source| networks.iter().any(|network| network.contains(source))),
            Self::Route(names) => Some(facts.route.is_some_and(|route| names.iter().any(|name| name == route))),
            Self::SignedHop => Some(facts.signed_hop),
        }
    }

    /// Adds the facts that it may ask about to `facts`, each once.
    pub(crate) fn asks(&self, facts: &mut Vec<PeerFact>) {
        let fact = match self {
            Self::All(conditions) | Self::Any(conditions) => return conditions.iter().for_each(|condition| condition.asks(facts)),
            Self::Not(condition) => return condition.asks(facts),
            Self::Route(_) | Self::SignedHop => return,
            Self::Peer(wanted) => wanted.fact(),
            Self::Source(_) => PeerFact::SourceAddress,
        };
        if !facts.contains(&fact) {
            facts.push(fact);
        }
    }
}

/// One condition that comes to `decisive` decides; where none does, one that isn't known leaves it open.
fn decided_by(decisive: bool, conditions: &[Condition], facts: &mut Facts<'_, '_>) -> Option<bool> {
    let mut all = Some(!decisive);
    for condition in conditions {
        match condition.known(facts) {
            Some(known) if known == decisive => return Some(decisive),
            Some(_) => {}
            None => all = None,
        }
    }
    all
}

impl PeerMatch {
    const fn fact(&self) -> PeerFact {
        match self {
            Self::UriSan(_) => PeerFact::UriSan,
            Self::DnsSan(_) => PeerFact::DnsSan,
            Self::Subject(_) => PeerFact::Subject,
            Self::Sha256(_) => PeerFact::Sha256,
        }
    }

    fn matches(&self, found: &[u8]) -> bool {
        match self {
            Self::UriSan(text) => text.matches(found, <[u8]>::eq),
            Self::Subject(subject) => subject.as_bytes() == found,
            Self::DnsSan(text) => text.matches(found, <[u8]>::eq_ignore_ascii_case),
            Self::Sha256(digits) => digits.as_bytes().eq_ignore_ascii_case(found),
        }
    }
}

impl TextMatch {
    fn matches(&self, found: &[u8], same: fn(&[u8], &[u8]) -> bool) -> bool {
        match self {
            Self::Exact(text) => same(found, text.as_bytes()),
            Self::Prefix(text) => found.get(..text.len()).is_some_and(|start| same(start, text.as_bytes())),
            Self::Suffix(text) => {
                found.len().checked_sub(text.len()).and_then(|at| found.get(at..)).is_some_and(|end| same(end, text.as_bytes()))
            }
        }
    }
}

/// What is known of a request beside its head. The host is asked when a condition first needs a fact, and once.
pub(crate) struct Facts<'a, 'i> {
    /// The name of the route that the request matched.
    pub(crate) route: Option<&'a str>,
    /// Whether its trace context bears a gateway's valid signature.
    pub(crate) signed_hop: bool,
    headers: Headers<'a>,
    trusted_hops: usize,
    peer: &'i mut dyn Peer,
    known: [Known; PeerFact::COUNT],
    /// Once it has been read.
    source: Option<Option<IpAddr>>,
}

#[derive(Default)]
enum Known {
    #[default]
    Unasked,
    Absent,
    Present(Vec<u8>),
}

impl<'a, 'i> Facts<'a, 'i> {
    /// Facts about the request with these headers, which passed `trusted_hops` proxies of ours on its way here.
    pub(crate) fn new(headers: Headers<'a>, trusted_hops: usize, peer: &'i mut dyn Peer) -> Self {
        Self { route: None, signed_hop: false, headers, trusted_hops, peer, known: Default::default(), source: None }
    }

    /// The host's answer; an empty one is none.
    pub(crate) fn get(&mut self, fact: PeerFact) -> Option<&[u8]> {
        let known = self.known.get_mut(fact.index())?;
        if matches!(known, Known::Unasked) {
            *known = match self.peer.fact(fact) {
                Some(answer) if !answer.is_empty() => Known::Present(answer),
                _ => Known::Absent,
            };
        }
        match known {
            Known::Present(answer) => Some(answer),
            Known::Unasked | Known::Absent => None,
        }
    }

    /// Where the request comes from: the peer, or what the outermost of the trusted proxies saw as its peer.
    ///
    /// The listener appends its own peer to `x-forwarded-for`, and each proxy before it did so too: counted from the right, one
    /// entry for each trusted proxy is skipped. Where the list is too short, its entry no address, or its last entry not the listener's peer, nobody
    /// knows where the request comes from: least of all is it from the proxy itself.
    ///
    /// Envoy gives an address that it read from `x-forwarded-for` the port 0. Where the policy trusts no proxy, that is whatever the client wrote,
    /// believed by a listener without `use_remote_address`: it is nobody's address then.
    pub(crate) fn source(&mut self) -> Option<IpAddr> {
        if let Some(known) = self.source {
            return known;
        }
        let source = if self.trusted_hops == 0 { self.connection() } else { self.forwarded() };
        self.source = Some(source);
        source
    }

    fn connection(&mut self) -> Option<IpAddr> {
        let peer = self.get(PeerFact::SourceAddress)?;
        if peer.ends_with(b":0") { None } else { network::address(peer) }
    }

    fn forwarded(&mut self) -> Option<IpAddr> {
        let lines: Vec<&[u8]> = self.headers.values("x-forwarded-for").collect();
        let mut entries = lines.iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b','));
        let last = network::address(entries.next()?);
        let forwarded = network::address(entries.nth(self.trusted_hops.saturating_sub(1))?)?;
        let peer = self.get(PeerFact::SourceAddress)?;
        let by_host = peer.ends_with(b":0");
        let peer = network::address(peer)?;
        // A host that counts itself says what it counted; any other says who the peer is, but Envoy appends another address for its own machine.
        let agrees = if by_host { peer == forwarded } else { peer.is_loopback() || last == Some(peer) };
        agrees.then_some(forwarded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Header;

    fn holds(condition: &Condition, facts: &[(PeerFact, &str)], route: Option<&str>) -> (bool, usize) {
        let mut asked = 0;
        let mut peer = |fact: PeerFact| {
            asked += 1;
            facts.iter().find(|(known, _)| *known == fact).map(|(_, value)| value.as_bytes().to_vec())
        };
        let mut known = Facts::new(Headers::default(), 0, &mut peer);
        known.route = route;
        let holds = condition.holds(&mut known);
        assert_eq!(condition.holds(&mut known), holds);
        (holds, asked)
    }

    #[test]
    fn texts_are_matched_whole_at_the_start_or_at_the_end() {
        let uri = |text: TextMatch| Condition::Peer(PeerMatch::UriSan(text));
        let mesh = [(PeerFact::UriSan, "spiffe://shop.example/orders")];
        for (text, expected) in [
            (TextMatch::Exact("spiffe://shop.example/orders".into()), true),
            (TextMatch::Exact("spiffe://shop.example/order".into()), false),
            (TextMatch::Prefix("spiffe://shop.example/".into()), true),
            (TextMatch::Prefix("spiffe://Shop.example/".into()), false),
            (TextMatch::Prefix("spiffe://shop.example/orders/more".into()), false),
            (TextMatch::Suffix("/orders".into()), true),
            (TextMatch::Suffix("x/orders".into()), false),
        ] {
            assert_eq!(holds(&uri(text.clone()), &mesh, None), (expected, 1), "{text:?}");
            assert_eq!(holds(&uri(text), &[], None), (false, 1), "an unknown fact matches nothing and is asked for once");
        }
        let dns = Condition::Peer(PeerMatch::DnsSan(TextMatch::Suffix(".shop.example".into())));
        assert!(holds(&dns, &[(PeerFact::DnsSan, "API.Shop.Example")], None).0, "names of hosts have no case");
        let digest = Condition::Peer(PeerMatch::Sha256("ab".repeat(32)));
        assert!(holds(&digest, &[(PeerFact::Sha256, &"AB".repeat(32))], None).0);
        assert!(!holds(&digest, &[(PeerFact::Sha256, &"ab".repeat(31))], None).0);
        assert_eq!(holds(&uri(TextMatch::Prefix(String::new())), &[(PeerFact::UriSan, "")], None), (false, 1), "an empty answer is none");
    }

    #[test]
    fn conditions_combine_and_ask_no_more_than_they_need() {
        let source = |network: &str| Condition::Source(vec![network.parse().unwrap()]);
        let mesh = Condition::Peer(PeerMatch::UriSan(TextMatch::Prefix("spiffe:".into())));
        let route = Condition::Route(vec!["orders".into()]);
        let facts = [(PeerFact::SourceAddress, "203.0.113.9:4711")];
        assert_eq!(holds(&source("203.0.113.0/24"), &facts, None), (true, 1));
        assert_eq!(holds(&source("198.51.100.0/24"), &facts, None), (false, 1));
        let both = Condition::All(vec![route.clone(), source("203.0.113.0/24")]);
        assert_eq!(holds(&both, &facts, None), (false, 0), "the host isn't asked in vain");
        assert_eq!(holds(&both, &facts, Some("orders")), (true, 1));
        let any = Condition::Any(vec![mesh.clone(), source("203.0.113.0/24")]);
        assert_eq!(holds(&any, &facts, None), (true, 2));
        assert_eq!(holds(&Condition::Not(Box::new(mesh)), &facts, None), (true, 1));
        // What hangs on a source that can't be told is neither so nor not so.
        let ours = source("203.0.113.0/24");
        let not_ours = Condition::Not(Box::new(ours.clone()));
        let unknown = [(PeerFact::SourceAddress, "203.0.113.9:0")];
        assert!(!holds(&ours, &unknown, None).0 && !holds(&not_ours, &unknown, None).0);
        assert!(holds(&not_ours, &[(PeerFact::SourceAddress, "192.0.2.1:1")], None).0);
        assert!(holds(&Condition::Any(vec![ours.clone(), route.clone()]), &unknown, Some("orders")).0);
        assert!(!holds(&Condition::Not(Box::new(Condition::All(vec![ours.clone(), route.clone()]))), &unknown, Some("orders")).0);
        assert!(holds(&Condition::Not(Box::new(Condition::All(vec![ours, route.clone()]))), &unknown, None).0);
        assert_eq!(holds(&Condition::All(vec![]), &[], None), (true, 0));
        assert_eq!(holds(&Condition::Any(vec![]), &[], None), (false, 0));
        let mut asked = Vec::new();
        Condition::All(vec![any, both, route, Condition::SignedHop]).asks(&mut asked);
        assert_eq!(asked, [PeerFact::UriSan, PeerFact::SourceAddress]);
    }

    #[test]
    fn forwarded_addresses_count_from_the_right_by_trusted_proxies() {
        let source = |hops, lines: &[&str]| {
            let lines: Vec<Header<'_>> = lines.iter().map(|line| Header { name: b"x-forwarded-for", value: line.as_bytes() }).collect();
            let mut peer = |_: PeerFact| Some(b"10.0.0.1:5".to_vec());
            Facts::new(Headers::new(&lines), hops, &mut peer).source().map(|address| address.to_string())
        };
        // The client forged 1.1.1.1; the outer proxy saw 203.0.113.9, the listener saw the proxy 10.0.0.1.
        let lines = ["1.1.1.1, 203.0.113.9, 10.0.0.1"];
        assert_eq!(source(0, &lines).as_deref(), Some("10.0.0.1"));
        assert_eq!(source(1, &lines).as_deref(), Some("203.0.113.9"));
        assert_eq!(source(1, &["1.1.1.1", "203.0.113.9:55,10.0.0.1"]).as_deref(), Some("203.0.113.9"), "in several lines, with a port");
        assert_eq!(source(2, &lines).as_deref(), Some("1.1.1.1"), "the policy's word counts");
        let mut forged = |_: PeerFact| Some(b"203.0.113.9:0".to_vec());
        assert_eq!(Facts::new(Headers::default(), 0, &mut forged).source(), None, "read from a header that nobody vouches for");
        for unknown in [&["10.0.0.1"][..], &[], &["unknown, 10.0.0.1"], &["unix:, 10.0.0.1"], &["fe80::1%eth0,10.0.0.1"], &["203.0.113.9,"]]
        {
            assert_eq!(source(1, unknown), None, "{unknown:?}");
        }
        assert_eq!(source(1, &["10.6.6.6, 203.0.113.9"]), None, "a listener that doesn't append says nothing of its peer");
        let by_envoy = |line: &'static str| {
            let lines = [Header { name: b"x-forwarded-for", value: line.as_bytes() }];
            let mut peer = |_: PeerFact| Some(b"203.0.113.9:0".to_vec());
            Facts::new(Headers::new(&lines), 1, &mut peer).source().map(|address| address.to_string())
        };
        assert_eq!(by_envoy("1.1.1.1, 203.0.113.9, 10.0.0.1").as_deref(), Some("203.0.113.9"), "Envoy counted the same");
        assert_eq!(by_envoy("203.0.113.9, 198.51.100.1, 10.0.0.1"), None, "Envoy counted otherwise");
    }
}
