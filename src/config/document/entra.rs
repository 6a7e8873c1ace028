// SPDX-License-Identifier: Apache-2.0
//! Microsoft Entra ID, as written.

use serde::Serialize;

use super::super::decode::{Decode, Leaf, Place};
use super::super::finding::{Findings, Problem};
use super::super::number::Duration;
#[cfg(feature = "schema")]
use super::super::schema;
use super::condition::at_least_one;
use super::jwt::{self, TokenPlace};
use super::matcher::names;
use crate::identity::{Guid, TenantAudience};

/// Microsoft Entra ID: tokens of version 1 and 2, signed with RS256 by keys that it publishes.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct Entra {
    /// Required: the tenant whose tokens count, by its id; or `organizations`, `consumers` or `common`.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::tenant"))]
    pub(in crate::config) tenant: Leaf<TenantAudience>,
    /// Only beside `organizations` and `common`: the tenants of these that count; all by default.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::guids"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) tenants: Vec<Leaf<Guid>>,
    /// Required: any of these must be in the claim `aud`: the API's application id, or its application id URI.
    #[cfg_attr(feature = "schema", schemars(length(min = 1), inner(length(min = 1))))]
    pub(in crate::config) audiences: Vec<String>,
    /// The applications that may call (`azp`, `appid`); any by default.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::guids"))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) applications: Vec<Leaf<Guid>>,
    /// Names for services that call in their own name; none by default.
    #[cfg_attr(feature = "schema", schemars(default))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) services: Vec<EntraService>,
    /// Required: the gateway's cluster that answers for `login.microsoftonline.com`, or the other cloud's host.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) cluster: String,
    /// The cloud. Default: `public`.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) cloud: Cloud,
    /// The application with signing keys of its own whose tokens these are; none by default.
    #[cfg_attr(feature = "schema", schemars(default, schema_with = "schema::guid"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::config) signing_key_application: Option<Leaf<Guid>>,
    /// Where requests carry tokens. Default: in `Authorization`, as `Bearer`.
    #[cfg_attr(feature = "schema", schemars(default = "jwt::default_tokens", length(min = 1)))]
    pub(in crate::config) tokens: Vec<TokenPlace>,
    /// How much our clock and the issuer's may differ: up to 10 minutes, 60 seconds by default.
    #[cfg_attr(feature = "schema", schemars(default = "jwt::default_skew", schema_with = "schema::duration"))]
    pub(in crate::config) clock_skew: Leaf<Duration>,
    /// Whether each token must be bound to its caller's certificate (RFC 8705). Default: `false`; one that is bound is held to it in any case.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub(in crate::config) certificate_bound: bool,
}

/// A cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Cloud {
    /// The public one.
    #[default]
    Public,
    /// That of the government of the United States.
    UsGovernment,
    /// That of China.
    China,
}

/// A service that calls in its own name.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(in crate::config) struct EntraService {
    /// Required: its name, in rules. Several may share one.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub(in crate::config) name: String,
    /// Required: what tells it.
    pub(in crate::config) workload: Workload,
}

/// What tells a service.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Workload {
    /// Its managed identity's resource id (`xms_mirid`), in any case: `/subscriptions/…/userAssignedIdentities/billing`.
    ManagedIdentity(#[cfg_attr(feature = "schema", schemars(regex(pattern = "^/")))] String),
    /// Its application's id (`azp`, `appid`).
    Application(#[cfg_attr(feature = "schema", schemars(schema_with = "schema::guid"))] Leaf<Guid>),
}

impl Decode for Entra {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let tenant = fields.required("tenant", findings).and_then(|place| Leaf::<TenantAudience>::decode(place, findings));
        let tenants_place = fields.optional("tenants");
        let tenants = tenants_place.as_ref().map_or(Some(Vec::new()), |place| at_least_one(place, findings));
        let audiences = fields.required("audiences", findings).and_then(|place| names(&place, findings));
        let applications = fields.maybe("applications", findings, |place, findings| at_least_one(&place, findings));
        let services = fields.maybe("services", findings, |place, findings| place.list(findings));
        let cluster = fields.required("cluster", findings).and_then(|place| place.name(findings));
        let clouds = [("public", Cloud::Public), ("us_government", Cloud::UsGovernment), ("china", Cloud::China)];
        let cloud = fields.maybe("cloud", findings, |place, findings| place.word(&clouds, findings));
        let signing_key_application = fields.maybe("signing_key_application", findings, Leaf::decode);
        let tokens = fields.maybe("tokens", findings, |place, findings| at_least_one(&place, findings));
        let clock_skew = fields.maybe("clock_skew", findings, jwt::clock_skew);
        let certificate_bound = fields.maybe("certificate_bound", findings, |place, findings| place.bool(findings));
        let whole = fields.place().clone();
        fields.finish(findings);
        let (tenant, tenants) = (tenant?, tenants?);
        match (&tenant.value, tenants_place) {
            (TenantAudience::Tenant(_) | TenantAudience::Consumers, Some(place)) => {
                let text = "expected `tenants` beside `organizations` or `common` alone, found them beside another `tenant`";
                return place.report(Problem::Invalid(text.to_owned()), findings);
            }
            (TenantAudience::Organizations | TenantAudience::Common, None) => {
                whole.descend(&["tenant"]).warn("without `tenants` anybody's tenant vouches for its callers", findings);
            }
            _ => {}
        }
        Some(Self {
            tenant,
            tenants,
            audiences: audiences?,
            applications: applications?.unwrap_or_default(),
            services: services?.unwrap_or_default(),
            cluster: cluster?,
            cloud: cloud?.unwrap_or_default(),
            signing_key_application: signing_key_application?,
            tokens: tokens?.unwrap_or_else(jwt::default_tokens),
            clock_skew: clock_skew?.or_else(|| Leaf::of(jwt::DEFAULT_SKEW))?,
            certificate_bound: certificate_bound?.unwrap_or_default(),
        })
    }
}

impl Decode for EntraService {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = place.fields(findings)?;
        let name = fields.required("name", findings).and_then(|place| place.name(findings));
        let workload = fields.required("workload", findings).and_then(|place| Workload::decode(place, findings));
        fields.finish(findings);
        Some(Self { name: name?, workload: workload? })
    }
}

impl Decode for Workload {
    fn decode(place: Place<'_>, findings: &mut Findings) -> Option<Self> {
        match place.choice(&["managed_identity", "application"], findings)? {
            ("managed_identity", place) => {
                let id = place.name(findings)?;
                if id.starts_with('/') {
                    Some(Self::ManagedIdentity(id))
                } else {
                    place.expected("a resource id, which begins with `/`", findings)
                }
            }
            (_, place) => Leaf::decode(place, findings).map(Self::Application),
        }
    }
}
