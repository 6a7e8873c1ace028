// SPDX-License-Identifier: Apache-2.0
//! Limits of every kind, and changes to them.

use serde_json::{Value, json};

/// Adds what this file changes to a policy with callers.
pub(super) fn extend(policy: &mut Value) {
    policy["responses"]["rate_limit_headers"] = json!(["ratelimit", "x_ratelimit", "x_ratelimit_epoch"]);
    let local = json!({"local": {"slots": 16, "on_full": "admit", "volatile": true}});
    let global = json!({"global": {
        "cluster": "limits", "domain": "shop", "timeout": "30ms", "mode": {"lease": {"max_slice": 100, "duration": "5s"}},
        "on_unavailable": {"local": {"share": 0.25}}, "breaker": {"failures": 3, "retry_after": "2s"}, "slots": 64,
    }});
    let headers = json!({"retry_after": "X-Wait", "remaining": "X-Left", "total": "X-Total"});
    policy["quotas"] = json!({
        "rate": {
            "limit": {"rate": {"requests": 100, "window": "1m", "burst": 20}},
            "limit_from": {"claim": {"provider": "inline", "path": "/limits/rate", "at_most": 1000}},
            "key": [
                "subscription", "product", "caller", "source", "route", "method",
                {"claim": {"provider": "inline", "path": "tid"}}, {"source": {"ipv4_prefix": 24, "ipv6_prefix": 48}}, {"header": "X-Shop"},
                {"query": "shop"}, {"literal": "all"},
            ],
            "key_absent": "skip",
            "cost": {
                "requests": 2, "when": {"method": ["GET"]}, "response": {"not_status": [429, "5xx", "400-404"]},
            },
            "enforcement": local,
            "headers": headers,
            "mode": "enforce",
        },
        "sliding": {
            "limit": {"sliding_window": {"requests": 10, "window": "30s"}},
            "limit_from": {"route_metadata": {"at_most": 50}},
            "key": ["route"],
            "enforcement": {"local": {}},
            "mode": "shadow",
        },
        "fixed": {
            "limit": {"fixed_window": {"bytes": 1_000_000, "window": "24h", "first_period_start": "2026-11-01T02:00:00+02:00"}},
            "key": [{"header": "X-Shop"}],
            "key_absent": "shared_bucket",
            "cost": {"reserve_bytes": 1024},
            "enforcement": global,
        },
        "monthly": {
            "limit": {"calendar": {
                "requests": 50_000, "period": "month", "time_zone": "Europe/Amsterdam", "first_period_start": "2026-11-05T00:00:00Z",
            }},
            "limit_from": {"products": {"gold": 100_000, "tin": 10_000}},
            "key": ["subscription"],
            "key_absent": "refuse",
            "enforcement": {"global": {"cluster": "counts", "domain": "shop", "mode": "exact", "on_unavailable": "refuse"}},
        },
    });
    policy["routes"][0]["quotas"] = json!(["rate", "monthly"]);
    policy["routes"][2]["quotas"] = json!(["sliding", "fixed"]);
}

/// Changes that the reader accepts.
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
    let lease = |more: Value| json!({ "lease": more });
    let mut changes = vec![
        ("/responses/rate_limit_headers", json!([])),
        ("/responses/rate_limit_headers", json!(["x_ratelimit_epoch"])),
        ("/routes/0/quotas", json!([])),
        ("/routes/1", json!({"name": "health", "quotas": ["fixed", "sliding", "monthly", "rate"]})),
        ("/quotas/rate/limit/rate", json!({"requests": 2, "window": "1s"})),
        ("/quotas/rate/limit/rate/requests", json!((1_u64 << 53) - 1)),
        ("/quotas/rate/limit/rate/window", json!("24h")),
        ("/quotas/rate/limit", json!({"calendar": {"requests": 9, "period": "lifetime"}})),
        ("/quotas/rate/limit_from/claim/path", json!("quota")),
        ("/quotas/rate/key", json!(["source"])),
        ("/quotas/rate/key", json!([{"source": {}}])),
        ("/quotas/rate/key", json!([{"source": {"ipv4_prefix": 0, "ipv6_prefix": 128}}, {"claim": {"path": "/a~1b"}}])),
        ("/quotas/rate/key/8/header", json!("!#$%&'*+-.^_`|~")),
        ("/quotas/rate/key/9/query", json!("page[size]")),
        ("/quotas/rate/key_absent", json!("shared_bucket")),
        ("/quotas/rate/key_absent", json!("refuse")),
        ("/quotas/rate/cost", json!({})),
        ("/quotas/rate/cost/response", json!({"status": [100, 599, "1xx", "599", "500-500"]})),
        ("/quotas/rate/enforcement/local/slots", json!(1)),
        ("/quotas/rate/enforcement/local/slots", json!(1 << 20)),
        ("/quotas/rate/enforcement/local/volatile", json!(false)),
        ("/quotas/rate/headers", json!({})),
        ("/quotas/rate/headers/total", json!("X-RateLimit-Limit")),
        ("/quotas/rate/mode", json!("shadow")),
        ("/quotas/sliding/limit/sliding_window/requests", json!(1)),
        ("/quotas/sliding/limit", json!({"fixed_window": {"requests": 1, "window": "1s"}})),
        ("/quotas/sliding/enforcement/local", json!({"slots": 2, "on_full": "refuse"})),
        ("/quotas/fixed/limit/fixed_window", json!({"bytes": 1024, "window": "99999h99999h99999h99999h"})),
        ("/quotas/fixed/limit/fixed_window/first_period_start", json!("2024-02-29T23:59:59Z")),
        ("/quotas/fixed/cost/reserve_bytes", json!(0)),
        ("/quotas/fixed/enforcement/global/cluster", json!("c".repeat(125))),
        ("/quotas/fixed/enforcement/global/timeout", json!("1ms")),
        ("/quotas/fixed/enforcement/global/timeout", json!("10s")),
        ("/quotas/fixed/enforcement/global/mode", lease(json!({"max_slice": 1}))),
        ("/quotas/fixed/enforcement/global/mode", lease(json!({"max_slice": 1_000_000_000, "duration": "1h"}))),
        ("/quotas/fixed/enforcement/global/mode/lease/duration", json!("100ms")),
        ("/quotas/fixed/enforcement/global/on_unavailable", json!("admit")),
        ("/quotas/fixed/enforcement/global/breaker", json!({})),
        ("/quotas/fixed/enforcement/global/breaker/failures", json!(1)),
        ("/quotas/fixed/enforcement/global/breaker/failures", json!(1_000_000)),
        ("/quotas/fixed/enforcement/global/breaker/retry_after", json!("100ms")),
        ("/quotas/fixed/enforcement/global/breaker/retry_after", json!("10m")),
        ("/quotas/monthly/limit/calendar", json!({"requests": 1, "period": "day"})),
        ("/quotas/monthly/limit/calendar/time_zone", json!("US/Pacific")),
        ("/quotas/monthly/limit_from/products", json!({" ": 1})),
        ("/quotas/monthly/enforcement/global", json!({"cluster": " ", "domain": " ", "on_unavailable": {"local": {"share": 1}}})),
    ];
    for share in [json!(0.001), json!(0.5), json!(0.50), json!(1.0), json!(1)] {
        changes.push((SHARE, share));
    }
    for period in ["hour", "day", "week", "lifetime"] {
        changes.push(("/quotas/monthly/limit/calendar/period", json!(period)));
    }
    changes
}

/// `None` takes the field away.
pub(super) fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let mut changes: Vec<(&'static str, Option<Value>)> = [
        "/quotas/rate/limit",
        "/quotas/rate/limit/rate/requests",
        "/quotas/rate/limit/rate/window",
        "/quotas/rate/limit_from/claim/provider",
        "/quotas/rate/limit_from/claim/path",
        "/quotas/rate/limit_from/claim/at_most",
        "/quotas/rate/key",
        "/quotas/rate/key/6/claim/path",
        "/quotas/rate/enforcement",
        "/quotas/sliding/limit/sliding_window/requests",
        "/quotas/sliding/limit/sliding_window/window",
        "/quotas/sliding/limit_from/route_metadata/at_most",
        "/quotas/fixed/limit/fixed_window/bytes",
        "/quotas/fixed/limit/fixed_window/window",
        "/quotas/fixed/enforcement/global/cluster",
        "/quotas/fixed/enforcement/global/domain",
        "/quotas/fixed/enforcement/global/on_unavailable",
        "/quotas/fixed/enforcement/global/mode/lease/max_slice",
        SHARE,
        "/quotas/monthly/limit/calendar/requests",
        "/quotas/monthly/limit/calendar/period",
    ]
    .map(|place| (place, None))
    .into();
    let amounts = [json!(0), json!(-1), json!(1_u64 << 53), json!(0.5), json!("1"), json!(null)];
    for place in [
        "/quotas/rate/limit/rate/requests",
        "/quotas/rate/limit/rate/burst",
        "/quotas/rate/limit_from/claim/at_most",
        "/quotas/sliding/limit/sliding_window/requests",
        "/quotas/sliding/limit_from/route_metadata/at_most",
        "/quotas/fixed/limit/fixed_window/bytes",
        "/quotas/monthly/limit/calendar/requests",
        "/quotas/monthly/limit_from/products/gold",
    ] {
        changes.extend(amounts.iter().map(|amount| (place, Some(amount.clone()))));
    }
    for place in [
        "/quotas/rate/limit/rate/window",
        "/quotas/sliding/limit/sliding_window/window",
        "/quotas/fixed/limit/fixed_window/window",
        "/quotas/fixed/enforcement/global/timeout",
        "/quotas/fixed/enforcement/global/mode/lease/duration",
        "/quotas/fixed/enforcement/global/breaker/retry_after",
    ] {
        changes.extend([json!(60), json!(""), json!("60"), json!("1d"), json!("1.5s"), json!(null)].map(|word| (place, Some(word))));
    }
    for (place, words) in [
        ("/responses/rate_limit_headers", vec![json!(["RateLimit"]), json!(["ratelimit", "ratelimit"]), json!("ratelimit"), json!(null)]),
        ("/routes/0/quotas", vec![json!("rate"), json!(["rate", "rate"]), json!([1]), json!([""]), json!({}), json!(null)]),
        ("/quotas", vec![json!([]), json!(null), json!("rate"), json!({"Rate": {}}), json!({"-a": {}}), json!({"a": null})]),
        ("/quotas/rate", vec![json!({}), json!([]), json!(null), json!("rate")]),
        (
            "/quotas/rate/limit",
            vec![
                json!({}),
                json!("rate"),
                json!(null),
                json!({"rate": {}}),
                json!({"rate": {"requests": 1, "window": "1m", "period": "day"}}),
                json!({"rate": {"requests": 2, "window": "1m"}, "calendar": {"requests": 2, "period": "day"}}),
                json!({"sliding_window": {"requests": 2, "window": "1m", "burst": 2}}),
                json!({"token_bucket": {"requests": 2, "window": "1m"}}),
                json!({"fixed_window": {"requests": 2, "bytes": 2, "window": "1m"}}),
                json!({"calendar": {"requests": 2, "bytes": 2, "period": "day"}}),
            ],
        ),
        (
            "/quotas/rate/limit_from",
            vec![
                json!({}),
                json!(null),
                json!("claim"),
                json!({"claim": "quota"}),
                json!({"header": {"name": "x", "at_most": 1}}),
                json!({"products": {}}),
                json!({"products": {"": 1}}),
                json!({"products": ["gold"]}),
                json!({"products": {"gold": 1}, "route_metadata": {"at_most": 1}}),
                json!({"route_metadata": {"at_most": 1, "name": "x"}}),
            ],
        ),
        ("/quotas/rate/limit_from/claim/provider", vec![json!(""), json!(1), json!(null)]),
        ("/quotas/rate/limit_from/claim/path", vec![json!(""), json!(1), json!("x".repeat(257))]),
        (
            "/quotas/rate/key",
            vec![
                json!([]),
                json!("route"),
                json!({}),
                json!(null),
                json!(["address"]),
                json!(["claim"]),
                json!([1]),
                json!([[]]),
                json!([{}]),
                json!([{"subscription": true}]),
                json!([{"claim": "tid"}]),
                json!([{"claim": {"path": "tid", "separator": ","}}]),
                json!([{"claim": {"provider": "", "path": "tid"}}]),
                json!([{"source": null}]),
                json!([{"source": {"prefix": 8}}]),
                json!([{"source": {"ipv4_prefix": 33}}]),
                json!([{"source": {"ipv6_prefix": 129}}]),
                json!([{"source": {"ipv4_prefix": -1}}]),
                json!([{"source": {"ipv4_prefix": "8"}}]),
                json!([{"header": ""}]),
                json!([{"header": "a b"}]),
                json!([{"header": "é"}]),
                json!([{"query": ""}]),
                json!([{"literal": 1}]),
                json!([{"header": "a", "query": "b"}]),
            ],
        ),
        ("/quotas/rate/key_absent", vec![json!("admit"), json!("Skip"), json!(true), json!(null)]),
        ("/quotas/rate/cost", vec![json!([]), json!(null), json!(2), json!({"bytes": 1})]),
        ("/quotas/rate/cost/requests", vec![json!(0), json!(1_000_001), json!("1"), json!(0.5), json!(null)]),
        ("/quotas/rate/cost/when", vec![json!({}), json!(null), json!({"all": []}), json!("GET")]),
        (
            "/quotas/rate/cost/response",
            vec![
                json!({}),
                json!(null),
                json!([429]),
                json!({"status": []}),
                json!({"status": [99]}),
                json!({"status": [600]}),
                json!({"status": ["6xx"]}),
                json!({"status": ["5XX"]}),
                json!({"status": [""]}),
                json!({"status": ["50"]}),
                json!({"status": ["500-"]}),
                json!({"status": ["500-600"]}),
                json!({"status": [null]}),
                json!({"status": 429}),
                json!({"status": [429], "not_status": [500]}),
            ],
        ),
        (
            "/quotas/rate/enforcement",
            vec![json!({}), json!("local"), json!(null), json!({"shared": {}}), json!({"local": {}, "global": {}})],
        ),
        ("/quotas/rate/enforcement/local", vec![json!([]), json!(null), json!({"size": 1})]),
        ("/quotas/rate/enforcement/local/slots", vec![json!(0), json!((1 << 20) + 1), json!("16"), json!(null)]),
        ("/quotas/rate/enforcement/local/on_full", vec![json!("skip"), json!("Admit"), json!(null)]),
        ("/quotas/rate/enforcement/local/volatile", vec![json!("yes"), json!(1), json!(null)]),
        ("/quotas/rate/headers", vec![json!([]), json!(null), json!({"reset": "x"})]),
        ("/quotas/rate/headers/total", vec![json!(""), json!("a b"), json!(1), json!("Cookie"), json!("AUTHORIZATION")]),
        ("/quotas/rate/mode", vec![json!("off"), json!("Shadow"), json!(null)]),
        ("/quotas/fixed/cost/reserve_bytes", vec![json!(-1), json!(1_u64 << 53), json!("1"), json!(null)]),
        (
            "/quotas/fixed/limit/fixed_window/first_period_start",
            vec![
                json!("2026-11-01"),
                json!("2026-11-01T00:00:00"),
                json!("2026-11-01T00:00:00.5Z"),
                json!("2026-11-01T00:00:00+0200"),
                json!(0),
            ],
        ),
        ("/quotas/fixed/enforcement/global", vec![json!({}), json!(null), json!([])]),
        ("/quotas/fixed/enforcement/global/cluster", vec![json!(""), json!("c".repeat(126)), json!(1), json!(null)]),
        ("/quotas/fixed/enforcement/global/domain", vec![json!(""), json!(1), json!(null)]),
        (
            "/quotas/fixed/enforcement/global/mode",
            vec![
                json!("lease"),
                json!("Exact"),
                json!({}),
                json!(null),
                json!({"exact": {}}),
                json!({"lease": {}}),
                json!({"lease": {"max_slice": 0}}),
                json!({"lease": {"max_slice": 1_000_000_001}}),
                json!({"lease": {"max_slice": 1, "size": 1}}),
            ],
        ),
        (
            "/quotas/fixed/enforcement/global/on_unavailable",
            vec![json!("wait"), json!({}), json!("local"), json!(null), json!({"local": {}}), json!({"local": {"share": 1, "slots": 1}})],
        ),
        (SHARE, vec![json!(0), json!(-0.5), json!(1.001), json!(2), json!("0.5"), json!(null)]),
        ("/quotas/fixed/enforcement/global/breaker", vec![json!([]), json!(null), json!({"pause": "1s"})]),
        ("/quotas/fixed/enforcement/global/breaker/failures", vec![json!(0), json!(1_000_001), json!("5"), json!(null)]),
        ("/quotas/fixed/enforcement/global/slots", vec![json!(0), json!((1 << 20) + 1), json!("16"), json!(null)]),
        ("/quotas/monthly/limit/calendar/period", vec![json!("year"), json!("Month"), json!(1), json!(null)]),
        ("/quotas/monthly/limit/calendar/time_zone", vec![json!(""), json!(1), json!(null)]),
    ] {
        changes.extend(words.into_iter().map(|word| (place, Some(word))));
    }
    for place in [
        "/quotas/rate",
        "/quotas/rate/limit/rate",
        "/quotas/rate/limit_from/claim",
        "/quotas/rate/cost",
        "/quotas/rate/enforcement/local",
        "/quotas/rate/headers",
        "/quotas/sliding/limit/sliding_window",
        "/quotas/sliding/limit_from/route_metadata",
        "/quotas/fixed/limit/fixed_window",
        "/quotas/fixed/enforcement/global",
        "/quotas/fixed/enforcement/global/mode/lease",
        "/quotas/fixed/enforcement/global/on_unavailable/local",
        "/quotas/fixed/enforcement/global/breaker",
        "/quotas/monthly/limit/calendar",
    ] {
        let mut document = super::whole();
        if let Some(fields) = document.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.insert("unheard_of".to_owned(), json!(1));
        }
        changes.push((place, document.pointer(place).cloned()));
    }
    changes
}

pub(super) fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let together = "sections hang together";
    let added = "durations are added up";
    let end = "what a text stands for is known to its reader";
    vec![
        ("/routes/0/quotas", json!(["rate", "nowhere"]), together),
        ("/quotas/rate/limit/rate/burst", json!(1), together),
        ("/quotas/rate/limit/rate/burst", json!(1_000_000), "a burst is free again within a year"),
        ("/quotas/rate/limit/rate/requests", json!(1), "a request costs no more than the limit"),
        ("/quotas/rate/limit/rate/requests", json!(100.0), "in JSON Schema 100.0 is the integer 100"),
        ("/quotas/rate/limit/rate/window", json!("0s"), added),
        ("/quotas/rate/limit/rate/window", json!("24h1s"), added),
        ("/quotas/rate/limit_from/claim/provider", json!("nobody"), together),
        ("/quotas/rate/limit_from/claim/provider", json!("partners"), together),
        ("/quotas/rate/limit_from/claim/path", json!("/a~2b"), end),
        ("/quotas/rate/key/6/claim/provider", json!("mesh"), together),
        ("/quotas/rate/cost/requests", json!(21), together),
        ("/quotas/rate/cost", json!({"reserve_bytes": 1}), together),
        ("/quotas/rate/cost/when", json!({"route": ["read"]}), together),
        ("/quotas/rate/cost/response", json!({"status": ["504-500"]}), end),
        ("/quotas/rate/cost/response", json!({"status": [429.0]}), "in JSON Schema 429.0 is the integer 429"),
        ("/quotas/rate/headers/total", json!("Content-Length"), end),
        ("/quotas/rate/headers/retry_after", json!("Retry-After"), end),
        ("/quotas/rate/headers/total", json!("x-left"), "each tells one thing"),
        ("/quotas/rate/enforcement", json!({"global": {"cluster": "a", "domain": "b", "on_unavailable": "admit"}}), together),
        ("/quotas/sliding/key", json!(["source"]), together),
        ("/quotas/sliding/key", json!(["subscription", "route"]), together),
        ("/quotas/sliding/limit", json!({"calendar": {"requests": 1, "period": "hour"}}), together),
        ("/quotas/sliding/limit/sliding_window/window", json!("1h"), together),
        ("/quotas/fixed/limit/fixed_window/window", json!("999ms"), added),
        ("/quotas/fixed/limit/fixed_window/bytes", json!(1023), "what is reserved is no more than the limit"),
        ("/quotas/fixed/limit/fixed_window/first_period_start", json!("2026-02-29T00:00:00Z"), end),
        ("/quotas/fixed/limit/fixed_window/first_period_start", json!("2026-11-01T24:00:00Z"), end),
        ("/quotas/fixed/cost", json!({"requests": 2}), together),
        ("/quotas/fixed/key", json!([{"header": "x-a"}, {"header": "x_a"}]), "a service has entries by their names"),
        ("/quotas/fixed/enforcement/global/mode", json!("exact"), together),
        ("/quotas/fixed/enforcement/global/cluster", json!("é".repeat(63)), "a name is counted in bytes"),
        ("/quotas/fixed/enforcement/global/timeout", json!("0s"), added),
        ("/quotas/fixed/enforcement/global/timeout", json!("10001ms"), added),
        ("/quotas/fixed/enforcement/global/mode/lease/duration", json!("2h"), added),
        ("/quotas/fixed/enforcement/global/breaker/retry_after", json!("99ms"), added),
        (SHARE, json!(0.0005), "more decimals than count"),
        ("/quotas/monthly/limit/calendar/time_zone", json!("Europe/Atlantis"), end),
        ("/quotas/monthly/limit_from", json!({"route_metadata": {"at_most": 1}}), together),
    ]
}

const SHARE: &str = "/quotas/fixed/enforcement/global/on_unavailable/local/share";
