// SPDX-License-Identifier: Apache-2.0
//! What verifies, and what no longer does once a bit of it has changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::RsaPrivateKey;
use rsa::rand_core::{TryCryptoRng, TryRng};

use super::examples::{EXAMPLES, Example, P521, PRIVATE};
use super::*;
use crate::identity::{base64url, jwk};
use crate::inputs::NoSignatures;
use crate::json::{self, Value};

fn bytes(text: &str) -> Vec<u8> {
    base64url::decode(text.as_bytes()).unwrap()
}

fn hexadecimal(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).unwrap();
    bytes
}

fn jwk(text: &str) -> Option<Key> {
    jwk::read(&json::parse(text.as_bytes()).unwrap()).unwrap()
}

fn secret(bytes: &[u8]) -> Key {
    Key::secret(SecretKey::read(&STANDARD.encode(bytes), 32).unwrap())
}

fn verifies(key: &Key, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    let Verification { sound, by_host } = key.verify(algorithm, text, signature, Proven::default(), &mut NoSignatures);
    assert!(!by_host, "there is no host to say so");
    sound
}

impl Example {
    fn key(&self) -> Key {
        if !self.algorithm.is_symmetric() {
            return jwk(self.key).unwrap();
        }
        let node = json::parse(self.key.as_bytes()).unwrap();
        let Value::Mapping(members) = node.value else { panic!("{}: a key is an object", self.source) };
        let (_, k) = members.into_iter().find(|(name, _)| name.text == "k").unwrap();
        let Value::String(k) = k.value else { panic!("{}: `k` is text", self.source) };
        secret(&bytes(&k))
    }

    /// The example for an algorithm.
    fn of(algorithm: Algorithm) -> &'static Self {
        EXAMPLES.iter().find(|example| example.algorithm == algorithm).unwrap()
    }
}

/// The private key of the example for PS384.
fn private() -> RsaPrivateKey {
    let number = |text: &str| BoxedUint::from_be_slice_vartime(&bytes(text));
    let public: serde_json::Value = serde_json::from_str(Example::of(Algorithm::Ps384).key).unwrap();
    let [n, e] = ["n", "e"].map(|name| number(public[name].as_str().unwrap()));
    let [d, p, q] = PRIVATE.map(number);
    RsaPrivateKey::from_components(n, e, d, vec![p, q]).unwrap()
}

/// An RSA key's members.
pub(in crate::identity) fn rsa_members() -> [(&'static str, String); 3] {
    let public: serde_json::Value = serde_json::from_str(Example::of(Algorithm::Ps384).key).unwrap();
    ["kty", "n", "e"].map(|name| (name, public[name].as_str().unwrap().to_owned()))
}

/// What that key signs under RS256.
pub(in crate::identity) fn rs256(text: &[u8]) -> Vec<u8> {
    private().sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text)).unwrap()
}

#[test]
fn the_standards_examples_verify_and_no_longer_with_a_bit_changed() {
    for example in &EXAMPLES {
        let Example { source, algorithm, signed, signature, .. } = example;
        let (key, signature) = (example.key(), bytes(signature));
        assert!(verifies(&key, *algorithm, signed.as_bytes(), &signature), "{source}");
        for at in [0, 1, signature.len() / 2 - 1, signature.len() / 2, signature.len() - 1] {
            for bit in 0..8 {
                let mut changed = signature.clone();
                changed[at] ^= 1 << bit;
                assert!(!verifies(&key, *algorithm, signed.as_bytes(), &changed), "{source}: bit {bit} of byte {at} of the signature");
            }
        }
        let dot = signed.find('.').unwrap();
        for at in [0, dot - 1, dot, dot + 1, signed.len() / 2, signed.len() - 1] {
            for bit in 0..8 {
                let mut changed = signed.as_bytes().to_vec();
                changed[at] ^= 1 << bit;
                assert!(!verifies(&key, *algorithm, &changed, &signature), "{source}: bit {bit} of byte {at} of what is signed");
            }
        }
        let inverted: Vec<u8> = signature.iter().map(|byte| !byte).collect();
        let cut = &signature[..signature.len() - 1];
        let [longer, ahead] = [[&signature[..], &[0]].concat(), [&[0], &signature[..]].concat()];
        for wrong in [&[][..], &[0], cut, &longer, &ahead, &inverted, &vec![0; signature.len()], &vec![0xff; signature.len()]] {
            assert!(!verifies(&key, *algorithm, signed.as_bytes(), wrong), "{source}: a signature of {} bytes", wrong.len());
        }
        for other in Algorithm::ALL.into_iter().filter(|other| other != algorithm) {
            assert!(!verifies(&key, other, signed.as_bytes(), &signature), "{source}: as {other}");
        }
    }
}

#[test]
fn a_curve_that_no_algorithm_takes_has_no_key() {
    assert!(jwk(P521).is_none());
    assert!("ES512".parse::<Algorithm>().is_err());
}

/// FIPS 186-5 section 6.4.2: both are from 1 to n - 1. RFC 7518 section 3.4: they stand side by side, 32 bytes each.
#[test]
fn half_a_signature_on_a_curve_is_from_1_to_n_minus_1() {
    let example = Example::of(Algorithm::Es256);
    let (key, signature) = (example.key(), bytes(example.signature));
    let (r, s) = signature.split_at(32);
    let n = hexadecimal("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let mut after = n;
    after[31] += 1;
    for (r, s) in [(&[0; 32][..], s), (r, &[0; 32][..]), (&[0; 32], &[0; 32]), (&n, s), (r, &n), (&after, s), (r, &after), (&n, &n), (s, r)]
    {
        assert!(!verifies(&key, Algorithm::Es256, example.signed.as_bytes(), &[r, s].concat()), "{r:x?} {s:x?}");
    }
    let der = p256::ecdsa::Signature::from_slice(&signature).unwrap().to_der();
    assert!(!verifies(&key, Algorithm::Es256, example.signed.as_bytes(), der.as_bytes()), "in DER");
}

/// RFC 8032 section 5.1.7: S is below the group's order, or every signature would have a second one.
#[test]
fn a_signature_on_edwards_curve_has_one_form() {
    let example = Example::of(Algorithm::EdDsa);
    let key = example.key();
    let mut signature = bytes(example.signature);
    let order = hexadecimal("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0_u16;
    for (byte, added) in signature[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(added);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(carry, 0, "it fits");
    assert!(!verifies(&key, Algorithm::EdDsa, example.signed.as_bytes(), &signature));
}

/// RFC 7518 section 3.5: as long as the hash, no longer and no shorter.
#[test]
fn the_salt_is_as_long_as_the_hash() {
    let example = Example::of(Algorithm::Ps384);
    let private = private();
    for length in [0, 20, 32, 47, 48, 49, 64] {
        let salted = Pss::<Sha384>::new_with_salt(length);
        let signature = private.sign_with_rng(&mut Counting(0), salted, &Sha384::digest(example.signed)).unwrap();
        assert_eq!(verifies(&example.key(), Algorithm::Ps384, example.signed.as_bytes(), &signature), length == 48, "{length} bytes");
    }
}

#[test]
fn a_secret_is_for_hashes_that_are_no_longer() {
    for (length, expected) in [
        (32, &[Algorithm::Hs256][..]),
        (47, &[Algorithm::Hs256]),
        (48, &[Algorithm::Hs256, Algorithm::Hs384]),
        (63, &[Algorithm::Hs256, Algorithm::Hs384]),
        (64, &[Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512]),
    ] {
        let key = secret(&vec![7; length]);
        let fitting: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|algorithm| key.fits(*algorithm)).collect();
        assert_eq!(fitting, expected, "{length} bytes");
    }
}

#[test]
fn debug_output_shows_nothing_of_a_secret() {
    let shown = format!("{:?}", secret(b"secretsecretsecretsecretsecret12").with_id(Some("k1".into())));
    assert_eq!(shown, "Key(secret Some(\"k1\"))");
}

/// Salts need no luck here.
struct Counting(u8);

impl TryRng for Counting {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.iter_mut().for_each(|byte| {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        });
        Ok(())
    }
}

impl TryCryptoRng for Counting {}
