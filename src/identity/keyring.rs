// SPDX-License-Identifier: Apache-2.0
//! Every provider's keys, the tokens that they have verified, and the exchanges that wait for more.

use std::collections::BTreeMap;

use super::cache::{Entry, TokenCache};
use super::host::Proven;
use super::key::{Key, KeySet, Verification};
use super::provider::{Keys, Provider};
use super::source::{Answer, Fetched, OnUnavailable, Source};
use super::token::Token;
use crate::decision::Reason;
use crate::effect::{CallId, ExchangeId, Woken};
use crate::event::{CallFailed, Reply};
use crate::inputs::Inputs;
use crate::metrics::{Counter, Counts, KeyFate};
use crate::secret::{SecretKey, SecretUnavailable, Secrets};

/// What a gateway knows of its providers.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    /// In the providers' order.
    rings: Vec<Ring>,
    proven: Proven,
    /// `None` until the first token, and for good where the host has no randomness.
    cache: Option<TokenCache>,
    waiting: BTreeMap<ExchangeId, Waiter>,
}

#[derive(Debug)]
enum Ring {
    Fixed(KeySet),
    Published(Box<Source>),
}

/// An exchange that waits for a provider's keys.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    provider: usize,
    /// How many fetches were over when it began to wait.
    over: u64,
    deadline: u64,
}

/// What a token came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is genuine and counts.
    Verified,
    /// Nobody knows: there are no keys, and the policy lets it pass.
    Unverified,
    /// It proves nothing, and why.
    Refused(Reason),
    /// It may be told later.
    Wait,
}

/// How many exchanges may wait at once: each holds a request open.
const MAX_WAITING: usize = 1000;

impl KeyRing {
    pub(crate) fn new(providers: &[Provider]) -> Self {
        let ring = |provider: &Provider| match &provider.keys {
            Keys::Inline(keys) => Ring::Fixed(keys.clone()),
            // None until they are fetched.
            Keys::Secrets(_) => Ring::Fixed(KeySet::default()),
            Keys::Published(policy) => Ring::Published(Box::new(Source::new(policy.clone()))),
        };
        Self { rings: providers.iter().map(ring).collect(), ..Self::default() }
    }

    /// Fetches the secrets that tokens are verified with.
    pub(crate) fn provide(&mut self, providers: &[Provider], secrets: &mut dyn Secrets) -> Result<(), SecretUnavailable> {
        for (ring, provider) in self.rings.iter_mut().zip(providers) {
            let Keys::Secrets(references) = &provider.keys else { continue };
            let mut keys = Vec::with_capacity(references.len());
            for (id, reference) in references {
                let key = Key::secret(SecretKey::fetch(reference, secrets)?).with_id(id.clone());
                if !provider.algorithms.iter().any(|algorithm| key.fits(*algorithm)) {
                    return Err(SecretUnavailable::unfit(reference));
                }
                keys.push(key);
            }
            *ring = Ring::Fixed(KeySet::new(keys).unwrap_or_default());
        }
        Ok(())
    }

    /// Puts the host's signature verification to the test.
    pub(crate) fn prove(&mut self, providers: &[Provider], inputs: &mut Inputs<'_>) {
        let used = |algorithm| providers.iter().any(|provider| provider.algorithms.contains(&algorithm));
        self.proven = Proven::test(used, inputs.signatures);
    }

    /// Whether the token proves what the provider asks; an exchange that waits is known by its id until it is answered.
    pub(super) fn verify(
        &mut self,
        index: usize,
        provider: &Provider,
        text: &[u8],
        patience: Option<ExchangeId>,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
    ) -> Proof {
        if text.len() > provider.max_length {
            return Proof::Refused(Reason::JwtInvalid);
        }
        let Some(ring) = self.rings.get_mut(index) else { return Proof::Refused(Reason::TokenKeysUnavailable) };
        let now = inputs.monotonic;
        let usable = match ring {
            Ring::Fixed(_) => true,
            Ring::Published(source) => source.has_keys(now),
        };
        let generation = ring.generation();
        if usable
            && let Some(entry) = self.cache.as_mut().and_then(|cache| cache.get(text))
            && (entry.provider, entry.generation) == (index, generation)
        {
            counts.add(Counter::TokenCached);
            return match entry.validity.check(inputs.now) {
                Ok(()) => Proof::Verified,
                Err(reason) => Proof::Refused(reason),
            };
        }
        let Ok(token) = Token::read(text) else { return Proof::Refused(Reason::JwtInvalid) };
        let Some(algorithm) = token.algorithm.filter(|algorithm| provider.algorithms.contains(algorithm)) else {
            return Proof::Refused(Reason::TokenAlgorithmNotAllowed);
        };
        // Before the signature: a token that wouldn't count anyway costs no verification, and makes nobody fetch keys for it.
        let validity = match provider.claims.check(&token.claims, inputs.now) {
            Ok(validity) => validity,
            Err(reason) => return Proof::Refused(reason),
        };
        let waiter = patience.and_then(|id| self.waiting.get(&id)).copied().filter(|waiter| waiter.provider == index);
        let key = match ring {
            Ring::Fixed(keys) => keys.find(token.key_id.as_deref(), algorithm).ok_or(Reason::TokenSignatureKeyNotFound),
            Ring::Published(source) => {
                let waited = waiter.is_some_and(|waiter| waiter.over != source.over());
                let (over, wait, choice) = (source.over(), source.policy().wait, source.policy().on_unavailable);
                let late = waiter.is_some_and(|waiter| now >= waiter.deadline);
                let room = self.waiting.len() < MAX_WAITING || waiter.is_some();
                let has_keys = source.has_keys(now);
                match source.find(token.key_id.as_deref(), algorithm, waited, now, inputs.store) {
                    Answer::Key(key) => Ok(key),
                    Answer::Absent => Err(Reason::TokenSignatureKeyNotFound),
                    Answer::Soon if !late && room && patience.is_some() => {
                        let deadline = waiter.map_or(now.saturating_add(wait), |waiter| waiter.deadline);
                        let waiter = Waiter { provider: index, over, deadline };
                        patience.map(|id| self.waiting.insert(id, waiter));
                        return Proof::Wait;
                    }
                    // Who waits for one key among others has no claim to the policy's choice: any name would do to get it.
                    Answer::Soon if has_keys => Err(Reason::TokenSignatureKeyNotFound),
                    Answer::Soon | Answer::Unavailable => match choice {
                        OnUnavailable::Refuse => Err(Reason::TokenKeysUnavailable),
                        OnUnavailable::Admit => return Proof::Unverified,
                    },
                }
            }
        };
        let key = match key {
            Ok(key) => key,
            Err(reason) => return Proof::Refused(reason),
        };
        if !key.fits(algorithm) {
            return Proof::Refused(Reason::TokenSignatureKeyNotFound);
        }
        let Verification { sound, by_host } = key.verify(algorithm, token.signed, &token.signature, self.proven, inputs.signatures);
        if !sound {
            return Proof::Refused(Reason::TokenSignatureInvalid);
        }
        counts.add(if by_host { Counter::TokenVerifiedByHost } else { Counter::TokenVerified });
        if self.cache.is_none() {
            let mut seed = [0; 16];
            self.cache = inputs.entropy.fill(&mut seed).is_ok().then(|| TokenCache::new(seed));
        }
        // The generation that `find` may have brought.
        let generation = self.rings.get(index).map_or(generation, Ring::generation);
        if let Some(cache) = &mut self.cache {
            cache.insert(text, Entry { provider: index, generation, validity });
        }
        Proof::Verified
    }

    /// An exchange waits no more.
    pub(crate) fn forget(&mut self, id: ExchangeId) {
        self.waiting.remove(&id);
    }

    /// Whether the next tick should come soon.
    pub(crate) fn is_urgent(&self, now: u64) -> bool {
        let urgent = |ring: &Ring| matches!(ring, Ring::Published(source) if source.is_urgent(now));
        !self.waiting.is_empty() || self.rings.iter().any(urgent)
    }

    /// Fetches what is due, follows what other VMs have fetched, and wakes whom it concerns.
    pub(crate) fn tick(&mut self, mut call: impl FnMut() -> CallId, inputs: &mut Inputs<'_>, counts: &mut Counts) -> Woken {
        let mut woken = Woken::default();
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let Ring::Published(source) = ring else { continue };
            if let Some(fetched) = source.tick(&mut call, inputs.monotonic, inputs.store) {
                note(index, fetched, counts, &mut woken);
            }
        }
        self.wake(inputs.monotonic, &mut woken);
        woken
    }

    /// Takes a call's answer.
    pub(crate) fn reply(
        &mut self,
        call: CallId,
        answer: Result<Reply<'_>, CallFailed>,
        mut next: impl FnMut() -> CallId,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
    ) -> Woken {
        let mut woken = Woken::default();
        for (index, ring) in self.rings.iter_mut().enumerate() {
            let Ring::Published(source) = ring else { continue };
            if let Some(fetched) = source.reply(call, answer, &mut next, inputs.monotonic, inputs.store) {
                note(index, fetched, counts, &mut woken);
                break;
            }
        }
        self.wake(inputs.monotonic, &mut woken);
        woken
    }

    fn wake(&self, now: u64, woken: &mut Woken) {
        for (id, waiter) in &self.waiting {
            let Some(Ring::Published(source)) = self.rings.get(waiter.provider) else { continue };
            // A deadline further away than anybody waits is a clock's that has jumped.
            let late = now >= waiter.deadline || waiter.deadline > now.saturating_add(source.policy().wait);
            if late || source.over() != waiter.over {
                woken.wake.push(*id);
            }
        }
    }
}

fn note(provider: usize, fetched: Fetched, counts: &mut Counts, woken: &mut Woken) {
    match fetched {
        Fetched::Next(fetch) => woken.effects.push(crate::effect::Effect::Fetch(fetch)),
        Fetched::Keys { wrong } => {
            counts.count_keys(provider, KeyFate::Fetched);
            if wrong > 0 {
                woken.notes.push((provider, format!("{wrong} of the issuer's keys are wrong and left out")));
            }
        }
        Fetched::Failed(why) => {
            counts.count_keys(provider, KeyFate::Failed);
            woken.notes.push((provider, why));
        }
    }
}

impl Ring {
    /// Changes with the keys.
    fn generation(&self) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::Published(source) => source.generation(),
        }
    }
}
