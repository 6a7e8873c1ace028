// SPDX-License-Identifier: Apache-2.0
//! The source address: X-Forwarded-For is what a client says, and counts for as many entries as proxies are trusted.

use serde_json::json;
use tracegate_tests::echoed;

use super::gateway::{Gateway, manager};
use super::shipped::Shipped;

/// A client's X-Forwarded-For by lines, and the source address that a plugin reads. [`PEER`] is the connection's own.
type Row<'t> = (&'t [&'t str], &'t str);

/// The client's address and port.
const PEER: &str = "the peer";

#[test]
fn as_shipped_the_source_is_the_connections_whatever_a_client_forwards() {
    let Some(gateway) = gateway(true, 0) else { return };
    let lines: [&[&str]; 5] = [&[], &["10.1.2.3"], &["10.1.2.3, 203.0.113.9"], &["10.1.2.3", "203.0.113.9"], &["127.0.0.1"]];
    assert_sources(&gateway, &lines.map(|lines| (lines, PEER)));
}

/// One proxy in front: the last entry is what that proxy saw. Whoever comes another way says what it likes.
#[test]
fn behind_one_trusted_proxy_the_source_is_the_last_entry_or_the_proxy() {
    let Some(gateway) = gateway(true, 1) else { return };
    assert_sources(
        &gateway,
        &[
            (&[], PEER),
            (&[""], PEER),
            (&["10.1.2.3"], "10.1.2.3:0"),
            (&["10.1.2.3, 203.0.113.9"], "203.0.113.9:0"),
            (&["10.1.2.3", "203.0.113.9"], "203.0.113.9:0"),
            (&["2001:db8::1"], "[2001:db8::1]:0"),
            (&["garbage, 10.1.2.3"], "10.1.2.3:0"),
            // No address: an earlier entry is not taken instead.
            (&["10.1.2.3, garbage"], PEER),
            (&["10.1.2.3,"], PEER),
            (&["10.1.2.3:80"], PEER),
            (&["[2001:db8::1]:80"], PEER),
            (&["010.1.2.3"], PEER),
        ],
    );
}

/// Two proxies in front: with fewer entries than it takes, none counts.
#[test]
fn behind_two_trusted_proxies_the_source_is_the_last_entry_but_one_or_the_proxy() {
    let Some(gateway) = gateway(true, 2) else { return };
    let forged = "192.0.2.77, 10.1.2.3, 203.0.113.9";
    assert_sources(&gateway, &[(&["10.1.2.3"], PEER), (&["10.1.2.3, 203.0.113.9"], "10.1.2.3:0"), (&[forged], "10.1.2.3:0")]);
}

/// Why the shipped configurations set `use_remote_address`: Envoy's default is to believe.
#[test]
fn without_use_remote_address_the_source_is_what_a_client_forwards() {
    let Some(gateway) = gateway(false, 0) else { return };
    for (lines, source) in [(&["10.1.2.3"][..], "10.1.2.3:0"), (&["203.0.113.9, 10.1.2.3"], "10.1.2.3:0"), (&["garbage"], PEER)] {
        assert_eq!(sources(&gateway, lines).source, source, "{lines:?}");
    }
}

/// As shipped but for what is given otherwise.
fn gateway(use_remote_address: bool, hops: u32) -> Option<Gateway> {
    Gateway::start(Shipped::Plain, |tree| {
        if !use_remote_address {
            manager(tree)["use_remote_address"] = json!(false);
        }
        if hops > 0 {
            manager(tree)["xff_num_trusted_hops"] = json!(hops);
        }
    })
}

/// The sources are as expected, and the peer is appended to what was forwarded before any plugin sees it.
fn assert_sources(gateway: &Gateway, rows: &[Row<'_>]) {
    // For a client on loopback Envoy writes an address of the machine's.
    let peer = sources(gateway, &[]).forwarded;
    for (lines, expected) in rows {
        let Sources { source, forwarded } = sources(gateway, lines);
        assert_eq!(source, *expected, "{lines:?}");
        let entries: Vec<&str> = lines.iter().copied().filter(|line| !line.is_empty()).chain([peer.as_str()]).collect();
        assert_eq!(forwarded, entries.join(","), "{lines:?}");
    }
    assert!(peer.parse::<std::net::IpAddr>().is_ok(), "{peer}");
}

/// What there is to know of where a request comes from.
struct Sources {
    /// The property `source.address`; [`PEER`] for the connection's own.
    source: String,
    /// `x-forwarded-for`, the same for plugins and backend.
    forwarded: String,
}

fn sources(gateway: &Gateway, lines: &[&str]) -> Sources {
    let fields: Vec<(&str, &[u8])> = lines.iter().map(|line| ("x-forwarded-for", line.as_bytes())).collect();
    let connection = gateway.connect();
    let own = connection.local_address().expect("it is connected").to_string();
    let answer = gateway.ask(connection, &fields, &["get_property source.address", "get_header_map_value 0 x-forwarded-for"]);
    let [Some(source), forwarded] = answer.read.as_slice() else { panic!("there is no source: {:?}", answer.read) };
    assert_eq!(echoed(&answer.response, "x-forwarded-for"), forwarded.iter().cloned().collect::<Vec<_>>());
    Sources { source: if *source == own { PEER.to_owned() } else { source.clone() }, forwarded: forwarded.clone().unwrap_or_default() }
}
