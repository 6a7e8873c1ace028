// SPDX-License-Identifier: Apache-2.0
//! Entra ID, as far as a gateway sees of it: tokens of both versions, tenants, applications, workloads, and keys that sign for one tenant.

use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate_harness::echo::Echo;
use tracegate_harness::http::{Connection, Response};
use tracegate_harness::issuer::Issuer;
use tracegate_tests::{echoed, get};

use crate::issuer::{Answer, Idp};
use crate::start_before;

const TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000002";
const OTHER: &str = "3f9b2c1a-2222-4d7e-8a5f-0000000000ff";
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const API: &str = "api://orders";
const PORTAL: &str = "5e0d4b7c-3333-4a9c-b1e2-000000000003";
const BATCH: &str = "5e0d4b7c-3333-4a9c-b1e2-000000000004";
const BILLING: &str = "/subscriptions/1/resourcegroups/shop/providers/Microsoft.ManagedIdentity/userAssignedIdentities/billing";

/// The issuer of a tenant's tokens, by version.
fn issuer_of(tenant: &str, version: u8) -> String {
    match version {
        1 => format!("https://sts.windows.net/{tenant}/"),
        _ => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
    }
}

/// Every key signs for whom `issuer` names.
fn keys_for(issuer: &Issuer, name: Option<&str>) -> String {
    let mut set = issuer.key_set();
    for key in set["keys"].as_array_mut().expect("a set has keys") {
        if let Some(name) = name {
            key["issuer"] = json!(name);
        }
    }
    set.to_string()
}

fn policy(tenant: &str, more: Value) -> Value {
    let mut entra = json!({
        "tenant": tenant, "audiences": [API], "cluster": "idp",
        "services": [
            {"name": "billing", "workload": {"managed_identity": BILLING.to_uppercase()}},
            {"name": "batch", "workload": {"application": BATCH}},
        ],
    });
    entra.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
    let route = |name: &str, more: Value| {
        let mut caller = json!({"provider": "staff"});
        caller.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
        json!({"name": name, "match": {"path": {"prefix": format!("/{name}")}}, "rules": [{"name": "who", "require": {"caller": caller}}]})
    };
    json!({
        "schema": 1, "service": {"name": "edge"}, "default": {"action": "refuse"},
        "identity": {
            "providers": {"staff": {"entra": entra}},
            "caller_to_headers": [{"caller": "service", "header": "x-service"}],
            "claim_to_headers": [{"claim": "oid", "header": "x-user"}],
        },
        "routes": [
            route("any", json!({})),
            route("scope", json!({"scopes": ["Orders.Read"]})),
            route("role", json!({"roles": ["Orders.Admin"]})),
            route("group", json!({"groups": ["11111111-2222-3333-4444-555555555555"]})),
            route("service", json!({"services": ["billing", "batch"]})),
        ],
    })
}

/// A gateway under such a policy, and its issuer.
struct Edge {
    envoy: tracegate_harness::envoy::Envoy,
    issuer: Issuer,
    idp: Idp,
    _echo: Echo,
}

impl Edge {
    fn start(tenant: &str, more: Value, key_issuer: Option<&str>) -> Option<Self> {
        let (issuer, echo) = (Issuer::new(3).unwrap(), Echo::start().unwrap());
        let idp = Idp::start(Answer::keys(&keys_for(&issuer, key_issuer)));
        let envoy = start_before(&policy(tenant, more), idp.address(), Some(echo.address()))?;
        Some(Self { envoy, issuer, idp, _echo: echo })
    }

    fn ask(&mut self, path: &str, tenant: &str, version: u8, more: Value) -> Response {
        let mut claims = json!({"iss": issuer_of(tenant, version), "tid": tenant, "aud": API, "oid": "jane", "sub": "pairwise", "exp": 4_102_444_800_u64});
        claims.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
        let token = self.issuer.mint(Algorithm::Rs256, &claims).unwrap();
        let mut connection = Connection::open(self.envoy.listener()).unwrap();
        connection.send(&get(path, &[("authorization", format!("Bearer {token}").as_bytes())])).unwrap();
        connection.read_response().unwrap()
    }

    fn outcome(&mut self, path: &str, tenant: &str, version: u8, more: Value) -> String {
        let response = self.ask(path, tenant, version, more);
        let reason = response.fields.iter().find(|(name, _)| name == b"tracegate-reason");
        let reason = reason.map(|(_, value)| format!(" {}", String::from_utf8_lossy(value))).unwrap_or_default();
        format!("{}{reason}", response.status)
    }
}

#[test]
fn one_tenants_tokens_of_both_versions_count_and_nobody_elses() {
    let more = json!({"applications": [PORTAL, BATCH]});
    let Some(mut edge) = Edge::start(TENANT, more, Some("https://login.microsoftonline.com/{tenantid}/v2.0")) else { return };
    let portal = |version: u8, more: Value| {
        let mut claims = json!({ (if version == 1 { "appid" } else { "azp" }): PORTAL });
        claims.as_object_mut().expect("it is an object").extend(more.as_object().expect("it is an object").clone());
        claims
    };
    for version in [1, 2] {
        let none = json!({});
        for (path, tenant, claims, expected) in [
            ("/any", TENANT, portal(version, none.clone()), "200"),
            ("/any", OTHER, portal(version, none.clone()), "401 TokenIssuerNotAllowed"),
            ("/any", TENANT, portal(version, json!({"tid": OTHER})), "401 TokenIssuerNotAllowed"),
            ("/any", TENANT, portal(version, json!({"tid": null})), "401 TokenIssuerNotAllowed"),
            ("/any", TENANT, portal(version, json!({"aud": "api://other"})), "401 TokenAudienceNotAllowed"),
            ("/any", TENANT, none, "403 TokenClaimNotFound"),
            ("/any", TENANT, json!({"azp": OTHER}), "403 TokenClaimValueNotAllowed"),
            ("/any", TENANT, json!({"azp": PORTAL, "appid": OTHER}), "403 TokenClaimValueNotAllowed"),
            ("/scope", TENANT, portal(version, json!({"scp": "Orders.Write Orders.Read"})), "200"),
            ("/scope", TENANT, portal(version, json!({"scp": "Orders.Write"})), "403 TokenClaimValueNotAllowed"),
            ("/scope", TENANT, portal(version, json!({"idtyp": "app", "roles": ["Orders.Read"]})), "403 TokenClaimNotFound"),
            ("/role", TENANT, portal(version, json!({"roles": ["Orders.Admin"]})), "200"),
            ("/group", TENANT, portal(version, json!({"groups": ["11111111-2222-3333-4444-555555555555"]})), "200"),
            ("/group", TENANT, portal(version, json!({"hasgroups": true})), "403 TokenClaimNotFound"),
        ] {
            assert_eq!(edge.outcome(path, tenant, version, claims.clone()), expected, "{path} {tenant} {version} {claims}");
        }
    }
    assert_eq!(edge.idp.targets(), [format!("/{TENANT}/discovery/v2.0/keys")]);
}

#[test]
fn workloads_go_by_the_policys_names() {
    let Some(mut edge) = Edge::start(TENANT, json!({}), None) else { return };
    for (claims, expected) in [
        (json!({"idtyp": "app", "xms_mirid": BILLING}), Some("billing")),
        (json!({"idtyp": "app", "xms_mirid": BILLING.to_lowercase()}), Some("billing")),
        (json!({"azp": BATCH, "oid": "app", "sub": "app"}), Some("batch")),
        // On behalf of a user it isn't the service that calls.
        (json!({"azp": BATCH, "scp": "Orders.Read"}), None),
        (json!({"idtyp": "user", "xms_mirid": BILLING}), None),
        (json!({"idtyp": "app", "xms_mirid": format!("{BILLING}2")}), None),
    ] {
        let response = edge.ask("/service", TENANT, 2, claims.clone());
        match expected {
            Some(service) => assert_eq!(echoed(&response, "x-service"), [service], "{claims}"),
            None => assert_eq!(response.status, 403, "{claims}"),
        }
    }
}

#[test]
fn many_tenants_count_as_the_policy_says() {
    let none = json!({});
    let Some(mut edge) = Edge::start("organizations", json!({"tenants": [TENANT]}), None) else { return };
    assert_eq!(edge.outcome("/any", TENANT, 2, none.clone()), "200");
    assert_eq!(edge.outcome("/any", OTHER, 2, none.clone()), "401 TokenIssuerNotAllowed");
    assert_eq!(edge.idp.targets(), ["/organizations/discovery/v2.0/keys"]);
    let Some(mut edge) = Edge::start("organizations", none.clone(), None) else { return };
    assert_eq!(edge.outcome("/any", OTHER, 1, none.clone()), "200");
    assert_eq!(edge.outcome("/any", PERSONAL, 2, none.clone()), "401 TokenIssuerNotAllowed");
    let Some(mut edge) = Edge::start("common", none.clone(), Some(&issuer_of(PERSONAL, 2))) else { return };
    assert_eq!(edge.outcome("/any", PERSONAL, 2, none.clone()), "200");
    assert_eq!(edge.outcome("/any", TENANT, 2, none), "401 TokenSignatureKeyNotFound", "a key that signs for another tenant alone");
}
