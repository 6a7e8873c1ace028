// SPDX-License-Identifier: Apache-2.0
//! Application Insights' requests, as API Management sends them: `requests`, or the workspace's table AppRequests, which
//! calls the same in PascalCase.
//!
//! <https://learn.microsoft.com/azure/azure-monitor/reference/tables/apprequests>. What the gateway adds stands in the custom
//! dimensions: an object, or JSON text of one. Headers are there as `Request-…` and `Response-…` where they were logged.
//! Neither errors nor the backend's answer are: only a success tells that the request was admitted.

use tracegate::trace::TraceId;

use super::fields::Fields;
use super::logged::{Logged, LoggedHeaders, Names};
use super::{Apim, Caller, Durations, Sizes};

pub(super) fn logged(fields: &Fields<'_>) -> Result<Logged, String> {
    let either = |name, other| fields.text(name).and_then(|text| text.map_or_else(|| fields.text(other), |text| Ok(Some(text))));
    let dimensions = fields.pairs(if fields.has("customDimensions") { "customDimensions" } else { "Properties" })?;
    let name = either("name", "Name")?;
    let first_word = name.as_deref().and_then(|name| name.split_once(' ')).map(|(word, _)| word);
    let told = |name, other| fields.told(name).or_else(|| fields.told(other));
    let operation = told("operation_Id", "OperationId");
    let code = fields.code(if fields.has("resultCode") { "resultCode" } else { "ResultCode" })?;
    Ok(Logged {
        time: either("timestamp", "TimeGenerated")?,
        method: dimensions.get("HTTP Method").or(first_word).map(str::to_owned),
        url: either("url", "Url")?,
        request_headers: LoggedHeaders::prefixed("Request-", &dimensions),
        response_headers: LoggedHeaders::prefixed("Response-", &dimensions),
        sizes: Sizes::default(),
        durations: Durations { total: fields.milliseconds("duration").or_else(|| fields.milliseconds("DurationMs")), backend: None },
        caller: Caller {
            // Masked unless that was switched off.
            address: told("client_IP", "ClientIP").filter(|address| address != "0.0.0.0"),
            subscription: dimensions.get("Subscription Name").map(str::to_owned),
            ..Caller::default()
        },
        ids: [told("id", "Id"), operation.clone(), dimensions.get("Request Id").map(str::to_owned)].into_iter().flatten().collect(),
        apim: Apim {
            api: dimensions.get("API Name").map(str::to_owned),
            response_code: code,
            trace_id: operation.as_deref().and_then(trace_id),
            backend_response_code: code.filter(|code| (200..300).contains(code)),
            ..Apim::default()
        },
    })
}

/// An operation's id, where it is a trace's: so it is where the diagnostic speaks W3C Trace Context.
fn trace_id(operation: &str) -> Option<TraceId> {
    let mut bytes = [0; 16];
    hex::decode_to_slice(operation, &mut bytes).ok()?;
    TraceId::from_bytes(bytes)
}

/// What the fields are called.
pub(super) fn names(fields: &Fields<'_>) -> &'static Names {
    if fields.has("ResultCode") { &NAMES_OF_TABLE } else { &NAMES }
}

const METHOD: &str = "HTTP Method";
const NAMES: Names = Names { time: "timestamp", method: METHOD, url: "url" };
const NAMES_OF_TABLE: Names = Names { time: "TimeGenerated", method: METHOD, url: "Url" };
