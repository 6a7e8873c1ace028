// SPDX-License-Identifier: Apache-2.0
//! Tokens of any bytes, and of almost the right ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;

fn compact(parts: [&[u8]; 3]) -> String {
    parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

#[test]
fn what_a_header_says_is_read_and_nothing_is_believed() {
    let text = compact([br#"{"alg":"ES256","kid":"k1"}"#, br#"{"exp":1}"#, b"signature"]);
    let token = Token::read(text.as_bytes()).unwrap();
    assert_eq!((token.algorithm, token.key_id.as_deref()), (Some(Algorithm::Es256), Some("k1")));
    assert_eq!((token.signed, token.signature), (text.rsplit_once('.').unwrap().0.as_bytes(), b"signature".to_vec()));
    let text = compact([br#"{"alg":"none","jwk":{},"jku":7,"x5u":null,"x5c":[]}"#, b"{}", b"s"]);
    let token = Token::read(text.as_bytes()).unwrap();
    assert_eq!((token.algorithm, token.key_id), (None, None));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        accepted_has_one_spelling(&bytes);
    }

    #[test]
    fn no_three_segments_panic(text in "[A-Za-z0-9_=+/ -]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,8}") {
        accepted_has_one_spelling(text.as_bytes());
    }

    #[test]
    fn any_header_and_payload_are_read_or_refused(
        header in "\\{\"alg\":\"(ES256|none)\"(,\"(kid|crit|x)\":(\"[ -~]{0,4}\"|[0-9.e-]{1,4}|\\[\\]|\\{\"a\":1,\"[ab]\":2\\})){0,2}\\}",
        payload in "\\{(\"(iss|aud|exp|nbf)\":(\"[a-c]{0,2}\"|-?[0-9]{1,20}(\\.[0-9])?(e[0-9]{1,3})?|\\[\"a\"(,1)?\\]|null))?\\}",
        signature in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let text = compact([header.as_bytes(), payload.as_bytes(), &signature]);
        accepted_has_one_spelling(text.as_bytes());
        if let Ok(token) = Token::read(text.as_bytes()) {
            prop_assert!(!signature.is_empty() && !header.contains("crit") && !header.contains("\"a\":1,\"a\""), "{header}");
            prop_assert_eq!(token.algorithm.is_some(), header.contains("ES256"));
        }
    }

    /// Anything put in, changed or left out makes another token or none.
    #[test]
    fn one_byte_away_is_never_the_same_token(at in 0_usize..80, byte in any::<u8>()) {
        let text = compact([br#"{"alg":"EdDSA"}"#, br#"{"iss":"a","exp":12}"#, b"signature here"]).into_bytes();
        let at = at.min(text.len() - 1);
        let original = Token::read(&text).unwrap();
        let inserted = [&text[..at], &[byte], &text[at..]].concat();
        let mut changed = text.clone();
        changed[at] = byte;
        let removed = [&text[..at], &text[at + 1..]].concat();
        for other in [inserted, changed, removed].iter().filter(|other| **other != text) {
            accepted_has_one_spelling(other);
            if let Ok(token) = Token::read(other) {
                prop_assert!((token.signed, &token.signature) != (original.signed, &original.signature));
            }
        }
    }
}
