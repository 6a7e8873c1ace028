// SPDX-License-Identifier: Apache-2.0
//! Application Insights' requests, as API Management sends them: `requests`, or the workspace's table AppRequests, which
//! calls the same in PascalCase.
//!
//! <https://learn.microsoft.com/azure/azure-monitor/reference/tables/apprequests>. What the gateway adds stands in the custom
//! dimensions: an object, or JSON text of one. Headers are there as `Request-…` and `Response-…` where they were logged.
//! Neither errors nor the backend's answer are: only a success tells that the request was admitted.

use super::Apim;
use super::fields::Fields;
use super::logged::{Logged, LoggedHeaders, Names};

pub(super) fn logged(fields: &Fields<'_>) -> Result<Logged, String> {
    let either = |name, other| fields.text(name).and_then(|text| text.map_or_else(|| fields.text(other), |text| Ok(Some(text))));
    let dimensions = fields.pairs(if fields.has("customDimensions") { "customDimensions" } else { "Properties" })?;
    let name = either("name", "Name")?;
    let first_word = name.as_deref().and_then(|name| name.split_once(' ')).map(|(word, _)| word);
    let code = fields.code(if fields.has("resultCode") { "resultCode" } else { "ResultCode" })?;
    Ok(Logged {
        time: either("timestamp", "TimeGenerated")?,
        method: dimensions.get("HTTP Method").or(first_word).map(str::to_owned),
        url: either("url", "Url")?,
        request_headers: LoggedHeaders::prefixed("Request-", &dimensions),
        response_headers: LoggedHeaders::prefixed("Response-", &dimensions),
        apim: Apim {
            api: dimensions.get("API Name").map(str::to_owned),
            backend_response_code: code.filter(|code| (200..300).contains(code)),
            last_error: None,
            errors_recorded: false,
        },
    })
}

/// What the fields are called.
pub(super) fn names(fields: &Fields<'_>) -> &'static Names {
    if fields.has("ResultCode") { &NAMES_OF_TABLE } else { &NAMES }
}

const METHOD: &str = "HTTP Method";
const NAMES: Names = Names { time: "timestamp", method: METHOD, url: "url" };
const NAMES_OF_TABLE: Names = Names { time: "TimeGenerated", method: METHOD, url: "Url" };
