// SPDX-License-Identifier: Apache-2.0
//! A policy that asks for all that a host may know, and a gateway that is told all that can happen.

use serde_json::{Value, json};
use tracegate::event::HostFailure;
use tracegate::identity::Algorithm;
use tracegate::quota::Totals;
use tracegate::{Event, Exchange, ExchangeId, Header, Headers, Step, Verdict};
use tracegate_harness::host::{Facts, Tls};
use tracegate_harness::issuer::Issuer;
use tracegate_tests::faces;

use super::host::Host;
use super::native::{Counts, Native};

/// The SHA-256 of a certificate, 32 times `ab`, in base64url.
const BOUND_TO: &str = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";

/// Asks for every fact of the peer, for a signature, for a route's metadata and for trailers without what was proven; counts bytes by a service.
fn policy(issuer: &Issuer) -> String {
    let jwt = json!({
        "issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["RS256"], "keys": {"inline": issuer.key_set()},
        "certificate_bound": true, "tokens": [{"header": "x-token"}],
    });
    let peer = |part: &str, match_: Value| json!({"peer": {part: match_}});
    let name = json!({"all": [
        peer("subject", json!({"exact": "CN=stock"})), peer("dns_san", json!({"suffix": ".shop.example"})), peer("sha256", json!("ab".repeat(32))),
        {"source": {"cidr": ["10.0.0.0/8"]}},
    ]});
    let global = json!({"cluster": "limits", "domain": "shop", "on_unavailable": "admit", "mode": {"lease": {"max_slice": 1000}}});
    json!({
        "schema": 1, "service": {"name": "edge"}, "listener": {"client_certificates": "verified"}, "default": {"action": "refuse"},
        "secrets": {"chain": {"environment": {"name": "CHAIN"}}},
        "trace": {"trust": [
            {"name": "mesh", "when": peer("uri_san", json!({"prefix": "spiffe://shop.example/"})), "context": "continue"},
            {"name": "internet", "context": "restart"},
        ]},
        "identity": {"providers": {"customers": {"jwt": jwt}}, "forward_token": false},
        "quotas": {
            "calls": {
                "limit": {"rate": {"requests": 10, "window": "1m"}}, "limit_from": {"route_metadata": {"at_most": 50}}, "key": ["source"],
                "key_absent": "skip", "enforcement": {"local": {}},
            },
            "bytes": {
                "limit": {"fixed_window": {"bytes": 100_000, "window": "1h"}}, "key": ["route"], "cost": {"reserve_bytes": 10},
                "enforcement": {"global": global},
            },
        },
        "routes": [
            {"name": "orders", "match": {"path": {"prefix": "/orders"}}, "quotas": ["calls"], "rules": [
                {"name": "who", "require": {"caller": {"provider": "customers"}}}, {"name": "where", "when": {"not": name}, "require": "deny"},
            ]},
            {"name": "files", "match": {"path": {"prefix": "/files"}}, "quotas": ["bytes"]},
        ],
        "export": {"traces": {"spans": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces"}}}},
        "audit": {"outputs": ["log"], "chain": {"key": {"secret": "chain"}}},
    })
    .to_string()
}

/// A gateway that is told all that can happen.
pub(crate) struct Everything {
    native: Native,
    issuer: Issuer,
    next: u32,
}

impl Everything {
    pub(crate) fn start(host: Host) -> Self {
        let issuer = Issuer::new(0).expect("an issuer has keys");
        let mut native = Native::start(&policy(&issuer), host);
        native.set_clock(1_791_180_000_000_000_000);
        Self { native, issuer, next: 10 }
    }

    /// What is told is more than any module's host tells.
    pub(crate) fn beyond_modules() -> Self {
        let told = Self::start(Host::Sound);
        told.native.go_beyond_modules();
        told
    }

    /// What becomes of other policies: one that runs with a warning, and two that don't.
    pub(crate) fn compile(&self) -> [faces::Compiled; 3] {
        let mut document: Value = serde_json::from_str(&policy(&self.issuer)).expect("it is JSON");
        // What is counted is lost when the gateway restarts: a warning.
        document["quotas"]["calls"]["limit"]["rate"]["window"] = json!("1h");
        document["quotas"]["calls"]["enforcement"]["local"]["volatile"] = json!(true);
        let sound = document.to_string();
        let unknown = sound.replacen("\"customers\"", "\"strangers\"", 1);
        [&sound, &unknown, "{\"schema\": 1,\n  \"ro\u{fc}tes\": [}"].map(|policy| faces::Recorded::compile(policy, self.native.record()))
    }

    /// What the same policy says where the host has no secret.
    pub(crate) fn without_its_secret(&mut self, record: &faces::Record) -> String {
        let policy = policy(&self.issuer);
        let started = self.native.start_another(&policy, record);
        started.expect_err("it chains with a secret").to_string()
    }

    /// Everything is known of the caller, or nothing.
    pub(crate) fn know(&mut self, known: bool) {
        let tls = Tls {
            mutual: true,
            uri_san: Some("spiffe://shop.example/stock".to_owned()),
            dns_san: Some("stock.shop.example".to_owned()),
            subject: Some("CN=stock".to_owned()),
            sha256: Some("ab".repeat(32)),
            ..Tls::default()
        };
        let metadata = vec![("tracegate".to_owned(), "calls".to_owned(), "2".to_owned())];
        let facts = Facts { source: ([10, 0, 0, 7], 4711).into(), tls: Some(tls), route_metadata: metadata, ..Facts::default() };
        self.native.know(if known { facts } else { Facts::default() });
    }

    /// A whole exchange with a token and with trailers, and what was decided of it.
    pub(crate) fn exchange(&mut self, path: &str) -> Verdict {
        let (mut exchange, verdict) = self.begin(path);
        if matches!(verdict, Verdict::Continue(_)) {
            let trailers = [Header { name: b"x-token", value: b"smuggled" }, Header { name: b"checksum", value: b"7" }];
            let Verdict::Continue(edits) = self.step(&mut exchange, Event::Trailers(Headers::new(&trailers))) else { panic!("they go on") };
            assert_eq!(edits.len(), 1, "what proves who calls is no trailer");
        }
        let response = [Header { name: b":status", value: b"200" }];
        let _ = self.step(&mut exchange, Event::Response(Headers::new(&response)));
        let _ = self.step(&mut exchange, Event::Closed(Totals { request_bytes: 30, response_bytes: 4000 }));
        verdict
    }

    /// An exchange that the host fails, and what was decided of it then.
    pub(crate) fn failing(&mut self, failure: HostFailure) -> Verdict {
        let (mut exchange, _) = self.begin("/orders/7");
        let verdict = self.step(&mut exchange, Event::HostFailed(failure));
        let _ = self.step(&mut exchange, Event::Closed(Totals::default()));
        verdict
    }

    /// An exchange that is given up before its end.
    pub(crate) fn give_up(&mut self) {
        let (exchange, _) = self.begin("/orders/7");
        self.native.with(|core, inputs| core.give_up(exchange, inputs));
    }

    /// A tick once a batch is due, and how much is asked for then.
    pub(crate) fn tick(&mut self) -> usize {
        self.native.pass(10_000_000_000);
        let woken = self.native.with(faces::Recorded::tick);
        self.native.drain();
        woken.effects.len()
    }

    /// Ends the gateway, whose counts these are.
    pub(crate) fn end(self) -> Counts {
        self.native.end()
    }

    fn begin(&mut self, path: &str) -> (Exchange, Verdict) {
        let claims = json!({
            "iss": "https://id.shop.example/", "aud": "orders-api", "sub": "1f2c7a64", "exp": 4_102_444_800_u64, "cnf": {"x5t#S256": BOUND_TO},
        });
        let token = self.issuer.mint(Algorithm::Rs256, &claims).expect("an issuer mints");
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let lines = [(":method", "GET"), (":authority", "api"), (":path", path), ("x-token", &token), ("traceparent", parent)];
        let lines = lines.map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
        let mut exchange = self.native.open(ExchangeId(self.next));
        self.next += 1;
        let verdict = self.step(&mut exchange, Event::Request(Headers::new(&lines)));
        (exchange, verdict)
    }

    fn step(&mut self, exchange: &mut Exchange, event: Event<'_>) -> Verdict {
        let Step { verdict, .. } = self.native.with(|core, inputs| core.step(exchange, event, inputs));
        verdict
    }
}
