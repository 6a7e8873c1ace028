// SPDX-License-Identifier: Apache-2.0
//! The reference policy: whoever the explanation names is admitted, and nobody else is.

use std::path::Path;

use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::Issuer;
use tracegate_harness::policy;
use tracegate_tests::shop;

use crate::caller::{Caller, Credential, items};
use crate::edge::{self, Documents, Edge, Minting};
use crate::explain;

const TENANT: &str = "3f9b2c1a-2222-4d7e-8a5f-000000000002";
const APPLICATION: &str = "5e0d4b7c-3333-4a9c-b1e2-000000000003";

/// The edge with the policy as it stands, its issuers included.
fn with_shop(test: impl FnOnce(&Value, &mut Edge<'_>)) {
    with(&shop(), test);
}

/// The edge with a policy that is much like it.
pub fn with(path: &Path, test: impl FnOnce(&Value, &mut Edge<'_>)) {
    let loaded = policy::read(path).unwrap_or_else(|error| panic!("{error}"));
    let issuers = [1, 2, 3].map(|seed| Issuer::new(seed).unwrap());
    let [customers, partners, staff] = issuers.each_ref().map(Issuer::key_set);
    let configuration = json!({"issuer": "https://id.shop.example/", "jwks_uri": "https://id.shop.example/keys"});
    let documents: Documents = [
        ("customer-idp", "/.well-known/openid-configuration".to_owned(), configuration),
        ("customer-idp", "/keys".to_owned(), customers),
        ("partner-idp", "/jwks.json".to_owned(), partners),
        ("entra", format!("/{TENANT}/discovery/v2.0/keys"), staff),
    ]
    .into_iter()
    .map(|(cluster, path, document)| ((cluster.to_owned(), path), document))
    .collect();
    let mut by_staff = edge::claims(&format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "api://orders");
    by_staff["tid"] = json!(TENANT);
    by_staff["azp"] = json!(APPLICATION);
    let [customers, partners, staff] = issuers;
    let minting = [
        ("customers", customers, Algorithm::Es256, edge::claims("https://id.shop.example/", "orders-api")),
        ("partners", partners, Algorithm::Ps256, edge::claims("https://sso.partner.example", "orders-api")),
        ("staff", staff, Algorithm::Rs256, by_staff),
    ];
    let minting = minting.into_iter().map(|(provider, issuer, algorithm, claims)| {
        (provider.to_owned(), Minting { issuer, algorithm, claims, header: ("authorization".to_owned(), "Bearer ") })
    });
    let module = edge::compiled();
    test(&explain(path), &mut Edge::start(&module, &loaded, documents, minting.collect()));
}

#[test]
fn whoever_is_named_is_admitted_and_nobody_else() {
    with_shop(|explained, edge| {
        let routes = items(&explained["routes"]);
        let mut everybody = vec![("nothing".to_owned(), Caller::default())];
        let (mut named, mut lacking) = (0, 0);
        for route in routes {
            let alternatives = items(&route["reachable_by"]);
            for alternative in alternatives {
                let caller = Caller::fitting(alternative);
                assert!(edge.admits(route, &caller, &[]), "{}: {alternative}", route["name"]);
                named += 1;
                for (what, caller) in Caller::lacking_one(alternative) {
                    let covered = alternatives.iter().any(|other| caller.fits(other));
                    assert_eq!(edge.admits(route, &caller, &[]), covered, "{}: {alternative} without {what}", route["name"]);
                    lacking += usize::from(!covered);
                    everybody.push((what, caller));
                }
                everybody.push(("an alternative".to_owned(), caller));
            }
            assert_eq!(edge.admits(route, &Caller::default(), &[]), route["anonymous"] == true, "{}: nothing", route["name"]);
        }
        assert_eq!((named, lacking), (4, 10));
        // Whom one route names, or nearly so, the others name or refuse.
        for (route, (what, caller)) in routes.iter().flat_map(|route| everybody.iter().map(move |caller| (route, caller))) {
            let expected = items(&route["reachable_by"]).iter().any(|alternative| caller.fits(alternative));
            assert_eq!(edge.admits(route, caller, &[]), expected, "{}: {caller:?} ({what})", route["name"]);
        }
    });
}

#[test]
fn rules_in_shadow_and_the_default_are_as_told() {
    with_shop(|explained, edge| {
        let route = &explained["routes"][0];
        let caller = Caller::fitting(&route["reachable_by"][0]);
        // The rule in shadow would refuse the one without the header.
        assert!(edge.admits(route, &caller, &[]) && edge.admits(route, &caller, &[("x-api-version", "2")]));
        let elsewhere = json!({"match": {"methods": [], "hosts": [{"exact": "api.shop.example"}], "path": {"exact": "/orders"}}});
        let status = edge.send(&elsewhere, &caller, &[]).response.map(|response| response.status());
        assert_eq!(explained["default"]["action"], "refuse");
        assert_eq!(status.map(u64::from), explained["default"]["status"].as_u64());
    });
}

#[test]
fn the_upstream_learns_what_is_told() {
    with_shop(|explained, edge| {
        let route = &explained["routes"][1];
        let claims = json!({"roles": ["Orders.Admin", "Orders.Reader"]});
        let caller = Caller([("staff".to_owned(), Credential::Token(claims))].into());
        let upstream = edge.send(route, &caller, &[("x-user-id", "forged")]).upstream.expect("it is admitted");
        let value =
            |name: &str| upstream.head.values(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>();
        let told: Vec<_> = items(&explained["upstream"]["headers"]).iter().map(|header| value(header["name"].as_str().unwrap())).collect();
        assert_eq!(told, [["7"], ["Orders.Admin,Orders.Reader"]]);
        assert_eq!((&explained["upstream"]["token"], value("authorization")), (&json!("stripped"), vec![]));
    });
}
