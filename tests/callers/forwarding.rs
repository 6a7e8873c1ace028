// SPDX-License-Identifier: Apache-2.0
//! Credentials that may go on, and refusals as problem details, in real Envoy.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::Issuer;
use tracegate_tests::{Edge, echoed};

use super::policy::{GOLD, ISSUER, SILVER, policy};

/// The table's policy, but for what goes on and how refusals are written.
fn forwarding(issuer: &Issuer) -> Value {
    let mut document = policy(issuer);
    document["responses"] = json!({"errors": "problem_json"});
    let identity = document["identity"].as_object_mut().expect("it is an object");
    identity.remove("replace_token");
    identity.insert("forward_token".to_owned(), json!(true));
    identity["providers"]["subscriptions"]["subscription_keys"]["forward_key"] = json!(true);
    document
}

#[test]
fn credentials_go_on_once_they_are_verified() {
    let mut issuer = Issuer::new(5).expect("there are such keys");
    let Some(edge) = Edge::start(&forwarding(&issuer).to_string()) else { return };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let mut mint = |expires: u64| {
        let claims = json!({"iss": ISSUER, "aud": "orders-api", "sub": "jane", "exp": expires});
        format!("Bearer {}", issuer.mint(Algorithm::Es256, &claims).expect("the issuer signs"))
    };
    let (good, expired) = (mint(now + 300), mint(now - 3600));
    let forged = good.replace(".", "x.");
    for (path, token, goes_on) in [
        ("/customer", &good, true),
        ("/optional", &good, true),
        ("/optional", &forged, false),
        ("/optional", &expired, false),
        // Only a rule in shadow asks: as it would without.
        ("/shadow", &good, true),
        ("/shadow", &forged, true),
        ("/open", &good, false),
        ("/unmatched", &good, false),
        ("/unmatched", &forged, false),
    ] {
        let found = echoed(&edge.get(path, &[("authorization", token.as_bytes())]), "authorization");
        let expected: Vec<&str> = if goes_on { vec![token.as_str()] } else { Vec::new() };
        assert_eq!(found, expected, "{path} {token}");
    }
    let name = "ocp-apim-subscription-key";
    for (path, key, expected) in [("/key", GOLD, &[GOLD][..]), ("/open", GOLD, &[]), ("/unmatched", "nobodys-key", &[])] {
        assert_eq!(echoed(&edge.get(path, &[(name, key.as_bytes())]), name), expected, "{path}");
    }
    edge.assert_alive();
}

#[test]
fn refusals_are_problem_details_where_the_policy_says_so() {
    let issuer = Issuer::new(5).expect("there are such keys");
    let Some(edge) = Edge::start(&forwarding(&issuer).to_string()) else { return };
    for (path, key, status, title, reason) in
        [("/gold", SILVER, 401, "Unauthorized", "SubscriptionKeyInvalid"), ("/nobody", GOLD, 403, "Forbidden", "AccessDenied")]
    {
        let response = edge.get(path, &[("ocp-apim-subscription-key", key.as_bytes())]);
        assert_eq!(response.status, status, "{path}");
        let line = |name: &[u8]| {
            response.fields.iter().find(|(known, _)| known == name).map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let body: Value = serde_json::from_slice(&response.body).expect("the body is JSON");
        assert_eq!(line(b"content-type").as_deref(), Some("application/problem+json"), "{path}");
        assert_eq!(line(b"tracegate-reason").as_deref(), Some(reason), "{path}");
        let found = (&body["type"], &body["title"], &body["status"], &body["reason"]);
        assert_eq!(found, (&json!("about:blank"), &json!(title), &json!(status), &json!(reason)), "{path}");
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{path}");
    }
}
