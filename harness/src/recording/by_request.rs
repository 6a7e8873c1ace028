// SPDX-License-Identifier: Apache-2.0
//! API Management's report by request, as Azure Resource Manager gives it: `{"value": […]}`, or its elements.
//!
//! <https://learn.microsoft.com/rest/api/apimanagement/reports/list-by-request>. It tells neither headers nor errors; where
//! it doesn't tell the backend's answer either, only a success tells that the request was admitted.

use super::Apim;
use super::fields::Fields;
use super::logged::{Logged, LoggedHeaders, Names};

pub(super) fn logged(fields: &Fields<'_>) -> Result<Logged, String> {
    let (backend, code) = (fields.code("backendResponseCode")?, fields.code("responseCode")?);
    let api = fields.text("apiId")?;
    Ok(Logged {
        time: fields.text("timestamp")?,
        method: fields.text("method")?,
        url: fields.text("url")?,
        request_headers: LoggedHeaders::default(),
        response_headers: LoggedHeaders::default(),
        apim: Apim {
            api: api.map(|api| api.trim_start_matches("/apis/").to_owned()).filter(|api| api != "-"),
            backend_response_code: if fields.has("backendResponseCode") { backend } else { code.filter(|code| (200..300).contains(code)) },
            last_error: None,
            errors_recorded: false,
        },
    })
}

pub(super) const NAMES: Names = Names { time: "timestamp", method: "method", url: "url" };
