// SPDX-License-Identifier: Apache-2.0
//! Which token each request of a replay carries, and which subscription's key.

use std::sync::Arc;

use serde_json::{Map, Value};
use tracegate::caller::CallerMatch;
use tracegate::head::RequestHead;
use tracegate::identity::{Keys, TokenProvider};
use tracegate::{Header, Headers, Policy, Reason};

use super::asked::{self, Asked};
use super::key::Key;
use super::mint::{self, Mint, Purpose, Signing};
use super::place::{self, Held};
use super::published::Published;
use super::subscriptions::Carried;
use super::token::{Token, Unmintable, is_about_tokens, recorded_reason};
use super::{edge, native};
use crate::error::Result;
use crate::issuer::Issuer;
use crate::keys;
use crate::recording::{Recorded, Request};

/// Which token each request carries, as recorded or minted, and which subscription's key, as recorded or a stand-in.
#[derive(Debug)]
pub struct Tokens {
    sides: Vec<Side>,
    /// Makes stand-ins differ.
    seed: u64,
    mint: Option<Mint>,
    /// After how many exchanges the issuer rotates its keys, the last first.
    rotate_at: Vec<u64>,
    rotations: u64,
    exchanges: u64,
}

/// A policy, and what is known of its providers, in their order.
#[derive(Debug)]
struct Side {
    policy: Policy,
    /// Some route asks for a caller.
    asks: bool,
    known: Vec<Known>,
    published: Arc<Published>,
}

#[derive(Debug, Default)]
struct Known {
    /// A replay has the keys.
    provable: bool,
    signing: Option<Signing>,
}

/// How a request is presented.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Its token.
    pub token: Token,
    /// Its subscription's key.
    pub key: Key,
    /// The request, where it isn't as recorded.
    pub request: Option<Box<Request>>,
    /// What the issuer publishes meanwhile, to who replays with the policy.
    pub published: Option<Arc<Published>>,
}

impl Tokens {
    /// Requests as they were recorded. `policy` is what is replayed with, `against` another that it is compared with.
    #[must_use]
    pub fn recorded(policy: &Policy, against: Option<&Policy>, seed: u64) -> Self {
        let sides = [Some(policy), against].into_iter().flatten().map(|policy| Side::new(policy, seed)).collect();
        Self { sides, seed, mint: None, rotate_at: Vec::new(), rotations: 0, exchanges: 0 }
    }

    /// Requests with tokens of the test issuer's where none were recorded. Its keys are others from each of these numbers of exchanges on.
    ///
    /// # Errors
    ///
    /// When the issuer has no keys.
    pub fn minted(self, seed: u64, mut rotate_at: Vec<u64>) -> Result<Self> {
        rotate_at.sort_unstable_by(|one, other| other.cmp(one));
        let mut tokens = Self { mint: Some(Mint::new(Issuer::new(seed)?)), rotate_at, ..self };
        tokens.publish();
        Ok(tokens)
    }

    /// What the issuer publishes: to who replays with the policy, and to who replays with the other one.
    #[must_use]
    pub fn published(&self) -> Option<[Arc<Published>; 2]> {
        self.mint.as_ref()?;
        let (own, other) = (self.sides.first()?, self.sides.last()?);
        Some([Arc::clone(&own.published), Arc::clone(&other.published)])
    }

    /// How often the issuer has rotated its keys.
    #[must_use]
    pub const fn rotations(&self) -> u64 {
        self.rotations
    }

    fn publish(&mut self) {
        let Some(mint) = &self.mint else { return };
        for side in &mut self.sides {
            side.published = Arc::new(Published::new(&side.policy, &mint.issuer));
        }
    }

    /// How the next request is presented, and whether the issuer has rotated its keys before it.
    ///
    /// # Errors
    ///
    /// When the issuer can't sign.
    pub fn prepare(&mut self, recorded: &Recorded) -> Result<(Prepared, bool)> {
        let rotates = self.rotates()?;
        let published = self.sides.first().filter(|_| self.mint.is_some()).map(|side| Arc::clone(&side.published));
        let (token, key, request) = self.credentials(recorded)?;
        Ok((Prepared { token, key, request: request.map(Box::new), published }, rotates))
    }

    fn rotates(&mut self) -> Result<bool> {
        let Some(mint) = &mut self.mint else { return Ok(false) };
        let mut rotates = false;
        while self.rotate_at.pop_if(|at| *at <= self.exchanges).is_some() {
            mint.rotate()?;
            self.rotations += 1;
            rotates = true;
        }
        self.exchanges += 1;
        if rotates {
            self.publish();
        }
        Ok(rotates)
    }

    /// Which credentials a request carries, and the request where it isn't as recorded. Its subscription's key is the same for either policy.
    fn credentials(&mut self, recorded: &Recorded) -> Result<(Token, Key, Option<Request>)> {
        let nothing = (Token::NotAsked, Key::NotAsked, None);
        if !self.sides.iter().any(|side| side.asks) {
            return Ok(nothing);
        }
        let map = edge::head(&recorded.request);
        let lines: Vec<Header<'_>> = native::lines(&map);
        let Ok(head) = RequestHead::read(Headers::new(&lines)) else { return Ok(nothing) };
        let (mut keyed, mut key, mut routed) = (None, Key::NotAsked, Vec::new());
        for (place, side) in self.sides.iter().enumerate() {
            let Some(asked) = Asked::find(&side.policy, &head) else { continue };
            let carried = Carried::of(asked, recorded, self.seed, &mut keyed);
            // What is compared with the record is what the first decides.
            if place == 0 {
                key = carried.key;
            }
            routed.push((place, side, asked, carried));
        }
        // Clients have the tokens that the policy in force asks for: that is the one which is compared with, where it asks for any.
        for (place, side, asked, carried) in routed.iter().rev() {
            let wanted = Wanted { place: *place, side, asked: *asked, carried, head: &head, recorded };
            let (token, minted) = wanted.token(&mut self.mint, keyed.as_ref())?;
            if token != Token::NotAsked {
                return Ok((token, key, minted.or(keyed)));
            }
        }
        Ok((Token::NotAsked, key, keyed))
    }
}

/// What a route of a policy's wants of a recorded request.
struct Wanted<'a> {
    place: usize,
    side: &'a Side,
    asked: Asked<'a>,
    carried: &'a Carried<'a>,
    head: &'a RequestHead<'a>,
    recorded: &'a Recorded,
}

impl<'a> Wanted<'a> {
    /// The request's token, and the request with it where it is minted. `keyed` is the request where it has another key than was recorded.
    fn token(&self, mint: &mut Option<Mint>, keyed: Option<&Request>) -> Result<(Token, Option<Request>)> {
        let reason = recorded_reason(self.recorded);
        let subscribed = self.carried.key.is_subscriptions() && !reason.is_some_and(is_about_tokens);
        let fits = |callers: &[&CallerMatch]| mint.is_some() && self.claims(callers).is_ok();
        let (any, callers) = (self.asked.token(false, &fits), self.asked.token(subscribed, &fits));
        for callers in [&any, &callers] {
            let Some((index, provider, known)) = self.provider(callers) else { continue };
            if place::held(self.head, &provider.places) == Held::Whole {
                return Ok((Token::Recorded { provable: known.provable, instead: self.decides(index) }, None));
            }
        }
        let Some((index, provider, known)) = self.provider(&callers) else { return Ok((Token::NotAsked, None)) };
        let masked = place::held(self.head, &provider.places) == Held::Mask;
        let missing = |unmintable| (Token::NotRecorded { provider: index, masked, instead: self.decides(index), unmintable }, None);
        let Some(mint) = mint else { return Ok(missing(None)) };
        let Some(signing) = &known.signing else { return Ok(missing(Some(Unmintable::Keys))) };
        let (fault, claims) = match self.claims(&callers) {
            Ok(found) => found,
            Err(why) => return Ok(missing(Some(why))),
        };
        let purpose = Purpose { owner: (self.place, index), fault, claims };
        let request = keyed.unwrap_or(&self.recorded.request);
        let request = mint.request(request, provider, signing, &purpose, edge::clock(self.recorded))?;
        Ok((Token::Minted(fault), Some(request)))
    }

    /// Whose token these ask for.
    fn provider(&self, callers: &[&CallerMatch]) -> Option<(usize, &'a TokenProvider, &'a Known)> {
        let index = callers.first()?.provider;
        Some((index, self.side.policy.identity.providers.get(index)?.token()?, self.side.known.get(index)?))
    }

    /// What is to be wrong with a token that these let in but for that, and what it is to claim.
    fn claims(&self, callers: &[&CallerMatch]) -> Result<(Option<Reason>, Map<String, Value>), Unmintable> {
        let (index, provider, known) = self.provider(callers).ok_or(Unmintable::Keys)?;
        if known.signing.is_none() {
            return Err(Unmintable::Keys);
        }
        // One token is minted, not several.
        if callers.iter().any(|caller| caller.provider != index) {
            return Err(Unmintable::Rules);
        }
        let fault = recorded_reason(self.recorded).and_then(|reason| mint::fault(reason, provider));
        let claims = mint::claims(provider, callers, self.recorded.caller.user.as_deref(), fault)?;
        Ok((fault, claims))
    }

    /// Whether a token of this provider's would do where another credential doesn't.
    fn decides(&self, provider: usize) -> bool {
        self.asked.hangs_on(&|place| place == provider, &|caller| self.carried.admits(caller))
    }
}

impl Side {
    fn new(policy: &Policy, seed: u64) -> Self {
        let known = |provider: &TokenProvider| Known {
            provable: match &provider.keys {
                Keys::Inline(_) => true,
                Keys::Secrets(secrets) => secrets.iter().all(|(_, secret)| !keys::is_missing(secret)),
                // Nobody asks the network, and the test issuer publishes keys of its own.
                Keys::Published(_) => false,
            },
            signing: Signing::of(provider, seed),
        };
        Self {
            asks: asked::any(policy),
            known: policy.identity.providers.iter().map(|provider| provider.token().map_or_else(Known::default, known)).collect(),
            published: Arc::default(),
            policy: policy.clone(),
        }
    }
}
