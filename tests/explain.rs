// SPDX-License-Identifier: Apache-2.0
//! `tracegate check --explain`: who can reach what and what leaves, as the command tells it, held against what the module decides and sends.

#[path = "explain/caller.rs"]
mod caller;
#[path = "explain/chance.rs"]
mod chance;
#[path = "explain/edge.rs"]
mod edge;
#[path = "explain/leaving.rs"]
mod leaving;
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

const SHOP: &str = r#"envoy-config/policies/shop.yaml: valid, fingerprint e2baebb7593bfef4 (as a gauge 249292446456123), 3 routes

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

to the upstream            what it is told
---------------------------------------------------------------------------------------------------------------
x-user-id                  claim sub
x-user-roles               claim roles, parted by ","
(tokens)                   stripped: none goes on
(trace context)            tracecontext and ottrace; member tgate of tracestate, signed with the secret hop-key
(baggage)                  tenant alone
(x-forwarded-client-cert)  none

leaves to                     what
-----------------------------------------------------------------------------------------------------------------------
collector otel                spans, by OTLP to https://otel.shop.example/v1/traces at cluster otel
                              every 5s, up to 512 together
                              of 0.1 of the requests about which no caller decides, at most 200 a second by each worker
                              of 0 on health
                              of every refusal and every response with a status of 500 and above, whatever was decided
                              callers of our-mesh decide about their traces
collector otel                audit records, by OTLP to https://otel.shop.example/v1/logs at cluster otel
                              every 5s, up to 512 together
gateway's log                 audit records
rate-limit service ratelimit  for quota monthly in domain shop: the subscription's id
access log                    trace_id, span_id, decision, reason, caller and remaining, where its format names them
                              the caller is its provider, and the policy's name for it or a digest
metrics                       counts by names of the policy's and by reasons; nothing of a request
caller                        why a request was refused
                              how limits stand that apply, in RateLimit and RateLimit-Policy
keys and secrets              fetched by clusters customer-idp, entra and partner-idp: nothing of a request goes along

a span tells                           what
--------------------------------------------------------------------------------------------------------------------------------
(whose)                                service.name shop-edge, service.namespace shop and deployment.environment.name production
                                       the gateway's instance, the module's version and the policy's fingerprint
http.request.method*                   the method; one that isn't known as it came, up to 32 bytes
url.scheme                             http or https
url.path                               on read-order the path, with digests in it
                                       on any other route its template, or /
http.route                             the route's template
http.response.status_code, error.type  the response's status
server.*                               the request's host, and its port
tracegate.path.order_id                on read-order, a digest, by HMAC with the secret digest-key
tracegate.caller.*                     provider, service, subscription and product, by the policy's names
                                       a digest of what tells the caller from others, by HMAC with the secret digest-key
tracegate.*                            the route's name, the decision and its reason, what limits leave
                                       the audit record's id, and how long what took
(parent and links)                     trace and span ids of the caller's, where its context goes on or is linked
(never)                                queries, bodies, trailers, credentials, and headers but those named here

an audit record tells  what
---------------------------------------------------------------------------------------------------------------------------
(of)                   every refusal
                       every request that a rule or limit in shadow would have refused
                       every request on staff-admin
(whose)                the gateway's instance, and the policy's fingerprint
the decision           when, on which route; why it was refused, with which status and by which rule or quota
the trace              trace id, span id, and whether it is recorded
the caller             provider, service, subscription and product, by the policy's names
                       a digest of what tells the caller from others, by HMAC with the secret digest-key
(never)                paths, queries, headers, bodies, addresses and credentials
(chained)              with the secret audit-key: a change, a gap and a restart can be told; a checkpoint follows within 1m

secret      where it is, and what for
------------------------------------------------------------
audit-key   in the environment variable TRACEGATE_AUDIT_KEY
            for audit.chain.key
digest-key  in the environment variable TRACEGATE_DIGEST_KEY
            for export.spans.digest_key
hop-key     in the environment variable TRACEGATE_HOP_KEY
            for trace.signed_hop.active.key
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
    let fields = ["file", "policy_fingerprint", "routes", "default", "upstream", "leaving", "secrets", "admits_unverified", "warnings"];
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
    let trace_context = json!({"formats": ["tracecontext", "ottrace"], "member": "tgate", "signed_with": "hop-key"});
    let expected = json!({"headers": headers, "token": "stripped", "trace_context": trace_context, "baggage": ["tenant"], "forwarded_client_cert": "remove"});
    assert_eq!(explained["upstream"], expected);
    let leaving = &explained["leaving"];
    let collector = |signal: &str| {
        let uri = format!("https://otel.shop.example/v1/{signal}");
        let batch = json!({"schedule_delay": "5s", "max_queue_size": 2048, "max_export_batch_size": 512, "export_timeout": "10s"});
        json!({"signal": signal, "name": "otel", "protocol": "otlp", "cluster": "otel", "uri": uri, "headers": [], "batch": batch})
    };
    assert_eq!(leaving["collectors"], json!([collector("traces"), collector("logs")]));
    let sampling = json!({"root": {"probability": 0.1}, "max_per_second": 200, "always_record": ["refused", "error"]});
    let spans = json!({
        "sampled": {"sampling": sampling, "routes": [{"route": "health", "probability": 0}], "callers_decide": ["our-mesh"]},
        "resource": {"name": "shop-edge", "namespace": "shop", "attributes": {"deployment.environment.name": "production"}},
        "client": false, "url_path": "full", "path_parameters": [{"route": "read-order", "parameter": "order_id", "told": "digest"}],
        "attributes": ["server.address"], "claims": [], "digest_key": "digest-key", "request_id_header": null,
    });
    assert_eq!(leaving["spans"], spans);
    let audit = json!({
        "records": {"decisions": ["shadowed"], "routes": ["staff-admin"]}, "outputs": ["log", "otlp"],
        "chain": {"key": {"secret": "audit-key"}, "checkpoint_interval": "1m"},
    });
    assert_eq!(leaving["audit"], audit);
    assert_eq!(leaving["access_log_properties"], json!(["trace_id", "span_id", "decision", "reason", "caller", "remaining"]));
    let service =
        json!({"cluster": "ratelimit", "domain": "shop", "quota": "monthly", "entries": [{"key": "subscription", "digest": false}]});
    assert_eq!(leaving["rate_limit_services"], json!([service]));
    assert_eq!(leaving["responses"], json!({"rate_limit_headers": ["ratelimit"], "traceresponse": []}));
    assert_eq!(
        (&leaving["metrics"], &leaving["fetches"]),
        (&json!({"request_durations": false}), &json!(["customer-idp", "entra", "partner-idp"]))
    );
    let secret = |name: &str, variable: &str, used_by: &str| json!({"name": name, "from": {"environment": {"name": variable}}, "used_by": [used_by]});
    let secrets = [
        secret("audit-key", "TRACEGATE_AUDIT_KEY", "audit.chain.key"),
        secret("digest-key", "TRACEGATE_DIGEST_KEY", "export.spans.digest_key"),
        secret("hop-key", "TRACEGATE_HOP_KEY", "trace.signed_hop.active.key"),
    ];
    assert_eq!(explained["secrets"], json!(secrets));
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

to the upstream            what it is told
---------------------------------------------------------------
(tokens)                   untouched: no provider looks for any
(trace context)            tracecontext
(baggage)                  every key
(x-forwarded-client-cert)  untouched: no provider looks for any

leaves to  what
-------------------------------------------------------------------------------
metrics    counts by names of the policy's and by reasons; nothing of a request
caller     why a request was refused
           how limits stand that apply, in RateLimit and RateLimit-Policy";
    assert_eq!(explained.split_once("\n\n").map(|(_, table)| table), Some(expected), "{text}");
    assert!(rest.contains("default.action: expected `admit` or `refuse`, found \"maybe\""), "{text}");
    let output = run(["check".as_ref(), "--explain".as_ref(), "--format".as_ref(), "json".as_ref()].into_iter().chain(paths));
    assert_eq!(output.status.code(), Some(2));
    let lines = tracegate_tests::lines(&output);
    assert_eq!(lines[0]["routes"][1]["caught_by"], "all");
    assert_eq!(lines[0]["warnings"][0]["severity"], "warning", "what check warns of isn't lost");
    assert_eq!(lines.last().map(|line| &line["valid"]), Some(&json!(false)));
}
