// SPDX-License-Identifier: Apache-2.0
//! What rate-limit services are told: their limits, and how gateways reach them.

use serde_json::{Value, json};

use super::{quotas, rendered, unrendered};

/// A cluster that speaks gRPC does so in each gateway's own terms.
#[test]
fn rate_limit_services_are_called_by_http_2() {
    let policy = quotas(&[("a", "inside", "{}"), ("b", "outside", "{}"), ("c", "by-tls", "{}")]);
    let clusters = [
        "--cluster",
        "inside=limitador.limits.svc.cluster.local:8081",
        "--cluster",
        "outside=limits.example:8081",
        "--cluster",
        "by-tls=https://limits.example:443",
    ];
    let (istio, _) = rendered(&policy, &[&["istio"][..], &clusters].concat());
    let documents: Vec<Value> = istio.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap_or_default()).collect();
    let of = |kind: &str, host: &str| {
        let named = |document: &&Value| {
            document["kind"] == kind && (document["spec"]["host"] == host || document["spec"]["hosts"] == json!([host]))
        };
        documents.iter().find(named).map(|document| &document["spec"]).unwrap_or_else(|| panic!("{kind} {host}: {istio}"))
    };
    let ports = json!([{"number": 443, "name": "grpc-443", "protocol": "GRPC"}, {"number": 8081, "name": "grpc-8081", "protocol": "GRPC"}]);
    assert_eq!(of("ServiceEntry", "limits.example")["ports"], ports);
    let tls = json!({"mode": "SIMPLE", "sni": "limits.example", "subjectAltNames": ["limits.example"]});
    let levels = json!([{"port": {"number": 443}, "tls": tls}]);
    assert_eq!(of("DestinationRule", "limits.example")["trafficPolicy"]["portLevelSettings"], levels);
    let levels = json!([{"port": {"number": 8081}, "connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}}]);
    assert_eq!(of("DestinationRule", "limitador.limits.svc.cluster.local")["trafficPolicy"]["portLevelSettings"], levels);
    let cluster = r#"cluster: "outbound|8081||limitador.limits.svc.cluster.local""#;
    assert!(istio.contains(cluster), "the policy calls it by Istio's name: {istio}");
    for target in ["envoy", "envoy-gateway"] {
        let (text, _) = rendered(&policy, &[&[target][..], &clusters].concat());
        assert_eq!(text.matches("explicit_http_config: {http2_protocol_options: {}}").count(), 3, "{target}: {text}");
    }
    let both = ["--cluster", "inside=a.example:80", "--cluster", "outside=a.example:80", "--cluster", "by-tls=https://a.example:80"];
    let (_, error) = unrendered(&policy, &[&["istio"][..], &both].concat());
    assert!(error.starts_with("expected a.example:80 to be reached by TLS or without"), "{error}");
}

const OTHER_DOMAIN: &str = r#"{"enforcement": {"global": {"cluster": "c", "domain": "other", "on_unavailable": "admit"}}}"#;

#[test]
fn limitador_counts_each_amount_of_each_quota() {
    let leased = r#"{"limit": {"calendar": {"bytes": 9007199254740991, "period": "lifetime"}}, "key": [{"literal": "x"}], "mode": "shadow",
        "enforcement": {"global": {"cluster": "c", "domain": "it's: \"quoted\"", "mode": {"lease": {"max_slice": 9}}, "on_unavailable": "admit"}}}"#;
    let products = r#"{"limit_from": {"products": {"gold": 9000, "silver": 500, "tin": 50}}}"#;
    let (text, said) = rendered(&quotas(&[("a", "c", products), ("b", "c", leased)]), &["limitador"]);
    assert_eq!(said, "");
    let limits: Value = serde_saphyr::from_str(&text).unwrap();
    let amounts = [50, 500, 9000].map(|amount| {
        json!({
            "namespace": "shop", "name": "a", "max_value": amount, "seconds": 26 * 3600,
            "conditions": ["descriptors[0].quota == 'a'", format!("descriptors[0].limit == '{amount}'")],
            "variables": ["descriptors[0].route", "descriptors[0].header_x_shop", "descriptors[0].window"],
        })
    });
    let shadow = json!({
        "namespace": "it's: \"quoted\"", "name": "b", "max_value": 9_007_199_254_740_991_u64, "seconds": 3_153_600_000_u64,
        "conditions": ["descriptors[0].quota == 'b'"], "variables": ["descriptors[0].literal", "descriptors[0].window"],
    });
    assert_eq!(limits, Value::from([&amounts[..], &[shadow]].concat()));
    assert!(text.contains("# In shadow: the service answers as for any other, and gateways don't enforce it.\n- namespace:"), "{text}");
}

#[test]
fn envoys_service_counts_one_domain_of_a_policy() {
    let products = r#"{"limit_from": {"products": {"gold": 9000}}, "mode": "shadow"}"#;
    let policy = quotas(&[("a", "c", products), ("b", "c", OTHER_DOMAIN)]);
    let (text, said) = rendered(&policy, &["ratelimit", "--domain", "shop"]);
    assert_eq!(said, "");
    let inner = |amount: u32| {
        let limit = json!([{"key": "window", "rate_limit": {"unit": "day", "requests_per_unit": amount}}]);
        let header = json!([{"key": "header_x_shop", "descriptors": limit}]);
        json!({"key": "limit", "value": amount.to_string(), "descriptors": [{"key": "route", "descriptors": header}]})
    };
    let expected = json!({"domain": "shop", "descriptors": [{"key": "quota", "value": "a", "descriptors": [inner(500), inner(9000)]}]});
    assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), expected);
    assert!(text.contains("# In shadow") && !text.contains("shadow_mode"), "{text}");
    let (other, _) = rendered(&policy, &["ratelimit", "--domain", "other"]);
    assert!(other.contains("domain: other") && other.contains("value: b") && !other.contains("value: a"), "{other}");
    for (arguments, expected) in [
        (vec!["ratelimit"], "expected quotas of one domain, as a file has, found \"other\" and \"shop\": say which by --domain"),
        (
            vec!["ratelimit", "--domain", "nobodys"],
            "--domain nobodys: expected a domain of the policy's quotas, found \"other\" and \"shop\"",
        ),
        (vec!["limitador", "--domain", "shop"], "expected --domain with --for ratelimit, found it with --for limitador"),
        (vec!["ratelimit", "--listen", "0.0.0.0:1"], "expected --listen with --for envoy, found it with --for ratelimit"),
        (
            vec!["limitador", "--cluster", "c=c.example:80"],
            "expected no clusters, roots and client certificates with --for limitador: it has no part in them",
        ),
    ] {
        assert_eq!(unrendered(&policy, &arguments), (Some(2), expected.to_owned()), "{arguments:?}");
    }
}

#[test]
fn counts_that_start_afresh_within_a_window_are_named() {
    for (calendar, noted) in [
        (r#"{"limit": {"calendar": {"requests": 5, "period": "day", "time_zone": "Europe/Amsterdam"}}}"#, "every 365 days.\n"),
        (r#"{"limit": {"calendar": {"requests": 5, "period": "month"}}}"#, "With USE_CALENDAR_MONTH_RATE_LIMIT=true in its environment"),
        (r#"{"limit": {"calendar": {"requests": 5, "period": "lifetime"}}}"#, "every 365 days.\n"),
    ] {
        let (text, said) = rendered(&quotas(&[("a", "c", calendar)]), &["ratelimit"]);
        assert!(text.contains("# No unit fits: the service starts this count afresh once a year") && text.contains(noted), "{text}");
        assert!(text.contains("rate_limit: {unit: year, requests_per_unit: 5}"), "{text}");
        assert!(said.starts_with("quota a: no unit of the service's fits its windows") && said.contains("2026-12-18"), "{said}");
    }
}

#[test]
fn what_a_service_cant_count_is_not_rendered() {
    let none = "expected a quota with `enforcement: {global: …}`, found none: a service has nothing to count";
    let local = r#"{"limit": {"rate": {"requests": 5, "window": "1m"}}, "enforcement": {"local": {}}}"#;
    for policy in [quotas(&[]), quotas(&[("a", "c", local)])] {
        for target in ["limitador", "ratelimit"] {
            assert_eq!(unrendered(&policy, &[target]), (Some(2), none.to_owned()));
        }
    }
    let many = quotas(&[("a", "c", r#"{"limit": {"calendar": {"requests": 4294967296, "period": "day"}}}"#)]);
    let expected = "quota a: expected a limit of at most 4294967295, to which the service counts, found 4294967296";
    assert_eq!(unrendered(&many, &["ratelimit"]), (Some(2), expected.to_owned()));
    assert!(rendered(&many, &["limitador"]).0.contains("max_value: 4294967296"));
}
