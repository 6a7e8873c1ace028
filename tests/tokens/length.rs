// SPDX-License-Identifier: Apache-2.0
//! The longest tokens: what is longer is refused before it is read.

use super::table::{ADMITTED, Table};

/// Adds the rows.
pub fn add(table: &mut Table) {
    for (provider, longest) in [("short", 1000), ("all", 8192), ("long", 58 << 10)] {
        let token = of_length(table, longest);
        table.token(provider, format!("a token of {longest} bytes"), token, ADMITTED);
    }
    for (provider, length) in [("short", 1001), ("all", 8193), ("all", 58 << 10)] {
        let token = of_length(table, length);
        table.token(provider, format!("a token of {length} bytes"), token, "JwtInvalid");
    }
}

/// A genuine token of so many bytes.
fn of_length(table: &mut Table, length: usize) -> String {
    for pad in 0..3 {
        let header = table.forge.header_with("x", &format!("\"{}\"", "x".repeat(pad)));
        let claims = |pad: usize| format!("\"{}\"", "x".repeat(pad));
        let rest = table.forge.claims_with("x", &claims(0));
        let least = table.forge.token(&header, rest).len();
        for pad in ((length - least) * 3 / 4).saturating_sub(3)..(length - least) * 3 / 4 + 3 {
            let payload = table.forge.claims_with("x", &claims(pad));
            let token = table.forge.token(&header, payload);
            if token.len() == length {
                return token;
            }
        }
    }
    panic!("no token has {length} bytes");
}
