// SPDX-License-Identifier: Apache-2.0
//! API Management's log in PascalCase: a row of Log Analytics' table ApiManagementGatewayLogs, and what the GatewayLogs of
//! 2017 hold as text.
//!
//! <https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewaylogs>. Dynamic columns (headers)
//! hold an object, or JSON text of one.

use super::fields::Fields;
use super::logged::{Logged, Names};
use super::{Apim, Caller, Durations, LastError, Sizes};

/// What the columns say, but for the time.
pub(super) fn logged(fields: &Fields<'_>) -> Result<Logged, String> {
    let (source, reason) = (fields.text("LastErrorSource")?, fields.text("LastErrorReason")?);
    let message = fields.text("LastErrorMessage")?;
    let backend_request = fields.pairs("BackendRequestHeaders").unwrap_or_default();
    let last_error = (source.is_some() || reason.is_some()).then_some(LastError { source, reason, message });
    Ok(Logged {
        time: None,
        method: fields.text("Method")?,
        url: fields.text("Url")?,
        request_headers: fields.pairs("RequestHeaders")?,
        response_headers: fields.pairs("BackendResponseHeaders")?,
        sizes: Sizes { request: fields.size("RequestSize"), response: fields.size("ResponseSize") },
        durations: Durations { total: fields.milliseconds("TotalTime"), backend: fields.milliseconds("BackendTime") },
        caller: Caller {
            address: fields.told("CallerIpAddress"),
            subscription: fields.told("ApimSubscriptionId").or_else(|| fields.told("SubscriptionId")),
            user: fields.told("UserId"),
            product: fields.told("ProductId"),
            certificate: None,
        },
        ids: fields.told("CorrelationId").into_iter().collect(),
        apim: Apim {
            api: fields.text("ApiId")?,
            operation: fields.told("OperationId"),
            response_code: fields.code("ResponseCode")?.filter(|&code| code != 0),
            backend_response_code: fields.code("BackendResponseCode")?,
            backend_id: fields.told("BackendId"),
            backend_url: fields.told("BackendUrl"),
            trace_id: backend_request.trace_id(),
            backend_request: backend_request.carried(),
            last_error,
            errors_recorded: true,
            subscriptions_recorded: fields.has("ApimSubscriptionId") || fields.has("SubscriptionId"),
        },
    })
}

/// What the table calls them.
pub(super) const NAMES: Names = Names { time: "TimeGenerated", method: "Method", url: "Url" };
