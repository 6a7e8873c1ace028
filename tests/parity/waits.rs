// SPDX-License-Identifier: Apache-2.0
//! Requests that wait: for keys, for a rate-limit service, and those that end meanwhile.

use std::collections::VecDeque;

use serde_json::json;
use tracegate::event::HostFailure;
use tracegate::identity::Algorithm;
use tracegate::quota::Totals;
use tracegate::{CallFailed, Effect, Event, ExchangeId, Header, Headers, Reply, Step, Verdict, Woken};
use tracegate_harness::issuer::Issuer;
use tracegate_tests::faces;

use super::host::Host;
use super::native::Native;

/// Asks for a token whose keys the issuer publishes, and has a service count.
pub(crate) fn policy() -> String {
    let jwt = json!({
        "issuer": "https://id.shop.example/", "audiences": ["orders-api"], "algorithms": ["RS256"],
        "keys": {"jwks": {"uri": "https://id.shop.example/jwks.json", "cluster": "idp", "timeout": "1s", "wait": "5s"}},
    });
    let global = json!({"cluster": "limits", "domain": "shop", "timeout": "2s", "on_unavailable": "refuse"});
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "identity": {"providers": {"customers": {"jwt": jwt}}},
        "quotas": {"all": {
            "limit": {"calendar": {"requests": 5, "period": "day"}}, "key": ["caller"], "key_absent": "refuse", "enforcement": {"global": global},
        }},
        "routes": [{"name": "all", "rules": [{"name": "who", "require": {"caller": {"provider": "customers"}}}], "quotas": ["all"]}],
        "export": {
            "traces": {"spans": {"otlp": {"cluster": "otel", "uri": "http://otel:4318/v1/traces"}}},
            "access_log_properties": ["decision", "reason", "caller", "remaining"],
        },
    })
    .to_string()
}

/// What a service answers: a body, or why there is none.
pub(crate) type Said = Result<Vec<u8>, CallFailed>;

/// A gateway whose requests wait, and the issuer that its callers have tokens of.
pub(crate) struct Waits {
    native: Native,
    issuer: Issuer,
    next: u32,
}

impl Waits {
    pub(crate) fn start() -> Self {
        let mut native = Native::start(&policy(), Host::Sound);
        native.set_clock(1_791_180_000_000_000_000);
        Self { native, issuer: Issuer::new(0).expect("an issuer has keys"), next: 10 }
    }

    /// The issuer's keys.
    pub(crate) fn keys(&self) -> Said {
        Ok(self.issuer.key_set().to_string().into_bytes())
    }

    /// A request with a sound token, until it is decided: what the issuer says and what the service says.
    pub(crate) fn request(&mut self, mut issuer: impl FnMut() -> Said, mut service: impl FnMut() -> Said) -> Verdict {
        let head = self.head();
        let (id, lines) = (ExchangeId(self.next), lent(&head));
        self.next += 1;
        let mut exchange = self.native.open(id);
        let mut verdict = Verdict::Wait;
        let mut woken = VecDeque::from([self.step(&mut exchange, Event::Request(Headers::new(&lines)), &mut verdict)]);
        for _ in 0..2000 {
            while let Some(Woken { effects, wake, .. }) = woken.pop_front() {
                for effect in effects {
                    let said = match &effect {
                        Effect::Fetch(_) => issuer(),
                        Effect::CheckRateLimit(_) => service(),
                        Effect::Export(_) => Ok(Vec::new()),
                    };
                    let answer = [Header { name: b":status", value: b"200" }];
                    let reply = said.as_deref().map(|body| Reply { headers: Headers::new(&answer), body }).map_err(|failed| *failed);
                    woken.push_back(self.native.with(|core, inputs| core.reply(effect.call(), reply, inputs)));
                }
                if wake.contains(&id) && verdict == Verdict::Wait {
                    woken.push_back(self.step(&mut exchange, Event::Wake(Headers::new(&lines)), &mut verdict));
                }
            }
            if verdict != Verdict::Wait {
                let status = [Header { name: b":status", value: b"200" }];
                let _ = self.step(&mut exchange, Event::Response(Headers::new(&status)), &mut Verdict::Wait);
                let _ = self.step(&mut exchange, Event::Closed(Totals { request_bytes: 3, response_bytes: 5 }), &mut Verdict::Wait);
                return verdict;
            }
            self.native.pass(10_000_000);
            woken.push_back(self.native.with(faces::Recorded::tick));
        }
        panic!("it waits for ever");
    }

    /// A request that ends while it waits.
    pub(crate) fn cancelled(&mut self) {
        let head = self.head();
        let lines = lent(&head);
        let mut exchange = self.native.open(ExchangeId(self.next));
        self.next += 1;
        let mut verdict = Verdict::Continue(tracegate::HeaderEdits::default());
        let _ = self.step(&mut exchange, Event::Request(Headers::new(&lines)), &mut verdict);
        assert_eq!(verdict, Verdict::Wait);
        self.native.pass(1_000_000);
        let _ = self.step(&mut exchange, Event::Cancelled(Headers::new(&lines)), &mut verdict);
        let _ = self.step(&mut exchange, Event::Closed(Totals::default()), &mut verdict);
    }

    /// A request that the host can't let go on once it has been decided.
    pub(crate) fn host_fails(&mut self) -> Verdict {
        let head = self.head();
        let lines = lent(&head);
        let mut exchange = self.native.open(ExchangeId(self.next));
        self.next += 1;
        let mut verdict = Verdict::Wait;
        let _ = self.step(&mut exchange, Event::Request(Headers::new(&lines)), &mut verdict);
        let _ = self.step(&mut exchange, Event::HostFailed(HostFailure::NotContinued), &mut verdict);
        let _ = self.step(&mut exchange, Event::Closed(Totals::default()), &mut Verdict::Wait);
        verdict
    }

    fn step(&mut self, exchange: &mut tracegate::Exchange, event: Event<'_>, verdict: &mut Verdict) -> Woken {
        let Step { verdict: decided, effects, .. } = self.native.with(|core, inputs| core.step(exchange, event, inputs));
        *verdict = decided;
        Woken { effects, ..Woken::default() }
    }

    fn head(&mut self) -> Vec<(&'static str, String)> {
        let claims = json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": "1f2c7a64", "exp": 4_102_444_800_u64});
        let token = self.issuer.mint(Algorithm::Rs256, &claims).expect("an issuer mints");
        let line = |name, value: &str| (name, value.to_owned());
        vec![line(":method", "GET"), line(":authority", "api"), line(":path", "/orders"), line("authorization", &format!("Bearer {token}"))]
    }

    /// Ends the gateway, whose counts these are.
    pub(crate) fn end(self) -> super::native::Counts {
        self.native.end().1
    }
}

fn lent<'a>(head: &'a [(&'static str, String)]) -> Vec<Header<'a>> {
    head.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect()
}
