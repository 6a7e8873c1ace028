// SPDX-License-Identifier: Apache-2.0
//! Callers who show certificates: to the listener, or to a proxy of ours before it; and tokens that are bound to one.

use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tracegate::identity::Algorithm;
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::issuer::{Issuer, text};
use tracegate_tests::certificates::{Identity, uri};
use tracegate_tests::{echoed, get};

use super::gateway::{manager, policy};
use super::tls::Guarded;

const ORDERS: &str = "spiffe://shop.example/orders";
const BILLING: &str = "spiffe://shop.example/billing";
const PROXY: &str = "spiffe://shop.example/ingress";
const XFCC: &str = "x-forwarded-client-cert";

#[test]
fn services_are_known_by_their_certificates() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let Some(guarded) = start(&issuer, "SANITIZE") else { return };
    for (name, forged, expected) in [
        (ORDERS, None, Ok("orders")),
        (BILLING, None, Ok("billing")),
        ("spiffe://shop.example/orders/7", None, Err("ClientCertificateNotAllowed")),
        ("spiffe://other.example/orders", None, Err("ClientCertificateNotAllowed")),
        // Whatever they claim to forward.
        (ORDERS, Some(BILLING), Ok("orders")),
        ("spiffe://other.example/orders", Some(ORDERS), Err("ClientCertificateNotAllowed")),
    ] {
        let client = guarded.authority.vouch_for(uri(name));
        let forwarded = forged.map(|name| format!("By=x;Hash={};URI={name}", "ab".repeat(32)));
        let lines: Vec<(&str, &str)> = forwarded.iter().map(|line| (XFCC, line.as_str())).collect();
        let response = send(&guarded, &client, "/mtls", &lines);
        assert_outcome(&response, expected, name);
    }
}

/// The listener passes the header on as it is: whether it counts, and whether it goes on, is the module's to decide.
#[test]
fn a_forwarded_certificate_counts_where_a_proxy_of_ours_forwards_it() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let Some(guarded) = start(&issuer, "FORWARD_ONLY") else { return };
    let (proxy, stranger) = (guarded.authority.vouch_for(uri(PROXY)), guarded.authority.vouch_for(uri(ORDERS)));
    let element = |name: &str| format!("By={PROXY};Hash={};Subject=\"CN=leaf\";URI={name}", "ab".repeat(32));
    let both = format!("{},{}", element(BILLING), element(ORDERS));
    let broken = format!("{};Subject=\"", element(ORDERS));
    for (lines, expected) in [
        (vec![element(ORDERS)], Ok("orders")),
        // The nearest proxy's word counts: those before it are anybody's.
        (vec![both.clone()], Ok("orders")),
        (vec![element(BILLING), element(ORDERS)], Ok("orders")),
        (vec![element("spiffe://other.example/orders")], Err("ClientCertificateNotAllowed")),
        (vec![broken], Err("ClientCertificateNotFound")),
        // The proxy's own certificate is nobody else's.
        (vec![], Err("ClientCertificateNotFound")),
    ] {
        let fields: Vec<(&str, &str)> = lines.iter().map(|line| (XFCC, line.as_str())).collect();
        let response = send(&guarded, &proxy, "/mtls", &fields);
        assert_outcome(&response, expected, &format!("{lines:?}"));
        if expected.is_ok() {
            assert_eq!(echoed(&response, XFCC).join(","), lines.join(","), "what our proxy tells goes on");
        }
    }
    // From anybody else it is a forgery: it counts for nothing and goes no further, on any route.
    let forged = element(BILLING);
    for path in ["/mtls", "/open", "/unmatched"] {
        for name in [XFCC, "X-Forwarded-Client-Cert"] {
            let response = send(&guarded, &stranger, path, &[(name, &forged), ("x-caller-service", "billing")]);
            assert_eq!(echoed(&response, XFCC), [""; 0], "{path}");
            let expected: &[&str] = if path == "/mtls" { &["orders"] } else { &[] };
            assert_eq!(echoed(&response, "x-caller-service"), expected, "{path}");
        }
    }
}

/// Our own listener appends what it saw of the proxy: the element before it is the proxy's word.
#[test]
fn what_the_listener_appends_about_the_proxy_is_not_the_callers() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let Some(guarded) = start(&issuer, "APPEND_FORWARD") else { return };
    let proxy = guarded.authority.vouch_for(uri(PROXY));
    let element = format!("Hash={};URI={ORDERS}", "ab".repeat(32));
    assert_outcome(&send(&guarded, &proxy, "/mtls", &[(XFCC, &element)]), Ok("orders"), "appended");
    assert_outcome(&send(&guarded, &proxy, "/mtls", &[]), Err("ClientCertificateNotFound"), "appended to nothing");
}

#[test]
fn a_bound_token_is_of_no_use_without_its_certificate() {
    let mut issuer = Issuer::new(5).expect("there are such keys");
    let Some(guarded) = start(&issuer, "SANITIZE") else { return };
    let (owner, thief) = (guarded.authority.vouch_for(uri(ORDERS)), guarded.authority.vouch_for(uri(BILLING)));
    let thumbprint = text(&Sha256::digest(owner.certificate.der()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let mut mint = |confirmation: Value| {
        let mut claims = json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": "jane", "exp": now + 300});
        if confirmation != json!(0) {
            claims["cnf"] = confirmation;
        }
        format!("Bearer {}", issuer.mint(Algorithm::Es256, &claims).expect("the issuer signs"))
    };
    let (bound, free) = (mint(json!({"x5t#S256": thumbprint})), mint(json!(0)));
    let (other, unknown) = (mint(json!({"x5t#S256": text(&[7; 32])})), mint(json!({"jkt": thumbprint})));
    for (path, client, token, expected) in [
        ("/token", &owner, &bound, Ok("jane")),
        ("/token", &thief, &bound, Err("TokenBindingInvalid")),
        ("/token", &owner, &free, Ok("jane")),
        ("/token", &owner, &other, Err("TokenBindingInvalid")),
        ("/token", &owner, &unknown, Err("TokenBindingInvalid")),
        ("/bound", &owner, &bound, Ok("jane")),
        ("/bound", &thief, &bound, Err("TokenBindingInvalid")),
        ("/bound", &owner, &free, Err("TokenBindingInvalid")),
    ] {
        // The second time the token is known already.
        for time in 0..2 {
            let response = send(&guarded, client, path, &[("authorization", token)]);
            match expected {
                Ok(user) => assert_eq!(echoed(&response, "x-user-id"), [user], "{path}, {time}"),
                Err(reason) => assert_eq!((response.status, reason_of(&response)), (401, Some(reason.to_owned())), "{path}, {time}"),
            }
        }
    }
}

/// With callers known, whose trace goes on is decided by them too.
#[test]
fn whose_trace_goes_on_is_a_matter_of_who_is_proven_to_call() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let Some(guarded) = start(&issuer, "SANITIZE") else { return };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (name, path, expected) in [
        (ORDERS, "/mtls", true),
        (BILLING, "/mtls", false),
        // Nobody has asked who calls.
        (ORDERS, "/open", false),
        (ORDERS, "/unmatched", false),
    ] {
        let client = guarded.authority.vouch_for(uri(name));
        let response = send(&guarded, &client, path, &[("traceparent", parent)]);
        let sent = echoed(&response, "traceparent").join("");
        assert_eq!(sent.get(..35) == parent.get(..35), expected, "{name} {path}: {sent}");
    }
}

fn start(issuer: &Issuer, details: &str) -> Option<Guarded> {
    let jwt = |more: Value| {
        let mut jwt = json!({"issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["ES256"], "keys": {"inline": issuer.key_set()}});
        jwt.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
        json!({ "jwt": jwt })
    };
    let route = |name: &str, require: Value| json!({"name": name, "match": {"path": {"prefix": format!("/{name}")}}, "rules": [{"name": "who", "require": require}]});
    let caller = |provider: &str| json!({"caller": {"provider": provider}});
    let service = |name: &str, id: &str| json!({"name": name, "peer": {"uri_san": {"exact": id}}});
    let from = if details == "SANITIZE" { json!("remove") } else { json!({"from": {"peer": {"uri_san": {"exact": PROXY}}}}) };
    let document = json!({
        "schema": 1,
        "service": {"name": "edge"},
        "listener": {"client_certificates": "verified", "forwarded_client_cert": from},
        "trace": {"trust": [
            {"name": "orders", "when": {"caller": {"provider": "services", "services": ["orders"]}}, "context": "continue"},
            {"name": "others", "context": "restart"},
        ]},
        "identity": {
            "providers": {
                "services": {"client_certificate": {"services": [service("orders", ORDERS), service("billing", BILLING)]}},
                "customers": jwt(json!({})),
                "bound": jwt(json!({"certificate_bound": true})),
            },
            "claim_to_headers": [{"claim": "sub", "header": "x-user-id"}],
            "caller_to_headers": [{"caller": "service", "header": "x-caller-service"}],
        },
        "routes": [
            route("mtls", caller("services")),
            route("token", caller("customers")),
            route("bound", caller("bound")),
            route("open", json!("anonymous")),
        ],
        "default": {"action": "admit"},
    });
    Guarded::start_changed(|tree| {
        *policy(tree) = json!(document.to_string());
        manager(tree)["forward_client_cert_details"] = json!(details);
    })
}

fn send(guarded: &Guarded, client: &Identity, path: &str, lines: &[(&str, &str)]) -> Response {
    let fields: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    ask(guarded.connect(Some(client)).expect("the gateway shakes hands"), path, &fields)
}

fn ask<S: Read + Write>(mut connection: Connection<S>, path: &str, fields: &[(&str, &[u8])]) -> Response {
    connection.send(&get(path, fields)).expect("Envoy takes a request");
    connection.read_response().expect("Envoy answers")
}

fn reason_of(response: &Response) -> Option<String> {
    let line = response.fields.iter().find(|(name, _)| name == b"tracegate-reason");
    line.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn assert_outcome(response: &Response, expected: Result<&str, &str>, what: &str) {
    match expected {
        Ok(service) => assert_eq!(echoed(response, "x-caller-service"), [service], "{what}"),
        Err(reason) => assert_eq!((response.status, reason_of(response)), (403, Some(reason.to_owned())), "{what}"),
    }
}
