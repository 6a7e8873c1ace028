// SPDX-License-Identifier: Apache-2.0
//! What callers read, and costs that turn out with the response.

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tracegate::identity::Algorithm;
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::issuer::Issuer;
use tracegate_tests::{Edge, get};

use super::{limit, metric, policy, start};

fn send(connection: &mut Connection, path: &str) -> Response {
    connection.send(&get(path, &[("x-key", b"alice")])).expect("Envoy takes a request");
    connection.read_response().expect("Envoy answers")
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.field(name).map(|value| std::str::from_utf8(value).expect("it is text"))
}

#[test]
fn every_response_tells_how_the_limit_stands() {
    let mut policy = policy(&limit(2, &json!({"headers": {"remaining": "x-calls-left", "total": "x-calls", "retry_after": "x-again"}})));
    policy["responses"] = json!({"rate_limit_headers": ["ratelimit", "x_ratelimit", "x_ratelimit_epoch"]});
    let Some(envoy) = start(&policy, 1, None) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    for left in ["1", "0"] {
        let response = send(&mut connection, "/");
        assert_eq!(response.status, 200);
        assert_eq!(field(&response, "ratelimit-policy"), Some("\"q\";q=2;w=1800"));
        let reset: u64 = field(&response, "ratelimit").unwrap().strip_prefix(&format!("\"q\";r={left};t=")).unwrap().parse().unwrap();
        assert!((1..=1800).contains(&reset));
        let own = ["x-calls-left", "x-calls", "x-again", "x-ratelimit-limit", "x-ratelimit-remaining", "retry-after"];
        let found = own.map(|name| field(&response, name));
        assert_eq!(found, [Some(left), Some("2"), None, Some("2"), Some(left), None]);
    }
    let refused = send(&mut connection, "/");
    assert_eq!(refused.status, 403);
    let again: u64 = field(&refused, "retry-after").unwrap().parse().unwrap();
    let reset: u64 = field(&refused, "ratelimit").unwrap().strip_prefix("\"q\";r=0;t=").unwrap().parse().unwrap();
    assert!(again >= reset && (1..=1800).contains(&reset), "never before the reset: {again} {reset}");
    assert_eq!(field(&refused, "x-again"), Some(again.to_string().as_str()));
    assert_eq!(field(&refused, "content-type"), Some("application/json"));
    let (hours, minutes, seconds) = (again / 3600, again / 60 % 60, again % 60);
    assert_eq!(
        String::from_utf8_lossy(&refused.body),
        format!(
            "{{ \"statusCode\": 403, \"message\": \"Out of call volume quota. Quota will be replenished in \
             {hours:02}:{minutes:02}:{seconds:02}.\" }}"
        )
    );
}

#[test]
fn a_problem_names_what_it_violates() {
    let mut policy = policy(&limit(1, &json!({"limit": {"sliding_window": {"requests": 1, "window": "30m"}}})));
    policy["responses"] = json!({"errors": "problem_json", "rate_limit_headers": []});
    let Some(envoy) = start(&policy, 1, None) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    let admitted = send(&mut connection, "/");
    assert_eq!((admitted.status, field(&admitted, "ratelimit")), (200, None));
    let refused = send(&mut connection, "/");
    assert_eq!((refused.status, field(&refused, "content-type")), (429, Some("application/problem+json")));
    let body: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(body["violated-policies"], json!(["q"]));
    assert_eq!(body["status"], 429);
    assert!(body["detail"].as_str().unwrap().starts_with("Rate limit is exceeded. Try again in "), "{body}");
}

#[test]
fn a_claim_or_a_product_may_have_a_limit_of_its_own() {
    let mut issuer = Issuer::new(9).unwrap();
    let jwt = json!({
        "issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["ES256"], "keys": {"inline": issuer.key_set()},
    });
    let digest = |key: &str| hex::encode(Sha256::digest(key));
    let subscriptions = ["gold", "tin"].map(|product| json!({"id": product, "product": product, "keys_sha256": [digest(product)]}));
    let fixed = json!({"fixed_window": {"requests": 2, "window": "30m"}});
    let by_claim = json!({"provider": "customers", "path": "calls", "at_most": 4});
    let mut policy = policy(&json!({
        "limit": fixed, "limit_from": {"claim": by_claim}, "key": ["caller"], "key_absent": "refuse", "enforcement": {"local": {}},
    }));
    policy["quotas"]["p"] = json!({
        "limit": fixed, "limit_from": {"products": {"gold": 3}}, "key": ["subscription"], "key_absent": "refuse", "enforcement": {"local": {}},
    });
    policy["identity"] =
        json!({"providers": {"customers": {"jwt": jwt}, "shops": {"subscription_keys": {"subscriptions": subscriptions}}}});
    let who = |provider: &str| json!([{"name": "who", "require": {"caller": {"provider": provider}}}]);
    policy["routes"] = json!([
        {"name": "token", "match": {"path": {"prefix": "/token"}}, "rules": who("customers"), "quotas": ["q"]},
        {"name": "key", "match": {"path": {"prefix": "/key"}}, "rules": who("shops"), "quotas": ["p"]},
    ]);
    let Some(envoy) = start(&policy, 2, None) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    let mut admitted = |path: &str, name: &str, value: &str| {
        let asked = (0..8).map(|_| {
            connection.send(&get(path, &[(name, value.as_bytes())])).expect("Envoy takes a request");
            connection.read_response().expect("Envoy answers").status
        });
        let statuses: Vec<u16> = asked.collect();
        assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
        statuses.iter().filter(|status| **status == 200).count()
    };
    for (subject, calls, expected) in
        [("a", json!(3), 3), ("b", json!("1"), 1), ("c", json!(1000), 4), ("d", json!("many"), 2), ("e", json!(0), 2), ("f", json!(-1), 2)]
    {
        let claims =
            json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": subject, "exp": 4_102_444_800_u64, "calls": calls});
        let token = issuer.mint(Algorithm::Es256, &claims).unwrap();
        assert_eq!(admitted("/token", "authorization", &format!("Bearer {token}")), expected, "{subject}");
    }
    for (product, expected) in [("gold", 3), ("tin", 2)] {
        assert_eq!(admitted("/key", "ocp-apim-subscription-key", product), expected, "{product}");
    }
}

#[test]
fn the_gateways_route_may_have_a_limit_of_its_own() {
    let quota = limit(5, &json!({"limit_from": {"route_metadata": {"at_most": 3}}}));
    let Some(edge) = Edge::start_changed(&policy(&quota).to_string(), &[], |tree| {
        let routes = tracegate_tests::manager(tree)["route_config"]["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
        let with = |prefix: &str, limit: serde_json::Value| {
            json!({
                "match": {"prefix": prefix}, "direct_response": {"status": 200},
                "metadata": {"filter_metadata": {"tracegate": {"q": limit}}},
            })
        };
        for (place, route) in [with("/number", json!(2)), with("/text", json!("1")), with("/high", json!(1000)), with("/no", json!("many"))]
            .into_iter()
            .enumerate()
        {
            routes.insert(place, route);
        }
    }) else {
        return;
    };
    // Each with a key of its own: what one route counts the others count too.
    for (path, expected) in [("/number", 2), ("/text", 1), ("/high", 3), ("/no", 5), ("/other", 5)] {
        let mut connection = edge.connect();
        let admitted = (0..8).filter(|_| {
            connection.send(&get(path, &[("x-key", path.as_bytes())])).expect("Envoy takes a request");
            connection.read_response().expect("Envoy answers").status == 200
        });
        assert_eq!(admitted.count(), expected, "{path}");
    }
    edge.assert_alive();
}

#[test]
fn a_response_that_costs_nothing_gives_back_what_was_taken() {
    let quota = limit(3, &json!({"cost": {"response": {"status": ["2xx"]}}}));
    let mut policy = policy(&quota);
    policy["routes"][0]["match"] = json!({"path": {"prefix": "/orders"}});
    let Some(edge) = Edge::start_changed(&policy.to_string(), &[], |tree| {
        let routes = &mut tracegate_tests::manager(tree)["route_config"]["virtual_hosts"][0]["routes"];
        let gone = json!({"match": {"prefix": "/orders/gone"}, "direct_response": {"status": 404}});
        routes.as_array_mut().unwrap().insert(0, gone);
    }) else {
        return;
    };
    let mut connection = edge.connect();
    let asked = ["/orders/gone", "/orders/gone", "/orders/gone", "/orders/gone", "/orders/1", "/orders/2", "/orders/gone", "/orders/3"];
    let found = asked.map(|path| send(&mut connection, path).status);
    assert_eq!(found, [404, 404, 404, 404, 200, 200, 404, 200]);
    assert_eq!(send(&mut connection, "/orders/gone").status, 403, "three have cost something");
    edge.assert_alive();
}

#[test]
fn bytes_are_counted_when_a_response_is_over() {
    let quota = limit(0, &json!({"limit": {"fixed_window": {"bytes": 2000, "window": "30m"}}}));
    let Some(edge) = Edge::start(&policy(&quota).to_string()) else { return };
    let mut connection = edge.connect();
    let (mut bytes, mut requests) = (0, 0);
    loop {
        let response = send(&mut connection, "/");
        if response.status == 403 {
            assert!(String::from_utf8_lossy(&response.body).contains("Out of bandwidth quota."));
            break;
        }
        assert!(bytes < 2000, "{bytes} bytes were sent before");
        bytes += response.body.len();
        requests += 1;
        assert!(requests < 100);
        // The stream's end, where it is counted, may come a little after the response.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(bytes >= 2000, "{bytes}");
    edge.assert_alive();
}

#[test]
fn a_limit_in_shadow_is_counted_and_not_enforced() {
    let Some(envoy) = start(&policy(&limit(2, &json!({"mode": "shadow"}))), 2, None) else { return };
    let mut connection = Connection::open(envoy.listener()).unwrap();
    for _ in 0..5 {
        let response = send(&mut connection, "/");
        assert_eq!((response.status, field(&response, "ratelimit")), (200, None));
    }
    assert_eq!(metric(&envoy, "would_refuse", |count| count == 3), 3);
}
