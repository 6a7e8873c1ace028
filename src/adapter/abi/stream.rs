// SPDX-License-Identifier: Apache-2.0
//! One stream context: one [`Exchange`].

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, MapType};

use super::host::{self, Failed};
use super::world::{SharedGateway, perform, with_inputs};
use crate::adapter::pairs;
use crate::decision::Refusal;
use crate::edits::{HeaderEdit, HeaderEdits};
use crate::effect::{ExchangeId, Step, Verdict};
use crate::event::Event;
use crate::exchange::Exchange;
use crate::head::Headers;

pub(super) struct Stream {
    /// `None` in a root context without a policy, which hosts don't let serve.
    serving: Option<(SharedGateway, Exchange)>,
}

impl Stream {
    pub(super) fn new(gateway: Option<SharedGateway>, id: ExchangeId) -> Self {
        let serving = gateway.and_then(|gateway| {
            let exchange = gateway.try_borrow().ok()?.open(id);
            Some((gateway, exchange))
        });
        Self { serving }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let Some((gateway, exchange)) = &mut self.serving else { return fail_closed("no policy is loaded") };
        let Ok(mut gateway) = gateway.try_borrow_mut() else { return fail_closed("the host called back within a call") };
        // A map that can't be read reads as an empty one, which the core refuses.
        let map = host::header_map(MapType::HttpRequestHeaders).unwrap_or_default();
        let lines = pairs::read(&map).unwrap_or_default();
        let Step { verdict, effects } = with_inputs(|inputs| exchange.step(&mut gateway, Event::Request(Headers::new(&lines)), inputs));
        perform(&effects);
        match verdict {
            Verdict::Continue(edits) => match apply(MapType::HttpRequestHeaders, &edits) {
                Ok(()) => Action::Continue,
                // Let pass half edited, a request could carry what was to be removed.
                Err(error) => fail_closed(&error.to_string()),
            },
            Verdict::Refuse(refusal) => refuse(refusal),
            Verdict::Wait => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let Some((gateway, exchange)) = self.serving.as_mut().filter(|(_, exchange)| exchange.edits_response()) else {
            return Action::Continue;
        };
        let Ok(mut gateway) = gateway.try_borrow_mut() else { return Action::Continue };
        // No stage reads a response's lines yet.
        let Step { verdict, effects } = with_inputs(|inputs| exchange.step(&mut gateway, Event::Response(Headers::default()), inputs));
        perform(&effects);
        if let Verdict::Continue(edits) = verdict
            && let Err(error) = apply(MapType::HttpResponseHeaders, &edits)
        {
            host::log(LogLevel::Error, &format!("tracegate: response not edited: {error}"));
        }
        Action::Continue
    }
}

fn apply(map: MapType, edits: &HeaderEdits) -> Result<(), Failed> {
    edits.iter().try_for_each(|edit| match edit {
        HeaderEdit::Replace { name, value } => host::replace_header(map, name, value),
        HeaderEdit::Remove { name } => host::remove_header(map, name),
    })
}

fn refuse(refusal: Refusal) -> Action {
    let sent = host::send_local_response(refusal.status(), refusal.reason().as_str(), &refusal.headers(), &refusal.body());
    if let Err(error) = sent {
        // The request stays paused, and the host's own time-out ends it: better than letting it pass.
        host::log(LogLevel::Error, &format!("tracegate: refused, but not told: {error}"));
    }
    Action::Pause
}

/// The host did what hosts don't: nothing passes undecided.
fn fail_closed(what: &str) -> Action {
    host::log(LogLevel::Error, &format!("tracegate: request refused: {what}"));
    let _ = host::send_local_response(503, "tracegate_host_failure", &[], "");
    Action::Pause
}
