// SPDX-License-Identifier: Apache-2.0
//! `tracegate check --explain`: who can reach what, as the command tells it, held against what the module decides.

#[path = "explain/caller.rs"]
mod caller;
#[path = "explain/chance.rs"]
mod chance;
#[path = "explain/edge.rs"]
mod edge;
#[path = "explain/shop.rs"]
mod shop;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tracegate_tests::{run, shop, stderr, stdout};

/// What the command tells of one policy, as JSON.
fn explain(policy: &Path) -> Value {
    let arguments = ["check".as_ref(), "--explain".as_ref(), "--format".as_ref(), "json".as_ref(), policy.as_os_str()];
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    serde_json::from_str(&stdout(&output)).expect("it is one document")
}

const SHOP: &str = r#"envoy-config/policies/shop.yaml: valid, fingerprint 71c06d8eaa1883df (as a gauge 125071285725720), 3 routes

route        requests                          who can reach it
----------------------------------------------------------------------------------------------------------------------
read-order   method GET                        customers with scope orders.read
             host api.shop.example             or partners with tier gold or silver, and subscriptions of product gold
             path template /orders/{order_id}  (shadow, not enforced) when header x-api-version is absent: nobody
                                               limited by per-subscription and monthly
staff-admin  host api.shop.example             staff with role Orders.Admin
             path prefix /admin
health       method GET or HEAD                anybody
             path /healthz
(default)    every other request               nobody: refused with status 404

quota             what it limits
------------------------------------------------------------------------------------------------------------------------------------
monthly           50000 requests a calendar month in Europe/Amsterdam; above it status 403
                  for each subscription; a request that lacks it isn't limited
                  the rate-limit service at cluster ratelimit, domain shop, counts, asked for slices of up to 100 that count for 10s
                  while it doesn't answer each gateway counts up to 0.5 of the limit, for up to 32768 keys
per-subscription  100 requests in 1m, up to 20 at once; above it status 429
                  for each subscription; a request that lacks it isn't limited
                  each gateway counts for itself, up to 32768 keys; one that finds no room counts with all others like it

to the upstream  what it is told
-------------------------------------------
x-user-id        claim sub
x-user-roles     claim roles, parted by ","
(tokens)         stripped: none goes on
"#;

#[test]
fn the_reference_policy_in_words() {
    let output = run(["check", "--explain", "envoy-config/policies/shop.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), SHOP);
}

#[test]
fn a_document_has_its_fields_in_order() {
    let output = run(["check", "--explain", "--format", "json", "envoy-config/policies/shop.yaml"]);
    let text = stdout(&output);
    let fields = ["file", "policy_fingerprint", "routes", "default", "upstream", "admits_unverified", "warnings"];
    let in_route = ["name", "match", "methods", "hosts", "path", "reachable_by", "more", "rules", "quotas", "anonymous", "caught_by"];
    for fields in [&fields[..], &in_route] {
        let places: Vec<_> = fields.iter().map(|field| text.find(&format!("\"{field}\":")).expect("the field is there")).collect();
        assert!(places.is_sorted(), "{fields:?} in {text}");
    }
    let explained = explain(&shop());
    let route = &explained["routes"][0];
    let expected = json!({"methods": ["GET"], "hosts": [{"exact": "api.shop.example"}], "path": {"template": "/orders/{order_id}"}});
    assert_eq!(route["match"], expected);
    let gold = json!({"provider": "subscriptions", "products": ["gold"]});
    let partners = json!({"provider": "partners", "claims": [{"path": "tier", "match": {"one_of": ["gold", "silver"]}}]});
    assert_eq!(route["reachable_by"], json!([[{"provider": "customers", "scopes": ["orders.read"]}], [partners, gold]]));
    let when = json!({"not": {"header": {"name": "x-api-version", "match": {"present": true}}}});
    assert_eq!(route["rules"][1], json!({"name": "legacy-clients", "when": when, "mode": "shadow", "require": "deny"}));
    assert_eq!(route["quotas"], json!(["per-subscription", "monthly"]));
    let [monthly, rate] = explained["quotas"].as_array().expect("there are quotas").as_slice() else { panic!("{}", explained["quotas"]) };
    assert_eq!((&monthly["name"], &monthly["status"]), (&json!("monthly"), &json!(403)));
    assert_eq!(monthly["limit"], json!({"calendar": {"requests": 50000, "period": "month", "time_zone": "Europe/Amsterdam"}}));
    assert_eq!(monthly["enforcement"]["global"]["on_unavailable"], json!({"local": {"share": 0.5}}));
    let expected = json!({
        "name": "per-subscription", "status": 429, "limit": {"rate": {"requests": 100, "window": "1m", "burst": 20}}, "key": ["subscription"],
        "key_absent": "skip", "cost": {"requests": 1, "reserve_bytes": 0}, "enforcement": {"local": {"slots": 4096, "on_full": "shared_bucket", "volatile": false}},
        "headers": {}, "mode": "enforce",
    });
    assert_eq!(*rate, expected);
    assert_eq!(explained["default"], json!({"action": "refuse", "status": 404}));
    let headers = json!([{"name": "x-user-id", "claim": "sub"}, {"name": "x-user-roles", "claim": "roles", "separator": ","}]);
    assert_eq!(explained["upstream"], json!({"headers": headers, "token": "stripped"}));
}

#[test]
fn what_opens_while_keys_cannot_be_had_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("policy.yaml");
    let shop = fs::read_to_string(shop()).unwrap();
    fs::write(&path, shop.replace("on_unavailable: refuse", "on_unavailable: admit")).unwrap();
    assert_eq!(explain(&path)["admits_unverified"], json!(["partners"]));
    let text = stdout(&run(["check".as_ref(), "--explain".as_ref(), path.as_os_str()]));
    let expected = "while the keys of partners can't be had, its tokens count unverified: anybody can write one\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn several_policies_are_explained_as_they_are_checked() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let all = "- {name: all}\n- {name: late, match: {methods: [GET]}, rules: [{name: no, require: deny}]}\n";
    let sound = file("a.yaml", &format!("schema: 1\nservice: {{name: edge}}\ndefault: {{action: admit}}\nroutes:\n{all}"));
    let wrong = file("b.yaml", "schema: 1\nservice: {name: edge}\ndefault: {action: maybe}\n");
    let paths = [sound.as_os_str(), wrong.as_os_str()];
    let output = run(["check".as_ref(), "--explain".as_ref()].into_iter().chain(paths));
    assert_eq!(output.status.code(), Some(2));
    let text = stdout(&output).replace(&format!("{}/", scratch.path().display()), "");
    let (explained, rest) = text.split_once("\n\nb.yaml:").unwrap_or_else(|| panic!("{text}"));
    let expected = "\
route      requests             who can reach it
-----------------------------------------------------------------------------------------
all        every request        anybody
late       method GET           (no request comes here: all, before it, matches them too)
                                nobody
(default)  every other request  anybody

to the upstream  what it is told
-----------------------------------------------------
(tokens)         untouched: no provider looks for any";
    assert_eq!(explained.split_once("\n\n").map(|(_, table)| table), Some(expected), "{text}");
    assert!(rest.contains("default.action: expected `admit` or `refuse`, found \"maybe\""), "{text}");
    let output = run(["check".as_ref(), "--explain".as_ref(), "--format".as_ref(), "json".as_ref()].into_iter().chain(paths));
    assert_eq!(output.status.code(), Some(2));
    let lines = tracegate_tests::lines(&output);
    assert_eq!(lines[0]["routes"][1]["caught_by"], "all");
    assert_eq!(lines[0]["warnings"][0]["severity"], "warning", "what check warns of isn't lost");
    assert_eq!(lines.last().map(|line| &line["valid"]), Some(&json!(false)));
}
