// SPDX-License-Identifier: Apache-2.0
//! What conditions ask about.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::caller::Caller;
use crate::head::{Header, Headers, is_alike};
use crate::inputs::{Peer, PeerFact};
use crate::network;
use crate::path::NormalPath;
use crate::query;

/// What is known of a request.
pub(crate) struct Facts<'a, 'i> {
    /// The name of the route that the request matched.
    pub(crate) route: Option<&'a str>,
    /// Whether its trace context bears a gateway's valid signature.
    pub(crate) signed_hop: bool,
    headers: Headers<'a>,
    trusted_hops: usize,
    peer: &'i mut dyn Peer,
    /// As far as it is proven.
    caller: &'i Caller,
    /// Once it has been read.
    source: Option<Option<IpAddr>>,
}

impl<'a, 'i> Facts<'a, 'i> {
    /// Facts about the request with these headers, which passed `trusted_hops` proxies of ours on its way here.
    pub(crate) const fn new(headers: Headers<'a>, trusted_hops: usize, peer: &'i mut dyn Peer, caller: &'i Caller) -> Self {
        Self { route: None, signed_hop: false, headers, trusted_hops, peer, caller, source: None }
    }

    pub(crate) fn method(&self) -> &'a [u8] {
        self.header(":method").next().unwrap_or_default()
    }

    /// `None` for a path that readers could take for different ones.
    pub(super) fn path(&self) -> Option<NormalPath<'a>> {
        NormalPath::read(self.target()).ok()
    }

    fn target(&self) -> &'a [u8] {
        self.header(":path").next().unwrap_or_default()
    }

    pub(crate) fn header<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.headers.values(name)
    }

    /// The lines of other names that some service takes for this one: `x_debug` for `x-debug`.
    pub(super) fn alike<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        let is = move |line: &Header<'_>| is_alike(name.as_bytes(), line.name) && !line.name.eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().filter(is).map(|line| line.value)
    }

    pub(crate) fn parameters<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, [u8]>> + Clone + use<'a, 'n> {
        query::values(self.target(), move |found| found == name.as_bytes())
    }

    /// The parameters of other names that some service takes for this one: `debug[]` for `debug`.
    pub(super) fn parameters_alike<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, [u8]>> + Clone + use<'a, 'n> {
        query::alike(self.target(), name.as_bytes())
    }

    /// The caller, as far as proven.
    pub(crate) const fn caller(&self) -> &'i Caller {
        self.caller
    }

    /// The host's answer; an empty one is none.
    pub(crate) fn get(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        self.peer.fact(fact).filter(|answer| !answer.is_empty())
    }

    /// What the host's route says under this key.
    pub(crate) fn route_metadata(&mut self, key: &str) -> Option<Vec<u8>> {
        self.peer.route_metadata(key)
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
        if peer.ends_with(b":0") { None } else { network::address(&peer) }
    }

    fn forwarded(&mut self) -> Option<IpAddr> {
        let lines: Vec<&[u8]> = self.headers.values("x-forwarded-for").collect();
        let mut entries = lines.iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b','));
        let last = network::address(entries.next()?);
        let forwarded = network::address(entries.nth(self.trusted_hops.saturating_sub(1))?)?;
        let peer = self.get(PeerFact::SourceAddress)?;
        let by_host = peer.ends_with(b":0");
        let peer = network::address(&peer)?;
        // A host that counts itself says what it counted; any other says who the peer is, but Envoy appends another address for its own machine.
        let agrees = if by_host { peer == forwarded } else { peer.is_loopback() || last == Some(peer) };
        agrees.then_some(forwarded)
    }
}
