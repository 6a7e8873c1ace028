// SPDX-License-Identifier: Apache-2.0
//! OTLP's requests in protobuf, as far as this harness has to do with them: what the module exports of an exchange is read, gathered into batches, and
//! told in OTLP's JSON.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto>, `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.

mod answer;
mod batch;
mod json;
mod request;
mod wire;

pub use answer::{Answer, read as read_answer};
pub use batch::Batch;
pub use json::span as json;
pub use request::Request;
pub use wire::Malformed;
