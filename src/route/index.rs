// SPDX-License-Identifier: Apache-2.0
//! Where to look for the first route that matches: by host, then by path, segment by segment.
//!
//! The index proposes and [`Route`] decides: the index leaves out no route that matches, and each one that it proposes is asked, which is also
//! where methods have their say. What a lookup costs hangs on how far the request's host and path agree with the policy's, hardly on how many
//! routes there are; the rest of a longer host or path isn't looked at.

mod names;
mod paths;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use self::names::Names;
use self::paths::Paths;
use super::{Host, HostMatch, NormalPath, RequestHost, Route};

/// The places of a policy's routes, by what they match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// For every host, and for requests without one.
    any: Paths,
    names: Names,
    addresses: BTreeMap<Ipv6Addr, Paths>,
}

impl Index {
    /// Of these routes, in the policy's order.
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut index = Self::default();
        for (place, route) in routes.iter().enumerate() {
            let path = route.path.as_ref();
            if route.hosts.is_empty() {
                index.any.insert(path, place);
            }
            for host in &route.hosts {
                let paths = match host {
                    HostMatch::Exact(Host::Name(name)) => index.names.exactly(name),
                    HostMatch::Exact(Host::Address(address)) => index.addresses.entry(*address).or_default(),
                    HostMatch::Suffix(suffix) => index.names.below(suffix.name()),
                };
                paths.insert(path, place);
            }
        }
        index
    }

    /// The first place in the policy whose route `matches`, which is asked about few that don't.
    pub(super) fn first(&self, host: RequestHost<'_>, path: &NormalPath<'_>, matches: impl Fn(usize) -> bool) -> Option<usize> {
        let mut first = self.any.first(path, None, &matches);
        let mut look = |paths: &Paths| first = paths.first(path, first, &matches);
        match host {
            RequestHost::None => {}
            RequestHost::Name(name) => self.names.each(name, look),
            RequestHost::Address(address) => {
                if let Some(paths) = self.addresses.get(&address) {
                    look(paths);
                }
            }
        }
        first
    }
}

#[cfg(test)]
mod tests;
