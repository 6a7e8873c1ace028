// SPDX-License-Identifier: Apache-2.0
//! Secrets that tell where they have been planted, and the forms in which they could come out.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// A secret, and where it may come out.
pub struct Secret {
    /// Where it is planted.
    pub place: &'static str,
    /// Outputs in which it must be found; in no other one may it.
    pub allowed: &'static [&'static str],
    pub text: String,
}

impl Secret {
    /// Another one in every run. Letters and digits alone, so that it can stand anywhere.
    pub fn new(place: &'static str, allowed: &'static [&'static str]) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
        let digest = hex::encode(Sha256::digest(format!("{place} {now}")));
        Self { place, allowed, text: digest[..2 * HALF].to_owned() }
    }

    /// The form in which it stands among these bytes, if in any. Each half is looked for: it may be cut.
    pub fn found_in(&self, bytes: &[u8]) -> Option<String> {
        let lower = bytes.to_ascii_lowercase();
        let (first, second) = self.text.split_at(HALF);
        [first, second].into_iter().find_map(|half| {
            let encoded = forms(half).into_iter().find(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()));
            let folded = lower.windows(HALF).any(|window| window == half.as_bytes());
            encoded.or_else(|| folded.then(|| half.to_owned()))
        })
    }
}

/// What encodings make of a text, wherever it begins within what is encoded.
fn forms(text: &str) -> Vec<String> {
    let percent = |upper: bool| {
        text.bytes().fold(String::new(), |mut all, byte| {
            let _ = if upper { write!(all, "%{byte:02X}") } else { write!(all, "%{byte:02x}") };
            all
        })
    };
    let reversed: String = text.chars().rev().collect();
    let mut forms = vec![text.to_owned(), reversed, hex::encode(text), hex::encode_upper(text), percent(false), percent(true)];
    for before in 0..3_usize {
        let encoded = STANDARD_NO_PAD.encode([vec![b' '; before], text.as_bytes().to_vec()].concat());
        // What stands around it decides about the first digits and the last.
        let begin = (before * 8).div_ceil(6);
        let end = (before + text.len()) * 8 / 6;
        forms.push(encoded[begin..end].to_owned());
    }
    forms
}

/// Digits of half a secret: nobody draws them by chance.
const HALF: usize = 20;

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = Secret::new("here", &[]);
    let (text, half) = (&secret.text, &secret.text[..HALF]);
    for hidden in [
        text.clone(),
        text.to_ascii_uppercase(),
        format!("a{half}"),
        text[HALF..].to_owned(),
        hex::encode(text),
        STANDARD_NO_PAD.encode(format!("{{\"a\":\"{text}\"}}")),
        STANDARD_NO_PAD.encode(format!("{{\"ab\":\"{text}\"}}")),
        STANDARD_NO_PAD.encode(format!("{{\"abc\":\"{text}\"}}")),
        text.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}")),
    ] {
        assert!(secret.found_in(hidden.as_bytes()).is_some(), "{hidden}");
    }
    for other in ["", "here", &text[1..HALF], &Secret::new("there", &[]).text] {
        assert_eq!(secret.found_in(other.as_bytes()), None, "{other}");
    }
}
