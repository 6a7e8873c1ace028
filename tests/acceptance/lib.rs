// SPDX-License-Identifier: Apache-2.0
//! Policy documents that the reader accepts, and documents that it refuses, each a change to one that has every field.

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
    json!({
        "schema": 1,
        "service": {"name": "shop-edge", "namespace": "shop", "attributes": {"deployment.environment.name": "production"}},
        "trace": {
            "propagation": {"extract": ["tracecontext"], "inject": ["tracecontext"]},
            "tracestate": {"member": "tgate", "max_length": 600}
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
            {"name": "health", "match": {"path": {"exact": "/healthz"}}},
            {"name": "admin", "match": {"path": {"prefix": "/admin"}}}
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
        ("/service/attributes", json!({" ": "", "b": "c"})),
        ("/trace", json!({})),
        ("/trace/propagation", json!({})),
        ("/trace/propagation", json!({"inject": ["tracecontext"]})),
        ("/trace/tracestate", json!({})),
        ("/trace/tracestate/member", json!("a")),
        ("/trace/tracestate/member", json!("0_-*/@")),
        ("/trace/tracestate/member", json!("k".repeat(256))),
        ("/trace/tracestate/max_length", json!(512)),
        ("/trace/tracestate/max_length", json!(16447)),
        ("/routes", json!([])),
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
    [least(), whole()].into_iter().chain(changes.into_iter().map(|(place, value)| changed(place, Some(value)))).collect()
}

/// Documents that the reader refuses, and what the schema says.
#[must_use]
pub fn refused() -> Vec<(Value, Schema)> {
    let known = refused_by_both().into_iter().map(|(place, value)| (changed(place, value), Schema::Refuses));
    let unknowable = refused_by_the_reader().into_iter().map(|(place, value, why)| (changed(place, Some(value)), Schema::CannotKnow(why)));
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
        "/trace/tracestate",
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
        ("/service/attributes", vec![json!({"": "a"}), json!({"a": 1}), json!({"a": null})]),
        ("/trace/propagation/extract", vec![json!([]), json!(["b3"]), json!(["tracecontext", "tracecontext"])]),
        ("/trace/propagation/inject", vec![json!([]), json!(["TraceContext"])]),
        ("/trace/tracestate/member", ["", "Tgate", "_a", "a=", "é", "a b", &"k".repeat(257)].map(Value::from).to_vec()),
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
