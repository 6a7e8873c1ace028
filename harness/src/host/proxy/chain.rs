// SPDX-License-Identifier: Apache-2.0
//! A message's way through the filters: from the client to the upstream, or back.

use std::collections::VecDeque;

use super::{Piece, Proxy, Stop, Way, World};
use crate::error::Result;
use crate::host::headers::HeaderMap;
use crate::host::memory::length;
use crate::host::state::{Body, Direction, Exchange, Side, Stream, Traffic};

/// What became of a part of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It goes on.
    On,
    /// A filter stopped it.
    Stopped,
    /// The message's way is over: answered, closed or replaced.
    Over,
}

impl<W: World> Proxy<'_, W> {
    /// Sends a message through the chain: its head is in place already, `pieces` follow.
    pub(super) fn deliver(&mut self, id: u32, direction: Direction, pieces: VecDeque<Piece>) {
        let Some(way) = self.way(id, direction) else { return };
        way.head_only = pieces.is_empty();
        if self.deliver_head(id, direction, 0) != Flow::Over {
            self.deliver_pieces(id, direction, 0, pieces);
        }
    }

    /// Shows the head to the filters from `from` on.
    fn deliver_head(&mut self, id: u32, direction: Direction, from: usize) -> Flow {
        let end = self.way(id, direction).is_some_and(|way| way.head_only);
        for place in from..self.chain_length(id) {
            let Some(context) = self.filter(id, direction, place) else { continue };
            let lines = self.with_stream(context, |stream, exchange| {
                stream.side(direction).head = true;
                stream.end_of_stream = end;
                exchange.traffic(direction).map_or(0, |traffic| traffic.head.len())
            });
            let parameters = (context, length(lines.unwrap_or(0)), u32::from(end));
            let returned = match direction {
                Direction::Request => self.vm.call(context, "proxy_on_request_headers", |calls| &calls.request_headers, parameters),
                Direction::Response => self.vm.call(context, "proxy_on_response_headers", |calls| &calls.response_headers, parameters),
            };
            let action = self.action(returned, MAX_HEAD_ACTION);
            match self.after(id, direction, place, action, Stop::Head) {
                Flow::On => {
                    self.with_stream(context, |stream, _| stream.side(direction).head = false);
                }
                other => return other,
            }
        }
        self.head_left(id, direction);
        if self.way(id, direction).is_none_or(|way| way.ended) { Flow::Over } else { Flow::On }
    }

    /// Shows what follows the head to the filters from `from` on, as far as it gets.
    fn deliver_pieces(&mut self, id: u32, direction: Direction, from: usize, pieces: VecDeque<Piece>) {
        for piece in pieces {
            let flow = match piece {
                Piece::Data(bytes, end) => self.deliver_data(id, direction, from, bytes, end),
                Piece::Trailers(trailers) => self.deliver_trailers(id, direction, from, trailers),
            };
            if flow == Flow::Over {
                return;
            }
        }
    }

    fn deliver_data(&mut self, id: u32, direction: Direction, from: usize, mut bytes: Vec<u8>, end: bool) -> Flow {
        if from == 0
            && let Some(traffic) = self.traffic(id, direction)
        {
            traffic.received += u64::from(length(bytes.len()));
        }
        for place in from..self.chain_length(id) {
            if self.waits_behind(id, direction, place) {
                return self.wait(id, direction, Piece::Data(bytes, end));
            }
            let Some(context) = self.filter(id, direction, place) else { continue };
            let size = self.with_stream(context, |stream, exchange| {
                stream.end_of_stream = end;
                exchange.traffic(direction).map_or(0, |traffic| stream.side(direction).show(traffic, std::mem::take(&mut bytes)))
            });
            let parameters = (context, length(size.unwrap_or(0)), u32::from(end));
            let returned = match direction {
                Direction::Request => self.vm.call(context, "proxy_on_request_body", |calls| &calls.request_body, parameters),
                Direction::Response => self.vm.call(context, "proxy_on_response_body", |calls| &calls.response_body, parameters),
            };
            let action = self.action(returned, MAX_BODY_ACTION);
            match self.after(id, direction, place, action, Stop::Body(end)) {
                Flow::On => {
                    bytes = self.released(context, direction);
                    if let Some(trailers) = self.traffic(id, direction).filter(|_| end).and_then(|traffic| traffic.trailers.clone()) {
                        // The filter made trailers: for those behind it the body isn't the end.
                        return match self.deliver_data(id, direction, place + 1, bytes, false) {
                            Flow::Over => Flow::Over,
                            _ => self.deliver_trailers(id, direction, place + 1, trailers),
                        };
                    }
                }
                Flow::Stopped => {
                    self.with_stream(context, |stream, exchange| {
                        if let Some(traffic) = exchange.traffic(direction) {
                            stream.side(direction).stop(traffic, action.unwrap_or(STOP_ALL));
                        }
                    });
                    return Flow::Stopped;
                }
                Flow::Over => return Flow::Over,
            }
        }
        self.data_left(id, direction, &bytes, end);
        Flow::On
    }

    fn deliver_trailers(&mut self, id: u32, direction: Direction, from: usize, trailers: HeaderMap) -> Flow {
        let count = length(trailers.len());
        for place in from..self.chain_length(id) {
            if self.waits_behind(id, direction, place) {
                return self.wait(id, direction, Piece::Trailers(trailers));
            }
            let Some(context) = self.filter(id, direction, place) else { continue };
            self.with_stream(context, |stream, exchange| {
                stream.side(direction).trailers = true;
                if let Some(traffic) = exchange.traffic(direction) {
                    traffic.trailers.get_or_insert_with(|| trailers.clone());
                }
            });
            let parameters = (context, count);
            let returned = match direction {
                Direction::Request => self.vm.call(context, "proxy_on_request_trailers", |calls| &calls.request_trailers, parameters),
                Direction::Response => self.vm.call(context, "proxy_on_response_trailers", |calls| &calls.response_trailers, parameters),
            };
            let action = self.action(returned, MAX_TRAILERS_ACTION);
            match self.after(id, direction, place, action, Stop::Trailers) {
                Flow::On => {
                    let held = self.released(context, direction);
                    self.with_stream(context, |stream, _| stream.side(direction).trailers = false);
                    if !held.is_empty() && self.deliver_data(id, direction, place + 1, held, false) == Flow::Over {
                        return Flow::Over;
                    }
                }
                other => return other,
            }
        }
        if let Some(traffic) = self.traffic(id, direction) {
            traffic.trailers.get_or_insert(trailers);
        }
        self.data_left(id, direction, &[], true);
        Flow::On
    }

    /// Does what was asked for in a callback, then stops or goes on as it returned.
    fn after(&mut self, id: u32, direction: Direction, place: usize, action: Option<u32>, stop: Stop) -> Flow {
        let stopped = action.is_some_and(|action| action != CONTINUE);
        if let Some(way) = self.way(id, direction) {
            // In place before what was asked for: the callback may have asked for its own message to go on.
            if stopped {
                way.stopped = Some((place, stop));
            } else if way.stopped.is_some_and(|(at, _)| at == place) {
                way.stopped = None;
            }
        }
        let before = std::mem::replace(&mut self.deciding, (direction == Direction::Request).then_some(id));
        if action.is_none() {
            self.fail_stream(id);
        }
        self.settle();
        self.deciding = before;
        if let Some(response) = self.live.get_mut(&id).and_then(|live| live.prepared.take()) {
            self.answer(id, response);
        }
        match self.way(id, direction) {
            None => Flow::Over,
            Some(way) if way.ended => Flow::Over,
            Some(_) if stopped => Flow::Stopped,
            Some(_) => Flow::On,
        }
    }

    /// What a callback returned, as Envoy reads it; `None` where it trapped.
    fn action(&mut self, returned: Result<Option<u32>>, most: u32) -> Option<u32> {
        let stopped = std::mem::take(&mut self.vm.state().stop_iteration);
        match returned {
            Ok(_) if stopped => Some(STOP_ALL),
            Ok(None) => Some(CONTINUE),
            Ok(Some(action)) if action > most => Some(STOP_ALL),
            Ok(Some(NO_STATUS)) if most == MAX_HEAD_ACTION => Some(CONTINUE),
            Ok(Some(action)) => Some(action),
            Err(error) => {
                self.note::<()>(Err(error));
                None
            }
        }
    }

    /// Lets what a context stopped go on.
    pub(super) fn resume(&mut self, context: u32, direction: Direction) {
        let Some((id, place)) = self.place(context, direction) else { return };
        let Some(way) = self.way(id, direction) else { return };
        let Some((_, stop)) = way.stopped.filter(|(stopped, _)| *stopped == place) else { return };
        way.stopped = None;
        let rest = std::mem::take(&mut way.rest);
        let flow = match stop {
            Stop::Head => {
                self.with_stream(context, |stream, _| stream.side(direction).head = false);
                if self.deliver_head(id, direction, place + 1) != Flow::Over {
                    self.deliver_pieces(id, direction, place, rest);
                }
                return;
            }
            Stop::Body(end) => {
                let held = self.released(context, direction);
                self.deliver_data(id, direction, place + 1, held, end)
            }
            Stop::Trailers => {
                let held = self.released(context, direction);
                let trailers = self.traffic(id, direction).and_then(|traffic| traffic.trailers.clone()).unwrap_or_default();
                self.with_stream(context, |stream, _| stream.side(direction).trailers = false);
                if held.is_empty() || self.deliver_data(id, direction, place + 1, held, false) != Flow::Over {
                    self.deliver_trailers(id, direction, place + 1, trailers);
                }
                return;
            }
        };
        if flow != Flow::Over {
            self.deliver_pieces(id, direction, place, rest);
        }
    }

    /// Whether what follows a head or a body waits for the filter at `place`.
    fn waits_behind(&mut self, id: u32, direction: Direction, place: usize) -> bool {
        let stopped = self.way(id, direction).and_then(|way| way.stopped);
        stopped.is_some_and(|(at, stop)| at == place && matches!(stop, Stop::Head | Stop::Trailers))
    }

    fn wait(&mut self, id: u32, direction: Direction, piece: Piece) -> Flow {
        if let Some(way) = self.way(id, direction) {
            match (way.rest.back_mut(), piece) {
                // What waits together goes on together.
                (Some(Piece::Data(waiting, end)), Piece::Data(bytes, last)) => {
                    waiting.extend(bytes);
                    *end |= last;
                }
                (_, piece) => way.rest.push_back(piece),
            }
        }
        Flow::Stopped
    }

    /// The bytes that a filter lets go on.
    fn released(&mut self, context: u32, direction: Direction) -> Vec<u8> {
        let released = self
            .with_stream(context, |stream, exchange| exchange.traffic(direction).map(|traffic| stream.side(direction).release(traffic)));
        released.flatten().unwrap_or_default()
    }

    fn chain_length(&self, id: u32) -> usize {
        self.live.get(&id).map_or(0, |live| live.filters.len())
    }

    /// The context of the filter at `place` on the way in this direction. A request makes it; a response passes by the
    /// filters that saw no request.
    fn filter(&mut self, id: u32, direction: Direction, place: usize) -> Option<u32> {
        let index = self.index(id, direction, place)?;
        let context = *self.live.get(&id)?.filters.get(index)?;
        if context != 0 || direction == Direction::Response {
            return Some(context).filter(|context| *context != 0);
        }
        self.create(id, index)
    }

    /// A filter's index in the chain.
    fn index(&self, id: u32, direction: Direction, place: usize) -> Option<usize> {
        match direction {
            Direction::Request => Some(place),
            Direction::Response => self.chain_length(id).checked_sub(place + 1),
        }
    }

    /// The exchange of a context, and its filter's place in this direction.
    fn place(&mut self, context: u32, direction: Direction) -> Option<(u32, usize)> {
        let id = self.vm.state().contexts.streams.get(&context)?.exchange;
        let index = self.live.get(&id)?.filters.iter().position(|filter| *filter == context)?;
        self.index(id, direction, index).map(|place| (id, place))
    }

    pub(super) fn way(&mut self, id: u32, direction: Direction) -> Option<&mut Way> {
        let live = self.live.get_mut(&id)?;
        Some(match direction {
            Direction::Request => &mut live.request,
            Direction::Response => &mut live.response,
        })
    }

    pub(super) fn traffic(&mut self, id: u32, direction: Direction) -> Option<&mut Traffic> {
        self.vm.state().contexts.exchanges.get_mut(&id)?.traffic(direction)
    }

    pub(super) fn with_stream<T>(&mut self, context: u32, run: impl FnOnce(&mut Stream, &mut Exchange) -> T) -> Option<T> {
        let contexts = &mut self.vm.state().contexts;
        let stream = contexts.streams.get_mut(&context)?;
        let exchange = contexts.exchanges.get_mut(&stream.exchange)?;
        Some(run(stream, exchange))
    }
}

impl Side {
    /// Shows bytes that have just come, behind those that the filter sees already; how many it sees.
    fn show(&mut self, traffic: &mut Traffic, bytes: Vec<u8>) -> usize {
        if self.body == Body::Held {
            self.held.extend(bytes);
            return self.held.len();
        }
        self.body = Body::Chunk;
        traffic.chunk = bytes;
        traffic.chunk.len()
    }

    /// Keeps what was shown, where the filter's action says so; it is lost otherwise.
    fn stop(&mut self, traffic: &mut Traffic, action: u32) {
        if self.body == Body::Chunk {
            let chunk = std::mem::take(&mut traffic.chunk);
            if matches!(action, STOP_AND_HOLD | STOP_AND_WATERMARK) {
                self.held.extend(chunk);
            }
            self.body = if action == STOP_AND_HOLD { Body::Held } else { Body::Hidden };
        }
    }

    /// Takes what was shown and what was held back.
    fn release(&mut self, traffic: &mut Traffic) -> Vec<u8> {
        let mut released = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.body) == Body::Chunk {
            if released.is_empty() {
                return std::mem::take(&mut traffic.chunk);
            }
            released.append(&mut traffic.chunk);
        }
        released
    }
}

/// `proxy_action_t`, and Envoy's own statuses above it.
const CONTINUE: u32 = 0;
const STOP_AND_HOLD: u32 = 1;
const STOP_AND_WATERMARK: u32 = 2;
/// For a head it is none.
const NO_STATUS: u32 = 2;
const STOP_ALL: u32 = 4;
const MAX_HEAD_ACTION: u32 = 4;
const MAX_BODY_ACTION: u32 = 3;
const MAX_TRAILERS_ACTION: u32 = 1;
