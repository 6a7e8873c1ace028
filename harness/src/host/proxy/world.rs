// SPDX-License-Identifier: Apache-2.0
//! What lies behind a proxy.

use crate::host::callout::{Callout, Reply};
use crate::host::grpc::GrpcCall;
use crate::host::message::Message;

/// What lies behind a proxy: its upstream, and the services that plugins call.
pub trait World {
    /// Answers a request that has reached the upstream whole.
    fn upstream(&mut self, exchange: ExchangeId, request: &Message) -> Reply;

    /// Answers a plugin's own request.
    fn service(&mut self, callout: &Callout) -> Reply;

    /// Answers a plugin's own unary gRPC call, for one with [`Message::grpc`] or [`Message::grpc_status`]. A world that doesn't
    /// tell it apart gets it as the request that goes over HTTP.
    fn grpc(&mut self, callout: &Callout, _call: &GrpcCall) -> Reply {
        self.service(callout)
    }
}

/// A world that answers everything alike.
#[derive(Clone, Debug)]
pub struct Always(pub Reply);

impl World for Always {
    fn upstream(&mut self, _: ExchangeId, _: &Message) -> Reply {
        self.0.clone()
    }

    fn service(&mut self, _: &Callout) -> Reply {
        self.0.clone()
    }
}

/// Names one exchange of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);
