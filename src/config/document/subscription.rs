// SPDX-License-Identifier: Apache-2.0
//! Subscriptions and their keys, as written.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
#[cfg(feature = "schema")]
use super::super::schema;
use super::condition::at_least_one;
use super::forward::means_something;
use super::jwt::token;
use crate::identity::KeyDigest;

/// Subscriptions with keys, as API Management has them.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct SubscriptionKeys {
    /// The header that carries keys. Default: `Ocp-Apim-Subscription-Key`.
    #[cfg_attr(feature = "schema", schemars(default = "default_header", schema_with = "schema::header_name"))]
    pub(in crate::config) header: String,
    /// The parameter of the query that carries keys, in any case. Default: `subscription-key`.
    #[cfg_attr(feature = "schema", schemars(default = "default_query", length(min = 1)))]
    pub(in crate::config) query: String,
    /// Whether keys that count go on to the upstream. Default: `false`. Others never do.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) forward_key: bool,
    /// Required: the subscriptions, by ids of their own.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) subscriptions: Vec<Subscription>,
}

/// A subscription.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Subscription {
    /// Required: its name, in rules, headers and records.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) id: String,
    /// What it is to; no product by default.
    #[cfg_attr(feature = "schema", schemars(with = "String", default, length(min = 1)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) product: Option<String>,
    /// Only an active one's keys count. Default: `active`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) state: State,
    /// Required: the SHA-256 digests of its keys, in 64 hexadecimal digits each: one or two, so that one can be replaced at a time.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::key_digests"))]
    pub(in crate::config) keys_sha256: Vec<Leaf<KeyDigest>>,
}

/// A subscription's state, as API Management names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum State {
    /// Its keys count.
    #[default]
    Active,
    /// Blocked by its owner or an administrator.
    Suspended,
    /// Asked for, and not granted yet.
    Submitted,
    /// Asked for, and denied.
    Rejected,
    /// Given up.
    Cancelled,
    /// Over.
    Expired,
}

impl Decode for SubscriptionKeys {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let header = fields.maybe("header", findings, |place, findings| {
            let name = token(&place, findings)?;
            if means_something(&name) {
                return place.expected("a header that means nothing else to gateways and services", findings);
            }
            Some(name)
        });
        let query = fields.maybe("query", findings, |place, findings| place.name(findings));
        let forward_key = fields.maybe("forward_key", findings, |place, findings| place.bool(findings));
        let list = fields.required("subscriptions", findings);
        let unique = list.as_ref().and_then(|place| place.unique("id", findings));
        let subscriptions: Option<Vec<Subscription>> = list.as_ref().and_then(|place| at_least_one(place, findings));
        fields.finish(findings);
        let subscriptions = unique.and(subscriptions)?;
        let mut digests = BTreeSet::new();
        for (index, subscription) in subscriptions.iter().enumerate() {
            for (key, leaf) in subscription.keys_sha256.iter().enumerate() {
                if !digests.insert(leaf.value) {
                    let at = list.as_ref()?.item(index).descend(&["keys_sha256"]).item(key);
                    return at.report(Problem::Invalid("expected a key of its own, found one that stands here twice".to_owned()), findings);
                }
            }
        }
        Some(Self {
            header: header?.unwrap_or_else(default_header),
            query: query?.unwrap_or_else(default_query),
            forward_key: forward_key?.unwrap_or_default(),
            subscriptions,
        })
    }
}

impl Decode for Subscription {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let id = fields.required("id", findings).and_then(|place| place.name(findings));
        let product = fields.maybe("product", findings, |place, findings| place.name(findings));
        let states = [
            ("active", State::Active),
            ("suspended", State::Suspended),
            ("submitted", State::Submitted),
            ("rejected", State::Rejected),
            ("cancelled", State::Cancelled),
            ("expired", State::Expired),
        ];
        let state = fields.maybe("state", findings, |place, findings| place.word(&states, findings));
        let keys = fields.required("keys_sha256", findings).and_then(|place| {
            let keys: Vec<Leaf<KeyDigest>> = at_least_one(&place, findings)?;
            if keys.len() > MAX_KEYS {
                place.report(Problem::Invalid("expected at most two keys, found more".to_owned()), findings)
            } else {
                Some(keys)
            }
        });
        fields.finish(findings);
        Some(Self { id: id?, product: product?, state: state?.unwrap_or_default(), keys_sha256: keys? })
    }
}

fn default_header() -> String {
    "Ocp-Apim-Subscription-Key".to_owned()
}

fn default_query() -> String {
    "subscription-key".to_owned()
}

const MAX_KEYS: usize = 2;
