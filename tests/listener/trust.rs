// SPDX-License-Identifier: Apache-2.0
//! Whose trace goes on, decided on what the listener vouches for: nobody gains it by what it writes itself.

use std::io::{Read, Write};

use rustls::AlertDescription;
use serde_json::{Value, json};
use tracegate::trace::TraceParent;
use tracegate_harness::http::Connection;
use tracegate_tests::certificates::{Authority, Identity, uri};
use tracegate_tests::echoed;

use super::gateway::{Gateway, manager, policy};
use super::shipped::Shipped;
use super::tls::Guarded;

const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ORDERS: &str = "spiffe://shop.example/orders";

/// As shipped, trust by network: the network is the connection's.
#[test]
fn forged_x_forwarded_for_does_not_gain_a_trace_that_goes_on() {
    let Some(gateway) = trusting(&["10.1.2.0/24", "2001:db8::/32"], 0) else { return };
    for forwarded in [&[][..], &["10.1.2.3"], &["10.1.2.3, 10.1.2.4"], &["10.1.2.3", "10.1.2.4"], &["2001:db8::1"], &["garbage, 10.1.2.3"]]
    {
        assert!(!goes_on(&gateway, gateway.connect(), forwarded), "{forwarded:?}");
    }
    // What a client forwards takes nothing away either.
    let Some(gateway) = trusting(&["127.0.0.0/8"], 0) else { return };
    for forwarded in [&[][..], &["10.1.2.3"], &["garbage"]] {
        assert!(goes_on(&gateway, gateway.connect(), forwarded), "{forwarded:?}");
    }
}

/// Behind a proxy of ours the last entry is the proxy's word, and those before it are anybody's.
#[test]
fn behind_a_trusted_proxy_only_the_entry_that_the_proxy_wrote_counts() {
    let Some(gateway) = trusting(&["10.1.2.0/24"], 1) else { return };
    for (forwarded, expected) in [
        (&["10.1.2.3"][..], true),
        (&["203.0.113.9, 10.1.2.3"], true),
        (&["203.0.113.9", "10.1.2.3"], true),
        (&["10.1.2.3, 203.0.113.9"], false),
        (&["10.1.2.3", "203.0.113.9"], false),
        (&["10.1.2.3, garbage"], false),
        (&["10.1.2.3,"], false),
        // Unlike Envoy itself: some proxies write ports.
        (&["203.0.113.9, 10.1.2.3:80"], true),
        (&[], false),
    ] {
        assert_eq!(goes_on(&gateway, gateway.connect(), forwarded), expected, "{forwarded:?}");
    }
}

/// As shipped with TLS: a name counts when the authority vouches for it.
#[test]
fn only_a_verified_certificate_of_our_mesh_gains_a_trace_that_goes_on() {
    let Some(guarded) = Guarded::start(|_| {}) else { return };
    for (name, expected) in [
        (ORDERS, true),
        ("spiffe://shop.example.evil.example/orders", false),
        ("spiffe://shop.example", false),
        ("spiffe://other.example/spiffe://shop.example/orders", false),
    ] {
        let client = guarded.authority.vouch_for(uri(name));
        let connection = guarded.connect(Some(&client)).expect("the gateway shakes hands");
        assert_eq!(goes_on(&guarded.gateway, connection, &["203.0.113.9"]), expected, "{name}");
    }
    let before = guarded.gateway.count_when("http.edge.downstream_rq_total", |count| count == 4);
    let strangers = [Identity::self_signed(uri(ORDERS)), Authority::new("stranger").vouch_for(uri(ORDERS))];
    for stranger in &strangers {
        assert_eq!(guarded.refusal(Some(stranger)), AlertDescription::UnknownCA);
    }
    assert_eq!(guarded.refusal(None), AlertDescription::CertificateRequired);
    assert_eq!(guarded.gateway.count_when("http.edge.downstream_rq_total", |count| count > before), before);
}

/// The same policy where nobody shows a certificate: nothing goes on.
#[test]
fn without_tls_nobody_is_of_our_mesh() {
    let shipped = policy(&mut Shipped::MutualTls.read()).clone();
    let Some(gateway) = Gateway::start(Shipped::Plain, |tree| *policy(tree) = shipped) else { return };
    for forwarded in [&[][..], &["203.0.113.9"]] {
        assert!(!goes_on(&gateway, gateway.connect(), forwarded), "{forwarded:?}");
    }
}

/// A gateway behind so many proxies that goes on in traces from these networks, and in no others.
fn trusting(networks: &[&str], hops: u32) -> Option<Gateway> {
    let trust = json!([
        {"name": "network", "when": {"source": {"cidr": networks}}, "context": "continue", "sampled": "honor"},
        {"name": "internet", "context": "restart", "sampled": "ignore"},
    ]);
    Gateway::start(Shipped::Plain, |tree| {
        let text = policy(tree).as_str().expect("what ships has a policy");
        let mut document: Value = serde_json::from_str(text).expect("it is JSON");
        document["listener"] = json!({"trusted_hops": hops});
        document["trace"]["trust"] = trust;
        *policy(tree) = json!(document.to_string());
        if hops > 0 {
            manager(tree)["xff_num_trusted_hops"] = json!(hops);
        }
    })
}

/// Whether the backend is in the caller's trace.
fn goes_on<S: Read + Write>(gateway: &Gateway, connection: Connection<S>, forwarded: &[&str]) -> bool {
    let mut fields = vec![("traceparent", CALLERS.as_bytes())];
    fields.extend(forwarded.iter().map(|line| ("x-forwarded-for", line.as_bytes())));
    let parents = echoed(&gateway.ask(connection, &fields, &[]).response, "traceparent");
    let [parent] = parents.as_slice() else { panic!("expected one traceparent: {parents:?}") };
    let parent = parent.parse::<TraceParent>().expect("it is well-formed").to_string();
    assert_ne!(parent[36..52], CALLERS[36..52], "the caller's span is not the backend's parent");
    parent[..35] == CALLERS[..35]
}
