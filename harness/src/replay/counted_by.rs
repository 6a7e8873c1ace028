// SPDX-License-Identifier: Apache-2.0
//! Whose requests a limit counts together, as far as a record tells: what a report calls them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracegate::head::RequestHead;
use tracegate::identity::Provider;
use tracegate::quota::{KeyPart, Quota};
use tracegate::route::Route;
use tracegate::{Headers, Policy, network};

use super::{Replayed, edge, native, place};
use crate::Redactor;
use crate::look::printable;
use crate::recording::{Caller, Certificate, Recorded};

/// The route whose limits count a request.
pub(super) fn route<'p>(policy: &'p Policy, replayed: &Replayed) -> Option<&'p Route> {
    let head = edge::head(replayed.request());
    let lines = native::lines(&head);
    policy.routes.find(&RequestHead::read(Headers::new(&lines)).ok()?)
}

/// The key of a request under a limit, in words. What the record doesn't tell is `?`, credentials are digests.
pub(super) fn label(policy: &Policy, quota: &Quota, route: &Route, recorded: &Recorded, redactor: &Redactor) -> String {
    let parts: Vec<String> = quota.key.iter().map(|part| told(policy, part, route, recorded, redactor)).collect();
    printable(&parts.join(", ")).chars().take(MAX_LABEL).collect()
}

fn told(policy: &Policy, part: &KeyPart, route: &Route, recorded: &Recorded, redactor: &Redactor) -> String {
    let Caller { subscription, user, product, certificate, .. } = &recorded.caller;
    let request = &recorded.request;
    let named = |what: &str, value: Option<String>| format!("{what} {}", value.as_deref().unwrap_or(UNKNOWN));
    match part {
        KeyPart::Subscription => named("subscription", subscription.clone()),
        KeyPart::Product => {
            let known = subscription.as_deref().and_then(|id| product_of(policy, id));
            named("product", known.map(str::to_owned).or_else(|| product.clone()))
        }
        KeyPart::Caller => match (subscription, user, certificate.as_ref().and_then(|found| Certificate::names(found).next())) {
            (Some(subscription), ..) => format!("subscription {subscription}"),
            (None, Some(user), _) => format!("user {user}"),
            (None, None, Some(name)) => format!("certificate {name}"),
            (None, None, None) => named("caller", None),
        },
        KeyPart::Claim { path, .. } => named(&format!("claim {}", path.as_str()), None),
        KeyPart::Source { ipv4_prefix, ipv6_prefix } => {
            named("source", source(policy, recorded).map(|address| in_network(address, *ipv4_prefix, *ipv6_prefix)))
        }
        KeyPart::Header(name) => {
            let lines = request.headers.values(name.as_bytes()).map(|value| match redactor.header(name.as_bytes(), value) {
                serde_json::Value::String(text) => text,
                redacted => redacted.to_string(),
            });
            named(&format!("header {name}"), joined(lines))
        }
        KeyPart::Query(name) => {
            let values = place::parameters(&request.path).filter(|(found, _)| place::decoded(found) == *name);
            named(&format!("query {name}"), joined(values.map(|(_, value)| place::decoded(value))))
        }
        KeyPart::Route => format!("route {}", route.name),
        KeyPart::Method => format!("method {}", request.method),
        KeyPart::Literal(text) => text.clone(),
    }
}

/// The product that the policy has a subscription for.
fn product_of<'p>(policy: &'p Policy, id: &str) -> Option<&'p str> {
    let mut subscriptions =
        policy.identity.providers.iter().filter_map(Provider::subscription_keys).flat_map(|keys| keys.subscriptions().iter());
    subscriptions.find(|subscription| subscription.id == id)?.product.as_deref()
}

/// Where a request comes from: the recorded peer, or behind proxies of ours what the outermost of them saw.
fn source(policy: &Policy, recorded: &Recorded) -> Option<IpAddr> {
    match policy.listener.trusted_hops {
        0 => network::address(recorded.caller.address.as_ref()?.as_bytes()),
        hops => {
            let lines: Vec<&[u8]> = recorded.request.headers.values(b"x-forwarded-for").collect();
            let mut entries = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
            network::address(entries.nth(hops)?.trim_ascii())
        }
    }
}

/// The network that an address counts in, as CIDR writes it.
fn in_network(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> String {
    let (base, prefix, all) = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(ipv4_prefix.into())).unwrap_or(0);
            (IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask)), ipv4_prefix, 32)
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_prefix.into())).unwrap_or(0);
            (IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask)), ipv6_prefix, 128)
        }
    };
    if prefix >= all { base.to_string() } else { format!("{base}/{prefix}") }
}

/// Several values as one; `None` for none.
fn joined(values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then(|| values.join("+"))
}

const UNKNOWN: &str = "?";
const MAX_LABEL: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_by_their_networks() {
        for (address, v4, v6, expected) in [
            ("203.0.113.77", 32, 64, "203.0.113.77"),
            ("203.0.113.77", 24, 64, "203.0.113.0/24"),
            ("203.0.113.77", 0, 64, "0.0.0.0/0"),
            ("2001:db8:1:2:3::4", 32, 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3::4", 32, 128, "2001:db8:1:2:3::4"),
            ("2001:db8:1:2:3::4", 32, 0, "::/0"),
        ] {
            assert_eq!(in_network(address.parse().unwrap(), v4, v6), expected);
        }
    }
}
