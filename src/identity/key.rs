// SPDX-License-Identifier: Apache-2.0
//! Keys that verify, and sets of them.

use std::fmt;

use ed25519_dalek::Signature as Ed25519Signature;
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Verifier as _;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::algorithm::Algorithm;
use super::host::Proven;
use crate::inputs::HostSignatures;
use crate::secret::SecretKey;

/// A key, and what it is for.
#[derive(Clone)]
pub struct Key {
    id: Option<String>,
    /// The one algorithm that its owner uses it with, where that is said.
    algorithm: Option<Algorithm>,
    /// For whom alone it signs, where its owner says so.
    issuer: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    /// The key, its modulus' length in bytes and its DER form.
    Rsa(Box<RsaPublicKey>, usize, Vec<u8>),
    P256(Box<p256::ecdsa::VerifyingKey>, Vec<u8>),
    P384(Box<p384::ecdsa::VerifyingKey>, Vec<u8>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
    Secret(SecretKey),
}

/// Bits of an RSA modulus: fewer are unsafe (RFC 7518 section 3.3), more cost too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A SubjectPublicKeyInfo in DER as far as the point, uncompressed (RFC 5480 section 2).
const P256_SPKI: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384_SPKI: &[u8] = b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";

impl Key {
    /// An RSA key by its modulus and exponent, both big-endian.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, InvalidKey> {
        let long = RSA_BITS.end() / 8;
        let modulus = trimmed(modulus);
        let exponent = trimmed(exponent);
        if modulus.len() > long || exponent.len() > 8 {
            return Err(InvalidKey::RSA);
        }
        let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last & 1 == 1);
        // An exponent of 1 verifies everything.
        if !odd(modulus) || !odd(exponent) || exponent == [1] {
            return Err(InvalidKey::RSA);
        }
        let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
        let key = RsaPublicKey::new_with_size_limits(number(modulus), number(exponent), RSA_BITS).map_err(|_| InvalidKey::RSA)?;
        Self::from_rsa(key)
    }

    fn from_rsa(key: RsaPublicKey) -> Result<Self, InvalidKey> {
        let bits = usize::try_from(key.n().bits_vartime()).unwrap_or(usize::MAX);
        let exponent = key.e().to_be_bytes_trimmed_vartime();
        let weak = exponent.last().is_none_or(|last| last & 1 == 0) || *exponent == [1];
        if !RSA_BITS.contains(&bits) || weak {
            return Err(InvalidKey::RSA);
        }
        let spki = key.to_public_key_der().map_err(|_| InvalidKey::RSA)?.into_vec();
        let length = key.size();
        Ok(Self::of(Material::Rsa(Box::new(key), length, spki)))
    }

    /// A P-256 key by its point's coordinates.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Result<Self, InvalidKey> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point(x, y, 32)?).map_err(|_| InvalidKey::POINT)?;
        Ok(Self::from_p256(key))
    }

    fn from_p256(key: p256::ecdsa::VerifyingKey) -> Self {
        let spki = [P256_SPKI, key.to_sec1_point(false).as_bytes()].concat();
        Self::of(Material::P256(Box::new(key), spki))
    }

    /// A P-384 key by its point's coordinates.
    pub(super) fn p384(x: &[u8], y: &[u8]) -> Result<Self, InvalidKey> {
        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point(x, y, 48)?).map_err(|_| InvalidKey::POINT)?;
        Ok(Self::from_p384(key))
    }

    fn from_p384(key: p384::ecdsa::VerifyingKey) -> Self {
        let spki = [P384_SPKI, key.to_sec1_point(false).as_bytes()].concat();
        Self::of(Material::P384(Box::new(key), spki))
    }

    /// An Ed25519 key by its compressed point.
    pub(super) fn ed25519(x: &[u8]) -> Result<Self, InvalidKey> {
        let bytes: &[u8; 32] = x.try_into().map_err(|_| InvalidKey::POINT)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| InvalidKey::POINT)?;
        if key.is_weak() { Err(InvalidKey::POINT) } else { Ok(Self::of(Material::Ed25519(Box::new(key)))) }
    }

    /// A secret that the issuer shares with us.
    pub(super) const fn secret(secret: SecretKey) -> Self {
        Self::of(Material::Secret(secret))
    }

    /// A public key in PEM: `-----BEGIN PUBLIC KEY-----` (RFC 7468 section 13).
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] for another label, a key of another type, or one that is unsafe.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        use rsa::pkcs8::DecodePublicKey as _;
        let (label, document) = rsa::pkcs8::Document::from_pem(text.trim_ascii()).map_err(|_| InvalidKey::PEM)?;
        if label != "PUBLIC KEY" {
            return Err(InvalidKey::PEM);
        }
        let der = document.as_bytes();
        if let Ok(key) = RsaPublicKey::from_public_key_der(der) {
            return Self::from_rsa(key);
        }
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(der) {
            return Ok(Self::from_p256(key));
        }
        if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_der(der) {
            return Ok(Self::from_p384(key));
        }
        let key = ed25519_dalek::VerifyingKey::from_public_key_der(der).map_err(|_| InvalidKey::PEM)?;
        Self::ed25519(key.as_bytes())
    }

    const fn of(material: Material) -> Self {
        Self { id: None, algorithm: None, issuer: None, material }
    }

    /// The same key under this id.
    #[must_use]
    pub fn with_id(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// The same key for this algorithm alone.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] where the key is none for it.
    pub(super) fn with_algorithm(self, algorithm: Option<Algorithm>) -> Result<Self, InvalidKey> {
        let fits = algorithm.is_none_or(|algorithm| self.fits(algorithm));
        if fits { Ok(Self { algorithm, ..self }) } else { Err(InvalidKey::ALGORITHM) }
    }

    /// The same for tokens of this issuer, as Entra ID's key sets say.
    pub(super) fn with_issuer(self, issuer: Option<String>) -> Self {
        Self { issuer, ..self }
    }

    /// For whom alone it signs, where its owner says so.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Its id, by which tokens name it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether it verifies signatures by `algorithm`.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let possible = match &self.material {
            Material::Rsa(..) => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Material::P256(..) => algorithm == Es256,
            Material::P384(..) => algorithm == Es384,
            Material::Ed25519(_) => algorithm == EdDsa,
            // A key shorter than the hash weakens it (RFC 7518 section 3.2).
            Material::Secret(secret) => match algorithm {
                Hs256 => secret.as_bytes().len() >= 32,
                Hs384 => secret.as_bytes().len() >= 48,
                Hs512 => secret.as_bytes().len() >= 64,
                _ => false,
            },
        };
        possible && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` is this key's for `text`, by `algorithm`; and whether the host has said so.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
        proven: Proven,
        host: &mut dyn HostSignatures,
    ) -> Verification {
        if !self.fits(algorithm) {
            return Verification::REFUSED;
        }
        match &self.material {
            Material::Rsa(key, length, spki) => {
                if signature.len() != *length {
                    return Verification::REFUSED;
                }
                proven
                    .ask(algorithm, spki, signature, text, host)
                    .unwrap_or_else(|| Verification::here(rsa(key, algorithm, text, signature)))
            }
            Material::P256(key, spki) => {
                // Refuses other lengths, and an R or S of 0 or beyond the group's order.
                let Ok(signature) = p256::ecdsa::Signature::from_slice(signature) else { return Verification::REFUSED };
                let asked = proven.ask(algorithm, spki, signature.to_der().as_bytes(), text, host);
                asked.unwrap_or_else(|| Verification::here(key.verify(text, &signature).is_ok()))
            }
            Material::P384(key, spki) => {
                let Ok(signature) = p384::ecdsa::Signature::from_slice(signature) else { return Verification::REFUSED };
                let asked = proven.ask(algorithm, spki, signature.to_der().as_bytes(), text, host);
                asked.unwrap_or_else(|| Verification::here(key.verify(text, &signature).is_ok()))
            }
            Material::Ed25519(key) => {
                let verified = Ed25519Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(text, &signature).is_ok());
                Verification::here(verified)
            }
            Material::Secret(secret) => Verification::here(hmac(secret.as_bytes(), algorithm, text, signature)),
        }
    }
}

impl fmt::Debug for Key {
    /// Shows nothing of a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.material {
            Material::Rsa(..) => "RSA",
            Material::P256(..) => "P-256",
            Material::P384(..) => "P-384",
            Material::Ed25519(_) => "Ed25519",
            Material::Secret(_) => "secret",
        };
        write!(formatter, "Key({kind} {:?})", self.id)
    }
}

fn rsa(key: &RsaPublicKey, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    let verified = match algorithm {
        Algorithm::Rs256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(text), signature),
        Algorithm::Rs384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(text), signature),
        Algorithm::Rs512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(text), signature),
        // Their salts are as long as the hash (RFC 7518 section 3.5).
        Algorithm::Ps256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(text), signature),
        Algorithm::Ps384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(text), signature),
        Algorithm::Ps512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(text), signature),
        _ => return false,
    };
    verified.is_ok()
}

fn hmac(key: &[u8], algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    // Compared in constant time, at full length.
    match algorithm {
        Algorithm::Hs256 => Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
        Algorithm::Hs384 => Hmac::<Sha384>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
        Algorithm::Hs512 => Hmac::<Sha512>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok()),
        _ => false,
    }
}

/// An uncompressed point (SEC 1 section 2.3.3): coordinates are as long as the field (RFC 7518 section 6.2.1.2).
fn point(x: &[u8], y: &[u8], length: usize) -> Result<Vec<u8>, InvalidKey> {
    if x.len() == length && y.len() == length { Ok([&[4], x, y].concat()) } else { Err(InvalidKey::POINT) }
}

/// A number without the zeros before it.
fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verification {
    /// It is the key's.
    pub(super) sound: bool,
    /// The host has said so, not this module.
    pub(super) by_host: bool,
}

impl Verification {
    const REFUSED: Self = Self::here(false);

    const fn here(sound: bool) -> Self {
        Self { sound, by_host: false }
    }
}

/// Why something is no key, or none to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey(pub(super) &'static str);

impl InvalidKey {
    const RSA: Self = Self("expected an RSA key of 2048 to 8192 bits with an odd exponent from 3 on");
    const POINT: Self = Self("expected a point on the key's curve, each coordinate as long as its field");
    const PEM: Self = Self("expected an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 key as a PEM block `PUBLIC KEY`");
    const ALGORITHM: Self = Self("expected an `alg` that fits the key's type");
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for InvalidKey {}

/// The keys of one issuer: ids stand once, and public keys don't stand beside secrets.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// The set of these keys.
    ///
    /// # Errors
    ///
    /// [`InvalidKeySet`] where two keys have one id, where public keys stand beside secrets, or where there are too many.
    pub fn new(keys: Vec<Key>) -> Result<Self, InvalidKeySet> {
        if keys.len() > MAX_KEYS {
            return Err(InvalidKeySet::TooMany);
        }
        let secrets = keys.iter().filter(|key| matches!(key.material, Material::Secret(_))).count();
        if secrets > 0 && secrets < keys.len() {
            return Err(InvalidKeySet::Mixed);
        }
        let mut ids: Vec<&str> = keys.iter().filter_map(Key::id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(InvalidKeySet::Repeated);
        }
        Ok(Self(keys))
    }

    /// The key that a token names; for one that names none, the only key that fits, where there is only one.
    #[must_use]
    pub fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        match id {
            Some(id) => self.0.iter().find(|key| key.id() == Some(id)),
            None => {
                let mut fitting = self.0.iter().filter(|key| key.fits(algorithm));
                fitting.next().filter(|_| fitting.next().is_none())
            }
        }
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// More keys than any issuer has.
pub(crate) const MAX_KEYS: usize = 100;

/// Why keys make no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidKeySet {
    /// Two keys have one id.
    Repeated,
    /// Public keys stand beside secrets.
    Mixed,
    /// There are more than 100.
    TooMany,
}

impl fmt::Display for InvalidKeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Repeated => "expected each `kid` once, found one twice",
            Self::Mixed => "expected public keys alone, found secrets (`oct`) beside them",
            Self::TooMany => "expected at most 100 keys, found more",
        })
    }
}

impl std::error::Error for InvalidKeySet {}

#[cfg(test)]
mod examples;
#[cfg(test)]
pub(super) mod tests;
