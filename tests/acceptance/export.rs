// SPDX-License-Identifier: Apache-2.0
//! Collectors and spans, and changes to them.

use serde_json::{Value, json};

/// Adds what this file changes to a policy with callers.
pub(super) fn extend(policy: &mut Value) {
    let batch = json!({"schedule_delay": "1s", "max_queue_size": 4096, "max_export_batch_size": 1024, "export_timeout": "5s"});
    policy["export"] = json!({
        "traces": {
            "otel": {"otlp": {
                "cluster": "otel", "uri": "http://otel:4318/v1/traces", "headers": {"x-tenant": {"secret": "hop-key"}}, "batch": batch,
            }},
            "lightstep": {"lightstep": {
                "cluster": "lightstep", "uri": "https://ingest.lightstep.com/traces/otlp/v0.9", "access_token": {"secret": "old-key"}, "batch": {},
            }},
        },
        "spans": {
            "client": true, "url_path": "template", "attributes": ["client.address", "user_agent.original", "server.address"],
            "claims": [{"provider": "inline", "path": "/org/id"}, {"path": "tid"}], "digest_key": {"secret": "hop-key"},
            "request_id_header": "X-Request-Id",
        },
        "metrics": {"request_durations": true},
        "access_log_properties": ["trace_id", "span_id", "decision", "reason", "caller", "remaining"],
    });
    let route = json!({
        "name": "files", "match": {"path": {"template": "/files/{file_id}/{part}"}}, "attributes": {"path": {"file_id": "digest", "part": "raw"}},
    });
    policy["routes"].as_array_mut().expect("there are routes").push(route);
}

/// Changes that the reader accepts.
pub(super) fn accepted() -> Vec<(&'static str, Value)> {
    vec![
        ("/export/spans", json!({"digest_key": {"secret": "hop-key"}})),
        ("/export/traces", json!({})),
        ("/export/traces/otel/otlp", json!({"cluster": " ", "uri": "https://a"})),
        ("/export/traces/otel/otlp/headers", json!({})),
        ("/export/traces/otel/otlp/headers", json!({"authorization": {"secret": "hop-key"}})),
        ("/export/traces/otel/otlp/batch", json!({"max_queue_size": 2})),
        ("/export/traces/otel/otlp/batch", json!({"max_queue_size": 65536, "max_export_batch_size": 8192})),
        ("/export/traces/otel/otlp/batch", json!({"schedule_delay": "100ms", "export_timeout": "1m"})),
        ("/export/traces/lightstep/lightstep", json!({"cluster": "a", "access_token": {"secret": "old-key"}})),
        ("/export/metrics", json!({})),
        ("/export/metrics/request_durations", json!(false)),
        ("/export/access_log_properties", json!([])),
        ("/export/access_log_properties", json!(["caller", "trace_id"])),
        ("/export/spans/client", json!(false)),
        ("/export/spans/url_path", json!("full")),
        ("/export/spans/attributes", json!([])),
        ("/export/spans/claims", json!([])),
        ("/export/spans/request_id_header", json!("!#$%&'*+-.^_`|~")),
        ("/routes/3/attributes", json!({})),
        ("/routes/3/attributes/path", json!({})),
        ("/routes/3/attributes/path/file_id", json!("raw")),
    ]
}

/// `None` takes the field away.
pub(super) fn refused_by_both() -> Vec<(&'static str, Option<Value>)> {
    let mut changes: Vec<(&'static str, Option<Value>)> = [
        "/export/traces/otel/otlp/cluster",
        "/export/traces/otel/otlp/uri",
        "/export/traces/otel/otlp/headers/x-tenant/secret",
        "/export/traces/lightstep/lightstep/cluster",
        "/export/traces/lightstep/lightstep/access_token",
        "/export/spans/claims/0/path",
        "/export/spans/digest_key/secret",
    ]
    .map(|place| (place, None))
    .into();
    for (place, words) in [
        ("/export", vec![json!([]), json!(null), json!({"meters": {}})]),
        ("/export/traces", vec![json!([]), json!({"Otel": {}}), json!({"a": {}}), json!({"a": {"zipkin": {}}})]),
        ("/export/traces/otel", vec![json!({}), json!({"otlp": {}, "lightstep": {}}), json!("otlp")]),
        ("/export/traces/otel/otlp/uri", vec![json!("otel:4318"), json!("ftp://a"), json!(""), json!("http://a b")]),
        (
            "/export/traces/otel/otlp/headers",
            vec![json!({"X-Tenant": {"secret": "hop-key"}}), json!({"a b": {"secret": "hop-key"}}), json!(["a"])],
        ),
        ("/export/traces/otel/otlp/headers/x-tenant", vec![json!("s3cret"), json!({}), json!({"secret": ""})]),
        ("/export/traces/otel/otlp/batch/max_queue_size", vec![json!(0), json!(65537), json!("many")]),
        ("/export/traces/otel/otlp/batch/max_export_batch_size", vec![json!(0), json!(8193)]),
        ("/export/traces/otel/otlp/batch/schedule_delay", vec![json!(5), json!("5"), json!("1d"), json!(null)]),
        ("/export/metrics", vec![json!([]), json!({"request_durations": "yes"}), json!({"durations": true})]),
        (
            "/export/access_log_properties",
            vec![json!(["path"]), json!(["caller", "caller"]), json!("caller"), json!(null), json!({"caller": true})],
        ),
        ("/export/spans/client", vec![json!("yes"), json!(null)]),
        ("/export/spans/url_path", vec![json!("none"), json!(true)]),
        ("/export/spans/attributes", vec![json!(["url.query"]), json!(["client.address", "client.address"]), json!("client.address")]),
        ("/export/spans/claims", vec![json!(["sub"]), json!([{"path": ""}]), json!([{"path": "a", "b": 1}])]),
        ("/export/spans/request_id_header", vec![json!(""), json!("a b")]),
        ("/routes/3/attributes", vec![json!([]), json!({"query": {}})]),
        ("/routes/3/attributes/path", vec![json!(["file_id"]), json!({"part": "hash"}), json!({"part": null})]),
    ] {
        changes.extend(words.into_iter().map(|word| (place, Some(word))));
    }
    changes
}

/// What the reader alone refuses, and why no schema can.
pub(super) fn refused_by_the_reader() -> Vec<(&'static str, Value, &'static str)> {
    let together = "sections hang together";
    let added = "durations are added up";
    vec![
        ("/export/traces/otel/otlp/headers/x-tenant/secret", json!("nowhere"), together),
        ("/export/traces/lightstep/lightstep/access_token/secret", json!("nowhere"), together),
        ("/export/traces/otel/otlp/headers", json!({"content-type": {"secret": "hop-key"}}), "a request has it anyway"),
        ("/export/traces/otel/otlp/batch/max_queue_size", json!(1000), "numbers hang together"),
        ("/export/traces/otel/otlp/batch", json!({"max_queue_size": 1}), together),
        ("/export/traces/lightstep/lightstep/batch", json!({"max_queue_size": 1}), together),
        ("/export/traces/otel/otlp/batch/schedule_delay", json!("99ms"), added),
        ("/export/traces/otel/otlp/batch/export_timeout", json!("61s"), added),
        ("/export/spans/claims/0/provider", json!("nobody"), together),
        ("/export/spans/claims", json!([{"path": "tid"}, {"path": "tid", "provider": "inline"}]), "of two like claims one tells it all"),
        ("/export/spans/digest_key/secret", json!("nowhere"), together),
        ("/export/spans/request_id_header", json!("Cookie"), "what headers hold is known to gateways"),
        ("/export/spans/request_id_header", json!("api_key"), together),
        ("/export/spans", json!({}), together),
        ("/routes/3/attributes/path", json!({"order_id": "raw"}), together),
    ]
}
