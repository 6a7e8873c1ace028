// SPDX-License-Identifier: Apache-2.0
//! What segments hold: one JSON object that every reader reads alike. RFC 7515 section 4, RFC 7519 section 4, RFC 8259.

use super::table::{ADMITTED, Table};

const INVALID: &str = "JwtInvalid";

/// Adds the rows.
pub fn add(table: &mut Table) {
    let texts = |forge: &super::forge::Forge| [forge.header(), forge.claims()];
    for (what, change, expected) in changes() {
        let [header, claims] = texts(&table.forge);
        let (odd_header, odd_claims) = (change(&header), change(&claims));
        let token = table.forge.token(&odd_header, &claims);
        table.token("long", format!("a header {what}"), token, expected);
        let token = table.forge.token(&header, &odd_claims);
        table.token("long", format!("a payload {what}"), token, expected);
    }
    add_members(table);
    add_depths(table);
}

/// What is done to an object, and what becomes of it.
type Change = (&'static str, fn(&str) -> Vec<u8>, &'static str);

fn changes() -> Vec<Change> {
    vec![
        ("with white space around", |object| format!(" \t\r\n{object}\r\n ").into(), ADMITTED),
        ("over several lines", |object| object.replace(',', ",\r\n ").into(), ADMITTED),
        ("with a byte order mark ahead", |object| format!("\u{feff}{object}").into(), INVALID),
        ("with a byte order mark behind", |object| format!("{object}\u{feff}").into(), INVALID),
        ("and a byte behind", |object| format!("{object}x").into(), INVALID),
        ("and a zero behind", |object| format!("{object}\0").into(), INVALID),
        ("and a comma behind", |object| format!("{object},").into(), INVALID),
        ("twice", |object| format!("{object}{object}").into(), INVALID),
        ("in a list", |object| format!("[{object}]").into(), INVALID),
        ("cut off", |object| object[..object.len() - 1].into(), INVALID),
        ("that is a number", |_| b"1".to_vec(), INVALID),
        ("that is null", |_| b"null".to_vec(), INVALID),
        ("that is text", |object| format!("{object:?}").into(), INVALID),
        ("that is white space", |_| b" ".to_vec(), INVALID),
        ("with a comma too many", |object| object.replace('}', ",}").into(), INVALID),
        ("in single quotes", |object| object.replace('"', "'").into(), INVALID),
        ("with a comment", |object| object.replace('}', "/**/}").into(), INVALID),
        ("with a line break in a text", |object| with(object, b"\"x\":\"a\nb\""), INVALID),
        ("with NaN", |object| with(object, b"\"x\":NaN"), INVALID),
        ("with Infinity", |object| with(object, b"\"x\":-Infinity"), INVALID),
        ("with a number of a leading zero", |object| with(object, b"\"x\":01"), INVALID),
        ("with a hexadecimal number", |object| with(object, b"\"x\":0x1"), INVALID),
        ("with a number beyond every range", |object| with(object, b"\"x\":-1e999999"), ADMITTED),
        ("with an unknown escape", |object| with(object, br#""x":"\x41""#), INVALID),
        ("with half an escape", |object| with(object, br#""x":"\u00""#), INVALID),
        ("with a pair of surrogates", |object| with(object, br#""x":"\ud83d\ude00""#), ADMITTED),
        ("with a lone high surrogate", |object| with(object, br#""x":"\ud83d""#), INVALID),
        ("with a lone low surrogate", |object| with(object, br#""x":"\ude00""#), INVALID),
        ("with surrogates the wrong way round", |object| with(object, br#""x":"\ude00\ud83d""#), INVALID),
        ("with a lone surrogate in a name", |object| with(object, br#""\ud83d":1"#), INVALID),
        ("with a lone surrogate far within", |object| with(object, br#""x":[{"y":["\udfff"]}]"#), INVALID),
        ("with a byte that is no UTF-8", |object| with(object, b"\"x\":\"\xff\""), INVALID),
        ("with a letter of Latin-1", |object| with(object, b"\"x\":\"\xe9\""), INVALID),
        ("with a slash in two bytes", |object| with(object, b"\"x\":\"\xc0\xaf\""), INVALID),
        ("with a surrogate in UTF-8", |object| with(object, b"\"x\":\"\xed\xa0\x80\""), INVALID),
        ("in UTF-16", |object| object.encode_utf16().flat_map(u16::to_le_bytes).collect(), INVALID),
        ("with a member twice", |object| with(object, br#""x":1,"x":1"#), INVALID),
        ("with a member twice, escaped once", |object| with(object, br#""x":1,"\u0078":1"#), INVALID),
        ("with a member twice, escaped in two ways", |object| with(object, br#""\u005c":1,"\\":1"#), INVALID),
        ("with a member twice within", |object| with(object, br#""x":{"y":1,"y":2}"#), INVALID),
        ("with a member twice within a list", |object| with(object, br#""x":[0,[{"y":1,"\u0079":2}]]"#), INVALID),
        ("with a member twice in different places", |object| with(object, br#""x":{"alg":1,"exp":1}"#), ADMITTED),
        ("with names in two cases", |object| with(object, br#""ALG":"none","EXP":0"#), ADMITTED),
        ("with an empty name", |object| with(object, br#""":1"#), ADMITTED),
    ]
}

/// The object with another member at its end.
fn with(object: &str, member: &[u8]) -> Vec<u8> {
    [object.trim_end_matches('}').as_bytes(), b",", member, b"}"].concat()
}

/// What matters must not stand twice, whichever a reader would take.
fn add_members(table: &mut Table) {
    let [header, claims] = [table.forge.header(), table.forge.claims()];
    for member in
        [r#""alg":"ES256""#, r#""alg":"none""#, r#""\u0061lg":"ES256""#, r#""kid":"p256-1""#, r#""kid":"p256-2""#, r#""ki\u0064":"""#]
    {
        for header in [with(&header, member.as_bytes()), header.replacen('{', &format!("{{{member},"), 1).into_bytes()] {
            table.header(format!("a header with {member} too"), header, INVALID);
        }
    }
    for member in
        [r#""exp":9999999999"#, r#""iss":"x""#, r#""aud":"orders-api""#, r#""\u0065xp":1"#, r#""nbf":0,"nb\u0066":0"#, r#""sub":null"#]
    {
        for claims in [with(&claims, member.as_bytes()), claims.replacen('{', &format!("{{{member},"), 1).into_bytes()] {
            table.claims("all", format!("claims with {member} too"), claims, INVALID);
        }
    }
}

/// As deep as 32 lists within the object; deeper would cost whoever reads.
fn add_depths(table: &mut Table) {
    let lists = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}{{}}{}", r#"{"a":"#.repeat(depth - 1), "}".repeat(depth - 1));
    for (depth, expected) in [(32, ADMITTED), (33, INVALID), (127, INVALID), (129, INVALID), (6000, INVALID)] {
        for (what, nested) in [("lists", lists(depth)), ("objects", objects(depth))] {
            let (header, claims) = (table.forge.header_with("x", &nested), table.forge.claims_with("x", &nested));
            if header.len() <= 40_000 {
                let plain = table.forge.claims();
                let token = table.forge.token(&header, plain);
                table.token("long", format!("a header of {depth} {what} within each other"), token, expected);
                table.claims("long", format!("a payload of {depth} {what} within each other"), claims, expected);
            }
        }
    }
    // Never closed, and nothing but depth.
    for (what, text) in [("lists", "[".repeat(10_000)), ("objects", r#"{"a":"#.repeat(8000))] {
        let [header, claims] = [table.forge.header(), table.forge.claims()];
        let token = table.forge.token(&text, claims);
        table.token("long", format!("a header that opens 8,000 {what} and more"), token, INVALID);
        let token = table.forge.token(header, text);
        table.token("long", format!("a payload that opens 8,000 {what} and more"), token, INVALID);
    }
    let [nested, plain] = [lists(10_000), table.forge.claims()];
    let header = table.forge.header_with("x", &nested);
    let token = table.forge.token(header, plain);
    table.token("long", "a header of 10,000 lists within each other", token, INVALID);
    let claims = table.forge.claims_with("x", &nested);
    table.claims("long", "a payload of 10,000 lists within each other", claims, INVALID);
}
