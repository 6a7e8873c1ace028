// SPDX-License-Identifier: Apache-2.0
//! The course of things: what is due happens, the core says what to do, and the world does it.

use std::fmt::{self, Write as _};
use std::time::Duration;

use tracegate::{CallFailed, CallId, Effect, ExchangeId, GatewayId, HeaderEdits, Refusal, Step, Verdict, Woken};

use super::agenda::Due;
use super::event::{OwnedEvent, lend_answer};
use super::message::Message;
use super::outcome::{AtHand, Outcome};
use super::service::{Asker, OwnedReply};
use super::{TICK_PERIOD, World};

impl World {
    /// Performs the next thing that is due. There is always one: a tick, if nothing else.
    pub fn step(&mut self) {
        let (at, due) = self.agenda.take().expect("ticks are always due");
        self.host.advance_to(at);
        match due {
            Due::Tick(gateway) => self.tick(gateway),
            Due::Event(exchange, event) => self.deliver(exchange, &event),
            Due::Answer(exchange, answer) if self.outcome(exchange).is_awaited() => {
                self.deliver(exchange, &OwnedEvent::Response(answer));
            }
            Due::Answer(..) => {}
            Due::GatewayReply(gateway, call, answer) => self.reply(gateway, call, &answer),
        }
    }

    /// Steps until nothing but ticks is due.
    pub fn run_until_idle(&mut self) {
        for _ in 0..MAX_STEPS {
            if self.agenda.is_idle() {
                return;
            }
            self.step();
        }
        panic!("the world is not idle after {MAX_STEPS} steps");
    }

    /// Performs everything that is due within `duration`, ticks included.
    pub fn advance(&mut self, duration: Duration) {
        let until = self.host.after(duration);
        for _ in 0..MAX_STEPS {
            if self.agenda.next_at().is_none_or(|at| at > until) {
                self.host.advance_to(until);
                return;
            }
            self.step();
        }
        panic!("{duration:?} are not over after {MAX_STEPS} steps");
    }

    /// Runs until idle and through one more tick of every gateway, so that all that was counted has been handed over.
    pub fn finish(&mut self) {
        self.run_until_idle();
        self.advance(TICK_PERIOD);
    }

    /// Asks the services for a call, as if a step had: its reply goes to `asker`.
    pub fn ask(&mut self, asker: Asker, call: CallId) {
        assert!(self.asked.insert(call), "{call:?} was asked for twice");
        let Some((after, answer)) = self.service.answer(call) else { return };
        let due = match asker {
            Asker::Exchange(exchange) => Due::Event(exchange, OwnedEvent::Reply(call, answer)),
            Asker::Gateway(gateway) => Due::GatewayReply(gateway, call, answer),
        };
        self.put_after(after, due);
    }

    /// Carries out what a gateway's tick or reply came to.
    pub fn carry_out(&mut self, gateway: GatewayId, woken: Woken) {
        self.perform(Asker::Gateway(gateway), &woken.effects);
        for exchange in woken.wake {
            self.inject(exchange, Duration::ZERO, OwnedEvent::Wake);
        }
    }

    fn perform(&mut self, asker: Asker, effects: &[Effect]) {
        for call in effects.iter().map(Effect::call) {
            self.ask(asker, call);
        }
    }

    /// What the module does on a tick: tells the core, then hands the counts over.
    fn tick(&mut self, id: GatewayId) {
        let Some(gateway) = self.gateways.get_mut(&id) else { return };
        let woken = gateway.core.tick(&mut self.host.inputs());
        let drained = gateway.core.drain().counts;
        for (name, count) in &drained {
            *gateway.counts.entry(name.clone()).or_default() += count;
        }
        for (name, count) in drained {
            self.note(format_args!("{id:?} counts {name} {count}"));
        }
        self.put_after(TICK_PERIOD, Due::Tick(id));
        self.carry_out(id, woken);
    }

    fn reply(&mut self, id: GatewayId, call: CallId, answer: &Result<OwnedReply, CallFailed>) {
        let Some(gateway) = self.gateways.get_mut(&id) else { return };
        let woken = lend_answer(answer, |answer| gateway.core.reply(call, answer, &mut self.host.inputs()));
        self.note(format_args!("{id:?} reply to {call:?}: {woken:?}"));
        self.carry_out(id, woken);
    }

    fn deliver(&mut self, id: ExchangeId, event: &OwnedEvent) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Some(gateway) = self.gateways.get_mut(&exchange.gateway) else { return };
        exchange.tell(event);
        let Outcome { core, request, .. } = exchange;
        let step = event.lend(request.as_ref(), |event| gateway.core.step(core, event, &mut self.host.inputs()));
        let Step { verdict, effects, .. } = step;
        self.note(format_args!("{id:?} {}: {}", event.name(), Shown(&verdict)));
        self.perform(Asker::Exchange(id), &effects);
        match verdict {
            Verdict::Continue(edits) => self.pass(id, &edits),
            Verdict::Refuse(refusal) => self.refuse(id, refusal),
            Verdict::Wait => {}
        }
    }

    fn pass(&mut self, id: ExchangeId, edits: &HeaderEdits) {
        match self.at_hand(id) {
            AtHand::Request(mut request) => {
                request.edit(edits);
                self.note(format_args!("{id:?} reaches the upstream:{request}"));
                if let Some((after, answer)) = self.upstream.answer(&request) {
                    self.put_after(after, Due::Answer(id, answer));
                }
                let outcome = self.exchanges.get_mut(&id).expect("it has just been stepped");
                assert!(!outcome.is_closed(), "{id:?} reached the upstream after its end");
                assert_eq!(outcome.upstream.replace(request), None, "{id:?} reached the upstream twice");
            }
            AtHand::Response(mut answer) => {
                answer.edit(edits);
                self.answer_client(id, answer);
            }
        }
    }

    fn refuse(&mut self, id: ExchangeId, refusal: Refusal) {
        match self.at_hand(id) {
            // In Envoy a local response passes the filter's own response callback.
            AtHand::Request(_) => self.put_after(Duration::ZERO, Due::Answer(id, Message::refusal(refusal))),
            AtHand::Response(_) => self.answer_client(id, Message::refusal(refusal)),
        }
    }

    /// The head that the verdict just given is about.
    fn at_hand(&mut self, id: ExchangeId) -> AtHand {
        let outcome = self.exchanges.get_mut(&id).expect("it has just been stepped");
        let at_hand = outcome.at_hand.take().unwrap_or_else(|| panic!("{id:?} has a verdict and no head that it could be about"));
        outcome.decided += usize::from(matches!(at_hand, AtHand::Request(_)));
        at_hand
    }

    /// A client takes one answer, and none once it has gone.
    fn answer_client(&mut self, id: ExchangeId, answer: Message) {
        let outcome = self.exchanges.get_mut(&id).expect("it has just been stepped");
        if outcome.is_awaited() {
            outcome.client = Some(answer.clone());
            self.note(format_args!("{id:?} reaches the client:{answer}"));
            self.inject(id, Duration::ZERO, OwnedEvent::Closed);
        }
    }

    fn note(&mut self, what: fmt::Arguments<'_>) {
        writeln!(self.journal, "{:>12} {what}", self.host.monotonic()).expect("a string takes everything");
    }
}

/// A verdict without the edits, which show in what upstream and client saw.
struct Shown<'a>(&'a Verdict);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Verdict::Continue(edits) => write!(formatter, "continue, {} edits", edits.len()),
            Verdict::Refuse(refusal) => write!(formatter, "refuse {} {}", refusal.status(), refusal.reason().as_str()),
            Verdict::Wait => formatter.write_str("wait"),
        }
    }
}

const MAX_STEPS: u32 = 100_000;
