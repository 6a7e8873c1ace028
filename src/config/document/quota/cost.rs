// SPDX-License-Identifier: Apache-2.0
//! What a request costs, as written.

use serde::Serialize;

use super::super::condition::{Condition, at_least_one};
use super::limit::MAX_AMOUNT;
use crate::config::decode::{Decode, Leaf, Place};
use crate::config::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use crate::config::schema;
use crate::json::Value;
use crate::quota::{InvalidStatusRange, StatusRange};

/// What a request costs.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields, default))]
pub(in crate::config) struct Cost {
    /// How many requests it counts as. Default: 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_COST)))]
    pub(in crate::config) requests: u64,
    /// Beside a limit in bytes: how many are taken ahead, until the response is over and they are known. Default: 0.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = MAX_AMOUNT)))]
    pub(in crate::config) reserve_bytes: u64,
    /// Which requests cost anything; all by default. Those of which it can't be told do. The others are held against the limit all the same.
    #[cfg_attr(feature = "schema", schemars(with = "Condition"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) when: Option<Condition>,
    /// Which responses cost anything; all by default. The cost is taken ahead, and given back where the response turns out to be free.
    #[cfg_attr(feature = "schema", schemars(with = "Response"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) response: Option<Response>,
}

impl Default for Cost {
    fn default() -> Self {
        Self { requests: 1, reserve_bytes: 0, when: None, response: None }
    }
}

/// Which responses.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Response {
    /// Those with any of these statuses: `429`, `5xx`, `500-504`.
    Status(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::statuses"))] Vec<Status>),
    /// Those with none of them: `not_status: [429]` is what most policies of API Management say.
    NotStatus(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::statuses"))] Vec<Status>),
}

/// A status, or several.
#[derive(Clone, Debug, Serialize)]
pub(in crate::config) struct Status(pub(in crate::config) Leaf<StatusRange>);

impl Decode for Cost {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let requests = fields.maybe("requests", findings, |place, findings| place.integer(1..=MAX_COST, findings));
        let reserve = fields.maybe("reserve_bytes", findings, |place, findings| place.integer(0..=MAX_AMOUNT, findings));
        let when = fields.maybe("when", findings, Condition::decode);
        let response = fields.maybe("response", findings, Response::decode);
        fields.finish(findings);
        let default = Self::default();
        Some(Self {
            requests: requests?.unwrap_or(default.requests),
            reserve_bytes: reserve?.unwrap_or(default.reserve_bytes),
            when: when?,
            response: response?,
        })
    }
}

impl Decode for Response {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["status", "not_status"], findings)? {
            ("status", place) => at_least_one(&place, findings).map(Self::Status),
            (_, place) => at_least_one(&place, findings).map(Self::NotStatus),
        }
    }
}

impl Decode for Status {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let text = match place.value() {
            Value::Integer(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => String::new(),
        };
        match text.parse() {
            Ok(value) => Some(Self(Leaf::read(text, value))),
            Err(error @ InvalidStatusRange) => place.report(Problem::Invalid(format!("{error} ({})", place.value())), findings),
        }
    }
}

/// What one request may count as.
const MAX_COST: u64 = 1_000_000;
