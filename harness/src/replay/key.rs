// SPDX-License-Identifier: Apache-2.0
//! The subscription key of a replayed request: recorded, or what stands in for it; and what of a decision hangs on that.

use tracegate::Reason;

use super::agreement::Undecidable;
use super::decided::Decided;
use super::token;
use crate::recording::Recorded;

/// The subscription key of a replayed request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// The policy asks for none.
    #[default]
    NotAsked,
    /// As it was recorded.
    Recorded,
    /// A stand-in for that of the recorded subscription.
    StandIn {
        /// Whether the policy has the subscription.
        known: bool,
    },
    /// The record says what was wrong with it, and so it is: there is none, or it is nobody's.
    Wrong,
    /// None, as there was none: no subscription is recorded, where one would be.
    Absent,
    /// The record tells neither it nor whose it was.
    NotRecorded {
        /// Something else stands in its stead.
        masked: bool,
        /// It would have done where another credential didn't.
        instead: bool,
    },
}

impl Key {
    /// Whether the request carries what it carried then, as far as the policy can tell.
    pub(super) const fn is_known(self) -> bool {
        !matches!(self, Self::NotAsked | Self::NotRecorded { .. })
    }

    /// Whether it may be a subscription's.
    pub(super) const fn is_subscriptions(self) -> bool {
        matches!(self, Self::Recorded | Self::StandIn { .. })
    }

    /// Whether it is that of a subscription which the policy hasn't.
    pub(super) const fn is_strangers(self) -> bool {
        matches!(self, Self::StandIn { known: false })
    }

    /// Why nobody can tell whether a decision is the recorded one, where it hangs on a key that wasn't recorded. `agrees` is what a comparison
    /// would say.
    pub(super) fn doubt(self, recorded: &Recorded, decided: &Decided, agrees: bool) -> Option<Undecidable> {
        let Self::NotRecorded { masked, instead } = self else { return None };
        let reason = decided.reason()?;
        let hangs = is_about_keys(reason) || (instead && token::is_about_tokens(reason));
        // Who writes down what to expect writes down whole requests.
        let tells = masked || (recorded.expect.is_none() && !agrees);
        (hangs && tells).then_some(Undecidable::TokenNotLogged)
    }
}

/// Whether a refusal is about a subscription's key.
pub(super) fn is_about_keys(reason: &str) -> bool {
    [Reason::SubscriptionKeyNotFound, Reason::SubscriptionKeyInvalid, Reason::SubscriptionKeyAmbiguous]
        .iter()
        .any(|known| known.as_str() == reason)
}
