// SPDX-License-Identifier: Apache-2.0
//! Whom a token is from, whom it is for, and when: RFC 7519 section 4.1.

use serde_json::json;

use super::table::{ADMITTED, Table};

const INVALID: &str = "JwtInvalid";
const EXPIRED: &str = "TokenExpired";
const EARLY: &str = "TokenNotYetValid";
const ISSUER: &str = "TokenIssuerNotAllowed";
const AUDIENCE: &str = "TokenAudienceNotAllowed";
const LIFETIME: &str = "TokenLifetimeNotAllowed";

/// Adds the rows about time. `all` grants 60 seconds either way, `strict` none.
pub fn add_dates(table: &mut Table) {
    let now = table.forge.now;
    for name in ["exp", "nbf", "iat"] {
        let soon = format!("\"{}\"", now + 300);
        for value in [&soon, "\"\"", "true", "false", "null", "[]", &format!("[{}]", now + 300), "{}", "\"tomorrow\""] {
            let claims = table.forge.claims_with(name, value);
            table.claims("all", format!("{name} {value}"), claims, INVALID);
        }
    }
    for (name, value, expected) in [
        ("exp", "0", EXPIRED),
        ("exp", "-0", EXPIRED),
        ("exp", "-1", EXPIRED),
        ("exp", "-9223372036854775808", EXPIRED),
        ("exp", "-9223372036854775809", EXPIRED),
        ("exp", "-1e400", EXPIRED),
        ("exp", "1e-400", EXPIRED),
        ("exp", "1e9", EXPIRED),
        ("exp", "9e9", ADMITTED),
        ("exp", "9223372036854775807", ADMITTED),
        ("exp", "9223372036854775808", ADMITTED),
        ("exp", "18446744073709551616", ADMITTED),
        ("exp", "1e400", ADMITTED),
        ("nbf", "-9223372036854775808", ADMITTED),
        ("nbf", "-1e400", ADMITTED),
        ("nbf", "9223372036854775807", EARLY),
        ("nbf", "18446744073709551616", EARLY),
        ("nbf", "1e400", EARLY),
        ("iat", "-1e400", ADMITTED),
        ("iat", "1e400", EARLY),
    ] {
        let claims = table.forge.claims_with(name, value);
        table.claims("all", format!("{name} {value}"), claims, expected);
    }
    let forever = json!({"iss": super::forge::ISSUER, "aud": "orders-api", "sub": super::forge::SUBJECT, "iat": now});
    table.claims("all", "no exp", forever.to_string(), LIFETIME);
    let bare = json!({"iss": super::forge::ISSUER, "aud": "orders-api", "exp": now + 300});
    table.claims("all", "no iat", bare.to_string(), ADMITTED);
    table.claims("strict", "no iat where it bounds the lifetime", bare.to_string(), LIFETIME);
    add_edges(table);
}

/// To the second. Section 4.1.4: on or after `exp` it counts no more; section 4.1.5: before `nbf` not yet.
fn add_edges(table: &mut Table) {
    let now = table.forge.now;
    for (provider, name, after, fraction, expected, fleeting) in [
        ("all", "exp", -59, "", ADMITTED, true),
        ("all", "exp", -59, ".5", ADMITTED, true),
        ("all", "exp", -60, "", EXPIRED, false),
        ("all", "exp", -61, ".999", EXPIRED, false),
        ("all", "nbf", 60, "", ADMITTED, false),
        ("all", "nbf", 61, "", EARLY, true),
        ("all", "nbf", 120, ".5", EARLY, false),
        ("all", "iat", 60, "", ADMITTED, false),
        ("all", "iat", 61, "", EARLY, true),
        ("all", "iat", 120, "", EARLY, false),
        ("strict", "exp", 1, "", ADMITTED, true),
        ("strict", "exp", 0, "", EXPIRED, false),
        ("strict", "exp", -1, ".5", EXPIRED, false),
        ("strict", "nbf", 0, "", ADMITTED, false),
        ("strict", "nbf", 1, "", EARLY, true),
        ("strict", "nbf", 60, "", EARLY, false),
        ("strict", "iat", 0, "", ADMITTED, false),
        ("strict", "iat", 1, "", EARLY, true),
        ("strict", "exp", 600, "", ADMITTED, false),
        ("strict", "exp", 601, "", LIFETIME, false),
        ("strict", "exp", 86_400, "", LIFETIME, false),
    ] {
        let claims = table.forge.claims_with(name, &format!("{}{fraction}", now + after));
        table.claims(provider, format!("{name} {after}{fraction} seconds from now"), claims, expected);
        if fleeting {
            table.fleeting();
        }
    }
    for (iat, exp) in [("-1e400", "1e400"), ("-9223372036854775808", "9223372036854775807")] {
        let claims = table.forge.claims_with("iat", iat);
        let claims = claims.replace(&format!("\"exp\":{}", now + 300), &format!("\"exp\":{exp}"));
        table.claims("strict", format!("from {iat} to {exp}"), claims, LIFETIME);
    }
    let none = table.forge.claims().replace("}", ",\"nbf\":1e-400}");
    table.claims("strict", "nbf as good as nothing", none, ADMITTED);
}

/// Adds the rows about `iss` and `aud`: texts are compared byte for byte (section 2, StringOrURI).
pub fn add_names(table: &mut Table) {
    for (iss, expected) in [
        (r#""https://id.shop.example""#, ISSUER),
        (r#""https://id.shop.example//""#, ISSUER),
        (r#""https://ID.shop.example/""#, ISSUER),
        (r#""HTTPS://id.shop.example/""#, ISSUER),
        (r#""https://id.shop.example/ ""#, ISSUER),
        (r#"" https://id.shop.example/""#, ISSUER),
        (r#""https://id.shop.example/\u0000""#, ISSUER),
        (r#""https://id.shop.example:443/""#, ISSUER),
        (r#""https://id.shop.example.attacker.example/""#, ISSUER),
        (r#""https://id.shop.example/x""#, ISSUER),
        (r#""https%3A%2F%2Fid.shop.example%2F""#, ISSUER),
        (r#""""#, ISSUER),
        (r#""https:\/\/id.shop.example\/""#, ADMITTED),
        (r#"["https://id.shop.example/"]"#, INVALID),
        (r#"{"iss":"https://id.shop.example/"}"#, INVALID),
        ("null", INVALID),
        ("7", INVALID),
    ] {
        let claims = table.forge.claims_with("iss", iss);
        table.claims("all", format!("iss {iss}"), claims, expected);
    }
    for (aud, expected) in [
        (r#""stock-api""#, ADMITTED),
        (r#"["billing-api","orders-api"]"#, ADMITTED),
        (r#"["orders-api","stock-api"]"#, ADMITTED),
        (r#""billing-api""#, AUDIENCE),
        (r#""Orders-API""#, AUDIENCE),
        (r#""orders-api ""#, AUDIENCE),
        (r#""orders-api/""#, AUDIENCE),
        (r#""orders-api,stock-api""#, AUDIENCE),
        (r#""orders-api stock-api""#, AUDIENCE),
        (r#""*""#, AUDIENCE),
        (r#""""#, AUDIENCE),
        ("[]", AUDIENCE),
        (r#"["billing-api"]"#, AUDIENCE),
        (r#"["orders-api",7]"#, INVALID),
        (r#"["orders-api",null]"#, INVALID),
        (r#"[["orders-api"]]"#, INVALID),
        (r#"{"orders-api":true}"#, INVALID),
        ("null", INVALID),
        ("true", INVALID),
    ] {
        let claims = table.forge.claims_with("aud", aud);
        table.claims("all", format!("aud {aud}"), claims, expected);
    }
    let now = table.forge.now;
    for (missing, expected) in [("iss", ISSUER), ("aud", AUDIENCE)] {
        let mut claims = json!({"iss": super::forge::ISSUER, "aud": "orders-api", "sub": super::forge::SUBJECT, "exp": now + 300});
        claims.as_object_mut().expect("it is an object").remove(missing);
        table.claims("all", format!("no {missing}"), claims.to_string(), expected);
    }
    table.claims("all", "no claims", "{}", ISSUER);
}
