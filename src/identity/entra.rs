// SPDX-License-Identifier: Apache-2.0
//! Tokens of Microsoft Entra ID, version 1 and 2:
//! <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>.

use std::fmt;
use std::str::FromStr;

use crate::claim::ClaimSet;
use crate::decision::Reason;

/// A GUID, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guid(String);

impl Guid {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

impl FromStr for Guid {
    type Err = InvalidGuid;

    fn from_str(text: &str) -> Result<Self, InvalidGuid> {
        let lengths = text.split('-').map(str::len);
        let digits = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        if digits && lengths.eq([8, 4, 4, 4, 12]) { Ok(Self(text.to_ascii_lowercase())) } else { Err(InvalidGuid) }
    }
}

/// Text that is no GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidGuid;

impl fmt::Display for InvalidGuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a GUID such as 3f9b2c1a-2222-4d7e-8a5f-000000000002")
    }
}

impl std::error::Error for InvalidGuid {}

/// A national cloud: <https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// The public one.
    #[default]
    Public,
    /// That of the government of the United States.
    UsGovernment,
    /// That of China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// The host that signs callers in.
    #[must_use]
    pub const fn authority(self) -> &'static str {
        match self {
            Self::Public => "login.microsoftonline.com",
            Self::UsGovernment => "login.microsoftonline.us",
            Self::China => "login.partner.microsoftonline.cn",
        }
    }

    /// The host that issues tokens of version 1.
    const fn first_issuer(self) -> &'static str {
        match self {
            Self::Public | Self::UsGovernment => "sts.windows.net",
            Self::China => "sts.chinacloudapi.cn",
        }
    }
}

/// Whose tenant's tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraTenants {
    /// Where they live.
    pub cloud: Cloud,
    /// Which audience of tenants.
    pub audience: TenantAudience,
    /// Only these of them; all where it is empty.
    pub only: Vec<Guid>,
}

/// An audience of tenants, as Entra ID's endpoints name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantAudience {
    /// This one.
    Tenant(Guid),
    /// Those of organizations.
    Organizations,
    /// That of personal accounts.
    Consumers,
    /// All there are.
    Common,
}

impl TenantAudience {
    /// Its segment in the endpoints' paths.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tenant(tenant) => tenant.as_str(),
            Self::Organizations => "organizations",
            Self::Consumers => "consumers",
            Self::Common => "common",
        }
    }
}

impl FromStr for TenantAudience {
    type Err = InvalidTenant;

    fn from_str(text: &str) -> Result<Self, InvalidTenant> {
        Ok(match text {
            "organizations" => Self::Organizations,
            "consumers" => Self::Consumers,
            "common" => Self::Common,
            id => Self::Tenant(id.parse().map_err(|InvalidGuid| InvalidTenant)?),
        })
    }
}

/// Text that names no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTenant;

impl fmt::Display for InvalidTenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a tenant's id, which is a GUID, or `organizations`, `consumers` or `common`")
    }
}

impl std::error::Error for InvalidTenant {}

impl EntraTenants {
    /// Whether a token is from one of the tenants: `tid` is a GUID, counts, and is the one that `iss` names, in version 1 or 2.
    pub(super) fn issued(&self, issuer: &str, claims: &ClaimSet) -> bool {
        let Some(tenant) = claims.text("tid").and_then(|tid| tid.parse::<Guid>().ok()) else { return false };
        let counts = match &self.audience {
            TenantAudience::Tenant(only) => *only == tenant,
            TenantAudience::Organizations => !tenant.is(CONSUMERS),
            TenantAudience::Consumers => tenant.is(CONSUMERS),
            TenantAudience::Common => true,
        };
        counts && (self.only.is_empty() || self.only.contains(&tenant)) && self.issuers(&tenant).iter().any(|known| known == issuer)
    }

    /// Whether a key is this issuer's, by what the key set says: the issuer itself, or a pattern of issuers.
    pub(super) fn may_sign(&self, key_issuer: &str, claims: &ClaimSet) -> bool {
        let Some(tenant) = claims.text("tid").and_then(|tid| tid.parse::<Guid>().ok()) else { return false };
        // One key set serves both versions.
        let named = key_issuer.replace("{tenantid}", tenant.as_str());
        self.issuers(&tenant).contains(&named)
    }

    /// What version 1 and version 2 name a tenant's issuer.
    #[must_use]
    pub fn issuers(&self, tenant: &Guid) -> [String; 2] {
        let tenant = tenant.as_str();
        [format!("https://{}/{tenant}/", self.cloud.first_issuer()), format!("https://{}/{tenant}/v2.0", self.cloud.authority())]
    }
}

/// What else is asked of tokens of Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraRules {
    /// The applications that may call; any where it is empty.
    pub applications: Vec<Guid>,
    /// Names of services, by what tells them in their own tokens.
    pub services: Vec<(String, Workload)>,
}

/// What tells a service that calls in its own name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// A managed identity, by its resource id (`xms_mirid`), in lower case.
    ManagedIdentity(String),
    /// An application, by its id (`azp`, `appid`).
    Application(Guid),
}

impl EntraRules {
    /// The service that calls, if the policy names it.
    ///
    /// # Errors
    ///
    /// [`Reason::TokenClaimNotFound`] or [`Reason::TokenClaimValueNotAllowed`] where its application may not call.
    pub(super) fn service(&self, claims: &ClaimSet) -> Result<Option<String>, Reason> {
        // Version 2 has `azp`, version 1 `appid`.
        let application = match (claims.text("azp"), claims.text("appid")) {
            (Some(second), Some(first)) if !second.eq_ignore_ascii_case(first) => return Err(Reason::TokenClaimValueNotAllowed),
            (second, first) => second.or(first),
        };
        if !self.applications.is_empty() {
            let application = application.ok_or(Reason::TokenClaimNotFound)?;
            if !self.applications.iter().any(|known| known.is(application)) {
                return Err(Reason::TokenClaimValueNotAllowed);
            }
        }
        let workload = |workload: &Workload| match workload {
            Workload::ManagedIdentity(resource) => claims.text("xms_mirid").is_some_and(|found| found.eq_ignore_ascii_case(resource)),
            Workload::Application(id) => application.is_some_and(|found| id.is(found)),
        };
        let service = self.services.iter().find(|(_, known)| workload(known)).filter(|_| is_in_its_own_name(claims));
        Ok(service.map(|(name, _)| name.clone()))
    }
}

/// Whether an application calls for itself, not for a user who signed in to it: `idtyp` says so; where that optional claim is missing, the
/// subject is the application's own and no scope was delegated.
fn is_in_its_own_name(claims: &ClaimSet) -> bool {
    let own = match claims.text("idtyp") {
        Some(kind) => kind == "app",
        None => !claims.has("idtyp") && claims.text("oid").is_some_and(|object| claims.text("sub") == Some(object)),
    };
    own && !claims.has("scp")
}

/// The tenant of personal accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    const TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000002";
    const OTHER: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000003";

    fn claims(text: &str) -> ClaimSet {
        ClaimSet::new(json::parse(text.as_bytes()).unwrap())
    }

    fn tenants(audience: TenantAudience, only: &[&str]) -> EntraTenants {
        EntraTenants { cloud: Cloud::Public, audience, only: only.iter().map(|tenant| tenant.parse().unwrap()).collect() }
    }

    #[test]
    fn the_issuer_is_the_tenants_own() {
        let (first, second) = (format!("https://sts.windows.net/{TENANT}/"), format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
        let consumers = format!("https://login.microsoftonline.com/{CONSUMERS}/v2.0");
        let one = tenants(TenantAudience::Tenant(TENANT.parse().unwrap()), &[]);
        let common = tenants(TenantAudience::Common, &[]);
        let organizations = tenants(TenantAudience::Organizations, &[]);
        let listed = tenants(TenantAudience::Organizations, &[OTHER]);
        let personal = tenants(TenantAudience::Consumers, &[]);
        for (tenants, issuer, tid, expected) in [
            (&one, first.as_str(), TENANT, true),
            (&one, &second, TENANT, true),
            (&one, &second, &TENANT.to_ascii_uppercase(), true),
            (&one, &second, OTHER, false),
            (&one, &second.replace(TENANT, OTHER), OTHER, false),
            (&one, &second.replace(TENANT, OTHER), TENANT, false),
            (&one, first.trim_end_matches('/'), TENANT, false),
            (&one, &second.replace("https", "http"), TENANT, false),
            (&one, &second, "common", false),
            (&common, "https://login.microsoftonline.com/common/v2.0", "common", false),
            (&common, &second, TENANT, true),
            (&common, &consumers, CONSUMERS, true),
            (&organizations, &second, TENANT, true),
            (&organizations, &consumers, CONSUMERS, false),
            (&listed, &second, TENANT, false),
            (&listed, &second.replace(TENANT, OTHER), OTHER, true),
            (&personal, &consumers, CONSUMERS, true),
            (&personal, &second, TENANT, false),
        ] {
            let claims = claims(&format!(r#"{{"tid": "{tid}"}}"#));
            assert_eq!(tenants.issued(issuer, &claims), expected, "{tenants:?} {issuer} {tid}");
        }
        assert!(!one.issued(&second, &claims("{}")));
        let china = EntraTenants { cloud: Cloud::China, ..one };
        let claims = claims(&format!(r#"{{"tid": "{TENANT}"}}"#));
        assert!(!china.issued(&second, &claims));
        assert!(china.issued(&format!("https://login.partner.microsoftonline.cn/{TENANT}/v2.0"), &claims));
    }

    #[test]
    fn a_key_signs_for_the_issuer_that_the_key_set_names() {
        let common = tenants(TenantAudience::Common, &[]);
        let token = claims(&format!(r#"{{"tid": "{TENANT}"}}"#));
        for (issuer, expected) in [
            ("https://login.microsoftonline.com/{tenantid}/v2.0".to_owned(), true),
            ("https://sts.windows.net/{tenantid}/".to_owned(), true),
            (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), true),
            (format!("https://login.microsoftonline.com/{CONSUMERS}/v2.0"), false),
            ("https://login.evil.example/{tenantid}/v2.0".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(common.may_sign(&issuer, &token), expected, "{issuer}");
        }
    }

    #[test]
    fn applications_may_call_and_workloads_have_names() {
        const RESOURCE: &str = "/subscriptions/a/resourcegroups/b/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing";
        let rules = |applications: &[&str]| EntraRules {
            applications: applications.iter().map(|id| id.parse().unwrap()).collect(),
            services: vec![
                ("billing".into(), Workload::ManagedIdentity(RESOURCE.to_ascii_lowercase())),
                ("batch".into(), Workload::Application(OTHER.parse().unwrap())),
            ],
        };
        let (any, only) = (rules(&[]), rules(&[TENANT]));
        let app = |more: &str| format!(r#"{{"idtyp": "app"{more}}}"#);
        for (rules, text, expected) in [
            (&any, "{}".to_owned(), Ok(None)),
            (&only, "{}".into(), Err(Reason::TokenClaimNotFound)),
            (&only, format!(r#"{{"azp": "{TENANT}"}}"#), Ok(None)),
            (&only, format!(r#"{{"appid": "{}"}}"#, TENANT.to_uppercase()), Ok(None)),
            (&only, format!(r#"{{"azp": "{OTHER}"}}"#), Err(Reason::TokenClaimValueNotAllowed)),
            (&only, format!(r#"{{"azp": "{TENANT}", "appid": "{OTHER}"}}"#), Err(Reason::TokenClaimValueNotAllowed)),
            (&only, r#"{"azp": 7}"#.into(), Err(Reason::TokenClaimNotFound)),
            (&any, app(&format!(r#", "xms_mirid": "{RESOURCE}""#)), Ok(Some("billing"))),
            (&any, app(&format!(r#", "xms_mirid": "{RESOURCE}", "scp": "x""#)), Ok(None)),
            (&any, format!(r#"{{"idtyp": "user", "xms_mirid": "{RESOURCE}"}}"#), Ok(None)),
            (&any, format!(r#"{{"idtyp": null, "oid": "o", "sub": "o", "xms_mirid": "{RESOURCE}"}}"#), Ok(None)),
            (&any, app(&format!(r#", "azp": "{OTHER}""#)), Ok(Some("batch"))),
            (&any, format!(r#"{{"azp": "{OTHER}", "oid": "o", "sub": "o"}}"#), Ok(Some("batch"))),
            (&any, format!(r#"{{"azp": "{OTHER}", "oid": "o", "sub": "s"}}"#), Ok(None)),
            (&any, format!(r#"{{"azp": "{OTHER}", "oid": "o", "sub": "o", "scp": "x"}}"#), Ok(None)),
        ] {
            assert_eq!(rules.service(&claims(&text)), expected.map(|service| service.map(str::to_owned)), "{text}");
        }
    }
}
