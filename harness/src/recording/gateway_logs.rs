// SPDX-License-Identifier: Apache-2.0
//! API Management's resource log category GatewayLogs, as exported to storage or Event Hubs.
//!
//! <https://learn.microsoft.com/azure/api-management/gateway-log-schema-reference>. Fields that replay has no use for are
//! left alone, whatever they hold. In 2017 `properties` was text: JSON with the names in PascalCase, and no last error.

use std::fmt;

use memchr::memmem;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::field::{located, milliseconds};
use super::fields::Fields;
use super::logged::{Logged, LoggedHeaders, Names};
use super::told::Told;
use super::{Apim, Caller, Durations, LastError, Place, Recorded, Sizes, row};
use crate::redact::Redactor;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayLog {
    time: String,
    properties: AnyProperties,
    #[serde(default)]
    caller_ip_address: Told,
    #[serde(default)]
    correlation_id: Told,
    #[serde(default)]
    duration_ms: Told,
    /// Of another layout: a record that has this is none of these.
    #[serde(default)]
    request: Foreign,
}

/// Whether there is a member of another layout.
#[derive(Default)]
struct Foreign(bool);

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Self(true))
    }
}

enum AnyProperties {
    Object(Box<Properties>),
    Text(String),
}

/// The part of a record that is about the exchange.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    method: Option<String>,
    url: Option<String>,
    api_id: Option<String>,
    #[serde(default)]
    operation_id: Told,
    response_code: Option<u16>,
    backend_response_code: Option<u16>,
    #[serde(default)]
    backend_id: Told,
    #[serde(default)]
    backend_url: Told,
    #[serde(default)]
    apim_subscription_id: Told,
    #[serde(default)]
    user_id: Told,
    #[serde(default)]
    product_id: Told,
    last_error: Option<LoggedError>,
    request_headers: Option<LoggedHeaders>,
    backend_request_headers: Option<LoggedHeaders>,
    backend_response_headers: Option<LoggedHeaders>,
    #[serde(default)]
    request_size: Told,
    #[serde(default)]
    response_size: Told,
    #[serde(default)]
    backend_time: Told,
}

#[derive(Deserialize)]
struct LoggedError {
    source: Option<String>,
    reason: Option<String>,
    message: Option<String>,
}

/// Reads a record without asking first which layout it has, as most that are read have this one. `None` where it hasn't, or
/// is malformed.
pub(super) fn read_first(bytes: &[u8], place: Place, redactor: &Redactor) -> Option<Recorded> {
    memmem::find(bytes, b"\"properties\"")?;
    // Checked once as a whole, which is faster than string by string.
    let log: GatewayLog = serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    if log.request.0 { None } else { log.recorded(place, bytes.len(), redactor).ok() }
}

pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let log: GatewayLog = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    log.recorded(place, bytes.len(), redactor)
}

impl GatewayLog {
    fn recorded(self, place: Place, size: usize, redactor: &Redactor) -> Result<Recorded, String> {
        let (mut logged, names) = match self.properties {
            AnyProperties::Object(properties) => (Logged::from(*properties), &NAMES),
            AnyProperties::Text(text) => (in_text(&text)?, &NAMES_IN_TEXT),
        };
        logged.caller.address = self.caller_ip_address.0;
        logged.ids = self.correlation_id.0.into_iter().collect();
        logged.durations.total = self.duration_ms.milliseconds();
        Logged { time: Some(self.time), ..logged }.recorded(names, place, size, redactor)
    }
}

/// What a record of another layout quotes: a whole GatewayLogs record, or its `properties`.
pub(super) fn quoted(quoted: &Value) -> Result<Logged, serde_json::Error> {
    let mut logged = Logged::from(Properties::deserialize(quoted.get("properties").unwrap_or(quoted))?);
    let text = |name| quoted.get(name).and_then(Value::as_str).map(str::to_owned);
    logged.caller.address = text("callerIpAddress");
    logged.ids = text("correlationId").into_iter().collect();
    logged.durations.total = quoted.get("durationMs").and_then(Value::as_f64).and_then(milliseconds);
    Ok(logged)
}

fn in_text(text: &str) -> Result<Logged, String> {
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| format!("properties, which is text: {}", located(&error)))?;
    let logged = row::logged(&fields).map_err(|message| format!("properties.{message}"))?;
    let errors_recorded = logged.apim.last_error.is_some();
    Ok(Logged { apim: Apim { errors_recorded, ..logged.apim }, ..logged })
}

impl From<Properties> for Logged {
    fn from(properties: Properties) -> Self {
        // An object that says nothing is no error.
        let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let last_error = properties.last_error.filter(|error| says(&error.source) || says(&error.reason));
        let last_error = last_error.map(|LoggedError { source, reason, message }| LastError { source, reason, message });
        let backend_request = properties.backend_request_headers.unwrap_or_default();
        Self {
            time: None,
            method: properties.method,
            url: properties.url,
            request_headers: properties.request_headers.unwrap_or_default(),
            response_headers: properties.backend_response_headers.unwrap_or_default(),
            sizes: Sizes { request: properties.request_size.number(), response: properties.response_size.number() },
            durations: Durations { total: None, backend: properties.backend_time.milliseconds() },
            caller: Caller {
                address: None,
                subscription: properties.apim_subscription_id.0,
                user: properties.user_id.0,
                product: properties.product_id.0,
                certificate: None,
            },
            ids: Vec::new(),
            apim: Apim {
                api: properties.api_id,
                operation: properties.operation_id.0,
                response_code: properties.response_code.filter(|&code| code != 0),
                backend_response_code: properties.backend_response_code,
                backend_id: properties.backend_id.0,
                backend_url: properties.backend_url.0,
                trace_id: backend_request.trace_id(),
                backend_request: backend_request.carried(),
                last_error,
                errors_recorded: true,
                subscriptions_recorded: true,
            },
        }
    }
}

impl<'de> Deserialize<'de> for AnyProperties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOrText;
        impl<'de> Visitor<'de> for ObjectOrText {
            type Value = AnyProperties;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object, or one as JSON text")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AnyProperties, A::Error> {
                Properties::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(AnyProperties::Object)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<AnyProperties, E> {
                Ok(AnyProperties::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(ObjectOrText)
    }
}

const NAMES: Names = Names { time: "time", method: "properties.method", url: "properties.url" };
const NAMES_IN_TEXT: Names = Names { time: "time", method: "properties.Method", url: "properties.Url" };
