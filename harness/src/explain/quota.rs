// SPDX-License-Identifier: Apache-2.0
//! What a policy in canonical form says about limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::document::Mode;

/// A limit by key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quota {
    pub(super) limit: Limit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit_from: Option<LimitFrom>,
    pub(super) key: Vec<KeyPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_absent: Option<KeyAbsent>,
    pub(super) cost: Cost,
    pub(super) enforcement: Enforcement,
    pub(super) headers: Headers,
    pub(super) mode: Mode,
}

/// How much in how long.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Limit {
    Rate {
        requests: u64,
        window: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        burst: Option<u64>,
    },
    SlidingWindow {
        requests: u64,
        window: String,
    },
    FixedWindow {
        #[serde(skip_serializing_if = "Option::is_none")]
        requests: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        window: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        first_period_start: Option<String>,
    },
    Calendar {
        #[serde(skip_serializing_if = "Option::is_none")]
        requests: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        period: String,
        time_zone: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        first_period_start: Option<String>,
    },
}

/// Where a caller's own limit stands.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum LimitFrom {
    Claim { provider: String, path: String, at_most: u64 },
    Products(BTreeMap<String, u64>),
    RouteMetadata { at_most: u64 },
}

/// A part of a key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum KeyPart {
    Subscription,
    Product,
    Caller,
    Claim {
        #[serde(skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        path: String,
    },
    Source {
        ipv4_prefix: u8,
        ipv6_prefix: u8,
    },
    Header(String),
    Query(String),
    Route,
    Method,
    Literal(String),
}

/// What becomes of a request whose key can't be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyAbsent {
    Skip,
    Refuse,
    SharedBucket,
}

/// What a request costs.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cost {
    pub(super) requests: u64,
    pub(super) reserve_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) when: Option<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response>,
}

/// Which responses.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response {
    Status(Vec<String>),
    NotStatus(Vec<String>),
}

/// Who counts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Enforcement {
    Local(Local),
    Global(Global),
}

/// A gateway counts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Local {
    pub(super) slots: u32,
    pub(super) on_full: OnFull,
    volatile: bool,
}

/// What becomes of a key that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnFull {
    Admit,
    Refuse,
    SharedBucket,
}

/// A rate-limit service counts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Global {
    pub(super) cluster: String,
    pub(super) domain: String,
    pub(super) timeout: String,
    pub(super) mode: GlobalMode,
    pub(super) on_unavailable: OnUnavailable,
    breaker: Breaker,
    pub(super) slots: u32,
}

/// When a service is asked.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum GlobalMode {
    Exact,
    Lease { max_slice: u64, duration: String },
}

/// What becomes of requests while a service doesn't answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum OnUnavailable {
    Admit,
    Refuse,
    Local { share: serde_json::Number },
}

/// When a service counts as down.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Breaker {
    failures: u32,
    retry_after: String,
}

/// Response headers of a quota's own.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<String>,
}
