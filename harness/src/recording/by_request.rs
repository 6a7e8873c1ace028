// SPDX-License-Identifier: Apache-2.0
//! API Management's report by request, as Azure Resource Manager gives it: `{"value": […]}`, or its elements.
//!
//! <https://learn.microsoft.com/rest/api/apimanagement/reports/list-by-request>. It tells neither headers nor errors; where
//! it doesn't tell the backend's answer either, only a success tells that the request was admitted.

use super::fields::Fields;
use super::logged::{Logged, LoggedHeaders, Names};
use super::{Apim, Caller, Durations, Sizes};

pub(super) fn logged(fields: &Fields<'_>) -> Result<Logged, String> {
    let (backend, code) = (fields.code("backendResponseCode")?, fields.code("responseCode")?);
    // `-` stands for none.
    let entity = |name, collection| {
        let id = fields.told(name)?;
        Some(id.strip_prefix(collection).unwrap_or(&id).to_owned()).filter(|id| id != "-")
    };
    Ok(Logged {
        time: fields.text("timestamp")?,
        method: fields.text("method")?,
        url: fields.text("url")?,
        request_headers: LoggedHeaders::default(),
        response_headers: LoggedHeaders::default(),
        sizes: Sizes { request: fields.size("requestSize"), response: fields.size("responseSize") },
        durations: Durations { total: fields.milliseconds("apiTime"), backend: fields.milliseconds("serviceTime") },
        caller: Caller {
            address: fields.told("ipAddress"),
            subscription: entity("subscriptionId", "/subscriptions/"),
            user: entity("userId", "/users/"),
            product: entity("productId", "/products/"),
            certificate: None,
        },
        ids: fields.told("requestId").into_iter().collect(),
        apim: Apim {
            api: entity("apiId", "/apis/"),
            response_code: code,
            backend_response_code: if fields.has("backendResponseCode") { backend } else { code.filter(|code| (200..300).contains(code)) },
            subscriptions_recorded: fields.has("subscriptionId"),
            ..Apim::default()
        },
    })
}

pub(super) const NAMES: Names = Names { time: "timestamp", method: "method", url: "url" };
