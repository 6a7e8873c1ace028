// SPDX-License-Identifier: Apache-2.0
//! Which subscription's key each request of a replay carries.

use tracegate::Reason;
use tracegate::caller::CallerMatch;
use tracegate::identity::{KeyDigest, Subscription, SubscriptionKeys};

use super::asked::{self, Asked};
use super::key::Key;
use super::place::{self, Held};
use super::stand_in;
use crate::recording::{Recorded, Request};

/// The keys that a request carries, as a policy sees them.
#[derive(Debug, Default)]
pub(super) struct Carried<'p> {
    /// What is to be known of them.
    pub(super) key: Key,
    /// By provider: whose key it is. Of a provider whose key wasn't recorded nothing stands here.
    owners: Vec<(usize, Option<&'p Subscription>)>,
}

/// What a request carries for a provider's key.
struct Found<'p> {
    key: Key,
    owner: Option<&'p Subscription>,
    /// What is put in the stead of what was recorded: a key, or none.
    put: Option<Option<String>>,
}

impl<'p> Carried<'p> {
    /// What a recorded request carries for keys, where a route asks for any. Where that isn't as recorded, `request` becomes what is sent.
    pub(super) fn of(asked: Asked<'p>, recorded: &Recorded, seed: u64, request: &mut Option<Request>) -> Self {
        let mut carried = Self::default();
        let mut unknown = Vec::new();
        for (place, keys) in asked.keys() {
            let Found { key, owner, put } = found(keys, recorded, seed);
            match key {
                Key::NotRecorded { .. } => unknown.push(place),
                _ => carried.owners.push((place, owner)),
            }
            if let Some(put) = put {
                let request = request.get_or_insert_with(|| recorded.request.clone());
                place::put_key(request, keys, put.as_deref());
            }
            if weight(key) > weight(carried.key) {
                carried.key = key;
            }
        }
        let decides = || asked.hangs_on(&|place| unknown.contains(&place), &|caller| carried.admits(caller));
        if let Key::NotRecorded { masked, .. } = carried.key {
            carried.key = Key::NotRecorded { masked, instead: decides() };
        }
        carried
    }

    /// Whether the keys are what is asked for; `None` where that isn't asked of keys, or can't be told.
    pub(super) fn admits(&self, caller: &CallerMatch) -> Option<bool> {
        let (_, owner) = self.owners.iter().find(|(place, _)| *place == caller.provider)?;
        Some(asked::is_subscribed(caller, *owner))
    }
}

/// What tells most of several providers' keys.
const fn weight(key: Key) -> u8 {
    match key {
        Key::NotAsked => 0,
        Key::Absent => 1,
        Key::Recorded => 2,
        Key::Wrong => 3,
        Key::StandIn { known: false } => 4,
        Key::StandIn { known: true } => 5,
        Key::NotRecorded { .. } => 6,
    }
}

fn found<'p>(keys: &'p SubscriptionKeys, recorded: &Recorded, seed: u64) -> Found<'p> {
    let held = place::held_key(&recorded.request, keys);
    let logged = recorded.apim.as_ref();
    let reason = logged.and_then(|apim| apim.last_error.as_ref()?.reason.as_deref());
    let is = |known: Reason| reason == Some(known.as_str());
    match recorded.caller.subscription.as_deref() {
        _ if held == Held::Whole => {
            let sent = place::sent_keys(&recorded.request, keys);
            let digest = sent.first().map(|key| KeyDigest::of(key));
            let owner = keys.subscriptions().iter().find(|one| digest.is_some_and(|digest| one.keys.contains(&digest)));
            Found { key: Key::Recorded, owner, put: None }
        }
        _ if is(Reason::SubscriptionKeyNotFound) => Found { key: Key::Wrong, owner: None, put: (held != Held::Nothing).then_some(None) },
        // That the log names a subscription doesn't make its key valid.
        _ if is(Reason::SubscriptionKeyInvalid) => Found { key: Key::Wrong, owner: None, put: Some(Some(stand_in::nobodys(seed))) },
        Some(id) => {
            let owner = keys.subscriptions().iter().find(|one| one.id == id);
            Found { key: Key::StandIn { known: owner.is_some() }, owner, put: Some(Some(stand_in::key(id, seed))) }
        }
        None if held == Held::Nothing && logged.is_some_and(|apim| apim.subscriptions_recorded) => {
            Found { key: Key::Absent, owner: None, put: None }
        }
        None => Found { key: Key::NotRecorded { masked: held == Held::Mask, instead: false }, owner: None, put: None },
    }
}
