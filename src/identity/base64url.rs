// SPDX-License-Identifier: Apache-2.0
//! base64url as JWS writes it (RFC 7515 section 2): no padding, no white space, and one text for one value, so that bits that mean nothing are
//! zero.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The bytes; `None` for anything but the one text that stands for them.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_one_value() {
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode(b"_-8"), Some(vec![0xff, 0xef]));
        for text in ["_-9", "_-8=", "/+8", " _-8", "_-8\n", "_", "_-8.", "\u{e9}"] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }
}
