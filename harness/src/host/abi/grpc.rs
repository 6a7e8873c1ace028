// SPDX-License-Identifier: Apache-2.0
//! Unary gRPC callouts.

use std::time::Duration;

use wasmtime::Linker;

use super::{ENV, define};
use crate::host::callout::{Callout, Cluster, Kind};
use crate::host::failure::Failure;
use crate::host::grpc::{self, Close, GrpcCall};
use crate::host::grpc_service::GrpcService;
use crate::host::memory::{self, Host, Span};
use crate::host::message::Message;
use crate::host::pairs;
use crate::host::release::Release;
use crate::host::state::{Action, State};
use crate::host::status::{Answer, Status};

pub(super) fn define(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(linker, ENV, answer:
        "proxy_grpc_call" => call, (
            service: u32, service_size: u32, name: u32, name_size: u32, method: u32, method_size: u32, metadata: u32,
            metadata_size: u32, message: u32, message_size: u32, timeout: u32, return_token: u32
        );
        "proxy_grpc_cancel" => cancel, (token: u32);
        "proxy_grpc_close" => cancel, (token: u32);
    );
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
fn call(
    host: &mut Host<'_>,
    service: u32,
    service_size: u32,
    name: u32,
    name_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    message: u32,
    message_size: u32,
    timeout: u32,
    return_token: u32,
) -> Answer {
    let text = |place, size| memory::read(host, Span { place, size }).map(|text| String::from_utf8_lossy(text).into_owned());
    let service = GrpcService::read(memory::read(host, Span { place: service, size: service_size })?);
    let (name, method) = (text(name, name_size)?, text(method, method_size)?);
    let metadata = pairs::read(memory::read(host, Span { place: metadata, size: metadata_size })?);
    let message = memory::read(host, Span { place: message, size: message_size })?.to_vec();
    let timeout = Duration::from_millis(u64::from(timeout));
    let call = GrpcCall { service: name, method, message };
    let request = grpc::request(service.cluster(), &call, &metadata, timeout);
    let token = dispatch(host.data_mut(), &service, call, request, timeout)?;
    memory::write_word(host, return_token, token)
}

fn dispatch(state: &mut State, service: &GrpcService, call: GrpcCall, request: Message, timeout: Duration) -> Answer<u32> {
    let cluster = state.clusters.get(service.cluster()).copied();
    match (service, cluster) {
        // Envoy itself ends here.
        (GrpcService::Nobody, _) => return Err(Status::BadArgument),
        (GrpcService::Name(_), None) => return Err(Status::ParseFailure),
        _ => {}
    }
    if !state.callouts.has_room(request.head.byte_size() + request.body.len()) {
        return Err(Status::InternalFailure);
    }
    let root = state.contexts.root_id();
    let token = state.callouts.mint(Kind::Grpc, root);
    if let Some(close) = refusal(cluster, &request, state.release) {
        // The module is told of it all the same, by a token that it was never given.
        state.actions.push_back(Action::CloseCall(root, token, close));
        return Err(Status::InternalFailure);
    }
    let timeout = (!timeout.is_zero()).then_some(timeout);
    state.callouts.asked.push(Callout { token, root, cluster: service.cluster().to_owned(), request, timeout, grpc: Some(call) });
    Ok(token)
}

/// Why a call fails while it is sent.
fn refusal(cluster: Option<Cluster>, request: &Message, release: Release) -> Option<Close> {
    match cluster {
        None => Some(Close::new(grpc::UNAVAILABLE, b"Cluster not available", "")),
        Some(Cluster::Empty) => Some(Failure::NoHost.close(release)),
        Some(Cluster::Full) => Some(Failure::Overloaded.close(release)),
        Some(Cluster::Reachable | Cluster::Overloaded) => request.head.flaw().map(|flaw| {
            let details = format!("filter_removed_required_request_headers{{{}}}", flaw.replace(' ', "_"));
            Close::of_http(503, &flaw, &details)
        }),
    }
}

/// Gives a call up: nothing comes of it any more.
fn cancel(host: &mut Host<'_>, token: u32) -> Answer {
    let state = host.data_mut();
    let kind = Kind::of(token).filter(|kind| *kind != Kind::Http).ok_or(Status::BadArgument)?;
    let root = state.contexts.root_id();
    let is_pending = kind == Kind::Grpc && state.callouts.pending.get(&token) == Some(&root);
    if !is_pending {
        return Err(Status::NotFound);
    }
    state.callouts.pending.remove(&token);
    Ok(())
}
