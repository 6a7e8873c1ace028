// SPDX-License-Identifier: Apache-2.0
//! Policy documents that the reader accepts, and documents that it refuses, each a change to one that has every field.

mod audit;
mod callers;
mod export;
mod identity;
mod quotas;
mod secrets;

use serde_json::{Value, json};

/// What a JSON Schema says of a document that the reader refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It refuses too.
    Refuses,
    /// It can't know; why.
    CannotKnow(&'static str),
}

/// The least policy.
#[must_use]
pub fn least() -> Value {
    json!({"schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"}})
}

/// A policy with every field.
#[must_use]
pub fn whole() -> Value {
    let mut whole = without_callers();
    callers::extend(&mut whole);
    quotas::extend(&mut whole);
    export::extend(&mut whole);
    audit::extend(&mut whole);
    secrets::extend(&mut whole);
    whole
}

fn without_callers() -> Value {
    json!({
        "schema": 1,
        "service": {"name": "shop-edge", "namespace": "shop", "attributes": {"deployment.environment.name": "production"}},
        "listener": {"trusted_hops": 1, "client_certificates": "verified"},
        "secrets": {"hop-key": {"environment": {"name": "TRACEGATE_HOP_KEY"}}, "old-key": {"environment": {"name": "OLD"}}},
        "identity": identity::whole(),
        "trace": {
            "propagation": {
                "extract": ["tracecontext", "b3", "b3multi", "jaeger", "ottrace", "ot_span_context", "xray", "request_id"],
                "inject": ["tracecontext", "ottrace"],
                "baggage": {"allow": ["tenant"]}
            },
            "tracestate": {"member": "tgate", "max_length": 600},
            "signed_hop": {
                "active": {"id": "k2", "key": {"secret": "hop-key"}},
                "other": {"id": "k1", "key": {"secret": "old-key"}},
                "expires_after": "1m"
            },
            "trust": [
                {
                    "name": "mesh",
                    "when": {"any": [{"peer": {"uri_san": {"prefix": "spiffe://shop.example/"}}}, {"all": [{"signed_hop": "valid"}, {"not": {"route": ["admin"]}}]}]},
                    "context": "continue",
                    "sampled": "honor",
                    "traceresponse": true
                },
                {"name": "partner", "when": {"source": {"cidr": ["203.0.113.0/24", "2001:db8::/32"]}}, "context": "link", "sampled": "ignore"},
                {"name": "rest", "context": "restart"}
            ],
            "sampling": {"root": {"probability": 0.1}, "max_per_second": 200, "always_record": ["refused"]}
        },
        "routes": [
            {
                "name": "read",
                "match": {
                    "hosts": [{"exact": "api.example"}, {"suffix": ".shop.example"}],
                    "methods": ["GET", "HEAD"],
                    "path": {"template": "/orders/{id}"}
                },
                "rules": [{"name": "open", "require": "anonymous", "mode": "enforce"}, {"name": "soon", "require": "deny", "mode": "shadow"}]
            },
            {"name": "health", "match": {"path": {"exact": "/healthz"}}, "sampling": {"root": {"probability": 0}}},
            {
                "name": "admin",
                "match": {"path": {"prefix": "/admin"}},
                "rules": [{"name": "callers", "require": {"caller": {"provider": "inline"}}}]
            }
        ],
        "default": {"action": "refuse", "status": 403}
    })
}

/// Documents that the reader accepts: every field, every word, every bound.
#[must_use]
pub fn accepted() -> Vec<Value> {
    let host = |exact: &str| (HOST, json!({ "exact": exact }));
    let suffix = |suffix: &str| (HOST, json!({ "suffix": suffix }));
    let exact = |path: &str| (PATH, json!({ "exact": path }));
    let prefix = |path: &str| (PATH, json!({ "prefix": path }));
    let template = |path: &str| (PATH, json!({ "template": path }));
    let longest = format!("{}a", "a.".repeat(127));
    let changes = [
        ("/service/name", json!("x")),
        ("/service/name", json!("ladenkasse é 店")),
        ("/service/namespace", json!(" ")),
        ("/service/attributes", json!({})),
        ("/service/attributes", json!({" ": "", "b": "c", "service.names": "a", "telemetry.distro.name": "b", "tracegate": "d"})),
        ("/listener", json!({"client_certificates": "verified"})),
        ("/listener/trusted_hops", json!(0)),
        ("/listener/trusted_hops", json!(10)),
        ("/trace", json!({"sampling": {}})),
        ("/trace/propagation/baggage", json!({})),
        ("/trace/propagation/baggage/allow", json!([])),
        ("/trace/signed_hop/expires_after", json!("3600s")),
        ("/trace/signed_hop/expires_after", json!("1h")),
        ("/trace/signed_hop/active/id", json!("A-_9")),
        ("/trace/trust", json!([])),
        ("/trace/trust/0/when", json!({"peer": {"dns_san": {"suffix": ".a"}}})),
        ("/trace/trust/0/when", json!({"peer": {"subject": {"exact": "CN=a"}}})),
        ("/trace/trust/0/when", json!({"peer": {"sha256": "aB".repeat(32)}})),
        ("/trace/trust/0/context", json!("reject")),
        ("/trace/trust/1/when/source/cidr", json!(["0.0.0.0/0", "::/0", "127.0.0.1", "::1"])),
        ("/trace/sampling", json!({"always_record": []})),
        ("/trace/sampling/root/probability", json!(0)),
        ("/trace/sampling/root/probability", json!(1)),
        ("/trace/sampling/root/probability", json!(0.000001)),
        ("/trace/sampling/max_per_second", json!(1)),
        ("/trace/sampling/max_per_second", json!(1_000_000)),
        ("/trace/sampling/always_record", json!([])),
        ("/trace/propagation", json!({})),
        ("/trace/propagation", json!({"inject": ["tracecontext"]})),
        ("/trace/tracestate/member", json!("a")),
        ("/trace/tracestate/member", json!("0_-*/@")),
        ("/trace/tracestate/member", json!("k".repeat(32))),
        ("/trace/tracestate/max_length", json!(512)),
        ("/trace/tracestate/max_length", json!(16447)),
        ("/routes/0", json!({"name": "a"})),
        ("/routes/0/match", json!({})),
        ("/routes/0/match/hosts", json!([])),
        host("a"),
        host("A.b."),
        host("_x-1"),
        host("127.0.0.1"),
        host("[::1]"),
        host("[2001:DB8::ffff:1.2.3.4]"),
        host(&longest),
        suffix(".a"),
        suffix(".a.B."),
        suffix(&format!(".{longest}")),
        ("/routes/0/match/methods", json!([])),
        ("/routes/0/match/methods", json!(["M-SEARCH", "A_B", "GET", "GET"])),
        exact("/"),
        exact("*"),
        exact("/a/"),
        exact("/café"),
        exact("/caf%C3%a9"),
        exact("/%24metadata"),
        exact("/a%3Fb%20%7f%01%5b%2e1"),
        exact("/a;b=1/{c}"),
        exact("/\u{85}"),
        prefix("/"),
        prefix("*"),
        prefix("/admin/"),
        template("/"),
        template("*"),
        template("/{a}"),
        template("/a/{b-_1}/c/{D}/"),
        template("/%7Ba%7D/{b}"),
        ("/routes/0/rules", json!([])),
        ("/routes/0/rules/0", json!({"name": "a", "require": "deny"})),
        ("/default", json!({"action": "admit"})),
        ("/default", json!({"action": "refuse"})),
        ("/default/status", json!(400)),
        ("/default/status", json!(599)),
    ];
    let changes = changes.into_iter().chain(identity::accepted()).chain(callers::accepted()).chain(quotas::accepted());
    let changes = changes.chain(export::accepted()).chain(audit::accepted()).chain(secrets::accepted());
    [least(), whole()].into_iter().chain(changes.map(|(place, value)| changed(place, Some(value)))).collect()
}

/// Documents that the reader refuses, and what the schema says.
#[must_use]
pub fn refused() -> Vec<(Value, Schema)> {
    let both = refused_by_both().into_iter().chain(identity::refused_by_both()).chain(callers::refused_by_both());
    let both = both.chain(quotas::refused_by_both()).chain(export::refused_by_both()).chain(audit::refused_by_both());
    let both = both.chain(secrets::refused_by_both());
    let known = both.map(|(place, value)| (changed(place, value), Schema::Refuses));
    let unknowable = refused_by_the_reader().into_iter().chain(identity::refused_by_the_reader()).chain(callers::refused_by_the_reader());
    let unknowable =
        unknowable.chain(quotas::refused_by_the_reader()).chain(export::refused_by_the_reader()).chain(audit::refused_by_the_reader());
    let unknowable = unknowable.chain(secrets::refused_by_the_reader());
    let unknowable = unknowable.map(|(place, value, why)| (changed(place, Some(value)), Schema::CannotKnow(why)));
    let no_mappings = [json!(null), json!([]), json!("schema"), json!({})].map(|value| (value, Schema::Refuses));
    known.chain(unknowable).chain(no_mappings).collect()
}

/// `None` takes the field away.
fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let mut changes = vec![
        ("/schema", None),
        ("/service", None),
        ("/service/name", None),
        ("/routes/0/name", None),
        ("/routes/0/rules/0/name", None),
        ("/routes/0/rules/0/require", None),
        ("/secrets/hop-key/environment/name", None),
        ("/trace/signed_hop/active", None),
        ("/trace/signed_hop/active/id", None),
        ("/trace/signed_hop/other/key", None),
        ("/trace/trust/0/name", None),
        ("/trace/trust/1/context", None),
        ("/trace/trust/1/when/source/cidr", None),
        ("/trace/sampling/root/probability", None),
        ("/routes/1/sampling/root", None),
        ("/default", None),
        ("/default/action", None),
        ("/default", Some(json!({"status": 404}))),
        ("/default/action", Some(json!("admit"))),
    ];
    for place in [
        "",
        "/service",
        "/trace",
        "/trace/propagation",
        "/trace/propagation/baggage",
        "/trace/tracestate",
        "/trace/signed_hop",
        "/trace/signed_hop/active",
        "/trace/signed_hop/active/key",
        "/trace/trust/0",
        "/trace/trust/0/when",
        "/trace/trust/1/when/source",
        "/trace/sampling",
        "/trace/sampling/root",
        "/listener",
        "/secrets/hop-key",
        "/secrets/hop-key/environment",
        "/routes/0",
        "/routes/0/match",
        "/routes/0/rules/0",
        "/default",
    ] {
        let mut document = whole();
        if let Some(fields) = document.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.insert("unheard_of".to_owned(), json!(1));
        }
        changes.push((place, document.pointer(place).cloned()));
    }
    let texts = ["/service/name", "/service/namespace", "/routes/0/name", "/routes/0/rules/0/name", "/routes/0/match/methods/0"];
    for place in texts {
        changes.extend([json!(""), json!(1), json!(null), json!(["a"])].map(|value| (place, Some(value))));
    }
    for mapping in ["/service", "/trace", "/trace/propagation", "/trace/tracestate", "/routes/0/match", "/default", "/service/attributes"] {
        changes.extend([json!(null), json!([]), json!("a"), json!(true)].map(|value| (mapping, Some(value))));
    }
    for list in ["/routes", "/routes/0/rules", "/routes/0/match/hosts", "/routes/0/match/methods", "/trace/propagation/extract"] {
        changes.extend([json!(null), json!({}), json!("a"), json!([1])].map(|value| (list, Some(value))));
    }
    for (place, words) in [
        ("/schema", vec![json!(0), json!(2), json!(-1), json!(1.5), json!("1"), json!(u64::MAX), json!(1e300)]),
        (
            "/service/attributes",
            vec![json!({"": "a"}), json!({"a": 1}), json!({"a": null}), json!({"service.name": "a"}), json!({"tracegate.a": "b"})],
        ),
        (
            "/service/attributes",
            vec![json!({"service.instance.id": "a"}), json!({"service.namespace": "a"}), json!({"telemetry.sdk.name": "a"})],
        ),
        ("/trace/propagation/extract", vec![json!([]), json!(["b4"]), json!(["tracecontext", "tracecontext"])]),
        ("/trace/propagation/inject", vec![json!([]), json!(["TraceContext"])]),
        ("/trace/propagation/baggage/allow", vec![json!([""]), json!([1]), json!("a"), json!(null)]),
        ("/trace/signed_hop/active/id", vec![json!(""), json!("k".repeat(17)), json!("k.1"), json!(1)]),
        ("/trace/signed_hop/active/key/secret", vec![json!(""), json!(1), json!(null)]),
        ("/trace/signed_hop/expires_after", vec![json!(30), json!(""), json!("30"), json!("1d"), json!("-1s"), json!("1.5s")]),
        ("/trace/trust/0/name", vec![json!(""), json!("A"), json!("a.b"), json!("-a"), json!("a".repeat(65)), json!(1)]),
        (
            "/trace/trust/0/when",
            vec![
                json!({}),
                json!(null),
                json!({"peer": {}}),
                json!({"peer": {"uri_san": "a"}}),
                json!({"peer": {"uri_san": {"exact": ""}}}),
                json!({"peer": {"sha256": "ab"}}),
                json!({"any": []}),
                json!({"all": [{}]}),
                json!({"not": []}),
                json!({"route": []}),
                json!({"route": [""]}),
                json!({"signed_hop": "invalid"}),
                json!({"signed_hop": true}),
                json!({"source": {"cidr": []}}),
                json!({"peer": {"subject": {"exact": "a"}}, "route": ["read"]}),
            ],
        ),
        (
            "/trace/trust/1/when/source/cidr/0",
            vec![json!("shop.example"), json!("10.0.0.0/"), json!("10.0.0.0/08"), json!("10.0.0.0/-1"), json!(1)],
        ),
        ("/trace/trust/1/context", vec![json!("trust"), json!("Link"), json!(null)]),
        ("/trace/trust/1/sampled", vec![json!("yes"), json!(true), json!(null)]),
        ("/trace/trust/0/traceresponse", vec![json!("yes"), json!(1), json!(null)]),
        ("/trace/sampling/root/probability", vec![json!(-0.1), json!(1.1), json!("0.1"), json!(null), json!(2)]),
        ("/trace/sampling/max_per_second", vec![json!(0), json!(1_000_001), json!(1.5), json!("1"), json!(null)]),
        ("/trace/sampling/always_record", vec![json!(["errors"]), json!(["error", "error"]), json!("error"), json!(null)]),
        ("/listener/trusted_hops", vec![json!(-1), json!(11), json!(0.5), json!("1"), json!(null)]),
        ("/listener/client_certificates", vec![json!("yes"), json!(true), json!(null)]),
        ("/secrets/hop-key", vec![json!({}), json!("TRACEGATE_HOP_KEY"), json!({"inline": "a"}), json!(null)]),
        ("/secrets/hop-key/environment/name", vec![json!(""), json!("1A"), json!("A-B"), json!("A=B"), json!(1)]),
        ("/trace/tracestate/member", ["", "ot", "Tgate", "_a", "a=", "é", "a b", &"k".repeat(257)].map(Value::from).to_vec()),
        ("/trace/tracestate/max_length", vec![json!(511), json!(16448), json!(-512), json!(512.5), json!("512"), json!(null)]),
        ("/routes/0/rules/0/require", vec![json!("maybe"), json!("Deny"), json!(""), json!(null), json!(true)]),
        ("/routes/0/rules/0/mode", vec![json!("off"), json!("Shadow"), json!(null), json!(0)]),
        ("/default/action", vec![json!("reject"), json!("Refuse"), json!(null), json!(1)]),
        ("/default/status", vec![json!(399), json!(600), json!(404.5), json!("404"), json!(null)]),
        ("/routes/0/match/methods/0", vec![json!("get"), json!("GET "), json!("GÉT"), json!("GET1")]),
        (
            HOST,
            vec![json!({}), json!("a"), json!(null), json!({"exact": "a", "suffix": ".a"}), json!({"prefix": "a"}), json!({"exact": 1})],
        ),
        (
            PATH,
            vec![json!({}), json!("/a"), json!(null), json!({"exact": "/a", "prefix": "/a"}), json!({"regex": "/a"}), json!({"exact": 1})],
        ),
    ] {
        changes.extend(words.into_iter().map(|word| (place, Some(word))));
    }
    let long = "a".repeat(256);
    for host in ["", "a:80", "[::1]:80", "[::1", "[::g]", "a..b", ".a", "a b", "é", "u@a", "*", "a..", &long] {
        changes.push((HOST, Some(json!({ "exact": host }))));
    }
    for suffix in ["", ".", "a", "..a", ".a:1", ".[::1]", &format!(".{long}")] {
        changes.push((HOST, Some(json!({ "suffix": suffix }))));
    }
    for path in
        ["", "a", "**", "/a?b", "/a#b", "/a b", "/a\\b", "/a\n", "/\u{7f}", "/%", "/%2", "/%zz", "/%2f", "/%2F", "/%5c", "/%5C", "/%00"]
    {
        changes.extend(["exact", "prefix", "template"].map(|kind| (PATH, Some(json!({ kind: path })))));
    }
    for template in ["/{}", "/{a", "/a}", "/x{a}", "/{a}x", "/{a b}", "/{a.b}", "/{a}/{{b}}", "{*}", "{a}"] {
        changes.push((PATH, Some(json!({ "template": template }))));
    }
    changes
}

fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let mut changes = vec![
        ("/schema", json!(1.0), "in JSON Schema 1.0 is the integer 1"),
        ("/trace/tracestate/max_length", json!(512.0), "in JSON Schema 512.0 is the integer 512"),
        ("/default/status", json!(404.0), "in JSON Schema 404.0 is the integer 404"),
        ("/routes/1/name", json!("read"), "names are unique, and JSON Schema compares whole items alone"),
        ("/routes/0/rules/1/name", json!("open"), "names are unique, and JSON Schema compares whole items alone"),
        (HOST, json!({"exact": "[1::2::3]"}), "IPv6 addresses are read to their end"),
        (PATH, json!({"template": "/{a}/{a}"}), "parameters have names of their own"),
        ("/listener/trusted_hops", json!(1.0), "in JSON Schema 1.0 is the integer 1"),
        ("/listener/client_certificates", json!("unverified"), "sections hang together"),
        ("/secrets", json!({}), "sections hang together"),
        ("/routes", json!([]), "sections hang together"),
        ("/trace/tracestate", json!({}), "sections hang together"),
        ("/trace/signed_hop/other/id", json!("k2"), "two keys have ids of their own"),
        ("/trace/signed_hop/expires_after", json!("2h"), "durations are added up"),
        ("/trace/signed_hop/expires_after", json!("0s"), "durations are added up"),
        ("/trace/signed_hop/expires_after", json!("1500ms"), "durations are added up"),
        ("/trace/trust/0/when", json!({"route": ["nowhere"]}), "sections hang together"),
        ("/trace/trust/1/name", json!("mesh"), "names are unique, and JSON Schema compares whole items alone"),
        ("/trace/trust/2", json!({"name": "rest", "when": {"route": ["read"]}, "context": "restart"}), "the last rule is everybody's"),
        ("/trace/trust/0", json!({"name": "all", "context": "restart"}), "only the last rule is everybody's"),
        ("/trace/trust/1/when/source/cidr/0", json!("10.0.0.1/8"), "addresses are read to their end"),
        ("/trace/trust/1/when/source/cidr/0", json!("10.0.0.0/33"), "addresses are read to their end"),
        ("/trace/trust/1/when/source/cidr/0", json!("::ffff:10.0.0.0/104"), "addresses are read to their end"),
        ("/trace/trust/1/when/source/cidr/0", json!("1.2.3"), "addresses are read to their end"),
        ("/trace/sampling/root/probability", json!(1e-30), "more decimals than count"),
        ("/trace/trust/0/when", json!({"peer": {"dns_san": {"suffix": "a.b"}}}), "what a text stands for is known to its reader"),
        ("/trace/trust/0/when", json!({"peer": {"dns_san": {"prefix": "a."}}}), "what a text stands for is known to its reader"),
        ("/trace/trust/0/when", json!({"peer": {"uri_san": {"prefix": "spiffe://a"}}}), "what a text stands for is known to its reader"),
        ("/trace/propagation/inject", json!(["b3"]), "sections hang together"),
        ("/trace/propagation/extract", json!(["b3"]), "sections hang together"),
        ("/trace/tracestate/member", json!("k".repeat(33)), "sections hang together"),
        ("/trace/signed_hop/other/key/secret", json!("hop-key"), "two keys have secrets of their own"),
    ];
    for path in ["/a/../b", "/./a", "/a//b", "//", "/a/%2e%2E/b", "/a/..", "/a/..;/b", "//../a"] {
        changes.extend(["exact", "prefix", "template"].map(|kind| (PATH, json!({ kind: path }), "paths stand in normal form")));
    }
    changes
}

/// `whole` with another value at a place, or without one.
fn changed(place: &str, value: Option<Value>) -> Value {
    let mut document = whole();
    match value {
        Some(value) => {
            if let Some(found) = document.pointer_mut(place) {
                *found = value;
            }
        }
        None => {
            let (mapping, field) = place.rsplit_once('/').unwrap_or_default();
            if let Some(mapping) = document.pointer_mut(mapping).and_then(Value::as_object_mut) {
                mapping.remove(field);
            }
        }
    }
    assert_ne!(document, whole(), "{place}: the change changes something");
    document
}

const HOST: &str = "/routes/0/match/hosts/0";
const PATH: &str = "/routes/0/match/path";
