// SPDX-License-Identifier: Apache-2.0
//! Hosts that verify signatures, and hosts that say they do.

use super::super::algorithm::Algorithm;
use super::super::host::Proven;
use super::super::jwk;
use super::super::key::{Key, Verification};
use super::*;
use crate::inputs::HostSignatures;

/// The key and signature that hosts are put to the test with, as any key and signature.
fn known() -> (Key, &'static [u8], &'static [u8]) {
    let base64 = base64::engine::general_purpose::STANDARD.encode(include_bytes!("../known/rsa.spki"));
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", base64);
    let lines = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n");
    let key = Key::from_pem(&pem.replace(&base64, &lines)).unwrap();
    (key, b"tracegate known answer", include_bytes!("../known/rs256.sig"))
}

/// A host that answers by this rule, and how often it was asked.
struct Host<F>(F, usize);

impl<F: FnMut(&[u8]) -> Option<bool>> HostSignatures for Host<F> {
    fn verify(&mut self, _: &str, _: &[u8], _: &[u8], text: &[u8]) -> Option<bool> {
        self.1 += 1;
        self.0(text)
    }
}

#[test]
fn only_a_host_that_tells_true_from_forged_is_believed() {
    let (key, text, signature) = known();
    let honest = |text: &[u8]| Some(text == b"tracegate known answer");
    for (rule, believed) in [
        (&honest as &dyn Fn(&[u8]) -> Option<bool>, true),
        (&|_: &[u8]| Some(true), false),
        (&|_: &[u8]| Some(false), false),
        (&|_: &[u8]| None, false),
        (&|text: &[u8]| honest(text).filter(|sound| *sound), false),
    ] {
        let mut host = Host(rule, 0);
        let proven = Proven::test(|algorithm| algorithm == Algorithm::Rs256, &mut host);
        let asked = host.1;
        let sound = key.verify(Algorithm::Rs256, text, signature, proven, &mut host);
        assert_eq!(sound, Verification { sound: true, by_host: believed });
        assert_eq!(host.1 - asked, usize::from(believed));
        let forged = key.verify(Algorithm::Rs256, b"something else", signature, proven, &mut host);
        assert_eq!(forged, Verification { sound: false, by_host: believed });
        // What it wasn't put to the test for, it isn't asked.
        assert!(!key.verify(Algorithm::Rs384, text, signature, proven, &mut host).by_host);
    }
}

#[test]
fn a_host_that_falls_silent_is_no_answer() {
    let (key, text, signature) = known();
    let mut honest = Host(|text: &[u8]| Some(text == b"tracegate known answer"), 0);
    let proven = Proven::test(|_| true, &mut honest);
    let mut silent = Host(|_: &[u8]| None, 0);
    let sound = key.verify(Algorithm::Rs256, text, signature, proven, &mut silent);
    assert_eq!((sound, silent.1), (Verification { sound: true, by_host: false }, 1));
}

#[test]
fn the_host_gets_what_it_can_verify() {
    let read = |text: &str| jwk::read(&crate::json::parse(text.as_bytes()).unwrap()).unwrap().unwrap();
    // RFC 7515 appendix A.3.
    let key = read(
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    );
    let text = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    struct Strict;
    impl HostSignatures for Strict {
        /// Takes DER alone, as Envoy does.
        fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
            use p256::ecdsa::signature::Verifier as _;
            use p256::pkcs8::DecodePublicKey as _;
            if (hash, key.len()) != ("sha256", 91) {
                return Some(false);
            }
            let key = p256::ecdsa::VerifyingKey::from_public_key_der(key).unwrap();
            let signature = p256::ecdsa::Signature::from_der(signature).unwrap();
            Some(key.verify(text, &signature).is_ok())
        }
    }
    let proven = Proven::test(|algorithm| algorithm == Algorithm::Es256, &mut Strict);
    let verified = key.verify(Algorithm::Es256, text, &signature, proven, &mut Strict);
    assert_eq!(verified, Verification { sound: true, by_host: true });
    let mut forged = signature;
    forged[40] ^= 1;
    let refused = key.verify(Algorithm::Es256, text, &forged, proven, &mut Strict);
    assert_eq!(refused, Verification { sound: false, by_host: true });
}
