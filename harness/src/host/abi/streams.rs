// SPDX-License-Identifier: Apache-2.0
//! Streams and contexts: going on, ending, answering.
//!
//! What is asked for here happens once the callback has returned.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::limits::MAX_ACTIONS;
use crate::host::memory::{self, Host, Span};
use crate::host::message::LocalResponse;
use crate::host::pairs;
use crate::host::state::{Action, Body, Side, State};
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_continue_stream" => proceed, (kind: u32);
        "proxy_close_stream" => close, (kind: u32);
        "proxy_send_local_response" => respond, (
            status: u32, details: u32, details_size: u32, body: u32, body_size: u32, headers: u32, headers_size: u32, grpc_status: i32
        );
        "proxy_set_effective_context" => set_effective_context, (context: u32);
        "proxy_done" => done, ();
    );
    Ok(())
}

fn proceed(host: &mut Host<'_>, kind: u32) -> Answer {
    let state = host.data_mut();
    let context = state.contexts.effective();
    let action = match kind {
        HTTP_REQUEST => Some(Action::ContinueRequest(context)),
        HTTP_RESPONSE => Some(Action::ContinueResponse(context)),
        DOWNSTREAM => None,
        UPSTREAM => return Err(Status::Unimplemented),
        _ => return Err(Status::BadArgument),
    };
    if let Some(action) = action
        && let Some((stream, _)) = state.contexts.stream_mut()
    {
        if state.actions.len() < MAX_ACTIONS {
            state.actions.push_back(action);
        }
        // Whichever way goes on, it is the request that is out of reach from now on, but for what is held back of it.
        let Side { head, body, trailers, .. } = &mut stream.request;
        (*head, *trailers) = (false, false);
        if *body == Body::Chunk {
            *body = Body::Hidden;
        }
    }
    Ok(())
}

fn close(host: &mut Host<'_>, kind: u32) -> Answer {
    if kind > MAX_KIND {
        return Err(Status::BadArgument);
    }
    let state = host.data_mut();
    let context = state.contexts.effective();
    if kind <= HTTP_RESPONSE
        && let Some((_, exchange)) = state.contexts.stream_mut()
    {
        exchange.details.get_or_insert_with(|| "wasm_close_stream".to_owned());
        if state.actions.len() < MAX_ACTIONS {
            state.actions.push_back(Action::Close(context));
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn respond(
    host: &mut Host<'_>,
    status: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: i32,
) -> Answer {
    let details = memory::read(host, Span { place: details, size: details_size })?.to_vec();
    let body = memory::read(host, Span { place: body, size: body_size })?.to_vec();
    let headers = memory::read(host, Span { place: headers, size: headers_size })?;
    let headers = pairs::read(headers).into_iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    let state = host.data_mut();
    state.stop_iteration = true;
    let context = state.contexts.effective();
    if state.contexts.stream().is_some() && state.actions.len() < MAX_ACTIONS {
        let response = LocalResponse { status, details, headers, body, grpc_status };
        state.actions.push_back(Action::Respond(context, response));
    }
    Ok(())
}

fn set_effective_context(host: &mut Host<'_>, context: u32) -> Answer {
    let contexts = &mut host.data_mut().contexts;
    // The VM has a context of its own, 0, which stands for none.
    if context != 0 && !contexts.exists(context) {
        return Err(Status::BadArgument);
    }
    contexts.chosen = context;
    Ok(())
}

/// A root that put off its end may end now.
fn done(host: &mut Host<'_>) -> Answer {
    let state = host.data_mut();
    let context = state.contexts.effective();
    let root = state.contexts.roots.get_mut(&context).filter(|root| root.ending).ok_or(Status::NotFound)?;
    root.ending = false;
    state.actions.push_back(Action::Delete(context));
    Ok(())
}

/// `proxy_stream_type_t`
const HTTP_REQUEST: u32 = 0;
const HTTP_RESPONSE: u32 = 1;
const DOWNSTREAM: u32 = 2;
const UPSTREAM: u32 = 3;
const MAX_KIND: u32 = 3;
