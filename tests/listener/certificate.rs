// SPDX-License-Identifier: Apache-2.0
//! Client certificates: what the listener doesn't verify, a policy can't.

use rustls::AlertDescription;
use serde_json::{Value, json};
use tracegate_tests::certificates::{Authority, Identity, uri};

use super::tls::Guarded;

const ORDERS: &str = "spiffe://shop.example/orders";

#[test]
fn whom_the_authority_vouches_for_gets_in_under_its_name_and_nobody_else_does() {
    let Some(guarded) = Guarded::start(|_| {}) else { return };
    let orders = guarded.authority.vouch_for(uri(ORDERS));
    assert_eq!(name(&guarded, Some(&orders)), Shown::Name(ORDERS.to_owned()));
    assert_counts(&guarded, &[("ssl.handshake", 1), ("http.edge.downstream_rq_total", 1)]);

    assert_eq!(guarded.refusal(Some(&Identity::self_signed(uri(ORDERS)))), AlertDescription::UnknownCA);
    assert_eq!(guarded.refusal(Some(&Authority::new("stranger").vouch_for(uri(ORDERS)))), AlertDescription::UnknownCA);
    // An authority that goes by the name of the one that is trusted.
    assert_eq!(guarded.refusal(Some(&Authority::new("shop").vouch_for(uri(ORDERS)))), AlertDescription::DecryptError);
    assert_eq!(guarded.refusal(None), AlertDescription::CertificateRequired);
    assert_counts(&guarded, &[("ssl.fail_verify_error", 3), ("ssl.fail_verify_no_cert", 1)]);
    assert_counts(&guarded, &[("ssl.handshake", 1), ("http.edge.downstream_rq_total", 1)]);
}

/// Why a policy has to declare that the listener verifies: nothing that a plugin can read tells.
#[test]
fn a_listener_that_accepts_untrusted_certificates_shows_whatever_name_a_caller_gave_itself() {
    for authority in [true, false] {
        let started = Guarded::start(|context| {
            let validation = validation(context);
            if !authority {
                *validation = json!({});
            }
            validation["trust_chain_verification"] = json!("ACCEPT_UNTRUSTED");
        });
        let Some(guarded) = started else { return };
        let impostor = Identity::self_signed(uri(ORDERS));
        assert_eq!(name(&guarded, Some(&impostor)), Shown::Name(ORDERS.to_owned()), "with an authority: {authority}");
    }
}

/// `require_client_certificate` without `trusted_ca` requires nothing.
#[test]
fn a_listener_without_an_authority_lets_everybody_in_without_a_name() {
    for nothing in [json!({}), Value::Null] {
        let Some(guarded) = Guarded::start(|context| *validation(context) = nothing) else { return };
        for client in [None, Some(&Identity::self_signed(uri(ORDERS))), Some(&guarded.authority.vouch_for(uri(ORDERS)))] {
            assert_eq!(name(&guarded, client), Shown::Nothing);
        }
    }
}

/// What a plugin is shown of a client's certificate.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// That there is one, with this name.
    Name(String),
    /// That there is none.
    Nothing,
}

fn name(guarded: &Guarded, client: Option<&Identity>) -> Shown {
    let connection = guarded.connect(client).expect("the gateway shakes hands");
    let answer =
        guarded.gateway.ask(connection, &[], &["get_property connection.mtls", "get_property connection.uri_san_peer_certificate"]);
    match answer.read.as_slice() {
        [Some(mtls), Some(name)] if mtls == "\u{1}" => Shown::Name(name.clone()),
        [Some(mtls), None] if mtls == "\0" => Shown::Nothing,
        read => panic!("{read:?}"),
    }
}

fn assert_counts(guarded: &Guarded, counts: &[(&str, u64)]) {
    for (name, expected) in counts {
        assert_eq!(guarded.gateway.count_when(name, |count| count == *expected), *expected, "{name}");
    }
}

fn validation(context: &mut Value) -> &mut Value {
    &mut context["common_tls_context"]["validation_context"]
}
