// SPDX-License-Identifier: Apache-2.0
//! What the core records of requests of any kind, as OpenTelemetry's own types read it.

use proptest::prelude::*;
use std::collections::BTreeMap;

use tracegate::quota::Totals;
use tracegate::{
    CallFailed, Effect, Event, ExchangeId, Expected, Gateway, GatewayId, Header, Headers, Inputs, NoSignatures, Peer, PeerFact, Policy,
    Reply, Store, StoreError, Stored, Verdict,
};
use tracegate_otlp::{attribute, read, spans, violations};

/// An edge with a collector, and its world.
struct Edge {
    gateway: Gateway,
    now: u64,
    drawn: u64,
    next: u32,
    store: Memory,
}

struct Source;

impl Peer for Source {
    fn fact(&mut self, fact: PeerFact) -> Option<Vec<u8>> {
        (fact == PeerFact::SourceAddress).then(|| b"203.0.113.7:4711".to_vec())
    }
}

/// What one VM shares with itself.
#[derive(Default)]
struct Memory(BTreeMap<String, (Vec<u8>, u32)>);

impl Store for Memory {
    fn get(&mut self, name: &str) -> Option<Stored> {
        self.0.get(name).map(|(value, version)| Stored { value: value.clone(), version: *version })
    }

    fn set(&mut self, name: &str, value: &[u8], _: Expected) -> Result<(), StoreError> {
        let version = self.0.get(name).map_or(1, |(_, version)| version + 1);
        self.0.insert(name.to_owned(), (value.to_vec(), version));
        Ok(())
    }
}

const START: u64 = 1_796_032_800_000_000_000;

impl Edge {
    fn new(policy: &str) -> Self {
        let loaded = Policy::from_json(policy.as_bytes()).unwrap_or_else(|findings| panic!("{findings}"));
        let mut gateway = Gateway::new(GatewayId(1), loaded.policy);
        gateway.provide(&mut |_: &str| Some("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=".to_owned())).unwrap();
        Self { gateway, now: START, drawn: 0, next: 0, store: Memory::default() }
    }

    fn with<T>(&mut self, run: impl FnOnce(&mut Gateway, &mut Inputs<'_>) -> T) -> T {
        let Self { gateway, now, drawn, store, .. } = self;
        let mut entropy = |bytes: &mut [u8]| {
            for chunk in bytes.chunks_mut(8) {
                *drawn = drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
                chunk.copy_from_slice(&drawn.to_le_bytes()[..chunk.len()]);
            }
            Ok(())
        };
        let (peer, signatures) = (&mut Source, &mut NoSignatures);
        let wall = i64::try_from(*now).unwrap();
        run(gateway, &mut Inputs { now: wall, monotonic: *now, entropy: &mut entropy, peer, store, signatures })
    }

    /// Sends a request through, 5 ms in the upstream; `None` as a status is no response.
    fn exchange(&mut self, lines: &[(&[u8], &[u8])], status: Option<u16>) -> bool {
        let lines: Vec<Header<'_>> = lines.iter().map(|&(name, value)| Header { name, value }).collect();
        self.next += 1;
        let mut exchange = self.gateway.open(ExchangeId(self.next));
        let step = self.with(|gateway, inputs| exchange.step(gateway, Event::Request(Headers::new(&lines)), inputs));
        let admitted = matches!(step.verdict, Verdict::Continue(_));
        self.now += 5_000_000;
        let status = status.map(|status| status.to_string());
        if let Some(status) = status.as_ref().filter(|_| admitted) {
            let lines = [Header { name: b":status", value: status.as_bytes() }];
            let _ = self.with(|gateway, inputs| exchange.step(gateway, Event::Response(Headers::new(&lines)), inputs));
        }
        self.now += 1_000_000;
        let _ = self.with(|gateway, inputs| exchange.step(gateway, Event::Closed(Totals::default()), inputs));
        admitted
    }

    /// What has been recorded, as it leaves.
    fn bodies(&mut self) -> Vec<std::sync::Arc<[u8]>> {
        self.now += 10_000_000_000;
        let woken = self.with(Gateway::tick);
        let mut bodies = Vec::new();
        for effect in woken.effects {
            let Effect::Export(export) = effect else { panic!("{effect:?}") };
            let lines = [Header { name: b":status", value: b"200" }];
            let answer: Result<Reply<'_>, CallFailed> = Ok(Reply { headers: Headers::new(&lines), body: b"" });
            let _ = self.with(|gateway, inputs| gateway.reply(export.call, answer, inputs));
            bodies.push(export.body);
        }
        bodies
    }

    /// The spans of the requests so far, each by its name and some of its attributes; nothing may be wrong with them.
    #[track_caller]
    fn spans(&mut self, keys: &[&str]) -> Vec<(String, Vec<Option<String>>)> {
        let mut told = Vec::new();
        for body in self.bodies() {
            let request = read(&body).unwrap();
            assert_eq!(violations(&request, &body), [""; 0]);
            told.extend(spans(&request).map(|span| (span.name.clone(), keys.iter().map(|key| attribute(&span.attributes, key)).collect())));
        }
        told
    }
}

/// A policy with routes, sections beside them, and a collector.
fn policy(routes: &str, sections: &str, spans: &str) -> String {
    format!(
        r#"{{"schema": 1, "service": {{"name": "edge"}}, "default": {{"action": "refuse"}}, "routes": [{routes}], {sections}
        "secrets": {{"k": {{"environment": {{"name": "K"}}}}}},
        "export": {{"traces": {{"otel": {{"otlp": {{"cluster": "otel", "uri": "http://otel:4318/v1/traces"}}}}}}, "spans": {{{spans}}}}}}}"#
    )
}

fn head<'a>(method: &'a str, path: &'a str) -> Vec<(&'a [u8], &'a [u8])> {
    vec![(b":method", method.as_bytes()), (b":path", path.as_bytes()), (b":scheme", b"https"), (b":authority", b"api.shop.example:8443")]
}

const FILES: &str = r#"{"name": "files", "match": {"path": {"template": "/files/{file_id}/parts/{part}"}}, "attributes": {"path": {"file_id": "digest", "part": "raw"}}}"#;
const KEY: &str = r#""digest_key": {"secret": "k"}"#;

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| (*text != "-").then(|| (*text).to_owned())).collect()
}

#[test]
fn names_are_of_routes_and_never_of_paths() {
    let routes = r#"{"name": "order", "match": {"path": {"template": "/orders/{id}"}}}, {"name": "admin", "match": {"path": {"prefix": "/admin"}}},
        {"name": "health", "match": {"path": {"exact": "/healthz"}}}, {"name": "rest", "match": {"methods": ["POST", "BREW"]}}"#;
    let mut edge = Edge::new(&policy(routes, "", ""));
    for (method, path, name, values) in [
        ("GET", "/orders/7?token=s3cret", "GET /orders/{id}", ["/orders/7", "/orders/{id}", "order", "admitted", "-", "200"]),
        ("GET", "/admin/users/", "GET /admin/*", ["/admin/users/", "/admin/*", "admin", "admitted", "-", "200"]),
        ("GET", "/healthz", "GET /healthz", ["/healthz", "/healthz", "health", "admitted", "-", "200"]),
        ("POST", "/x;access_token=s3cret/y", "POST", ["/x/y", "-", "rest", "admitted", "-", "200"]),
        ("POST", "/x%3Baccess_token=s3cret", "POST", ["/x", "-", "rest", "admitted", "-", "200"]),
        ("POST", "/x%253Baccess_token=s3cret/y", "POST", ["/x/y", "-", "rest", "admitted", "-", "200"]),
        ("POST", "/x%25%33baccess_token=s3cret/100%25/a%41", "POST", ["/x/100/a%41", "-", "rest", "admitted", "-", "200"]),
        ("BREW", "/pot", "HTTP", ["/pot", "-", "rest", "admitted", "-", "200"]),
        ("GET", "/nowhere", "GET", ["/nowhere", "-", "-", "refused", "OperationNotFound", "404"]),
    ] {
        edge.exchange(&head(method, path), Some(200));
        let keys = ["url.path", "http.route", "tracegate.route", "tracegate.decision", "tracegate.reason", "http.response.status_code"];
        assert_eq!(edge.spans(&keys), [(name.to_owned(), some(&values))], "{method} {path}");
    }
    edge.exchange(&head("BREW", "/pot"), Some(418));
    let keys =
        ["http.request.method", "http.request.method_original", "server.address", "server.port", "tracegate.backend_us", "error.type"];
    assert_eq!(edge.spans(&keys)[0].1, some(&["_OTHER", "BREW", "api.shop.example", "8443", "5000", "-"]));
}

/// A client's span says what the conventions require of it, a port too.
#[test]
fn what_is_asked_for_is_told_of_the_upstream() {
    let mut edge = Edge::new(&policy(r#"{"name": "all"}"#, "", r#""client": true"#));
    let keys = ["http.request.method", "http.request.method_original", "server.address", "server.port", "url.full"];
    for (scheme, authority, expected) in [
        ("https", "api.shop.example", ["api.shop.example", "443", "https://api.shop.example/pot"]),
        ("http", "api.shop.example", ["api.shop.example", "80", "http://api.shop.example/pot"]),
        ("https", "api.shop.example:", ["api.shop.example", "443", "https://api.shop.example:/pot"]),
        ("https", "[2001:db8::1]", ["[2001:db8::1]", "443", "https://[2001:db8::1]/pot"]),
        ("https", "[2001:db8::1]:8443", ["[2001:db8::1]", "8443", "https://[2001:db8::1]:8443/pot"]),
    ] {
        let lines: [(&[u8], &[u8]); 4] =
            [(b":method", b"BREW"), (b":path", b"/pot"), (b":scheme", scheme.as_bytes()), (b":authority", authority.as_bytes())];
        edge.exchange(&lines, Some(200));
        let told = edge.spans(&keys);
        assert_eq!(told[1].1, some(&[&["_OTHER", "BREW"][..], &expected].concat()), "{scheme} {authority}");
        assert_eq!(told[0].1[..4], told[1].1[..4], "{scheme} {authority}");
    }
}

/// How much a span stands for, in the words of consistent probability sampling; nothing else of the caller's `tracestate`.
#[test]
fn a_spans_state_holds_the_traces_randomness() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (trust, state, expected) in [
        ("continue", "ot=th:c;rv:e123456789abcd", "ot=th:c;rv:e123456789abcd"),
        ("continue", "ot=rv:e123456789abcd;th:c;p:s3cret,vendor=s3cret", "ot=th:c;rv:e123456789abcd"),
        ("continue", "ot=rv:0123456789abcd", "ot=rv:0123456789abcd"),
        ("continue", "ot=th:c;rv:e123456789ab", ""),
        ("continue", "ot=th:8", ""),
        ("continue", "ot=th:4", "ot=th:4"),
        ("continue", "vendor=s3cret", ""),
        ("restart", "ot=th:c;rv:e123456789abcd", "ot=th:0"),
    ] {
        let sections =
            format!(r#""trace": {{"trust": [{{"name": "all", "context": "{trust}"}}], "sampling": {{"root": {{"probability": 1}}}}}},"#);
        let mut edge = Edge::new(&policy(r#"{"name": "all"}"#, &sections, ""));
        let mut lines = head("GET", "/");
        lines.extend([(&b"traceparent"[..], parent.as_bytes()), (b"tracestate", state.as_bytes())]);
        edge.exchange(&lines, Some(200));
        let request = read(&edge.bodies()[0]).unwrap();
        assert_eq!(spans(&request).next().unwrap().trace_state, expected, "{trust} {state}");
    }
}

/// A request that ends while it waits has a span too.
#[test]
fn who_leaves_while_waiting_is_told() {
    let quotas = r#""quotas": {"all": {"limit": {"fixed_window": {"requests": 9, "window": "1m"}}, "key": ["route"],
        "enforcement": {"global": {"cluster": "rls", "domain": "edge", "on_unavailable": "admit"}}}},"#;
    let routes = r#"{"name": "order", "match": {"path": {"template": "/orders/{id}"}}, "quotas": ["all"]}"#;
    for always in ["[]", r#"["error"]"#] {
        let sections = format!(
            r#"{quotas} "trace": {{"sampling": {{"root": {{"probability": {}}}, "always_record": {always}}}}},"#,
            u8::from(always == "[]")
        );
        let mut edge = Edge::new(&policy(routes, &sections, r#""client": true"#));
        let lines = head("GET", "/orders/7");
        let lines: Vec<Header<'_>> = lines.iter().map(|&(name, value)| Header { name, value }).collect();
        let mut exchange = edge.gateway.open(ExchangeId(1));
        let step = edge.with(|gateway, inputs| exchange.step(gateway, Event::Request(Headers::new(&lines)), inputs));
        assert_eq!(step.verdict, Verdict::Wait);
        assert!(exchange.awaits_cancellation(&edge.gateway) && !exchange.awaits_close(&edge.gateway));
        edge.now += 7_000_000;
        for event in [Event::Cancelled(Headers::new(&lines)), Event::Cancelled(Headers::new(&lines)), Event::Closed(Totals::default())] {
            let step = edge.with(|gateway, inputs| exchange.step(gateway, event, inputs));
            assert_eq!((step.verdict, step.effects.len()), (Verdict::Wait, 0));
        }
        let keys =
            ["tracegate.decision", "error.type", "tracegate.route", "url.path", "tracegate.callouts_us", "http.response.status_code"];
        let expected = some(&["cancelled", "cancelled", "order", "/orders/7", "7000", "-"]);
        assert_eq!(edge.spans(&keys), [("GET /orders/{id}".to_owned(), expected)], "{always}");
    }
}

#[test]
fn what_a_status_comes_to() {
    let mut edge = Edge::new(&policy(r#"{"name": "all"}"#, "", r#""client": true"#));
    for (status, server, client) in [
        (Some(200), "-", "-"),
        (Some(304), "-", "-"),
        (Some(404), "-", "404"),
        (Some(500), "500", "500"),
        (Some(503), "503", "503"),
        (None, "no_response", "no_response"),
    ] {
        edge.exchange(&head("GET", "/a?b=c"), status);
        let told = edge.spans(&["error.type", "url.full"]);
        let expected = [("GET".to_owned(), some(&[server, "-"])), ("GET".to_owned(), some(&[client, "https://api.shop.example:8443/a"]))];
        assert_eq!(told, expected, "{status:?}");
    }
}

/// Who has a file's id finds its requests by the digest that `HMAC-SHA256` gives for it; who reads the span doesn't learn the id.
#[test]
fn path_parameters_are_told_as_the_policy_says() {
    let keys = ["tracegate.path.file_id", "tracegate.path.part", "url.path"];
    let mut edge = Edge::new(&policy(FILES, "", KEY));
    edge.exchange(&head("GET", "/files/2f1a/parts/3"), Some(200));
    edge.exchange(&head("GET", "/files/%32f1a/parts/4?x=2f1a"), Some(200));
    let told = edge.spans(&keys);
    // printf 2f1a | openssl dgst -sha256 -hmac secretsecretsecretsecretsecret12
    let digest = "fb518fe1491dd90a";
    assert_eq!(told[0].1, some(&[digest, "3", &format!("/files/{digest}/parts/3")]));
    assert_eq!(told[1].1, some(&[digest, "4", &format!("/files/{digest}/parts/4")]), "the same id in another spelling");
    // Parameters of segments are no part of an id, and who misses the route tells nothing of it.
    let mut edge = Edge::new(&policy(&format!(r#"{FILES}, {{"name": "rest", "match": {{"path": {{"prefix": "/"}}}}}}"#), "", KEY));
    for path in ["/files/2f1a;sid=s3cret/parts/3;sid=s3cret", "/files/2f1a%3Bsid=s3cret/parts/3%3fsid=s3cret"] {
        edge.exchange(&head("GET", path), Some(200));
        assert_eq!(edge.spans(&keys)[0].1, some(&[digest, "3", &format!("/files/{digest}/parts/3")]), "{path}");
    }
    for path in ["/files/2f1a/", "/files/2f1a/parts/3/", "/files/2f1a%2Fparts"] {
        edge.exchange(&head("GET", path), Some(200));
        assert!(matches!(edge.spans(&keys)[0].1[2].as_deref(), Some("/*" | "/")), "{path}");
    }
    // Who decodes twice reads the same id, and so does who looks for it.
    for path in ["/files/%2532f1a/parts/3", "/files/%252532f%2531a/parts/3", "/files/2f1a%253Bsid=s3cret/parts/3%253bsid=s3cret"] {
        edge.exchange(&head("GET", path), Some(200));
        assert_eq!(edge.spans(&keys)[0].1, some(&[digest, "3", &format!("/files/{digest}/parts/3")]), "{path}");
    }
    // Nor does an id leak into what is told as it is, by a way that only those take who decode twice.
    edge.exchange(&head("GET", "/files/x/parts/..%252F..%252F2f1a"), Some(200));
    let told = edge.spans(&keys).remove(0).1;
    assert_eq!(told[1].as_deref(), Some(".."));
    assert!(told[2].as_deref().is_some_and(|path| path.ends_with("/parts/..")), "{told:?}");
    let mut edge = Edge::new(&policy(FILES, "", &format!(r#"{KEY}, "url_path": "template""#)));
    edge.exchange(&head("GET", "/files/2f1a/parts/3"), Some(200));
    assert_eq!(edge.spans(&keys)[0].1, some(&[digest, "3", "/files/{file_id}/parts/{part}"]));
}

#[test]
fn trees_and_links_are_the_traces_own() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let routes = r#"{"name": "all"}"#;
    for (trust, client) in [("continue", false), ("continue", true), ("link", false), ("restart", false)] {
        let sections = format!(r#""trace": {{"trust": [{{"name": "all", "context": "{trust}"}}]}},"#);
        let mut edge = Edge::new(&policy(routes, &sections, &format!(r#""client": {client}"#)));
        let mut lines = head("GET", "/");
        lines.push((b"traceparent", parent.as_bytes()));
        edge.exchange(&lines, Some(200));
        let body = edge.bodies().remove(0);
        let request = read(&body).unwrap();
        assert_eq!(violations(&request, &body), [""; 0]);
        let all: Vec<_> = spans(&request).collect();
        assert_eq!(all.len(), 1 + usize::from(client));
        let server = all[0];
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let goes_on = trust == "continue";
        assert_eq!(hex(&server.trace_id) == "0af7651916cd43dd8448eb211c80319c", goes_on, "{trust}");
        assert_eq!(hex(&server.parent_span_id), if goes_on { "b7ad6b7169203331" } else { "" }, "{trust}");
        assert_eq!(server.flags, if goes_on { 0x301 } else { 0x103 }, "{trust}: random where we drew it, remote where there is a parent");
        let linked: Vec<_> = server.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id), link.flags)).collect();
        let expected = ("0af7651916cd43dd8448eb211c80319c".to_owned(), "b7ad6b7169203331".to_owned(), 0x301);
        assert_eq!(linked, if trust == "link" { vec![expected] } else { vec![] }, "{trust}");
        if let [server, client] = all.as_slice() {
            assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
            assert!(client.start_time_unix_nano >= server.start_time_unix_nano);
        }
    }
}

#[test]
fn what_is_sampled_is_recorded_and_errors_as_the_policy_says() {
    for (always, status, expected) in
        [("[]", 200, 0), ("[]", 500, 0), (r#"["error"]"#, 200, 0), (r#"["error"]"#, 500, 1), (r#"["error"]"#, 404, 0)]
    {
        let sections = format!(r#""trace": {{"sampling": {{"root": {{"probability": 0}}, "always_record": {always}}}}},"#);
        let mut edge = Edge::new(&policy(r#"{"name": "all"}"#, &sections, ""));
        edge.exchange(&head("GET", "/"), Some(status));
        assert_eq!(edge.spans(&[]).len(), expected, "{always} {status}");
    }
    let sections = r#""trace": {"sampling": {"root": {"probability": 0}, "always_record": ["refused"]}},"#;
    let mut edge = Edge::new(&policy(r#"{"name": "none", "rules": [{"name": "no", "require": "deny"}]}"#, sections, ""));
    edge.exchange(&head("GET", "/"), None);
    assert_eq!(edge.spans(&["tracegate.reason"]), [("GET".to_owned(), some(&["AccessDenied"]))]);
}

#[test]
fn callers_are_told_by_the_policys_names_and_digests() {
    let identity = r#""identity": {"providers": {"subs": {"subscription_keys": {"subscriptions": [{"id": "contoso", "product": "gold",
        "keys_sha256": ["ed349c3240979f804f4bdeab52d250bffdf397283c65f8626aa7f72a9ff22074"]}]}}}},"#;
    let routes = r#"{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "subs"}}}]}"#;
    let keys =
        ["tracegate.caller.provider", "tracegate.caller.subscription", "tracegate.caller.product", "client.address", "user_agent.original"];
    let spans = r#""attributes": ["client.address", "user_agent.original"]"#;
    let mut edge = Edge::new(&policy(routes, identity, spans));
    let mut lines = head("GET", "/");
    lines.extend([(&b"ocp-apim-subscription-key"[..], &b"contoso-key-1"[..]), (b"user-agent", b"curl/8")]);
    assert!(edge.exchange(&lines, Some(200)));
    assert_eq!(edge.spans(&keys)[0].1, some(&["subs", "contoso", "gold", "203.0.113.7", "curl/8"]));
    let digest = |edge: &mut Edge| edge.spans(&["tracegate.caller.digest"])[0].1[0].clone();
    assert_eq!(
        digest(&mut {
            edge.exchange(&lines, Some(200));
            edge
        }),
        None,
        "nothing to make it with"
    );
    let mut edge = Edge::new(&policy(routes, identity, KEY));
    edge.exchange(&lines, Some(200));
    assert_eq!(digest(&mut edge).map(|digest| digest.len()), Some(16));
}

#[test]
fn what_may_be_a_password_is_not_told() {
    let mut edge = Edge::new(&policy(r#"{"name": "all"}"#, "", r#""request_id_header": "x-request-id""#));
    for (authority, id, told) in [
        ("api.shop.example", "bf0d72ed-e82f-4549-a642-223ebc40e5cc", ["api.shop.example", "bf0d72ed-e82f-4549-a642-223ebc40e5cc"]),
        ("alice:s3cret@shop.example:443", "https://shop/cb?code=s3cret", ["-", "-"]),
    ] {
        let lines: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":path", b"/"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b"x-request-id", id.as_bytes()),
        ];
        edge.exchange(&lines, Some(200));
        assert_eq!(edge.spans(&["server.address", "tracegate.request_id"])[0].1, some(&told), "{authority}");
    }
}

/// What limits leave, which refused, and which in shadow would have.
#[test]
fn limits_are_told_and_so_is_what_shadow_would_have_refused() {
    let quota = |requests: u32, mode: &str| {
        format!(
            r#"{{"limit": {{"fixed_window": {{"requests": {requests}, "window": "1m"}}}}, "key": ["route"], "enforcement": {{"local": {{}}}}, "mode": "{mode}"}}"#
        )
    };
    let sections = format!(r#""quotas": {{"hard": {}, "soft": {}}},"#, quota(2, "enforce"), quota(1, "shadow"));
    let mut edge = Edge::new(&policy(r#"{"name": "all", "quotas": ["hard", "soft"]}"#, &sections, ""));
    let keys =
        ["tracegate.decision", "tracegate.reason", "tracegate.quota.hard.remaining", "tracegate.shadow", "tracegate.quota.would_refuse"];
    for expected in
        [["admitted", "-", "1", "-", "-"], ["admitted", "-", "0", "QuotaExceeded", "soft"], ["refused", "QuotaExceeded", "-", "-", "-"]]
    {
        edge.exchange(&head("GET", "/"), Some(200));
        assert_eq!(edge.spans(&keys)[0].1, some(&expected));
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[ -~]{0,80}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1000..3000)
    ]
}

proptest! {
    /// Whatever a request holds, what leaves is sound, and holds nothing of its query, its body or its credentials.
    #[test]
    fn whatever_comes_what_leaves_is_sound(
        method in prop_oneof![prop::sample::select(vec!["GET", "POST", "QUERY", "get", "BREW"]).prop_map(|method| method.as_bytes().to_vec()), bytes()],
        path in bytes(),
        authority in bytes(),
        agent in bytes(),
        traceparent in prop::option::of("00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]"),
        status in prop::option::of(100_u16..600),
        template: bool,
        client: bool,
    ) {
        let url_path = if template { "template" } else { "full" };
        let spans = format!(r#"{KEY}, "client": {client}, "url_path": "{url_path}", "attributes": ["client.address", "user_agent.original", "server.address"]"#);
        let mut edge = Edge::new(&policy(&format!(r#"{FILES}, {{"name": "rest"}}"#), "", &spans));
        let path = [b"/".as_slice(), &path].concat();
        let lines: Vec<(&[u8], &[u8])> = vec![(b":method", &method), (b":path", &path), (b":scheme", b"http"), (b":authority", &authority),
            (b"user-agent", &agent), (b"authorization", b"Bearer s3cret-7f3a9"), (b"cookie", b"sid=s3cret-7f3a9")];
        let parent = traceparent.as_ref().map(|value| (&b"traceparent"[..], value.as_bytes()));
        let lines: Vec<_> = lines.into_iter().chain(parent).collect();
        edge.exchange(&lines, status);
        for body in edge.bodies() {
            let request = read(&body).unwrap();
            // An authority that is none has no address to tell.
            let told = |wrong: &String| ["server.address", "server.port", "url.full"].iter().any(|key| wrong.ends_with(key));
            let wrong: Vec<_> = violations(&request, &body).into_iter().filter(|wrong| !told(wrong)).collect();
            prop_assert_eq!(wrong, Vec::<String>::new());
            prop_assert!(!body.windows(6).any(|window| window == b"s3cret"));
        }
    }
}
