// SPDX-License-Identifier: Apache-2.0
//! Claims of every type, and what becomes of them in headers.

use serde_json::{Value, json};

use super::table::{Table, bearer};

const INSUFFICIENT: &str = r#"Bearer error="insufficient_scope", error_description="A claim of the token is not sufficient.""#;
const LACKING: &str = r#"Bearer error="insufficient_scope", error_description="The token lacks a required claim.""#;
const SCOPES: &str = r#", scope="orders.read orders.write""#;

pub fn add(table: &mut Table) {
    required(table);
    told(table);
}

fn required(table: &mut Table) {
    let (not_found, not_allowed) = ("TokenClaimNotFound", "TokenClaimValueNotAllowed");
    for (name, path, claims, expected) in [
        ("both scopes", "/scoped", json!({"scp": "orders.write x orders.read"}), None),
        ("both scopes in a list", "/scoped", json!({"scope": ["orders.write", "orders.read"]}), None),
        ("one scope of two", "/scoped", json!({"scp": "orders.read"}), Some(not_allowed)),
        ("a scope's beginning", "/scoped", json!({"scp": "orders.read orders.writer"}), Some(not_allowed)),
        ("scopes in a number", "/scoped", json!({"scp": 7}), Some(not_allowed)),
        ("scopes in an object", "/scoped", json!({"scp": {"orders.read": "orders.write"}}), Some(not_allowed)),
        ("no scopes", "/scoped", json!({}), Some(not_found)),
        ("scopes that are null", "/scoped", json!({"scp": null}), Some(not_found)),
        ("a role", "/role", json!({"roles": ["Reader", "Orders.Admin"]}), None),
        ("a role alone", "/role", json!({"roles": "Orders.Admin"}), None),
        ("another role", "/role", json!({"roles": ["orders.admin", "Orders.Admin "]}), Some(not_allowed)),
        ("a role within a list", "/role", json!({"roles": [["Orders.Admin"], {"Orders.Admin": "Orders.Admin"}]}), Some(not_allowed)),
        ("100 roles", "/role", json!({"roles": (0..100).map(|index| format!("r{index}")).collect::<Vec<_>>()}), Some(not_allowed)),
        ("no roles", "/role", json!({"scp": "Orders.Admin"}), Some(not_found)),
        ("one of several", "/tier", json!({"tier": "silver"}), None),
        ("one of several in a list", "/tier", json!({"tier": ["bronze", "gold"]}), None),
        ("none of several", "/tier", json!({"tier": "bronze"}), Some(not_allowed)),
        ("a boolean", "/tier", json!({"tier": true}), Some(not_allowed)),
        ("an empty list", "/tier", json!({"tier": []}), Some(not_allowed)),
        ("no such claim", "/tier", json!({"Tier": "gold"}), Some(not_found)),
        ("a claim that lies deeper", "/tags", json!({"shop": {"tags": "b|x|a"}}), None),
        ("a claim that lies deeper, in a list", "/tags", json!({"shop": {"tags": ["b", "a|c"]}}), None),
        ("not all", "/tags", json!({"shop": {"tags": "b|x"}}), Some(not_allowed)),
        ("parted otherwise", "/tags", json!({"shop": {"tags": "a,b"}}), Some(not_allowed)),
        ("nothing deeper", "/tags", json!({"shop": "a|b"}), Some(not_found)),
        ("a name with a slash", "/tags", json!({"/shop/tags": "a|b"}), Some(not_found)),
    ] {
        let told = expectations(&claims);
        let token = table.customer(claims);
        let lines = [("authorization", bearer(&token))];
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let scopes = if path == "/scoped" { SCOPES } else { "" };
        match expected {
            None => table.admitted(name, path, &lines, &told.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>()),
            Some(reason) if reason == not_found => table.refused(name, path, &lines, reason, &[&format!("{LACKING}{scopes}")]),
            Some(reason) => table.refused(name, path, &lines, reason, &[&format!("{INSUFFICIENT}{scopes}")]),
        }
    }
}

/// What these rows tell the upstream, beside what they are about.
fn expectations(claims: &Value) -> Vec<(&'static str, String)> {
    let mut told = vec![("x-caller-provider", "customers".to_owned())];
    match &claims["roles"] {
        Value::Array(roles) => told.push(("x-user-roles", roles.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))),
        Value::String(role) => told.push(("x-user-roles", role.clone())),
        _ => {}
    }
    match &claims["shop"]["tags"] {
        Value::Array(tags) => told.push(("x-user-tags", tags.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))),
        Value::String(tags) => told.push(("x-user-tags", tags.clone())),
        _ => {}
    }
    told
}

fn told(table: &mut Table) {
    for (name, claims, told) in [
        ("texts", json!({"sub": "jane", "name": "Jane Doe"}), &[("x-user-id", "jane"), ("x-user-name", "Jane Doe")][..]),
        ("a line break", json!({"name": "Jane\r\nx-user-id: admin"}), &[("x-user-name", "Jane%0D%0Ax-user-id: admin")]),
        ("a zero", json!({"name": "Jane\u{0}admin"}), &[("x-user-name", "Jane%00admin")]),
        ("letters that aren't ASCII", json!({"name": "Zoë 日本"}), &[("x-user-name", "Zo%C3%AB %E6%97%A5%E6%9C%AC")]),
        ("white space around", json!({"name": "  Jane\t"}), &[("x-user-name", "%20%20Jane%09")]),
        ("a percent sign", json!({"name": "100%0D"}), &[("x-user-name", "100%250D")]),
        ("commas in a text", json!({"name": "Doe, Jane"}), &[("x-user-name", "Doe, Jane")]),
        ("nothing", json!({"name": ""}), &[]),
        ("a list", json!({"roles": ["reader", "writer"]}), &[("x-user-roles", "reader,writer")]),
        ("a comma in a list", json!({"roles": ["reader,admin", "writer"]}), &[("x-user-roles", "reader%2Cadmin,writer")]),
        ("a list of other things", json!({"roles": ["a", 7, true, null, {"b": "c"}, ["d"]]}), &[("x-user-roles", "a,7,true")]),
        ("an empty list", json!({"roles": []}), &[]),
        ("a huge list", json!({"roles": vec!["日".repeat(100); 10]}), &[]),
        ("a separator of the policy's", json!({"shop": {"tags": ["a b", "c"]}}), &[("x-user-tags", "a%20b c")]),
        ("a number", json!({"level": 7}), &[("x-user-level", "7")]),
        ("a fraction", json!({"level": 0.25}), &[("x-user-level", "0.25")]),
        ("a boolean", json!({"level": false}), &[("x-user-level", "false")]),
        ("null", json!({"level": null}), &[]),
        ("an object", json!({"shop": {"a": "b"}}), &[]),
        ("claims called as headers are", json!({"x-user-id": "admin", "X-User-Id": "admin", ":path": "/admin"}), &[]),
    ] {
        let token = table.customer(claims);
        let told: Vec<(&'static str, &str)> = told.iter().copied().chain([("x-caller-provider", "customers")]).collect();
        table.admitted(&format!("claims to headers: {name}"), "/customer", &[("authorization", &bearer(&token))], &told);
    }
}
