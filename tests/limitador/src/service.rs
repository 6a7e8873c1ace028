// SPDX-License-Identifier: Apache-2.0
//! What a request is answered.

use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitService;
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use limitador::CheckResult;
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

use crate::command::{Faults, RateLimitHeaders, say};
use crate::engine::Engine;

/// The service.
pub(crate) struct Service {
    engine: Engine,
    headers: RateLimitHeaders,
    faults: Faults,
    log: bool,
}

impl Service {
    pub(crate) const fn new(engine: Engine, headers: RateLimitHeaders, faults: Faults, log: bool) -> Self {
        Self { engine, headers, faults, log }
    }

    /// Prints what a request is answered, and answers when it is time.
    pub(crate) async fn end(&self, request: &RateLimitRequest, answer: Value) {
        if self.log {
            let entries = |entries: &[_]| entries.iter().map(|Entry { key, value }| json!([key, value])).collect::<Value>();
            let descriptors: Value = request.descriptors.iter().map(|descriptor| entries(&descriptor.entries)).collect();
            say(json!({"domain": request.domain, "descriptors": descriptors, "hits": request.hits_addend, "answer": answer}));
        }
        tokio::time::sleep(self.faults.delay).await;
    }

    /// What Limitador answers.
    async fn answer(&self, request: &RateLimitRequest) -> Result<RateLimitResponse, Status> {
        if let Some(code) = self.faults.fail {
            return Err(Status::new(code, "asked to fail"));
        }
        let mut response = RateLimitResponse::default();
        if request.domain.is_empty() {
            return Ok(response);
        }
        let descriptors = request.descriptors.iter();
        let descriptors = descriptors.map(|descriptor| descriptor.entries.iter().cloned().map(|entry| (entry.key, entry.value)).collect());
        let hits = request.hits_addend.max(1).into();
        let counted = self.engine.count(&request.domain.as_str().into(), descriptors.collect(), hits).await;
        let counted = counted.map_err(|error| {
            eprintln!("rate-limit-service: {error}");
            Status::unavailable("Service unavailable")
        })?;
        response.set_overall_code(if counted.limited { Code::OverLimit } else { Code::Ok });
        response.response_headers_to_add = self.headers.of(counted);
        Ok(response)
    }
}

#[tonic::async_trait]
impl RateLimitService for Service {
    async fn should_rate_limit(&self, request: Request<RateLimitRequest>) -> Result<Response<RateLimitResponse>, Status> {
        let request = request.into_inner();
        let answer = self.answer(&request).await;
        let shown = match &answer {
            Ok(answer) => answer.overall_code().as_str_name().into(),
            Err(status) => format!("status {}", i32::from(status.code())).into(),
        };
        self.end(&request, shown).await;
        answer.map(Response::new)
    }
}

impl RateLimitHeaders {
    fn of(self, mut counted: CheckResult) -> Vec<HeaderValue> {
        if self == Self::None {
            return Vec::new();
        }
        let headers = counted.response_header().into_iter();
        let mut headers: Vec<_> = headers.map(|(key, value)| HeaderValue { key, value, raw_value: Vec::new() }).collect();
        headers.sort_by(|one, other| one.key.cmp(&other.key));
        headers
    }
}
