// SPDX-License-Identifier: Apache-2.0
//! What is due, in the order of (monotonic time, serial): two things due at once happen in the order they were put down.

use std::collections::BTreeMap;

use tracegate::{CallFailed, CallId, ExchangeId, GatewayId};

use super::event::OwnedEvent;
use super::message::Message;
use super::service::OwnedReply;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A gateway's tick, which comes for ever and keeps no world from being idle.
    Tick(GatewayId),
    /// An event, brought to its exchange whatever has become of it.
    Event(ExchangeId, OwnedEvent),
    /// An answer from the upstream or from the gateway itself, dropped where nobody waits for it any more.
    Answer(ExchangeId, Message),
    /// The reply to a call that serves several exchanges.
    GatewayReply(GatewayId, CallId, Result<OwnedReply, CallFailed>),
}

#[derive(Debug, Default)]
pub(super) struct Agenda {
    queue: BTreeMap<(u64, u64), Due>,
    serial: u64,
    /// How much of the queue is no tick.
    work: usize,
}

impl Agenda {
    pub(super) fn put(&mut self, at: u64, due: Due) {
        self.work += usize::from(!matches!(due, Due::Tick(_)));
        self.queue.insert((at, self.serial), due);
        self.serial += 1;
    }

    pub(super) fn take(&mut self) -> Option<(u64, Due)> {
        let ((at, _), due) = self.queue.pop_first()?;
        self.work -= usize::from(!matches!(due, Due::Tick(_)));
        Some((at, due))
    }

    pub(super) fn next_at(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.work == 0
    }
}
