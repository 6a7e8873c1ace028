// SPDX-License-Identifier: Apache-2.0
//! Three segments of base64url in their one spelling: RFC 7515 sections 2 and 7.1. What is odd is signed over as it is.

use tracegate::identity::Algorithm;
use tracegate_harness::issuer::text;

use super::table::Table;

const INVALID: &str = "JwtInvalid";

/// Adds the rows.
pub fn add(table: &mut Table) {
    add_spellings(table);
    add_counts(table);
}

/// What is done to a segment.
type Change = fn(&str) -> String;

fn add_spellings(table: &mut Table) {
    // These give base64 both of the characters that base64url has others for.
    let odd = |object: &dyn Fn(&str, &str) -> String, serial: u32| loose_ended(|pad| object("x", &format!("\"???>>>{serial}{pad}\"")));
    let header = odd(&|name, value| table.forge.header_with(name, value), 0);
    let (claims, signature) = (0..1000)
        .map(|serial| {
            let claims = odd(&|name, value| table.forge.claims_with(name, value), serial);
            let token = table.forge.of_segments(&header, &claims);
            let (_, signature) = token.rsplit_once('.').expect("there is a signature");
            (claims, signature.to_owned())
        })
        .find(|(_, signature)| signature.contains('-') && signature.contains('_'))
        .expect("there is one among so many");
    let changes: [(&str, Change); 12] = [
        ("with padding", |segment| format!("{segment}{}", "=".repeat((4 - segment.len() % 4) % 4))),
        ("with one more `=`", |segment| format!("{segment}=")),
        ("in base64's own alphabet", |segment| segment.replace('-', "+").replace('_', "/")),
        ("with one character of base64's own", |segment| segment.replacen('_', "/", 1)),
        ("with a space within", |segment| spliced(segment, " ")),
        ("with a tab within", |segment| spliced(segment, "\t")),
        ("with a `=` within", |segment| spliced(segment, "=")),
        ("with a byte of no alphabet", |segment| spliced(segment, "\u{e9}")),
        ("with a percent sign", |segment| spliced(segment, "%2D")),
        ("with other bits at its end", next_end),
        ("of one character less", |segment| segment[..segment.len() - 1].to_owned()),
        ("in quotes", |segment| format!("\"{segment}\"")),
    ];
    for (what, change) in changes {
        let odd = change(&header);
        assert_ne!(odd, header, "{what}");
        let token = table.forge.of_segments(&odd, &claims);
        table.token("all", format!("a header {what}"), token, INVALID);
        let odd = change(&claims);
        assert_ne!(odd, claims, "{what}");
        let token = table.forge.of_segments(&header, &odd);
        table.token("all", format!("a payload {what}"), token, INVALID);
        let odd = change(&signature);
        assert_ne!(odd, signature, "{what}");
        table.token("all", format!("a signature {what}"), format!("{header}.{claims}.{odd}"), INVALID);
    }
    for (header, claims) in [(format!("{header} "), claims.clone()), (header.clone(), format!(" {claims}")), (header, format!("{claims} "))]
    {
        let token = table.forge.of_segments(&header, &claims);
        table.token("all", "a space beside a dot", token, INVALID);
    }
}

/// A segment whose last character has bits that mean nothing: padding would follow it.
fn loose_ended(object: impl Fn(&str) -> String) -> String {
    let segments = ["", "x", "xx"].map(|pad| text(object(pad).as_bytes()));
    segments.into_iter().find(|segment| segment.len() % 4 == 2).expect("one of three lengths leaves bits over")
}

fn spliced(segment: &str, part: &str) -> String {
    let (before, after) = segment.split_at(segment.len() / 2);
    format!("{before}{part}{after}")
}

/// The same bytes for readers that pass over bits at the end.
fn next_end(segment: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = segment.split_at(segment.len() - 1);
    let place = ALPHABET.find(last).expect("it is of the alphabet");
    assert_eq!((segment.len() % 4, place % 16), (2, 0), "four bits mean nothing, and are zero");
    format!("{rest}{}", &ALPHABET[place + 1..place + 2])
}

fn add_counts(table: &mut Table) {
    let token = table.forge.good(Algorithm::Es256);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("a token has three segments") };
    // RFC 7516 section 7.1: five segments are an encrypted token's.
    let encrypted = text(br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
    let flat = format!("{{\"payload\":\"{payload}\",\"protected\":\"{header}\",\"signature\":\"{signature}\"}}");
    for (what, token) in [
        ("no segment", String::new()),
        ("one segment", (*header).to_owned()),
        ("two segments", format!("{header}.{payload}")),
        ("four segments", format!("{token}.{signature}")),
        ("five segments", format!("{encrypted}.{signature}.{signature}.{payload}.{signature}")),
        ("five segments, the first three genuine", format!("{token}.{payload}.{signature}")),
        ("a dot behind", format!("{token}.")),
        ("a dot ahead", format!(".{token}")),
        ("dots alone", "..".to_owned()),
        ("an empty header", format!(".{payload}.{signature}")),
        ("an empty payload", format!("{header}..{signature}")),
        ("an empty signature", format!("{header}.{payload}.")),
        ("an unencoded payload", format!("{header}.{{}}.{signature}")),
        ("the flattened serialisation of RFC 7515 section 7.2.2", flat),
        ("quotes around", format!("\"{token}\"")),
        ("another word behind", format!("{token} x")),
        ("a scheme again", format!("Bearer {token}")),
        ("a comma behind", format!("{token},")),
    ] {
        table.token("all", what, token, INVALID);
    }
}
