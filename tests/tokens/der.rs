// SPDX-License-Identifier: Apache-2.0
//! As much of DER (X.690) as keys and signatures take, written down here for a second opinion.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::Value;

/// A SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) of a JSON Web Key.
pub fn spki(jwk: &Value) -> Vec<u8> {
    let member = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("it is text")).expect("it is base64url");
    let (algorithm, key) = match (jwk["kty"].as_str(), jwk["crv"].as_str()) {
        // RFC 3279 section 2.3.1, RFC 5480 section 2.1.1, RFC 8410 section 3.
        (Some("RSA"), _) => {
            let numbers = [integer(&member("n")), integer(&member("e"))].concat();
            ([&tlv(OBJECT, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")[..], &tlv(NULL, b"")].concat(), tlv(SEQUENCE, &numbers))
        }
        (Some("EC"), Some(curve)) => {
            let curve: &[u8] = if curve == "P-256" { b"\x2a\x86\x48\xce\x3d\x03\x01\x07" } else { b"\x2b\x81\x04\x00\x22" };
            let algorithm = [tlv(OBJECT, b"\x2a\x86\x48\xce\x3d\x02\x01"), tlv(OBJECT, curve)].concat();
            (algorithm, [&[4][..], &member("x"), &member("y")].concat())
        }
        _ => (tlv(OBJECT, b"\x2b\x65\x70"), member("x")),
    };
    tlv(SEQUENCE, &[tlv(SEQUENCE, &algorithm), tlv(BIT_STRING, &[&[0][..], &key].concat())].concat())
}

/// A public key in PEM (RFC 7468 section 13).
pub fn pem(jwk: &Value) -> String {
    let text = BASE64_STANDARD.encode(spki(jwk));
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// An ECDSA-Sig-Value (RFC 3279 section 2.2.3) of R and S side by side.
pub fn ecdsa(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    tlv(SEQUENCE, &[integer(r), integer(s)].concat())
}

/// A number that isn't negative.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let sign: &[u8] = if number.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    tlv(INTEGER, &[sign, number].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let length = match content.len() {
        0..0x80 => vec![low],
        0x80..0x100 => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag][..], &length, content].concat()
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
