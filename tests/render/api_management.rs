// SPDX-License-Identifier: Apache-2.0
//! What API Management is told: to log what a replay compares, and the steps that go before the edge.

use serde_json::{Value, json};
use tracegate_tests::{run, stdout};

use super::{example, policy, rendered};

/// Headers in which the policy itself looks for credentials are credentials, whatever they are called.
#[test]
fn headers_in_which_a_policy_looks_for_credentials_are_not_logged() {
    let policy = r#"
schema: 1
service: {name: edge}
default: {action: admit}
identity:
  providers:
    people: {jwt: {issuer: i, audiences: [a], algorithms: [ES256], tokens: [{header: X-Assert}], keys: {jwks: {uri: "https://id.example/k", cluster: c}}}}
    shops: {subscription_keys: {header: X-Shop, query: shop, subscriptions: [{id: s, keys_sha256: ["356b69a75b6b696749ee823467780b1d18f33e154cfa65ba8cb00b73a3b62e23"]}]}}
routes:
- name: all
  rules:
  - name: seen
    require: deny
    when:
      all:
      - {header: {name: X-Assert, match: {present: true}}}
      - {header: {name: X-Shop, match: {present: true}}}
      - {header: {name: X-Forwarded-Client-Cert, match: {present: true}}}
      - {header: {name: Cookie, match: {present: true}}}
      - {header: {name: X-Harmless, match: {present: true}}}
"#;
    let (page, _) = rendered(policy, &["apim"]);
    let logged = page.to_lowercase();
    for secret in ["\"x-assert\"", "\"x-shop\"", "\"cookie\""] {
        assert!(!logged.contains(secret), "{secret}: {page}");
    }
    let diagnostics = logged.split("## azuremonitor.json").nth(1).unwrap();
    assert!(diagnostics.contains("\"x-harmless\"") && !diagnostics.contains("x-forwarded-client-cert"), "{page}");
    assert!(diagnostics.contains(r#"{"value": "shop", "mode": "hide"}"#), "{page}");
    // Nobody looks for API Management's own key here: it goes no further.
    assert!(page.contains("<set-header name=\"Ocp-Apim-Subscription-Key\" exists-action=\"delete\" />"), "{page}");
}

/// What API Management is to log is what a replay asks of its logs, and nothing that could be a secret.
#[test]
fn api_management_logs_what_a_replay_compares_and_no_secret() {
    for name in ["azuremonitor", "applicationinsights"] {
        let diagnostic: Value = serde_json::from_str(&example(&format!("apim/{name}.json"))).unwrap();
        let properties = &diagnostic["properties"];
        assert_eq!(properties["loggerId"], format!("/loggers/{name}"));
        // The spec knows it for that diagnostic alone.
        let protocol = (name == "applicationinsights").then_some("W3C");
        assert_eq!(properties["httpCorrelationProtocol"].as_str(), protocol);
        for side in ["frontend", "backend"] {
            for direction in ["request", "response"] {
                let message = &properties[side][direction];
                assert_eq!(message["body"]["bytes"], 0, "{name}");
                let headers: Vec<&str> = message["headers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                for secret in ["authorization", "cookie", "ocp-apim-subscription-key", "x-forwarded-client-cert"] {
                    assert!(!headers.contains(&secret), "{name}: {headers:?}");
                }
                let expected: &[&str] = match (side, direction) {
                    ("frontend", "request") => &["traceparent", "tracestate", "request-id", "x-forwarded-for", "x-api-version"],
                    ("backend", "request") => &["traceparent", "tracestate", "request-id", "x-apim-request-id"],
                    _ => &["traceresponse", "tracegate-reason"],
                };
                assert!(expected.iter().all(|name| headers.contains(name)), "{name}, {side} {direction}: {headers:?}");
            }
            let hidden = properties[side]["request"]["dataMasking"]["queryParams"].as_array().unwrap();
            assert!(hidden.iter().any(|parameter| parameter["value"] == "subscription-key" && parameter["mode"] == "Hide"), "{name}");
        }
    }
}

#[test]
fn the_fragment_is_one_and_the_request_carries_it() {
    let text = example("apim/fragment.xml");
    let fragment = roxmltree::Document::parse(&text).unwrap();
    assert_eq!(fragment.root_element().tag_name().name(), "fragment");
    let statements: Vec<(&str, &str)> = fragment
        .root_element()
        .children()
        .filter(roxmltree::Node::is_element)
        .map(|node| (node.tag_name().name(), node.attributes().next().unwrap().value()))
        .collect();
    let expected = [
        ("set-header", "x-apim-request-id"),
        ("set-header", "X-Forwarded-Client-Cert"),
        // This policy has no use for keys.
        ("set-header", "Ocp-Apim-Subscription-Key"),
        ("set-query-parameter", "subscription-key"),
        ("authentication-certificate", "tracegate-edge"),
    ];
    assert_eq!(statements, expected);
    let body: Value = serde_json::from_str(&example("apim/fragment.json")).unwrap();
    assert_eq!((&body["properties"]["format"], &body["properties"]["value"]), (&"rawxml".into(), &text.into()));
    // A policy that asks for subscription keys needs them.
    let shop = stdout(&run(["render", "--for", "apim", &policy("shop")]));
    assert!(!shop.contains("Ocp-Apim-Subscription-Key") && shop.contains("## fragment.xml"), "{shop}");
}

#[test]
fn the_collectors_pipelines_have_what_they_name() {
    let collector: Value = serde_saphyr::from_str(&example("apim/collector.yaml")).unwrap();
    for (_, pipeline) in collector["service"]["pipelines"].as_object().unwrap() {
        for kind in ["receivers", "processors", "exporters"] {
            for name in pipeline[kind].as_array().unwrap() {
                assert!(collector[kind].get(name.as_str().unwrap()).is_some(), "{kind}: {name}");
            }
        }
    }
    assert_eq!(collector["service"]["extensions"], json!(["health_check"]));
}

/// Steps about addresses and trust are there where the policy calls for them.
#[test]
fn the_steps_are_those_of_the_policy() {
    let behind = example("apim/README.md");
    let shop = stdout(&run(["render", "--for", "apim", &policy("shop")]));
    for (text, in_behind, in_shop) in [
        ("trusted_hops: 0}`", false, true),
        ("see to it that nothing reaches the edge\npast them", true, false),
        ("**Whom the edge believes.**", false, true),
        ("tracegate-edge", true, true),
        ("## 5. See that it works", true, true),
    ] {
        assert_eq!((behind.contains(text), shop.contains(text)), (in_behind, in_shop), "{text}");
    }
}
