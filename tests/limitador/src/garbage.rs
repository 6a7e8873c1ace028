// SPDX-License-Identifier: Apache-2.0
//! Answers that succeed, and hold bytes that are no message.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::SERVICE_NAME;
use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::service::Service;

/// A server that answers nothing else, whatever the method.
#[derive(Clone)]
pub(crate) struct Garbage(Arc<Service>);

impl Garbage {
    pub(crate) fn new(service: Service) -> Self {
        Self(Arc::new(service))
    }
}

type Answered<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl NamedService for Garbage {
    const NAME: &'static str = SERVICE_NAME;
}

impl tonic::codegen::Service<http::Request<Body>> for Garbage {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answered<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(method, request).await) })
    }
}

impl UnaryService<RateLimitRequest> for Garbage {
    type Response = NoMessage;
    type Future = Answered<Result<Response<NoMessage>, Status>>;

    fn call(&mut self, request: Request<RateLimitRequest>) -> Self::Future {
        let service = Arc::clone(&self.0);
        Box::pin(async move {
            service.end(request.get_ref(), "garbage".into()).await;
            Ok(Response::new(NoMessage))
        })
    }
}

/// What passes for a message: a field that goes on for longer than there are bytes.
#[derive(Debug, Default)]
pub(crate) struct NoMessage;

const BYTES: &[u8] = b"\x0a\xff\xff\xff\xff\x07garbage";

impl prost::Message for NoMessage {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(BYTES);
    }

    fn encoded_len(&self) -> usize {
        BYTES.len()
    }

    fn merge_field(&mut self, _: u32, wire_type: WireType, buffer: &mut impl Buf, context: DecodeContext) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, 1, buffer, context)
    }

    fn clear(&mut self) {}
}
