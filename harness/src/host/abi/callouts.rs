// SPDX-License-Identifier: Apache-2.0
//! HTTP callouts.

use std::time::Duration;

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::callout::{self, Callout, Cluster, Kind};
use crate::host::headers::{HeaderMap, Part};
use crate::host::memory::{self, Host, Return, Span};
use crate::host::message::Message;
use crate::host::pairs;
use crate::host::state::State;
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_http_call" => call, (
            cluster: u32, cluster_size: u32, headers: u32, headers_size: u32, body: u32, body_size: u32, trailers: u32,
            trailers_size: u32, timeout: u32, return_token: u32
        );
        "proxy_get_status" => status, (return_code: u32, return_data: u32, return_size: u32), hands_over;
    );
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn call(
    host: &mut Host<'_>,
    cluster: u32,
    cluster_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout: u32,
    return_token: u32,
) -> Answer {
    let cluster = String::from_utf8_lossy(memory::read(host, Span { place: cluster, size: cluster_size })?).into_owned();
    let head = map(memory::read(host, Span { place: headers, size: headers_size })?, Part::Request);
    let trailers = map(memory::read(host, Span { place: trailers, size: trailers_size })?, Part::RequestTrailers);
    let body = memory::read(host, Span { place: body, size: body_size })?;
    let request = callout::request(head, body, trailers);
    memory::write_word(host, return_token, 0)?;
    let token = dispatch(host.data_mut(), cluster, request, timeout)?;
    memory::write_word(host, return_token, token)
}

fn dispatch(state: &mut State, cluster: String, request: Option<Message>, timeout: u32) -> Answer<u32> {
    if timeout > MAX_TIMEOUT {
        return Err(Status::BadArgument);
    }
    let reachable = *state.clusters.get(&cluster).ok_or(Status::BadArgument)?;
    let request = request.ok_or(Status::BadArgument)?;
    // What can't be sent fails while it is sent.
    if matches!(reachable, Cluster::Empty | Cluster::Full)
        || !request.head.sendable()
        || (state.release.refuses_values_at_once() && request.head.flaw().is_some())
        || !state.callouts.has_room(request.head.byte_size() + request.body.len())
    {
        return Err(Status::InternalFailure);
    }
    let root = state.contexts.root_id();
    let token = state.callouts.mint(Kind::Http, root);
    let timeout = (timeout > 0).then(|| Duration::from_millis(u64::from(timeout)));
    state.callouts.asked.push(Callout { token, root, cluster, request, timeout, grpc: None });
    Ok(token)
}

fn map(bytes: &[u8], part: Part) -> HeaderMap {
    let mut map = HeaderMap::new(part);
    for (name, value) in pairs::read(bytes) {
        map.add(name, value);
        map.examine(name, value);
    }
    map
}

/// Why the last callout failed.
fn status(host: &mut Host<'_>, return_code: u32, data: u32, size: u32) -> Answer {
    let contexts = &host.data().contexts;
    let (code, message) = contexts.root().map(|root| root.status.clone()).unwrap_or_default();
    memory::write_word(host, return_code, code)?;
    memory::hand_over(host, &message, Return { data, size })
}

/// Above it the number reads as negative.
const MAX_TIMEOUT: u32 = i32::MAX.cast_unsigned();
