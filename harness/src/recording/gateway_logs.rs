// SPDX-License-Identifier: Apache-2.0
//! API Management's resource log category GatewayLogs, as exported to storage or Event Hubs.
//!
//! <https://learn.microsoft.com/azure/api-management/gateway-log-schema-reference>. Fields that replay has no use for are
//! left alone, whatever they hold. In 2017 `properties` was text: JSON with the names in PascalCase, and no last error.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::field::located;
use super::fields::Fields;
use super::logged::{Logged, LoggedHeaders, Names};
use super::{Apim, LastError, Place, Recorded, row};
use crate::redact::Redactor;

#[derive(Deserialize)]
struct GatewayLog {
    time: String,
    properties: AnyProperties,
}

enum AnyProperties {
    Object(Box<Properties>),
    Text(String),
}

/// The part of a record that is about the exchange.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Properties {
    method: Option<String>,
    url: Option<String>,
    api_id: Option<String>,
    backend_response_code: Option<u16>,
    last_error: Option<LoggedError>,
    request_headers: Option<LoggedHeaders>,
    backend_response_headers: Option<LoggedHeaders>,
}

#[derive(Deserialize)]
struct LoggedError {
    source: Option<String>,
    reason: Option<String>,
    message: Option<String>,
}

pub(super) fn read(bytes: &[u8], place: Place, redactor: &Redactor) -> Result<Recorded, String> {
    let GatewayLog { time, properties } = serde_json::from_slice(bytes).map_err(|error| located(&error))?;
    let (logged, names) = match properties {
        AnyProperties::Object(properties) => (Logged::from(*properties), &NAMES),
        AnyProperties::Text(text) => (in_text(&text)?, &NAMES_IN_TEXT),
    };
    Logged { time: Some(time), ..logged }.recorded(names, place, bytes.len(), redactor)
}

fn in_text(text: &str) -> Result<Logged, String> {
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| format!("properties, which is text: {}", located(&error)))?;
    let logged = row::logged(&fields).map_err(|message| format!("properties.{message}"))?;
    let errors_recorded = logged.apim.last_error.is_some();
    Ok(Logged { apim: Apim { errors_recorded, ..logged.apim }, ..logged })
}

impl From<Properties> for Logged {
    fn from(mut properties: Properties) -> Self {
        Self {
            time: None,
            method: properties.method.take(),
            url: properties.url.take(),
            request_headers: properties.request_headers.take().unwrap_or_default(),
            response_headers: properties.backend_response_headers.take().unwrap_or_default(),
            apim: properties.into(),
        }
    }
}

impl From<Properties> for Apim {
    fn from(properties: Properties) -> Self {
        let last_error = properties.last_error.map(|LoggedError { source, reason, message }| LastError { source, reason, message });
        Self { api: properties.api_id, backend_response_code: properties.backend_response_code, last_error, errors_recorded: true }
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
