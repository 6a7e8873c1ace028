// SPDX-License-Identifier: Apache-2.0
//! One edge with callers of every kind, and what becomes of their requests.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::key::tests::{rs256, rsa_members};
use super::*;
use crate::decision::Refusal;
use crate::edits::HeaderEdit;
use crate::inputs::PeerFact;

/// A head's lines.
pub(super) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// An edge and its world.
pub(super) struct Edge {
    pub(super) gateway: Gateway,
    pub(super) now: u64,
    /// What the host knows of who sends the next request.
    pub(super) peer: Vec<(PeerFact, String)>,
    pub(super) fetches: Vec<Fetch>,
    /// How many steps there have been.
    pub(super) steps: usize,
    shared: Shared,
    next: u32,
    waiting: BTreeMap<ExchangeId, (Exchange, Lines)>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Fate {
    /// It went on, with these lines.
    Admitted(Lines),
    Refused(Refusal),
    Waits,
}

impl Fate {
    /// In words.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Admitted(_) => "admitted".to_owned(),
            Self::Refused(refusal) => format!("{} {}", refusal.status(), refusal.reason().as_str()),
            Self::Waits => "waits".to_owned(),
        }
    }

    pub(super) fn challenges(&self) -> Vec<&str> {
        let Self::Refused(refusal) = self else { return vec![] };
        refusal.headers().filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value).collect()
    }

    /// The values of a header that went on, in text.
    pub(super) fn upstream(&self, name: &str) -> Vec<String> {
        let Self::Admitted(lines) = self else { panic!("{}", self.told()) };
        lines.iter().filter(|(found, _)| found == name.as_bytes()).map(|(_, value)| value.escape_ascii().to_string()).collect()
    }
}

/// A policy with a provider of each kind. `more` may change it.
pub(super) fn policy(rules: Value, more: impl FnOnce(&mut Value)) -> Value {
    let jwt = |issuer: &str, key: &str| {
        let keys: Value = serde_json::from_str(&key_set(&[key])).unwrap();
        json!({"jwt": {"issuer": issuer, "audiences": ["orders-api"], "algorithms": ["EdDSA"], "clock_skew": "0s", "keys": {"inline": keys}}})
    };
    let mut second = jwt("https://second.example/", "k2");
    second["jwt"]["tokens"] = json!([{"header": "x-second-token"}, {"query": "second_token"}, {"cookie": "second"}]);
    let mut policy = json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "admit"},
        "listener": {"client_certificates": "verified"},
        "identity": {"providers": {
            "customers": jwt("https://id.shop.example/", "k1"),
            "second": second,
            "partners": {"subscription_keys": {"subscriptions": [
                {"id": "contoso", "product": "gold", "keys_sha256": [digest("primary"), digest("secondary")]},
                {"id": "fabrikam", "keys_sha256": [digest("other")]},
            ]}},
            "mesh": {"client_certificate": {"services": [{"name": "stock", "peer": {"dns_san": {"suffix": ".shop.example"}}}]}},
        }},
        "routes": [{"name": "orders", "match": {"path": {"prefix": "/orders"}}, "rules": rules}],
    });
    more(&mut policy);
    policy
}

fn digest(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One rule that requires this.
pub(super) fn require(require: Value) -> Value {
    json!([{"name": "rule", "require": require}])
}

/// A caller of this provider.
pub(super) fn of(provider: &str) -> Value {
    json!({"caller": {"provider": provider}})
}

/// A token of `customers` that counts, with more claims; `null` takes one away.
pub(super) fn customer(more: Value) -> String {
    claiming("k1", "https://id.shop.example/", more)
}

/// The same of `second`.
pub(super) fn second(more: Value) -> String {
    claiming("k2", "https://second.example/", more)
}

fn claiming(key_id: &str, issuer: &str, more: Value) -> String {
    let mut claims = json!({"iss": issuer, "aud": "orders-api", "exp": 3600, "sub": "jane"});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    signed(&json!({"alg": "EdDSA", "kid": key_id}), &claims, |text| key(key_id).sign(text).to_bytes().to_vec())
}

/// A token of Entra ID.
pub(super) fn entra(key_id: &str, claims: &Value) -> String {
    signed(&json!({"alg": "RS256", "kid": key_id}), claims, rs256)
}

/// Keys of Entra ID, by their ids and what the key set says of their issuers.
pub(super) fn entra_keys(keys: &[(&str, Option<&str>)]) -> String {
    let key = |(id, issuer): &(&str, Option<&str>)| {
        let mut key: serde_json::Map<String, Value> =
            rsa_members().map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect();
        key.insert("kid".to_owned(), json!(id));
        key.extend(issuer.map(|issuer| ("issuer".to_owned(), json!(issuer))));
        Value::Object(key)
    };
    json!({"keys": keys.iter().map(key).collect::<Vec<_>>()}).to_string()
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

impl Edge {
    pub(super) fn new(policy: &Value) -> Self {
        let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).policy;
        let mut gateway = Gateway::new(GatewayId(0), policy);
        gateway.provide(&mut |name: &str| Some(format!("secret-of-{name}"))).unwrap();
        let (peer, fetches, waiting, shared) = (vec![], vec![], BTreeMap::new(), Shared::default());
        Self { gateway, now: SECOND, peer, fetches, steps: 0, shared, next: 0, waiting }
    }

    fn with<T>(&mut self, run: impl FnOnce(&mut Gateway, &mut Inputs<'_>) -> T) -> T {
        let mut entropy = |bytes: &mut [u8]| {
            bytes.fill(7);
            Ok(())
        };
        let facts = &self.peer;
        let mut peer = |fact: PeerFact| facts.iter().find(|(known, _)| *known == fact).map(|(_, value)| value.as_bytes().to_vec());
        let (now, monotonic) = (i64::try_from(self.now).unwrap(), self.now);
        let (store, signatures) = (&mut self.shared, &mut NoSignatures);
        run(&mut self.gateway, &mut Inputs { now, monotonic, entropy: &mut entropy, peer: &mut peer, store, signatures })
    }

    /// Sends a `GET /orders` with these lines, whose values are in Latin-1; pseudo-headers among them come in the place of its own.
    pub(super) fn send(&mut self, lines: &[(&str, &str)]) -> Fate {
        let latin = |text: &str| text.chars().map(|letter| u8::try_from(letter).unwrap()).collect::<Vec<u8>>();
        let own = [(":method", "GET"), (":authority", "api.example"), (":path", "/orders")];
        let own = own.iter().filter(|(name, _)| lines.iter().all(|(other, _)| other != name));
        self.send_raw(own.chain(lines).map(|(name, value)| (latin(name), latin(value))).collect())
    }

    pub(super) fn send_raw(&mut self, lines: Lines) -> Fate {
        self.next += 1;
        let exchange = self.gateway.open(ExchangeId(self.next));
        self.step(exchange, lines, true)
    }

    fn step(&mut self, mut exchange: Exchange, lines: Lines, first: bool) -> Fate {
        self.steps += 1;
        let lent: Vec<Header<'_>> = lines.iter().map(|(name, value)| Header { name, value }).collect();
        let headers = Headers::new(&lent);
        let event = if first { Event::Request(headers) } else { Event::Wake(headers) };
        match self.with(|gateway, inputs| exchange.step(gateway, event, inputs)).verdict {
            Verdict::Continue(edits) => {
                let mut upstream = lines.clone();
                for edit in edits.iter() {
                    let name = match edit {
                        HeaderEdit::Replace { name, .. } | HeaderEdit::Remove { name } => name.as_bytes(),
                    };
                    upstream.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
                    if let HeaderEdit::Replace { value, .. } = edit {
                        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "a value is one line");
                        upstream.push((name.to_vec(), value.clone()));
                    }
                }
                Fate::Admitted(upstream)
            }
            Verdict::Refuse(refusal) => Fate::Refused(refusal),
            Verdict::Wait => {
                self.waiting.insert(exchange.id(), (exchange, lines));
                Fate::Waits
            }
        }
    }

    /// The clock ticks: what became of requests that have waited.
    pub(super) fn tick(&mut self) -> Vec<String> {
        let woken = self.with(|gateway, inputs| gateway.tick(inputs));
        self.follow(woken)
    }

    /// Lets time pass, with a tick every 10 ms.
    pub(super) fn pass(&mut self, time: u64) -> Vec<String> {
        let (end, mut fates) = (self.now + time, vec![]);
        while self.now < end {
            self.now += 10_000_000;
            fates.extend(self.tick());
        }
        fates
    }

    /// Answers the fetch from this cluster.
    pub(super) fn answer(&mut self, cluster: &str, status: &str, body: &str) -> Vec<String> {
        let at = self.fetches.iter().position(|fetch| fetch.cluster == cluster).expect("a fetch is under way");
        let fetch = self.fetches.remove(at);
        let lines = [Header { name: b":status", value: status.as_bytes() }];
        let reply = Reply { headers: Headers::new(&lines), body: body.as_bytes() };
        let woken = self.with(|gateway, inputs| gateway.reply(fetch.call, Ok(reply), inputs));
        self.follow(woken)
    }

    fn follow(&mut self, woken: Woken) -> Vec<String> {
        self.fetches.extend(woken.effects.into_iter().map(fetch));
        let mut fates = vec![];
        for id in woken.wake {
            let (exchange, lines) = self.waiting.remove(&id).expect("who is woken waits");
            fates.push(self.step(exchange, lines, false));
        }
        fates.retain(|fate| !matches!(fate, Fate::Waits));
        fates.iter().map(Fate::told).collect()
    }

    /// What has been counted, by name.
    pub(super) fn counted(&mut self) -> BTreeMap<String, u64> {
        let names = self.gateway.counter_names();
        self.gateway.drain_counts().map(|(index, count)| (names[index].clone(), count)).collect()
    }
}
