// SPDX-License-Identifier: Apache-2.0
//! Credentials, one and several, alike and at odds.

use serde_json::json;

use super::policy::{GOLD, SECOND, SILVER, SUSPENDED};
use super::table::{Expected, Row, Table, bearer};

const KEY: &str = "Ocp-Apim-Subscription-Key";
const FOR_KEY: &str = r#"AzureApiManagementKey realm="shop-edge",name="Ocp-Apim-Subscription-Key",type="header""#;

pub fn add(table: &mut Table) {
    table.credentials.extend([GOLD, SECOND, SILVER, SUSPENDED].map(str::to_owned));
    keys(table);
    several(table);
    conditions(table);
}

fn keys(table: &mut Table) {
    let gold = [("x-caller-provider", "subscriptions"), ("x-caller-subscription", "contoso"), ("x-caller-product", "gold")];
    let silver = [("x-caller-provider", "subscriptions"), ("x-caller-subscription", "fabrikam"), ("x-caller-product", "silver")];
    table.admitted("a key", "/key", &[(KEY, GOLD)], &gold);
    table.admitted("the other key of a subscription", "/key", &[(KEY, SECOND)], &gold);
    table.admitted("a key of another product, where any will do", "/key", &[(KEY, SILVER)], &silver);
    table.admitted_with("a key in the query", &format!("/key?a=%2f&subscription-key={GOLD}&b"), &[], &gold, &[(":path", "/key?a=%2f&b")]);
    table.admitted_with("a key in the query alone", &format!("/key?Subscription-Key={GOLD}"), &[], &gold, &[(":path", "/key")]);
    table.admitted_with("the same key twice", &format!("/key?subscription-key={GOLD}"), &[(KEY, GOLD)], &gold, &[(":path", "/key")]);
    table.refused("two keys at odds", &format!("/key?subscription-key={SILVER}"), &[(KEY, GOLD)], "SubscriptionKeyAmbiguous", &[FOR_KEY]);
    table.refused("two lines of keys at odds", "/key", &[(KEY, GOLD), (KEY, SILVER)], "SubscriptionKeyAmbiguous", &[FOR_KEY]);
    table.refused("no key", "/key", &[], "SubscriptionKeyNotFound", &[FOR_KEY]);
    table.refused("an empty key", "/key", &[(KEY, "")], "SubscriptionKeyNotFound", &[FOR_KEY]);
    table.refused("a key that is nobody's", "/key", &[(KEY, "nobodys-key")], "SubscriptionKeyInvalid", &[FOR_KEY]);
    table.refused("a key in capitals", "/key", &[(KEY, &GOLD.to_uppercase())], "SubscriptionKeyInvalid", &[FOR_KEY]);
    table.refused("a suspended subscription's key", "/key", &[(KEY, SUSPENDED)], "SubscriptionKeyInvalid", &[FOR_KEY]);
    table.refused("another product's key", "/gold", &[(KEY, SILVER)], "SubscriptionKeyInvalid", &[FOR_KEY]);
    table.refused("an endless key", "/key", &[(KEY, &"k".repeat(20_000))], "SubscriptionKeyInvalid", &[FOR_KEY]);
    table.admitted_with(
        "keys that nobody asked for go no further",
        &format!("/open?subscription-key={GOLD}&x=1"),
        &[(KEY, GOLD)],
        &[],
        &[(":path", "/open?x=1")],
    );
}

fn several(table: &mut Table) {
    let (reader, stranger) = (table.customer(json!({"sub": "jane", "scp": "orders.read"})), table.customer(json!({"sub": "joe"})));
    let partner = table.partner(json!({"sub": "acme"}));
    let expired = table.customer(json!({"sub": "jane", "exp": 1_000_000}));
    let gold = [("x-caller-provider", "subscriptions"), ("x-caller-subscription", "contoso"), ("x-caller-product", "gold")];
    table.admitted(
        "the first of two ways in",
        "/either",
        &[("authorization", &bearer(&reader))],
        &[("x-user-id", "jane"), ("x-caller-provider", "customers")],
    );
    table.admitted("the second of two ways in", "/either", &[(KEY, GOLD)], &gold);
    table.admitted(
        "the second way in, and a token that isn't enough for the first",
        "/either",
        &[("authorization", &bearer(&stranger)), (KEY, GOLD)],
        &[
            ("x-user-id", "joe"),
            ("x-caller-provider", "customers,subscriptions"),
            ("x-caller-subscription", "contoso"),
            ("x-caller-product", "gold"),
        ],
    );
    table.admitted("the second way in, and an expired token", "/either", &[("authorization", &bearer(&expired)), (KEY, GOLD)], &gold);
    table.refused("neither way in", "/either", &[], "TokenNotPresent", &["Bearer", FOR_KEY]);
    table.refused("a wrong key and no token", "/either", &[(KEY, "nobodys-key")], "SubscriptionKeyInvalid", &[FOR_KEY, "Bearer"]);
    table.refused(
        "a token that isn't enough, and no key",
        "/either",
        &[("authorization", &bearer(&stranger))],
        "TokenClaimNotFound",
        &[r#"Bearer error="insufficient_scope", error_description="The token lacks a required claim.", scope="orders.read""#],
    );
    table.admitted(
        "both that are asked for",
        "/both",
        &[("x-partner-token", &partner), (KEY, GOLD)],
        &[
            ("x-user-id", "acme"),
            ("x-caller-provider", "partners,subscriptions"),
            ("x-caller-subscription", "contoso"),
            ("x-caller-product", "gold"),
        ],
    );
    table.refused("one of both", "/both", &[("x-partner-token", &partner)], "SubscriptionKeyNotFound", &[FOR_KEY]);
    table.refused("the other of both", "/both", &[(KEY, GOLD)], "TokenNotPresent", &["Bearer"]);
    table.refused(
        "a customer's token for a partner's",
        "/both",
        &[("x-partner-token", &reader), (KEY, GOLD)],
        "TokenAlgorithmNotAllowed",
        &[r#"Bearer error="invalid_token", error_description="The token's algorithm is not allowed.""#],
    );
    table.admitted(
        "a token where none is needed",
        "/optional",
        &[("authorization", &bearer(&reader))],
        &[("x-user-id", "jane"), ("x-caller-provider", "customers")],
    );
    table.admitted("no token where none is needed", "/optional", &[], &[]);
    table.admitted("a wrong token where none is needed", "/optional", &[("authorization", &bearer(&expired))], &[]);
    table.admitted("a rule in shadow proves nobody", "/shadow", &[("authorization", &bearer(&reader))], &[]);
    table.refused("nobody may", "/nobody", &[("authorization", &bearer(&reader)), (KEY, GOLD)], "AccessDenied", &[]);
}

fn conditions(table: &mut Table) {
    let (bronze, gold) = (table.customer(json!({"tier": "bronze"})), table.customer(json!({"tier": "gold"})));
    let expired = table.customer(json!({"tier": "bronze", "exp": 1_000_000}));
    table.refused("a header that must be there", "/legacy", &[], "AccessDenied", &[]);
    table.admitted("a header that is there", "/legacy", &[("x-api-version", "2")], &[]);
    table.refused("a parameter that may not be there", "/query?debug=1", &[], "AccessDenied", &[]);
    table.refused("a parameter spelt otherwise", "/query?a&deb%75g=tr%75e", &[], "AccessDenied", &[]);
    table.refused("a parameter that can't be told", &format!("/query?debug={}", "1".repeat(5000)), &[], "AccessDenied", &[]);
    table.refused("a parameter that is no text", "/query?debug=%ff", &[], "AccessDenied", &[]);
    table.admitted("a parameter that doesn't match", "/query?debug=11", &[], &[]);
    table.refused("a path below", "/inner/7/secret", &[], "AccessDenied", &[]);
    table.refused("a path below, spelt otherwise", "/inner//7/./%73ecret", &[], "AccessDenied", &[]);
    table.admitted("another path below", "/inner/7/public", &[], &[]);
    let told = [("x-caller-provider", "customers")];
    table.refused("a claim that may not be", "/claim", &[("authorization", &bearer(&bronze))], "AccessDenied", &[]);
    table.admitted("another claim", "/claim", &[("authorization", &bearer(&gold))], &told);
    table.admitted("no token, no claim", "/claim", &[], &[]);
    table.admitted("a claim that nobody vouches for any more", "/claim", &[("authorization", &bearer(&expired))], &[]);
    for (method, expected) in
        [("DELETE", Expected::Refused("AccessDenied", Vec::new())), ("POST", Expected::Admitted { told: Vec::new(), others: Vec::new() })]
    {
        let name = format!("the method {method}");
        table.row(Row { name, method, path: "/method".to_owned(), lines: vec![("content-length".to_owned(), b"0".to_vec())], expected });
    }
}
