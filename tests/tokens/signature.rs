// SPDX-License-Identifier: Apache-2.0
//! Signatures that aren't the key's for this text, or are in another form: RFC 7518 section 3, RFC 8037 section 3.1.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::text;

use super::der::ecdsa;
use super::forge::{SECRET, signature_of};
use super::table::{ADMITTED, Table};

const INVALID: &str = "TokenSignatureInvalid";

/// Adds the rows.
pub fn add(table: &mut Table) {
    for algorithm in Algorithm::ALL {
        add_changed(table, if algorithm.is_symmetric() { "shared" } else { "all" }, algorithm);
    }
    add_ecdsa(table);
    add_rsa(table);
    add_salts(table);
    add_edwards(table);
    let token = table.forge.good(Algorithm::Hs256);
    for length in [16, 31] {
        let cut = signature_of(&token, |signature| signature[..length].to_vec());
        table.token("shared", format!("the first {length} bytes of a MAC"), cut, INVALID);
    }
    let of_secret = signature_of(&token, |_| SECRET[..32].to_vec());
    table.token("shared", "the secret for a MAC", of_secret, INVALID);
    let (signed, _) = token.rsplit_once('.').expect("there is a signature");
    let signed = signed.to_owned();
    table.token("shared", "no MAC", format!("{signed}."), "JwtInvalid");
}

/// What no signature survives.
fn add_changed(table: &mut Table, provider: &str, algorithm: Algorithm) {
    let token = table.forge.good(algorithm);
    let longer = |signature: Vec<u8>| [&signature[..], &[0]].concat();
    let ahead = |signature: Vec<u8>| [&[0], &signature[..]].concat();
    let twice = |signature: Vec<u8>| [&signature[..], &signature].concat();
    let cut = |mut signature: Vec<u8>| {
        signature.pop();
        signature
    };
    let flipped = |at: fn(usize) -> usize, bit: u8| {
        move |mut signature: Vec<u8>| {
            let at = at(signature.len());
            signature[at] ^= bit;
            signature
        }
    };
    for (what, changed) in [
        ("a byte longer", signature_of(&token, longer)),
        ("a zero ahead", signature_of(&token, ahead)),
        ("twice", signature_of(&token, twice)),
        ("a byte shorter", signature_of(&token, cut)),
        ("of one byte", signature_of(&token, |signature| signature[..1].to_vec())),
        ("of zeros", signature_of(&token, |signature| vec![0; signature.len()])),
        ("of ones", signature_of(&token, |signature| vec![0xff; signature.len()])),
        ("with its first bit changed", signature_of(&token, flipped(|_| 0, 0x80))),
        ("with its last bit changed", signature_of(&token, flipped(|length| length - 1, 1))),
        ("with a bit in the middle changed", signature_of(&token, flipped(|length| length / 2, 8))),
    ] {
        table.token(provider, format!("a signature by {algorithm}, {what}"), changed, INVALID);
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("a token has three segments") };
    let other = text(table.forge.claims_with("sub", "\"sauron-of-barad-dur\"").as_bytes());
    table.token(provider, format!("a signature by {algorithm} of another payload"), format!("{header}.{other}.{signature}"), INVALID);
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(header).expect("it is base64url");
    let mut decoded: Value = serde_json::from_slice(&decoded).expect("it is JSON");
    decoded["typ"] = json!("JWT");
    let renamed = text(decoded.to_string().as_bytes());
    table.token(provider, format!("a signature by {algorithm} of another header"), format!("{renamed}.{payload}.{signature}"), INVALID);
}

/// RFC 7518 section 3.4: R and S side by side, each as long as the order n, and each from 1 to n - 1.
fn add_ecdsa(table: &mut Table) {
    for (algorithm, order) in [(Algorithm::Es256, ORDER_256), (Algorithm::Es384, ORDER_384)] {
        let n: Vec<u8> =
            (0..order.len()).step_by(2).map(|at| u8::from_str_radix(&order[at..at + 2], 16).expect("it is hexadecimal")).collect();
        let mut after = n.clone();
        *after.last_mut().expect("it isn't empty") += 1;
        let zero = vec![0; n.len()];
        let token = table.forge.good(algorithm);
        let half = n.len();
        for (what, number) in [("0", &zero), ("n", &n), ("n + 1", &after)] {
            let r = signature_of(&token, |signature| [&number[..], &signature[half..]].concat());
            table.token("all", format!("{algorithm} with R {what}"), r, INVALID);
            let s = signature_of(&token, |signature| [&signature[..half], number].concat());
            table.token("all", format!("{algorithm} with S {what}"), s, INVALID);
            let both = signature_of(&token, |_| [&number[..], number].concat());
            table.token("all", format!("{algorithm} with both {what}"), both, INVALID);
        }
        let der = signature_of(&token, |signature| ecdsa(&signature));
        table.token("all", format!("{algorithm} in DER"), der, INVALID);
        let swapped = signature_of(&token, |signature| [&signature[half..], &signature[..half]].concat());
        table.token("all", format!("{algorithm} with S before R"), swapped, INVALID);
        let wide = signature_of(&token, |signature| [&[0; 16], &signature[..half], &[0; 16], &signature[half..]].concat());
        table.token("all", format!("{algorithm} with zeros before R and before S"), wide, INVALID);
        let beginning = minted(table, algorithm, |signature| signature[0] == 0);
        table.token("all", format!("{algorithm} whose R begins with a zero"), beginning.clone(), ADMITTED);
        let short = signature_of(&beginning, |signature| signature[1..].to_vec());
        table.token("all", format!("{algorithm} without the zero that its R begins with"), short, INVALID);
        let inner = minted(table, algorithm, |signature| signature[half] == 0);
        let short = signature_of(&inner, |signature| [&signature[..half], &signature[half + 1..]].concat());
        table.token("all", format!("{algorithm} without the zero that its S begins with"), short, INVALID);
    }
}

/// RFC 8017 sections 8.1.2 and 8.2.2: as long as the modulus, and below it.
fn add_rsa(table: &mut Table) {
    let keys = table.forge.issuer.key_set();
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(keys["keys"][0]["n"].as_str().expect("it is text")).expect("it is base64url");
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let token = minted(table, algorithm, |signature| signature[0] == 0);
        table.token("all", format!("{algorithm} that begins with a zero"), token.clone(), ADMITTED);
        let short = signature_of(&token, |signature| signature[1..].to_vec());
        table.token("all", format!("{algorithm} without the zero that it begins with"), short, INVALID);
        let token = minted(table, algorithm, |signature| sum(signature, &modulus).is_some());
        let beyond = signature_of(&token, |signature| sum(&signature, &modulus).expect("it fits"));
        table.token("all", format!("{algorithm} and the modulus on top"), beyond, INVALID);
    }
    let token = table.forge.good(Algorithm::Rs256);
    table.token("all", "RS256 that is the modulus", signature_of(&token, |_| modulus.clone()), INVALID);
    let one = signature_of(&token, |signature| [&vec![0; signature.len() - 1][..], &[1]].concat());
    table.token("all", "RS256 that is 1", one, INVALID);
}

/// RFC 7518 section 3.5: the salt is as long as the hash.
fn add_salts(table: &mut Table) {
    for length in [0, 20, 31, 32, 33, 64] {
        let token = table.forge.salted(length);
        table.token("two", format!("PS256 with a salt of {length} bytes"), token, if length == 32 { ADMITTED } else { INVALID });
    }
}

/// RFC 8032 section 5.1.7: S is below the group's order.
fn add_edwards(table: &mut Table) {
    let token = table.forge.good(Algorithm::EdDsa);
    let beyond = signature_of(&token, |mut signature| {
        signature[32..].reverse();
        let order = [&[0x10][..], &[0; 15], b"\x14\xde\xf9\xde\xa2\xf7\x9c\xd6\x58\x12\x63\x1a\x5c\xf5\xd3\xed"].concat();
        let mut s = sum(&signature[32..], &order).expect("it fits");
        s.reverse();
        [&signature[..32], &s].concat()
    });
    table.token("all", "EdDSA and the group's order on top", beyond, INVALID);
    // The neutral element for R, and 0 for S: what a key of small order would verify.
    let neutral = signature_of(&token, |_| [&[1][..], &[0; 63]].concat());
    table.token("all", "EdDSA of the neutral element", neutral, INVALID);
}

/// A genuine token with a signature of this kind.
fn minted(table: &mut Table, algorithm: Algorithm, is_sought: impl Fn(&[u8]) -> bool) -> String {
    let header = json!({"alg": algorithm.as_str(), "kid": table.forge.issuer.key_id(algorithm)}).to_string();
    (0..100_000)
        .map(|serial| {
            let claims = table.forge.claims_with("jti", &format!("\"{serial}\""));
            table.forge.issuer.compact(algorithm, header.as_bytes(), claims.as_bytes()).expect("it signs")
        })
        .find(|token| {
            let (_, signature) = token.rsplit_once('.').expect("there is a signature");
            is_sought(&BASE64_URL_SAFE_NO_PAD.decode(signature).expect("it is base64url"))
        })
        .expect("there is one among so many")
}

/// The sum of two numbers, where it is no longer than the first one.
fn sum(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let mut sum = one.to_vec();
    let mut carry = 0_u16;
    for (byte, added) in sum.iter_mut().rev().zip(other.iter().rev()) {
        carry += u16::from(*byte) + u16::from(*added);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    (carry == 0).then_some(sum)
}

/// The orders of P-256 and P-384 (FIPS 186-4 appendix D.1.2).
const ORDER_256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const ORDER_384: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
