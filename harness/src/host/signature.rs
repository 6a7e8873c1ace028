// SPDX-License-Identifier: Apache-2.0
//! The foreign function `verify_signature`: RSA (PKCS #1 v1.5) and ECDSA with DER signatures, as Envoy has it.
//!
//! The argument is protobuf: 1 `hash_function`, 2 `public_key` (DER, SPKI), 3 `signature`, 4 `text`. So is the result: 1
//! `result`, 2 `error`.

use rsa::pkcs8::DecodePublicKey;
use rsa::signature::Verifier;
use rsa::signature::hazmat::PrehashVerifier;
use sha2::Digest;

use super::release::Release;
use super::status::{Answer, Status};
use crate::varint;

/// What the host says of signatures, for a core that runs natively.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signatures;

impl tracegate::HostSignatures for Signatures {
    fn verify(&mut self, hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        Some(Key::read(key)?.verify(Hash::named(hash.as_bytes())?, text, signature).is_ok())
    }
}

/// Verifies a signature.
///
/// # Errors
///
/// `BadArgument` where the argument is malformed or there is no key; a wrong signature is no error, nor is a wrong key.
pub(super) fn verify(argument: &[u8], release: Release) -> Answer<Vec<u8>> {
    let argument = Argument::read(argument).ok_or(Status::BadArgument)?;
    if argument.public_key.is_empty() && release.insists_on_a_key() {
        return Err(Status::BadArgument);
    }
    let verdict = match (Hash::named(argument.hash_function), Key::read(argument.public_key)) {
        (Some(hash), Some(key)) => key.verify(hash, argument.text, argument.signature),
        (Some(_), None) => Err("Failed to initialize digest verify.".to_owned()),
        (None, _) => Err(format!("{} is not supported.", String::from_utf8_lossy(argument.hash_function))),
    };
    Ok(encode(verdict))
}

#[derive(Default)]
struct Argument<'a> {
    hash_function: &'a [u8],
    public_key: &'a [u8],
    signature: &'a [u8],
    text: &'a [u8],
}

impl<'a> Argument<'a> {
    /// Reads length-delimited fields; anything else is malformed.
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        const LENGTH_DELIMITED: u64 = 2;
        let mut argument = Self::default();
        while !bytes.is_empty() {
            let tag = varint::take(&mut bytes)?;
            if tag & 7 != LENGTH_DELIMITED {
                return None;
            }
            let length = usize::try_from(varint::take(&mut bytes)?).ok()?;
            let (value, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            match tag >> 3 {
                0 => return None,
                1 => argument.hash_function = value,
                2 => argument.public_key = value,
                3 => argument.signature = value,
                4 => argument.text = value,
                _ => {}
            }
        }
        Some(argument)
    }
}

fn encode(verdict: Result<(), String>) -> Vec<u8> {
    const RESULT: u8 = 1 << 3;
    const ERROR: u8 = (2 << 3) | 2;
    match verdict {
        Ok(()) => vec![RESULT, 1],
        Err(error) => {
            let error = error.into_bytes();
            let mut encoded = vec![ERROR, u8::try_from(error.len()).unwrap_or(0x7f) & 0x7f];
            encoded.extend(error.into_iter().take(0x7f));
            encoded
        }
    }
}

#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"sha1" => Some(Self::Sha1),
            b"sha224" => Some(Self::Sha224),
            b"sha256" => Some(Self::Sha256),
            b"sha384" => Some(Self::Sha384),
            b"sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1::Sha1::digest(text).to_vec(),
            Self::Sha224 => sha2::Sha224::digest(text).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(text).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(text).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(text).to_vec(),
        }
    }
}

enum Key {
    Rsa(Box<rsa::RsaPublicKey>),
    P256(p256::ecdsa::VerifyingKey),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
}

impl Key {
    fn read(der: &[u8]) -> Option<Self> {
        let rsa = || rsa::RsaPublicKey::from_public_key_der(der).ok().map(|key| Self::Rsa(Box::new(key)));
        let p256 = || p256::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(Self::P256);
        let p384 = || p384::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(|key| Self::P384(Box::new(key)));
        let p521 = || p521::ecdsa::VerifyingKey::from_public_key_der(der).ok().map(|key| Self::P521(Box::new(key)));
        rsa().or_else(p256).or_else(p384).or_else(p521)
    }

    fn verify(&self, hash: Hash, text: &[u8], signature: &[u8]) -> Result<(), String> {
        let verified = match self {
            Self::Rsa(key) => verify_rsa(key, hash, text, signature),
            Self::P256(key) => {
                p256::ecdsa::DerSignature::try_from(signature).and_then(|signature| key.verify_prehash(&hash.of(text), &signature))
            }
            Self::P384(key) => {
                p384::ecdsa::DerSignature::try_from(signature).and_then(|signature| key.verify_prehash(&hash.of(text), &signature))
            }
            Self::P521(key) => p521::ecdsa::DerSignature::try_from(signature)
                .and_then(p521::ecdsa::Signature::try_from)
                .and_then(|signature| key.verify_prehash(&hash.of(text), &signature)),
        };
        verified.map_err(|_| "Failed to verify digest. Error code: 0".to_owned())
    }
}

fn verify_rsa(key: &rsa::RsaPublicKey, hash: Hash, text: &[u8], signature: &[u8]) -> Result<(), rsa::signature::Error> {
    let signature = rsa::pkcs1v15::Signature::try_from(signature)?;
    match hash {
        Hash::Sha1 => rsa::pkcs1v15::VerifyingKey::<sha1::Sha1>::new(key.clone()).verify(text, &signature),
        Hash::Sha224 => rsa::pkcs1v15::VerifyingKey::<sha2::Sha224>::new(key.clone()).verify(text, &signature),
        Hash::Sha256 => rsa::pkcs1v15::VerifyingKey::<sha2::Sha256>::new(key.clone()).verify(text, &signature),
        Hash::Sha384 => rsa::pkcs1v15::VerifyingKey::<sha2::Sha384>::new(key.clone()).verify(text, &signature),
        Hash::Sha512 => rsa::pkcs1v15::VerifyingKey::<sha2::Sha512>::new(key.clone()).verify(text, &signature),
    }
}
