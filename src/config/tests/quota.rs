// SPDX-License-Identifier: Apache-2.0
//! What a policy's author is told about limits.

use serde_json::{Value, json};

use super::*;

const KEY: &str = "ab";

/// A policy with one quota, and what `change` makes of that. Its route asks for a subscription's key.
fn policy(change: impl FnOnce(&mut Value)) -> Value {
    let mut quota = json!({"limit": {"rate": {"requests": 100, "window": "1m"}}, "key": ["route"], "enforcement": {"local": {}}});
    change(&mut quota);
    json!({
        "schema": 1, "service": {"name": "edge"},
        "identity": {"providers": {
            "people": {"entra": {"tenant": "3f9b2c1a-2222-4d7e-8a5f-000000000002", "audiences": ["a"], "cluster": "entra"}},
            "shops": {"subscription_keys": {"subscriptions": [{"id": "a", "product": "gold", "keys_sha256": [KEY.repeat(32)]}]}},
        }},
        "quotas": {"q": quota},
        "routes": [{"name": "r", "quotas": ["q"], "rules": [{"name": "who", "require": {"caller": {"provider": "shops"}}}]}],
        "default": {"action": "admit"},
    })
}

/// What is wrong where a field of the quota has this value.
fn wrong_in(field: &str, value: Value) -> Vec<String> {
    wrong(&policy(|quota| quota[field] = value))
}

fn global(more: Value) -> Value {
    let mut global = json!({"cluster": "limits", "domain": "shop", "on_unavailable": "refuse"});
    for (name, value) in more.as_object().into_iter().flatten() {
        global[name] = value.clone();
    }
    json!({ "global": global })
}

fn monthly() -> Value {
    json!({"calendar": {"requests": 100, "period": "month"}})
}

/// What `check` warns of, but that there is no `trace.trust`.
fn warnings(policy: &Value) -> Vec<String> {
    let loaded = Policy::from_json(policy.to_string().as_bytes()).unwrap_or_else(|found| panic!("{found}"));
    let lines = loaded.warnings.iter().map(|finding| format!("{}: {}", finding.path, finding.problem));
    lines.filter(|line| line.starts_with("quotas") || line.starts_with("routes")).collect()
}

#[test]
fn a_quota_has_a_limit_a_key_and_somebody_who_counts() {
    assert_eq!(wrong(&policy(|_| {})), [""; 0]);
    for field in ["limit", "key", "enforcement"] {
        let without = policy(|quota| drop(quota.as_object_mut().unwrap().remove(field)));
        assert_eq!(wrong(&without), [format!("quotas.q: expected a field `{field}`, found none")]);
    }
    let known = "`limit`, `limit_from`, `key`, `key_absent`, `cost`, `enforcement`, `headers`, `mode`";
    assert_eq!(wrong_in("window", json!("1m")), [format!("quotas.q.window: expected one of {known}, found an unknown field")]);
}

#[test]
fn what_is_no_limit_is_named() {
    let amount = "expected a whole number from 1 to 9007199254740991, found";
    for (limit, expected) in [
        (json!({}), "limit: expected a mapping with `rate` or `sliding_window` or `fixed_window` or `calendar`, found an empty mapping"),
        (
            json!({"per_minute": 5}),
            "limit: expected a mapping with `rate` or `sliding_window` or `fixed_window` or `calendar`, found `per_minute`",
        ),
        (json!({"rate": {"window": "1m"}}), "limit.rate: expected a field `requests`, found none"),
        (json!({"rate": {"requests": 1}}), "limit.rate: expected a field `window`, found none"),
        (json!({"rate": {"requests": 0, "window": "1m"}}), &format!("limit.rate.requests: {amount} 0")),
        (json!({"rate": {"requests": 1_u64 << 53, "window": "1m"}}), &format!("limit.rate.requests: {amount} 9007199254740992")),
        (json!({"rate": {"requests": 1, "window": "999ms"}}), "limit.rate.window: expected a duration from 1s to 24h, found \"999ms\""),
        (json!({"rate": {"requests": 1, "window": "25h"}}), "limit.rate.window: expected a duration from 1s to 24h, found \"25h\""),
        (
            json!({"rate": {"requests": 1, "window": "minute"}}),
            "limit.rate.window: expected a duration such as 30s or 1h30m: numbers of up to 5 digits, each with h, m, s or ms (\"minute\")",
        ),
        (json!({"rate": {"requests": 1, "window": "1m", "burst": 0}}), &format!("limit.rate.burst: {amount} 0")),
        (
            json!({"rate": {"requests": 1, "window": "24h", "burst": 366}}),
            "limit.rate.burst: expected a burst that the rate fills again within 365 days, for whoever has the lowest limit",
        ),
        (
            json!({"sliding_window": {"requests": 1, "window": "1m", "burst": 2}}),
            "limit.sliding_window.burst: expected one of `requests`, `window`, found an unknown field",
        ),
        (
            json!({"sliding_window": {"requests": 1, "window": "0s"}}),
            "limit.sliding_window.window: expected a duration from 1s to 24h, found \"0s\"",
        ),
        (
            json!({"fixed_window": {"requests": 1, "window": "999ms"}}),
            "limit.fixed_window.window: expected a duration of at least 1s, found \"999ms\"",
        ),
        (json!({"fixed_window": {"window": "1m"}}), "limit.fixed_window: expected either `requests` or `bytes`"),
        (json!({"fixed_window": {"requests": 1, "bytes": 1, "window": "1m"}}), "limit.fixed_window: expected either `requests` or `bytes`"),
        (
            json!({"fixed_window": {"requests": 1, "window": "1m", "first_period_start": "2026-02-30T00:00:00Z"}}),
            "limit.fixed_window.first_period_start: expected an instant such as 2026-11-01T00:00:00Z or 2026-11-01T02:00:00+02:00 \
             (\"2026-02-30T00:00:00Z\")",
        ),
        (json!({"calendar": {"requests": 1}}), "limit.calendar: expected a field `period`, found none"),
        (
            json!({"calendar": {"requests": 1, "period": "year"}}),
            "limit.calendar.period: expected `hour` or `day` or `week` or `month` or `lifetime`, found \"year\"",
        ),
        (json!({"calendar": {"period": "day"}}), "limit.calendar: expected either `requests` or `bytes`"),
        (json!({"calendar": {"bytes": 0, "period": "day"}}), &format!("limit.calendar.bytes: {amount} 0")),
        (
            json!({"calendar": {"requests": 1, "period": "day", "time_zone": "Europe/Amsterdam2"}}),
            "limit.calendar.time_zone: expected the name of an IANA time zone, as Europe/Amsterdam, found none such (\"Europe/Amsterdam2\")",
        ),
    ] {
        assert_eq!(wrong_in("limit", limit.clone()), [format!("quotas.q.{expected}")], "{limit}");
    }
    let bursting = |least: u64| {
        policy(|quota| {
            quota["limit"] = json!({"rate": {"requests": 1000, "window": "24h", "burst": 400}});
            quota["limit_from"] = json!({"products": {"gold": 5000, "tin": least}});
            quota["enforcement"]["local"]["volatile"] = json!(true);
        })
    };
    assert_eq!(wrong(&bursting(2)), [""; 0]);
    let expected = "expected a burst that the rate fills again within 365 days, for whoever has the lowest limit";
    assert_eq!(wrong(&bursting(1)), [format!("quotas.q.limit.rate.burst: {expected}")]);
}

#[test]
fn limits_of_callers_own_are_where_one_can_look() {
    let claim = |provider: &str| json!({"claim": {"provider": provider, "path": "quota", "at_most": 1000}});
    let place = |from: Value| policy(|quota| (quota["limit_from"], quota["key"]) = (from, json!(["route"])));
    for from in [claim("people"), json!({"products": {"gold": 500}}), json!({"route_metadata": {"at_most": 10}})] {
        assert_eq!(wrong(&place(from.clone())), [""; 0], "{from}");
    }
    let tokens = "limit_from.claim.provider: expected a name in `identity.providers` of one with tokens, found";
    for (from, expected) in [
        (json!({"claim": {"provider": "people", "path": "quota"}}), "limit_from.claim: expected a field `at_most`, found none"),
        (json!({"claim": {"provider": "people", "at_most": 1}}), "limit_from.claim: expected a field `path`, found none"),
        (json!({"claim": {"path": "quota", "at_most": 1}}), "limit_from.claim: expected a field `provider`, found none"),
        (claim("shops"), &format!("{tokens} \"shops\"")),
        (claim("nobody"), &format!("{tokens} \"nobody\"")),
        (json!({"products": {}}), "limit_from.products: expected at least one product, found none"),
        (json!({"products": {"gold": 0}}), "limit_from.products.gold: expected a whole number from 1 to 9007199254740991, found 0"),
        (json!({"products": {"": 1}}), "limit_from.products.: expected a name of at least one character"),
        (json!({"route_metadata": {}}), "limit_from.route_metadata: expected a field `at_most`, found none"),
        (json!({"header": "x"}), "limit_from: expected a mapping with `claim` or `products` or `route_metadata`, found `header`"),
    ] {
        assert_eq!(wrong(&place(from.clone())), [format!("quotas.q.{expected}")], "{from}");
    }
}

#[test]
fn a_key_is_of_what_can_be_known() {
    let keyed = |key: Value| policy(|quota| (quota["key"], quota["key_absent"]) = (key, json!("skip")));
    let parts = "a mapping with `claim` or `source` or `header` or `query` or `literal`, found";
    let words = format!("expected `subscription` or `product` or `caller` or `source` or `route` or `method`, or {parts}");
    for (key, expected) in [
        (json!([]), "key: expected a list of at least one, found an empty one".to_owned()),
        (json!("route"), "key: expected a list, found \"route\"".to_owned()),
        (json!(["address"]), format!("key[0]: {words} \"address\"")),
        (json!(["route", {"cookie": "x"}]), format!("key[1]: expected {parts} `cookie`")),
        (json!(["route", 7]), format!("key[1]: {words} 7")),
        (json!([{"header": "x y"}]), "key[0].header: expected a name of letters, digits and !#$%&'*+-.^_`|~, found \"x y\"".to_owned()),
        (json!([{"query": ""}]), "key[0].query: expected text of at least one character, found \"\"".to_owned()),
        (json!([{"literal": ""}]), "key[0].literal: expected text of at least one character, found \"\"".to_owned()),
        (json!([{"source": {"ipv4_prefix": 33}}]), "key[0].source.ipv4_prefix: expected a whole number from 0 to 32, found 33".to_owned()),
        (json!([{"source": {"ipv6_prefix": -1}}]), "key[0].source.ipv6_prefix: expected a whole number from 0 to 128, found -1".to_owned()),
        (json!([{"claim": {}}]), "key[0].claim: expected a field `path`, found none".to_owned()),
        (
            json!([{"claim": {"provider": "shops", "path": "tid"}}]),
            "key[0].claim.provider: expected a name in `identity.providers` of one with tokens, found \"shops\"".to_owned(),
        ),
    ] {
        assert_eq!(wrong(&keyed(key.clone())), [format!("quotas.q.{expected}")], "{key}");
    }
    let missing =
        "quotas.q.key: expected `key_absent`: what becomes of a request without a part of the key, `skip`, `refuse` or `shared_bucket`";
    for part in [
        json!("subscription"),
        json!("product"),
        json!("caller"),
        json!("source"),
        json!({"claim": {"path": "tid"}}),
        json!({"header": "x"}),
        json!({"query": "x"}),
    ] {
        assert_eq!(wrong_in("key", json!(["route", part])), [missing], "{part}");
    }
    assert_eq!(wrong_in("key", json!(["method", {"literal": "all"}, "route"])), [""; 0], "these are always there");
    assert_eq!(
        wrong_in("key_absent", json!("admit")),
        ["quotas.q.key_absent: expected `skip` or `refuse` or `shared_bucket`, found \"admit\""]
    );
    let mut nobody = keyed(json!(["caller", {"claim": {"path": "tid"}}, "subscription", "product"]));
    nobody["identity"] = json!({});
    nobody["routes"][0]["rules"] = json!([]);
    let subscriptions = "expected `subscription_keys` in `identity.providers`: nobody has a subscription";
    assert_eq!(
        wrong(&nobody),
        [
            "quotas.q.key[0]: expected `identity.providers`: nobody vouches for callers".to_owned(),
            "quotas.q.key[1]: expected a provider with tokens in `identity.providers`: nobody's claims are known".to_owned(),
            format!("quotas.q.key[2]: {subscriptions}"),
            format!("quotas.q.key[3]: {subscriptions}"),
        ]
    );
    nobody["quotas"]["q"]["key"] = json!(["route"]);
    nobody["quotas"]["q"]["limit_from"] = json!({"products": {"gold": 5}});
    assert_eq!(wrong(&nobody), [format!("quotas.q.limit_from.products: {subscriptions}")]);
}

#[test]
fn a_cost_is_one_that_the_limit_can_bear() {
    let statuses = "expected a status such as 429, a class such as 5xx or a range such as 500-504";
    for (cost, expected) in [
        (json!({"requests": 0}), "cost.requests: expected a whole number from 1 to 1000000, found 0".to_owned()),
        (json!({"requests": 1_000_001}), "cost.requests: expected a whole number from 1 to 1000000, found 1000001".to_owned()),
        (json!({"reserve_bytes": 1}), "cost.reserve_bytes: expected a limit in bytes beside it, found one in requests".to_owned()),
        (
            json!({"requests": 101}),
            "limit.rate.requests: expected a limit of at least what one request takes: nobody would be admitted".to_owned(),
        ),
        (json!({"response": {"status": []}}), "cost.response.status: expected a list of at least one, found an empty one".to_owned()),
        (json!({"response": {"status": [600]}}), format!("cost.response.status[0]: {statuses} (600)")),
        (json!({"response": {"status": [429.0]}}), format!("cost.response.status[0]: {statuses} (429.0)")),
        (json!({"response": {"not_status": ["504-500"]}}), format!("cost.response.not_status[0]: {statuses} (\"504-500\")")),
        (json!({"response": {"not_status": ["6xx"]}}), format!("cost.response.not_status[0]: {statuses} (\"6xx\")")),
        (json!({"response": {"is": [429]}}), "cost.response: expected a mapping with `status` or `not_status`, found `is`".to_owned()),
    ] {
        assert_eq!(wrong_in("cost", cost.clone()), [format!("quotas.q.{expected}")], "{cost}");
    }
    let bytes = |cost: Value| {
        policy(|quota| {
            quota["limit"] = json!({"fixed_window": {"bytes": 1000, "window": "1m"}});
            quota["cost"] = cost;
        })
    };
    assert_eq!(wrong(&bytes(json!({"reserve_bytes": 1000}))), [""; 0]);
    let takes = "expected a limit of at least what one request takes: nobody would be admitted";
    assert_eq!(wrong(&bytes(json!({"reserve_bytes": 1001}))), [format!("quotas.q.limit.fixed_window.bytes: {takes}")]);
    let none = "quotas.q.cost.requests: expected no number of requests beside a limit in bytes";
    assert_eq!(wrong(&bytes(json!({"requests": 2}))), [none]);
    let bursts = policy(|quota| {
        quota["limit"]["rate"]["burst"] = json!(4);
        quota["cost"] = json!({"requests": 5});
    });
    assert_eq!(wrong(&bursts), ["quotas.q.limit.rate.burst: expected a burst of at least what one request costs"]);
    let trusting = policy(|quota| quota["cost"] = json!({"when": {"signed_hop": "valid"}}));
    assert!(wrong(&trusting)[0].starts_with("quotas.q.cost.when"), "{:?}", wrong(&trusting));
}

#[test]
fn headers_are_names_of_their_own() {
    for (headers, expected) in [
        (
            json!({"total": "content-length"}),
            "total: expected a header that means nothing else to gateways and services, found \"content-length\"",
        ),
        (
            json!({"retry_after": "Retry-After"}),
            "retry_after: expected a header that means nothing else to gateways and services, found \"Retry-After\"",
        ),
        (json!({"remaining": "a b"}), "remaining: expected a name of letters, digits and !#$%&'*+-.^_`|~, found \"a b\""),
        (json!({"remaining": "x-left", "total": "X-Left"}), "total: expected a header of its own, found \"X-Left\""),
    ] {
        assert_eq!(wrong_in("headers", headers.clone()), [format!("quotas.q.headers.{expected}")], "{headers}");
    }
    assert_eq!(wrong_in("headers", json!({"retry_after": "x-wait", "remaining": "X-RateLimit-Remaining"})), [""; 0]);
    assert_eq!(wrong_in("mode", json!("off")), ["quotas.q.mode: expected `enforce` or `shadow`, found \"off\""]);
}

#[test]
fn what_a_gateway_counts_for_long_it_is_told_to_forget() {
    let local = "expected `volatile: true` beside a limit of an hour and longer: what this gateway counts is lost when it restarts, and is each \
                 gateway's own; or `global`, which keeps it";
    for limit in [
        json!({"rate": {"requests": 1, "window": "1h"}}),
        json!({"sliding_window": {"requests": 1, "window": "60m"}}),
        json!({"fixed_window": {"bytes": 1, "window": "3600s"}}),
        json!({"calendar": {"requests": 1, "period": "hour"}}),
    ] {
        assert_eq!(wrong_in("limit", limit.clone()), [format!("quotas.q.enforcement.local: {local}")], "{limit}");
        let told = policy(|quota| (quota["limit"], quota["enforcement"]) = (limit.clone(), json!({"local": {"volatile": true}})));
        let note = "what this gateway counts is lost when it restarts, and is each gateway's own";
        assert_eq!(warnings(&told), [format!("quotas.q.enforcement.local.volatile: {note}")], "{limit}");
    }
    let short = policy(|quota| quota["enforcement"]["local"]["volatile"] = json!(true));
    assert_eq!(warnings(&short), [""; 0], "a minute is forgotten anyway");
    for (local, expected) in [
        (json!({"slots": 0}), "slots: expected a whole number from 1 to 1048576, found 0"),
        (json!({"slots": 1_048_577}), "slots: expected a whole number from 1 to 1048576, found 1048577"),
        (json!({"on_full": "wait"}), "on_full: expected `admit` or `refuse` or `shared_bucket`, found \"wait\""),
        (json!({"volatile": "yes"}), "volatile: expected `true` or `false`, found \"yes\""),
    ] {
        assert_eq!(wrong_in("enforcement", json!({ "local": local })), [format!("quotas.q.enforcement.local.{expected}")], "{local}");
    }
    assert_eq!(
        wrong_in("enforcement", json!("local")),
        ["quotas.q.enforcement: expected a mapping with `local` or `global`, found \"local\""]
    );
}

#[test]
fn what_a_service_counts_it_can_count() {
    let served = |more: Value| policy(|quota| (quota["limit"], quota["enforcement"]) = (monthly(), global(more)));
    assert_eq!(wrong(&served(json!({}))), [""; 0]);
    let at = "quotas.q.enforcement.global";
    for (more, expected) in [
        (json!({"cluster": ""}), "cluster: expected text of at least one character, found \"\""),
        (json!({"cluster": "c".repeat(126)}), &format!("cluster: expected a name of at most 125 bytes, found \"{}\"…", "c".repeat(40))),
        (json!({"domain": 1}), "domain: expected text, found 1"),
        (json!({"timeout": "0ms"}), "timeout: expected a duration from 1ms to 10s, found \"0ms\""),
        (json!({"timeout": "11s"}), "timeout: expected a duration from 1ms to 10s, found \"11s\""),
        (json!({"mode": "fast"}), "mode: expected `exact`, or a mapping with `lease`, found \"fast\""),
        (json!({"mode": {"lease": {}}}), "mode.lease: expected a field `max_slice`, found none"),
        (json!({"mode": {"lease": {"max_slice": 0}}}), "mode.lease.max_slice: expected a whole number from 1 to 1000000000, found 0"),
        (
            json!({"mode": {"lease": {"max_slice": 1, "duration": "99ms"}}}),
            "mode.lease.duration: expected a duration from 100ms to 1h, found \"99ms\"",
        ),
        (json!({"on_unavailable": "wait"}), "on_unavailable: expected `admit` or `refuse`, or a mapping with `local`, found \"wait\""),
        (json!({"on_unavailable": {"local": {}}}), "on_unavailable.local: expected a field `share`, found none"),
        (
            json!({"on_unavailable": {"local": {"share": 0}}}),
            "on_unavailable.local.share: expected a part above 0 and up to 1, in thousandths, such as 0.5, found 0",
        ),
        (
            json!({"on_unavailable": {"local": {"share": 1.001}}}),
            "on_unavailable.local.share: expected a part above 0 and up to 1, in thousandths, such as 0.5, found 1.001",
        ),
        (
            json!({"on_unavailable": {"local": {"share": 0.0005}}}),
            "on_unavailable.local.share: expected a part above 0 and up to 1, in thousandths, such as 0.5, found 0.0005",
        ),
        (json!({"breaker": {"failures": 0}}), "breaker.failures: expected a whole number from 1 to 1000000, found 0"),
        (json!({"breaker": {"retry_after": "11m"}}), "breaker.retry_after: expected a duration from 100ms to 10m, found \"11m\""),
        (json!({"slots": 0}), "slots: expected a whole number from 1 to 1048576, found 0"),
    ] {
        assert_eq!(wrong(&served(more.clone())), [format!("{at}.{expected}")], "{more}");
    }
    let slices = |max_slice: u64| warnings(&served(json!({"mode": {"lease": {"max_slice": max_slice}}})));
    assert_eq!(slices(99), [""; 0]);
    let whole = "one slice may be the whole limit, which leaves other gateways none until its window is over";
    assert_eq!(slices(100), [format!("{at}.mode.lease.max_slice: {whole}")]);
    for field in ["cluster", "domain", "on_unavailable"] {
        let mut without = served(json!({}));
        without["quotas"]["q"]["enforcement"]["global"].as_object_mut().unwrap().remove(field);
        assert_eq!(wrong(&without), [format!("{at}: expected a field `{field}`, found none")]);
    }
    let windows = "quotas.q.limit: expected `fixed_window` or `calendar` beside `global`: a rate-limit service counts in windows";
    for limit in [json!({"rate": {"requests": 1, "window": "1m"}}), json!({"sliding_window": {"requests": 1, "window": "1m"}})] {
        let mut rates = served(json!({}));
        rates["quotas"]["q"]["limit"] = limit;
        assert_eq!(wrong(&rates), [windows]);
    }
    let own = "quotas.q.limit_from: expected `products` beside `global`: a rate-limit service's own configuration holds its limits";
    let claim = json!({"claim": {"provider": "people", "path": "quota", "at_most": 10}});
    for from in [claim, json!({"route_metadata": {"at_most": 10}})] {
        let mut limits = served(json!({}));
        limits["quotas"]["q"]["limit_from"] = from;
        assert_eq!(wrong(&limits), [own]);
    }
    let mut bytes = served(json!({}));
    bytes["quotas"]["q"]["limit"] = json!({"calendar": {"bytes": 1000, "period": "day"}});
    let late = "expected `mode: {lease: …}` beside a limit in bytes: they are known when it is too late to ask";
    assert_eq!(wrong(&bytes), [format!("{at}: {late}")]);
    let mut responses = served(json!({}));
    responses["quotas"]["q"]["cost"] = json!({"response": {"status": ["2xx"]}});
    let back = "expected `mode: {lease: …}` beside a cost that depends on the response: a service takes nothing back";
    assert_eq!(wrong(&responses), [format!("quotas.q.cost.response: {back}")]);
    let lease = json!({"mode": {"lease": {"max_slice": 10}}});
    for (field, value) in
        [("limit", json!({"calendar": {"bytes": 1000, "period": "day"}})), ("cost", json!({"response": {"status": ["2xx"]}}))]
    {
        let mut leased = served(lease.clone());
        leased["quotas"]["q"][field] = value;
        assert_eq!(wrong(&leased), [""; 0], "{field}");
    }
}

/// Limitador has the entries of a descriptor by their names.
#[test]
fn no_two_parts_of_a_key_are_the_same_to_a_service() {
    let keyed = |key: &Value, enforcement: Value| {
        policy(|quota| {
            (quota["key"], quota["key_absent"]) = (key.clone(), json!("skip"));
            (quota["limit"], quota["enforcement"]) = (json!({"fixed_window": {"requests": 10, "window": "1m"}}), enforcement);
        })
    };
    for (key, name) in [
        (json!(["route", {"header": "X-Shop"}, {"header": "x_shop"}]), "header_x_shop"),
        (json!([{"claim": {"path": "tid"}}, "method", {"claim": {"provider": "people", "path": "/tid"}}]), "claim_tid"),
        (json!(["source", "route", {"source": {"ipv4_prefix": 8}}]), "source"),
        (json!([{"literal": "a"}, {"query": "a"}, {"literal": "b"}]), "literal"),
    ] {
        let expected =
            format!("quotas.q.key[2]: expected a part under a name of its own beside `global`: to a rate-limit service two are `{name}`");
        assert_eq!(wrong(&keyed(&key, global(json!({})))), [expected]);
        assert_eq!(wrong(&keyed(&key, json!({"local": {}}))), [""; 0], "this gateway tells them apart: {key}");
    }
}

#[test]
fn routes_name_quotas_that_there_are() {
    let routed = |quotas: Value| {
        let mut policy = policy(|_| {});
        policy["routes"][0]["quotas"] = quotas;
        policy
    };
    assert_eq!(wrong(&routed(json!(["q", "p"]))), ["routes[0].quotas[1]: expected a name in `quotas`, found \"p\""]);
    assert_eq!(wrong(&routed(json!(["q", "q"]))), ["routes[0].quotas[1]: expected each of the list once, found \"q\""]);
    let many: Vec<String> = (0..17).map(|number| format!("q{number}")).collect();
    assert_eq!(wrong(&routed(json!(many))), ["routes[0].quotas: expected at most 16 quotas, found 17"]);
    for name in ["Q", "a.b", "-a", "_a", "é", &"a".repeat(65)] {
        let mut named = routed(json!([]));
        let quota = named["quotas"]["q"].take();
        named["quotas"] = json!({ name: quota });
        let found = wrong(&named);
        let expected = "expected a name of at most 64 lower-case letters, digits, `-` and `_`, found another";
        assert!(found.len() == 1 && found[0].ends_with(expected), "{name}: {found:?}");
    }
    let mut many = routed(json!([]));
    let quota = many["quotas"]["q"].clone();
    many["quotas"] = Value::Object((0..65).map(|number| (format!("q{number}"), quota.clone())).collect());
    assert_eq!(wrong(&many), ["quotas: expected at most 64 quotas, found 65"]);
}

#[test]
fn what_is_perhaps_not_meant_is_said() {
    assert_eq!(warnings(&policy(|_| {})), [""; 0]);
    let mut unused = policy(|_| {});
    unused["routes"][0]["quotas"] = json!([]);
    assert_eq!(warnings(&unused), ["quotas.q: no route is limited by it"]);
    for (key, asks) in [(json!(["subscription"]), true), (json!(["caller"]), true), (json!(["source"]), false)] {
        let mut anonymous = policy(|quota| (quota["key"], quota["key_absent"]) = (key.clone(), json!("skip")));
        assert_eq!(warnings(&anonymous), [""; 0], "{key}");
        anonymous["routes"][0]["rules"][0]["mode"] = json!("shadow");
        let note = "routes[0].quotas[0]: nobody is asked who calls here: no rule of this route that is enforced requires a caller";
        let expected: &[&str] = if asks { &[note] } else { &[] };
        assert_eq!(warnings(&anonymous), expected, "{key}");
    }
}

#[test]
fn all_that_is_wrong_with_limits_comes_at_once_with_line_and_column() {
    let text = r#"{"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
"quotas": {
  "a": {"limit": {"rate": {"requests": 5, "window": "25h"}}, "key": ["route"],
        "enforcement": {"local": {"slots": 0}}},
  "b": {"limit": {"calendar": {"requests": 5, "period": "day"}}, "key": [
          "subscription"], "enforcement": {"local": {}}}},
"routes": [{"name": "r", "quotas": ["a", "c"]}]}"#;
    assert_eq!(
        findings(text),
        [
            "3:53: quotas.a.limit.rate.window: expected a duration from 1s to 24h, found \"25h\"",
            "4:44: quotas.a.enforcement.local.slots: expected a whole number from 1 to 1048576, found 0",
            "5:73: quotas.b.key: expected `key_absent`: what becomes of a request without a part of the key, `skip`, `refuse` or `shared_bucket`",
        ],
        "what routes name is looked at once the quotas read"
    );
}

#[test]
fn a_quotas_canonical_form_is_the_same_quota() {
    let written = policy(|quota| {
        *quota = json!({
            "limit": {"calendar": {"bytes": 1_000_000, "period": "week", "first_period_start": "2026-11-01T02:00:00+02:00"}},
            "limit_from": {"products": {"gold": 5_000_000}}, "key": ["source", {"header": "X-Shop"}], "key_absent": "shared_bucket",
            "cost": {"reserve_bytes": 10, "response": {"not_status": [429, "5xx"]}},
            "enforcement": global(json!({"mode": {"lease": {"max_slice": 7}}, "on_unavailable": {"local": {"share": 0.50}}})),
            "mode": "shadow",
        });
    });
    let loaded = Policy::from_json(written.to_string().as_bytes()).unwrap();
    let canonical: Value = serde_json::from_str(&loaded.canonical).unwrap();
    let expected = json!({
        "limit": {"calendar": {"bytes": 1_000_000, "period": "week", "time_zone": "UTC", "first_period_start": "2026-11-01T02:00:00+02:00"}},
        "limit_from": {"products": {"gold": 5_000_000}},
        "key": [{"source": {"ipv4_prefix": 32, "ipv6_prefix": 64}}, {"header": "X-Shop"}], "key_absent": "shared_bucket",
        "cost": {"requests": 1, "reserve_bytes": 10, "response": {"not_status": ["429", "5xx"]}},
        "enforcement": {"global": {
            "cluster": "limits", "domain": "shop", "timeout": "20ms", "mode": {"lease": {"max_slice": 7, "duration": "10s"}},
            "on_unavailable": {"local": {"share": 0.5}}, "breaker": {"failures": 5, "retry_after": "5s"}, "slots": 4096,
        }},
        "headers": {}, "mode": "shadow",
    });
    assert_eq!(canonical["quotas"]["q"], expected);
    let again = Policy::from_json(loaded.canonical.as_bytes()).unwrap();
    assert_eq!(again.policy.fingerprint, loaded.policy.fingerprint);
    assert_eq!(again.policy.quota.quotas, loaded.policy.quota.quotas);
}
