// SPDX-License-Identifier: Apache-2.0
//! What is said to leave, held against what does: every destination that the module calls, and every attribute that its spans have, is told.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracegate_harness::otlp::{Request, json as shown};
use tracegate_tests::{run, shop, stdout};

use crate::caller::{Caller, items, text};
use crate::explain;
use crate::shop::with;

/// The rows of the table with this heading: names, and what is said of them.
fn rows(told: &str, heading: &str) -> Vec<(String, String)> {
    let mut lines = told.lines().skip_while(|line| !line.starts_with(heading));
    let width = lines.next().and_then(|line| line.find("  wh")).unwrap_or_else(|| panic!("no {heading} in {told}"));
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in lines.skip(1).take_while(|line| !line.is_empty()) {
        let (name, what) = line.split_at(width);
        match (name.trim(), rows.last_mut()) {
            ("", Some((_, whole))) => *whole += &format!(" {}", what.trim()),
            (name, _) => rows.push((name.to_owned(), what.trim().to_owned())),
        }
    }
    rows
}

/// Whether one of these names is the attribute's: `tracegate.caller.*` is that of many.
fn is_told(names: &BTreeSet<String>, attribute: &str) -> bool {
    names.iter().any(|name| name == attribute || name.strip_suffix('*').is_some_and(|begin| attribute.starts_with(begin)))
}

#[test]
fn every_attribute_and_every_destination_is_told() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("policy.yaml");
    let everything = "attributes: [client.address, user_agent.original, server.address], client: true, claims: [{path: sub}], request_id_header: x-request-id, digest_key";
    let shop = fs::read_to_string(shop())
        .unwrap()
        .replace("digest_key: {secret", &format!("{everything}: {{secret"))
        .replace("probability: 0.1", "probability: 1");
    fs::write(&path, shop).unwrap();
    let explained = explain(&path);
    let told = stdout(&run(["check".as_ref(), "--explain".as_ref(), path.as_os_str()]));
    let names: BTreeSet<String> =
        rows(&told, "a span tells").into_iter().flat_map(|(name, _)| name.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    let destinations: BTreeSet<&str> = items(&explained["leaving"]["collectors"])
        .iter()
        .chain(items(&explained["leaving"]["rate_limit_services"]))
        .map(|destination| text(&destination["cluster"]))
        .chain(items(&explained["leaving"]["fetches"]).iter().map(text))
        .collect();
    with(&path, |explained, edge| {
        for route in items(&explained["routes"]) {
            let callers = items(&route["reachable_by"]).iter().map(Caller::fitting).chain([Caller::default()]);
            for caller in callers.collect::<Vec<_>>() {
                edge.send(route, &caller, &[("x-request-id", "7f3a"), ("user-agent", "a"), ("x-forwarded-for", "203.0.113.9")]);
            }
        }
        let sent = edge.sent(Duration::from_secs(6));
        let called: BTreeSet<&str> = sent.iter().map(|(cluster, _, _)| cluster.as_str()).collect();
        assert_eq!(called, destinations, "who is called");
        let mut attributes = BTreeSet::new();
        for (_, _, body) in sent.iter().filter(|(_, path, _)| path == "/v1/traces") {
            for span in Request::read(body).unwrap().spans() {
                let span = shown(span, &|text| text).unwrap();
                attributes.extend(items(&span["attributes"]).iter().map(|attribute| text(&attribute["key"]).to_owned()));
            }
        }
        for expected in
            ["url.path", "tracegate.path.order_id", "tracegate.caller.claim.sub", "tracegate.request_id", "user_agent.original", "url.full"]
        {
            assert!(attributes.contains(expected), "{expected} isn't in {attributes:?}");
        }
        let untold: Vec<&String> = attributes.iter().filter(|attribute| !is_told(&names, attribute)).collect();
        assert!(untold.is_empty(), "{untold:?} are in spans, and aren't among {names:?}");
    });
}

/// A policy that says nothing lets nothing out but counts.
#[test]
fn a_policy_that_lets_nothing_out_is_told_as_such() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("policy.yaml");
    fs::write(&path, "schema: 1\nservice: {name: edge}\ndefault: {action: admit}\n").unwrap();
    let explained = explain(&path);
    assert_eq!(explained["secrets"], json!([]));
    let leaving = &explained["leaving"];
    for name in ["collectors", "access_log_properties", "rate_limit_services", "fetches"] {
        assert_eq!(leaving[name], json!([]), "{name}");
    }
    assert_eq!((&leaving["spans"], &leaving["audit"]), (&Value::Null, &Value::Null));
    let told = stdout(&run(["check".as_ref(), "--explain".as_ref(), path.as_os_str()]));
    let names: Vec<String> = rows(&told, "leaves to").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["metrics", "caller"]);
    assert!(!told.contains("a span tells") && !told.contains("an audit record tells"), "{told}");
}

/// Each thing that a policy can say of what leaves, in words and as JSON.
#[test]
fn what_leaves_is_told_in_words() {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("policy.json");
    let limit = |key: Value| {
        json!({"limit": {"fixed_window": {"requests": 9, "window": "1m"}}, "key": key, "key_absent": "skip",
            "enforcement": {"global": {"cluster": "limits", "domain": "edge", "on_unavailable": "admit"}}})
    };
    let mut document = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "listener": {"client_certificates": "verified", "forwarded_client_cert": "keep"},
        "responses": {"rate_limit_headers": []},
        "secrets": {
            "token": json!({"http": {"uri": "http://agent:8200/token?sig=abcdef", "cluster": "agent", "refresh_interval": "5m"}}),
            "key": json!({"key_vault": {"vault_uri": "https://shop-kv.vault.azure.net", "name": "key", "managed_identity": {"client_id": "6a1f0c9e-1111-4c0e-9d6b-000000000001"},
                "vault_cluster": "vault", "imds_cluster": "imds"}}),
            "here": json!({"literal": {"value": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI="}}),
            "unused": json!({"environment": {"name": "UNUSED"}}),
        },
        "trace": {"propagation": {"baggage": {"allow": []}}, "trust": [{"name": "all", "context": "restart", "traceresponse": true}]},
        "identity": {"providers": {
            "users": {"jwt": {"issuer": "i", "audiences": ["a"], "algorithms": ["HS256"], "keys": {"secrets": [{"key": {"secret": "here"}}]}}},
        }},
        "quotas": {"a": limit(json!([{"source": {"ipv4_prefix": 24, "ipv6_prefix": 48}}, {"header": "x-shop"}])), "b": limit(json!([{"claim": {"path": "tid"}}, "caller"]))},
        "routes": [{"name": "files", "match": {"path": {"template": "/files/{id}/{part}"}}, "attributes": {"path": {"part": "raw"}},
            "rules": [{"name": "who", "require": {"caller": {"provider": "users"}}}], "quotas": ["a", "b"]}],
        "export": {
            "traces": {"vendor": {"lightstep": {"cluster": "vendor", "access_token": {"secret": "token"}}}},
            "logs": {"unused": {"otlp": {"cluster": "nobody", "uri": "http://nobody/v1/logs"}}},
            "spans": {"client": true, "claims": [{"path": "tid", "provider": "users"}], "attributes": [], "digest_key": {"secret": "key"}},
            "metrics": {"request_durations": true},
        },
        "audit": {"records": {"decisions": ["admitted"]}},
    });
    let told = |document: &Value| {
        fs::write(&path, document.to_string()).unwrap();
        stdout(&run(["check".as_ref(), "--explain".as_ref(), path.as_os_str()]))
    };
    let text = told(&document);
    for (heading, name, expected) in [
        ("to the upstream", "(trace context)", "tracecontext"),
        ("to the upstream", "(baggage)", "none"),
        ("to the upstream", "(x-forwarded-client-cert)", "as the listener writes it"),
        (
            "leaves to",
            "collector vendor",
            "spans, by OTLP to https://ingest.lightstep.com/v1/traces at cluster vendor with headers: lightstep-access-token is the secret token every 5s, up to 512 together of every request about which no caller decides",
        ),
        ("leaves to", "gateway's log", "audit records"),
        (
            "leaves to",
            "rate-limit service limits",
            "for quota a in domain edge: the source network (IPv4 /24, IPv6 /48) and a digest of header x-shop",
        ),
        ("leaves to", "metrics", "counts by names of the policy's and by reasons; nothing of a request how long requests take, by route"),
        ("leaves to", "caller", "why a request was refused the trace's id and ours, in traceresponse, for callers of all"),
        ("leaves to", "keys and secrets", "fetched by clusters agent, imds and vault: nothing of a request goes along"),
        (
            "a span tells",
            "url.path",
            "the path as it came, with all ids in it without its query, and what stands behind ; or an escaped % in a segment",
        ),
        ("a span tells", "tracegate.path.part", "on files, as it is"),
        (
            "a span tells",
            "tracegate.caller.*",
            "provider, service, subscription and product, by the policy's names a digest of what tells the caller from others, by HMAC with the secret key claim tid of users, as it is",
        ),
        ("an audit record tells", "(of)", "every refusal every request that goes on"),
        ("an audit record tells", "(chained)", "not: a changed record can't be told from a genuine one"),
        ("secret", "here", "in the policy itself: whoever reads that reads it for identity.providers.users.jwt.keys.secrets[0].key"),
        (
            "secret",
            "key",
            "in https://shop-kv.vault.azure.net as key, read by managed identity 6a1f0c9e-1111-4c0e-9d6b-000000000001 fetched by cluster vault every 1h at the latest for export.spans.digest_key",
        ),
        ("secret", "unused", "in the environment variable UNUSED for nothing"),
    ] {
        let found = rows(&text, heading).into_iter().find(|(known, _)| known == name);
        assert_eq!(found.map(|(_, what)| what).as_deref(), Some(expected), "{heading} {name}\n{text}");
    }
    assert!(!text.contains("nobody/v1/logs"), "no record goes there\n{text}");
    assert!(!text.contains("abcdef") && text.contains("sig=REDACTED-") && !text.contains("c2Vj"), "{text}");
    assert!(text.contains("for quota b in domain edge: claim tid as it is and a digest of who calls"), "{text}");
    document["export"]["spans"] = json!({"url_path": "template"});
    document["trace"]["propagation"]["baggage"] = json!({});
    document["listener"]["forwarded_client_cert"] = json!({"from": {"peer": {"dns_san": {"exact": "proxy.example"}}}});
    let text = told(&document);
    for (heading, name, expected) in [
        ("a span tells", "url.path", "the route's template, or /"),
        (
            "a span tells",
            "tracegate.caller.*",
            "provider, service, subscription and product, by the policy's names no digest: the policy has no `digest_key`",
        ),
        ("to the upstream", "(baggage)", "every key"),
        ("to the upstream", "(x-forwarded-client-cert)", "as it comes, when the certificate's DNS name is proxy.example; none otherwise"),
    ] {
        let found = rows(&text, heading).into_iter().find(|(known, _)| known == name);
        assert_eq!(found.map(|(_, what)| what).as_deref(), Some(expected), "{heading} {name}\n{text}");
    }
}
