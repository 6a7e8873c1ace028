// SPDX-License-Identifier: Apache-2.0
//! Every provider's keys, the tokens that they have verified, and the exchanges that wait for more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::cache::{Entry, TokenCache};
use super::host::Proven;
use super::key::{Key, KeySet, Verification};
use super::provider::{Keys, Provider, TokenProvider};
use super::source::{Answer, Fetched, OnUnavailable, Source};
use super::token::Token;
use crate::caller::{Identity, Subject};
use crate::decision::Reason;
use crate::effect::{CallId, Effect, ExchangeId, NoteOf, Woken};
use crate::event::{CallFailed, Reply};
use crate::inputs::Inputs;
use crate::metrics::{Counter, Counts, KeyFate};
use crate::secret::{SecretKey, SecretStore};

/// What a gateway knows of its providers.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    /// In the providers' order.
    rings: Vec<Ring>,
    proven: Proven,
    /// `None` until the first token, and for good where the host has no randomness.
    cache: Option<TokenCache>,
    /// By exchange and provider: one may wait for several.
    waiting: Waiting,
}

type Waiting = BTreeMap<(ExchangeId, usize), Waiter>;

#[derive(Debug)]
enum Ring {
    Fixed(KeySet),
    /// Secrets that the issuer shares with us; none until all of them have come.
    Shared {
        secrets: Option<Vec<SecretKey>>,
        keys: Option<KeySet>,
        /// Changes with them.
        generation: u64,
    },
    Published(Box<Source>),
}

/// An exchange that waits for a provider's keys.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    /// How many fetches were over when it began to wait.
    over: u64,
    deadline: u64,
    /// It is what the exchange waits for now: one that isn't any more keeps its deadline, and wakes nobody.
    current: bool,
}

/// What a token came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is genuine and counts: who calls.
    Verified(Arc<Identity>),
    /// Nobody knows: there are no keys, and the policy lets it pass. Who calls by its own word.
    Unverified(Arc<Identity>),
    /// It proves nothing, and why.
    Refused(Reason),
    /// It may be told later.
    Wait,
}

/// How many exchanges may wait at once: each holds a request open.
const MAX_WAITING: usize = 1000;

impl KeyRing {
    pub(crate) fn new(providers: &[Provider]) -> Self {
        let ring = |provider: &Provider| match provider.token().map(|provider| &provider.keys) {
            Some(Keys::Inline(keys)) => Ring::Fixed(keys.clone()),
            Some(Keys::Secrets(_)) => Ring::Shared { secrets: None, keys: None, generation: 0 },
            // None at all for what is no token.
            None => Ring::Fixed(KeySet::default()),
            Some(Keys::Published(policy)) => Ring::Published(Box::new(Source::new(policy.clone()))),
        };
        Self { rings: providers.iter().map(ring).collect(), ..Self::default() }
    }

    /// Verifies tokens with the secrets that are there now. What others have verified counts no more; what the same have, still does.
    pub(crate) fn provide(&mut self, providers: &[Provider], secrets: &SecretStore) {
        for (ring, provider) in self.rings.iter_mut().zip(providers) {
            let Some(Keys::Secrets(references)) = provider.token().map(|provider| &provider.keys) else { continue };
            let Ring::Shared { secrets: held, keys, generation } = ring else { continue };
            let shared: Option<Vec<SecretKey>> = references.iter().map(|(_, reference)| secrets.key(reference)).collect();
            if *held == shared {
                continue;
            }
            let named = |shared: &Vec<SecretKey>| {
                let keys = shared.iter().zip(references).map(|(secret, (id, _))| Key::secret(secret.clone()).with_id(id.clone()));
                KeySet::new(keys.collect()).ok()
            };
            *keys = shared.as_ref().and_then(named);
            *held = shared;
            *generation = generation.saturating_add(1);
        }
    }

    /// Puts the host's signature verification to the test.
    pub(crate) fn prove(&mut self, providers: &[Provider], inputs: &mut Inputs<'_>) {
        let used = |algorithm| providers.iter().filter_map(Provider::token).any(|provider| provider.algorithms.contains(&algorithm));
        self.proven = Proven::test(used, inputs.signatures);
    }

    /// Whether this provider, by its place, has keys to verify with.
    pub(crate) fn has_keys(&self, provider: usize, monotonic: u64) -> bool {
        self.rings.get(provider).is_some_and(|ring| ring.has_keys(monotonic))
    }

    /// How many tokens are known to be genuine, or not to be enough.
    pub(crate) fn remembered(&self) -> u32 {
        self.cache.as_ref().map_or(0, |cache| u32::try_from(cache.len()).unwrap_or(u32::MAX))
    }

    /// Whether the token proves what the provider asks. An exchange that is `patient` may be told to wait.
    pub(super) fn verify(
        &mut self,
        index: usize,
        provider: &TokenProvider,
        text: &[u8],
        patient: Option<ExchangeId>,
        inputs: &mut Inputs<'_>,
        counts: &mut Counts,
    ) -> Proof {
        let Self { rings, proven, cache, waiting } = self;
        let Some(ring) = rings.get_mut(index) else { return Proof::Refused(Reason::TokenKeysUnavailable) };
        if text.len() > provider.max_length {
            return Proof::Refused(Reason::JwtInvalid);
        }
        let known = cache.as_mut().filter(|_| ring.has_keys(inputs.monotonic)).and_then(|cache| cache.get(text));
        let known = known.filter(|entry| (entry.provider, entry.generation) == (index, ring.generation()));
        if let Some(Entry { validity, caller, .. }) = known {
            counts.add(Counter::TokenCached);
            return validity.check(inputs.now).and(caller).map_or_else(Proof::Refused, Proof::Verified);
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
        let key = match ring.find(token.key_id.as_deref(), algorithm, WaitingRoom { waiting, provider: index, patient }, inputs) {
            Ok(key) if key.fits(algorithm) && provider.claims.issuer.may_sign(key.issuer(), &token.claims) => key,
            Ok(_) => return Proof::Refused(Reason::TokenSignatureKeyNotFound),
            Err(Without::Keys(OnUnavailable::Admit)) => {
                return caller(index, provider, token).map_or_else(Proof::Refused, Proof::Unverified);
            }
            Err(Without::Keys(OnUnavailable::Refuse)) => return Proof::Refused(Reason::TokenKeysUnavailable),
            Err(Without::Key) => return Proof::Refused(Reason::TokenSignatureKeyNotFound),
            Err(Without::Time) => return Proof::Wait,
        };
        let Verification { sound, by_host } = key.verify(algorithm, token.signed, &token.signature, *proven, inputs.signatures);
        if !sound {
            return Proof::Refused(Reason::TokenSignatureInvalid);
        }
        counts.add(if by_host { Counter::TokenVerifiedByHost } else { Counter::TokenVerified });
        if cache.is_none() {
            let mut seed = [0; 16];
            *cache = inputs.entropy.fill(&mut seed).is_ok().then(|| TokenCache::new(seed));
        }
        let caller = caller(index, provider, token);
        if let Some(cache) = cache {
            cache.insert(text, Entry { provider: index, generation: ring.generation(), validity, caller: caller.clone() });
        }
        caller.map_or_else(Proof::Refused, Proof::Verified)
    }

    /// An exchange is decided anew: what it waits for, if for anything, turns out then.
    pub(super) fn rouse(&mut self, id: ExchangeId) {
        self.waiting.range_mut((id, 0)..=(id, usize::MAX)).for_each(|(_, waiter)| waiter.current = false);
    }

    /// An exchange waits no more.
    pub(crate) fn forget(&mut self, id: ExchangeId) {
        while let Some((key, _)) = self.waiting.range((id, 0)..=(id, usize::MAX)).next() {
            let key = *key;
            self.waiting.remove(&key);
        }
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
        for ((id, provider), waiter) in self.waiting.iter().filter(|(_, waiter)| waiter.current) {
            let Some(Ring::Published(source)) = self.rings.get(*provider) else { continue };
            // A deadline further away than anybody waits is a clock's that has jumped.
            let late = now >= waiter.deadline || waiter.deadline > now.saturating_add(source.policy().wait);
            if (late || source.over() != waiter.over) && woken.wake.last() != Some(id) {
                woken.wake.push(*id);
            }
        }
    }
}

fn note(provider: usize, fetched: Fetched, counts: &mut Counts, woken: &mut Woken) {
    match fetched {
        Fetched::Next(fetch) => woken.effects.push(Effect::Fetch(fetch)),
        Fetched::Keys { wrong } => {
            counts.count_keys(provider, KeyFate::Fetched);
            if wrong > 0 {
                woken.notes.push((NoteOf::Keys(provider), format!("{wrong} of the issuer's keys are wrong and left out")));
            }
        }
        Fetched::Failed(why) => {
            counts.count_keys(provider, KeyFate::Failed);
            woken.notes.push((NoteOf::Keys(provider), why));
        }
    }
}

impl Ring {
    /// Whether there are keys to verify with.
    fn has_keys(&self, now: u64) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Shared { keys, .. } => keys.is_some(),
            Self::Published(source) => source.has_keys(now),
        }
    }

    /// Changes with the keys.
    fn generation(&self) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::Shared { generation, .. } => *generation,
            Self::Published(source) => source.generation(),
        }
    }

    /// The key that a token names, or why there is none.
    fn find(&mut self, id: Option<&str>, algorithm: Algorithm, room: WaitingRoom<'_>, inputs: &mut Inputs<'_>) -> Result<&Key, Without> {
        let source = match self {
            Self::Fixed(keys) | Self::Shared { keys: Some(keys), .. } => return keys.find(id, algorithm).ok_or(Without::Key),
            Self::Shared { keys: None, .. } => return Err(Without::Keys(OnUnavailable::Refuse)),
            Self::Published(source) => source,
        };
        let now = inputs.monotonic;
        let waited = room.waiter().is_some_and(|waiter| waiter.over != source.over());
        let answer = source.ask(id, algorithm, waited, now, inputs.store);
        // Who waits for one key among others has no claim to the policy's choice: any name would do to get it.
        let without = if source.has_keys(now) { Without::Key } else { Without::Keys(source.policy().on_unavailable) };
        match answer {
            Answer::Here => source.keys().find(id, algorithm).ok_or(Without::Key),
            Answer::Absent => Err(Without::Key),
            // Whoever fills the room has no claim to the policy's choice either.
            Answer::Soon if room.is_full() => Err(Without::Keys(OnUnavailable::Refuse)),
            Answer::Soon if room.take(source.over(), now, source.policy().wait) => Err(Without::Time),
            Answer::Soon | Answer::Unavailable => Err(without),
        }
    }
}

/// Who calls with a token.
fn caller(provider: usize, rules: &TokenProvider, token: Token<'_>) -> Result<Arc<Identity>, Reason> {
    let claims = token.claims.all;
    let service = rules.entra.as_ref().map_or(Ok(None), |entra| entra.service(&claims))?;
    Ok(Arc::new(Identity { provider, subject: Subject::Token(claims), service }))
}

/// What a token can't be verified for want of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// The issuer has no such key.
    Key,
    /// There are no keys at all, and what the policy has become of that.
    Keys(OnUnavailable),
    /// It may be there in a while.
    Time,
}

/// Where an exchange may wait for a provider's keys.
struct WaitingRoom<'a> {
    waiting: &'a mut Waiting,
    provider: usize,
    /// `None` for one that doesn't wait.
    patient: Option<ExchangeId>,
}

impl WaitingRoom<'_> {
    /// The exchange, where it waits already.
    fn waiter(&self) -> Option<Waiter> {
        self.waiting.get(&(self.patient?, self.provider)).copied()
    }

    /// Whether the exchange would wait and can't.
    fn is_full(&self) -> bool {
        self.patient.is_some_and(|id| self.waiting.len() >= MAX_WAITING && !self.waiting.contains_key(&(id, self.provider)))
    }

    /// Lets the exchange wait for the next fetch to end, if it still has time.
    fn take(self, over: u64, now: u64, wait: u64) -> bool {
        let Some(id) = self.patient else { return false };
        let deadline = self.waiter().map_or(now.saturating_add(wait), |waiter| waiter.deadline);
        let waits = now < deadline;
        if waits {
            self.waiting.insert((id, self.provider), Waiter { over, deadline, current: true });
        }
        waits
    }
}
