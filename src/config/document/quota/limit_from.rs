// SPDX-License-Identifier: Apache-2.0
//! Limits of callers' own, as written.

use std::collections::BTreeMap;

use serde::Serialize;

#[cfg(feature = "schema")]
use super::limit::MAX_AMOUNT;
use super::limit::amount;
use crate::claim::ClaimPath;
use crate::config::decode::{Decode, Leaf, Place};
use crate::config::finding::{Findings, Problem};

/// Where a caller's own limit stands.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum LimitFrom {
    /// In a claim of the caller's token: a whole number above 0.
    Claim(ClaimLimit),
    /// By the product of the caller's subscription.
    Products(
        #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1, "propertyNames" = {"minLength": 1})))] BTreeMap<String, Amount>,
    ),
    /// In the metadata of the gateway's route: `filter_metadata: {tracegate: {<name of the quota>: 500}}`.
    RouteMetadata(RouteLimit),
}

/// How much, from 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::config) struct Amount(#[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))] pub(in crate::config) u64);

/// A claim that holds a limit.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct ClaimLimit {
    /// Required: a name in `identity.providers`, of one whose tokens may say so.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) provider: String,
    /// Required: the claim's name, or a JSON Pointer to one that lies deeper.
    #[cfg_attr(feature = "schema", schemars(with = "String", length(min = 1, max = 256)))]
    pub(in crate::config) path: Leaf<ClaimPath>,
    /// Required: the highest limit that is believed.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))]
    pub(in crate::config) at_most: u64,
}

/// A limit of the gateway's route.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct RouteLimit {
    /// Required: the highest limit that is believed.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_AMOUNT)))]
    pub(in crate::config) at_most: u64,
}

impl Decode for LimitFrom {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["claim", "products", "route_metadata"], findings)? {
            ("claim", place) => ClaimLimit::decode(place, findings).map(Self::Claim),
            ("products", place) => {
                let products: BTreeMap<String, Amount> = place.map(findings)?;
                if products.is_empty() {
                    return place.report(Problem::Invalid("expected at least one product, found none".to_owned()), findings);
                }
                Some(Self::Products(products))
            }
            (_, place) => {
                let mut fields = place.fields(findings)?;
                let at_most = fields.required("at_most", findings).and_then(|place| amount(place, findings));
                fields.finish(findings);
                Some(Self::RouteMetadata(RouteLimit { at_most: at_most? }))
            }
        }
    }
}

impl Decode for Amount {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        amount(place, findings).map(Self)
    }
}

impl Decode for ClaimLimit {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let provider = fields.required("provider", findings).and_then(|place| place.name(findings));
        let path = fields.required("path", findings).and_then(|place| Leaf::decode(place, findings));
        let at_most = fields.required("at_most", findings).and_then(|place| amount(place, findings));
        fields.finish(findings);
        Some(Self { provider: provider?, path: path?, at_most: at_most? })
    }
}
