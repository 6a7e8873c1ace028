// SPDX-License-Identifier: Apache-2.0
//! What became of one exchange: what upstream and client saw, and what the exchange was told.

use tracegate::{Exchange, GatewayId};

use super::event::OwnedEvent;
use super::message::Message;

/// What became of one exchange.
#[derive(Debug)]
pub struct Outcome {
    pub(super) gateway: GatewayId,
    pub(super) core: Exchange,
    pub(super) request: Option<Message>,
    pub(super) at_hand: Option<AtHand>,
    pub(super) told: Vec<&'static str>,
    pub(super) decided: usize,
    pub(super) upstream: Option<Message>,
    pub(super) client: Option<Message>,
}

/// The head that a verdict is about.
#[derive(Debug)]
pub(super) enum AtHand {
    Request(Message),
    Response(Message),
}

impl Outcome {
    pub(super) const fn new(gateway: GatewayId, core: Exchange) -> Self {
        Self { gateway, core, request: None, at_hand: None, told: Vec::new(), decided: 0, upstream: None, client: None }
    }

    /// The gateway whose exchange this is.
    #[must_use]
    pub const fn gateway(&self) -> GatewayId {
        self.gateway
    }

    /// The events that the exchange got, in order.
    #[must_use]
    pub fn told(&self) -> &[&'static str] {
        &self.told
    }

    /// How many request heads have been passed or refused.
    #[must_use]
    pub const fn decided(&self) -> usize {
        self.decided
    }

    /// What reached the upstream.
    #[must_use]
    pub const fn upstream(&self) -> Option<&Message> {
        self.upstream.as_ref()
    }

    /// What the client was answered.
    #[must_use]
    pub const fn client(&self) -> Option<&Message> {
        self.client.as_ref()
    }

    /// Whether the exchange has been told that it is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.told.contains(&"closed")
    }

    /// Whether a request came while it could still be served.
    #[must_use]
    pub fn was_served(&self) -> bool {
        let first = |name| self.told.iter().position(|&told| told == name);
        first("request").is_some_and(|request| first("closed").is_none_or(|closed| request < closed))
    }

    /// Takes note of an event before its step.
    pub(super) fn tell(&mut self, event: &OwnedEvent) {
        self.told.push(event.name());
        match event {
            OwnedEvent::Request(head) => {
                self.request = Some(head.clone());
                self.at_hand = Some(AtHand::Request(head.clone()));
            }
            OwnedEvent::Response(head) => self.at_hand = Some(AtHand::Response(head.clone())),
            OwnedEvent::Closed => self.at_hand = None,
            OwnedEvent::Reply(..) | OwnedEvent::Wake => {}
        }
    }

    /// Whether the client still waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.client.is_none() && !self.is_closed()
    }
}
