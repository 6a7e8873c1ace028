// SPDX-License-Identifier: Apache-2.0
//! Requests that wait: for keys, for a rate-limit service, and those that end meanwhile.

use serde_json::json;
use tracegate::event::HostFailure;
use tracegate::identity::Algorithm;
use tracegate::quota::Totals;
use tracegate::{CallFailed, Effect, Event, Exchange, ExchangeId, Header, Headers, Reply, Step, Verdict, Woken};
use tracegate_harness::host::{HeaderMap, Message};
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

/// What a service answers, or why it doesn't.
pub(crate) type Said = Result<Message, CallFailed>;

/// A gateway whose requests wait, and the issuer that its callers have tokens of.
pub(crate) struct Waits {
    native: Native,
    issuer: Issuer,
    next: u32,
    /// What has gone out.
    out: Vec<Effect>,
    /// What goes out with the next tick.
    deferred: Vec<Effect>,
}

/// A request on its way.
struct Waiting {
    id: ExchangeId,
    exchange: Exchange,
    head: Vec<(&'static str, String)>,
    verdict: Verdict,
}

impl Waits {
    pub(crate) fn start() -> Self {
        let mut native = Native::start(&policy(), Host::Sound);
        native.set_clock(1_791_180_000_000_000_000);
        Self { native, issuer: Issuer::new(0).expect("an issuer has keys"), next: 10, out: Vec::new(), deferred: Vec::new() }
    }

    /// Calls fail in ways that no module's host has.
    pub(crate) fn beyond_modules() -> Self {
        let waits = Self::start();
        waits.native.go_beyond_modules();
        waits
    }

    /// The issuer's keys.
    pub(crate) fn keys(&self) -> Message {
        Message::response::<&str, &str>(200, [], self.issuer.key_set().to_string().as_bytes())
    }

    /// A request with a sound token, until it is decided: what the issuer says and what the service says.
    pub(crate) fn request(&mut self, mut issuer: impl FnMut() -> Said, mut service: impl FnMut() -> Said) -> Verdict {
        let mut waiting = self.open();
        for _ in 0..2000 {
            while let Some(effect) = self.out.pop() {
                let said = match &effect {
                    Effect::Fetch(_) => issuer(),
                    Effect::CheckRateLimit(_) => service(),
                    Effect::Export(_) => Ok(Message::response::<&str, &str>(200, [], b"")),
                };
                let lines: Vec<_> = said.iter().flat_map(|message| lent_map(&message.head)).collect();
                let reply = said.as_ref().map(|message| Reply { headers: Headers::new(&lines), body: &message.body });
                let woken = self.native.with(|core, inputs| core.reply(effect.call(), reply.map_err(|failed| *failed), inputs));
                self.follow(woken, &mut waiting);
            }
            if waiting.verdict != Verdict::Wait {
                let status = [Header { name: b":status", value: b"200" }];
                let _ = self.step(&mut waiting, Event::Response(Headers::new(&status)));
                let _ = self.step(&mut waiting, Event::Closed(Totals::default()));
                return waiting.verdict;
            }
            self.native.pass(10_000_000);
            self.out.append(&mut self.deferred);
            let woken = self.native.with(faces::Recorded::tick);
            self.follow(woken, &mut waiting);
            self.native.drain();
        }
        panic!("it waits for ever");
    }

    /// A request that ends while it waits.
    pub(crate) fn cancelled(&mut self) {
        let mut waiting = self.open();
        assert_eq!(waiting.verdict, Verdict::Wait);
        self.native.pass(1_000_000);
        let head = waiting.head.clone();
        let _ = self.step(&mut waiting, Event::Cancelled(Headers::new(&lent(&head))));
        let _ = self.step(&mut waiting, Event::Closed(Totals::default()));
    }

    /// A request that the host can't let go on once it has been decided.
    pub(crate) fn host_fails(&mut self) -> Verdict {
        let mut waiting = self.open();
        let verdict = self.step(&mut waiting, Event::HostFailed(HostFailure::NotContinued));
        let _ = self.step(&mut waiting, Event::Closed(Totals::default()));
        verdict
    }

    /// Opens an exchange, and tells it the request's head.
    fn open(&mut self) -> Waiting {
        let id = ExchangeId(self.next);
        self.next += 1;
        let (head, exchange) = (self.head(), self.native.open(id));
        let mut waiting = Waiting { id, exchange, head: head.clone(), verdict: Verdict::Wait };
        waiting.verdict = self.step(&mut waiting, Event::Request(Headers::new(&lent(&head))));
        waiting
    }

    /// Does what a tick or an answer came to, as proxies do.
    fn follow(&mut self, Woken { effects, wake, .. }: Woken, waiting: &mut Waiting) {
        self.out.extend(effects);
        if wake.contains(&waiting.id) {
            let head = waiting.head.clone();
            waiting.verdict = self.step(waiting, Event::Wake(Headers::new(&lent(&head))));
        }
    }

    /// Takes a step. From within its stream goes what a request waits for; the rest goes with the next tick.
    fn step(&mut self, waiting: &mut Waiting, event: Event<'_>) -> Verdict {
        let Step { verdict, effects, .. } = self.native.with(|core, inputs| core.step(&mut waiting.exchange, event, inputs));
        for effect in effects {
            match &effect {
                Effect::CheckRateLimit(asked) if asked.awaited && !matches!(event, Event::Wake(_)) => self.out.push(effect),
                _ => self.deferred.push(effect),
            }
        }
        verdict
    }

    fn head(&mut self) -> Vec<(&'static str, String)> {
        let claims = json!({"iss": "https://id.shop.example/", "aud": "orders-api", "sub": "1f2c7a64", "exp": 4_102_444_800_u64});
        let token = self.issuer.mint(Algorithm::Rs256, &claims).expect("an issuer mints");
        let line = |name, value: &str| (name, value.to_owned());
        vec![line(":method", "GET"), line(":authority", "api"), line(":path", "/orders"), line("authorization", &format!("Bearer {token}"))]
    }

    /// Ends the gateway, whose counts these are.
    pub(crate) fn end(self) -> super::native::Counts {
        self.native.end()
    }
}

fn lent_map(head: &HeaderMap) -> impl Iterator<Item = Header<'_>> {
    head.iter().map(|line| Header { name: &line.name, value: &line.value })
}

fn lent<'a>(head: &'a [(&'static str, String)]) -> Vec<Header<'a>> {
    head.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect()
}
