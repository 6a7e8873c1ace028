// SPDX-License-Identifier: Apache-2.0
//! Records for the audit, held against the logs data model (<https://opentelemetry.io/docs/specs/otel/logs/data-model/>).

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;

use super::{Wrong, attribute, check_resource, check_scope, unique};

/// Reads a request's body.
///
/// # Errors
///
/// Why it is none.
pub fn read(body: &[u8]) -> Result<ExportLogsServiceRequest, prost::DecodeError> {
    ExportLogsServiceRequest::decode(body)
}

/// What is wrong with a request, in words; nothing if all is well.
#[must_use]
pub fn violations(request: &ExportLogsServiceRequest, body: &[u8]) -> Vec<String> {
    let mut wrong = Wrong::default();
    // What its types don't know they drop.
    wrong
        .expect(request.encoded_len() == body.len(), || format!("{} bytes, of which the types know {}", body.len(), request.encoded_len()));
    wrong.expect(!request.resource_logs.is_empty(), || "no resource".to_owned());
    for resource in &request.resource_logs {
        check_resource(resource.resource.as_ref(), &mut wrong);
        wrong.expect(!resource.scope_logs.is_empty(), || "a resource without a scope".to_owned());
        for scope in &resource.scope_logs {
            check_scope(scope.scope.as_ref(), &mut wrong);
            wrong.expect(!scope.log_records.is_empty(), || "a scope without records".to_owned());
            let mut bodies = BTreeSet::new();
            for record in &scope.log_records {
                check(record, &mut wrong);
                wrong.expect(bodies.insert(text(record)), || format!("{:?} stands twice", text(record)));
            }
        }
    }
    wrong.0
}

/// A record's body; empty where it is no text.
#[must_use]
pub fn text(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}

fn check(record: &LogRecord, wrong: &mut Wrong) {
    let body = text(record);
    wrong.expect(serde_json::from_str::<serde_json::Value>(body).is_ok_and(|value| value.is_object()), || format!("{body:?} is no JSON"));
    let (time, observed) = (record.time_unix_nano, record.observed_time_unix_nano);
    wrong.expect(time > 0 && observed >= time, || format!("{body}: time {time}, observed {observed}"));
    wrong.expect(record.severity_number == 9 && record.severity_text == "INFO", || format!("{body}: severity {}", record.severity_number));
    wrong.expect(record.event_name == "tracegate.audit", || format!("{body}: event {:?}", record.event_name));
    unique(&record.attributes, body, wrong);
    let is_decision = attribute(&record.attributes, "tracegate.audit").as_deref() == Some("decision");
    wrong.expect(is_decision == attribute(&record.attributes, "tracegate.decision").is_some(), || format!("{body}: of which decision"));
    let sound = |bytes: &[u8], length: usize| bytes.is_empty() || bytes.len() == length && bytes.iter().any(|byte| *byte != 0);
    wrong.expect(sound(&record.trace_id, 16) && sound(&record.span_id, 8), || format!("{body}: ids"));
    wrong.expect(record.trace_id.is_empty() == record.span_id.is_empty(), || format!("{body}: one id alone"));
    wrong.expect(record.flags & !0xff == 0, || format!("{body}: flags {:#x}", record.flags));
}
