// SPDX-License-Identifier: Apache-2.0
//! Buffers: bodies, configurations, callouts' replies.

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::limits::MAX_KEPT;
use crate::host::memory::{self, Host, Return, Span};
use crate::host::state::{Body, Direction, Side, State, Traffic};
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_get_buffer_bytes" => get, (buffer: u32, start: u32, length: u32, return_data: u32, return_size: u32), hands_over;
        "proxy_get_buffer_status" => status, (buffer: u32, return_length: u32, return_flags: u32);
        "proxy_set_buffer_bytes" => set, (buffer: u32, start: u32, length: u32, data: u32, size: u32);
    );
    Ok(())
}

fn get(host: &mut Host<'_>, buffer: u32, start: u32, length: u32, data: u32, size: u32) -> Answer {
    guard(host, "proxy_get_buffer_bytes", is_own(buffer), buffer)?;
    let available = lent(host.data(), buffer)?.len();
    let start = memory::index(start);
    let end = start.saturating_add(memory::index(length)).min(available);
    if start >= end {
        return Ok(());
    }
    memory::hand_over_with(host, end - start, Return { data, size }, |state, place| {
        if let Ok(bytes) = lent(state, buffer)
            && let Some(part) = bytes.get(start..end)
        {
            place.copy_from_slice(part);
        }
    })
}

fn status(host: &mut Host<'_>, buffer: u32, return_length: u32, return_flags: u32) -> Answer {
    guard(host, "proxy_get_buffer_status", is_own(buffer), buffer)?;
    let length = memory::length(lent(host.data(), buffer)?.len());
    memory::write_word(host, return_length, length)?;
    memory::write_word(host, return_flags, 0)
}

fn set(host: &mut Host<'_>, buffer: u32, start: u32, length: u32, place: u32, size: u32) -> Answer {
    guard(host, "proxy_set_buffer_bytes", false, buffer)?;
    if buffer > MAX_BUFFER {
        return Err(Status::BadArgument);
    }
    lent(host.data(), buffer)?;
    let (bytes, state) = memory::read_beside(host, Span { place, size })?;
    let body = body_mut(state, buffer)?;
    let (start, length) = (memory::index(start), memory::index(length));
    if body.len() + bytes.len() > MAX_KEPT {
        return Err(Status::InternalFailure);
    }
    if start == 0 {
        body.splice(..length.min(body.len()), bytes.iter().copied());
    } else if start >= body.len() {
        body.extend_from_slice(bytes);
    } else {
        return Err(Status::BadArgument);
    }
    Ok(())
}

/// Whether a buffer is the module's own: a configuration, or what a callout of its own brought.
const fn is_own(buffer: u32) -> bool {
    matches!(buffer, HTTP_CALL_RESPONSE_BODY | GRPC_RECEIVE_BUFFER | VM_CONFIGURATION | PLUGIN_CONFIGURATION)
}

/// Ends a module that looks at metadata alone, and asks for more: this call on this buffer isn't `allowed`.
fn guard(host: &mut Host<'_>, call: &str, allowed: bool, buffer: u32) -> Answer {
    let state = host.data_mut();
    if allowed || !state.metadata_only {
        return Ok(());
    }
    let what = format!("expected metadata alone to be asked for, found {call} of buffer {buffer}");
    state.overstepped = Some(wasmtime::Error::msg(what));
    Err(Status::BadArgument)
}

/// What the effective context may read.
fn lent(state: &State, buffer: u32) -> Answer<&[u8]> {
    if buffer > MAX_BUFFER {
        return Err(Status::BadArgument);
    }
    let contexts = &state.contexts;
    match buffer {
        HTTP_REQUEST_BODY | HTTP_RESPONSE_BODY => {
            let Some((stream, exchange)) = contexts.stream() else { return Ok(&[]) };
            let (side, traffic) = match buffer {
                HTTP_REQUEST_BODY => (&stream.request, Some(&exchange.request)),
                _ => (&stream.response, exchange.response.as_ref()),
            };
            Ok(traffic.map_or(&[], |traffic| body(side, traffic)))
        }
        HTTP_CALL_RESPONSE_BODY => {
            let reply = contexts.root().and_then(|root| root.reply.as_ref()).ok_or(Status::NotFound)?;
            Ok(&reply.body)
        }
        GRPC_RECEIVE_BUFFER => Ok(contexts.root().and_then(|root| root.grpc_message.as_deref()).unwrap_or_default()),
        VM_CONFIGURATION => Ok(&state.configuration),
        PLUGIN_CONFIGURATION => {
            let root = contexts.roots.get(&contexts.effective()).filter(|root| root.configuring).ok_or(Status::NotFound)?;
            Ok(&root.configuration)
        }
        _ => Ok(&[]),
    }
}

fn body<'a>(side: &'a Side, traffic: &'a Traffic) -> &'a [u8] {
    match side.body {
        Body::Hidden => &[],
        Body::Chunk => &traffic.chunk,
        Body::Held => &side.held,
    }
}

/// The bytes that the effective context may change.
fn body_mut(state: &mut State, buffer: u32) -> Answer<&mut Vec<u8>> {
    let direction = match buffer {
        HTTP_REQUEST_BODY => Direction::Request,
        HTTP_RESPONSE_BODY => Direction::Response,
        GRPC_RECEIVE_BUFFER => {
            let root = state.contexts.root_id();
            let message = state.contexts.roots.get_mut(&root).and_then(|root| root.grpc_message.as_mut());
            return message.ok_or(Status::BadArgument);
        }
        _ => return Err(Status::BadArgument),
    };
    let (stream, exchange) = state.contexts.stream_mut().ok_or(Status::BadArgument)?;
    let side = stream.side(direction);
    match side.body {
        Body::Hidden => Err(Status::BadArgument),
        Body::Chunk => exchange.traffic(direction).map(|traffic| &mut traffic.chunk).ok_or(Status::BadArgument),
        Body::Held => Ok(&mut side.held),
    }
}

/// `proxy_buffer_type_t`
const HTTP_REQUEST_BODY: u32 = 0;
const HTTP_RESPONSE_BODY: u32 = 1;
const HTTP_CALL_RESPONSE_BODY: u32 = 4;
const GRPC_RECEIVE_BUFFER: u32 = 5;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;
const MAX_BUFFER: u32 = 8;
