// SPDX-License-Identifier: Apache-2.0
//! The policy core as it is compiled into the harness, beside the module: what it would record and export under another setting.
//!
//! Given what the module is given, randomness included, it decides what the module decides; a test holds it to that.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tracegate::metrics::Counter;
use tracegate::quota::Totals;
use tracegate::trace::{DecidedBy, SamplingPolicy};
use tracegate::{
    CallFailed, Effect, Event, ExchangeId, Fetch, Gateway, GatewayId, Header, Headers, Inputs, NoSignatures, NoStore, PeerFact, Policy,
    Reply, Step, UnknownPeer, Verdict, Woken,
};

use super::edge;
use super::published::Published;
use super::rate_limits::RateLimits;
use super::store::OwnStore;
use super::vault::Vault;
use crate::host::{HeaderMap, Tls};
use crate::keys;
use crate::recording::Recorded;

/// A policy with a setting of its own for sampling.
#[derive(Debug)]
pub(super) struct Native {
    gateway: Gateway,
    store: OwnStore,
    randomness: ChaCha8Rng,
    /// The rate-limit service of the policy's global quotas.
    limits: RateLimits,
    /// What holds the policy's secrets that are fetched.
    vault: Vault,
}

/// A request as a gateway presents it.
#[derive(Debug)]
pub(super) struct Presented<'a> {
    lines: Vec<Header<'a>>,
    source: String,
    tls: Option<Tls>,
    now: i64,
    published: Option<&'a Published>,
    /// What the backend answers.
    status: String,
    totals: Totals,
}

/// What became of a request's trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// Whether a span is recorded.
    pub(super) sampled: bool,
    /// Who decided so; `None` where no id could be minted.
    pub(super) by: Option<DecidedBy>,
    /// The span has the caller's for its parent.
    pub(super) continued: bool,
    /// The span is linked to the caller's.
    pub(super) linked: bool,
}

impl Fate {
    /// Who decided that a span is recorded; `None` where none is.
    pub(super) fn recorded(self) -> Option<DecidedBy> {
        self.by.filter(|_| self.sampled)
    }

    /// Whether the policy's probability and bound had a say.
    pub(super) const fn hangs_on_setting(self) -> bool {
        matches!(self.by, Some(DecidedBy::Probability | DecidedBy::Limit))
    }
}

/// A head's lines, as the core takes them.
pub(super) fn lines(head: &HeaderMap) -> Vec<Header<'_>> {
    head.iter().map(|line| Header { name: &line.name, value: &line.value }).collect()
}

impl<'a> Presented<'a> {
    /// `head` is the request's, and the issuer publishes meanwhile what is `published`.
    pub(super) fn new(recorded: &Recorded, head: &'a HeaderMap, published: Option<&'a Published>) -> Self {
        let facts = edge::facts(recorded);
        Self {
            lines: lines(head),
            source: facts.source.to_string(),
            tls: facts.tls,
            now: edge::clock(recorded),
            published,
            status: recorded.response.status.to_string(),
            totals: Totals { request_bytes: facts.request_size.unwrap_or(0), response_bytes: facts.response_size.unwrap_or(0) },
        }
    }

    fn fact(&self, fact: PeerFact) -> Option<Vec<u8>> {
        let tls = self.tls.as_ref();
        let text = match fact {
            PeerFact::SourceAddress => Some(&self.source),
            PeerFact::UriSan => tls?.uri_san.as_ref(),
            PeerFact::DnsSan => tls?.dns_san.as_ref(),
            PeerFact::Subject => tls?.subject.as_ref(),
            PeerFact::Sha256 => tls?.sha256.as_ref(),
        };
        text.map(|text| text.as_bytes().to_vec())
    }
}

impl Presented<'_> {
    /// What the issuer answers, whoever holds secrets, the rate-limit service, which writes to `body`, or a collector.
    fn answer<'r>(
        &'r self,
        effect: &Effect,
        vault: &'r Vault,
        limits: &mut RateLimits,
        body: &'r mut Vec<u8>,
    ) -> Result<Reply<'r>, CallFailed> {
        match effect {
            Effect::Fetch(Fetch { cluster, uri, .. }) => {
                let (cluster, authority, path) = (cluster.as_bytes(), uri.authority.as_bytes(), uri.path.as_bytes());
                let published = || Some(self.published?.find(cluster, authority, path)?.body.as_slice());
                let body = vault.find(cluster, authority, path).or_else(published).ok_or(CallFailed::Refused)?;
                Ok(Reply { headers: Headers::new(ANSWER), body })
            }
            Effect::CheckRateLimit(asked) => {
                *body = limits.answer(&asked.message).map_err(|_| CallFailed::Refused)?;
                Ok(Reply { headers: Headers::default(), body })
            }
            Effect::Export(_) => TAKEN,
        }
    }
}

impl Native {
    /// The core with this policy, whose spans leave at once, but for its sampling; and the module's keys and randomness.
    pub(super) fn new(policy: &Policy, sampling: SamplingPolicy, seed: u64) -> Self {
        let mut policy = policy.clone();
        policy.trace.sampling = Some(sampling);
        let limits = RateLimits::new(&policy);
        let (environment, vault) = (keys::environment(&policy, seed), Vault::new(&policy, seed));
        let mut gateway = Gateway::new(GatewayId(0), policy);
        let mut key = |variable: &str| environment.iter().find(|(name, _)| name == variable).map(|(_, value)| value.clone());
        // The module has refused a policy whose keys are unfit.
        drop(gateway.provide(&mut key));
        let mut native = Self { gateway, store: OwnStore::default(), randomness: ChaCha8Rng::seed_from_u64(seed), limits, vault };
        native.fetch_secrets();
        native
    }

    /// Has the gateway fetch its secrets, before the first request.
    fn fetch_secrets(&mut self) {
        let Self { gateway, vault, randomness, .. } = self;
        if vault.is_empty() {
            return;
        }
        let mut entropy = |bytes: &mut [u8]| {
            randomness.fill_bytes(bytes);
            Ok(())
        };
        let mut inputs = Inputs {
            now: 0,
            monotonic: 0,
            entropy: &mut entropy,
            peer: &mut UnknownPeer,
            store: &mut NoStore,
            signatures: &mut NoSignatures,
        };
        let mut woken = VecDeque::from([gateway.tick(&mut inputs)]);
        while let Some(Woken { effects, .. }) = woken.pop_front() {
            for effect in effects {
                let answer = match &effect {
                    Effect::Fetch(Fetch { cluster, uri, .. }) => {
                        vault.find(cluster.as_bytes(), uri.authority.as_bytes(), uri.path.as_bytes())
                    }
                    Effect::CheckRateLimit(_) | Effect::Export(_) => None,
                };
                let answer = answer.map(|body| Reply { headers: Headers::new(ANSWER), body }).ok_or(CallFailed::Refused);
                woken.push_back(gateway.reply(effect.call(), answer, &mut inputs));
            }
        }
    }

    /// What becomes of the next request's trace, and the bodies of what leaves of it.
    pub(super) fn settle(&mut self, presented: &Presented<'_>) -> (Fate, Vec<Vec<u8>>) {
        let randomness = &mut self.randomness;
        let mut entropy = |bytes: &mut [u8]| {
            randomness.fill_bytes(bytes);
            Ok(())
        };
        let mut peer = |fact| presented.fact(fact);
        let monotonic = u64::try_from(presented.now).unwrap_or(0);
        let (peer, store, signatures) = (&mut peer, &mut self.store, &mut NoSignatures);
        let mut inputs = Inputs { now: presented.now, monotonic, entropy: &mut entropy, peer, store, signatures };
        let headers = Headers::new(&presented.lines);
        let mut exchange = self.gateway.open(ExchangeId(0));
        let Step { mut verdict, effects, .. } = exchange.step(&mut self.gateway, Event::Request(headers), &mut inputs);
        let mut woken = VecDeque::from([Woken { effects, ..Woken::default() }]);
        let (mut bodies, mut body) = (Vec::new(), Vec::new());
        // As the proxy's clock goes on while a request waits for keys.
        loop {
            while let Some(Woken { effects, wake, .. }) = woken.pop_front() {
                if verdict == Verdict::Wait && wake.contains(&exchange.id()) {
                    let step = exchange.step(&mut self.gateway, Event::Wake(headers), &mut inputs);
                    verdict = step.verdict;
                    woken.push_back(Woken { effects: step.effects, ..Woken::default() });
                }
                for effect in effects {
                    let answer = presented.answer(&effect, &self.vault, &mut self.limits, &mut body);
                    woken.push_back(self.gateway.reply(effect.call(), answer, &mut inputs));
                }
            }
            if verdict != Verdict::Wait {
                break;
            }
            inputs.monotonic += TICK;
            inputs.now += i64::try_from(TICK).unwrap_or(i64::MAX);
            woken.push_back(self.gateway.tick(&mut inputs));
        }
        // What it costs may hang on what comes of it.
        if exchange.reads_response(&self.gateway) {
            let status = [Header { name: b":status", value: presented.status.as_bytes() }];
            let _ = exchange.step(&mut self.gateway, Event::Response(Headers::new(&status)), &mut inputs);
        }
        if exchange.awaits_close(&self.gateway) {
            let _ = exchange.step(&mut self.gateway, Event::Closed(presented.totals), &mut inputs);
        }
        // As the module, on the tick after an exchange: its spans leave, and what is to be fetched anew is.
        loop {
            let mut woken = VecDeque::from([self.gateway.tick(&mut inputs)]);
            while let Some(Woken { effects, .. }) = woken.pop_front() {
                for effect in effects {
                    if let Effect::Export(export) = &effect {
                        bodies.push(export.body.to_vec());
                    }
                    let answer = presented.answer(&effect, &self.vault, &mut self.limits, &mut body);
                    woken.push_back(self.gateway.reply(effect.call(), answer, &mut inputs));
                }
            }
            if !self.gateway.has_batch() {
                break;
            }
        }
        let mut fate = Fate::default();
        for (index, _) in self.gateway.drain_counts() {
            match Counter::all().nth(index) {
                Some(Counter::Recorded(by)) => (fate.sampled, fate.by) = (true, Some(by)),
                Some(Counter::Skipped(by)) => fate.by = Some(by),
                Some(Counter::Continued) => fate.continued = true,
                Some(Counter::Linked) => fate.linked = true,
                _ => {}
            }
        }
        (fate, bodies)
    }
}

/// The head of an answer that keys are in.
const ANSWER: &[Header<'_>] = &[Header { name: b":status", value: b"200" }];
/// What a collector answers.
const TAKEN: Result<Reply<'_>, CallFailed> = Ok(Reply { headers: Headers::new(ANSWER), body: b"" });
/// Nanoseconds from one tick to the next while somebody waits.
const TICK: u64 = 10_000_000;
