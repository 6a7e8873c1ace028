// SPDX-License-Identifier: Apache-2.0
//! Recorded subscriptions, users and products become callers: whose key a request carried, and what its token must have claimed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tracegate_tests::{folder, lines, stderr, stdout};

use super::{file, record, replay, summary, text};

const FIRST: &str = "4d1fprimary0contoso000000000000a";
const SECOND: &str = "4d1fsecondary0contoso0000000000b";
const TIN: &str = "4d1fprimary0tin0000000000000000c";

fn digest(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn policy() -> Value {
    let caller = |more: Value| {
        let mut caller = json!({"provider": "shop"});
        caller.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"caller": caller})
    };
    let token = json!({"caller": {"provider": "staff"}});
    let route = |path: &str, require: Value| json!({"name": path, "match": {"path": {"prefix": path}}, "rules": [{"name": "only", "require": require}]});
    json!({"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "trace": {"sampling": {"root": {"probability": 0.3}}},
        "identity": {"providers": {
            "shop": {"subscription_keys": {"subscriptions": [
                {"id": "contoso", "product": "gold", "keys_sha256": [digest(FIRST), digest(SECOND)]},
                {"id": "old", "product": "gold", "state": "suspended", "keys_sha256": [digest("old")]},
                {"id": "tin", "product": "tin", "keys_sha256": [digest(TIN)]}]}},
            "staff": {"jwt": {"issuer": "https://id.example/", "audiences": ["shop"], "algorithms": ["ES256"],
                "keys": {"jwks": {"uri": "https://id.example/keys", "cluster": "id"}}}}}},
        "routes": [route("/keyed", caller(json!({}))), route("/gold", caller(json!({"products": ["gold"]}))),
            route("/either", json!({"any_of": [token, caller(json!({"products": ["gold"]}))]})),
            route("/both", json!({"all_of": [caller(json!({})), token]})),
            route("/open", json!("anonymous"))]})
}

fn refused(source: &str, reason: &str) -> Value {
    json!({"responseCode": 401, "backendResponseCode": null, "lastError": {"source": source, "reason": reason}})
}

fn with(one: Value, other: Value) -> Value {
    let mut both = one;
    both.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    both
}

fn at(path: &str, properties: Value) -> Value {
    record(with(json!({"url": format!("https://api.example{path}")}), properties))
}

/// What each record comes to: agrees, undecidable, reason.
fn decided(scratch: &TempDir, records: &[Value], policy: &Value, arguments: &[&str]) -> (Vec<Value>, Value) {
    let log = file(scratch, "log.ndjson", &records.iter().map(|record| format!("{record}\n")).collect::<String>());
    let given = file(scratch, "policy.json", &policy.to_string());
    let output = replay(&[&[text(&log), "--policy", text(&given), "--format", "json"], arguments].concat());
    assert!(output.status.code() < Some(2), "{}", stderr(&output));
    let mut lines = lines(&output);
    let last = lines.pop().unwrap();
    let agrees = &last["summary"]["sampling"]["core_agrees"];
    // A module that compiles patterns takes randomness for it.
    let expected = if arguments.contains(&"--against") { Value::Null } else { json!(true) };
    assert!(*agrees == expected || policy.to_string().contains("\"regex\""), "{last}");
    (lines, last["summary"].clone())
}

fn told(line: &Value) -> Value {
    json!([line["agrees"], line["undecidable"], line["reason"]])
}

#[test]
fn the_recorded_subscription_stands_for_its_key() {
    let scratch = TempDir::new().unwrap();
    let id = |id: &str| json!({"apimSubscriptionId": id});
    let header = |key: &str| json!({"requestHeaders": {"Ocp-Apim-Subscription-Key": key}});
    let (missing, invalid) = (refused("authorization", "SubscriptionKeyNotFound"), refused("authorization", "SubscriptionKeyInvalid"));
    let (not_found, not_valid) = ("SubscriptionKeyNotFound", "SubscriptionKeyInvalid");
    let cases = [
        ("/keyed", id("contoso"), json!([true, null, null])),
        ("/keyed", id("tin"), json!([true, null, null])),
        ("/keyed", id("old"), json!([false, null, not_valid])),
        ("/keyed", id("master"), json!([false, null, not_valid])),
        ("/keyed", id("Contoso"), json!([false, null, not_valid])),
        ("/gold", id("contoso"), json!([true, null, null])),
        ("/gold", id("tin"), json!([false, null, not_valid])),
        // Admitted without any: this log would have named it.
        ("/keyed", json!({}), json!([false, null, not_found])),
        ("/keyed", missing.clone(), json!([true, null, not_found])),
        ("/keyed", invalid.clone(), json!([true, null, not_valid])),
        ("/keyed", with(missing.clone(), id("contoso")), json!([true, null, not_found])),
        ("/keyed", with(invalid.clone(), id("contoso")), json!([true, null, not_valid])),
        ("/keyed", with(missing.clone(), header("***")), json!([true, null, not_found])),
        ("/keyed", with(refused("authorization", "SubscriptionKeyNotFound"), header(FIRST)), json!([false, null, null])),
        // The policy asks for none: what API Management judged is not there.
        ("/open", missing.clone(), json!([null, "token_not_logged", null])),
        ("/open", id("master"), json!([true, null, null])),
        // Logged ones are kept.
        ("/keyed", header(FIRST), json!([true, null, null])),
        ("/keyed", with(header(FIRST), id("tin")), json!([true, null, null])),
        ("/gold", header(SECOND), json!([true, null, null])),
        ("/gold", header(TIN), json!([false, null, not_valid])),
        ("/keyed", header("0123456789abcdef0123456789abcdef"), json!([false, null, not_valid])),
        ("/keyed", with(invalid.clone(), header("0123456789abcdef0123456789abcdef")), json!([true, null, not_valid])),
        (&format!("/keyed?Subscription-Key={SECOND}&x=1"), json!({}), json!([true, null, null])),
        (&format!("/keyed?subscription-key={FIRST}"), header(SECOND), json!([false, null, "SubscriptionKeyAmbiguous"])),
        // Masked ones aren't.
        ("/keyed?subscription-key=REDACTED&x=1", id("contoso"), json!([true, null, null])),
        ("/keyed?subscription%2Dkey=***", id("old"), json!([false, null, not_valid])),
        ("/keyed", header("[masked]"), json!([null, "token_not_logged", not_valid])),
        ("/keyed", with(header("[masked]"), id("contoso")), json!([true, null, null])),
        // Of two ways in, one would have done.
        ("/either", id("contoso"), json!([true, null, null])),
        ("/either", id("tin"), json!([false, null, not_valid])),
        ("/either", json!({}), json!([null, "token_not_logged", "TokenNotPresent"])),
        ("/either", header("[masked]"), json!([null, "token_not_logged", not_valid])),
        ("/either", header(TIN), json!([false, null, not_valid])),
        // Both were needed, and one is known.
        ("/both", json!({}), json!([false, null, not_found])),
        ("/both", id("master"), json!([false, null, not_valid])),
        ("/both", id("contoso"), json!([null, "token_not_logged", "TokenNotPresent"])),
        ("/both", with(refused("validate-jwt", "TokenExpired"), id("contoso")), json!([null, "token_not_logged", "TokenNotPresent"])),
    ];
    let records: Vec<Value> = cases.iter().map(|(path, properties, _)| at(path, properties.clone())).collect();
    let (lines, summary) = decided(&scratch, &records, &policy(), &[]);
    for ((path, properties, expected), line) in cases.iter().zip(&lines) {
        assert_eq!(told(line), *expected, "{path} {properties}: {line}");
        assert!(
            line["upstream_request"].is_null() || !line["upstream_request"].to_string().to_lowercase().contains("subscription"),
            "{line}"
        );
    }
    assert_eq!(summary["unknown_subscriptions"], json!({"master": 2, "Contoso": 1}));
    let fingerprint = tracegate::Policy::from_json(policy().to_string().as_bytes()).unwrap().policy.fingerprint;
    assert_eq!(summary["policy_fingerprint"], fingerprint.to_string(), "that of the policy as it was given");
}

/// Only a log that would name a subscription says that there was none.
#[test]
fn a_log_without_subscriptions_tells_nothing_of_keys() {
    let scratch = TempDir::new().unwrap();
    let time = "2026-10-05T06:00:00Z";
    let row = json!({"TimeGenerated": time, "Method": "GET", "Url": "https://api.example/keyed", "ResponseCode": 200, "BackendResponseCode": 200});
    let by_request = json!({"timestamp": time, "method": "GET", "url": "https://api.example/keyed", "responseCode": 200});
    let insights = |dimensions: Value| json!({"timestamp": time, "name": "GET /keyed", "url": "https://api.example/keyed", "resultCode": "200", "customDimensions": dimensions});
    let native = |more: Value| with(json!({"time": time, "request": {"method": "GET", "path": "/keyed"}}), more);
    let (unknown, missing) =
        (json!([null, "token_not_logged", "SubscriptionKeyNotFound"]), json!([false, null, "SubscriptionKeyNotFound"]));
    let admitted = json!([true, null, null]);
    let cases = [
        (row.clone(), unknown.clone()),
        (with(row.clone(), json!({"ApimSubscriptionId": ""})), missing.clone()),
        (with(row.clone(), json!({"ApimSubscriptionId": "tin"})), admitted.clone()),
        (by_request.clone(), unknown.clone()),
        (with(by_request.clone(), json!({"subscriptionId": "-"})), missing.clone()),
        (with(by_request, json!({"subscriptionId": "/subscriptions/tin"})), admitted.clone()),
        (insights(json!({})), unknown),
        (insights(json!({"Subscription Name": "tin"})), admitted.clone()),
        (native(json!({})), json!([null, "no_record", "SubscriptionKeyNotFound"])),
        (native(json!({"expect": {"decision": "admitted"}})), missing),
        (native(json!({"expect": {"reason": "SubscriptionKeyInvalid"}})), json!([false, null, "SubscriptionKeyNotFound"])),
        (native(json!({"apim": {"apimSubscriptionId": "tin"}, "expect": {"decision": "admitted"}})), admitted),
    ];
    for (record, expected) in cases {
        let (lines, _) = decided(&scratch, std::slice::from_ref(&record), &policy(), &[]);
        assert_eq!(told(&lines[0]), expected, "{record}");
    }
}

/// The upstream gets what was recorded, whichever of its keys the module knows.
#[test]
fn a_logged_key_is_forwarded_as_it_was_logged() {
    let scratch = TempDir::new().unwrap();
    let mut policy = policy();
    policy["identity"]["providers"]["shop"]["subscription_keys"]["forward_key"] = json!(true);
    let native = |key: &str| {
        let expect = json!({"decision": "admitted", "upstream_headers": {"ocp-apim-subscription-key": [key], ":path": [format!("/keyed?subscription-key={key}")]}});
        json!({"time": "2026-10-05T06:00:00Z", "expect": expect,
            "request": {"method": "GET", "path": format!("/keyed?subscription-key={key}"), "headers": [["Ocp-Apim-Subscription-Key", key]]}})
    };
    let (lines, _) = decided(&scratch, &[native(FIRST), native(SECOND), native(TIN)], &policy, &[]);
    for line in lines {
        assert_eq!(told(&line), json!([true, null, null]), "{line}");
        assert!(line["upstream_request"].to_string().contains("subscription-key=REDACTED-"), "{line}");
    }
}

#[test]
fn no_key_comes_out() {
    let scratch = TempDir::new().unwrap();
    let mut policy = policy();
    policy["identity"]["providers"]["shop"]["subscription_keys"] = with(
        policy["identity"]["providers"]["shop"]["subscription_keys"].clone(),
        json!({"forward_key": true, "header": "X-Pass", "query": "Pass"}),
    );
    let records = [
        at("/keyed", json!({"apimSubscriptionId": "contoso"})),
        at("/keyed", json!({"apimSubscriptionId": "stranger"})),
        at(&format!("/keyed?pass={FIRST}"), json!({})),
        at(&format!("/keyed?PASS={SECOND}&pass={SECOND}"), json!({"requestHeaders": {"x-pass": SECOND}})),
    ];
    let log = file(&scratch, "log.ndjson", &records.map(|record| format!("{record}\n")).concat());
    let policy = file(&scratch, "policy.json", &policy.to_string());
    let mut shown = String::new();
    for arguments in [&["--format", "json"][..], &["--format", "text"], &["--format", "html"], &["--find", "path=/keyed"]] {
        let output = replay(&[&[text(&log), "--policy", text(&policy)], arguments].concat());
        assert!(output.status.code() < Some(2), "{}", stderr(&output));
        shown += &(stdout(&output) + &stderr(&output));
    }
    assert!(!shown.contains("4d1f"), "{shown}");
    let long = shown.split(|letter: char| !letter.is_ascii_hexdigit()).find(|word| word.len() == 64);
    assert_eq!(long, None, "stand-ins are keys too");
    assert!(shown.contains("the policy has no such subscription\n         1  stranger"), "{shown}");
    assert!(shown.contains(r#"["x-pass",{"redacted":"#), "{shown}");
}

/// Either policy meets the same callers.
#[test]
fn a_change_of_subscriptions_is_tried_on_those_recorded() {
    let scratch = TempDir::new().unwrap();
    let mut changed = policy();
    let subscriptions = &mut changed["identity"]["providers"]["shop"]["subscription_keys"]["subscriptions"];
    subscriptions[0]["state"] = json!("suspended");
    subscriptions[2] = json!({"id": "new", "keys_sha256": [digest(SECOND.trim_end_matches('b')), digest(TIN)]});
    let other = file(&scratch, "other.json", &policy().to_string());
    let tin = json!({"requestHeaders": {"Ocp-Apim-Subscription-Key": TIN}});
    let records = ["contoso", "tin", "new", "old"].map(|id| at("/keyed", json!({"apimSubscriptionId": id})));
    let records = [records.as_slice(), &[at("/keyed", tin)]].concat();
    let (lines, summary) = decided(&scratch, &records, &changed, &["--against", text(&other)]);
    let reasons: Vec<Value> = lines.iter().map(|line| json!([line["reason"], line["against"]["reason"]])).collect();
    let invalid = "SubscriptionKeyInvalid";
    assert_eq!(json!(reasons), json!([[invalid, null], [invalid, null], [null, invalid]]), "only what differs is shown");
    assert_eq!((&summary["differed"], &summary["unknown_subscriptions"]), (&json!(3), &json!({"tin": 1})));
}

/// A policy that asks for keys comes to what the sample's log says of subscriptions, but for one that it hasn't and one that it suspends.
#[test]
fn the_sample_agrees_about_subscriptions() {
    let (sample, policy) = (folder("recordings").join("sample.ndjson"), folder("recordings").join("subscriptions-policy.yaml"));
    let output = replay(&[text(&sample), "--policy", text(&policy), "--format", "json"]);
    let found = lines(&output);
    let (mut expected, mut strangers): (BTreeMap<&str, u64>, u64) = (BTreeMap::new(), 0);
    for record in std::fs::read_to_string(&sample).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let properties = &record["properties"];
        let subscription = properties["apimSubscriptionId"].as_str().unwrap_or_default();
        // A key that was logged is nobody's here.
        let logged = properties["url"].as_str().unwrap().contains("subscription-key=");
        let kept_out = logged || ["sub-03", "sub-07"].contains(&subscription);
        let forwarded = properties["backendResponseCode"].as_u64().is_some_and(|code| code != 0);
        let reason = properties["lastError"]["reason"].as_str();
        let of_keys = matches!(reason, Some("SubscriptionKeyNotFound" | "SubscriptionKeyInvalid"));
        strangers += u64::from(subscription == "sub-07" && !of_keys && !logged);
        let came_to = match reason {
            Some("OperationNotFound") => "agreed",
            _ if of_keys => "agreed",
            Some("BackendConnectionFailure" | "ClientConnectionFailure" | "Timeout") => "undecidable",
            None if !forwarded => "undecidable",
            // Whatever else was judged then was judged behind the key.
            _ if kept_out => "differed",
            None => "agreed",
            Some(_) => "undecidable",
        };
        *expected.entry(came_to).or_default() += 1;
    }
    let summary = summary(&found);
    for name in ["agreed", "differed", "undecidable"] {
        assert_eq!(summary[name], expected[name], "{name} {summary}");
    }
    assert_eq!(summary["unknown_subscriptions"], json!({"sub-07": strangers}));
    assert_eq!(output.status.code(), Some(1));
}

/// A route's rule about tokens of `staff`, and what it is called.
fn asks(name: &str, require: Value) -> Value {
    json!({"name": name, "match": {"path": {"prefix": format!("/{name}")}}, "rules": [{"name": "only", "require": require}]})
}

fn tokens() -> Value {
    const APPLICATION: &str = "3f9b2c1a-2222-4d7e-8a5f-00000000000a";
    const BATCH: &str = "3f9b2c1a-2222-4d7e-8a5f-00000000000b";
    let of = |provider: &str, more: Value| json!({"caller": with(json!({"provider": provider}), more)});
    let claim = |path: &str, matches: Value| json!({"path": path, "match": matches});
    let keys = json!({"jwks": {"uri": "https://id.example/keys", "cluster": "id"}});
    let jwt = json!({"issuer": "https://id.example/", "audiences": ["shop"], "algorithms": ["ES256"], "keys": keys, "roles_claim": "/realm/roles"});
    let entra = |more: Value| {
        let tenant = json!({"tenant": "3f9b2c1a-2222-4d7e-8a5f-000000000002", "audiences": ["api://shop"], "cluster": "entra"});
        json!({"entra": with(tenant, more)})
    };
    let services = json!([{"name": "batch", "workload": {"application": BATCH}},
        {"name": "billing", "workload": {"managed_identity": "/subscriptions/a/userAssignedIdentities/billing"}}]);
    let scoped = json!({"scopes": ["orders.read", "orders.write"], "roles": ["writer", "reader"], "groups": ["g1"]});
    let claims = json!([claim("tier", json!({"exact": "gold"})), claim("region", json!({"one_of": ["eu", "us"]})),
        claim("/realm/level", json!({"prefix": "l"})), claim("mail", json!({"suffix": "@shop.example"})), claim("note", json!({"contains": "x y"})),
        {"path": "tags", "separator": ",", "match": {"all_of": ["a", "b"]}}, claim("vip", json!({"present": true})),
        claim("banned", json!({"present": false})), claim("iss", json!({"prefix": "https://id."})), claim("exp", json!({"present": true}))]);
    let regex = json!({"claims": [claim("sku", json!({"regex": "[a-z]+-[0-9]+"}))]});
    let user = json!({"claims": [claim("sub", json!({"exact": "user-7"}))]});
    json!({"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}, "trace": {"sampling": {"root": {"probability": 0.3}}},
        "identity": {"providers": {
            "staff": {"jwt": jwt},
            "shop": policy()["identity"]["providers"]["shop"],
            "app": entra(json!({"applications": [APPLICATION]})),
            "own": entra(json!({"applications": [BATCH, APPLICATION], "services": services}))}},
        "routes": [
            asks("plain", of("staff", json!({}))),
            asks("scoped", of("staff", scoped.clone())),
            asks("claims", of("staff", json!({"claims": claims}))),
            asks("both", json!({"all_of": [of("staff", scoped), of("staff", json!({"claims": claims}))]})),
            asks("regex", of("staff", regex)),
            asks("either", json!({"any_of": [of("staff", json!({"claims": [claim("scope", json!({"regex": "[a-z]+-[0-9]+"}))]})), of("staff", json!({"scopes": ["orders.read"]}))]})),
            asks("me", of("staff", user)),
            asks("app", of("app", json!({"scopes": ["user_impersonation"]}))),
            asks("billing", of("own", json!({"services": ["billing"], "roles": ["task"]}))),
            asks("batch", of("own", json!({"services": ["batch"]}))),
            asks("keyed", json!({"any_of": [of("staff", json!({"scopes": ["orders.read"]})), of("shop", json!({"products": ["gold"]}))]}))]})
}

/// A token has what its route's rules ask for, or lacks it in the way that the record names.
#[test]
fn minted_tokens_meet_the_rules_of_their_routes() {
    let scratch = TempDir::new().unwrap();
    let (claim, value, expired) = ("TokenClaimNotFound", "TokenClaimValueNotAllowed", "TokenExpired");
    let faults = |path: &'static str, minted: &'static [&'static str]| {
        [None, Some(claim), Some(value), Some(expired)].map(|fault| (path, fault, minted.contains(&fault.unwrap_or("sound"))))
    };
    let all = &["sound", "TokenClaimNotFound", "TokenClaimValueNotAllowed", "TokenExpired"];
    // What asks for no claim has none that could be wrong.
    let cases = [
        faults("/plain", &["sound", "TokenExpired"]),
        faults("/scoped", all),
        faults("/claims", all),
        faults("/both", all),
        faults("/regex", &[]),
        faults("/either", all),
        faults("/me", all),
        faults("/app", all),
        faults("/billing", all),
        faults("/batch", all),
        faults("/keyed", all),
    ]
    .concat();
    let records: Vec<Value> = cases
        .iter()
        .map(|(path, fault, _)| at(path, fault.map_or(json!({"userId": "user-3"}), |fault| refused("validate-jwt", fault))))
        .collect();
    let (lines, summary) = decided(&scratch, &records, &tokens(), &["--mint"]);
    for ((path, fault, minted), line) in cases.iter().zip(&lines) {
        if *minted {
            assert_eq!(told(line), json!([true, null, fault]), "{path} {fault:?}: {line}");
            assert_eq!(line["minted"], fault.unwrap_or("sound"), "{path}");
        } else {
            assert_eq!(told(line), json!([null, "token_not_logged", "TokenNotPresent"]), "{path} {fault:?}: {line}");
            assert!(line.get("minted").is_none(), "{line}");
        }
    }
    assert_eq!(summary["minted"]["not_mintable"], json!({"staff": 6}));
    assert_eq!((&summary["minted"]["agreed"], &summary["minted"]["differed"]), (&json!(38), &json!(0)));
}

/// Where a key does, and one was used, nothing is made up.
#[test]
fn a_subscription_goes_before_a_minted_token() {
    let scratch = TempDir::new().unwrap();
    let id = |id: &str| json!({"apimSubscriptionId": id});
    let cases = [
        (id("contoso"), json!([true, null, null]), Value::Null),
        (id("tin"), json!([false, null, "SubscriptionKeyInvalid"]), Value::Null),
        (json!({}), json!([true, null, null]), json!("sound")),
        (with(refused("validate-jwt", "TokenExpired"), id("tin")), json!([true, null, "TokenExpired"]), json!("TokenExpired")),
    ];
    for (properties, expected, minted) in cases {
        let (lines, _) = decided(&scratch, &[at("/keyed", properties.clone())], &tokens(), &["--mint"]);
        assert_eq!((told(&lines[0]), line_minted(&lines[0])), (expected, minted), "{properties}");
    }
}

fn line_minted(line: &Value) -> Value {
    line.get("minted").cloned().unwrap_or_default()
}

/// Tokens name the users whom the record names: what the upstream learns of them tells them apart.
#[test]
fn minted_tokens_name_the_recorded_users() {
    let scratch = TempDir::new().unwrap();
    let mut policy = tokens();
    policy["identity"]["claim_to_headers"] = json!([{"claim": "sub", "header": "x-user"}]);
    let users = [json!({"userId": "user-3"}), json!({"userId": "user-4"}), json!({"userId": "user-3"}), json!({})];
    let (lines, _) = decided(&scratch, &users.map(|user| at("/scoped", user)), &policy, &["--mint"]);
    let user = |line: &Value| {
        let headers = line["upstream_request"]["headers"].as_array().unwrap();
        headers.iter().find(|line| line[0] == "x-user").unwrap()[1].as_str().unwrap().to_owned()
    };
    assert_eq!(lines.iter().map(user).collect::<Vec<_>>(), ["user-3", "user-4", "user-3", "tracegate-replay"]);
}
