// SPDX-License-Identifier: Apache-2.0
//! Limits in words.

use serde::Serialize;
use tracegate::quota::WAYS;

use super::document::Mode;
use super::quota::{
    Cost, Enforcement, Global, GlobalMode, KeyAbsent, KeyPart, Limit, LimitFrom, Local, OnFull, OnUnavailable, Quota, Response,
};
use super::words::{any, join, word};

/// A quota, and what whoever is above it gets.
#[derive(Debug, Serialize)]
pub(super) struct ExplainedQuota {
    pub(super) name: String,
    /// API Management's: of a rate 429, of a quota 403.
    status: u16,
    #[serde(flatten)]
    quota: Quota,
}

impl ExplainedQuota {
    pub(super) fn new(name: String, quota: Quota) -> Self {
        let status = match quota.limit {
            Limit::Rate { .. } | Limit::SlidingWindow { .. } => 429,
            Limit::FixedWindow { .. } | Limit::Calendar { .. } => 403,
        };
        Self { name, status, quota }
    }

    /// What it says, a line for each thing.
    pub(super) fn words(&self) -> Vec<String> {
        let Quota { limit, limit_from, key, key_absent, cost, enforcement, headers: _, mode } = &self.quota;
        let shadow = if *mode == Mode::Shadow { "(shadow, not enforced) " } else { "" };
        let own = limit_from.as_ref().map(|from| format!(", or {}", own(from))).unwrap_or_default();
        let mut lines = vec![
            format!("{shadow}{}{own}; above it status {}", self::limit(limit), self.status),
            format!("{}{}", self::key(key), key_absent.map(absent).unwrap_or_default()),
        ];
        lines.extend(self::cost(cost));
        match enforcement {
            Enforcement::Local(local) => lines.push(counted_here(local)),
            Enforcement::Global(global) => lines.extend([counted_elsewhere(global), meanwhile(global)]),
        }
        lines
    }
}

/// `100 requests in 1m, up to 20 at once`
fn limit(limit: &Limit) -> String {
    let from = |start: &Option<String>| start.as_ref().map(|start| format!(", counted from {start}")).unwrap_or_default();
    match limit {
        Limit::Rate { requests, window, burst } => {
            format!("{} in {window}, up to {} at once", count(*requests, "request"), burst.unwrap_or(*requests))
        }
        Limit::SlidingWindow { requests, window } => format!("{} in any {window}, about", count(*requests, "request")),
        Limit::FixedWindow { requests, bytes, window, first_period_start } => {
            format!("{} in each {window}{}", amount(*requests, *bytes), from(first_period_start))
        }
        Limit::Calendar { requests, bytes, period, first_period_start, .. } if period == "lifetime" => {
            format!("{} for ever{}", amount(*requests, *bytes), from(first_period_start))
        }
        Limit::Calendar { requests, bytes, period, time_zone, first_period_start } => {
            let zone = word(time_zone);
            format!("{} a calendar {} in {zone}{}", amount(*requests, *bytes), word(period), from(first_period_start))
        }
    }
}

fn amount(requests: Option<u64>, bytes: Option<u64>) -> String {
    bytes.map_or_else(|| count(requests.unwrap_or_default(), "request"), |bytes| count(bytes, "byte"))
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A caller's own limit.
fn own(from: &LimitFrom) -> String {
    match from {
        LimitFrom::Claim { provider, path, at_most } => {
            format!("what claim {} of {} says, at most {at_most}", word(path), word(provider))
        }
        LimitFrom::Products(products) => {
            let products: Vec<String> =
                products.iter().map(|(product, amount)| format!("{amount} for product {}", word(product))).collect();
            join(&products, "and")
        }
        LimitFrom::RouteMetadata { at_most } => format!("what the metadata of the gateway's route says, at most {at_most}"),
    }
}

/// `for each subscription and method`
fn key(parts: &[KeyPart]) -> String {
    let part = |part: &KeyPart| match part {
        KeyPart::Subscription => Some("subscription".to_owned()),
        KeyPart::Product => Some("product".to_owned()),
        KeyPart::Caller => Some("caller".to_owned()),
        KeyPart::Claim { provider, path } => {
            let provider = provider.as_ref().map(|provider| format!(" of {}", word(provider))).unwrap_or_default();
            Some(format!("claim {}{provider}", word(path)))
        }
        KeyPart::Source { ipv4_prefix: 32, ipv6_prefix: 128 } => Some("source address".to_owned()),
        KeyPart::Source { ipv4_prefix, ipv6_prefix } => Some(format!("source network (IPv4 /{ipv4_prefix}, IPv6 /{ipv6_prefix})")),
        KeyPart::Header(name) => Some(format!("header {}", word(name))),
        KeyPart::Query(name) => Some(format!("parameter {}", word(name))),
        KeyPart::Route => Some("route".to_owned()),
        KeyPart::Method => Some("method".to_owned()),
        KeyPart::Literal(_) => None,
    };
    let parts: Vec<String> = parts.iter().filter_map(part).collect();
    if parts.is_empty() { "for all together".to_owned() } else { format!("for each {}", join(&parts, "and")) }
}

/// What becomes of a request without a part of the key.
fn absent(absent: KeyAbsent) -> String {
    let what = match absent {
        KeyAbsent::Skip => "isn't limited",
        KeyAbsent::Refuse => "is refused with status 403",
        KeyAbsent::SharedBucket => "counts with all others like it",
    };
    format!("; a request that lacks it {what}")
}

fn cost(Cost { requests, reserve_bytes, when, response }: &Cost) -> Option<String> {
    let mut phrases = Vec::new();
    if *requests != 1 {
        phrases.push(format!("a request counts as {requests}"));
    }
    if *reserve_bytes > 0 {
        phrases.push(format!(
            "{} taken ahead",
            if *reserve_bytes == 1 { "1 byte is".to_owned() } else { format!("{reserve_bytes} bytes are") }
        ));
    }
    if let Some(when) = when {
        phrases.push(format!("only requests count of which {}", when.words()));
    }
    match response {
        Some(Response::Status(statuses)) => phrases.push(format!("only responses count with status {}", any(statuses))),
        Some(Response::NotStatus(statuses)) => phrases.push(format!("responses with status {} don't count", any(statuses))),
        None => {}
    }
    (!phrases.is_empty()).then(|| phrases.join("; "))
}

/// How many keys a gateway keeps.
fn room(slots: u32) -> u64 {
    u64::from(slots).saturating_mul(u64::try_from(WAYS).unwrap_or(u64::MAX))
}

fn counted_here(Local { slots, on_full, .. }: &Local) -> String {
    let room = room(*slots);
    let full = match on_full {
        OnFull::Admit => "isn't limited",
        OnFull::Refuse => "is refused with status 503",
        OnFull::SharedBucket => "counts with all others like it",
    };
    format!("each gateway counts for itself, up to {}; one that finds no room {full}", count(room, "key"))
}

fn counted_elsewhere(Global { cluster, domain, timeout, mode, .. }: &Global) -> String {
    let mode = match mode {
        GlobalMode::Exact => format!("asked about each request, which waits for up to {timeout}"),
        GlobalMode::Lease { max_slice, duration } => format!("asked for slices of up to {max_slice} that count for {duration}"),
    };
    format!("the rate-limit service at cluster {}, domain {}, counts, {mode}", word(cluster), word(domain))
}

/// What holds while a service is down.
fn meanwhile(Global { on_unavailable, slots, .. }: &Global) -> String {
    match on_unavailable {
        OnUnavailable::Admit => "while it doesn't answer nobody is limited".to_owned(),
        OnUnavailable::Refuse => "while it doesn't answer requests are refused with status 503".to_owned(),
        OnUnavailable::Local { share } => {
            format!("while it doesn't answer each gateway counts up to {share} of the limit, for up to {}", count(room(*slots), "key"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is told where a field has another value.
    fn told(field: &str, value: Value) -> Vec<String> {
        let mut quota = json!({
            "limit": {"rate": {"requests": 100, "window": "1m", "burst": 20}}, "key": ["route"], "cost": {"requests": 1, "reserve_bytes": 0},
            "enforcement": {"local": {"slots": 4096, "on_full": "shared_bucket", "volatile": false}}, "headers": {}, "mode": "enforce",
        });
        quota[field] = value;
        ExplainedQuota::new("q".to_owned(), serde_json::from_value(quota).unwrap()).words()
    }

    #[test]
    fn a_limit_is_told_with_the_status_of_whoever_is_above_it() {
        for (limit, expected) in [
            (json!({"rate": {"requests": 5, "window": "1s"}}), "5 requests in 1s, up to 5 at once; above it status 429"),
            (json!({"sliding_window": {"requests": 1, "window": "30s"}}), "1 request in any 30s, about; above it status 429"),
            (json!({"fixed_window": {"bytes": 1, "window": "24h"}}), "1 byte in each 24h; above it status 403"),
            (
                json!({"fixed_window": {"requests": 9, "window": "24h", "first_period_start": "2026-11-01T00:00:00Z"}}),
                "9 requests in each 24h, counted from 2026-11-01T00:00:00Z; above it status 403",
            ),
            (
                json!({"calendar": {"bytes": 1000, "period": "week", "time_zone": "UTC", "first_period_start": "2026-11-01T00:00:00Z"}}),
                "1000 bytes a calendar week in UTC, counted from 2026-11-01T00:00:00Z; above it status 403",
            ),
            (json!({"calendar": {"requests": 7, "period": "lifetime", "time_zone": "UTC"}}), "7 requests for ever; above it status 403"),
        ] {
            assert_eq!(told("limit", limit.clone())[0], expected, "{limit}");
        }
        for (from, expected) in [
            (json!({"claim": {"provider": "people", "path": "/a/b", "at_most": 9}}), "or what claim /a/b of people says, at most 9"),
            (json!({"products": {"gold": 500, "tin": 5}}), "or 500 for product gold and 5 for product tin"),
            (json!({"route_metadata": {"at_most": 9}}), "or what the metadata of the gateway's route says, at most 9"),
        ] {
            assert_eq!(told("limit_from", from)[0], format!("100 requests in 1m, up to 20 at once, {expected}; above it status 429"));
        }
        assert_eq!(told("mode", json!("shadow"))[0], "(shadow, not enforced) 100 requests in 1m, up to 20 at once; above it status 429");
    }

    #[test]
    fn a_key_and_a_cost_are_told_in_the_policys_words() {
        for (key, expected) in [
            (json!(["subscription", "product", "caller"]), "for each subscription, product and caller"),
            (json!([{"claim": {"path": "tid"}}, {"claim": {"provider": "p", "path": "x"}}]), "for each claim tid and claim x of p"),
            (json!([{"source": {"ipv4_prefix": 32, "ipv6_prefix": 128}}]), "for each source address"),
            (json!([{"source": {"ipv4_prefix": 24, "ipv6_prefix": 48}}]), "for each source network (IPv4 /24, IPv6 /48)"),
            (json!([{"header": "X-A"}, {"query": "b c"}, "method", {"literal": "x"}]), "for each header X-A, parameter \"b c\" and method"),
            (json!([{"literal": "x"}]), "for all together"),
        ] {
            assert_eq!(told("key", key)[1], expected);
        }
        for (absent, expected) in
            [("skip", "isn't limited"), ("refuse", "is refused with status 403"), ("shared_bucket", "counts with all others like it")]
        {
            assert_eq!(told("key_absent", json!(absent))[1], format!("for each route; a request that lacks it {expected}"));
        }
        let method = json!({"method": ["GET"]});
        for (cost, expected) in [
            (json!({"requests": 3, "reserve_bytes": 0}), "a request counts as 3"),
            (
                json!({"requests": 1, "reserve_bytes": 9, "response": {"status": ["2xx"]}}),
                "9 bytes are taken ahead; only responses count with status 2xx",
            ),
            (json!({"requests": 1, "reserve_bytes": 0, "when": method}), "only requests count of which the method is GET"),
            (
                json!({"requests": 1, "reserve_bytes": 0, "response": {"not_status": ["429", "5xx"]}}),
                "responses with status 429 or 5xx don't count",
            ),
        ] {
            assert_eq!(told("cost", cost)[2], expected);
        }
        assert_eq!(told("mode", json!("enforce")).len(), 3, "a cost of one goes without saying");
    }

    #[test]
    fn who_counts_is_told_and_what_holds_where_nobody_can() {
        for (full, expected) in
            [("admit", "isn't limited"), ("refuse", "is refused with status 503"), ("shared_bucket", "counts with all others like it")]
        {
            let local = json!({"local": {"slots": 2, "on_full": full, "volatile": true}});
            let expected = format!("each gateway counts for itself, up to 16 keys; one that finds no room {expected}");
            assert_eq!(told("enforcement", local)[2..], [expected]);
        }
        let global = |mode: Value, on_unavailable: Value| {
            let breaker = json!({"failures": 5, "retry_after": "5s"});
            let global = json!({
                "cluster": "limits", "domain": "shop", "timeout": "20ms", "mode": mode, "on_unavailable": on_unavailable, "breaker": breaker, "slots": 1,
            });
            told("enforcement", json!({ "global": global }))[2..].join("\n")
        };
        let service = "the rate-limit service at cluster limits, domain shop, counts, asked";
        let lease = json!({"lease": {"max_slice": 50, "duration": "10s"}});
        for (mode, on_unavailable, asked, meanwhile) in [
            (json!("exact"), json!("admit"), "about each request, which waits for up to 20ms", "nobody is limited"),
            (lease.clone(), json!("refuse"), "for slices of up to 50 that count for 10s", "requests are refused with status 503"),
            (
                lease,
                json!({"local": {"share": 0.5}}),
                "for slices of up to 50 that count for 10s",
                "each gateway counts up to 0.5 of the limit, for up to 8 keys",
            ),
        ] {
            assert_eq!(global(mode, on_unavailable), format!("{service} {asked}\nwhile it doesn't answer {meanwhile}"));
        }
    }
}
