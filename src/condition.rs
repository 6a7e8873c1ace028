// SPDX-License-Identifier: Apache-2.0
//! Typed matchers: what a rule asks before it applies.

mod facts;

pub(crate) use facts::Facts;

use crate::caller::CallerMatch;
use crate::inputs::PeerFact;
use crate::matcher::{TextMatch, ValuesMatch};
use crate::network::Network;
use crate::path::PathMatch;

/// What must be so for a rule to apply. A certificate that isn't shown is known not to match; a source that can't be told is unknown, and so is
/// a caller whom nobody has asked for proof, and whatever hangs on them, `not` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of these.
    All(Vec<Self>),
    /// Any of these.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// The request's method is any of these, byte for byte (RFC 9110 section 9.1).
    Method(Vec<String>),
    /// Its path, in normal form.
    Path(PathMatch),
    /// The lines of a header.
    Header(NamedMatch),
    /// The parameters of its query.
    Query(NamedMatch),
    /// The peer's verified certificate.
    Peer(PeerMatch),
    /// The source address lies in any of these.
    Source(Vec<Network>),
    /// The caller, as proven.
    Caller(Box<CallerMatch>),
    /// The request matched any of these routes, by name.
    Route(Vec<String>),
    /// The trace context bears a gateway's valid signature.
    SignedHop,
}

/// What must be so of the values of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMatch {
    /// Headers' names are in lower case.
    pub name: String,
    /// What must be so.
    pub matches: ValuesMatch,
}

/// What must be so of a certificate.
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

impl Condition {
    /// Whether it is known to be so.
    pub(crate) fn holds(&self, facts: &mut Facts<'_, '_>) -> bool {
        self.known(facts) == Some(true)
    }

    /// Whether it is so, as far as that is known (Kleene's logic).
    pub(crate) fn known(&self, facts: &mut Facts<'_, '_>) -> Option<bool> {
        match self {
            Self::All(conditions) => decided_by(false, conditions, facts),
            Self::Any(conditions) => decided_by(true, conditions, facts),
            Self::Not(condition) => condition.known(facts).map(|known| !known),
            Self::Method(methods) => Some(methods.iter().any(|method| method.as_bytes() == facts.method())),
            Self::Path(path) => facts.path().map(|found| path.matches(&found)),
            Self::Header(NamedMatch { name, matches }) => matches.holds_however_spelt(facts.header(name), facts.alike(name)),
            Self::Query(NamedMatch { name, matches }) => matches.holds_however_spelt(facts.parameters(name), facts.parameters_alike(name)),
            Self::Peer(wanted) => match facts.get(wanted.fact()) {
                None => Some(false),
                Some(found) => wanted.matches(&found),
            },
            Self::Source(networks) => facts.source().map(|source| networks.iter().any(|network| network.contains(source))),
            Self::Caller(wanted) => facts.caller().is(wanted),
            Self::Route(names) => Some(facts.route.is_some_and(|route| names.iter().any(|name| name == route))),
            Self::SignedHop => Some(facts.signed_hop),
        }
    }

    /// Shows every condition within it to `see`, and itself.
    pub fn visit<'c>(&'c self, see: &mut dyn FnMut(&'c Self)) {
        match self {
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().for_each(|condition| condition.visit(see)),
            Self::Not(condition) => condition.visit(see),
            _ => {}
        }
        see(self);
    }

    /// Adds the facts that it may ask about to `facts`, each once.
    pub(crate) fn asks(&self, facts: &mut Vec<PeerFact>) {
        self.visit(&mut |condition| {
            let fact = match condition {
                Self::Peer(wanted) => wanted.fact(),
                Self::Source(_) => PeerFact::SourceAddress,
                _ => return,
            };
            if !facts.contains(&fact) {
                facts.push(fact);
            }
        });
    }

    /// Adds the providers whose callers it may ask about to `providers`, each once.
    pub(crate) fn asks_providers(&self, providers: &mut Vec<usize>) {
        self.visit(&mut |condition| {
            if let Self::Caller(wanted) = condition
                && !providers.contains(&wanted.provider)
            {
                providers.push(wanted.provider);
            }
        });
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
    pub(crate) const fn fact(&self) -> PeerFact {
        match self {
            Self::UriSan(_) => PeerFact::UriSan,
            Self::DnsSan(_) => PeerFact::DnsSan,
            Self::Subject(_) => PeerFact::Subject,
            Self::Sha256(_) => PeerFact::Sha256,
        }
    }

    /// Whether it is so of what was found; `None` where that can't be told.
    pub(crate) fn matches(&self, found: &[u8]) -> Option<bool> {
        match self {
            Self::UriSan(text) => text.matches(found),
            Self::Subject(subject) => Some(subject.as_bytes() == found),
            Self::DnsSan(text) => text.matches_any_case(found),
            Self::Sha256(digits) => Some(digits.as_bytes().eq_ignore_ascii_case(found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::head::{Header, Headers};
    use crate::inputs::Remembered;

    fn holds(condition: &Condition, facts: &[(PeerFact, &str)], route: Option<&str>) -> (bool, usize) {
        let mut asked = 0;
        let mut host = |fact: PeerFact| {
            asked += 1;
            facts.iter().find(|(known, _)| *known == fact).map(|(_, value)| value.as_bytes().to_vec())
        };
        let mut peer = Remembered::new(&mut host);
        let caller = Caller::unknown();
        let mut known = Facts::new(Headers::default(), 0, &mut peer, &caller);
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
            Facts::new(Headers::new(&lines), hops, &mut peer, &Caller::unknown()).source().map(|address| address.to_string())
        };
        // The client forged 1.1.1.1; the outer proxy saw 203.0.113.9, the listener saw the proxy 10.0.0.1.
        let lines = ["1.1.1.1, 203.0.113.9, 10.0.0.1"];
        assert_eq!(source(0, &lines).as_deref(), Some("10.0.0.1"));
        assert_eq!(source(1, &lines).as_deref(), Some("203.0.113.9"));
        assert_eq!(source(1, &["1.1.1.1", "203.0.113.9:55,10.0.0.1"]).as_deref(), Some("203.0.113.9"), "in several lines, with a port");
        assert_eq!(source(2, &lines).as_deref(), Some("1.1.1.1"), "the policy's word counts");
        let mut forged = |_: PeerFact| Some(b"203.0.113.9:0".to_vec());
        assert_eq!(
            Facts::new(Headers::default(), 0, &mut forged, &Caller::unknown()).source(),
            None,
            "read from a header that nobody vouches for"
        );
        for unknown in [&["10.0.0.1"][..], &[], &["unknown, 10.0.0.1"], &["unix:, 10.0.0.1"], &["fe80::1%eth0,10.0.0.1"], &["203.0.113.9,"]]
        {
            assert_eq!(source(1, unknown), None, "{unknown:?}");
        }
        assert_eq!(source(1, &["10.6.6.6, 203.0.113.9"]), None, "a listener that doesn't append says nothing of its peer");
        let by_envoy = |line: &'static str| {
            let lines = [Header { name: b"x-forwarded-for", value: line.as_bytes() }];
            let mut peer = |_: PeerFact| Some(b"203.0.113.9:0".to_vec());
            Facts::new(Headers::new(&lines), 1, &mut peer, &Caller::unknown()).source().map(|address| address.to_string())
        };
        assert_eq!(by_envoy("1.1.1.1, 203.0.113.9, 10.0.0.1").as_deref(), Some("203.0.113.9"), "Envoy counted the same");
        assert_eq!(by_envoy("203.0.113.9, 198.51.100.1, 10.0.0.1"), None, "Envoy counted otherwise");
    }
}
