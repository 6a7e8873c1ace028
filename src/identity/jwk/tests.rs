// SPDX-License-Identifier: Apache-2.0
//! What issuers publish: a wrong key costs the good ones nothing, a set that can't be trusted costs all.

use super::*;

const GOOD: &str = r#"{"kty":"OKP","kid":"good","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn set(keys: &[&str]) -> String {
    format!("{{\"keys\":[{}],\"issuer\":\"https://id.shop.example/\"}}", keys.join(","))
}

#[test]
fn wrong_keys_and_unknown_ones_are_left_out() {
    for (key, wrong) in [
        (r#"{"kty":"OKP","crv":"Ed25519"}"#, 1),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, 1),
        (r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, 1),
        (r#"{"kty":"OKP","kid":"good","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}"#, 1),
        ("7", 1),
        (r#"{"kty":"PQC"}"#, 0),
        (r#"{"kty":"EC","crv":"P-521","kid":"good"}"#, 0),
        (r#"{"kty":"RSA","use":"enc"}"#, 0),
    ] {
        let published = published(set(&[key, GOOD]).as_bytes()).unwrap();
        assert_eq!((published.keys.len(), published.wrong), (1, wrong), "{key}");
        assert!(published.keys.find(Some("good"), Algorithm::EdDsa).is_some(), "{key}");
    }
}

#[test]
fn a_set_that_is_not_to_be_trusted_is_none() {
    let other = GOOD.replace("good", "other");
    let crowd: Vec<String> = (0..101).map(|index| GOOD.replace("good", &format!("k{index}"))).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    for (text, expected) in [
        ("", InvalidPublished::NoJson),
        ("<html>", InvalidPublished::NoJson),
        ("[]", InvalidPublished::NoKeySet),
        ("{}", InvalidPublished::NoKeySet),
        (r#"{"keys":{}}"#, InvalidPublished::NoKeySet),
        (GOOD, InvalidPublished::NoKeySet),
        (r#"{"keys":[],"keys":[]}"#, InvalidPublished::NoKeySet),
        // Readers of the first and of the last would see different keys.
        (&set(&[r#"{"kty":"OKP","kty":"OKP"}"#, GOOD]), InvalidPublished::NoKeySet),
        (r#"{"keys":[]}"#, InvalidPublished::Empty),
        (&set(&[r#"{"kty":"PQC"}"#]), InvalidPublished::Empty),
        (&set(&["7"]), InvalidPublished::Empty),
        (&set(&[GOOD, GOOD]), InvalidPublished::Set(InvalidKeySet::Repeated)),
        (&set(&[GOOD, &other, r#"{"kty":"oct","k":"AAAA"}"#]), InvalidPublished::Set(InvalidKeySet::Mixed)),
        (&set(&[r#"{"kty":"oct","k":"AAAA"}"#]), InvalidPublished::Set(InvalidKeySet::Mixed)),
        (&set(&crowd), InvalidPublished::Set(InvalidKeySet::TooMany)),
    ] {
        assert_eq!(published(text.as_bytes()).err(), Some(expected), "{text:.200}");
    }
    assert_eq!(published(set(&[GOOD, &other]).as_bytes()).map(|published| published.keys.len()), Ok(2));
    assert_eq!(published(set(&crowd[..100]).as_bytes()).map(|published| published.keys.len()), Ok(100));
}
