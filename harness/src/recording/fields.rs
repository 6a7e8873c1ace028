// SPDX-License-Identifier: Apache-2.0
//! The fields of a flat record by name, wherever they stood: in a JSON object, or in a row of a table. Exporters write the
//! same field as a value or as text, so both are read. Messages name the field.

use std::fmt;
use std::time::Duration;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::field::{milliseconds, portal_time, unlocated};
use super::logged::LoggedHeaders;

/// Those fields of a record that some layout knows.
#[derive(Default)]
pub(super) struct Fields<'a> {
    cells: Vec<(&'static str, Cell<'a>)>,
}

/// What stands in a field.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    /// A JSON value.
    Json(&'a RawValue),
    /// A field of CSV: whatever it means, it is text.
    Text(&'a str),
    /// A time in UTC as the portal writes it into CSV.
    PortalTime(&'a str),
}

impl<'a> Fields<'a> {
    /// Adds a field.
    pub(super) fn add(&mut self, name: &'static str, cell: Cell<'a>) {
        self.cells.push((name, cell));
    }

    /// A field as text; an empty one is none.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, String> {
        let text = match self.get(name) {
            None => return Ok(None),
            Some(Cell::Text(text)) => text.to_owned(),
            Some(Cell::PortalTime(text)) => portal_time(text).unwrap_or_else(|| text.to_owned()),
            Some(Cell::Json(raw)) => match serde_json::from_str(raw.get()) {
                Ok(Value::Null) => return Ok(None),
                Ok(Value::String(text)) => text,
                Ok(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                Ok(Value::Array(_) | Value::Object(_)) | Err(_) => return Err(format!("{name}: expected text, found another value")),
            },
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A field that is told by the way: none where it is no text.
    pub(super) fn told(&self, name: &'static str) -> Option<String> {
        self.text(name).ok().flatten()
    }

    /// A field as an HTTP status, 0 for none.
    pub(super) fn code(&self, name: &'static str) -> Result<Option<u16>, String> {
        let read = |text: String| match text.trim().parse() {
            Ok(code @ (0 | 100..=599)) => Ok(code),
            Ok(code) => Err(format!("{name}: expected 0, 100 to 599 or nothing, found {code}")),
            Err(_) => Err(format!("{name}: expected a status code or nothing, found other text")),
        };
        self.text(name)?.map(read).transpose()
    }

    /// A field as a number of bytes, told by the way: none where it is no such number.
    pub(super) fn size(&self, name: &'static str) -> Option<u64> {
        self.told(name)?.trim().parse().ok()
    }

    /// A field as milliseconds, told by the way: none where it is no such number.
    pub(super) fn milliseconds(&self, name: &'static str) -> Option<Duration> {
        milliseconds(self.told(name)?.trim().parse().ok()?)
    }

    /// A field as values by name: an object, or one as JSON text.
    pub(super) fn pairs(&self, name: &'static str) -> Result<LoggedHeaders, String> {
        let read = |json: &str| -> Result<LoggedHeaders, String> {
            let pairs: Option<LoggedHeaders> = serde_json::from_str(json).map_err(|error| format!("{name}: {}", unlocated(&error)))?;
            Ok(pairs.unwrap_or_default())
        };
        match self.get(name) {
            None => Ok(LoggedHeaders::default()),
            Some(Cell::Json(raw)) if !raw.get().starts_with('"') => read(raw.get()),
            Some(Cell::Json(_) | Cell::Text(_) | Cell::PortalTime(_)) => {
                self.text(name)?.map_or_else(|| Ok(LoggedHeaders::default()), |text| read(&text))
            }
        }
    }

    /// Whether there is such a field, whatever it holds.
    pub(super) fn has(&self, name: &'static str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &'static str) -> Option<Cell<'a>> {
        self.cells.iter().find(|(known, _)| *known == name).map(|&(_, cell)| cell)
    }
}

/// The field of this name, if any layout has it.
pub(super) fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().copied().find(|known| *known == name)
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key::<String>()? {
                    match known(&name) {
                        Some(name) => fields.add(name, Cell::Json(map.next_value()?)),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What any layout of flat records has a use for.
const KNOWN: &[&str] = &[
    // The table ApiManagementGatewayLogs, and the GatewayLogs of 2017.
    "TimeGenerated",
    "Method",
    "Url",
    "ApiId",
    "BackendResponseCode",
    "LastErrorSource",
    "LastErrorReason",
    "LastErrorMessage",
    "RequestHeaders",
    "BackendResponseHeaders",
    "BackendRequestHeaders",
    "ResponseCode",
    "BackendId",
    "BackendUrl",
    "CallerIpAddress",
    "ApimSubscriptionId",
    "SubscriptionId",
    "UserId",
    "ProductId",
    "CorrelationId",
    "RequestSize",
    "ResponseSize",
    "TotalTime",
    "BackendTime",
    // Application Insights' requests, and the table AppRequests.
    "timestamp",
    "name",
    "url",
    "resultCode",
    "customDimensions",
    "Name",
    "ResultCode",
    "Properties",
    "id",
    "Id",
    "operation_Id",
    "OperationId",
    "client_IP",
    "ClientIP",
    "duration",
    "DurationMs",
    // Reports by request.
    "method",
    "apiId",
    "backendResponseCode",
    "responseCode",
    "ipAddress",
    "subscriptionId",
    "userId",
    "productId",
    "requestId",
    "requestSize",
    "responseSize",
    "apiTime",
    "serviceTime",
];
