// SPDX-License-Identifier: Apache-2.0
//! What a header may say: RFC 7515 section 4, RFC 8725 sections 2 and 3.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tracegate::identity::Algorithm;
use tracegate_harness::issuer::text;

use super::der::{pem, spki};
use super::forge::SUBJECT;
use super::table::{ADMITTED, Table};

/// Adds the rows.
pub fn add(table: &mut Table) {
    add_unsigned(table);
    add_confused(table);
    add_keys_own_limits(table);
    add_embedded_keys(table);
    add_not_understood(table);
    add_key_ids(table);
}

/// RFC 7515 section 4.1.1: `alg` is compared byte for byte; RFC 8725 section 3.2: `none` is none.
fn add_unsigned(table: &mut Table) {
    for alg in ["none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "ES256\u{0}", "ES256K", "ES512", "Ed25519", "RSA-OAEP", "HS1", "RS1"]
    {
        let header = table.forge.header_with("alg", &json!(alg).to_string());
        table.header(format!("alg {alg:?}"), header, "TokenAlgorithmNotAllowed");
    }
    for alg in ["none", "ES256"] {
        let header = text(table.forge.header_with("alg", &json!(alg).to_string()).as_bytes());
        let signed = format!("{header}.{}", text(table.forge.claims().as_bytes()));
        table.token("all", format!("alg {alg:?} without a signature"), format!("{signed}."), "JwtInvalid");
    }
    for alg in ["null", "256", "true", "[\"ES256\"]", "{}"] {
        let header = table.forge.header_with("alg", alg);
        table.header(format!("alg {alg}"), header, "JwtInvalid");
    }
    table.header("no alg", r#"{"kid":"p256-1"}"#, "JwtInvalid");
}

/// RFC 8725 sections 2.1 and 3.1: who verifies says which algorithm it is, not the token.
fn add_confused(table: &mut Table) {
    let keys = table.forge.issuer.key_set();
    let claims = table.forge.claims();
    for key in keys["keys"].as_array().expect("there are keys") {
        let mut secrets = vec![("PEM", pem(key).into_bytes()), ("DER", spki(key)), ("JWK", key.to_string().into_bytes())];
        for name in ["n", "x"] {
            if let Some(number) = key[name].as_str() {
                secrets.push((name, BASE64_URL_SAFE_NO_PAD.decode(number).expect("it is base64url")));
            }
        }
        let trimmed = pem(key).trim_end().as_bytes().to_vec();
        secrets.push(("PEM without its last line break", trimmed));
        for (what, secret) in secrets {
            let header = json!({"alg": "HS256", "kid": key["kid"]}).to_string();
            let token = hmac(&secret, &header, &claims);
            for provider in ["all", "pem"] {
                table.token(provider, format!("HS256 with the {what} of {}", key["kid"]), token.clone(), "TokenAlgorithmNotAllowed");
            }
            table.token("shared", format!("HS256 with the {what} of {}", key["kid"]), token, "TokenSignatureKeyNotFound");
        }
    }
    for (provider, algorithm) in
        [("ps", Algorithm::Rs256), ("rs", Algorithm::Ps256), ("rs", Algorithm::Rs384), ("shared", Algorithm::Rs256)]
    {
        let token = table.forge.good(algorithm);
        table.token(provider, format!("{algorithm}, which isn't allowed there"), token, "TokenAlgorithmNotAllowed");
    }
    // The header says one, the signature is another's.
    for (said, done) in [
        (Algorithm::Rs256, Algorithm::Ps256),
        (Algorithm::Ps256, Algorithm::Rs256),
        (Algorithm::Rs256, Algorithm::Rs512),
        (Algorithm::Ps512, Algorithm::Ps256),
        (Algorithm::Es256, Algorithm::EdDsa),
        (Algorithm::EdDsa, Algorithm::Es256),
    ] {
        let header = json!({"alg": said.as_str(), "kid": table.forge.issuer.key_id(said)}).to_string();
        let token = table.forge.issuer.compact(done, header.as_bytes(), claims.as_bytes()).expect("it signs");
        table.token("all", format!("{said} that is {done}"), token, "TokenSignatureInvalid");
    }
    for (said, done) in [(Algorithm::Hs256, Algorithm::Hs512), (Algorithm::Hs512, Algorithm::Hs256)] {
        let header = json!({"alg": said.as_str(), "kid": table.forge.issuer.key_id(said)}).to_string();
        let token = table.forge.issuer.compact(done, header.as_bytes(), claims.as_bytes()).expect("it signs");
        table.token("shared", format!("{said} that is {done}"), token, "TokenSignatureInvalid");
    }
}

/// A token that somebody signs with what everybody knows.
fn hmac(secret: &[u8], header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", text(header.as_bytes()), text(claims.as_bytes()));
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key has any length");
    format!("{signed}.{}", text(&mac.chain_update(&signed).finalize().into_bytes()))
}

/// RFC 7517 sections 4.2 to 4.4: what a key says that it is for; RFC 8725 section 3.1.
fn add_keys_own_limits(table: &mut Table) {
    for (provider, algorithm, kind) in [
        ("all", Algorithm::Rs256, Algorithm::Es256),
        ("all", Algorithm::Es256, Algorithm::Rs256),
        ("all", Algorithm::Es256, Algorithm::Es384),
        ("all", Algorithm::Es384, Algorithm::Es256),
        ("all", Algorithm::EdDsa, Algorithm::Es256),
        ("all", Algorithm::Ps256, Algorithm::EdDsa),
    ] {
        let header = json!({"alg": algorithm.as_str(), "kid": table.forge.issuer.key_id(kind)}).to_string();
        let claims = table.forge.claims();
        let token = table.forge.issuer.compact(algorithm, header.as_bytes(), claims.as_bytes()).expect("it signs");
        table.token(provider, format!("{algorithm} with a key for {kind}"), token, "TokenSignatureKeyNotFound");
    }
    for (algorithm, what) in [
        (Algorithm::Rs256, "whose key has `alg: PS256`"),
        (Algorithm::Es256, "whose key has `use: enc`"),
        (Algorithm::Es384, "whose key has `key_ops: [sign]`"),
    ] {
        let token = table.forge.good(algorithm);
        table.token("bound", format!("{algorithm} {what}"), token, "TokenSignatureKeyNotFound");
    }
}

/// RFC 7515 sections 4.1.2 to 4.1.6 let a token bring its key along: nobody looks.
fn add_embedded_keys(table: &mut Table) {
    let key = table.forge.attacker.key_set()["keys"][1].clone();
    let certificate = json!([BASE64_STANDARD.encode(spki(&key))]);
    let elsewhere = json!(format!("https://{SUBJECT}.example/keys"));
    let own = json!({"kid": "attacker-1"});
    for (name, value) in [("jwk", &key), ("jku", &elsewhere), ("x5u", &elsewhere), ("x5c", &certificate)] {
        let claims = table.forge.claims();
        for (kid, expected) in [
            (Some(&key["kid"]), "TokenSignatureInvalid"),
            (None, "TokenSignatureInvalid"),
            (Some(&own["kid"]), "TokenSignatureKeyNotFound"),
        ] {
            let mut header = json!({"alg": "ES256", name: value});
            if let Some(kid) = kid {
                header["kid"] = kid.clone();
            }
            let forged = table.forge.attacker.compact(Algorithm::Es256, header.to_string().as_bytes(), claims.as_bytes());
            let kid = kid.unwrap_or(&Value::Null);
            table.token("all", format!("the attacker's {name} in the header, kid {kid}"), forged.expect("it signs"), expected);
        }
        let header = table.forge.header_with(name, &value.to_string());
        table.header(format!("genuine, and an {name} that is nobody's business"), header, ADMITTED);
    }
    let forged = table.forge.attacker.mint(Algorithm::Es256, &serde_json::from_str(&table.forge.claims()).expect("it is JSON"));
    table.token("all", "the attacker's own key under the issuer's id", forged.expect("it signs"), "TokenSignatureInvalid");
}

/// RFC 7515 section 4.1.11, RFC 7797 section 6, RFC 7516 sections 4.1.2 and 4.1.3: a token of other rules.
fn add_not_understood(table: &mut Table) {
    for (name, value) in [
        ("crit", "[\"exp\"]"),
        ("crit", "[\"b64\"]"),
        ("crit", "[\"alg\"]"),
        ("crit", "[]"),
        ("crit", "null"),
        ("b64", "false"),
        ("b64", "true"),
        ("zip", "\"DEF\""),
        ("enc", "\"A128GCM\""),
        ("enc", "null"),
    ] {
        let header = table.forge.header_with(name, value);
        table.header(format!("{name} {value}"), header, "JwtInvalid");
    }
    let header = table.forge.header_with("crit", "[\"b64\"]").replace('}', ",\"b64\":false}");
    table.header("b64 false and crit, as RFC 7797 has it", header, "JwtInvalid");
    let header = table.forge.header_with("\\u0063rit", "[\"exp\"]").replace("\\\\", "\\");
    assert!(header.contains("\"\\u0063rit\""), "{header}");
    table.header("crit, its first letter escaped", header, "JwtInvalid");
    let header = table.forge.header_with("typ", "\"at+jwt\"");
    table.header("another typ", header, ADMITTED);
    let header = table.forge.header_with("Crit", "[\"exp\"]");
    table.header("Crit is nobody's parameter", header, ADMITTED);
}

/// RFC 7515 section 4.1.4: an opaque text, and no key but the one that it names.
fn add_key_ids(table: &mut Table) {
    const UNKNOWN: &str = "TokenSignatureKeyNotFound";
    let longest = "k".repeat(256);
    for kid in [
        SUBJECT,
        "",
        " ",
        "p256-1 ",
        "P256-1",
        "p256-1\u{0}",
        "p256-1\r\nx: y",
        "p256-2",
        "p256-",
        "*",
        "../../../../dev/null",
        "/dev/null",
        "..\\..\\keys",
        "file:///etc/passwd",
        "p256-1' OR '1'='1",
        "x' UNION SELECT 'secret",
        "$(id)",
        "{{7*7}}",
        "p256\u{2010}1",
        &longest,
    ] {
        let header = table.forge.header_with("kid", &json!(kid).to_string());
        table.header(format!("kid {kid:?}"), header, UNKNOWN);
    }
    for kid in ["null", "1", "true", "[\"p256-1\"]", "{\"kid\":\"p256-1\"}", &json!(format!("{longest}k")).to_string()] {
        let header = table.forge.header_with("kid", kid);
        table.header(format!("kid {kid:.40}"), header, "JwtInvalid");
    }
    let header = table.forge.header_with("kid", "\"\\u0070256-1\"");
    table.header("a kid with an escape", header, ADMITTED);
    table.header("no kid, and one key that fits", r#"{"alg":"ES256"}"#, ADMITTED);
    let claims = table.forge.claims();
    let mut without = |provider: &str, algorithm: Algorithm, name: &str, expected| {
        let header = json!({"alg": algorithm.as_str()}).to_string();
        let token = table.forge.issuer.compact(algorithm, header.as_bytes(), claims.as_bytes()).expect("it signs");
        table.token(provider, name, token, expected);
    };
    without("two", Algorithm::Rs256, "no kid, and two keys that fit", UNKNOWN);
    without("two", Algorithm::Ps256, "no kid, and two keys that fit", UNKNOWN);
    without("bound", Algorithm::Rs256, "no kid, and no key that fits", UNKNOWN);
    without("one", Algorithm::Rs256, "no kid, and a key without", ADMITTED);
    without("shared", Algorithm::Hs256, "no kid, and one secret", ADMITTED);
    let named = table.forge.good(Algorithm::Rs256);
    table.token("one", "a kid, and a key without", named, UNKNOWN);
}
