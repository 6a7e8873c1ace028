// SPDX-License-Identifier: Apache-2.0
//! Which token each request of a replay carries.

use std::sync::Arc;

use tracegate::head::RequestHead;
use tracegate::identity::{Keys, Provider, TokenProvider};
use tracegate::route::Requirement;
use tracegate::{Header, Headers, Policy};

use super::mint::{self, Mint, Purpose, Signing};
use super::place::{self, Held};
use super::published::Published;
use super::token::{Token, recorded_reason};
use super::{edge, native};
use crate::error::Result;
use crate::issuer::Issuer;
use crate::keys;
use crate::recording::{Recorded, Request};

/// Which token each request carries: as recorded, or minted.
#[derive(Debug)]
pub struct Tokens {
    sides: Vec<Side>,
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
        Self { sides, mint: None, rotate_at: Vec::new(), rotations: 0, exchanges: 0 }
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
        let (token, request) = self.token(recorded)?;
        Ok((Prepared { token, request: request.map(Box::new), published }, rotates))
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

    /// Clients have the tokens that the policy in force asks for: that is the one which is compared with, where it asks for any.
    fn token(&mut self, recorded: &Recorded) -> Result<(Token, Option<Request>)> {
        if !self.sides.iter().any(|side| side.asks) {
            return Ok((Token::NotAsked, None));
        }
        let map = edge::head(&recorded.request);
        let lines: Vec<Header<'_>> = native::lines(&map);
        let Ok(head) = RequestHead::read(Headers::new(&lines)) else { return Ok((Token::NotAsked, None)) };
        let asked = |side: &Side| required(&side.policy, &head);
        let Some((place, side, index)) = self.sides.iter().enumerate().rev().find_map(|(place, side)| Some((place, side, asked(side)?)))
        else {
            return Ok((Token::NotAsked, None));
        };
        let (Some(provider), Some(known)) = (side.policy.identity.providers.get(index).and_then(Provider::token), side.known.get(index))
        else {
            return Ok((Token::NotAsked, None));
        };
        let held = place::held(&head, &provider.places);
        if held == Held::Token {
            return Ok((Token::Recorded { provable: known.provable }, None));
        }
        let (Some(mint), Some(signing)) = (&mut self.mint, &known.signing) else {
            return Ok((Token::NotRecorded { provider: index, masked: held == Held::Mask }, None));
        };
        let fault = recorded_reason(recorded).and_then(|reason| mint::fault(reason, provider));
        let purpose = Purpose { owner: (place, index), fault };
        let request = mint.request(&recorded.request, provider, signing, purpose, edge::clock(recorded))?;
        Ok((Token::Minted(fault), Some(request)))
    }
}

impl Side {
    fn new(policy: &Policy, seed: u64) -> Self {
        let (environment, missing) = (keys::environment(policy, seed), keys::missing(policy));
        let known = |provider: &TokenProvider| Known {
            provable: match &provider.keys {
                Keys::Inline(_) => true,
                Keys::Secrets(secrets) => secrets.iter().all(|(_, secret)| !missing.contains(&secret.variable.as_str())),
                // Nobody asks the network, and the test issuer publishes keys of its own.
                Keys::Published(_) => false,
            },
            signing: Signing::of(provider, &environment),
        };
        let mut rules = policy.routes.routes().iter().flat_map(|route| &route.rules);
        Self {
            asks: rules.any(|rule| asks(&rule.require)),
            known: policy.identity.providers.iter().map(|provider| provider.token().map_or_else(Known::default, known)).collect(),
            published: Arc::default(),
            policy: policy.clone(),
        }
    }
}

/// The provider whose token a request needs, by its place in the policy: that of the first enforced rule of its route that asks for one. `None`
/// where none does, or where a rule before it denies.
fn required(policy: &Policy, head: &RequestHead<'_>) -> Option<usize> {
    let issuer =
        |require: &Requirement| first(require, &|place| policy.identity.providers.get(place).is_some_and(|one| one.token().is_some()));
    let route = policy.routes.find(head)?;
    let mut enforced = route.rules.iter().filter(|rule| !rule.shadow).take_while(|rule| rule.require != Requirement::Deny);
    enforced.find_map(|rule| issuer(&rule.require))
}

/// The first provider that is asked for, of those that count.
fn first(require: &Requirement, counts: &dyn Fn(usize) -> bool) -> Option<usize> {
    match require {
        Requirement::Anonymous | Requirement::Deny => None,
        Requirement::Caller(caller) => Some(caller.provider).filter(|place| counts(*place)),
        Requirement::AnyOf(within) | Requirement::AllOf(within) => within.iter().find_map(|require| first(require, counts)),
    }
}

fn asks(require: &Requirement) -> bool {
    first(require, &|_| true).is_some()
}
