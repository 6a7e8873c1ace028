// SPDX-License-Identifier: Apache-2.0
//! What clients say of themselves, and what they leave for others to find: nothing of it reaches the upstream.

use serde_json::json;

use super::policy::{GOLD, REPLACEMENT, TOLD};
use super::table::{Expected, Row, Table, bearer};

/// Matched or not, open or guarded.
const ROUTES: [&str; 5] = ["/unmatched", "/open", "/customer", "/optional", "/shadow"];

pub fn add(table: &mut Table) {
    headers(table);
    tokens(table);
}

fn headers(table: &mut Table) {
    let token = table.customer(json!({"sub": "jane"}));
    for path in ROUTES {
        let own: &[(&'static str, &str)] =
            if matches!(path, "/customer" | "/optional") { &[("x-user-id", "jane"), ("x-caller-provider", "customers")] } else { &[] };
        for spelling in 0..5 {
            let mut lines: Vec<(String, Vec<u8>)> = TOLD.iter().map(|name| (spelt(name, spelling), b"admin".to_vec())).collect();
            lines.push((spelt("x-forwarded-client-cert", spelling), b"Hash=ab;URI=spiffe://shop.example/admin".to_vec()));
            lines.push(("authorization".to_owned(), bearer(&token).into_bytes()));
            let told = own.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let expected = Expected::Admitted { told, others: Vec::new() };
            let name = format!("spoofed headers on {path}, spelling {spelling}");
            table.row(Row { name, method: "GET", path: path.to_owned(), lines, expected });
        }
        let lines = [
            ("x-user-id".to_owned(), b"admin".to_vec()),
            ("x-user-id".to_owned(), vec![0xff, 0xfe]),
            ("X-User-Id".to_owned(), Vec::new()),
            ("connection".to_owned(), b"x-user-id, x-caller-provider".to_vec()),
            ("authorization".to_owned(), bearer(&token).into_bytes()),
        ];
        let told = own.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let expected = Expected::Admitted { told, others: Vec::new() };
        let name = format!("a spoofed header in several lines on {path}");
        table.row(Row { name, method: "GET", path: path.to_owned(), lines: lines.to_vec(), expected });
    }
}

/// A name as some service reads it.
fn spelt(name: &str, spelling: u32) -> String {
    match spelling {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => name.replace('-', "_"),
        3 => name.replacen('-', "_", 1),
        _ => name.replace('-', "."),
    }
}

fn tokens(table: &mut Table) {
    let (token, partner) = (table.customer(json!({"sub": "jane"})), table.partner(json!({"sub": "acme"})));
    let replaced = format!("Gateway {REPLACEMENT}");
    let customer = [("x-user-id", "jane"), ("x-caller-provider", "customers")];
    table.admitted_with(
        "a verified token is replaced",
        "/customer",
        &[("authorization", &bearer(&token))],
        &customer,
        &[("authorization", &replaced)],
    );
    table.admitted_with(
        "a verified token in the query is taken out, and the gateway's credential put in",
        &format!("/customer?a=1&access_token={token}"),
        &[],
        &customer,
        &[(":path", "/customer?a=1"), ("authorization", &replaced)],
    );
    table.admitted_with(
        "a verified token in a cookie is taken out of the others",
        "/customer",
        &[("cookie", &format!("theme=dark; session={token}; lang=de"))],
        &customer,
        &[("cookie", "theme=dark; lang=de"), ("authorization", &replaced)],
    );
    for path in ["/unmatched", "/open", "/shadow"] {
        table.admitted_with(
            &format!("credentials that nobody verified on {path}"),
            &format!("{path}?access_token={token}&b=2&subscription-key={GOLD}"),
            &[
                ("authorization", &bearer(&token)),
                ("cookie", &format!("session={token}")),
                ("x-partner-token", &partner),
                ("x_partner_token", &partner),
                ("ocp_apim_subscription_key", GOLD),
            ],
            &[],
            &[(":path", &format!("{path}?b=2"))],
        );
        for odd in
            [format!("Bearer\t{token}"), format!("bearer  {token}"), format!("Basic YTpi, Bearer {token}"), format!("Bearer={token}")]
        {
            table.admitted(&format!("an oddly written token on {path}"), path, &[("authorization", &odd)], &[]);
        }
        table.admitted_with(
            &format!("credentials of another scheme on {path}"),
            path,
            &[("authorization", "Basic YTpi"), ("cookie", "theme=dark")],
            &[],
            &[("authorization", "Basic YTpi"), ("cookie", "theme=dark")],
        );
    }
}
